package balance

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"
)

// Client is who picks: what the endpoints' places are compared with.
type Client struct {
	// Locality is region/zone/subzone; the last parts, or all, may be missing.
	Locality string
	// Labels are the workload's, with those that tell its place; failoverPriority compares them with the endpoints'.
	Labels map[string]string
}

// tier is the endpoints of one priority. Its place in the list is the priority; 0 is the first choice.
type tier struct {
	all    []*Endpoint
	places []place // where localities are weighed against each other; nil: the endpoints are alike
}

// place is the endpoints of one locality in a tier.
type place struct {
	locality string
	all      []*Endpoint
	weight   uint64
}

// leftOut is the priority of endpoints that get nothing.
const leftOut = -1

// localityOf is what the settings say of localities, as istiod reads them: nil where they are all alike. Absent
// settings are those of the mesh, which turn failover on. zoneAwareLbSetting takes the place of localities and is not
// obeyed.
func localityOf(lb *networking.LoadBalancerSettings) *networking.LocalityLoadBalancerSetting {
	s := lb.GetLocalityLbSetting()
	switch {
	case lb.GetZoneAwareLbSetting() != nil, s.GetEnabled() != nil && !s.GetEnabled().GetValue():
		return nil
	case s == nil:
		return &networking.LocalityLoadBalancerSetting{}
	}
	return s
}

// Serves tells whether endpoints of the locality get requests at all: not if the settings distribute the client's
// traffic among other localities.
func (b *Balancer) Serves(locality string) bool {
	to := b.distribution()
	if to == nil {
		return true
	}
	for l := range to {
		if within(locality, l) {
			return true
		}
	}
	return false
}

// distribution is where the client's traffic goes, in shares by locality; nil where the settings do not say.
func (b *Balancer) distribution() map[string]uint32 {
	for _, d := range b.locality.GetDistribute() {
		if within(b.Client.Locality, d.GetFrom()) {
			return d.GetTo()
		}
	}
	return nil
}

// arrange sorts the endpoints into tiers and places.
func (b *Balancer) arrange() {
	ranks := make([]int, len(b.all))
	weighed := false
	switch s := b.locality; {
	case s == nil:
	case len(s.GetDistribute()) > 0:
		weighed = true
		for i, e := range b.all {
			if !b.Serves(e.Locality) {
				ranks[i] = leftOut
			}
		}
	case b.Failover && len(s.GetFailoverPriority()) > 0:
		weighed = true
		for i, e := range b.all {
			ranks[i] = labelRank(e, b.Client.Labels, s.GetFailoverPriority())
		}
		if len(s.GetFailover()) > 0 {
			closeGaps(ranks)
			for i, e := range b.all {
				ranks[i] = ranks[i]*regions + placeRank(e.Locality, b.Client.Locality, s.GetFailover())
			}
		}
	case b.Failover:
		weighed = len(s.GetFailover()) > 0
		for i, e := range b.all {
			ranks[i] = placeRank(e.Locality, b.Client.Locality, s.GetFailover())
		}
	}
	b.tiers = tiersOf(b.all, ranks, closeGaps(ranks))
	if weighed {
		to := b.distribution()
		for i := range b.tiers {
			b.tiers[i].places = placesOf(b.tiers[i].all, to)
		}
	}
}

// regions is how many priorities there are by region, zone and subzone.
const regions = 5

// placeRank is the priority by locality: 0 in the same subzone, 1 in the same zone, 2 in the same region, 3 elsewhere;
// where the client's region fails over to one region, that is 3 and what is left is 4.
func placeRank(locality, client string, failover []*networking.LocalityLoadBalancerSetting_Failover) int {
	a, b := parts(locality), parts(client)
	switch {
	case a[0] == b[0] && a[1] == b[1] && a[2] == b[2]:
		return 0
	case a[0] == b[0] && a[1] == b[1]:
		return 1
	case a[0] == b[0]:
		return 2
	}
	for _, f := range failover {
		if f.GetFrom() == b[0] {
			if f.GetTo() != a[0] {
				return 4
			}
			break
		}
	}
	return 3
}

