package coverage

// virtualService accounts for https://istio.io/latest/docs/reference/config/networking/virtual-service/.
func virtualService() []Field {
	return list(
		[]Field{
			{Path: "hosts[]", Status: Honoured, Note: "short names are completed with the rule's namespace; none makes the rule a delegate", Where: "internal/compile"},
			{Path: "gateways[]", Status: Honoured, Note: "none is mesh", Where: "internal/compile"},
			{Path: "exportTo[]", Status: Honoured, Note: "the nearer rule comes first, then the older one", Where: "internal/compile"},
			{Path: "http[]", Status: Honoured, Note: "the first that matches", Where: "internal/compile"},
		},
		under("http[]", httpRoute()),
		l4Routes(),
	)
}

func httpRoute() []Field {
	return list(
		[]Field{
			{Path: "name", Status: Honoured, Note: "the route's name in logs, followed by that of the match", Where: "route/compile.go"},
			{Path: "match[]", Status: Honoured, Note: "any of them; none matches all", Where: "route/compile.go"},
		},
		under("match[]", httpMatch()),
		[]Field{
			{Path: "route[]", Status: Honoured, Note: "drawn once for each request, by weight", Where: "route/split.go"},
			{Path: "route[].weight", Status: Honoured, Note: "of any sum; ignored where there is one destination", Where: "route/split.go"},
		},
		under("route[]", destination(), headers("one destination: joined with the route's; several: before the route's")),
		[]Field{
			{Path: "redirect", Status: Honoured, Where: "route/redirect.go"},
			{Path: "redirect.uri", Status: Honoured, Note: "keeps the request's query unless it has one", Where: "route/redirect.go"},
			{Path: "redirect.authority", Status: Honoured, Where: "route/redirect.go"},
			{Path: "redirect.port", Status: Honoured, Note: "80 of http and 443 of https are left out", Where: "route/redirect.go"},
			{Path: "redirect.derivePort", Status: Honoured, Where: "route/redirect.go"},
			{Path: "redirect.scheme", Status: Honoured, Where: "route/redirect.go"},
			{Path: "redirect.redirectCode", Status: Honoured, Note: "301, 302, 303, 307 and 308; others are refused", Where: "route/redirect.go"},
			{Path: "redirect.prefixRewrite", Status: Honoured, Where: "route/redirect.go"},
			{Path: "directResponse", Status: Honoured, Where: "route/compile.go"},
			{Path: "directResponse.status", Status: Honoured, Where: "route"},
			{Path: "directResponse.body", Status: Honoured, Where: "route/direct.go"},
			{Path: "directResponse.body.string", Status: Honoured, Where: "route/direct.go"},
			{Path: "directResponse.body.bytes", Status: Honoured, Where: "route/direct.go"},
			{Path: "delegate", Status: Honoured, Note: "one level", Where: "internal/compile"},
			{Path: "delegate.name", Status: Honoured, Where: "internal/compile"},
			{Path: "delegate.namespace", Status: Honoured, Note: "that of the root where absent", Where: "internal/compile"},
			{Path: "rewrite", Status: Honoured, Where: "route/rewrite.go"},
			{Path: "rewrite.uri", Status: Honoured, Note: "replaces the matched prefix, else the whole path", Where: "route/rewrite.go"},
			{Path: "rewrite.authority", Status: Honoured, Where: "route/compile.go"},
			{Path: "rewrite.uriRegexRewrite", Status: Honoured, Where: "route/rewrite.go"},
			{Path: "rewrite.uriRegexRewrite.match", Status: Honoured, Where: "route/rewrite.go"},
			{Path: "rewrite.uriRegexRewrite.rewrite", Status: Honoured, Note: `\0 to \9 and \\; other escapes are refused`, Where: "route/rewrite.go"},
			{Path: "timeout", Status: Honoured, Note: "over all tries; none where absent", Where: "route/compile.go"},
		},
		under("retries", retries()),
		under("fault", fault()),
		mirrors(),
		under("corsPolicy", cors()),
		headers("removes, then sets, then adds"),
	)
}

