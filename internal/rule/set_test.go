package rule

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/wrapperspb"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/kube"
)

func object(t *testing.T, namespace, name string, spec any) *Object {
	t.Helper()
	o, err := New(namespace, name, spec)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestNewSet(t *testing.T) {
	a := object(t, "", "a", &networking.VirtualService{})
	b := object(t, "", "b", &networking.Gateway{})
	other := object(t, "", "a", &networking.DestinationRule{})
	far := object(t, "far", "a", &networking.VirtualService{})
	again := object(t, "", "a", &networking.VirtualService{Hosts: []string{"x"}})
	a.Position = finding.Position{File: "f", Line: 3, Column: 1}
	again.Position = finding.Position{File: "g", Line: 7, Column: 1}

	set, findings := NewSet([]*Object{a, b, other, far, again})
	if d := cmp.Diff([]string{
		"warning 3:1: metadata.name: not used: VirtualService default/a stands again in g:7:1 and replaces this one [MESH0011]",
	}, brief(findings)); d != "" {
		t.Errorf("findings: -want +got\n%s", d)
	}
	var got []*Object
	got = append(got, set.Objects()...)
	for i, want := range []*Object{again, b, other, far} {
		if i >= len(got) || got[i] != want {
			t.Errorf("object %d is not %s", i, want)
		}
	}
	if set.Len() != 4 {
		t.Errorf("%d objects", set.Len())
	}
	services := All[*networking.VirtualService](set)
	if len(services) != 2 || services[0].Spec.Hosts[0] != "x" || services[1].Object != far {
		t.Errorf("VirtualServices: %v", services)
	}
	if Older(got[0], got[1]) >= 0 || Older(got[3], got[2]) <= 0 {
		t.Error("order of the set is not order of age")
	}

	// An object of one set keeps its place there when it joins another.
	second, findings := NewSet([]*Object{far, b})
	if len(findings) != 0 || Older(got[1], got[3]) >= 0 || Older(second.objects[0], second.objects[1]) >= 0 {
		t.Error("a second set changed the first")
	}
	empty, findings := NewSet(nil)
	if empty.Len() != 0 || len(findings) != 0 {
		t.Error("an empty set is not empty")
	}
}

func TestOlder(t *testing.T) {
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	first := &Object{Name: "a", CreationTimestamp: day.AddDate(0, 0, 1)}
	second := &Object{Name: "b", CreationTimestamp: day}
	third := &Object{Name: "c"}
	fourth := &Object{Name: "d", CreationTimestamp: day.AddDate(0, 0, -1)}
	if _, findings := NewSet([]*Object{first, second, third, fourth}); len(findings) != 0 {
		t.Fatal(findings)
	}
	for _, test := range []struct {
		name string
		a, b *Object
		want int
	}{
		{"by time", first, second, 1}, {"one without time", second, third, -1}, {"a later one without time", first, third, -1},
		{"an earlier one without time", third, fourth, 1}, {"first and last", first, fourth, 1}, {"itself", first, first, 0},
	} {
		if got := Older(test.a, test.b); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

func TestNew(t *testing.T) {
	tests := []struct {
		name string
		spec any
		want string // kind and apiVersion, or the error
	}{
		{"istio", &networking.Sidecar{}, "Sidecar networking.istio.io/v1"},
		{"kubernetes", &kube.Ingress{}, "Ingress networking.k8s.io/v1"},
		{"nil", nil, "rule: a: no spec"},
		{"nil pointer", (*networking.Gateway)(nil), "rule: a: no spec"},
		{"part of a spec", &networking.HTTPRoute{}, "rule: a: a spec of type *v1alpha3.HTTPRoute, expected a pointer to one of Istio's types"},
		{"other message", wrapperspb.Bool(true), "rule: a: a spec of type *wrapperspb.BoolValue, expected a pointer to one of Istio's types"},
		{"no pointer", 1, "rule: a: a spec of type int, expected a pointer to one of Istio's types"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o, err := New("", "a", test.spec)
			var got string
			if err != nil {
				got = err.Error()
			} else {
				got = o.Kind + " " + o.APIVersion
				if o.Ref() != "default/a" || o.At("spec.hosts") != (finding.Position{}) {
					t.Errorf("%s at %v", o, o.At("spec.hosts"))
				}
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	if _, err := New("", "", &networking.Gateway{}); err == nil {
		t.Error("an object without a name")
	}
}

func TestHashOfGoObjects(t *testing.T) {
	gateway := func(label string) *Object {
		return object(t, "", "a", &networking.Gateway{Selector: map[string]string{"a": label, "b": "c", "d": "e"}})
	}
	labelled := gateway("x")
	labelled.Labels = map[string]string{"a": "b"}
	if first, second := gateway("x").Hash(), gateway("x").Hash(); first != second {
		t.Error("two hashes of one spec")
	}
	if gateway("x").Hash() == gateway("y").Hash() || gateway("x").Hash() == labelled.Hash() {
		t.Error("one hash of two objects")
	}
	if a, b := object(t, "", "a", &kube.Service{Type: "x"}), object(t, "", "a", &kube.Service{}); a.Hash() == b.Hash() {
		t.Error("one hash of two services")
	}
}
