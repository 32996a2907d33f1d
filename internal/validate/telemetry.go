package validate

import (
	telemetry "istio.io/api/telemetry/v1"
	telemetryalpha "istio.io/api/telemetry/v1alpha1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// telemetrySpec judges https://istio.io/latest/docs/reference/config/telemetry/.
func telemetrySpec(fs *finding.Faults, t *telemetry.Telemetry) {
	if t == nil {
		return
	}
	targets(fs, t.Selector, t.TargetRef, t.TargetRefs)
	for i, m := range t.Metrics {
		if m != nil {
			metrics(fs, finding.Index("metrics", i), m)
		}
	}
	if len(t.Tracing) > 1 {
		fs.Warnf("tracing", codeSchema, "%d entries, of which Istio obeys one", len(t.Tracing))
	}
	for i, r := range t.Tracing {
		if r != nil {
			tracing(fs, finding.Index("tracing", i), r)
		}
	}
	for i, l := range t.AccessLogging {
		if l != nil {
			path := finding.Index("accessLogging", i)
			providers(fs, path, l.Providers)
			enum(fs, finding.Join(path, "match.mode"), l.Match.GetMode())
			if l.Filter != nil {
				expression(fs, finding.Join(path, "filter.expression"), l.Filter.Expression)
			}
		}
	}
}

func providers(fs *finding.Faults, path string, list []*telemetry.ProviderRef) {
	for i, p := range list {
		if p.GetName() == "" {
			fs.Errorf(finding.Join(finding.Index(finding.Join(path, "providers"), i), "name"), "the provider has no name")
		}
	}
}

func tracing(fs *finding.Faults, path string, t *telemetry.Tracing) {
	providers(fs, path, t.Providers)
	if len(t.Providers) > 1 {
		fs.Warnf(finding.Join(path, "providers"), codeSchema, "%d providers, of which Istio obeys one", len(t.Providers))
	}
	enum(fs, finding.Join(path, "match.mode"), t.Match.GetMode())
	if p := t.RandomSamplingPercentage; p != nil && !(p.Value >= 0 && p.Value <= 100) {
		fs.Errorf(finding.Join(path, "randomSamplingPercentage"), "%v is not in 0..100", p.Value)
	}
	for _, name := range sorted(t.CustomTags) {
		at := finding.Key(finding.Join(path, "customTags"), name)
		if name == "" {
			fs.Errorf(at, "the tag has no name")
		}
		customTag(fs, at, t.CustomTags[name])
	}
}

func customTag(fs *finding.Faults, path string, t *telemetry.Tracing_CustomTag) {
	if t == nil {
		fs.Errorf(path, "null, want literal, environment, header or formatter")
		return
	}
	field, value := "", "-"
	switch k := t.Type.(type) {
	case *telemetry.Tracing_CustomTag_Literal:
		field, value = "literal.value", k.Literal.GetValue()
	case *telemetry.Tracing_CustomTag_Environment:
		field, value = "environment.name", k.Environment.GetName()
	case *telemetry.Tracing_CustomTag_Header:
		field, value = "header.name", k.Header.GetName()
	case *telemetry.Tracing_CustomTag_Formatter:
		field, value = "formatter.value", k.Formatter.GetValue()
	}
	if value == "" {
		fs.Errorf(finding.Join(path, field), "the value is empty")
	}
}

func metrics(fs *finding.Faults, path string, m *telemetry.Metrics) {
	providers(fs, path, m.Providers)
	Duration(fs, finding.Join(path, "reportingInterval"), m.ReportingInterval)
	for i, o := range m.Overrides {
		at := finding.Index(finding.Join(path, "overrides"), i)
		if o == nil {
			fs.Errorf(at, "null, want an override")
			continue
		}
		enum(fs, finding.Join(at, "match.mode"), o.Match.GetMode())
		switch k := o.Match.GetMetricMatch().(type) {
		case *telemetry.MetricSelector_CustomMetric:
			if k.CustomMetric == "" {
				fs.Errorf(finding.Join(at, "match.customMetric"), "the metric has no name")
			}
		case *telemetry.MetricSelector_Metric:
			enum(fs, finding.Join(at, "match.metric"), k.Metric)
		}
		for _, name := range sorted(o.TagOverrides) {
			tagOverride(fs, finding.Key(finding.Join(at, "tagOverrides"), name), name, o.TagOverrides[name])
		}
	}
}

func tagOverride(fs *finding.Faults, path, name string, t *telemetry.MetricsOverrides_TagOverride) {
	if name == "" {
		fs.Warnf(path, codeSchema, "the tag has no name")
	}
	if t == nil {
		fs.Errorf(path, "null, want operation and value")
		return
	}
	switch t.Operation {
	case telemetryalpha.MetricsOverrides_TagOverride_UPSERT:
		if t.Value == "" {
			fs.Errorf(finding.Join(path, "value"), "no value, which UPSERT needs")
		}
	case telemetryalpha.MetricsOverrides_TagOverride_REMOVE:
		if t.Value != "" {
			fs.Errorf(finding.Join(path, "value"), "%q is set while operation is REMOVE", t.Value)
		}
	default:
		enum(fs, finding.Join(path, "operation"), t.Operation)
	}
}
