package validate

import (
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1"
	networkingbeta "istio.io/api/networking/v1beta1"
	security "istio.io/api/security/v1"
	telemetry "istio.io/api/telemetry/v1"
)

// specs gives an empty spec of every kind.
func specs() []proto.Message {
	return []proto.Message{
		&networking.VirtualService{}, &networking.DestinationRule{}, &networking.Gateway{}, &networking.ServiceEntry{},
		&networking.WorkloadEntry{}, &networking.WorkloadGroup{}, &networking.Sidecar{}, &networkingbeta.ProxyConfig{},
		&security.PeerAuthentication{}, &security.RequestAuthentication{}, &security.AuthorizationPolicy{}, &telemetry.Telemetry{},
	}
}

// oneofs are the wrappers of fields of which one can be set, by what they stand for.
var oneofs = []any{
	&networking.StringMatch_Exact{}, &networking.StringMatch_Prefix{}, &networking.StringMatch_Regex{},
	&networking.HTTPBody_String_{}, &networking.HTTPBody_Bytes{},
	&networking.HTTPRedirect_Port{}, &networking.HTTPRedirect_DerivePort{},
	&networking.HTTPFaultInjection_Delay_FixedDelay{}, &networking.HTTPFaultInjection_Delay_ExponentialDelay{},
	&networking.HTTPFaultInjection_Abort_HttpStatus{}, &networking.HTTPFaultInjection_Abort_GrpcStatus{},
	&networking.HTTPFaultInjection_Abort_Http2Error{},
	&networking.LoadBalancerSettings_Simple{}, &networking.LoadBalancerSettings_ConsistentHash{},
	&networking.LoadBalancerSettings_ConsistentHashLB_HttpCookie{}, &networking.LoadBalancerSettings_ConsistentHashLB_Maglev{},
	&networking.LoadBalancerSettings_ConsistentHashLB_RingHash_{},
	&networking.ReadinessProbe_HttpGet{}, &networking.ReadinessProbe_TcpSocket{}, &networking.ReadinessProbe_Exec{},
	&security.AuthorizationPolicy_Provider{},
	&telemetry.Tracing_CustomTag_Literal{}, &telemetry.Tracing_CustomTag_Header{}, &telemetry.Tracing_CustomTag_Environment{},
	&telemetry.Tracing_CustomTag_Formatter{}, &telemetry.MetricSelector_CustomMetric{}, &telemetry.MetricSelector_Metric{},
}

// populate sets every field of the message, down to the depth; below it messages are nil, in lists and maps too.
// Of the oneofs it takes the n-th that fits.
func populate(m reflect.Value, depth, n int) {
	if m.Kind() != reflect.Pointer || m.IsNil() {
		return
	}
	s := m.Elem()
	for i := range s.NumField() {
		if f := s.Field(i); s.Type().Field(i).IsExported() {
			f.Set(value(f.Type(), depth, n))
		}
	}
}

func value(t reflect.Type, depth, n int) reflect.Value {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Pointer:
		if depth > 0 {
			v.Set(reflect.New(t.Elem()))
			populate(v, depth-1, n)
		}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return v
		}
		v.Set(reflect.MakeSlice(t, 2, 2)) // the first zero or nil, the second not
		v.Index(1).Set(value(t.Elem(), depth, n))
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(reflect.Zero(t.Key()), reflect.Zero(t.Elem()))
		v.SetMapIndex(value(t.Key(), depth, n), value(t.Elem(), depth, n))
	case reflect.Interface:
		var fit []reflect.Value
		for _, o := range oneofs {
			if reflect.TypeOf(o).Implements(t) {
				fit = append(fit, reflect.New(reflect.TypeOf(o).Elem()))
			}
		}
		if len(fit) > 0 {
			v.Set(fit[n%len(fit)])
			populate(v.Elem(), depth, n)
		}
	case reflect.String:
		v.SetString("*")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32:
		v.SetInt(-1)
	case reflect.Uint32:
		v.SetUint(1)
	}
	return v
}

// TestNil judges specs that are nil in every place that can be, one depth after the other.
func TestNil(t *testing.T) {
	if got := Object(nil); got != nil {
		t.Errorf("got %v, want none for no object", got)
	}
	for _, m := range specs() {
		Spec(m)
		Spec(reflect.Zero(reflect.TypeOf(m)).Interface().(proto.Message))
		for depth := range 8 {
			for n := range 4 {
				m := m.ProtoReflect().New().Interface()
				populate(reflect.ValueOf(m), depth, n)
				Spec(m)
			}
		}
	}
}

// TestNilParts calls the functions for parts with none.
func TestNilParts(t *testing.T) {
	var fs = Spec(nil)
	HTTPRoute(&fs, "", nil)
	HTTPFault(&fs, "", nil)
	Redirect(&fs, "", nil)
	Rewrite(&fs, "", nil)
	DirectResponse(&fs, "", nil)
	Headers(&fs, "", nil)
	CORS(&fs, "", nil)
	Retry(&fs, "", nil)
	Mirror(&fs, "", nil)
	StringMatch(&fs, "", nil)
	Destination(&fs, "", nil)
	ConnectionPool(&fs, "", nil)
	OutlierDetection(&fs, "", nil)
	LoadBalancer(&fs, "", nil)
	ClientTLS(&fs, "", nil)
	TrafficPolicy(&fs, "", nil)
	RetryBudget(&fs, "", nil)
	Duration(&fs, "", nil)
	Percent(&fs, "", nil)
	if len(fs) > 0 {
		t.Errorf("got %v, want none", fs)
	}
}

// FuzzSpec judges whatever decodes.
func FuzzSpec(f *testing.F) {
	for kind := range specs() {
		m := specs()[kind]
		populate(reflect.ValueOf(m), 4, kind)
		if b, err := proto.Marshal(m); err == nil {
			f.Add(kind, b)
		}
	}
	f.Fuzz(func(t *testing.T, kind int, b []byte) {
		all := specs()
		m := all[(kind%len(all)+len(all))%len(all)]
		if proto.Unmarshal(b, m) == nil {
			Spec(m)
		}
	})
}
