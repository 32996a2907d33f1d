package random

import "fmt"

// match is one entry of an HTTPRoute's match.
func (g *gen) match(gateway string) m {
	out := m{}
	if g.chance(0.6) {
		out["uri"] = g.text(g.path, g.pathRegex)
		if g.chance(0.2) {
			out["ignoreUriCase"] = true
		}
	}
	if g.chance(0.3) {
		hs := m{}
		for range 1 + g.IntN(2) {
			hs[one(g, "h1", "h2")] = g.presence()
		}
		if g.chance(0.05) {
			hs[one(g, ":authority", ":method", ":path", "host")] = g.text(g.value, g.valueRegex)
		}
		out["headers"] = hs
	}
	if g.chance(0.2) {
		out["withoutHeaders"] = m{one(g, "h1", "h3"): g.absence()}
	}
	if g.chance(0.2) {
		out["queryParams"] = m{one(g, "q1", "q2"): g.valueMatch()}
	}
	if g.chance(0.2) {
		out["method"] = g.text(func() string { return one(g, "GET", "POST", "P", "PUT") }, func() string { return one(g, "GET|PUT", "P.*") })
	}
	if g.chance(0.06) {
		out["authority"] = g.text(func() string { return one(g, "reviews", "reviews:9080", "api.example.com", "api") }, func() string { return one(g, "reviews.*", ".*:9080", "api.*") })
	}
	if g.chance(0.04) {
		out["scheme"] = m{"exact": one(g, "http", "https")}
	}
	if g.chance(0.1) {
		out["port"] = one(g, 9080, 80, 8080)
	}
	if g.chance(0.1) {
		out["sourceLabels"] = m{"app": one(g, "web", "job")}
	}
	if g.chance(0.06) {
		out["sourceNamespace"] = one(g, "default", "other")
	}
	if gateway != "" && g.chance(0.15) {
		out["gateways"] = []any{one(g, gateway, "mesh")}
	}
	if g.chance(0.15) {
		out["name"] = one(g, "m1", "m2")
	}
	if len(out) == 0 {
		out["uri"] = m{"prefix": g.path()}
	}
	return out
}

func (g *gen) presence() m {
	if g.chance(0.15) {
		return m{}
	}
	return g.text(g.value, g.valueRegex)
}

func (g *gen) absence() m {
	switch g.IntN(5) {
	case 0:
		return m{}
	case 1:
		return m{"regex": "*"}
	}
	return g.text(g.value, g.valueRegex)
}

// destination is a host with perhaps a subset and a port.
func (g *gen) destination() m {
	d := m{"host": one(g, hosts...)}
	if g.chance(0.5) {
		d["host"] = one(g, "reviews", fqdn("reviews", "default"))
	}
	if g.chance(0.06) {
		d["host"] = one(g, "alias", "alias.default.svc.cluster.local", "reviews.other", "*.wild.example.org", "ext.example.net")
	}
	if g.chance(0.5) {
		d["subset"] = one(g, "v1", "v2", "v3", "v9")
	}
	if g.chance(0.4) {
		d["port"] = m{"number": one(g, 9080, 80, 8080, 7070)}
	}
	return d
}

// headers are operations of one level. Values may have formatters that do not depend on the order of levels.
func (g *gen) headers() m {
	value := func() string { return one(g, "x", "y", "z", "50%%", "%REQ(hx)%", "a %REQ(hx)% b", "") }
	ops := func() m {
		o := m{}
		name := func() string { return one(g, "h1", "h2", "H3", "n1", "x-n2") }
		if g.chance(0.6) {
			o["set"] = m{name(): value()}
		}
		if g.chance(0.5) {
			o["add"] = m{name(): value(), name(): value()}
		}
		if g.chance(0.3) {
			o["remove"] = []any{name()}
		}
		return o
	}
	out := m{}
	if g.chance(0.7) {
		out["request"] = ops()
		if g.chance(0.15) {
			out["request"].(m)[one(g, "set", "add")] = m{one(g, "Host", ":authority", "host"): one(g, "hdr.example.com", "h2.example.com:99")}
		}
	}
	if g.chance(0.5) {
		out["response"] = ops()
	}
	return out
}

func (g *gen) percentage() m {
	return m{"value": one(g, 100.0, 50.0, 0.0, 12.5, 0.0001, 33.3333, 0.29, 1.0)}
}

func (g *gen) fault() m {
	out := m{}
	if g.chance(0.5) {
		d := m{"fixedDelay": one(g, "1ms", "3ms")}
		switch g.IntN(4) {
		case 0:
		case 1:
			d["percent"] = one(g, 10, 0, 100)
		default:
			d["percentage"] = g.percentage()
		}
		out["delay"] = d
	}
	if g.chance(0.6) || len(out) == 0 {
		a := m{}
		if g.chance(0.8) {
			a["percentage"] = g.percentage()
		}
		if g.chance(0.75) {
			a["httpStatus"] = one(g, 400, 503, 555, 200)
		} else {
			a["grpcStatus"] = one(g, "UNAVAILABLE", "NOT_FOUND", "DEADLINE_EXCEEDED")
		}
		out["abort"] = a
	}
	return out
}

