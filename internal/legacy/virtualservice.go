package legacy

import (
	"strings"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule/tree"
)

func (r rewriter) virtualService(spec *tree.Node) {
	r.gateways(spec.Get("gateways"), "spec.gateways")
	each(spec.Get("http"), "spec.http", func(route *tree.Node, path string) {
		each(route.Get("match"), finding.Join(path, "match"), func(m *tree.Node, path string) {
			r.gateways(m.Get("gateways"), finding.Join(path, "gateways"))
		})
		r.fault(route.Get("fault"), finding.Join(path, "fault"))
		r.cors(route.Get("corsPolicy", "cors_policy"), finding.Join(path, "corsPolicy"))
		r.mirrorPercent(route, path)
		r.headers(route, path)
		if k := route.Find("websocketUpgrade", "websocket_upgrade"); k != nil {
			r.warn(k, path, "has no effect since Istio 1.0, upgrades are always on: delete it")
			route.Remove(k.Key)
		}
		each(route.Get("route"), finding.Join(path, "route"), func(d *tree.Node, path string) {
			r.headers(d, path)
			r.destination(d.Get("destination"), finding.Join(path, "destination"))
		})
		r.destination(route.Get("mirror"), finding.Join(path, "mirror"))
	})
}

// gateways turns "gw.ns.svc.cluster.local" into "ns/gw", as Istio does.
func (r rewriter) gateways(list *tree.Node, path string) {
	if list == nil || list.Kind != tree.List {
		return
	}
	for i := range list.Kids {
		k := &list.Kids[i]
		if modern, old := modernGateway(&k.Value); old {
			r.faults.KeyWarnf(k, finding.Index(path, i), finding.CodeLegacy,
				"%s is an old way to name a gateway: write %s", k.Value.Text, modern)
			k.Value.Text = modern
		}
	}
}

// modernGateway is today's way to name a gateway, where the node names one in the old way.
func modernGateway(n *tree.Node) (name string, old bool) {
	name, rest, dotted := strings.Cut(n.Text, ".")
	namespace, _, _ := strings.Cut(rest, ".")
	if n.Kind != tree.String || !dotted || name == "" || namespace == "" || strings.Contains(n.Text, "/") {
		return "", false
	}
	return namespace + "/" + name, true
}

// fault warns about whole percentages. That of an abort is no field any more, that of a delay still is.
func (r rewriter) fault(fault *tree.Node, path string) {
	delay, abort := fault.Get("delay"), fault.Get("abort")
	if k := delay.Find("percent"); k != nil {
		r.percent(k, delay.Get("percentage"), finding.Join(path, "delay"))
	}
	k := abort.Find("percent")
	if k == nil {
		return
	}
	r.percent(k, abort.Get("percentage"), finding.Join(path, "abort"))
	if abort.Get("percentage") != nil {
		abort.Remove("percent")
		return
	}
	value := *k
	value.Key = "value"
	k.Key = "percentage"
	k.Value = tree.Node{Line: k.Line, Column: k.Column, Kind: tree.Map, Kids: []tree.Kid{value}}
}

func (r rewriter) percent(k *tree.Kid, modern *tree.Node, path string) {
	if modern != nil {
		r.warn(k, path, "not used beside percentage: delete it")
		return
	}
	r.warn(k, path, "an old form: write percentage: {value: %s}", scalar(&k.Value))
}

// cors turns allowOrigin, a list of strings, into allowOrigins.
func (r rewriter) cors(cors *tree.Node, path string) {
	k := cors.Find("allowOrigin", "allow_origin")
	if k == nil {
		return
	}
	if cors.Find("allowOrigins", "allow_origins") != nil {
		r.warn(k, path, "not used beside allowOrigins: delete it")
		return
	}
	if k.Value.Kind != tree.List {
		return
	}
	old := *k
	k.Key = "allowOrigins"
	for i := range k.Value.Kids {
		item := &k.Value.Kids[i]
		exact := tree.Kid{Key: "exact", Line: item.Line, Column: item.Column, Value: item.Value}
		item.Value = tree.Node{Line: item.Line, Column: item.Column, Kind: tree.Map, Kids: []tree.Kid{exact}}
	}
	r.warn(&old, path, "an old form: write allowOrigins: %s", flow(&k.Value))
}

func (r rewriter) mirrorPercent(route *tree.Node, path string) {
	k := route.Find("mirrorPercent", "mirror_percent")
	switch {
	case k == nil:
	case route.Find("mirrorPercentage", "mirror_percentage") != nil:
		r.warn(k, path, "not used beside mirrorPercentage: delete it")
	default:
		r.warn(k, path, "an old form: write mirrorPercentage: {value: %s}", scalar(&k.Value))
	}
}

// destination refuses a port by name, which never worked.
func (r rewriter) destination(d *tree.Node, path string) {
	port := d.Get("port")
	if k := port.Find("name"); k != nil {
		r.faults.KeyErrorf(k, finding.Join(path, "port.name"), finding.CodeUnknownField,
			"a port by name is not supported, in Istio neither: write port: {number: 80}, with the service's port")
		port.Remove("name")
	}
}
