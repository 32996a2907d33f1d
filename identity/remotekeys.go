package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	freshKeys  = 5 * time.Minute  // how long keys serve without a look for new ones
	keysPause  = 10 * time.Second // between fetches that tokens with unknown keys ask for, and after failures
	maxKeysDoc = 1 << 20          // bytes
)

// remoteKeys are the keys at a URL, or where the issuer's OpenID configuration at the URL says. They are fetched when
// somebody needs them, by one at a time.
type remoteKeys struct {
	url      string
	discover bool
	timeout  time.Duration
	client   *http.Client
	context  context.Context
	start    func(func()) bool

	mu     sync.Mutex
	good   *keySet // the last ones; nil before the first success
	begun  time.Time
	err    error         // of the last fetch
	flight chan struct{} // closed when the fetch that is under way ends; nil for none
}

func newRemoteKeys(place string, discover bool, timeout time.Duration, o *TokenOptions) *remoteKeys {
	k := &remoteKeys{url: place, discover: discover, timeout: timeout, client: o.Client, context: o.Context, start: o.Start}
	if k.client == nil {
		k.client = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}, CheckRedirect: noDowngrade}
	}
	if k.context == nil {
		k.context = context.Background()
	}
	return k
}

// noDowngrade keeps keys that were asked for over TLS from coming without.
func noDowngrade(req *http.Request, via []*http.Request) error {
	if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" || len(via) >= 5 {
		return errors.New("identity: redirected too far, or from https to http")
	}
	return nil
}

// get returns keys other than those that lack what is needed, if there are any; nil lacks nothing. Keys that were good
// once are better than none.
func (k *remoteKeys) get(ctx context.Context, lacking *keySet) (*keySet, error) {
	k.mu.Lock()
	now, good := time.Now(), k.good
	switch {
	case good != nil && good != lacking && now.Sub(good.at) < freshKeys:
		k.mu.Unlock()
		return good, nil
	case good != nil && good != lacking: // old: new ones come beside this request, if somebody can fetch them so
		if k.flight != nil || now.Sub(k.begun) < keysPause {
			k.mu.Unlock()
			return good, nil
		}
		done := k.begin(now)
		k.mu.Unlock()
		if k.start == nil {
			k.fetch(done)
			return k.last()
		}
		if !k.start(func() { k.fetch(done) }) {
			k.end(done, nil, context.Canceled)
		}
		return good, nil
	}
	flight := k.flight
	if flight == nil {
		if !k.begun.IsZero() && now.Sub(k.begun) < keysPause {
			defer k.mu.Unlock()
			if good != nil {
				return good, nil
			}
			return nil, k.err
		}
		done := k.begin(now)
		k.mu.Unlock()
		k.fetch(done)
		return k.last()
	}
	k.mu.Unlock()
	select {
	case <-flight:
		return k.last()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// begin says that a fetch is under way. The caller holds the lock.
func (k *remoteKeys) begin(now time.Time) chan struct{} {
	k.flight, k.begun = make(chan struct{}), now
	return k.flight
}

// end tells all who wait.
func (k *remoteKeys) end(done chan struct{}, set *keySet, err error) {
	k.mu.Lock()
	if k.flight, k.err = nil, err; set != nil {
		set.at = time.Now()
		k.good = set
	}
	k.mu.Unlock()
	close(done)
}

func (k *remoteKeys) last() (*keySet, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.good != nil {
		return k.good, nil
	}
	return nil, k.err
}

// fetch asks for the keys. The request that does so may be cancelled: others wait for them too.
func (k *remoteKeys) fetch(done chan struct{}) {
	set, err := (*keySet)(nil), errors.New("identity: fetch of keys did not end")
	defer func() { k.end(done, set, err) }()
	ctx, cancel := context.WithTimeout(k.context, k.timeout)
	defer cancel()
	place := k.url
	if k.discover {
		var doc []byte
		if doc, err = k.read(ctx, place); err != nil {
			return
		}
		if place, err = keysPlace(doc); err != nil {
			return
		}
	}
	var doc []byte
	if doc, err = k.read(ctx, place); err != nil {
		return
	}
	if set, err = parseKeys(doc, false); err != nil {
		err = fmt.Errorf("identity: keys at %s: %w", place, err)
	}
}

// keysPlace reads an issuer's OpenID configuration.
func keysPlace(doc []byte) (string, error) {
	var config struct {
		JWKS string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(doc, &config); err != nil {
		return "", fmt.Errorf("identity: OpenID configuration: %w", err)
	}
	if u, err := url.Parse(config.JWKS); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("identity: OpenID configuration: jwks_uri %q is not a URL of http or https", config.JWKS)
	}
	return config.JWKS, nil
}

func (k *remoteKeys) read(ctx context.Context, place string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, place, nil)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("identity: %s answered %s", place, resp.Status)
	}
	doc, err := io.ReadAll(io.LimitReader(resp.Body, maxKeysDoc+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("identity: %s: %w", place, err)
	case len(doc) > maxKeysDoc:
		return nil, fmt.Errorf("identity: %s answered more than %d bytes", place, maxKeysDoc)
	}
	return doc, nil
}
