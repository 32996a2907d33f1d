package compare

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-inmesh/inmesh/conformance/istio"
	"github.com/go-inmesh/inmesh/conformance/ours"
	"github.com/go-inmesh/inmesh/conformance/world"
)

// ClusterDifference is a destination for which the sides differ.
type ClusterDifference struct {
	Case        *world.Case // with one client
	Name, Field string
	Istio, Ours string
}

// String shows the rules and both values.
func (d *ClusterDifference) String() string {
	return fmt.Sprintf("%s: %s of %s differs\n istio  %s\n inmesh %s\nclient %s\n%s", d.Case.Name, d.Field, d.Name, d.Istio, d.Ours,
		jsonOf(d.Case.Calls[0].Client), d.Case.YAML())
}

// Clusters compares what DestinationRules come to, for each destination that Istio has. n counts them.
func Clusters(c *world.Case, intended map[string]int) (out []*ClusterDifference, n int, err error) {
	var failed error
	err = istio.With(c, func(proxy func(world.Client) *istio.Proxy) {
		for _, call := range c.Calls {
			p := proxy(call.Client)
			names := p.Outbound()
			with := *c
			with.Objects = append(append([]world.Object(nil), c.Objects...), everything(names))
			rules, err := ours.Rules(&with)
			if err != nil {
				failed = err
				return
			}
			m, err := ours.New(rules, &with, call.Client)
			if err != nil {
				failed = err
				return
			}
			mine, err := m.Clusters(rules)
			if err != nil {
				failed = err
				return
			}
			for _, name := range names {
				want, err := p.Cluster(name)
				if err != nil {
					failed = err
					return
				}
				got, ok := mine.Cluster(name)
				n++
				if ok && want.Balancer == "PASSTHROUGH" && got.Balancer != want.Balancer && passthroughBeside(c, name) {
					want.Balancer, want.Ring, want.Members = got.Balancer, got.Ring, got.Members
					intended[Destinations[0].Name]++
				}
				if field, w, g := clusterDiff(want, got, ok); field != "" {
					one := *c
					one.Calls = []world.Call{{Client: call.Client}}
					out = append(out, &ClusterDifference{Case: &one, Name: name, Field: field, Istio: w, Ours: g})
				}
			}
			m.Close()
		}
	})
	if err == nil {
		err = failed
	}
	return out, n, err
}

// Destinations lists the intended differences in what DestinationRules come to.
var Destinations = []Intended{
	{"subset with loadBalancer PASSTHROUGH and settings of its own for the port", "PASSTHROUGH", "as the port's settings say", "settings of a port replace all others, as Istio's reference says; its subsets look at the balancer before"},
}

// passthroughBeside tells whether some rule has a subset of the cluster's name whose own balancer is PASSTHROUGH, and
// settings for ports.
func passthroughBeside(c *world.Case, cluster string) bool {
	name := strings.Split(cluster, "|")[2]
	for _, o := range c.Objects {
		spec, _ := o["spec"].(map[string]any)
		subsets, _ := spec["subsets"].([]any)
		for _, s := range subsets {
			s, _ := s.(map[string]any)
			p, _ := s["trafficPolicy"].(map[string]any)
			lb, _ := p["loadBalancer"].(map[string]any)
			if s["name"] == name && lb["simple"] == "PASSTHROUGH" && p["portLevelSettings"] != nil {
				return true
			}
		}
	}
	return false
}

// everything is a rule that leads to all of the clusters, so that there are such.
func everything(clusters []string) world.Object {
	var http []any
	for i, c := range clusters {
		parts := strings.Split(c, "|")
		port, _ := strconv.Atoi(parts[1])
		d := map[string]any{"host": parts[3], "port": map[string]any{"number": port}}
		if parts[2] != "" {
			d["subset"] = parts[2]
		}
		http = append(http, map[string]any{"match": []any{map[string]any{"uri": map[string]any{"exact": fmt.Sprint("/", i)}}},
			"route": []any{map[string]any{"destination": d}}})
	}
	return world.Object{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
		"metadata": map[string]any{"name": "everything", "namespace": "everything"},
		"spec":     map[string]any{"hosts": []any{"everything.test"}, "http": http}}
}

func clusterDiff(want, got *world.Cluster, ok bool) (field, w, g string) {
	if !ok {
		return "existence", "there", "not there"
	}
	if got.TLS == "" && want.TLS == "ISTIO_MUTUAL" {
		want.TLS, want.SNI = "", "" // mTLS that no rule asks for: the endpoints announce it
	}
	a, b := reflect.ValueOf(*want), reflect.ValueOf(*got)
	for i := range a.NumField() {
		if w, g := jsonOf(a.Field(i).Interface()), jsonOf(b.Field(i).Interface()); w != g {
			return a.Type().Field(i).Name, w, g
		}
	}
	return "", "", ""
}

// ShrinkClusters takes away what the difference does not need.
func ShrinkClusters(d *ClusterDifference, budget int) *ClusterDifference {
	try := func(objects []world.Object) bool {
		if budget--; budget < 0 {
			return false
		}
		c := *d.Case
		c.Objects = objects
		found, _, err := Clusters(&c, map[string]int{})
		if err != nil {
			return false
		}
		for _, f := range found {
			if f.Field == d.Field && f.Name == d.Name {
				d = f
				return true
			}
		}
		return false
	}
	for i := 0; i < len(d.Case.Objects); {
		without := append(append([]world.Object(nil), d.Case.Objects[:i]...), d.Case.Objects[i+1:]...)
		if !try(without) {
			i++
		}
	}
	for i := 0; i < len(d.Case.Objects); i++ {
		for again := true; again && budget > 0; {
			again = false
			for _, path := range paths(d.Case.Objects[i]["spec"], "", 0) {
				o := world.Clone(d.Case.Objects[i])
				cut(o["spec"], path, func(v any) { o["spec"] = v })
				if v := istio.Validate(o); v.Known && !v.Valid() {
					continue
				}
				objects := append([]world.Object(nil), d.Case.Objects...)
				objects[i] = o
				if try(objects) {
					again = true
					break
				}
			}
		}
	}
	return d
}
