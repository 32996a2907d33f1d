package breaker

import "net/url"

// mostSites is how many hosts are remembered, unless more of them are in use.
const mostSites = 1024

// site finds what is kept of the URL's host, or starts keeping it.
func (b *Breaker) site(u *url.URL) (*site, error) {
	if s := b.all()[u.Host]; s != nil {
		return s, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.all()
	if s := old[u.Host]; s != nil {
		return s, nil
	}
	s, err := b.newSite(u)
	if err != nil {
		return nil, err
	}
	next := make(map[string]*site, len(old)+1)
	for host, s := range old {
		if len(old) >= mostSites && s.idle() {
			s.outlier.Close()
			continue
		}
		next[host] = s
	}
	next[u.Host] = s
	b.hosts.Store(&next)
	return s, nil
}

func (b *Breaker) newSite(u *url.URL) (*site, error) {
	p, ok := b.ports[port(u)]
	if !ok {
		p = b.policy
	}
	pool, err := NewPool(p.pool)
	if err != nil {
		return nil, err
	}
	outlier, err := NewOutlier(p.outlier, &OutlierOptions{OnEject: b.OnEject, OnReturn: b.OnReturn})
	if err != nil {
		return nil, err
	}
	outlier.Update([]string{u.Host})
	if b.done {
		outlier.Close()
	}
	return &site{pool: pool, outlier: outlier, host: outlier.Host(u.Host)}, nil
}

// idle tells whether nothing is lost with the site: no request and no ejection, now or of late.
func (s *site) idle() bool {
	c, o := s.pool.Counts(), s.outlier.Status()
	return c.Active == 0 && c.Pending == 0 && o.Enforced == 0 && o.Hosts[0].Consecutive5xx == 0 && o.Hosts[0].ConsecutiveLocal == 0
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}
