package balance_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/route/balance"
)

func warming(simple *networking.LoadBalancerSettings, w *networking.WarmupConfiguration) *networking.LoadBalancerSettings {
	return &networking.LoadBalancerSettings{LbPolicy: simple.LbPolicy, Warmup: w}
}

// The weight of an endpoint that comes to a warm one grows with time^(1/aggression), from the least share on.
func TestWarmup(t *testing.T) {
	minute := durationpb.New(time.Minute)
	tests := []struct {
		name string
		w    *networking.WarmupConfiguration
		want map[time.Duration]float64 // of the weight, by age
	}{
		{"a line", &networking.WarmupConfiguration{Duration: minute},
			map[time.Duration]float64{0: .1, 3 * time.Second: .1, 6 * time.Second: .1, 15 * time.Second: .25, 30 * time.Second: .5, 59 * time.Second: 59. / 60, time.Minute: 1, time.Hour: 1}},
		{"aggression 2: the square root", &networking.WarmupConfiguration{Duration: minute, Aggression: wrapperspb.Double(2)},
			map[time.Duration]float64{0: .1, 600 * time.Millisecond: .1, 15 * time.Second: .5, 30 * time.Second: math.Sqrt(.5), time.Minute: 1}},
		{"aggression 1/2: the square", &networking.WarmupConfiguration{Duration: minute, Aggression: wrapperspb.Double(.5)},
			map[time.Duration]float64{0: .1, 15 * time.Second: .1, 30 * time.Second: .25, 45 * time.Second: .5625, time.Minute: 1}},
		{"a least share of half", &networking.WarmupConfiguration{Duration: minute, MinimumPercent: wrapperspb.Double(50)},
			map[time.Duration]float64{0: .5, 30 * time.Second: .5, 45 * time.Second: .75, time.Minute: 1}},
		{"none at first", &networking.WarmupConfiguration{Duration: minute, MinimumPercent: wrapperspb.Double(0)},
			map[time.Duration]float64{0: .001 / 60, 30 * time.Second: .5, time.Minute: 1}},
		{"all at once", &networking.WarmupConfiguration{Duration: minute, MinimumPercent: wrapperspb.Double(100)},
			map[time.Duration]float64{0: 1, 30 * time.Second: 1}},
	}
	for _, tt := range tests {
		for name, lb := range map[string]*networking.LoadBalancerSettings{"least request": leastRequest, "round robin": roundRobin} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				for age, want := range tt.want {
					synctest.Test(t, func(t *testing.T) {
						b := newBalancer(t, warming(lb, tt.w), 1)
						old := endpoints(1)
						b.Update(old)
						time.Sleep(time.Hour) // it is warm
						eps := balance.Carry(old, endpoints(1, 1))
						b.Update(eps)
						time.Sleep(age)
						const n = 20_000
						p := want / (1 + want)
						got := count(b, eps, n)[1] // the first pick works the weights out
						if math.Abs(off(got, n, p)) > 5 && math.Abs(float64(got)-n*p) > 2 {
							t.Errorf("at %v: got %d of %d, want %.0f", age, got, n, n*p)
						}
						if share := b.Shares()[1]; math.Abs(share-p) > .0005 {
							t.Errorf("at %v: got a share of %.5f, want %.5f", age, share, p)
						}
						if cold, want := b.Status().Warming, 1; age < time.Minute && cold != want || age >= time.Minute && cold != 0 {
							t.Errorf("at %v: got %d that warm up", age, cold)
						}
					})
				}
			})
		}
	}
}

