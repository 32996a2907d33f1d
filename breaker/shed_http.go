package breaker

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/go-inmesh/inmesh/internal/answer"
)

// Handler is next behind the admission control; a nil next is [http.DefaultServeMux]. Refused requests are answered
// with 503 and no body. A panic of next before it has answered is a failure.
func (a *Admission) Handler(next http.Handler) http.Handler {
	if next == nil {
		next = http.DefaultServeMux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.Admit(r); err != nil {
			deny(w, r, err)
			return
		}
		a.Serve(w, r, next)
	})
}

// Serve has next answer a request that was let in, and reports how that went.
func (a *Admission) Serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	sw := &statusWriter{ResponseWriter: w}
	returned := false
	defer func() {
		switch {
		case sw.code == 0 && r.Context().Err() != nil:
			return // the client has left
		case sw.code == 0 && returned:
			sw.code = http.StatusOK
		}
		a.Report(sw.code, w.Header(), nil)
	}()
	next.ServeHTTP(sw, r)
	returned = true
}

// Transport is next behind the admission control; a nil next is [http.DefaultTransport]. A refused request is an
// error that is [ErrAdmissionDenied].
func (a *Admission) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &admittedTransport{a, next}
}

type admittedTransport struct {
	admission *Admission
	next      http.RoundTripper
}

func (t *admittedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.admission.Admit(req); err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := t.next.RoundTrip(req)
	t.admission.Ended(req.Context(), resp, err)
	return resp, err
}

// CloseIdleConnections passes the call on.
func (t *admittedTransport) CloseIdleConnections() { closeIdle(t.next) }

// Ended reports what a round trip gave for a request that was let in. An answer of gRPC that does not tell its status
// in the headers is reported at the end of its body, which is wrapped for it. A caller that has left says nothing.
func (a *Admission) Ended(ctx context.Context, resp *http.Response, err error) {
	switch {
	case err != nil && (ctx.Err() != nil || errors.Is(err, context.Canceled)):
	case err != nil:
		a.Report(0, nil, nil)
	case answer.IsGRPC(resp.Header) && len(resp.Header["Grpc-Status"]) == 0 && resp.Body != nil && resp.Body != http.NoBody:
		resp.Body = &trailerBody{ReadCloser: resp.Body, admission: a, resp: resp}
	default:
		a.Report(resp.StatusCode, resp.Header, resp.Trailer)
	}
}

// trailerBody reports at the end of a body. One that is closed before its end says nothing.
type trailerBody struct {
	io.ReadCloser
	admission *Admission
	resp      *http.Response
	done      bool
}

func (b *trailerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !b.done {
		b.done = true
		if err == io.EOF {
			b.admission.Report(b.resp.StatusCode, b.resp.Header, b.resp.Trailer)
		} else if !errors.Is(err, context.Canceled) {
			b.admission.Report(0, nil, nil)
		}
	}
	return n, err
}
