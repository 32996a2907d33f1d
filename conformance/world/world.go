// Package world holds what both sides are asked about: objects, who sends requests, and the requests.
package world

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// Object is one document of YAML, decoded.
type Object = map[string]any

// Client is who sends requests: a workload, or the outside through a gateway.
type Client struct {
	Namespace string            `json:"namespace,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Locality  string            `json:"locality,omitempty"` // region/zone/subzone
	Gateway   string            `json:"gateway,omitempty"`  // "namespace/name" of a Gateway, for requests from outside
}

// Request is one request.
type Request struct {
	Method  string            `json:"method"`
	Host    string            `json:"host"` // the Host header, with a port where there is one
	Port    int               `json:"port"` // that the caller dials
	Path    string            `json:"path"` // with the query
	Headers map[string]string `json:"headers,omitempty"`
	TLS     bool              `json:"tls,omitempty"` // it comes to a gateway over TLS
}

// Case is a set of objects, and requests of some clients.
type Case struct {
	Name    string   `json:"name"`
	Objects []Object `json:"objects"`
	Calls   []Call   `json:"calls"`
	// RegistryOnly is the mesh's outbound traffic policy.
	RegistryOnly bool `json:"registryOnly,omitempty"`
}

// Call is a client with its requests.
type Call struct {
	Client   Client    `json:"client"`
	Requests []Request `json:"requests"`
}

// YAML is the objects as one file.
func (c *Case) YAML() string { return YAML(c.Objects...) }

// YAML writes objects as one file.
func YAML(objects ...Object) string {
	var b strings.Builder
	for i, o := range objects {
		if i > 0 {
			b.WriteString("---\n")
		}
		y, err := yaml.Marshal(o)
		if err != nil {
			panic(err)
		}
		b.Write(y)
	}
	return b.String()
}

// Split decodes the documents of a file; empty ones are left out. Of two with one name, the later one counts, as with
// kubectl apply; without a namespace they are in "default".
func Split(text string) ([]Object, error) {
	var out []Object
	at := map[string]int{}
	for _, doc := range Documents(text) {
		o, err := Decode(doc)
		if err != nil {
			return nil, err
		}
		if len(o) == 0 {
			continue
		}
		meta, _ := o["metadata"].(map[string]any)
		if meta == nil {
			continue
		}
		if kind := o["kind"]; meta["namespace"] == nil && kind != "Namespace" && kind != "GatewayClass" {
			meta["namespace"] = "default"
		}
		group, _, _ := strings.Cut(fmt.Sprint(o["apiVersion"]), "/")
		id := fmt.Sprint(group, "/", o["kind"], "/", meta["namespace"], "/", meta["name"])
		if i, ok := at[id]; ok {
			out[i] = o
			continue
		}
		at[id] = len(out)
		out = append(out, o)
	}
	return out, nil
}

// Documents cuts a file at its separators.
func Documents(text string) []string {
	var out []string
	var b strings.Builder
	flush := func() {
		if strings.TrimSpace(b.String()) != "" {
			out = append(out, b.String())
		}
		b.Reset()
	}
	for line := range strings.Lines(text) {
		if s := strings.TrimRight(line, " \t\r\n"); s == "---" || strings.HasPrefix(line, "--- #") {
			flush()
			continue
		}
		b.WriteString(line)
	}
	flush()
	return out
}

// Decode reads one document. Whole numbers stay whole.
func Decode(doc string) (Object, error) {
	js, err := yaml.YAMLToJSON([]byte(doc))
	if err != nil {
		return nil, err
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(js))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	o, _ := numbers(v).(map[string]any)
	return o, nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for k, x := range v {
			v[k] = numbers(x)
		}
	case []any:
		for i, x := range v {
			v[i] = numbers(x)
		}
	}
	return v
}

// Clone copies a document deeply.
func Clone[T any](v T) T { return clone(v).(T) }

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = clone(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = clone(x)
		}
		return out
	}
	return v
}

// Kind is a document's kind.
func Kind(o Object) string { return fmt.Sprint(o["kind"]) }

// IsIstio tells whether the document is of one of Istio's own API groups.
func IsIstio(o Object) bool {
	group, _, _ := strings.Cut(fmt.Sprint(o["apiVersion"]), "/")
	return strings.HasSuffix(group, ".istio.io")
}