func (g *gen) retries() m {
	switch g.IntN(6) {
	case 0:
		return m{}
	case 1:
		return m{"attempts": 0}
	}
	out := m{"attempts": 1 + g.IntN(4)}
	if g.chance(0.5) {
		out["perTryTimeout"] = one(g, "2s", "250ms", "1m30s")
	}
	if g.chance(0.6) {
		out["retryOn"] = one(g, "5xx", "gateway-error,connect-failure", "503", "reset,503,429", "retriable-status-codes,503", "connect-failure,refused-stream",
			"retriable-4xx,retriable-headers,cancelled,internal")
	}
	if g.chance(0.2) {
		out["retryIgnorePreviousHosts"] = g.chance(0.5)
	}
	if g.chance(0.2) {
		out["retryRemoteLocalities"] = g.chance(0.5)
	}
	if g.chance(0.2) {
		out["backoff"] = one(g, "10ms", "1s")
	}
	return out
}

func (g *gen) cors() m {
	out := m{"allowOrigins": []any{g.text(func() string { return one(g, "http://a.com", "http://a", "*") }, func() string { return one(g, "http://.*", "http://[ab]\\.com") })}}
	if g.chance(0.1) {
		out = m{"allowOrigin": []any{one(g, "http://a.com", "*")}}
	}
	if g.chance(0.6) {
		out["allowMethods"] = some(g, "GET", "POST", "PUT")
	}
	if g.chance(0.4) {
		out["allowHeaders"] = some(g, "h1", "x-n2")
	}
	if g.chance(0.3) {
		out["exposeHeaders"] = some(g, "h2", "n1")
	}
	if g.chance(0.4) {
		out["maxAge"] = one(g, "24h", "1s", "90m")
	}
	if g.chance(0.3) {
		out["allowCredentials"] = g.chance(0.7)
	}
	if g.chance(0.2) {
		out["unmatchedPreflights"] = one(g, "FORWARD", "IGNORE")
	}
	return out
}

func (g *gen) mirrors(out m) {
	if g.chance(0.6) {
		out["mirror"] = g.destination()
		switch g.IntN(4) {
		case 0:
			out["mirrorPercentage"] = g.percentage()
		case 1:
			out["mirrorPercent"] = one(g, 0, 10, 100)
		}
		return
	}
	var list []any
	for range 1 + g.IntN(2) {
		x := m{"destination": g.destination()}
		if g.chance(0.6) {
			x["percentage"] = g.percentage()
		}
		list = append(list, x)
	}
	out["mirrors"] = list
}

func (g *gen) redirect() m {
	out := m{}
	switch g.IntN(4) {
	case 0, 1:
		out["uri"] = one(g, "/new", "/n?z=1", "/")
	case 2:
		out["authority"] = one(g, "o.example.com", "o.example.com:81")
	default:
		out["scheme"] = "https"
	}
	if g.chance(0.6) {
		out["redirectCode"] = one(g, 301, 302, 303, 307, 308)
	}
	if g.chance(0.3) {
		out["scheme"] = one(g, "https", "http")
	}
	if g.chance(0.3) {
		if g.chance(0.5) {
			out["port"] = one(g, 80, 443, 8443)
		} else {
			out["derivePort"] = one(g, "FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT")
		}
	}
	return out
}

// rule is an HTTPRoute. The last one mostly matches everything.
func (g *gen) rule(i int, last bool, gateway string) m {
	out := m{}
	if g.chance(0.8) {
		out["name"] = fmt.Sprint("r", i)
	}
	prefix := ""
	if !last {
		var ms []any
		for range 1 + g.IntN(2) {
			x := g.match(gateway)
			if u, ok := x["uri"].(m); ok && u["prefix"] != nil {
				prefix = u["prefix"].(string)
			}
			ms = append(ms, x)
		}
		out["match"] = ms
	}
	if g.chance(0.25) {
		out["headers"] = g.headers()
	}
	switch {
	case g.chance(0.12):
		out["redirect"] = g.redirect()
		if prefix != "" && g.chance(0.3) {
			r := out["redirect"].(m)
			delete(r, "uri")
			r["prefixRewrite"] = one(g, "/p", "/", "/p/")
		}
		return out
	case g.chance(0.07):
		out["directResponse"] = m{"status": one(g, 418, 503, 200), "body": m{"string": one(g, "no", "{}")}}
		if g.chance(0.2) {
			out["directResponse"] = m{"status": 204}
		}
		return out
	}
	var dests []any
	n := 1
	if g.chance(0.3) {
		n = 2 + g.IntN(2)
	}
	for range n {
		d := m{"destination": g.destination()}
		if n > 1 {
			d["weight"] = one(g, 0, 1, 10, 50, 90)
		} else if g.chance(0.1) {
			d["weight"] = one(g, 0, 5)
		}
		if g.chance(0.2) {
			d["headers"] = g.headers()
		}
		dests = append(dests, d)
	}
	out["route"] = dests
	if g.chance(0.25) {
		switch g.IntN(3) {
		case 0:
			out["rewrite"] = m{"uri": one(g, "/", "/w", "/w/")}
		case 1:
			out["rewrite"] = m{"authority": "w.example.com"}
		case 2:
			out["rewrite"] = m{"uriRegexRewrite": m{"match": one(g, "^/a/(.*)$", "a", "/([^/]*)/b"), "rewrite": one(g, `/\1`, "z", `\0`)}}
		}
	}
	if g.chance(0.2) {
		out["timeout"] = one(g, "2s", "500ms", "1h")
	}
	if g.chance(0.25) {
		out["retries"] = g.retries()
	}
	if g.chance(0.15) {
		out["fault"] = g.fault()
	}
	if g.chance(0.12) {
		g.mirrors(out)
	}
	if g.chance(0.12) {
		out["corsPolicy"] = g.cors()
	}
	return out
}
