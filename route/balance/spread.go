package balance

import "math"

// spread picks one of several pickers with a chance in proportion to its weight: localities, or priorities.
type spread struct {
	wheel *wheel
	parts []picker
	rnd   func() float64
}

// newSpread is nil where no picker has any weight.
func newSpread(weights []float64, parts []picker, rnd func() float64) picker {
	s := &spread{rnd: rnd}
	var kept []float64
	most, exact := 0.0, true
	for i, w := range weights {
		if w > 0 && parts[i] != nil {
			kept = append(kept, w)
			s.parts = append(s.parts, parts[i])
			most, exact = max(most, w), exact && w == math.Trunc(w)
		}
	}
	switch len(kept) {
	case 0:
		return nil
	case 1:
		return s.parts[0]
	}
	lengths := make([]uint64, len(kept))
	for i, w := range kept {
		if exact && most < 1<<40 {
			lengths[i] = uint64(w)
		} else {
			lengths[i] = max(1, uint64(math.Round(w/most*(1<<32))))
		}
	}
	s.wheel = newWheel(lengths)
	return s
}

func (s *spread) draw(key uint64, attempt int) *Endpoint {
	return s.parts[s.wheel.at(whole(s.rnd()))].draw(key, attempt)
}

func (s *spread) shares(part float64, add func(*Endpoint, float64)) {
	var before uint64
	for i, end := range s.wheel.ends {
		s.parts[i].shares(part*float64(end-before)/float64(s.wheel.len()), add)
		before = end
	}
}

// tied picks one of several priorities by the number that ties the request to an endpoint, so that requests with the
// same number stay together as long as the priorities' loads stay.
type tied struct {
	until [100]int32 // the priority of each percent
	parts []picker
}

func newTied(levels []level) picker {
	t := &tied{}
	percent := 0
	for i := range levels {
		t.parts = append(t.parts, levels[i].pick)
		if levels[i].load == 100 {
			return levels[i].pick
		}
		for range levels[i].load {
			t.until[percent] = int32(i)
			percent++
		}
	}
	return t
}

func (t *tied) draw(key uint64, attempt int) *Endpoint {
	if p := t.parts[t.until[key%100]]; p != nil {
		return p.draw(key, attempt)
	}
	return nil
}

func (t *tied) shares(part float64, add func(*Endpoint, float64)) {
	for _, i := range t.until {
		if p := t.parts[i]; p != nil {
			p.shares(part/100, add)
		}
	}
}
