package coverage_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/analyze"
	"github.com/go-inmesh/inmesh/internal/coverage"
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
	"github.com/go-inmesh/inmesh/internal/validate"
	"github.com/go-inmesh/inmesh/route/balance"
)

var update = flag.Bool("update", false, "write docs/fields.md")

// TestComplete compares the account with Istio's own definition: a field that a newer istio.io/api brings is missing
// here, one that it takes away is too many.
func TestComplete(t *testing.T) {
	for _, k := range coverage.Kinds() {
		t.Run(k.Name, func(t *testing.T) {
			got := make([]string, 0, len(k.Fields))
			for _, f := range k.Fields {
				got = append(got, f.Path)
			}
			want := coverage.Paths(k.New().ProtoReflect().Descriptor())
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the account of %s is not that of the API (-API +account):\n%s", k.Name, diff)
			}
		})
	}
}

// TestKinds makes sure that no kind of Istio's that is read is left out of the account.
func TestKinds(t *testing.T) {
	known := map[protoreflect.FullName]bool{}
	for _, k := range coverage.Kinds() {
		known[k.New().ProtoReflect().Descriptor().FullName()] = true
		if _, err := rule.New("default", "x", k.New()); err != nil {
			t.Errorf("%s is not read: %v", k.Name, err)
		}
	}
}

// TestTrue sets each field alone and compares what is said of it with the account.
func TestTrue(t *testing.T) {
	for _, k := range coverage.Kinds() {
		for _, f := range k.Fields {
			t.Run(k.Name+"."+f.Path, func(t *testing.T) {
				spec := k.New()
				set(t, spec.ProtoReflect(), f.Path)
				findings := examine(t, spec)
				switch f.Status {
				case coverage.Warned:
					if !about(findings, f.Path, func(f finding.Finding) bool { return f.Code == finding.CodeNotObeyed }) {
						t.Errorf("nothing is said of it, expected %s: %v", finding.CodeNotObeyed, findings)
					}
				case coverage.Refused:
					if !about(findings, f.Path, func(f finding.Finding) bool { return f.Severity == finding.Error }) {
						t.Errorf("nothing is said of it, expected an error: %v", findings)
					}
				default:
					if about(findings, f.Path, func(f finding.Finding) bool {
						return f.Code == finding.CodeNotObeyed || f.Code == finding.CodeRefused
					}) {
						t.Errorf("it is said not to be obeyed, the account has %s: %v", f.Status, findings)
					}
				}
			})
		}
	}
}

// examine is everything that is said of an object with the spec.
func examine(t *testing.T, spec proto.Message) []finding.Finding {
	t.Helper()
	o, err := rule.New("default", "x", spec)
	if err != nil {
		t.Fatal(err)
	}
	s, findings := rule.NewSet([]*rule.Object{o})
	return slices.Concat(validate.Object(o), findings, analyze.Set(s))
}

