// Package random makes up cases: valid objects over a small alphabet, so that near misses are common, and requests
// against them. A seed gives the same case always.
package random

import (
	"fmt"
	"math/rand/v2"

	"github.com/go-inmesh/inmesh/conformance/world"
)

type m = map[string]any

// gen draws.
type gen struct {
	*rand.Rand
	made int // objects
}

// newGen is the source of the nth case of a seed.
func newGen(seed uint64, n int) *gen { return &gen{Rand: rand.New(rand.NewPCG(seed, uint64(n)))} }

func (g *gen) chance(p float64) bool { return g.Float64() < p }

// one draws from a list.
func one[T any](g *gen, xs ...T) T { return xs[g.IntN(len(xs))] }

// some draws a few of a list, at least one, in their order.
func some[T any](g *gen, xs ...T) []any {
	var out []any
	for _, x := range xs {
		if g.chance(0.4) {
			out = append(out, x)
		}
	}
	if len(out) == 0 {
		out = append(out, one(g, xs...))
	}
	return out
}

// object makes a document. Each one is younger than those before it, or older: the time is drawn, and never twice the same.
func (g *gen) object(apiVersion, kind, namespace, name string, spec m) world.Object {
	g.made++
	at := g.IntN(1000)*64 + g.made
	return world.Object{
		"apiVersion": apiVersion, "kind": kind, "spec": spec,
		"metadata": m{"name": name, "namespace": namespace, "creationTimestamp": fmt.Sprintf("2024-01-01T%02d:%02d:%02dZ", at/3600%24, at/60%60, at%60)},
	}
}

const (
	networking = "networking.istio.io/v1"
	security   = "security.istio.io/v1"
)

var namespaces = []string{"default", "default", "default", "other", "istio-system"}

// path is one of a few that are each other's prefixes.
func (g *gen) path() string {
	return one(g, "/", "/a", "/a/", "/a/b", "/ab", "/A", "/a/b/c", "/b", "/b/a", "/c1", "/c12")
}

func (g *gen) value() string { return one(g, "x", "xy", "y", "X", "1", "12", "yx") }

// text is a StringMatch.
func (g *gen) text(exact, regex func() string) m {
	switch g.IntN(3) {
	case 0:
		return m{"exact": exact()}
	case 1:
		return m{"prefix": exact()}
	}
	return m{"regex": regex()}
}

func (g *gen) pathRegex() string {
	return one(g, "/a", "/a.*", "/[ab]", "/a/?", "/c[0-9]", "/(a|b)/.*", ".*b", "(?i)/a", ".*", "/a/.+")
}

func (g *gen) valueRegex() string {
	return one(g, "x", "x.*", ".*", "[0-9]+", "x|y", "^x$", ".+", "(?i)x")
}

func (g *gen) valueMatch() m {
	if g.chance(0.12) {
		return m{}
	}
	return g.text(g.value, g.valueRegex)
}
