package world

// Cluster is what DestinationRules come to for one destination: the form in which both sides are compared. Limits that
// are not set are 0, though both sides have large numbers there.
type Cluster struct {
	ConnectTimeout string `json:"connectTimeout"`

	MaxConnections        int    `json:"maxConnections,omitempty"`
	MaxPending            int    `json:"maxPending,omitempty"`
	MaxRequests           int    `json:"maxRequests,omitempty"`
	MaxRetries            int    `json:"maxRetries,omitempty"`
	RequestsPerConnection int    `json:"requestsPerConnection,omitempty"`
	IdleTimeout           string `json:"idleTimeout,omitempty"`
	MaxConnectionDuration string `json:"maxConnectionDuration,omitempty"`
	Keepalive             string `json:"keepalive,omitempty"`
	RetryBudget           string `json:"retryBudget,omitempty"`

	Outlier *Outlier `json:"outlier,omitempty"`

	Balancer string `json:"balancer"` // LEAST_REQUEST, RING_HASH, PASSTHROUGH, …
	Ring     int    `json:"ring,omitempty"`

	TLS string `json:"tls,omitempty"` // SIMPLE, MUTUAL, ISTIO_MUTUAL
	SNI string `json:"sni,omitempty"`
	// SANs are those that the rules or the service name.
	SANs []string `json:"sans,omitempty"`

	// Members are the endpoints where they are known: "address:port*weight@locality#priority".
	Members []string `json:"members,omitempty"`
}

// Outlier is outlier detection with Envoy's defaults filled in. A threshold of 0 is off.
type Outlier struct {
	Errors, Gateway, Local int
	Split                  bool
	Interval, Ejection     string
	MaxPercent             int
	MinHealth              int
	Codes                  []int
}