// about tells whether a finding of that sort names the field, or one that it lies in.
func about(findings []finding.Finding, path string, sort func(finding.Finding) bool) bool {
	return slices.ContainsFunc(findings, func(f finding.Finding) bool {
		at := strings.NewReplacer("[0]", "[]", "[k]", "[*]", "[7]", "[*]").Replace(strings.TrimPrefix(strings.TrimPrefix(f.Path, "spec"), "."))
		rest, within := strings.CutPrefix(path, at)
		return sort(f) && within && (at == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// set sets the field at the path, and whatever it lies in.
func set(t *testing.T, m protoreflect.Message, path string) {
	t.Helper()
	whole := path
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, ".")
		fd := m.Descriptor().Fields().ByJSONName(strings.TrimSuffix(strings.TrimSuffix(name, "[]"), "[*]"))
		if fd == nil {
			t.Fatalf("%s has no field %s", m.Descriptor().FullName(), name)
		}
		beside(m, fd)
		switch {
		case fd.IsMap():
			values := m.Mutable(fd).Map()
			key := protoreflect.ValueOfString("k").MapKey()
			if fd.MapKey().Kind() == protoreflect.Uint32Kind {
				key = protoreflect.ValueOfUint32(7).MapKey()
			}
			if fd.MapValue().Message() == nil {
				values.Set(key, sample(whole, fd.MapValue()))
				return
			}
			m = values.Mutable(key).Message()
		case fd.IsList() && fd.Message() == nil:
			m.Mutable(fd).List().Append(sample(whole, fd))
			return
		case fd.IsList():
			m = m.Mutable(fd).List().AppendMutable().Message()
		case fd.Message() == nil:
			m.Set(fd, sample(whole, fd))
			return
		default:
			m = m.Mutable(fd).Message()
			if m.Descriptor().ParentFile().Package() == "google.protobuf" {
				value := m.Descriptor().Fields().ByNumber(1)
				m.Set(value, sample(whole, value))
				return
			}
		}
	}
}

// beside sets what a field is nothing without.
func beside(m protoreflect.Message, fd protoreflect.FieldDescriptor) {
	if tls, ok := m.Interface().(*networking.ClientTLSSettings); ok && (fd.Name() == "credential_name" || fd.Name() == "ca_crl") {
		tls.Mode = networking.ClientTLSSettings_SIMPLE
	}
}

// sample is a value for a field that is not its zero value, one that an honoured field obeys.
func sample(path string, fd protoreflect.FieldDescriptor) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(!strings.HasSuffix(path, "zoneAwareLbSetting.enabled"))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.StringKind:
		if strings.HasSuffix(path, ".protocol") {
			return protoreflect.ValueOfString("HTTP")
		}
		return protoreflect.ValueOfString("sample")
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("sample"))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(1)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(1)
	case protoreflect.Uint32Kind:
		if strings.HasSuffix(path, "redirectCode") {
			return protoreflect.ValueOfUint32(302)
		}
		return protoreflect.ValueOfUint32(1)
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(1)
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(1)
	}
	return protoreflect.ValueOfFloat64(1)
}

// TestWhere looks for the field's name in the place that the account names: who moves or deletes what honours a field
// has to say where it is now.
func TestWhere(t *testing.T) {
	source := map[string]string{}
	for _, k := range coverage.Kinds() {
		walk := map[string]string{} // path to the name of the field
		names(k.New().ProtoReflect().Descriptor(), "", walk)
		for _, f := range k.Fields {
			if f.Where == "" {
				if f.Status == coverage.Honoured {
					t.Errorf("%s.%s is honoured, and the account does not say where", k.Name, f.Path)
				}
				continue
			}
			text, ok := source[f.Where]
			if !ok {
				text = read(t, f.Where)
				source[f.Where] = text
			}
			name := strings.ReplaceAll(walk[f.Path], "_", "")
			if !regexp.MustCompile(`(?i)\b(Get|HTTP[A-Za-z]*_|[A-Za-z]+_)?` + name + `_?\b`).MatchString(strings.ReplaceAll(text, "_", "")) {
				t.Errorf("%s.%s: nothing of the name in %s", k.Name, f.Path, f.Where)
			}
		}
	}
}

func names(md protoreflect.MessageDescriptor, path string, to map[string]string) {
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		at, inner := path+fd.JSONName(), fd.Message()
		switch {
		case fd.IsMap():
			at, inner = at+"[*]", fd.MapValue().Message()
		case fd.IsList():
			at += "[]"
		}
		to[at] = string(fd.Name())
		if inner != nil && inner.ParentFile().Package() != "google.protobuf" {
			names(inner, at+".", to)
		}
	}
}

// read is the Go code of a file or folder, tests left out.
func read(t *testing.T, where string) string {
	t.Helper()
	where = filepath.Join("..", "..", where)
	files := []string{where}
	if info, err := os.Stat(where); err != nil {
		t.Fatal(err)
	} else if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(where, "*.go")); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	return b.String()
}

