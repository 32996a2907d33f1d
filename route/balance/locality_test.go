package balance_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/route/balance"
)

type (
	localities = networking.LocalityLoadBalancerSetting
	failover   = networking.LocalityLoadBalancerSetting_Failover
	distribute = networking.LocalityLoadBalancerSetting_Distribute
)

func local(l *localities) *networking.LoadBalancerSettings {
	return &networking.LoadBalancerSettings{LbPolicy: random.LbPolicy, LocalityLbSetting: l}
}

// town are endpoints in several places: "locality weight version".
func town(places ...string) []*balance.Endpoint {
	eps := make([]*balance.Endpoint, len(places))
	for i, p := range places {
		f := strings.Fields(p + " 0")
		e := &balance.Endpoint{Address: fmt.Sprintf("10.0.0.%d:80", i+1), Labels: map[string]string{"version": "v1"}}
		if f[0] != "-" {
			e.Locality = f[0]
			e.Labels["topology.kubernetes.io/region"], _, _ = strings.Cut(f[0], "/")
		}
		_, _ = fmt.Sscan(f[1], &e.Weight)
		if len(f) > 3 {
			e.Labels["version"] = f[2]
		}
		eps[i] = e
	}
	return eps
}

// What istiod makes of the settings for endpoints in several places.
func TestLocality(t *testing.T) {
	all := []string{"r1/z1/s1 1 v1", "r1/z1/s2 1 v2", "r1/z2/s1 3 v1", "r2/z1/s1 1 v1", "r3/z1/s1 1 v2", "- 1 v1", "r1/z1/s1 5 v2"}
	here := balance.Client{Locality: "r1/z1/s1", Labels: map[string]string{"version": "v1", "topology.kubernetes.io/region": "r1"}}
	flat := []int{0, 0, 0, 0, 0, 0, 0}
	none := []float64{1. / 13, 1. / 13, 3. / 13, 1. / 13, 1. / 13, 1. / 13, 5. / 13}
	tests := []struct {
		name    string
		setting *localities
		client  balance.Client
		outlier bool
		ranks   []int
		shares  []float64
	}{
		{"absent: the mesh's failover", nil, here, true, []int{0, 1, 2, 3, 3, 3, 0}, []float64{1. / 6, 0, 0, 0, 0, 0, 5. / 6}},
		{"empty", &localities{}, here, true, []int{0, 1, 2, 3, 3, 3, 0}, []float64{1. / 6, 0, 0, 0, 0, 0, 5. / 6}},
		{"without outlier detection", nil, here, false, flat, none},
		{"disabled", &localities{Enabled: wrapperspb.Bool(false)}, here, true, flat, none},
		{"enabled", &localities{Enabled: wrapperspb.Bool(true)}, here, true, []int{0, 1, 2, 3, 3, 3, 0}, []float64{1. / 6, 0, 0, 0, 0, 0, 5. / 6}},
		{"a client without a locality", nil, balance.Client{}, true, []int{1, 1, 1, 1, 1, 0, 1}, []float64{0, 0, 0, 0, 0, 1, 0}},
		{"a client with a region alone", nil, balance.Client{Locality: "r1"}, true, []int{0, 0, 0, 1, 1, 1, 0}, []float64{.1, .1, .3, 0, 0, 0, .5}},
		{"a client elsewhere", nil, balance.Client{Locality: "r9/z/s"}, true, flat, none},
		{"failover", &localities{Failover: []*failover{{From: "r9", To: "r2"}, {From: "r1", To: "r3"}}}, here, true,
			[]int{0, 1, 2, 4, 3, 4, 0}, []float64{1. / 6, 0, 0, 0, 0, 0, 5. / 6}},
		{"failover without outlier detection", &localities{Failover: []*failover{{From: "r1", To: "r3"}}}, here, false, flat, none},
		{"failoverPriority", &localities{FailoverPriority: []string{"version", "topology.kubernetes.io/region"}}, here, true,
			[]int{0, 2, 0, 1, 2, 1, 2}, []float64{.25, 0, .75, 0, 0, 0, 0}},
		{"failoverPriority with a value", &localities{FailoverPriority: []string{"version=v2"}}, here, true,
			[]int{1, 0, 1, 1, 0, 1, 0}, []float64{0, 1. / 7, 0, 0, 1. / 7, 0, 5. / 7}},
		{"failoverPriority by network", &localities{FailoverPriority: []string{"topology.istio.io/network", "version"}}, here, true,
			[]int{0, 1, 0, 0, 1, 0, 1}, []float64{1. / 6, 0, 3. / 6, 1. / 6, 0, 1. / 6, 0}},
		{"failoverPriority of another network", &localities{FailoverPriority: []string{"topology.istio.io/network", "version"}},
			balance.Client{Labels: map[string]string{"topology.istio.io/network": "n", "version": "v1"}}, true,
			[]int{0, 1, 0, 0, 1, 0, 1}, []float64{1. / 6, 0, 3. / 6, 1. / 6, 0, 1. / 6, 0}},
		{"failoverPriority and failover", &localities{FailoverPriority: []string{"version"}, Failover: []*failover{{From: "r1", To: "r3"}}}, here, true,
			[]int{0, 4, 1, 2, 5, 2, 3}, []float64{1, 0, 0, 0, 0, 0, 0}},
		// Of r1/z1's 70, s1 with weight 6 gets 60 and s2 with weight 1 gets 10.
		{"distribute", &localities{Distribute: []*distribute{{From: "r9/*", To: map[string]uint32{"r3/*": 100}}, {From: "r1/z1/*", To: map[string]uint32{"r1/z1/*": 70, "r2/*": 30}}}},
			here, false, []int{0, 0, -1, 0, -1, -1, 0}, []float64{.1, .1, 0, .3, 0, 0, .5}},
		{"distribute from elsewhere", &localities{Distribute: []*distribute{{From: "r9/*", To: map[string]uint32{"r3/*": 100}}}}, here, true, flat, none},
		// 81 in parts of 6, 1 and 3 of 10, rounded up: 49, 9 and 25; with r2's 19 these are 102.
		{"distribute from anywhere", &localities{Distribute: []*distribute{{From: "*", To: map[string]uint32{"r1/*": 81, "r2/*": 19}}}}, balance.Client{}, false,
			[]int{0, 0, 0, 0, -1, -1, 0}, []float64{49. / 102 / 6, 9. / 102, 25. / 102, 19. / 102, 0, 0, 49. / 102 * 5 / 6}},
		{"distribute to a part of an area", &localities{Distribute: []*distribute{{From: "r1/z1/s1", To: map[string]uint32{"r1/*": 20, "r1/z2/*": 80}}}}, here, false,
			[]int{0, 0, 0, -1, -1, -1, 0}, []float64{18. / 101 / 6, 3. / 101, 80. / 101, 0, 0, 0, 18. / 101 * 5 / 6}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := balance.New(local(tt.setting), nil)
			if tt.name == "distribute to a part of an area" && err != nil {
				t.Skip("refused as an overlap")
			}
			if err != nil {
				t.Fatal(err)
			}
			b.Client, b.Failover = tt.client, tt.outlier
			eps := town(all...)
			b.Update(eps)
			ranks := make([]int, len(eps))
			for i, e := range eps {
				ranks[i] = e.Priority()
				if b.Serves(e.Locality) != (ranks[i] >= 0) {
					t.Errorf("%s: got served %v, want %v", e.Locality, b.Serves(e.Locality), ranks[i] >= 0)
				}
			}
			if d := cmp.Diff(tt.ranks, ranks); d != "" {
				t.Errorf("priorities, -want +got:\n%s", d)
			}
			if d := cmp.Diff(tt.shares, b.Shares(), cmpopts.EquateApprox(0, 1e-8)); d != "" {
				t.Errorf("shares, -want +got:\n%s", d)
			}
			// What is picked is as the shares say, within five standard deviations, and nothing comes where the share is 0.
			const n = 20_000
			for i, got := range count(b, eps, n) {
				if p := tt.shares[i]; p > 0 && p < 1 && math.Abs(off(got, n, p)) > 5 || (p == 0) != (got == 0) {
					t.Errorf("endpoint %d: got %d of %d, want %.0f", i, got, n, n*p)
				}
			}
		})
	}
}

