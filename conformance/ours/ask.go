// Package ours asks inmesh the same questions as package istio asks Istio.
package ours

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-inmesh/inmesh/mesh"
	"github.com/go-inmesh/inmesh/route"

	"github.com/go-inmesh/inmesh/conformance/world"
)

// quiet takes the mesh's warnings.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// Rules are a case's objects, loaded.
func Rules(c *world.Case) (*mesh.Rules, error) { return mesh.Parse(c.Name, []byte(c.YAML())) }

// Client is inmesh as one client has it.
type Client struct {
	*mesh.Mesh
	client world.Client
	// Rand is what every draw of the mesh gives.
	rand float64
	// Dialled maps our end of a connection to the endpoint that it was made for.
	fleet *fleet
}

// New makes the mesh of a client. Close it.
func New(rules *mesh.Rules, c *world.Case, cl world.Client) (*Client, error) {
	out := &Client{client: cl, fleet: newFleet()}
	m, err := mesh.New(rules, &mesh.Options{
		Workload: mesh.Workload{Name: "client", Namespace: cl.Namespace, Labels: nonNil(cl.Labels), Locality: cl.Locality},
		Logger:   quiet, RegistryOnly: c.RegistryOnly, Rand: func() float64 { return out.rand },
		Dial: out.fleet.dial, LookupHost: lookupHost, LocalReplies: true,
	})
	if err != nil {
		return nil, err
	}
	out.Mesh = m
	return out, nil
}

func nonNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// lookupHost finds every name at once, at one address.
func lookupHost(context.Context, string) ([]string, error) { return []string{"192.0.2.53"}, nil }

// Close ends the mesh.
func (c *Client) Close() {
	_ = c.Mesh.Close()
	c.fleet.close()
}

// request is the request as an application makes it.
func request(r world.Request) (*http.Request, error) {
	scheme := "http"
	if r.TLS {
		scheme = "https"
	}
	name, _, _ := strings.Cut(r.Host, ":")
	req, err := http.NewRequest(r.Method, fmt.Sprintf("%s://%s:%d%s", scheme, name, r.Port, r.Path), nil)
	if err != nil {
		return nil, err
	}
	req.Host = r.Host
	for k, v := range r.Headers {
		req.Header.Set(k, v)
	}
	return req, nil
}

// Ask says what becomes of the request, as Explain tells it.
func (c *Client) Ask(r world.Request) world.Answer {
	req, err := request(r)
	if err != nil {
		return world.Answer{Error: err.Error()}
	}
	e, err := c.explain(req)
	if err != nil {
		return world.Answer{Error: err.Error()}
	}
	a := answer(e, r)
	a.Settle()
	return a
}

func (c *Client) explain(req *http.Request) (*mesh.Explanation, error) {
	if c.client.Gateway != "" {
		return c.ExplainGateway(c.client.Gateway, req)
	}
	return c.Explain(req)
}

func answer(e *mesh.Explanation, r world.Request) world.Answer {
	a := world.Answer{Outcome: e.Outcome, Code: e.Code, Location: e.Location, Body: e.Body, Path: e.Path}
	if e.Route != nil {
		a.Route = e.Route.Name
	}
	if a.Route == "default" {
		a.Route = ""
	}
	switch e.Outcome {
	case mesh.OutcomeRoute:
	case mesh.OutcomeRedirect, mesh.OutcomeDirectResponse:
		if e.Route == nil { // a gateway's redirect to https: no route answers
			return a
		}
		a.Response = world.Probe()
		apply(e.ResponseHeaders, a.Response, lower(r.Headers))
		a.Fault, a.CORS = fault(e.Fault), cors(e.CORS)
		return a
	default:
		return a
	}
	for _, d := range e.Destinations {
		x := world.Dest{Cluster: d.Cluster, Weight: d.Weight, Missing: d.Missing != "", Authority: e.Authority, Request: lower(r.Headers), Response: world.Probe()}
		if d.Authority != "" {
			x.Authority = d.Authority
		}
		for _, o := range []*route.Ops{d.RequestHeaders, e.RequestHeaders} {
			apply(o, x.Request, nil)
		}
		for _, o := range []*route.Ops{d.ResponseHeaders, e.ResponseHeaders} {
			apply(o, x.Response, lower(r.Headers))
		}
		a.Dests = append(a.Dests, x)
	}
	a.Timeout = e.Timeout
	if p := e.Retries; p != nil {
		a.Retries = &world.Retries{Attempts: p.Attempts, On: strings.Split(p.RetryOn, ","), PerTry: p.PerTryTimeout, Backoff: p.Backoff}
		for i := range a.Retries.On {
			a.Retries.On[i] = strings.TrimSpace(a.Retries.On[i])
		}
	}
	for _, m := range e.Mirrors {
		a.Mirrors = append(a.Mirrors, world.Mirror{Cluster: m.Cluster, Share: millionths(m.Percentage)})
	}
	a.Fault, a.CORS = fault(e.Fault), cors(e.CORS)
	return a
}