// TestValues are the values of honoured fields that are not obeyed.
func TestValues(t *testing.T) {
	pool := func(h *networking.ConnectionPoolSettings_HTTPSettings) proto.Message {
		return &networking.DestinationRule{Host: "a", TrafficPolicy: &networking.TrafficPolicy{ConnectionPool: &networking.ConnectionPoolSettings{Http: h}}}
	}
	server := func(protocol string, mode networking.ServerTLSSettings_TLSmode) proto.Message {
		return &networking.Gateway{Servers: []*networking.Server{{
			Port: &networking.Port{Number: 443, Name: "https", Protocol: protocol}, Hosts: []string{"*"}, Tls: &networking.ServerTLSSettings{Mode: mode},
		}}}
	}
	egress := func(l *networking.IstioEgressListener) proto.Message {
		return &networking.Sidecar{Egress: []*networking.IstioEgressListener{l}}
	}
	tests := []struct {
		name string
		spec proto.Message
		want string // path of the finding; empty: none
	}{
		{"requests per connection", pool(&networking.ConnectionPoolSettings_HTTPSettings{MaxRequestsPerConnection: 2}), ""},
		{"TLS that ends here", server("HTTPS", networking.ServerTLSSettings_SIMPLE), ""},
		{"TLS with client certificates", server("HTTPS", networking.ServerTLSSettings_MUTUAL), "spec.servers[0].tls.mode"},
		{"TLS of the mesh at a gateway", server("HTTPS", networking.ServerTLSSettings_ISTIO_MUTUAL), "spec.servers[0].tls.mode"},
		{"TLS that passes through", server("HTTPS", networking.ServerTLSSettings_PASSTHROUGH), "spec.servers[0].tls.mode"},
		{"a server of TCP", server("TCP", networking.ServerTLSSettings_SIMPLE), "spec.servers[0].port.protocol"},
		{"a proxy port", egress(&networking.IstioEgressListener{Port: &networking.SidecarPort{Number: 80, Protocol: "HTTP_PROXY"}, Hosts: []string{"*/*"}}), "spec.egress[0].port.protocol"},
		{"a socket", egress(&networking.IstioEgressListener{Port: &networking.SidecarPort{Protocol: "HTTP"}, Bind: "unix:///s", Hosts: []string{"*/*"}}), "spec.egress[0].bind"},
		{"a claim", &networking.VirtualService{Hosts: []string{"a.b"}, Http: []*networking.HTTPRoute{{
			Match:          []*networking.HTTPMatchRequest{{Headers: map[string]*networking.StringMatch{"@request.auth.claims.sub": {}}}},
			DirectResponse: &networking.HTTPDirectResponse{Status: 200},
		}}}, ""},
		{"a name resolved for each request", &networking.ServiceEntry{Hosts: []string{"a.b"}, Resolution: networking.ServiceEntry_DYNAMIC_DNS}, "spec.resolution"},
		{"an unused secret", &networking.DestinationRule{Host: "a", TrafficPolicy: &networking.TrafficPolicy{
			Tls: &networking.ClientTLSSettings{Mode: networking.ClientTLSSettings_DISABLE, CredentialName: "c"}}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			for _, f := range examine(t, tt.spec) {
				if f.Code == finding.CodeNotObeyed || f.Code == finding.CodeRefused {
					got = f.Path
				}
			}
			if got != tt.want {
				t.Errorf("a finding at %q, expected %q", got, tt.want)
			}
		})
	}
}

// TestBalance makes sure that what package balance says it does not do is not in the account as done.
func TestBalance(t *testing.T) {
	for _, k := range coverage.Kinds() {
		if k.Name != "DestinationRule" {
			continue
		}
		const at = "trafficPolicy.loadBalancer."
		for _, f := range k.Fields {
			name, ok := strings.CutPrefix(f.Path, at)
			if !ok || strings.ContainsAny(name, ".[") {
				continue
			}
			spec := &networking.DestinationRule{}
			set(t, spec.ProtoReflect(), f.Path)
			got := slices.ContainsFunc(balance.NotObeyed(spec.TrafficPolicy.LoadBalancer), func(f finding.Fault) bool { return f.Path == name })
			if got && f.Status != coverage.Warned {
				t.Errorf("%s: the account has %s, and balance.NotObeyed names it", f.Path, f.Status)
			}
		}
	}
}

// TestDocs compares docs/fields.md with the account; -update writes it.
func TestDocs(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "fields.md")
	want := coverage.Markdown()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/fields.md is not up to date, run go test ./internal/coverage -update:\n%s", diff)
	}
}
