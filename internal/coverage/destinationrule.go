package coverage

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// destinationRule accounts for https://istio.io/latest/docs/reference/config/networking/destination-rule/.
func destinationRule() []Field {
	return list(
		[]Field{
			{Path: "host", Status: Honoured, Note: "short names are completed with the rule's namespace; wildcards", Where: "internal/destination/destination.go"},
			{Path: "trafficPolicy", Status: Honoured, Where: "internal/destination/policy.go"},
			{Path: "subsets[]", Status: Honoured, Where: "internal/destination/policy.go"},
			{Path: "subsets[].name", Status: Honoured, Where: "internal/destination/policy.go"},
			{Path: "subsets[].labels[*]", Status: Honoured, Note: "an endpoint carries them all", Where: "internal/destination/policy.go"},
			{Path: "subsets[].trafficPolicy", Status: Honoured, Note: "over the top level's, block by block", Where: "internal/destination/policy.go"},
			{Path: "exportTo[]", Status: Honoured, Where: "internal/destination/destination.go"},
			{Path: "workloadSelector", Status: Honoured, Note: "of clients in the rule's namespace", Where: "internal/destination/destination.go"},
			{Path: "workloadSelector.matchLabels[*]", Status: Honoured, Where: "internal/destination/merge.go"},
		},
		under("trafficPolicy", trafficPolicy()),
		under("subsets[].trafficPolicy", trafficPolicy()),
	)
}

func trafficPolicy() []Field {
	const tunnel, proxy = "requests are not tunnelled", "no PROXY protocol header is sent"
	return list(
		policyBlocks(),
		[]Field{
			{Path: "portLevelSettings[]", Status: Honoured, Note: "replace the whole policy for the port", Where: "internal/destination/policy.go"},
			{Path: "portLevelSettings[].port", Status: Honoured, Where: "internal/destination/policy.go"},
			{Path: "portLevelSettings[].port.number", Status: Honoured, Where: "internal/destination/policy.go"},
		},
		under("portLevelSettings[]", policyBlocks()),
		all("", Warned, tunnel, "", "tunnel", "tunnel.protocol", "tunnel.targetHost", "tunnel.targetPort"),
		all("", Warned, proxy, "", "proxyProtocol", "proxyProtocol.version"),
		[]Field{{Path: "retryBudget", Status: Honoured, Note: "in place of maxRetries; absent: none", Where: "mesh/cluster.go"}},
		all("retryBudget", Honoured, "", "breaker/budget.go", "percent", "minRetryConcurrency", "budgetInterval"),
	)
}

// policyBlocks are what a policy and one of its port-level settings have in common.
func policyBlocks() []Field {
	return list(under("loadBalancer", loadBalancer()), under("connectionPool", connectionPool()),
		under("outlierDetection", outlierDetection()), under("tls", clientTLS()))
}

func loadBalancer() []Field {
	const zone = "all zones are alike"
	return list(
		[]Field{
			{Path: "", Status: Honoured, Where: "mesh/members.go"},
			{Path: "simple", Status: Honoured, Note: "LEAST_REQUEST where absent", Where: "route/balance/algorithm.go"},
			{Path: "consistentHash", Status: Honoured, Note: "xxHash64, as Envoy: a ring unless it says Maglev", Where: "route/balance/algorithm.go"},
		},
		all("consistentHash", Honoured, "", "route/balance/hash.go", "httpHeaderName", "httpCookie", "httpCookie.name", "httpCookie.path",
			"httpCookie.ttl", "httpCookie.attributes[]", "httpCookie.attributes[].name", "httpCookie.attributes[].value",
			"useSourceIp", "httpQueryParameterName"),
		all("consistentHash", Honoured, "", "route/balance/algorithm.go", "ringHash", "ringHash.minimumRingSize", "maglev", "maglev.tableSize"),
		[]Field{
			{Path: "consistentHash.minimumRingSize", Status: Honoured, Note: "an old form, with a warning", Where: "route/balance/algorithm.go"},
			{Path: "localityLbSetting", Status: Honoured, Note: "absent: as enabled", Where: "route/balance"},
			{Path: "localityLbSetting.enabled", Status: Honoured, Note: "true where absent; failover needs outlierDetection", Where: "route/balance"},
		},
		all("localityLbSetting", Honoured, "", "route/balance", "distribute[]", "distribute[].from", "distribute[].to[*]", "failover[]",
			"failover[].from", "failover[].to", "failoverPriority[]"),
		[]Field{
			{Path: "zoneAwareLbSetting", Status: Warned, Note: zone + "; enabled: false asks for just that", But: unlessDisabled(zone)},
			{Path: "zoneAwareLbSetting.enabled", Status: Honoured, Note: "false is what happens; true is warned of", Where: "route/balance"},
		},
		all("zoneAwareLbSetting", Warned, zone, "", "failover[]", "failover[].from", "failover[].to", "failoverPriority[]", "minClusterSize"),
		[]Field{{Path: "warmup", Status: Honoured, Note: "of LEAST_REQUEST and ROUND_ROBIN", Where: "route/balance/warmup.go"}},
		all("warmup", Honoured, "", "route/balance/warmup.go", "duration", "minimumPercent", "aggression"),
		[]Field{{Path: "warmupDurationSecs", Status: Honoured, Note: "an old form, with a warning", Where: "route/balance/warmup.go"}},
	)
}