func httpMatch() []Field {
	return list(
		[]Field{
			{Path: "name", Status: Honoured, Note: "follows the route's name in logs", Where: "route/compile.go"},
			{Path: "uri", Status: Honoured, Note: "the path without query", Where: "route/condition.go"},
			{Path: "scheme", Status: Honoured, Where: "route/condition.go"},
			{Path: "method", Status: Honoured, Where: "route/condition.go"},
			{Path: "authority", Status: Honoured, Note: "with the port, if the caller wrote one", Where: "route/condition.go"},
			{Path: "headers[*]", Status: Honoured, Note: "{} asks for presence; claims of a token on gateways", Where: "route/condition.go"},
			{Path: "withoutHeaders[*]", Status: Honoured, Note: "{} asks for absence", Where: "route/condition.go"},
			{Path: "queryParams[*]", Status: Honoured, Where: "route/condition.go"},
			{Path: "ignoreUriCase", Status: Honoured, Note: "of exact and prefix, not of regex", Where: "route/condition.go"},
			{Path: "port", Status: Honoured, Note: "that was addressed; on a gateway the server's", Where: "internal/compile"},
			{Path: "sourceLabels[*]", Status: Honoured, Note: "of the client, known when rules are compiled", Where: "internal/compile"},
			{Path: "sourceNamespace", Status: Honoured, Where: "internal/compile"},
			{Path: "gateways[]", Status: Honoured, Note: "where set, the source is not looked at", Where: "internal/compile"},
			{Path: "statPrefix", Status: Warned, Note: "there are no statistics of single virtual hosts; route_name tells routes apart"},
		},
		text("uri"), text("scheme"), text("method"), text("authority"), text("headers[*]"), text("withoutHeaders[*]"), text("queryParams[*]"),
	)
}

// text accounts for a StringMatch.
func text(path string) []Field {
	return []Field{
		{Path: path + ".exact", Status: Honoured, Where: "route/match.go"},
		{Path: path + ".prefix", Status: Honoured, Where: "route/match.go"},
		{Path: path + ".regex", Status: Honoured, Where: "route/match.go"},
	}
}

func destination() []Field {
	return []Field{
		{Path: "destination", Status: Honoured, Where: "internal/compile"},
		{Path: "destination.host", Status: Honoured, Note: "one that no object declares is found by DNS, with a warning", Where: "internal/compile"},
		{Path: "destination.subset", Status: Honoured, Note: "of a DestinationRule; an unknown one is answered 503", Where: "internal/compile"},
		{Path: "destination.port", Status: Honoured, Where: "internal/compile"},
		{Path: "destination.port.number", Status: Honoured, Note: "absent: the service's only port, else the request's", Where: "internal/compile"},
	}
}

func headers(note string) []Field {
	out := []Field{{Path: "headers", Status: Honoured, Note: note, Where: "route/compile.go"}}
	for _, side := range []string{"request", "response"} {
		out = append(out, Field{Path: "headers." + side, Status: Honoured, Where: "route/compile.go"})
		out = append(out, all("headers."+side, Honoured, "Envoy's %OPERATORS% are understood; unknown ones are refused", "route/headers.go", "set[*]", "add[*]")...)
		out = append(out, Field{Path: "headers." + side + ".remove[]", Status: Honoured, Where: "route/headers.go"})
	}
	return out
}

func retries() []Field {
	return []Field{
		{Path: "", Status: Honoured, Note: "absent: 2 retries where the server did nothing yet", Where: "route/retry.go"},
		{Path: "attempts", Status: Honoured, Note: "after the first try; 0 is none", Where: "route/retry.go"},
		{Path: "perTryTimeout", Status: Honoured, Where: "route/retry.go"},
		{Path: "retryOn", Status: Honoured, Note: "all conditions of Envoy; http3-post-connect-failure never happens", Where: "route/retry.go"},
		{Path: "retryIgnorePreviousHosts", Status: Honoured, Where: "route/retry.go"},
		{Path: "backoff", Status: Honoured, Note: "25ms where absent", Where: "route/retry.go"},
		{Path: "retryRemoteLocalities", Status: Honoured, Where: "route/retry.go"},
	}
}