// A locality whose endpoints fail gives of its weight to the others, when less than 100/140 of them are healthy.
func TestLocalityWeights(t *testing.T) {
	l := &localities{Distribute: []*distribute{{From: "*", To: map[string]uint32{"a": 50, "b": 50}}}}
	for name, lb := range map[string]*networking.LoadBalancerSettings{
		"random": random, "round robin": roundRobin, "least request": leastRequest,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBalancer(t, &networking.LoadBalancerSettings{LbPolicy: lb.LbPolicy, LocalityLbSetting: l}, 1)
			eps := town("a", "a", "a", "a", "b", "b", "b", "b")
			b.Update(eps)
			// Of four endpoints: 3 healthy bear 4/4·1.05 and give nothing away; 2 bear 70 % of the weight, 1 35 %.
			for out, want := range []float64{.5, .5, .7 / 1.7, .35 / 1.35, 0} {
				if out > 0 {
					eps[out-1].SetEjected(true)
				}
				got := 0.
				for _, s := range b.Shares()[:4] {
					got += s
				}
				if math.Abs(got-want) > 1e-6 {
					t.Errorf("%d of 4 ejected: got a share of %.4f, want %.4f", out, got, want)
				}
				const n = 20_000
				drawn := 0
				for _, k := range count(b, eps, n)[:4] {
					drawn += k
				}
				if want > 0 && math.Abs(off(drawn, n, want)) > 5 || want == 0 && drawn > 0 {
					t.Errorf("%d of 4 ejected: drawn %d of %d, want %.0f", out, drawn, n, n*want)
				}
			}
		})
	}
}