// unlessDisabled is the reason for settings that are not obeyed, but that they say enabled: false.
func unlessDisabled(why string) func(protoreflect.Message, protoreflect.Value) string {
	return func(_ protoreflect.Message, v protoreflect.Value) string {
		m := v.Message()
		enabled := m.Descriptor().Fields().ByName("enabled")
		if !m.Has(enabled) {
			return why
		}
		if b := m.Get(enabled).Message(); b.Get(b.Descriptor().Fields().ByNumber(1)).Bool() {
			return why
		}
		return ""
	}
}

func connectionPool() []Field {
	const limits, way, own = "breaker/limits.go", "mesh/dial.go", "of the mesh's own pools"
	return list(
		all("", Honoured, "", "mesh/dial.go", "", "tcp", "http"),
		[]Field{
			{Path: "tcp.maxConnections", Status: Honoured, Note: "connections of the mesh's own pools; over a base transport, requests of HTTP/1", Where: limits},
			{Path: "tcp.connectTimeout", Status: Honoured, Note: "10s where absent, TLS handshake included; " + own, Where: way},
		},
		all("tcp.tcpKeepalive", Honoured, own, way, "", "probes", "time", "interval"),
		[]Field{
			{Path: "tcp.maxConnectionDuration", Status: Honoured, Note: own, Where: way},
			{Path: "tcp.idleTimeout", Status: Honoured, Note: "1h where absent, 0s is none; " + own, Where: way},
			{Path: "http.http1MaxPendingRequests", Status: Honoured, Note: "of HTTP/1 and HTTP/2", Where: limits},
			{Path: "http.http2MaxRequests", Status: Honoured, Note: "of HTTP/1 and HTTP/2", Where: limits},
			{Path: "http.maxRequestsPerConnection", Status: Honoured, Note: own, Where: way},
			{Path: "http.maxRetries", Status: Honoured, Where: limits},
			{Path: "http.idleTimeout", Status: Honoured, Note: "before tcp.idleTimeout; " + own, Where: way},
			{Path: "http.h2UpgradePolicy", Status: Honoured, Note: "DEFAULT is HTTP/1.1, but over TLS what the server offers", Where: "mesh/connections.go"},
			{Path: "http.useClientProtocol", Status: Honoured, Note: "of a gateway; a client's own requests are HTTP/1.1, gRPC HTTP/2", Where: "mesh/connections.go"},
			{Path: "http.maxConcurrentStreams", Status: Honoured, Note: "or the server's limit, if that is lower; " + own, Where: way},
		},
		all("http.http2KeepAlive", Honoured, "sent when nothing came for the interval; "+own, way, "", "interval", "timeout"),
	)
}

func outlierDetection() []Field {
	return list(
		[]Field{
			{Path: "", Status: Honoured, Note: "{} is 5 consecutive 5xx", Where: "breaker/outlier.go"},
			{Path: "consecutiveErrors", Status: Warned, Note: "an old form: write consecutive5xxErrors. Read from YAML it is taken as that, as Istio 1.0 did"},
			{Path: "consecutive5xxErrors", Status: Honoured, Note: "5 where absent, 0 is off", Where: "breaker/thresholds.go"},
			{Path: "maxEjectionPercent", Status: Honoured, Note: "10 where absent; strict, as in Envoy today", Where: "breaker/thresholds.go"},
			{Path: "minHealthPercent", Status: Honoured, Note: "0: never panic", Where: "mesh/members.go"},
		},
		all("", Honoured, "", "breaker/thresholds.go", "splitExternalLocalOriginErrors", "consecutiveLocalOriginFailures",
			"consecutiveGatewayErrors", "interval", "baseEjectionTime", "outlierDetectionHttpErrorCodes[]"),
	)
}

func clientTLS() []Field {
	return []Field{
		{Path: "", Status: Honoured, Note: "absent: plaintext, for there is no auto-mTLS", Where: "mesh/connections.go"},
		{Path: "mode", Status: Honoured, Where: "identity/client.go"},
		{Path: "clientCertificate", Status: Honoured, Note: "read again for each handshake", Where: "identity/client.go"},
		{Path: "privateKey", Status: Honoured, Where: "identity/client.go"},
		{Path: "caCertificates", Status: Honoured, Note: "the system's roots where absent", Where: "identity/client.go"},
		{Path: "subjectAltNames[]", Status: Honoured, Where: "identity/client.go"},
		{Path: "sni", Status: Honoured, Where: "identity/client.go"},
		{Path: "insecureSkipVerify", Status: Honoured, Where: "identity/client.go"},
		{Path: "credentialName", Status: Refused, Note: "a process cannot read secrets of Kubernetes; modes that do not use it are fine",
			But: ofOwnCertificates("a process cannot read secrets of Kubernetes: mount it and name the files; until then every request is answered 503")},
		{Path: "caCrl", Status: Refused, Note: "revocation lists are not supported; modes that do not use it are fine",
			But: ofOwnCertificates("revocation lists are not supported: every request is answered 503")},
	}
}

// ofOwnCertificates is the reason in the modes SIMPLE and MUTUAL, which use the field.
func ofOwnCertificates(why string) func(protoreflect.Message, protoreflect.Value) string {
	return func(in protoreflect.Message, _ protoreflect.Value) string {
		if mode := in.Get(in.Descriptor().Fields().ByName("mode")).Enum(); mode == 1 || mode == 2 {
			return why
		}
		return ""
	}
}
