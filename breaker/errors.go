package breaker

import (
	"errors"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// What a refusal of this package is, for errors.Is. The error itself also tells the flag and the status that a
// sidecar would have answered.
var (
	// ErrOverflow means that a connection-pool limit was reached: 503, flag UO.
	ErrOverflow = errors.New("breaker: a connection pool limit is reached")
	// ErrEjected means that outlier detection has ejected the only endpoint: 503, flag UH.
	ErrEjected = errors.New("breaker: the endpoint is ejected")
)

// overflow and ejectedHost are the refusals; they are values and never changed.
var (
	overflow = &answer.Error{
		Sentinel: ErrOverflow, Flag: answer.UpstreamOverflow, Status: 503,
		Details: "upstream_reset_before_response_started{overflow}",
		Body:    "upstream connect error or disconnect/reset before headers. reset reason: overflow",
		Header:  map[string]string{"x-envoy-overloaded": "true"},
	}
	ejectedHost = &answer.Error{
		Sentinel: ErrEjected, Flag: answer.NoHealthyUpstream, Status: 503,
		Details: "no_healthy_upstream", Body: "no healthy upstream",
	}
)
