package rule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/golang/protobuf/jsonpb" // what Istio decodes with
	protov1 "github.com/golang/protobuf/proto"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"sigs.k8s.io/yaml"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// eachField calls f once for each field of the message, and of all messages in it, with a message that has that
// field alone, and the path to it.
func eachField(m protoreflect.Message, f func(path string)) {
	var walk func(at func() protoreflect.Message, md protoreflect.MessageDescriptor, path string, depth int)
	walk = func(at func() protoreflect.Message, md protoreflect.MessageDescriptor, path string, depth int) {
		fields := md.Fields()
		for i := range fields.Len() {
			fd := fields.Get(i)
			name := strings.TrimPrefix(path+"."+fd.JSONName(), ".")
			child := fd.Message()
			if fd.IsMap() {
				child = fd.MapValue().Message()
			}
			proto.Reset(m.Interface())
			set(at(), fd)
			f(name)
			if child == nil || child.ParentFile().Package() == "google.protobuf" || depth > 10 {
				continue
			}
			walk(func() protoreflect.Message { return set(at(), fd) }, child, name, depth+1)
		}
	}
	walk(func() protoreflect.Message { return m }, m.Descriptor(), "", 0)
}

// set gives the field a plausible value. Of a field that holds messages it is the message.
func set(m protoreflect.Message, fd protoreflect.FieldDescriptor) protoreflect.Message {
	switch {
	case fd.IsMap():
		values := m.Mutable(fd).Map()
		key := plausible(fd.MapKey()).MapKey()
		if fd.MapValue().Message() != nil {
			return fill(values.Mutable(key).Message())
		}
		values.Set(key, plausible(fd.MapValue()))
	case fd.IsList():
		if fd.Message() != nil {
			return fill(m.Mutable(fd).List().AppendMutable().Message())
		}
		m.Mutable(fd).List().Append(plausible(fd))
	case fd.Message() != nil:
		return fill(m.Mutable(fd).Message())
	default:
		m.Set(fd, plausible(fd))
	}
	return nil
}

// fill gives the well-known types a value; other messages stay empty.
func fill(m protoreflect.Message) protoreflect.Message {
	fields := m.Descriptor().Fields()
	switch name := m.Descriptor().FullName(); {
	case name == "google.protobuf.Duration":
		m.Set(fields.ByName("seconds"), protoreflect.ValueOfInt64(90))
		m.Set(fields.ByName("nanos"), protoreflect.ValueOfInt32(250_000_000))
	case name.Parent() == "google.protobuf" && strings.HasSuffix(string(name), "Value"):
		m.Set(fields.ByName("value"), plausible(fields.ByName("value")))
	}
	return m
}

func plausible(fd protoreflect.FieldDescriptor) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		values := fd.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(values.Len() - 1).Number())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind:
		return protoreflect.ValueOfInt32(-7)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind:
		return protoreflect.ValueOfInt64(-1 << 40)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(8080)
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(1 << 40)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(0.5)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(12.5)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{0, 1, 0xff})
	}
	return protoreflect.ValueOfString("on: 1 # ä")
}

// TestEveryField writes each field of each of Istio's kinds to YAML and JSON, and reads it back.
func TestEveryField(t *testing.T) {
	rewritten := map[string]bool{ // by package legacy, as its tests show
		"VirtualService http.corsPolicy.allowOrigin":                                                 true,
		"DestinationRule trafficPolicy.outlierDetection.consecutiveErrors":                           true,
		"DestinationRule trafficPolicy.portLevelSettings.outlierDetection.consecutiveErrors":         true,
		"DestinationRule subsets.trafficPolicy.outlierDetection.consecutiveErrors":                   true,
		"DestinationRule subsets.trafficPolicy.portLevelSettings.outlierDetection.consecutiveErrors": true,
	}
	for _, k := range kinds() {
		if !k.istio() {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			spec := k.newSpec().(proto.Message)
			n := 0
			eachField(spec.ProtoReflect(), func(path string) {
				n++
				if rewritten[k.name+" "+path] {
					return
				}
				for form, text := range written(t, k, spec) {
					objects, findings := Parse("x", []byte(text))
					if finding.HasErrors(findings) || len(objects) != 1 {
						t.Fatalf("%s as %s: %v\n%s", path, form, findings, text)
					}
					if got := objects[0].Spec.(proto.Message); !proto.Equal(got, spec) {
						t.Fatalf("%s as %s: got %v, want %v\n%s", path, form, got, spec, text)
					}
				}
			})
			if n < 2 {
				t.Errorf("walked %d fields", n)
			}
		})
	}
}

// written is an object with the spec, in all forms in which users may write it.
func written(t *testing.T, k kind, spec proto.Message) map[string]string {
	t.Helper()
	forms := map[string]string{}
	for form, snake := range map[string]bool{"JSON": false, "snake-case JSON": true} {
		b, err := protojson.MarshalOptions{UseProtoNames: snake}.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf(`{"apiVersion": %q, "kind": %q, "metadata": {"name": "x"}, "spec": %s}`, k.apiVersion(), k.name, b)
		forms[form] = text
		y, err := yaml.JSONToYAML([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		forms[strings.Replace(form, "JSON", "YAML", 1)] = string(y)
	}
	return forms
}

// FuzzAgainstJSONPB holds the decoder against Istio's way: YAML to JSON as Kubernetes does it, then jsonpb. What
// we take, it takes, and makes the same of it.
func FuzzAgainstJSONPB(f *testing.F) {
	for _, s := range []string{
		"hosts: [a]\nhttp:\n- timeout: 1m30s\n  match: [{uri: {prefix: /}, ignoreUriCase: yes, port: 0x50}]\n  route: [{destination: {host: b, port: {number: 80.0}}, weight: 1}]\n",
		"http: [{fault: {abort: {httpStatus: 500, percentage: {value: 1e1}}}, mirrorPercent: 5, directResponse: {status: 200, body: {bytes: aGk=}}}]\n",
		"host: a\ntrafficPolicy:\n  loadBalancer: {simple: RANDOM, consistentHash: {minimumRingSize: \"5\"}}\n  outlierDetection: {consecutive5xxErrors: 0, interval: 500ms}\n",
		"selector: {matchLabels: {a: b}}\nmtls: {mode: STRICT}\nportLevelMtls: {8080: {mode: 2}}\n",
		"servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*'], tls: {httpsRedirect: on}}]\n",
		"tracing: [{randomSamplingPercentage: 10.5, customTags: {a: {literal: {value: b}}}}]\n",
	} {
		for i := range 12 {
			f.Add(byte(i), s)
		}
	}
	all := kinds()
	f.Fuzz(func(t *testing.T, i byte, text string) {
		k := all[int(i)%12]
		got, ok := decodeText(text, k)
		if !ok {
			return
		}
		js, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			return // of another YAML library
		}
		want := k.newSpec().(protov1.Message)
		if err := (&jsonpb.Unmarshaler{}).Unmarshal(strings.NewReader(string(js)), want); err != nil {
			t.Fatalf("%s: read %q, jsonpb says %v", k.name, text, err)
		}
		if !proto.Equal(got, want.(proto.Message)) {
			t.Fatalf("%s: %q: got %v, want %v", k.name, text, got, want)
		}
	})
}