func fault() []Field {
	return list(
		[]Field{{Path: "", Status: Honoured, Note: "before timeout and retries, which never see it", Where: "mesh/snapshot.go"}},
		all("", Honoured, "", "fault/injector.go", "delay", "delay.fixedDelay", "delay.percentage", "abort", "abort.httpStatus", "abort.percentage"),
		[]Field{
			{Path: "delay.percentage.value", Status: Honoured, Note: "0 where absent, in steps of 0.0001", Where: "fault/injector.go"},
			{Path: "abort.percentage.value", Status: Honoured, Note: "0 where absent, in steps of 0.0001", Where: "fault/injector.go"},
			{Path: "abort.grpcStatus", Status: Honoured, Note: "by name", Where: "fault/injector.go"},
			{Path: "delay.percent", Status: Honoured, Note: "an old form, with a warning", Where: "fault/injector.go"},
			{Path: "delay.exponentialDelay", Status: Refused, Note: "Istio does not support it either", Where: "internal/validate"},
			{Path: "abort.http2Error", Status: Refused, Note: "Istio does not support it either", Where: "internal/validate"},
		},
	)
}

func mirrors() []Field {
	return list(
		[]Field{
			{Path: "mirror", Status: Honoured, Note: "its answer is not waited for", Where: "internal/compile/cluster.go"},
			{Path: "mirrors[]", Status: Honoured, Note: "one draw for all of a request", Where: "internal/compile/cluster.go"},
			{Path: "mirrorPercent", Status: Honoured, Note: "an old form, with a warning", Where: "internal/compile/cluster.go"},
			{Path: "mirrorPercentage", Status: Honoured, Note: "100 where absent", Where: "internal/compile/cluster.go"},
			{Path: "mirrorPercentage.value", Status: Honoured, Where: "internal/compile/cluster.go"},
			{Path: "mirrors[].percentage", Status: Honoured, Note: "100 where absent", Where: "internal/compile/cluster.go"},
			{Path: "mirrors[].percentage.value", Status: Honoured, Where: "internal/compile/cluster.go"},
		},
		all("mirror", Honoured, "", "internal/compile/cluster.go", "host", "subset", "port", "port.number"),
		all("mirrors[].destination", Honoured, "", "internal/compile/cluster.go", "", "host", "subset", "port", "port.number"),
	)
}

func cors() []Field {
	return list(
		[]Field{
			{Path: "", Status: Honoured, Where: "route/cors.go"},
			{Path: "allowOrigin[]", Status: Honoured, Note: "an old form, with a warning", Where: "route/cors.go"},
			{Path: "allowOrigins[]", Status: Honoured, Where: "route/cors.go"},
			{Path: "unmatchedPreflights", Status: Honoured, Note: "FORWARD where absent", Where: "route/cors.go"},
		},
		text("allowOrigins[]"),
		all("", Honoured, "", "route/cors.go", "allowMethods[]", "allowHeaders[]", "exposeHeaders[]", "maxAge", "allowCredentials"),
	)
}

// l4Routes accounts for routes of what is not HTTP.
func l4Routes() []Field {
	const sni, tcp = "connections are not routed by SNI, only http routes act", "TCP connections are not routed, only http routes act"
	to := []string{"route[]", "route[].destination", "route[].destination.host", "route[].destination.subset",
		"route[].destination.port", "route[].destination.port.number", "route[].weight"}
	from := []string{"match[]", "match[].destinationSubnets[]", "match[].port", "match[].sourceLabels[*]", "match[].gateways[]",
		"match[].sourceNamespace"}
	return list(
		[]Field{{Path: "tls[]", Status: Warned, Note: sni}, {Path: "tcp[]", Status: Warned, Note: tcp}},
		all("tls[]", Warned, sni, "", from...), all("tls[]", Warned, sni, "", "match[].sniHosts[]"), all("tls[]", Warned, sni, "", to...),
		all("tcp[]", Warned, tcp, "", from...), all("tcp[]", Warned, tcp, "", "match[].sourceSubnet"), all("tcp[]", Warned, tcp, "", to...),
	)
}
