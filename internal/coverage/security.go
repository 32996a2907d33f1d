package coverage

const (
	whyPeer    = "servers take plaintext and TLS as their own listeners do"
	whyRequest = "tokens are not verified, and requests come in with and without"
	whyPolicy  = "requests are not authorized, and all come in"
)

// peerAuthentication accounts for https://istio.io/latest/docs/reference/config/security/peer_authentication/.
func peerAuthentication() []Field {
	return all("", Warned, whyPeer, "", "selector", "selector.matchLabels[*]", "mtls", "mtls.mode", "portLevelMtls[*]", "portLevelMtls[*].mode")
}

// requestAuthentication accounts for https://istio.io/latest/docs/reference/config/security/request_authentication/.
func requestAuthentication() []Field {
	return list(
		targets(whyRequest),
		all("", Warned, whyRequest, "", "jwtRules[]"),
		all("jwtRules[]", Warned, whyRequest, "", "issuer", "audiences[]", "jwksUri", "jwks", "fromHeaders[]", "fromHeaders[].name",
			"fromHeaders[].prefix", "fromParams[]", "fromCookies[]", "outputPayloadToHeader", "forwardOriginalToken",
			"outputClaimToHeaders[]", "outputClaimToHeaders[].header", "outputClaimToHeaders[].claim", "timeout", "spaceDelimitedClaims[]"),
	)
}

// authorizationPolicy accounts for https://istio.io/latest/docs/reference/config/security/authorization-policy/.
func authorizationPolicy() []Field {
	return list(
		targets(whyPolicy),
		all("", Warned, whyPolicy, "", "action", "provider", "provider.name", "rules[]"),
		all("rules[]", Warned, whyPolicy, "", "from[]", "from[].source", "to[]", "to[].operation", "when[]", "when[].key",
			"when[].values[]", "when[].notValues[]"),
		all("rules[].from[].source", Warned, whyPolicy, "", "principals[]", "notPrincipals[]", "requestPrincipals[]",
			"notRequestPrincipals[]", "namespaces[]", "notNamespaces[]", "serviceAccounts[]", "notServiceAccounts[]", "ipBlocks[]",
			"notIpBlocks[]", "remoteIpBlocks[]", "notRemoteIpBlocks[]", "trustDomains[]", "notTrustDomains[]"),
		all("rules[].to[].operation", Warned, whyPolicy, "", "hosts[]", "notHosts[]", "ports[]", "notPorts[]", "methods[]",
			"notMethods[]", "paths[]", "notPaths[]"),
	)
}

// targets accounts for the ways in which a policy says what it is for.
func targets(why string) []Field {
	return list(
		all("", Warned, why, "", "selector", "selector.matchLabels[*]"),
		all("targetRef", Warned, why, "", "", "group", "kind", "name", "namespace"),
		all("targetRefs[]", Warned, why, "", "", "group", "kind", "name", "namespace"),
	)
}
