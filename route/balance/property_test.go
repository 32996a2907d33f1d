package balance_test

import (
	"fmt"
	"math"
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"
	"pgregory.net/rapid"

	"github.com/go-inmesh/inmesh/route/balance"
)

// policies are settings of every algorithm.
func policies() map[string]*networking.LoadBalancerSettings {
	maglev := byHeader("x")
	maglev.HashAlgorithm = &networking.LoadBalancerSettings_ConsistentHashLB_Maglev{Maglev: &networking.LoadBalancerSettings_ConsistentHashLB_MagLev{TableSize: 251}}
	return map[string]*networking.LoadBalancerSettings{
		"random": random, "round robin": roundRobin, "least request": leastRequest, "ring": hashing(byHeader("x")), "maglev": hashing(maglev),
	}
}

// Whatever there is of endpoints, localities, weights, ejections, thresholds and settings: the shares are those of the
// endpoints that may be picked and sum to 1, nothing is picked that has no share, and nothing is picked only if there is
// nothing healthy where the requests go.
func TestSharesSum(t *testing.T) {
	all := policies()
	rapid.Check(t, func(t *rapid.T) {
		lb := &networking.LoadBalancerSettings{LbPolicy: all[rapid.SampledFrom([]string{"random", "round robin", "least request", "ring", "maglev"}).Draw(t, "algorithm")].LbPolicy}
		place := rapid.SampledFrom([]string{"", "a", "a/x", "a/y", "a/x/1", "b/x", "c"})
		switch rapid.IntRange(0, 5).Draw(t, "setting") {
		case 1:
			lb.LocalityLbSetting = &localities{Failover: []*failover{{From: "a", To: "b"}}}
		case 2:
			lb.LocalityLbSetting = &localities{FailoverPriority: []string{"version", "zone=x"}}
		case 3:
			lb.LocalityLbSetting = &localities{Distribute: []*distribute{{From: "a/*", To: map[string]uint32{"a/*": 1, "b/*": 99}}, {From: "b", To: map[string]uint32{"c": 100}}}}
		case 4:
			lb.Warmup = &networking.WarmupConfiguration{Duration: durationpb.New(1e9)}
		}
		b, err := balance.New(lb, nil)
		if err != nil {
			t.Fatal(err)
		}
		b.Failover = rapid.Bool().Draw(t, "outlier detection")
		b.PanicPercent = rapid.SampledFrom([]int{0, 0, 1, 50, 100}).Draw(t, "panic")
		b.Client = balance.Client{Locality: place.Draw(t, "client"), Labels: map[string]string{"version": "v1"}}
		for range 2 {
			eps := make([]*balance.Endpoint, rapid.IntRange(0, 12).Draw(t, "endpoints"))
			for i := range eps {
				eps[i] = &balance.Endpoint{Address: fmt.Sprint(i), Locality: place.Draw(t, "place"), Weight: rapid.IntRange(-1, 30).Draw(t, "weight"),
					Labels: map[string]string{"version": rapid.SampledFrom([]string{"v1", "v2"}).Draw(t, "version")}}
			}
			eps = balance.Carry(b.Endpoints(), eps)
			b.Update(eps)
			for _, e := range eps {
				e.SetEjected(rapid.IntRange(0, 2).Draw(t, "ejected") == 0)
			}
			verify(t, b, eps)
		}
	})
}

func verify(t *rapid.T, b *balance.Balancer, eps []*balance.Endpoint) {
	shares, sum, loads := b.Shares(), 0., 0
	for _, p := range b.Status().Priorities {
		loads += p.Load
	}
	if want := 100 * min(len(b.Status().Priorities), 1); loads != want {
		t.Fatalf("loads sum to %d, want %d", loads, want)
	}
	at := map[*balance.Endpoint]int{}
	for i, e := range eps {
		at[e] = i
		sum += shares[i]
		if shares[i] < 0 || shares[i] > 0 && !e.Healthy() && !b.Panic() {
			t.Errorf("endpoint %d, healthy %v: got a share of %v", i, e.Healthy(), shares[i])
		}
	}
	if math.Abs(sum-1) > 1e-6 && sum != 0 {
		t.Errorf("shares %v sum to %v", shares, sum)
	}
	for k := range uint64(40) {
		h := balance.Hints{Key: k * 0x9e3779b97f4a7c15, Keyed: k%4 != 0}
		if len(eps) > 0 && k%3 == 0 {
			h.Tried, h.Away = eps[:1], []*balance.Endpoint{eps[0], eps[0]}
		}
		e := b.Pick(h)
		switch {
		case e == nil && sum != 0:
			t.Errorf("got none, with shares %v", shares)
		case e != nil && (sum == 0 || e.Priority() < 0):
			t.Errorf("got %s, with shares %v", e.Address, shares)
		case e != nil && shares[at[e]] == 0 && h.Away == nil:
			t.Errorf("got %s, which has no share: %v", e.Address, shares)
		}
	}
}

