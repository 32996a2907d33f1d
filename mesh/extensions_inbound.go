package mesh

import (
	"errors"
	"net/http"

	"github.com/go-inmesh/inmesh/breaker"
	"github.com/go-inmesh/inmesh/internal/answer"
	"github.com/go-inmesh/inmesh/observe"
)

// inbound is an [Inbound] at work; nil is none.
type inbound struct {
	rate        *breaker.RateLimit
	admission   *breaker.Admission
	concurrency *breaker.Concurrency
}

func newInbound(spec Inbound, rnd func() float64) (*inbound, error) {
	if spec == (Inbound{}) {
		return nil, nil
	}
	x := &inbound{}
	var errs [3]error
	if s := spec.LocalRateLimit; s != nil {
		x.rate, errs[0] = breaker.NewRateLimit(s)
	}
	if s := spec.AdmissionControl; s != nil {
		x.admission, errs[1] = breaker.NewAdmission(seededAdmission(s, rnd))
	}
	if s := spec.AdaptiveConcurrency; s != nil {
		own := *s
		if own.Rand == nil {
			own.Rand = rnd
		}
		x.concurrency, errs[2] = breaker.NewConcurrency(&own)
	}
	return x, errors.Join(errs[:]...)
}

// wrap puts the limits around a handler. Without any it is the handler.
func (x *inbound) wrap(next http.Handler) http.Handler {
	if x == nil {
		return next
	}
	if x.concurrency != nil {
		next = x.limitConcurrency(next)
	}
	if x.admission != nil {
		next = x.admit(next)
	}
	if x.rate != nil {
		next = x.limitRate(next)
	}
	return next
}

func (x *inbound) limitRate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := x.rate.Allow(r, w.Header()); err != nil {
			deny(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (x *inbound) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := x.admission.Admit(r); err != nil {
			deny(w, r, err)
			return
		}
		x.admission.Serve(w, r, next)
	})
}

func (x *inbound) limitConcurrency(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slot, err := x.concurrency.Acquire()
		if err != nil {
			deny(w, r, err)
			return
		}
		slot.Serve(w, r, next)
	})
}

// deny answers a request that came in with a refusal, and has the call tell of it.
func deny(w http.ResponseWriter, r *http.Request, err error) {
	e := refusalOf(err)
	if c := callOf(r.Context()); c != nil {
		c.denied(r, e)
	}
	answer.ReplyOf(e).Write(w, r)
}

// denied notes a refusal on the server's side. What a gateway refuses is told as its transport tells the rest.
func (c *call) denied(r *http.Request, e *answer.Error) {
	c.err, c.code = e, e.Status
	c.flags = addFlag(c.flags, e.Flag)
	if c.snap != nil { // of a gateway: nobody observes it yet
		c.mesh.observer.StartClient(&c.observed, r)
		c.observed.Fail(e)
		return
	}
	c.observed.Record.Details = e.Details
	c.observed.Record.Flags |= observe.ParseFlags(e.Flag)
}

// debugInbound is a server's limits as they are now.
type debugInbound struct {
	LocalRateLimit      *breaker.RateLimitStatus   `json:"localRateLimit,omitempty"`
	AdmissionControl    *breaker.AdmissionStatus   `json:"admissionControl,omitempty"`
	AdaptiveConcurrency *breaker.ConcurrencyStatus `json:"adaptiveConcurrency,omitempty"`
}

func (x *inbound) status() *debugInbound {
	if x == nil {
		return nil
	}
	d := &debugInbound{}
	if x.rate != nil {
		s := x.rate.Status()
		d.LocalRateLimit = &s
	}
	if x.admission != nil {
		s := x.admission.Status()
		d.AdmissionControl = &s
	}
	if x.concurrency != nil {
		s := x.concurrency.Status()
		d.AdaptiveConcurrency = &s
	}
	return d
}