// A ring counts localities by their weight, whatever the health of their endpoints, as Envoy's does.
func TestLocalityOfHashes(t *testing.T) {
	lb := hashing(byHeader("x"))
	lb.GetConsistentHash().HashAlgorithm = &networking.LoadBalancerSettings_ConsistentHashLB_Maglev{Maglev: &networking.LoadBalancerSettings_ConsistentHashLB_MagLev{TableSize: 65_537}}
	lb.LocalityLbSetting = &localities{Distribute: []*distribute{{From: "*", To: map[string]uint32{"a": 80, "b": 20}}}}
	b, eps := newBalancer(t, lb, 1), town("a", "a", "b", "c")
	b.Update(eps)
	if d := cmp.Diff([]float64{.4, .4, .2, 0}, b.Shares(), cmpopts.EquateApprox(0, .001)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	eps[0].SetEjected(true)
	if d := cmp.Diff([]float64{0, .8, .2, 0}, b.Shares(), cmpopts.EquateApprox(0, .001)); d != "" {
		t.Errorf("one ejected, -want +got:\n%s", d)
	}
	// By priority, requests with a number stay together while the loads stay.
	lb.LocalityLbSetting = nil
	b, eps = newBalancer(t, lb, 1), town("a", "a", "b", "b")
	b.Failover, b.Client.Locality = true, "a"
	b.Update(eps)
	eps[0].SetEjected(true) // half of a: 70 % stay
	const n = 20_000
	near := 0
	for k := range uint64(n) {
		key := k * 0x9e3779b97f4a7c15
		e := b.Pick(balance.Hints{Key: key, Keyed: true})
		if e != b.Pick(balance.Hints{Key: key, Keyed: true}) {
			t.Fatal("got two endpoints for one number")
		}
		if e == eps[1] {
			near++
		}
	}
	if math.Abs(off(near, n, .7)) > 5 {
		t.Errorf("got %d of %d nearby, want %.0f", near, n, n*.7)
	}
}

// Round robin keeps its place in each locality.
func TestLocalityRoundRobin(t *testing.T) {
	lb := &networking.LoadBalancerSettings{LbPolicy: roundRobin.LbPolicy,
		LocalityLbSetting: &localities{Distribute: []*distribute{{From: "*", To: map[string]uint32{"a": 60, "b": 40}}}}}
	b, eps := newBalancer(t, lb, 1), town("a", "a", "a", "b", "b")
	b.Update(eps)
	var before *balance.Endpoint
	for range 300 {
		e := b.Pick(balance.Hints{})
		if e.Locality == "a" {
			if e == before {
				t.Fatal("got the same endpoint of three twice in a row")
			}
			before = e
			b.Update(eps)
		}
	}
}
