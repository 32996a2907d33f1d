package mesh

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/go-inmesh/inmesh/breaker"
)

// outbound is an [Outbound] at work for one service; nil is none.
type outbound struct {
	spec      Outbound
	rate      *breaker.RateLimit
	admission *breaker.Admission
}

func newOutbound(spec Outbound) (*outbound, error) {
	o := &outbound{spec: spec}
	var errs [2]error
	if s := spec.LocalRateLimit; s != nil {
		o.rate, errs[0] = breaker.NewRateLimit(s)
	}
	if s := spec.AdmissionControl; s != nil {
		o.admission, errs[1] = breaker.NewAdmission(s)
	}
	return o, errors.Join(errs[:]...)
}

// admit asks the limits whether the request may go. The body of one that may not is closed.
func (o *outbound) admit(req *http.Request) error {
	var err error
	if o.rate != nil {
		err = o.rate.Allow(req, nil)
	}
	if err == nil && o.admission != nil {
		err = o.admission.Admit(req)
	}
	if err != nil {
		closeBody(req)
	}
	return err
}

// ended tells the limits what came of a request that they let go.
func (o *outbound) ended(ctx context.Context, resp *http.Response, err error) {
	if o.admission != nil {
		o.admission.Ended(ctx, resp, err)
	}
}

// debugOutbound is a called service's limits as they are now.
type debugOutbound struct {
	Host             string                   `json:"host"`
	LocalRateLimit   *breaker.RateLimitStatus `json:"localRateLimit,omitempty"`
	AdmissionControl *breaker.AdmissionStatus `json:"admissionControl,omitempty"`
}

func (o *outbound) status(host string) debugOutbound {
	d := debugOutbound{Host: host}
	if o.rate != nil {
		s := o.rate.Status()
		d.LocalRateLimit = &s
	}
	if o.admission != nil {
		s := o.admission.Status()
		d.AdmissionControl = &s
	}
	return d
}

// debugExtensions are all limits as they are now.
type debugExtensions struct {
	Server  *debugInbound   `json:"server,omitempty"`
	Gateway *debugInbound   `json:"gateway,omitempty"`
	Hosts   []debugOutbound `json:"hosts,omitempty"`
}

func (m *Mesh) debugExtensions() debugExtensions {
	x := m.extensions
	if x == nil {
		return debugExtensions{}
	}
	d := debugExtensions{Server: x.server.status(), Gateway: x.gateway.status()}
	x.hosts.Range(func(name, o any) bool {
		d.Hosts = append(d.Hosts, o.(*outbound).status(name.(string)))
		return true
	})
	slices.SortFunc(d.Hosts, func(a, b debugOutbound) int { return strings.Compare(a.Host, b.Host) })
	return d
}
