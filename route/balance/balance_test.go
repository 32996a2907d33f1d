package balance_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"
	"pgregory.net/rapid"

	"github.com/go-inmesh/inmesh/route/balance"
)

func simple(s networking.LoadBalancerSettings_SimpleLB) *networking.LoadBalancerSettings {
	return &networking.LoadBalancerSettings{LbPolicy: &networking.LoadBalancerSettings_Simple{Simple: s}}
}

var (
	random       = simple(networking.LoadBalancerSettings_RANDOM)
	roundRobin   = simple(networking.LoadBalancerSettings_ROUND_ROBIN)
	leastRequest = simple(networking.LoadBalancerSettings_LEAST_REQUEST)
)

func newBalancer(t testing.TB, lb *networking.LoadBalancerSettings, seed uint64) *balance.Balancer {
	t.Helper()
	b, err := balance.New(lb, rand.New(rand.NewPCG(seed, 0)).Float64)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func endpoints(weights ...int) []*balance.Endpoint {
	eps := make([]*balance.Endpoint, len(weights))
	for i, w := range weights {
		eps[i] = &balance.Endpoint{Address: fmt.Sprintf("10.0.%d.%d:80", i/256, i%256), Weight: w}
	}
	return eps
}

func count(b *balance.Balancer, eps []*balance.Endpoint, n int) []int {
	at := map[*balance.Endpoint]int{}
	for i, e := range eps {
		at[e] = i
	}
	got := make([]int, len(eps))
	for range n {
		got[at[b.Pick(balance.Hints{})]]++
	}
	return got
}

// off is by how many standard deviations a share of n draws misses p. With 5 as the bound, a right balancer
// fails one of two million such checks; the seeds are fixed, so that it does not fail at all.
func off(got, n int, p float64) float64 {
	return (float64(got) - float64(n)*p) / math.Sqrt(float64(n)*p*(1-p))
}

func TestNew(t *testing.T) {
	tests := []struct {
		name string
		lb   *networking.LoadBalancerSettings
		want balance.Algorithm
		err  string
	}{
		{"nil", nil, balance.LeastRequest, ""},
		{"empty", &networking.LoadBalancerSettings{}, balance.LeastRequest, ""},
		{"unspecified", simple(networking.LoadBalancerSettings_UNSPECIFIED), balance.LeastRequest, ""},
		{"least conn", simple(networking.LoadBalancerSettings_LEAST_CONN), balance.LeastRequest, ""},
		{"least request", leastRequest, balance.LeastRequest, ""},
		{"random", random, balance.Random, ""},
		{"round robin", roundRobin, balance.RoundRobin, ""},
		{"passthrough", simple(networking.LoadBalancerSettings_PASSTHROUGH), balance.Passthrough, ""},
		{"consistent hash", &networking.LoadBalancerSettings{LbPolicy: &networking.LoadBalancerSettings_ConsistentHash{
			ConsistentHash: &networking.LoadBalancerSettings_ConsistentHashLB{}}}, balance.RingHash, ""},
		{"consistent hash without a word", &networking.LoadBalancerSettings{LbPolicy: &networking.LoadBalancerSettings_ConsistentHash{}}, balance.LeastRequest, ""},
		{"unknown", simple(99), "", "balance: loadBalancer.simple: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := balance.New(tt.lb, nil)
			if tt.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
					t.Fatalf("got error %v, want one that starts with %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := b.Algorithm(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestNotObeyed(t *testing.T) {
	lb := &networking.LoadBalancerSettings{
		LbPolicy:           &networking.LoadBalancerSettings_ConsistentHash{ConsistentHash: &networking.LoadBalancerSettings_ConsistentHashLB{}},
		LocalityLbSetting:  &networking.LocalityLoadBalancerSetting{},
		ZoneAwareLbSetting: &networking.ZoneAwareLoadBalancerSetting{},
		Warmup:             &networking.WarmupConfiguration{},
		WarmupDurationSecs: durationpb.New(1),
	}
	var got []string
	for _, f := range balance.NotObeyed(lb) {
		got = append(got, f.Path)
	}
	if d := cmp.Diff([]string{"zoneAwareLbSetting"}, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if got := balance.NotObeyed(nil); got != nil {
		t.Errorf("nil settings: got %v, want nothing", got)
	}
}

// Shares of endpoints that are all idle are as their weights, whatever the algorithm.
func TestShares(t *testing.T) {
	many := make([]int, 100)
	for i := range many {
		many[i] = 1 + i%7
	}
	weights := map[string][]int{
		"one": {1}, "two": {1, 1}, "even": {1, 1, 1, 1, 1}, "zero is one": {0, 1, -3},
		"80-20": {80, 20}, "uneven": {1, 2, 3, 4}, "crowd": {1, 100_000, 1, 1}, "many": many,
	}
	for name, lb := range map[string]*networking.LoadBalancerSettings{"random": random, "least request": leastRequest} {
		for wname, ws := range weights {
			t.Run(name+"/"+wname, func(t *testing.T) {
				b, eps := newBalancer(t, lb, 1), endpoints(ws...)
				b.Update(eps)
				sum := 0
				for _, w := range ws {
					sum += max(w, 1)
				}
				const n = 50_000
				for i, got := range count(b, eps, n) {
					p := float64(max(ws[i], 1)) / float64(sum)
					if p < 1 && math.Abs(off(got, n, p)) > 5 {
						t.Errorf("endpoint %d of weight %d: got %d of %d, want %.0f", i, ws[i], got, n, n*p)
					}
				}
			})
		}
	}
}

func TestRoundRobin(t *testing.T) {
	t.Run("in turn", func(t *testing.T) {
		b, eps := newBalancer(t, roundRobin, 1), endpoints(1, 1, 1)
		b.Update(eps)
		first := b.Pick(balance.Hints{})
		at := 0
		for eps[at] != first {
			at++
		}
		for i := range 30 {
			at = (at + 1) % 3
			if got := b.Pick(balance.Hints{}); got != eps[at] {
				t.Fatalf("pick %d: got %s, want %s", i, got.Address, eps[at].Address)
			}
		}
	})
	t.Run("starts anywhere", func(t *testing.T) {
		first := map[string]int{}
		for seed := range uint64(200) {
			b := newBalancer(t, roundRobin, seed)
			b.Update(endpoints(1, 1, 1, 1))
			first[b.Pick(balance.Hints{}).Address]++
		}
		if len(first) != 4 {
			t.Errorf("got %v, want all four", first)
		}
	})
	t.Run("weights, spread", func(t *testing.T) {
		b, eps := newBalancer(t, roundRobin, 1), endpoints(5, 1, 1)
		b.Update(eps)
		last := 0
		for i := range 700 {
			if b.Pick(balance.Hints{}) == eps[0] {
				last = i
			} else if i-last > 1 {
				t.Fatalf("pick %d: two in a row without the endpoint that has five of seven", i)
			}
		}
	})
	t.Run("place is kept", func(t *testing.T) {
		b, eps := newBalancer(t, roundRobin, 1), endpoints(1, 1, 1)
		b.Update(eps)
		got := map[*balance.Endpoint]int{}
		for range 300 {
			got[b.Pick(balance.Hints{})]++
			b.Update(eps)
		}
		if d := cmp.Diff(100, got[eps[0]]); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	})
}

// In a round as long as the sum of the weights, each endpoint has exactly its weight's turns.
func TestRoundRobinIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ws := rapid.SliceOfN(rapid.IntRange(1, 50), 1, 40).Draw(t, "weights")
		b, err := balance.New(roundRobin, func() float64 { return 0.3 })
		if err != nil {
			t.Fatal(err)
		}
		eps := endpoints(ws...)
		b.Update(eps)
		sum, even := 0, true
		for _, w := range ws {
			sum += w
			even = even && w == ws[0]
		}
		for range rapid.IntRange(0, 100).Draw(t, "before") {
			b.Pick(balance.Hints{})
		}
		if d := cmp.Diff(ws, count(b, eps, sum)); d != "" {
			t.Errorf("one round, -want +got:\n%s", d)
		}
	})
}

func TestLeastRequest(t *testing.T) {
	t.Run("the idle one of two", func(t *testing.T) {
		b, eps := newBalancer(t, leastRequest, 1), endpoints(1, 1)
		eps[0].Begin()
		b.Update(eps)
		if d := cmp.Diff([]int{0, 1000}, count(b, eps, 1000)); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
		eps[0].Done()
		if got := count(b, eps, 1000)[0]; got < 400 || got > 600 {
			t.Errorf("both idle: got %d of 1000, want about 500", got)
		}
	})
	t.Run("the busiest of four only against itself", func(t *testing.T) {
		b, eps := newBalancer(t, leastRequest, 1), endpoints(1, 1, 1, 1)
		for i, e := range eps {
			for range i {
				e.Begin()
			}
		}
		b.Update(eps)
		// Of the six pairs, the idle endpoint wins three, the next two, the third one.
		const n = 60_000
		got := count(b, eps, n)
		for i, want := range []float64{3. / 6, 2. / 6, 1. / 6} {
			if math.Abs(off(got[i], n, want)) > 5 {
				t.Errorf("endpoint %d: got %d of %d, want %.0f", i, got[i], n, n*want)
			}
		}
		if got[3] != 0 {
			t.Errorf("busiest: got %d, want 0", got[3])
		}
	})
	t.Run("few of unequal weight: weight/(active+1)", func(t *testing.T) {
		b, eps := newBalancer(t, leastRequest, 1), endpoints(1, 2, 3)
		eps[1].Begin()
		for range 5 {
			eps[2].Begin()
		}
		b.Update(eps)
		const n = 60_000
		got := count(b, eps, n) // 1, 2/2, 3/6
		for i, want := range []float64{1 / 2.5, 1 / 2.5, .5 / 2.5} {
			if math.Abs(off(got[i], n, want)) > 5 {
				t.Errorf("endpoint %d: got %d of %d, want %.0f", i, got[i], n, n*want)
			}
		}
	})
	t.Run("many of unequal weight: a busy one is spared", func(t *testing.T) {
		ws := make([]int, 100)
		for i := range ws {
			ws[i] = 1 + i%2
		}
		b, eps := newBalancer(t, leastRequest, 1), endpoints(ws...)
		for range 9 {
			eps[1].Begin()
		}
		b.Update(eps)
		const n = 200_000
		got := count(b, eps, n)
		// Two draws: it is taken of a pair with an idle one with the chance 1/11, and idle with 1/2.
		if want := n * 2. / 150 * 2 / 11; math.Abs(float64(got[1])-want) > want/7 {
			t.Errorf("got %d, want about %.0f", got[1], want)
		}
	})
}

func TestHealth(t *testing.T) {
	for name, lb := range map[string]*networking.LoadBalancerSettings{"random": random, "round robin": roundRobin, "least request": leastRequest} {
		for wname, ws := range map[string][]int{"even": {1, 1, 1, 1}, "weights": {1, 2, 3, 4}} {
			t.Run(name+"/"+wname, func(t *testing.T) {
				b, eps := newBalancer(t, lb, 1), endpoints(ws...)
				b.Update(eps)
				eps[0].SetEjected(true)
				eps[2].SetEjected(true)
				if got := count(b, eps, 1000); got[0] != 0 || got[2] != 0 || got[1] == 0 || got[3] == 0 {
					t.Errorf("got %v, want none at 0 and 2", got)
				}
				eps[1].SetEjected(true)
				eps[3].SetEjected(true)
				if got := b.Pick(balance.Hints{}); got != nil {
					t.Errorf("all ejected: got %s, want none", got.Address)
				}
				eps[1].SetEjected(false)
				if got := b.Pick(balance.Hints{}); got != eps[1] {
					t.Errorf("one back: got %v, want it", got)
				}
				if got := len(b.Endpoints()); got != 4 {
					t.Errorf("endpoints: got %d, want 4", got)
				}
			})
		}
	}
}

func TestPanic(t *testing.T) {
	b, eps := newBalancer(t, random, 1), endpoints(1, 1, 1, 1)
	b.PanicPercent = 50
	b.Update(eps)
	for i, want := range []bool{false, false, true, true} { // 75, 50, 25, 0 percent healthy
		eps[i].SetEjected(true)
		if got := b.Panic(); got != want {
			t.Errorf("%d of 4 ejected: got panic %v, want %v", i+1, got, want)
		}
		if got := count(b, eps, 100)[0] > 0; got != want {
			t.Errorf("%d of 4 ejected: got an ejected endpoint %v, want %v", i+1, got, want)
		}
	}
}

func TestNothingToPick(t *testing.T) {
	b := newBalancer(t, nil, 1)
	if b.Pick(balance.Hints{}) != nil || b.Endpoints() != nil || b.Panic() {
		t.Error("before an update: got something, want nothing")
	}
	b.Update(endpoints(1))
	b.Update(nil)
	if b.Pick(balance.Hints{}) != nil {
		t.Error("after Update(nil): got an endpoint, want none")
	}
	b = newBalancer(t, simple(networking.LoadBalancerSettings_PASSTHROUGH), 1)
	b.Update(endpoints(1))
	if b.Pick(balance.Hints{}) != nil {
		t.Error("passthrough: got an endpoint, want none")
	}
}

func TestTried(t *testing.T) {
	b, eps := newBalancer(t, random, 1), endpoints(1, 1)
	b.Update(eps)
	const n = 64_000
	again := 0
	for range n {
		if b.Pick(balance.Hints{Tried: eps[:1]}) == eps[0] {
			again++
		}
	}
	// The tried one comes only where six draws in a row fall on it.
	if p := 1. / 64; math.Abs(off(again, n, p)) > 5 {
		t.Errorf("got the tried one %d times of %d, want %.0f", again, n, n*p)
	}
	b.Update(eps[:1])
	if got := b.Pick(balance.Hints{Tried: eps[:1]}); got != eps[0] {
		t.Error("the only one: want it though it was tried")
	}
}

// Numbers that a source should not give do no harm.
func TestBadNumbers(t *testing.T) {
	for _, u := range []float64{0, 1, -1, 2, math.NaN(), math.Inf(1), math.Inf(-1), math.Nextafter(1, 0)} {
		for _, lb := range []*networking.LoadBalancerSettings{random, roundRobin, leastRequest} {
			for _, ws := range [][]int{{1}, {1, 1}, {1, 1, 1}, {1, 2}, {1, 2, 3, 4, 5, 6, 7, 8, 9}} {
				b, err := balance.New(lb, func() float64 { return u })
				if err != nil {
					t.Fatal(err)
				}
				b.Update(endpoints(ws...))
				if b.Pick(balance.Hints{}) == nil {
					t.Errorf("number %v, %s, weights %v: got none", u, b.Algorithm(), ws)
				}
			}
		}
	}
}

func TestHugeWeights(t *testing.T) {
	ws := make([]int, 1000)
	for i := range ws {
		ws[i] = math.MaxInt
	}
	ws[0] = 1
	for _, lb := range []*networking.LoadBalancerSettings{random, roundRobin, leastRequest} {
		b, eps := newBalancer(t, lb, 1), endpoints(ws...)
		b.Update(eps)
		for i, got := range count(b, eps, 100_000) {
			if i == 0 && got > 1 || i > 0 && (got < 40 || got > 180) {
				t.Errorf("%s: endpoint %d: got %d, want about 100, and none at 0", b.Algorithm(), i, got)
			}
		}
	}
}

func TestCarry(t *testing.T) {
	old := endpoints(1, 1, 1)
	old[0].Begin()
	old[1].Begin()
	old[1].SetEjected(true)
	old[1].Extra = "handle"
	fresh := endpoints(1, 5, 1, 1)
	fresh[2].Address = "10.9.9.9:80"
	got := balance.Carry(old, fresh)
	if got[0] != old[0] {
		t.Error("unchanged: want the old endpoint")
	}
	if got[1] == old[1] || got[1].Weight != 5 || got[1].Active() != 1 || !got[1].Ejected() || got[1].Extra != "handle" {
		t.Errorf("new weight: got %+v, want it with the old requests and ejection", got[1])
	}
	if got[2] != fresh[2] || got[2].Active() != 0 || got[3] != fresh[3] {
		t.Error("new addresses: want new endpoints")
	}
	old[1].Done() // a request that began before the update
	if got[1].Active() != 0 {
		t.Errorf("got %d active, want 0", got[1].Active())
	}
	// A third generation goes on with the same state, and health reaches the balancer that has it now.
	b := newBalancer(t, nil, 1)
	third := endpoints(1, 7)
	b.Update(balance.Carry(got, third))
	if third[1].Healthy() {
		t.Error("third generation: got healthy, want ejected")
	}
	old[1].SetEjected(false)
	if got := count(b, b.Endpoints(), 100); got[1] == 0 {
		t.Errorf("got %v, want the one that is back", got)
	}
	if got := b.Pick(balance.Hints{Tried: []*balance.Endpoint{old[1]}}); got == nil {
		t.Error("got none")
	}
}

func TestConcurrent(t *testing.T) {
	for _, ws := range [][]int{{1, 1, 1, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}} {
		b, err := balance.New(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		eps := endpoints(ws...)
		b.Update(eps)
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 2000 {
					if g == 0 {
						eps[i%3].SetEjected(i%2 == 0)
						continue
					}
					e := b.Pick(balance.Hints{Tried: eps[:1]})
					e.Begin()
					e.Done()
				}
			})
		}
		wg.Go(func() {
			for range 200 {
				b.Update(balance.Carry(b.Endpoints(), endpoints(ws...)))
			}
		})
		wg.Wait()
		for _, e := range eps {
			if e.Active() != 0 {
				t.Errorf("got %d active, want 0", e.Active())
			}
			e.SetEjected(false)
		}
		if got := count(b, b.Endpoints(), 1000); got[0] == 0 || got[1] == 0 || got[2] == 0 {
			t.Errorf("all back: got %v, want each", got)
		}
	}
}

