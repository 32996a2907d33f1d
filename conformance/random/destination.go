package random

import (
	"fmt"

	"github.com/go-inmesh/inmesh/conformance/world"
)

func (g *gen) destinationRule(i int) world.Object {
	spec := m{"host": one(g, "reviews", "reviews", "reviews", fqdn("reviews", "default"), "ratings", fqdn("details", "other"), fqdn("reviews", "other"),
		"multi", "api.example.com", "*.default.svc.cluster.local", "*.example.com", "*.local", "*.wild.example.org")}
	if g.chance(0.8) {
		var subsets []any
		for _, v := range []string{"v1", "v2", "v3"} {
			if g.chance(0.7) {
				s := m{"name": v, "labels": m{"version": v}}
				if g.chance(0.1) {
					s["labels"] = m{}
				}
				if g.chance(0.3) {
					s["trafficPolicy"] = g.policy(true)
				}
				subsets = append(subsets, s)
			}
		}
		if subsets != nil {
			spec["subsets"] = subsets
		}
	}
	if g.chance(0.6) {
		spec["trafficPolicy"] = g.policy(true)
	}
	g.exportTo(spec)
	if g.chance(0.12) {
		spec["workloadSelector"] = m{"matchLabels": m{"app": one(g, "web", "job")}}
		delete(spec, "exportTo")
	}
	return g.object(networking, "DestinationRule", one(g, namespaces...), fmt.Sprint("dr", i), spec)
}

// policy is a TrafficPolicy that is not empty.
func (g *gen) policy(ports bool) m {
	out := m{}
	if g.chance(0.5) {
		out["connectionPool"] = g.pool()
	}
	if g.chance(0.4) {
		out["outlierDetection"] = g.outlier()
	}
	if g.chance(0.4) {
		out["loadBalancer"] = g.balancer()
	}
	if g.chance(0.2) {
		out["tls"] = g.tls()
	}
	if ports && g.chance(0.25) {
		p := g.policy(false)
		p["port"] = m{"number": one(g, 9080, 80, 8080)}
		out["portLevelSettings"] = []any{p}
	}
	if len(out) == 0 {
		out["loadBalancer"] = m{"simple": "RANDOM"}
	}
	return out
}

// field is one that there may be.
type field struct {
	name  string
	value func() any
}

func (g *gen) pool() m {
	tcp, http := m{}, m{}
	for _, f := range []field{
		{"maxConnections", func() any { return one(g, 0, 1, 100) }}, {"connectTimeout", func() any { return one(g, "30ms", "5s") }},
		{"idleTimeout", func() any { return one(g, "30s", "2h") }}, {"maxConnectionDuration", func() any { return "10m" }},
		{"tcpKeepalive", func() any {
			return one(g, m{"time": "7200s", "interval": "75s"}, m{"probes": 3}, m{})
		}},
	} {
		if g.chance(0.3) {
			tcp[f.name] = f.value()
		}
	}
	for _, f := range []field{
		{"http1MaxPendingRequests", func() any { return one(g, 0, 1, 1024) }}, {"http2MaxRequests", func() any { return one(g, 0, 1, 1024) }},
		{"maxRequestsPerConnection", func() any { return one(g, 0, 1, 10) }}, {"maxRetries", func() any { return one(g, 0, 3) }},
		{"idleTimeout", func() any { return one(g, "10s", "3h") }}, {"maxConcurrentStreams", func() any { return one(g, 0, 100) }},
		{"h2UpgradePolicy", func() any { return one(g, "DEFAULT", "UPGRADE", "DO_NOT_UPGRADE") }},
	} {
		if g.chance(0.3) {
			http[f.name] = f.value()
		}
	}
	out := m{}
	if len(tcp) > 0 {
		out["tcp"] = tcp
	}
	if len(http) > 0 {
		out["http"] = http
	}
	if len(out) == 0 {
		out["tcp"] = m{"maxConnections": 7}
	}
	return out
}

func (g *gen) outlier() m {
	out := m{}
	for _, f := range []field{
		{"consecutive5xxErrors", func() any { return one(g, 0, 1, 7) }}, {"consecutiveGatewayErrors", func() any { return one(g, 0, 1, 7) }},
		{"interval", func() any { return one(g, "1s", "5m") }}, {"baseEjectionTime", func() any { return one(g, "1s", "15m") }},
		{"maxEjectionPercent", func() any { return one(g, 0, 50, 100) }}, {"minHealthPercent", func() any { return one(g, 0, 50) }},
	} {
		if g.chance(0.4) {
			out[f.name] = f.value()
		}
	}
	if g.chance(0.2) {
		out["splitExternalLocalOriginErrors"] = true
		out["consecutiveLocalOriginFailures"] = one(g, 1, 9)
	}
	return out
}

func (g *gen) balancer() m {
	switch g.IntN(6) {
	case 0:
		return m{"consistentHash": one(g, m{"httpHeaderName": "h1"}, m{"useSourceIp": true}, m{"httpQueryParameterName": "q1"},
			m{"httpCookie": m{"name": "c", "ttl": "10s", "path": "/"}}, m{"httpHeaderName": "h2", "ringHash": m{"minimumRingSize": 2048}},
			m{"httpHeaderName": "h2", "maglev": m{"tableSize": 101}}, m{"httpHeaderName": "h1", "minimumRingSize": 3000})}
	case 1:
		return m{"localityLbSetting": one(g, m{"enabled": true}, m{"enabled": false}, m{"failover": []any{m{"from": "r1", "to": "r2"}}},
			m{"failoverPriority": []any{"topology.kubernetes.io/region"}}, m{"distribute": []any{m{"from": "r1/*", "to": m{"r1/*": 80, "r2/*": 20}}}})}
	}
	return m{"simple": one(g, "ROUND_ROBIN", "RANDOM", "LEAST_REQUEST", "LEAST_CONN", "PASSTHROUGH", "UNSPECIFIED")}
}

func (g *gen) tls() m {
	switch g.IntN(4) {
	case 0:
		return m{"mode": "DISABLE"}
	case 1:
		return m{"mode": "ISTIO_MUTUAL"}
	case 2:
		return m{"mode": "SIMPLE", "sni": "sni.example.com", "subjectAltNames": []any{"san.example.com"}}
	}
	return m{"mode": "SIMPLE"}
}
