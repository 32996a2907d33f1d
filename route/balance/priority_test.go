package balance

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func levels(healthyOfTotal ...[2]int) []level {
	out := make([]level, len(healthyOfTotal))
	for i, h := range healthyOfTotal {
		out[i].healthy, out[i].total = h[0], h[1]
	}
	return out
}

// The tables of Envoy's documentation, in percent of each priority that is healthy.
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/priority
func TestSpill(t *testing.T) {
	tests := []struct{ healthy, want []int }{
		{[]int{100, 100}, []int{100, 0}},
		{[]int{72, 100}, []int{100, 0}},
		{[]int{71, 100}, []int{99, 1}},
		{[]int{50, 100}, []int{70, 30}},
		{[]int{25, 100}, []int{35, 65}},
		{[]int{0, 100}, []int{0, 100}},
		{[]int{72, 72}, []int{100, 0}},
		{[]int{71, 71}, []int{99, 1}},
		{[]int{50, 50}, []int{70, 30}},
		{[]int{25, 25}, []int{50, 50}},
		{[]int{100, 100, 100}, []int{100, 0, 0}},
		{[]int{72, 72, 100}, []int{100, 0, 0}},
		{[]int{71, 71, 100}, []int{99, 1, 0}},
		{[]int{50, 50, 100}, []int{70, 30, 0}},
		{[]int{25, 100, 100}, []int{35, 65, 0}},
		{[]int{25, 25, 100}, []int{35, 35, 30}},
		{[]int{25, 25, 20}, []int{37, 35, 28}}, // the page says 36, 36, 28; Envoy gives what rounding leaves to the first
		{[]int{0, 0}, []int{100, 0}},           // and nothing is found
		{[]int{0, 5, 0}, []int{0, 100, 0}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.healthy), func(t *testing.T) {
			var ls []level
			for _, h := range tt.healthy {
				ls = append(ls, level{healthy: h, total: 100})
			}
			spill(ls, 0)
			var got []int
			for _, l := range ls {
				got = append(got, l.load)
				if l.panic {
					t.Error("got panic without a threshold")
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/panic_threshold
func TestSpillInPanic(t *testing.T) {
	tests := []struct {
		name      string
		levels    []level
		threshold int
		load      []int
		panic     []bool
	}{
		{"72 %", levels([2]int{72, 100}), 50, []int{100}, []bool{false}},
		{"less, and enough health elsewhere", levels([2]int{5, 100}, [2]int{72, 100}), 50, []int{7, 93}, []bool{false, false}},
		{"one level", levels([2]int{71, 100}, [2]int{0, 100}), 50, []int{100, 0}, []bool{false, true}},
		{"both: the sizes count", levels([2]int{5, 10}, [2]int{0, 30}), 60, []int{25, 75}, []bool{true, true}},
		{"nothing is healthy", levels([2]int{0, 1}, [2]int{0, 2}), 50, []int{34, 66}, []bool{true, true}},
		{"a threshold above what is healthy, and health enough", levels([2]int{80, 100}), 90, []int{100}, []bool{false}},
		{"exactly the threshold", levels([2]int{5, 10}), 50, []int{100}, []bool{false}},
		{"a threshold of 100", levels([2]int{7, 10}), 100, []int{100}, []bool{true}},
		{"few of very many", levels([2]int{1, 1000}), 0, []int{100}, []bool{false}},
		{"no level", nil, 50, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spill(tt.levels, tt.threshold)
			var load []int
			var panics []bool
			for _, l := range tt.levels {
				load, panics = append(load, l.load), append(panics, l.panic)
			}
			if d := cmp.Diff(tt.load, load); d != "" {
				t.Errorf("load, -want +got:\n%s", d)
			}
			if d := cmp.Diff(tt.panic, panics); d != "" {
				t.Errorf("panic, -want +got:\n%s", d)
			}
		})
	}
}

// Whatever is healthy, the loads sum to 100 and none is negative, and one with nothing healthy gets nothing but in
// panic or where nothing is healthy at all.
func TestSpillSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "levels")
		ls := make([]level, n)
		some := false
		for i := range ls {
			ls[i].total = rapid.IntRange(1, 300).Draw(t, "total")
			ls[i].healthy = rapid.IntRange(0, ls[i].total).Draw(t, "healthy")
			some = some || overprovisioning*ls[i].healthy >= ls[i].total
		}
		threshold := rapid.IntRange(0, 100).Draw(t, "threshold")
		spill(ls, threshold)
		sum := 0
		for i, l := range ls {
			sum += l.load
			if l.load < 0 || l.load > 0 && l.healthy == 0 && !l.panic && some {
				t.Errorf("level %d of %+v: got a load of %d", i, ls, l.load)
			}
		}
		if sum != 100 {
			t.Errorf("%+v: loads sum to %d", ls, sum)
		}
	})
}

// With retryRemoteLocalities, the priorities of the first two tries are left out for the next two, and so on; when none
// is left, all count again.
func TestBeyond(t *testing.T) {
	b, err := New(nil, func() float64 { return .999 })
	if err != nil {
		t.Fatal(err)
	}
	b.Failover, b.Client.Locality = true, "r/z/s"
	eps := []*Endpoint{{Address: "a", Locality: "r/z/s"}, {Address: "b", Locality: "r/z/t"}, {Address: "c", Locality: "r/y"}, {Address: "d", Locality: "r/y"}}
	b.Update(eps)
	at := func(list string) []*Endpoint {
		var out []*Endpoint
		for _, c := range list {
			out = append(out, eps[c-'a'])
		}
		return out
	}
	for _, tt := range []struct{ tried, want string }{
		{"", "a"}, {"a", "a"}, {"aa", "b"}, {"aab", "b"}, {"aabb", "cd"}, {"aabbc", "cd"},
		{"aabbcd", "a"},  // nothing is left: all count again
		{"aabbcda", "a"}, // and nothing is left out until two more
		{"aabbcdaa", "b"}, {"ab", "cd"}, {"abcd", "a"},
	} {
		for range 10 {
			if got := b.Pick(Hints{Away: at(tt.tried)}); len(got.Address) != 1 || !contains(tt.want, got.Address) {
				t.Errorf("after %q: got %s, want one of %q", tt.tried, got.Address, tt.want)
			}
		}
	}
	// A priority with nothing healthy is no way out.
	eps[1].SetEjected(true)
	if got := b.Pick(Hints{Away: at("aa")}); !contains("cd", got.Address) {
		t.Errorf("b is ejected: got %s, want c or d", got.Address)
	}
	for _, e := range eps {
		e.SetEjected(true)
	}
	if got := b.Pick(Hints{Away: at("aa")}); got != nil {
		t.Errorf("all are ejected: got %s, want none", got.Address)
	}
	// Half of b's locality: what it cannot bear goes on.
	for _, u := range []float64{0, .69, .71, .999} {
		m := &members{levels: levels([2]int{1, 1}, [2]int{1, 2}, [2]int{1, 1})}
		for i := range m.levels {
			l := &m.levels[i]
			l.health = min(100, overprovisioning*l.healthy/l.total)
		}
		eps[0].state().rank.Store(0)
		want := &m.levels[1]
		if u > .7 {
			want = &m.levels[2]
		}
		if got := m.beyond(at("aa"), func() float64 { return u }); got != want {
			t.Errorf("%v: got %+v, want %+v", u, got, want)
		}
	}
}

func contains(list, one string) bool {
	for _, c := range list {
		if string(c) == one {
			return true
		}
	}
	return false
}