// networkLabel is compared in a way of its own: an endpoint of another network is behind all of the client's own, and
// the labels that follow still count.
const networkLabel = "topology.istio.io/network"

// labelRank is the priority by failoverPriority: how many labels of the list, from its end, are no longer looked at
// because one before them differs. "label=value" asks for that value instead of the client's.
func labelRank(e *Endpoint, client map[string]string, list []string) int {
	behind := 0
	for i, item := range list {
		label, want, fixed := strings.Cut(item, "=")
		if !fixed || strings.Contains(want, "=") {
			want = client[label]
		}
		if e.Labels[label] == want {
			continue
		}
		if i == 0 && label == networkLabel {
			behind = len(list)
			continue
		}
		return behind + len(list) - i
	}
	return behind
}

// closeGaps makes 0, 1, 2… of the priorities, in their order, and counts them.
func closeGaps(ranks []int) int {
	seen := map[int]int{}
	for _, r := range ranks {
		if r != leftOut {
			seen[r] = 0
		}
	}
	for i, r := range slices.Sorted(maps.Keys(seen)) {
		seen[r] = i
	}
	for i, r := range ranks {
		if r != leftOut {
			ranks[i] = seen[r]
		}
	}
	return len(seen)
}

func tiersOf(all []*Endpoint, ranks []int, n int) []tier {
	tiers := make([]tier, n)
	for i, e := range all {
		e.state().rank.Store(int32(ranks[i]))
		if r := ranks[i]; r != leftOut {
			tiers[r].all = append(tiers[r].all, e)
		}
	}
	return tiers
}

// placesOf groups endpoints by locality. A locality weighs as much as its endpoints; where traffic is distributed, it
// weighs its share, in proportion to its endpoints' weight among the localities that the share is for.
func placesOf(all []*Endpoint, to map[string]uint32) []place {
	var places []place
	at := map[string]int{}
	for _, e := range all {
		i, ok := at[e.Locality]
		if !ok {
			i = len(places)
			at[e.Locality] = i
			places = append(places, place{locality: e.Locality})
		}
		places[i].all = append(places[i].all, e)
		places[i].weight += e.weight()
	}
	taken := make([]bool, len(places))
	for _, l := range narrowFirst(to) {
		var sum uint64
		var mine []int
		for i, p := range places {
			if !taken[i] && within(p.locality, l) {
				taken[i] = true
				mine = append(mine, i)
				sum += p.weight
			}
		}
		for _, i := range mine {
			places[i].weight = uint64(math.Ceil(float64(places[i].weight) * float64(to[l]) / float64(sum)))
		}
	}
	return places
}

// narrowFirst lists localities, such with wildcards after those that they may cover.
func narrowFirst(to map[string]uint32) []string {
	width := func(l string) int {
		n := 3
		for _, p := range parts(l) {
			if p != "" && p != "*" {
				n--
			}
		}
		return n
	}
	return slices.SortedFunc(maps.Keys(to), func(a, b string) int { return cmp.Or(cmp.Compare(width(a), width(b)), strings.Compare(a, b)) })
}

// within tells whether a locality lies in what a rule names: "region", "region/zone", "region/zone/*", "*".
func within(locality, rule string) bool {
	l, r := parts(locality), parts(rule)
	if r[0] != "*" && r[0] != l[0] {
		return false
	}
	for i := 1; i < len(r); i++ {
		if r[i] != "*" && r[i] != "" && r[i] != l[i] {
			return false
		}
	}
	return true
}

// parts are region, zone and subzone.
func parts(locality string) [3]string {
	var p [3]string
	p[0], p[1], _ = strings.Cut(locality, "/")
	p[1], p[2], _ = strings.Cut(p[1], "/")
	return p
}
