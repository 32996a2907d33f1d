package identity

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

// ExtAuthz asks a service over HTTP, as Istio's extensionProviders with envoyExtAuthzHttp do: the request without its
// body, with its method, host, path and chosen headers. An answer with status 200 allows, any other denies and is the
// answer that the caller gets; 5xx and no answer are failures. It is safe for concurrent use if nobody changes it.
//
// See https://istio.io/latest/docs/reference/config/istio.mesh.v1alpha1/#MeshConfig-ExtensionProvider-EnvoyExternalAuthorizationHttpProvider.
type ExtAuthz struct {
	// URL is where the service is; its path comes before the request's own.
	URL string
	// Client sends the checks. Nil means [http.DefaultClient], without following redirects.
	Client *http.Client
	// Timeout of a check. 0 means 10 seconds.
	Timeout time.Duration
	// IncludeRequestHeaders are the headers to send beside Authorization: names, "x-*" for those
	// that begin so, "*-id" for those that end so.
	IncludeRequestHeaders []string
	// AdditionalHeaders are set on every check.
	AdditionalHeaders map[string]string
	// HeadersToUpstreamOnAllow are the headers of the service's answer that replace those of the request.
	HeadersToUpstreamOnAllow []string
	// HeadersToDownstreamOnAllow are those that are added to the application's answer.
	HeadersToDownstreamOnAllow []string
	// HeadersToDownstreamOnDeny are those that the caller gets with a refusal. Empty means all but those of the
	// connection.
	HeadersToDownstreamOnDeny []string
	// FailOpen allows requests when the service fails. False denies them.
	FailOpen bool
	// StatusOnError is the answer when the service fails. 0 means 403.
	StatusOnError int
}

// maxDenial bounds the body of a refusal.
const maxDenial = 64 << 10

// Check asks the service.
func (e *ExtAuthz) Check(ctx context.Context, r *http.Request) (*Decision, error) {
	d, err := e.ask(ctx, r)
	switch {
	case err == nil:
		return d, nil
	case e.FailOpen:
		return &Decision{Allowed: true}, nil
	case e.StatusOnError != 0:
		return &Decision{Status: e.StatusOnError}, nil
	}
	return nil, err
}

func (e *ExtAuthz) ask(ctx context.Context, r *http.Request) (*Decision, error) {
	u, err := url.Parse(e.URL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("identity: external authorization: url: %q is not a URL with a host", e.URL)
	}
	u = u.JoinPath()
	joined := strings.TrimSuffix(u.EscapedPath(), "/") + r.URL.EscapedPath()
	if u.Path, err = url.PathUnescape(joined); err != nil {
		return nil, fmt.Errorf("identity: external authorization: %w", err)
	}
	u.RawPath, u.RawQuery = joined, r.URL.RawQuery
	timeout := e.Timeout
	if timeout <= 0 {
		timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, cmp.Or(r.Method, http.MethodGet), u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("identity: external authorization: %w", err)
	}
	req.Host = r.Host
	for k, v := range r.Header {
		if k == "Authorization" || listed(e.IncludeRequestHeaders, k) {
			req.Header[k] = v
		}
	}
	for k, v := range e.AdditionalHeaders {
		req.Header.Set(k, v)
	}
	client := http.Client{Transport: http.DefaultTransport}
	if e.Client != nil {
		client = *e.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("identity: external authorization: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDenial))
	switch {
	case resp.StatusCode >= 500:
		return nil, fmt.Errorf("identity: external authorization: the service answered %s", resp.Status)
	case resp.StatusCode == http.StatusOK:
		return &Decision{Allowed: true, RequestHeader: pick(resp.Header, e.HeadersToUpstreamOnAllow),
			ResponseHeader: pick(resp.Header, e.HeadersToDownstreamOnAllow)}, nil
	case err != nil:
		return nil, fmt.Errorf("identity: external authorization: %w", err)
	}
	d := &Decision{Status: resp.StatusCode, Body: string(body), ResponseHeader: http.Header{}}
	for k, v := range resp.Header {
		if len(e.HeadersToDownstreamOnDeny) == 0 && !hopByHop(k) || listed(e.HeadersToDownstreamOnDeny, k) || k == "Www-Authenticate" || k == "Location" {
			d.ResponseHeader[k] = v
		}
	}
	return d, nil
}

// listed tells whether the header's name is on the list, in any case of its letters.
func listed(list []string, name string) bool {
	name = strings.ToLower(name)
	for _, p := range list {
		if ok, _ := path.Match(strings.ToLower(p), name); ok {
			return true
		}
	}
	return false
}

func pick(h http.Header, names []string) http.Header {
	var out http.Header
	for k, v := range h {
		if listed(names, k) {
			out = merge(out, http.Header{k: v})
		}
	}
	return out
}

// hopByHop are headers of one connection, and of a body that we write ourselves.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Trailer", "Te", "Proxy-Connection", "Content-Length", "Date":
		return true
	}
	return false
}
