package legacy

// Kind says what took the place of a kind that Istio no longer has, with its form in short. It is empty for
// all other kinds.
func Kind(group, kind string) string {
	switch group + "/" + kind {
	case "config.istio.io/RouteRule":
		return "gone since Istio 1.0: write a VirtualService of networking.istio.io/v1 (spec: {hosts: [reviews]," +
			" http: [{match: [{headers: {x-user: {exact: jason}}}], route: [{destination: {host: reviews, subset: v1}}]}]})"
	case "config.istio.io/DestinationPolicy", "config.istio.io/DestinationRule":
		return "gone since Istio 1.0: write a DestinationRule of networking.istio.io/v1 (spec: {host: reviews," +
			" trafficPolicy: {loadBalancer: {simple: RANDOM}, outlierDetection: {consecutive5xxErrors: 5}}})"
	case "config.istio.io/EgressRule":
		return "gone since Istio 1.0: write a ServiceEntry of networking.istio.io/v1 (spec: {hosts: [api.example.com]," +
			" ports: [{number: 443, name: https, protocol: HTTPS}], resolution: DNS})"
	case "config.istio.io/IngressRule":
		return "gone since Istio 1.0: write a Gateway of networking.istio.io/v1, and a VirtualService with gateways: [its name]"
	case "authentication.istio.io/MeshPolicy":
		return "gone since Istio 1.6: write a PeerAuthentication of security.istio.io/v1 in the root namespace" +
			" (metadata: {name: default, namespace: istio-system}, spec: {mtls: {mode: STRICT}})"
	case "authentication.istio.io/Policy":
		return "gone since Istio 1.6: for peers write a PeerAuthentication of security.istio.io/v1 (spec: {selector:" +
			" {matchLabels: {app: reviews}}, mtls: {mode: STRICT}}), for origins a RequestAuthentication" +
			" (spec: {jwtRules: [{issuer: https://example.com, jwksUri: https://example.com/jwks}]})"
	case "rbac.istio.io/ServiceRole", "rbac.istio.io/ServiceRoleBinding":
		return "gone since Istio 1.6: write role and binding as one AuthorizationPolicy of security.istio.io/v1 (spec:" +
			" {selector: {matchLabels: {app: reviews}}, action: ALLOW, rules: [{from: [{source: {principals:" +
			" [cluster.local/ns/default/sa/web]}}], to: [{operation: {methods: [GET]}}]}]})"
	case "rbac.istio.io/RbacConfig", "rbac.istio.io/ClusterRbacConfig":
		return "gone since Istio 1.6: where it said ON, write an AuthorizationPolicy of security.istio.io/v1 per namespace" +
			" that allows nothing (metadata: {name: allow-nothing}, spec: {})"
	case "rbac.istio.io/AuthorizationPolicy":
		return "gone since Istio 1.6: write it as an AuthorizationPolicy of security.istio.io/v1"
	}
	return ""
}
