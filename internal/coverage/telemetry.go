package coverage

const whyTelemetry = "metrics, spans and access logs are those of the program's options"

// telemetrySpec accounts for https://istio.io/latest/docs/reference/config/telemetry/.
func telemetrySpec() []Field {
	const why = whyTelemetry
	return list(
		targets(Warned, why, ""),
		all("tracing[]", Warned, why, "", "", "match", "match.mode", "providers[]", "providers[].name", "randomSamplingPercentage",
			"disableSpanReporting", "customTags[*]", "customTags[*].literal", "customTags[*].literal.value", "customTags[*].environment",
			"customTags[*].environment.name", "customTags[*].environment.defaultValue", "customTags[*].header",
			"customTags[*].header.name", "customTags[*].header.defaultValue", "customTags[*].formatter", "customTags[*].formatter.value",
			"useRequestIdForTraceSampling", "enableIstioTags", "disableContextPropagation"),
		all("metrics[]", Warned, why, "", "", "providers[]", "providers[].name", "reportingInterval", "overrides[]", "overrides[].match",
			"overrides[].match.metric", "overrides[].match.customMetric", "overrides[].match.mode", "overrides[].disabled",
			"overrides[].tagOverrides[*]", "overrides[].tagOverrides[*].operation", "overrides[].tagOverrides[*].value"),
		all("accessLogging[]", Warned, why, "", "", "match", "match.mode", "providers[]", "providers[].name", "disabled", "filter", "filter.expression"),
	)
}