func TestAllocs(t *testing.T) {
	for _, lb := range []*networking.LoadBalancerSettings{random, roundRobin, leastRequest} {
		for _, n := range []int{3, 10, 1000} {
			for _, weight := range []int{0, 1} { // 1: unequal
				ws := make([]int, n)
				for i := range ws {
					ws[i] = 1 + weight*i
				}
				b, eps := newBalancer(t, lb, 1), endpoints(ws...)
				b.Update(eps)
				h := balance.Hints{Tried: eps[:1]}
				if got := testing.AllocsPerRun(100, func() {
					e := b.Pick(h)
					e.Begin()
					e.Done()
				}); got != 0 {
					t.Errorf("%s, %d endpoints: got %v allocs, want 0", b.Algorithm(), n, got)
				}
			}
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, lb := range []*networking.LoadBalancerSettings{random, roundRobin, leastRequest} {
		for _, unequal := range []int{0, 1} {
			for _, n := range []int{3, 8, 100, 10_000} {
				bal, err := balance.New(lb, nil)
				if err != nil {
					b.Fatal(err)
				}
				ws := make([]int, n)
				for i := range ws {
					ws[i] = 1 + unequal*(i%10)
				}
				bal.Update(endpoints(ws...))
				b.Run(fmt.Sprintf("%s/unequal=%d/n=%d", bal.Algorithm(), unequal, n), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						bal.Pick(balance.Hints{})
					}
				})
			}
		}
	}
}
