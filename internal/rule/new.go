package rule

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"reflect"
	"slices"

	"google.golang.org/protobuf/proto"
)

// New makes an object in Go. The kind follows from the spec, a pointer to one of Istio's API types or to a type
// of package kube. An empty namespace means "default". The spec is not copied: leave it alone afterwards.
func New(namespace, name string, spec any) (*Object, error) {
	if name == "" {
		return nil, fmt.Errorf("rule: an object without a name")
	}
	v := reflect.ValueOf(spec)
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, fmt.Errorf("rule: %s: no spec", name)
	}
	for _, k := range kinds() {
		if reflect.TypeOf(k.newSpec()) == v.Type() {
			if namespace == "" {
				namespace = "default"
			}
			return &Object{APIVersion: k.apiVersion(), Kind: k.name, Namespace: namespace, Name: name, Spec: spec}, nil
		}
	}
	return nil, fmt.Errorf("rule: %s: a spec of type %T, expected a pointer to one of Istio's types", name, spec)
}

// Hash changes when anything changes that is said about the object; where the document stands does not count, nor do
// comments and the status. It is the same in every run. For an object built in Go it is computed at each call.
func (o *Object) Hash() uint64 {
	if o.hash != 0 {
		return o.hash
	}
	h := fnv.New64a()
	write := func(parts ...string) {
		for _, s := range parts {
			fmt.Fprintf(h, "%d:%s", len(s), s)
		}
	}
	write(o.APIVersion, o.Kind, o.Namespace, o.Name, o.CreationTimestamp.String())
	for _, m := range []map[string]string{o.Labels, o.Annotations} {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			write(k, m[k])
		}
		write("")
	}
	var b []byte
	if m, ok := o.Spec.(proto.Message); ok {
		b, _ = proto.MarshalOptions{Deterministic: true}.Marshal(m)
	} else {
		b, _ = json.Marshal(o.Spec)
	}
	_, _ = h.Write(b)
	return h.Sum64()
}
