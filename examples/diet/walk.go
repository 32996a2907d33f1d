package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"
)

// walk goes through the talk's steps: it applies a rule, plays the client, and reports.
func walk(ctx context.Context, t *town, r *report) error {
	steps := []struct {
		title, variant string
		play           func(context.Context, *town, *report) error
	}{
		{"An exact URI", "hello-istio-virtual-service.yaml", exactURI},
		{"All traffic to version 1", "hello-istio-v1.yaml", split},
		{"All traffic to version 2", "hello-istio-v2.yaml", split},
		{"A canary release", "hello-istio-25-75.yaml", split},
		{"Half and half", "hello-istio-50-50.yaml", split},
		{"Most traffic to the new version", "hello-istio-75-25.yaml", split},
		{"By user agent: Chrome sees version 2", "hello-istio-user-agent.yaml", userAgent},
		{"By cookie: leander sees version 2", "hello-istio-user-cookie.yaml", userCookie},
		{"A delay of 2 s for half of the requests", "alphabet-service-delay.yaml", delay},
		{"The delay, and 500 for half of the requests", "alphabet-service-fault.yaml", fault},
		{"The circuit breaker policy", "alphabet-service-virtual-service.yaml", circuitBreaker},
	}
	for _, s := range steps {
		if t.manifests[s.variant].Rules == nil {
			r.skip(s.title, s.variant)
			continue
		}
		if err := t.apply(s.variant); err != nil {
			return err
		}
		r.step(s.title, s.variant, t.manifests[s.variant].routes())
		if err := s.play(ctx, t, r); err != nil {
			return fmt.Errorf("%s: %w", s.variant, err)
		}
	}
	return ctx.Err()
}

// get is one request of the client to the gateway.
func (t *town) get(ctx context.Context, url string, headers ...string) (code int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

const helloURL = "http://hello-istio.cloud/api/hello"

// version is which version of hello-istio answered.
func (t *town) version(ctx context.Context, headers ...string) (string, error) {
	code, body, err := t.get(ctx, helloURL, headers...)
	switch {
	case err != nil:
		return "", err
	case strings.Contains(body, `"v1"`):
		return "v1", nil
	case strings.Contains(body, `"v2"`):
		return "v2", nil
	}
	return fmt.Sprint(code), nil
}

func exactURI(ctx context.Context, t *town, r *report) error {
	for _, c := range []struct {
		url  string
		want int
	}{{helloURL, 200}, {"http://hello-istio.cloud/api/hello/", 404}, {"http://hello-istio.cloud/", 404}} {
		code, _, err := t.get(ctx, c.url)
		if err != nil {
			return err
		}
		r.row("GET "+c.url, fmt.Sprint(c.want), fmt.Sprint(code), code == c.want)
	}
	return nil
}

// split compares what clients saw with the weights of the rule in place.
func split(ctx context.Context, t *town, r *report) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, helloURL, nil)
	if err != nil {
		return err
	}
	e, err := t.edge.ExplainGateway("hello-istio-gateway", req)
	if err != nil {
		return err
	}
	weights, sum := map[string]int{}, 0
	for _, d := range e.Destinations {
		w := d.Weight
		if len(e.Destinations) == 1 {
			w = 100
		}
		weights[strings.Split(d.Cluster, "|")[2]] += w
		sum += w
	}
	const n, clients = 1000, 8
	seen := map[string]int{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for range n / clients {
				v, failed := t.version(ctx)
				mu.Lock()
				seen[v]++
				err = errors.Join(err, failed)
				mu.Unlock()
			}
		})
	}
	if group.Wait(); err != nil {
		return err
	}
	for _, v := range []string{"v1", "v2"} {
		p := float64(weights[v]) / float64(sum)
		got := float64(seen[v]) / n
		// Five standard deviations: one walk in a million is wrong by chance.
		tolerance := 5 * math.Sqrt(p*(1-p)/n)
		r.row(fmt.Sprintf("share of %s in %d requests", v, n), fmt.Sprintf("%.0f %%", 100*p), fmt.Sprintf("%.1f %%", 100*got), math.Abs(got-p) <= tolerance)
	}
	return nil
}

func userAgent(ctx context.Context, t *town, r *report) error {
	return seesVersion(ctx, t, r, map[string]string{
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0 Safari/537.36": "v2",
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0":        "v1",
	})
}

func userCookie(ctx context.Context, t *town, r *report) error {
	return seesVersion(ctx, t, r, map[string]string{
		"Cookie: user=leander": "v2", "Cookie: theme=dark;user=leander": "v2", "Cookie: user=leanderthal": "v1", "Cookie: user=somebody": "v1",
	})
}