// apply runs operations as an explanation lists them: remove, set, add. The formatters are those of package istio.
func apply(o *route.Ops, h, request world.Headers) {
	if o == nil {
		return
	}
	for _, name := range o.Remove {
		delete(h, strings.ToLower(name))
	}
	set, add := map[string]string{}, map[string]string{}
	for k, v := range o.Set {
		set[strings.ToLower(k)] = format(v, h, request)
	}
	for k, v := range o.Add {
		add[strings.ToLower(k)] = format(v, h, request)
	}
	for k, v := range set {
		if v != "" {
			h[k] = v
		}
	}
	for k, list := range add {
		for v := range strings.SplitSeq(list, ",") { // additions of one name are listed together
			switch have, ok := h[k]; {
			case v == "":
			case ok:
				h[k] = have + "," + v
			default:
				h[k] = v
			}
		}
	}
}

func format(v string, h, request world.Headers) string {
	if request == nil {
		request = h
	}
	var b strings.Builder
	for v != "" {
		before, rest, ok := strings.Cut(v, "%")
		b.WriteString(before)
		if !ok {
			break
		}
		if after, ok := strings.CutPrefix(rest, "%"); ok {
			b.WriteByte('%')
			v = after
			continue
		}
		name, after, _ := strings.Cut(rest, "%")
		name = strings.TrimSuffix(strings.TrimPrefix(name, "REQ("), ")")
		b.WriteString(request[strings.ToLower(name)])
		v = after
	}
	return b.String()
}

func lower(h map[string]string) world.Headers {
	out := make(world.Headers, len(h))
	for k, v := range h {
		out[strings.ToLower(k)] = v
	}
	return out
}

// millionths is a percentage as Istio hands it to Envoy: whole millionths, cut off.
func millionths(percent float64) int { return int(uint32(percent * 10000)) }

func fault(f *mesh.ExplainedFault) *world.Fault {
	if f == nil {
		return nil
	}
	out := &world.Fault{}
	if d := f.Delay; d != nil {
		out.Delay, out.DelayShare = d.FixedDelay, millionths(d.Percentage)
	}
	if b := f.Abort; b != nil {
		out.HTTP, out.AbortShare = b.HTTPStatus, millionths(b.Percentage)
		if b.GRPCStatus != "" {
			out.GRPC = strconv.Itoa(grpcCodes[b.GRPCStatus])
		}
	}
	return out
}

var grpcCodes = map[string]int{
	"OK": 0, "CANCELLED": 1, "UNKNOWN": 2, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5, "ALREADY_EXISTS": 6,
	"PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8, "FAILED_PRECONDITION": 9, "ABORTED": 10, "OUT_OF_RANGE": 11, "UNIMPLEMENTED": 12,
	"INTERNAL": 13, "UNAVAILABLE": 14, "DATA_LOSS": 15, "UNAUTHENTICATED": 16,
}

func cors(c *mesh.ExplainedCORS) *world.CORS {
	if c == nil {
		return nil
	}
	out := &world.CORS{Methods: strings.Join(c.AllowMethods, ","), Headers: strings.Join(c.AllowHeaders, ","),
		Expose: strings.Join(c.ExposeHeaders, ","), Credentials: c.AllowCredentials}
	for _, o := range c.AllowOrigins {
		switch {
		case strings.HasPrefix(o, "~"):
			out.Origins = append(out.Origins, o)
		case strings.HasSuffix(o, "*") && o != "*":
			out.Origins = append(out.Origins, "^"+strings.TrimSuffix(o, "*"))
		default:
			out.Origins = append(out.Origins, "="+o)
		}
	}
	if d, err := time.ParseDuration(c.MaxAge); err == nil && c.MaxAge != "" {
		out.MaxAge = strconv.Itoa(int(d.Seconds()))
	}
	return out
}

// RuleHost is the host of the virtual host that a rule makes for the request, and whether it is one for ports that no
// service declares; empty where no rule acts.
func (c *Client) RuleHost(r world.Request) (host string, anyPort bool) {
	req, err := request(r)
	if err != nil {
		return "", false
	}
	e, err := c.explain(req)
	if err != nil || e.VirtualService == "" {
		return "", false
	}
	i := strings.LastIndexByte(e.VirtualHost, ':')
	return e.VirtualHost[:i], e.VirtualHost[i:] == ":*"
}

// IsGateway tells whether the client comes through a gateway.
func (c *Client) IsGateway() bool { return c.client.Gateway != "" }
