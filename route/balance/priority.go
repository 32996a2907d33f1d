package balance

// overprovisioning is how much more than its even share an endpoint is taken to bear, in percent: Envoy's default. So
// a priority spills over to the next when less than 100/140 of it is healthy.
const overprovisioning = 140

// level is a tier as it is at the moment.
type level struct {
	healthy, total int
	health         int // in percent, overprovisioned, at most 100
	load           int // in percent of all requests; all levels sum to 100
	panic          bool
	pick           picker // nil where nothing may be picked
}

// spill shares all requests out among the levels, by their health. With less than panicPercent of a level healthy, and
// less than 100 % of health altogether, all of the level's endpoints are used; if that is so for all levels, their
// sizes alone count. See
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/priority and
// https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/panic_threshold.
func spill(levels []level, panicPercent int) {
	if len(levels) == 0 {
		return
	}
	sum := 0
	for i := range levels {
		l := &levels[i]
		l.health = 0
		if l.total > 0 {
			l.health = min(100, overprovisioning*l.healthy/l.total)
		}
		sum += l.health
	}
	sum = min(sum, 100)
	distribute(levels, sum)
	if sum == 100 {
		return
	}
	if panicPercent == 0 {
		if sum == 0 {
			levels[0].load = 100 // and nothing is found there
		}
		return
	}
	all := true
	for i := range levels {
		l := &levels[i]
		l.panic = l.total == 0 || 100*l.healthy < panicPercent*l.total
		all = all && l.panic
	}
	if all {
		bySize(levels)
	}
}

// distribute gives each level as much as its health allows, of what those before it left. Each is rounded down to
// whole percents; the first healthy one gets what that leaves.
func distribute(levels []level, sum int) {
	left, first := 100, -1
	for i := range levels {
		l := &levels[i]
		l.load = 0
		if l.health == 0 {
			continue
		}
		if first < 0 {
			first = i
		}
		l.load = min(left, l.health*100/sum)
		left -= l.load
	}
	if first >= 0 {
		levels[first].load += left
	}
}

// bySize gives each level its part of all endpoints, healthy or not.
func bySize(levels []level) {
	sum := 0
	for _, l := range levels {
		sum += l.total
	}
	left := 100
	for i := range levels {
		levels[i].load = 100 * levels[i].total / max(sum, 1)
		left -= levels[i].load
	}
	levels[0].load += left // no level is empty
}

// pair is how many tries a request makes before their priorities are left out, with retryRemoteLocalities: the
// update_frequency that istiod sets.
const pair = 2

// beyond picks a level for a request that is to leave the priorities that it has tried: after each second try they are
// left out, and when nothing is left, all count again. See
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/retry/priority/previous_priorities/v3/previous_priorities_config.proto.
// It is nil before the second try, and where no level is healthy.
func (m *members) beyond(tried []*Endpoint, rnd func() float64) *level {
	var out uint64 // a bit for each priority; there are no more than a few
	start := 0
	for n := pair; n <= len(tried); n += pair {
		for _, e := range tried[start:n] {
			if p := e.Priority(); p >= 0 && p < 64 {
				out |= 1 << p
			}
		}
		if m.health(out) == 0 {
			out, start = 0, n
		}
	}
	if len(tried)-start < pair {
		return nil
	}
	sum := min(m.health(out), 100)
	if sum == 0 {
		return nil
	}
	at, _ := index(rnd(), 100)
	for at >= 0 { // rounds, for what is lost by rounding
		for i := range m.levels {
			if l := &m.levels[i]; out>>i&1 == 0 {
				if at -= l.health * 100 / sum; at < 0 {
					return l
				}
			}
		}
	}
	return nil
}

// health is the sum over the priorities that are not left out.
func (m *members) health(out uint64) int {
	sum := 0
	for i := range m.levels {
		if out>>i&1 == 0 {
			sum += m.levels[i].health
		}
	}
	return sum
}
