package coverage

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	whyPeer      = "servers take plaintext and TLS as their own listeners do"
	whyReference = "policies attached by reference are for waypoints and gateways of the Gateway API, and this one applies to nothing here"
)

// peerAuthentication accounts for https://istio.io/latest/docs/reference/config/security/peer_authentication/.
func peerAuthentication() []Field {
	return all("", Warned, whyPeer, "", "selector", "selector.matchLabels[*]", "mtls", "mtls.mode", "portLevelMtls[*]", "portLevelMtls[*].mode")
}

// requestAuthentication accounts for https://istio.io/latest/docs/reference/config/security/request_authentication/.
func requestAuthentication() []Field {
	return list(
		targets(Honoured, "", "identity/policy.go"),
		all("", Honoured, "by Handler and Gateway; all that apply are one list", "identity/tokens.go", "jwtRules[]"),
		all("jwtRules[]", Honoured, "", "identity/tokens.go", "issuer", "audiences[]"),
		all("jwtRules[]", Honoured, "", "identity/tokens.go", "jwks"),
		all("jwtRules[]", Honoured, "kept for five minutes, and while new ones cannot be had", "identity/remotekeys.go", "jwksUri", "timeout"),
		all("jwtRules[]", Honoured, "", "identity/tokenplace.go", "fromHeaders[]", "fromHeaders[].name", "fromHeaders[].prefix", "fromParams[]",
			"fromCookies[]"),
		all("jwtRules[]", Honoured, "", "identity/tokenoutput.go", "forwardOriginalToken", "outputPayloadToHeader", "outputClaimToHeaders[]", "outputClaimToHeaders[].header",
			"outputClaimToHeaders[].claim"),
		all("jwtRules[]", Honoured, "", "identity/tokens.go", "spaceDelimitedClaims[]"),
	)
}

// authorizationPolicy accounts for https://istio.io/latest/docs/reference/config/security/authorization-policy/.
func authorizationPolicy() []Field {
	const rules = "identity/policyrule.go"
	return list(
		targets(Honoured, "", "identity/policy.go"),
		all("", Honoured, "by Handler and Gateway", "identity/policy.go", "action"),
		all("", Honoured, "of the options' Authorizers; one that is not there denies", "identity/provider.go", "provider", "provider.name"),
		all("", Honoured, "", rules, "rules[]"),
		all("rules[]", Honoured, "", rules, "from[]", "from[].source", "to[]", "to[].operation", "when[]", "when[].values[]", "when[].notValues[]"),
		[]Field{{Path: "rules[].when[].key", Status: Honoured, Where: rules, But: envoyMetadata}},
		all("rules[].from[].source", Honoured, "", rules, "principals[]", "notPrincipals[]", "requestPrincipals[]",
			"notRequestPrincipals[]", "namespaces[]", "notNamespaces[]", "serviceAccounts[]", "notServiceAccounts[]", "ipBlocks[]",
			"notIpBlocks[]", "trustDomains[]", "notTrustDomains[]"),
		all("rules[].from[].source", Honoured, "x-forwarded-for is believed as far as the options' TrustedProxies say", rules, "remoteIpBlocks[]", "notRemoteIpBlocks[]"),
		all("rules[].to[].operation", Honoured, "", rules, "hosts[]", "notHosts[]", "ports[]", "notPorts[]", "methods[]", "notMethods[]"),
		all("rules[].to[].operation", Honoured, "the normalised path, and what other servers may read in it", rules, "paths[]", "notPaths[]"),
	)
}

// envoyMetadata is what is not obeyed of a condition's key.
func envoyMetadata(_ protoreflect.Message, v protoreflect.Value) string {
	if strings.HasPrefix(v.String(), "experimental.envoy.filters.") {
		return "there are no filters of Envoy's, so that their metadata has no values and matches nothing"
	}
	return ""
}

// targets accounts for the ways in which a policy says what it is for.
func targets(status Status, note, where string) []Field {
	if status == Honoured {
		return append(all("", Honoured, "", where, "selector", "selector.matchLabels[*]"), references(whyReference)...)
	}
	return append(all("", status, note, where, "selector", "selector.matchLabels[*]"), references(note)...)
}

func references(why string) []Field {
	return append(all("targetRef", Warned, why, "", "", "group", "kind", "name", "namespace"),
		all("targetRefs[]", Warned, why, "", "", "group", "kind", "name", "namespace")...)
}