func seesVersion(ctx context.Context, t *town, r *report, want map[string]string) error {
	for _, header := range sortedKeys(want) {
		got, err := t.version(ctx, header)
		if err != nil {
			return err
		}
		r.row(shorten(header, 46), want[header], got, got == want[header])
	}
	return nil
}

// spellURL asks spelling-service for a letter that alphabet-service knows.
const spellURL = "http://spelling.cloud/api/spell?word=z"

// spelled is what a client saw of one request through gateway, spelling-service and alphabet-service.
type spelled struct {
	code int
	body string
	took time.Duration
}

// spell sends requests a little apart, so that those without a delay do not meet at the circuit breaker.
func (t *town) spell(ctx context.Context, n int, apart time.Duration) []spelled {
	out := make([]spelled, n)
	var group sync.WaitGroup
	for i := range out {
		group.Go(func() {
			began := time.Now()
			code, body, err := t.get(ctx, spellURL)
			if err != nil {
				body = err.Error()
			}
			out[i] = spelled{code, strings.TrimSpace(body), time.Since(began)}
		})
		time.Sleep(apart)
	}
	group.Wait()
	return out
}

const faultRequests = 120

// isDelayed tells whether the two seconds of the rule passed.
func isDelayed(s spelled) bool { return s.took >= 2*time.Second }

func delay(ctx context.Context, t *town, r *report) error {
	r.share("delayed by 2 s", 0.5, t.spell(ctx, faultRequests, 5*time.Millisecond), isDelayed)
	return nil
}

func fault(ctx context.Context, t *town, r *report) error {
	seen := t.spell(ctx, faultRequests, 5*time.Millisecond)
	r.share("delayed by 2 s", 0.5, seen, isDelayed)
	r.share("answered 500, fault filter abort", 0.5, seen, func(s spelled) bool { return s.code == 500 && s.body == "fault filter abort" })
	return nil
}

// circuitBreaker shows both halves of the policy: one request at a time with one in line, and an endpoint that is taken
// out after one 5xx.
func circuitBreaker(ctx context.Context, t *town, r *report) error {
	const n = 10
	gate := make(chan struct{})
	t.alphabet.gate.Store(&gate)
	results := make(chan spelled, n)
	for range n {
		go func() {
			code, body, err := t.get(ctx, spellURL)
			if err != nil {
				body = err.Error()
			}
			results <- spelled{code: code, body: strings.TrimSpace(body)}
		}()
	}
	var seen []spelled
	for len(seen) < n-2 { // all but the one that runs and the one that waits
		select {
		case s := <-results:
			seen = append(seen, s)
		case <-time.After(900 * time.Millisecond): // below the rule's limit for one try
			seen = append(seen, spelled{body: "still waiting"})
		}
	}
	t.alphabet.gate.Store(nil)
	close(gate)
	seen = append(seen, <-results, <-results)
	ok, overflow := 0, 0
	for _, s := range seen {
		switch {
		case s.code == 200:
			ok++
		case s.code == 503 && s.body == "UO":
			overflow++
		}
	}
	r.row(fmt.Sprintf("%d at once: one runs, one waits", n), "2 × 200", fmt.Sprintf("%d × 200", ok), ok == 2)
	r.row("the others overflow", "8 × 503 UO", fmt.Sprintf("%d × 503 UO", overflow), overflow == 8)

	show := func(what string, want spelled) {
		code, body, err := t.get(ctx, spellURL)
		if err != nil {
			body = err.Error()
		}
		got := spelled{code: code, body: strings.TrimSpace(body)}
		r.row(what, fmt.Sprintf("%d %s", want.code, want.body), fmt.Sprintf("%d %s", got.code, got.body), got == want)
	}
	t.alphabet.broken.Store(true)
	show("alphabet-service fails once", spelled{code: 500, body: "out of order"})
	ejected := time.Now()
	show("it is ejected: nobody asks it", spelled{code: 503, body: "UH"})
	t.alphabet.broken.Store(false)
	for t.ejected() && time.Since(ejected) < 8*time.Second {
		time.Sleep(20 * time.Millisecond)
	}
	back := time.Since(ejected)
	r.row("it returns at a sweep after 5 s", "5.0 to 6.2 s", fmt.Sprintf("%.1f s", back.Seconds()), back >= 4900*time.Millisecond && back < 6200*time.Millisecond)
	show("and answers again", spelled{code: 200, body: "Z Zulu"})
	return nil
}

// ejected tells whether spelling-service keeps away from alphabet-service.
func (t *town) ejected() bool {
	req, err := http.NewRequest(http.MethodGet, "http://alphabet-service:8080/", nil)
	if err != nil {
		return false
	}
	e, err := t.spelling.Explain(req)
	return err == nil && len(e.Destinations) == 1 && len(e.Destinations[0].Ejected) == 1
}
