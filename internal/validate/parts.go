package validate

import (
	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// Duration wants a duration of at least a millisecond, in whole milliseconds.
func Duration(fs *finding.Faults, path string, d *durationpb.Duration) {}

// Percent wants 0, or 0.0001 to 100.
func Percent(fs *finding.Faults, path string, p *networking.Percent) {}

// StringMatch wants a prefix or regex that is not empty, and a regex that RE2 can compile.
func StringMatch(fs *finding.Faults, path string, m *networking.StringMatch) {}

// HTTPRoute judges one route of a VirtualService that is not a delegate.
func HTTPRoute(fs *finding.Faults, path string, r *networking.HTTPRoute) {}

// HTTPFault judges an injected delay and abort.
func HTTPFault(fs *finding.Faults, path string, f *networking.HTTPFaultInjection) {}

// Redirect judges a redirect on its own, not whether it fits the route's matches.
func Redirect(fs *finding.Faults, path string, r *networking.HTTPRedirect) {}

// Rewrite judges a rewrite.
func Rewrite(fs *finding.Faults, path string, r *networking.HTTPRewrite) {}

// DirectResponse judges an answer of our own.
func DirectResponse(fs *finding.Faults, path string, r *networking.HTTPDirectResponse) {}

// Headers judges header operations.
func Headers(fs *finding.Faults, path string, h *networking.Headers) {}

// CORS judges a CORS policy.
func CORS(fs *finding.Faults, path string, c *networking.CorsPolicy) {}

// Retry judges a retry policy.
func Retry(fs *finding.Faults, path string, r *networking.HTTPRetry) {}

// Mirror judges one entry of a route's mirrors.
func Mirror(fs *finding.Faults, path string, m *networking.HTTPMirrorPolicy) {}

// Destination judges a destination.
func Destination(fs *finding.Faults, path string, d *networking.Destination) {}

// TrafficPolicy judges the policy of a DestinationRule or of one of its subsets.
func TrafficPolicy(fs *finding.Faults, path string, p *networking.TrafficPolicy) {}

// ConnectionPool judges connection pool limits.
func ConnectionPool(fs *finding.Faults, path string, c *networking.ConnectionPoolSettings) {}

// OutlierDetection judges outlier detection.
func OutlierDetection(fs *finding.Faults, path string, o *networking.OutlierDetection) {}

// LoadBalancer judges load balancer settings.
func LoadBalancer(fs *finding.Faults, path string, lb *networking.LoadBalancerSettings) {}

// ClientTLS judges the TLS settings of a client.
func ClientTLS(fs *finding.Faults, path string, t *networking.ClientTLSSettings) {}

// RetryBudget judges a retry budget.
func RetryBudget(fs *finding.Faults, path string, b *networking.TrafficPolicy_RetryBudget) {}

// VirtualService judges a VirtualService in an unknown namespace.
func VirtualService(fs *finding.Faults, path string, v *networking.VirtualService) {}

// DestinationRule judges a DestinationRule in an unknown namespace.
func DestinationRule(fs *finding.Faults, path string, d *networking.DestinationRule) {}