func TestWarmupOfOthers(t *testing.T) {
	w := &networking.WarmupConfiguration{Duration: durationpb.New(time.Minute)}
	for name, lb := range map[string]*networking.LoadBalancerSettings{
		"random": warming(random, w), "hash": {LbPolicy: hashing(byHeader("x")).LbPolicy, Warmup: w},
		"the old form, long over": {WarmupDurationSecs: durationpb.New(time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBalancer(t, lb, 1)
				b.Update(endpoints(1))
				time.Sleep(time.Hour)
				eps := balance.Carry(b.Endpoints(), endpoints(1, 1))
				b.Update(eps)
				time.Sleep(2 * time.Second)
				if got := count(b, eps, 10_000)[1]; got < 4000 || got > 6000 {
					t.Errorf("got %d of 10000, want about half", got)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBalancer(t, &networking.LoadBalancerSettings{WarmupDurationSecs: durationpb.New(time.Minute)}, 1)
		b.Update(endpoints(1))
		time.Sleep(time.Hour)
		b.Update(balance.Carry(b.Endpoints(), endpoints(1, 1)))
		if got := b.Shares()[1]; math.Abs(got-.1/1.1) > .001 {
			t.Errorf("the old form: got a share of %v, want %v", got, .1/1.1)
		}
	})
}

// All endpoints of a new client are as new, and share alike. Updates do not begin anew; an ejection does not either; a
// health check that is passed again does.
func TestWarmupGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBalancer(t, warming(leastRequest, &networking.WarmupConfiguration{Duration: durationpb.New(100 * time.Second)}), 1)
		b.Update(endpoints(1, 3))
		share := func() float64 { b.Pick(balance.Hints{}); return b.Shares()[0] }
		is := func(what string, want float64) {
			t.Helper()
			if got := share(); math.Abs(got-want) > .002 {
				t.Errorf("%s: got a share of %.4f, want %.4f", what, got, want)
			}
		}
		is("all new", .25)
		time.Sleep(50 * time.Second)
		b.Update(balance.Carry(b.Endpoints(), endpoints(1, 3, 4)))
		is("half warm, and one new", .5*1/(.5*4+.1*4))
		b.Update(balance.Carry(b.Endpoints(), endpoints(2, 3, 4)))
		is("another weight", .5*2/(.5*5+.1*4))
		b.Endpoints()[0].SetEjected(true)
		time.Sleep(50 * time.Second)
		b.Endpoints()[0].SetEjected(false)
		is("ejected meanwhile", 2/(5+.5*4))
		b.Endpoints()[0].SetFailing(true)
		time.Sleep(50 * time.Second)
		b.Endpoints()[0].SetFailing(false)
		is("failing meanwhile", .1*2/(.1*2+3+4))
		time.Sleep(100 * time.Second)
		is("warm", 2./9)
	})
}

// Figures that no rule should have are refused or do no harm.
func TestWarmupRefused(t *testing.T) {
	second := durationpb.New(time.Second)
	for _, tt := range []struct {
		w    *networking.WarmupConfiguration
		want string
	}{
		{&networking.WarmupConfiguration{}, "balance: loadBalancer.warmup: no duration"},
		{&networking.WarmupConfiguration{Duration: durationpb.New(-1)}, "balance: loadBalancer.warmup.duration: "},
		{&networking.WarmupConfiguration{Duration: second, MinimumPercent: wrapperspb.Double(math.NaN())}, "balance: loadBalancer.warmup.minimumPercent: "},
		{&networking.WarmupConfiguration{Duration: second, MinimumPercent: wrapperspb.Double(101)}, "balance: loadBalancer.warmup.minimumPercent: "},
		{&networking.WarmupConfiguration{Duration: second, Aggression: wrapperspb.Double(math.NaN())}, "balance: loadBalancer.warmup.aggression: "},
		{&networking.WarmupConfiguration{Duration: second, Aggression: wrapperspb.Double(0)}, "balance: loadBalancer.warmup.aggression: "},
		{&networking.WarmupConfiguration{Duration: second, Aggression: wrapperspb.Double(math.Inf(1))}, "balance: loadBalancer.warmup.aggression: "},
		{&networking.WarmupConfiguration{Duration: second, Aggression: wrapperspb.Double(math.SmallestNonzeroFloat64)}, ""},
		{&networking.WarmupConfiguration{Duration: second, Aggression: wrapperspb.Double(math.MaxFloat64)}, ""},
	} {
		t.Run(fmt.Sprint(tt.w), func(t *testing.T) {
			b, err := balance.New(warming(leastRequest, tt.w), nil)
			if tt.want != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
					t.Fatalf("got error %v, want one that starts with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			b.Update(endpoints(1, 2, 3))
			if b.Pick(balance.Hints{}) == nil {
				t.Error("got none")
			}
		})
	}
}
