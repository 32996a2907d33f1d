package coverage

// serviceEntry accounts for https://istio.io/latest/docs/reference/config/networking/service-entry/.
func serviceEntry() []Field {
	return list(
		[]Field{
			{Path: "hosts[]", Status: Honoured, Note: "a service each", Where: "internal/registry/serviceentry.go"},
			{Path: "addresses[]", Status: Honoured, Note: "requests to them are for the service; ranges too", Where: "internal/registry/serviceentry.go"},
			{Path: "ports[]", Status: Honoured, Where: "internal/registry/serviceentry.go"},
			{Path: "ports[].number", Status: Honoured, Where: "internal/registry/serviceentry.go"},
			{Path: "ports[].protocol", Status: Honoured, Note: "rules act on HTTP; HTTP2 and GRPC are spoken as such", Where: "internal/registry/serviceentry.go"},
			{Path: "ports[].name", Status: Honoured, Note: "finds the endpoint's port", Where: "internal/registry/serviceentry.go"},
			{Path: "ports[].targetPort", Status: Honoured, Where: "internal/registry/serviceentry.go"},
			{Path: "location", Status: Honoured, Note: "there is no auto-mTLS for either", Where: "internal/registry/serviceentry.go"},
			{Path: "resolution", Status: Honoured, Note: "DYNAMIC_DNS is done as NONE, with a finding", Where: "internal/registry/serviceentry.go"},
			{Path: "endpoints[]", Status: Honoured, Where: "internal/registry/serviceentry.go"},
			{Path: "workloadSelector", Status: Honoured, Note: "of pods and WorkloadEntries in the namespace", Where: "internal/registry/serviceentry.go"},
			{Path: "workloadSelector.labels[*]", Status: Honoured, Where: "internal/registry/serviceentry.go"},
			{Path: "exportTo[]", Status: Honoured, Where: "internal/registry/serviceentry.go"},
			{Path: "subjectAltNames[]", Status: Honoured, Note: "names that the server's certificate may have", Where: "internal/registry/serviceentry.go"},
		},
		workloadEntry("endpoints[]"),
	)
}

// workloadEntry accounts for https://istio.io/latest/docs/reference/config/networking/workload-entry/.
func workloadEntry(path string) []Field {
	return under(path, []Field{
		{Path: "address", Status: Honoured, Note: "an IP, a name, or unix:///path", Where: "internal/registry/workload.go"},
		{Path: "ports[*]", Status: Honoured, Note: "before targetPort and number", Where: "internal/registry/workload.go"},
		{Path: "labels[*]", Status: Honoured, Note: "told from by subsets and selectors", Where: "internal/registry/workload.go"},
		{Path: "locality", Status: Honoured, Note: "requests prefer endpoints nearby where there is outlierDetection", Where: "internal/registry/workload.go"},
		{Path: "weight", Status: Honoured, Note: "1 where absent", Where: "internal/registry/workload.go"},
		{Path: "serviceAccount", Status: Honoured, Note: "in telemetry; a server's certificate is not held against it", Where: "internal/registry/workload.go"},
		{Path: "network", Status: Warned, Note: "endpoints are dialled directly, in whatever network they are"},
	})
}

const whyWorkloadGroup = "no workload is registered from a template: write a WorkloadEntry for each"

// workloadGroup accounts for https://istio.io/latest/docs/reference/config/networking/workload-group/.
func workloadGroup() []Field {
	const why = whyWorkloadGroup
	return list(
		all("", Warned, why, "", "metadata", "metadata.labels[*]", "metadata.annotations[*]", "template"),
		all("template", Warned, why, "", "address", "ports[*]", "labels[*]", "network", "locality", "weight", "serviceAccount"),
		all("", Warned, why, "", "probe"),
		all("probe", Warned, why, "", "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold",
			"httpGet", "httpGet.path", "httpGet.port", "httpGet.host", "httpGet.scheme", "httpGet.httpHeaders[]",
			"httpGet.httpHeaders[].name", "httpGet.httpHeaders[].value", "tcpSocket", "tcpSocket.host", "tcpSocket.port",
			"exec", "exec.command[]", "grpc", "grpc.port", "grpc.service"),
	)
}