func TestAllocsOfEverything(t *testing.T) {
	for name, lb := range policies() {
		for _, n := range []int{3, 1000} {
			b, eps := newBalancer(t, lb, 1), make([]*balance.Endpoint, n)
			for i := range eps {
				eps[i] = &balance.Endpoint{Address: fmt.Sprint("10.0.0.1:", i), Locality: []string{"a/x", "a/y", "b/x"}[i%3], Weight: 1 + i%2}
			}
			b.Failover, b.Client.Locality = true, "a/x"
			b.Update(eps)
			for _, e := range eps[:n/2+1] {
				e.SetEjected(true) // so that it spills over
			}
			h := balance.Hints{Key: 5, Keyed: true, Tried: eps[:1], Away: []*balance.Endpoint{eps[0], eps[1], eps[0]}}
			if got := testing.AllocsPerRun(100, func() { b.Pick(balance.Hints{}); b.Pick(h); h.Key++ }); got != 0 {
				t.Errorf("%s, %d endpoints: got %v allocations, want none", name, n, got)
			}
		}
	}
}

func BenchmarkPickByHash(b *testing.B) {
	for _, name := range []string{"ring", "maglev"} {
		for _, n := range []int{3, 100, 10_000} {
			bal, err := balance.New(policies()[name], nil)
			if err != nil {
				b.Fatal(err)
			}
			bal.Update(endpoints(make([]int, n)...))
			b.Run(fmt.Sprintf("%s/n=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				h := balance.Hints{Keyed: true}
				for b.Loop() {
					h.Key += 0x9e3779b97f4a7c15
					bal.Pick(h)
				}
			})
		}
	}
}

// What is picked when half of the nearest locality is out, and by localities that are weighed.
func BenchmarkPickByLocality(b *testing.B) {
	for name, setting := range map[string]*localities{"spill": nil, "distribute": {Distribute: []*distribute{{From: "*", To: map[string]uint32{"a/*": 60, "b/*": 40}}}}} {
		for _, n := range []int{3, 100, 10_000} {
			bal, err := balance.New(&networking.LoadBalancerSettings{LocalityLbSetting: setting}, nil)
			if err != nil {
				b.Fatal(err)
			}
			bal.Failover, bal.Client.Locality = true, "a/x"
			eps := endpoints(make([]int, n)...)
			for i, e := range eps {
				e.Locality = []string{"a/x", "b/x"}[i%2]
			}
			bal.Update(eps)
			for i := 0; i < n; i += 4 {
				eps[i].SetEjected(true)
			}
			b.Run(fmt.Sprintf("%s/n=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					bal.Pick(balance.Hints{})
				}
			})
		}
	}
}

// How long it takes to lay out 10,000 endpoints, as when one of them is ejected.
func BenchmarkLayOut(b *testing.B) {
	for name, lb := range policies() {
		bal, err := balance.New(lb, nil)
		if err != nil {
			b.Fatal(err)
		}
		eps := endpoints(make([]int, 10_000)...)
		bal.Update(eps)
		b.Run(name, func(b *testing.B) {
			out := false
			for b.Loop() {
				out = !out
				eps[0].SetEjected(out)
			}
		})
	}
}

// Picks, updates, ejections and warmup at once: under the race detector, nothing is torn.
func TestConcurrentEverything(t *testing.T) {
	for name, lb := range policies() {
		t.Run(name, func(t *testing.T) {
			b, err := balance.New(&networking.LoadBalancerSettings{LbPolicy: lb.LbPolicy, Warmup: &networking.WarmupConfiguration{Duration: durationpb.New(1e8)}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			b.Failover, b.Client.Locality = true, "a/x"
			fresh := func(n int) []*balance.Endpoint {
				eps := endpoints(make([]int, n)...)
				for i, e := range eps {
					e.Locality = []string{"a/x", "a/y", "b/x"}[i%3]
				}
				return eps
			}
			b.Update(fresh(6))
			var group sync.WaitGroup
			for g := range 3 {
				group.Go(func() {
					for i := range 500 {
						eps := b.Endpoints()
						switch {
						case g == 0 && i%10 == 0:
							b.Update(balance.Carry(eps, fresh(4+i%5)))
						case g == 0:
							eps[i%3].SetEjected(i%2 == 0)
							eps[i%3].SetFailing(i%7 == 0)
						default:
							e := b.Pick(balance.Hints{Key: uint64(i) << 50, Keyed: i%2 == 0, Tried: eps[:1], Away: []*balance.Endpoint{eps[0], eps[1]}})
							if e == nil {
								t.Error("got none, though half of all are healthy")
								return
							}
							_, _ = b.Status(), b.Shares()
						}
					}
				})
			}
			group.Wait()
		})
	}
}
