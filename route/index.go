package route

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// node is a part of the index over match entries. It gives candidates only: each is then asked whether the
// request fulfils all of its conditions, so that the index decides about speed and never about the answer.
//
// A node either lists a few entries in order or sorts many of them by one key, such as the path or a header:
// by the value that they ask for exactly, by the bytes that they ask for at the beginning, and the rest. The
// parts are nodes again, which may sort by another key.
type node struct {
	first   int32 // the lowest entry of all below
	list    []int32
	on      key
	exact   map[string]*node
	leading *tree
	rest    *node // nil for none
}

// key is what entries are sorted by.
type key struct {
	field field
	fold  bool   // letters without case; paths only
	name  string // of the header or parameter
}

func (k key) compare(o key) int {
	fold := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(k.field, o.field), cmp.Compare(fold(k.fold), fold(o.fold)), strings.Compare(k.name, o.name))
}

// few is how many entries are looked at one by one.
const few = 8

// handle is what the index can do with a condition: the key, the bytes, and whether they are the whole value.
// ok is false for conditions that do not tell how a value begins.
func (c *cond) handle() (k key, arg string, whole, ok bool) {
	if c.not || c.field == onPort || c.field == onClaim || c.field == onTarget {
		return key{}, "", false, false
	}
	k = key{field: c.field, fold: c.text.fold, name: c.name}
	arg = c.text.arg
	if k.fold {
		arg = foldString(arg)
	}
	switch c.text.op {
	case exact:
		// Without case the value is looked up as a prefix: there is no hash of it without a copy.
		return k, arg, !k.fold, true
	case prefix, regex:
		return k, arg, false, arg != ""
	}
	return key{}, "", false, false
}

// handleOn is what the index can do with the entry's first condition on the key.
func (r *Route) handleOn(k key) (arg string, whole, ok bool) {
	for i := range r.conds {
		if on, arg, whole, ok := r.conds[i].handle(); ok && on == k {
			return arg, whole, true
		}
	}
	return "", false, false
}

// newIndex sorts all entries.
func newIndex(routes []Route) *node {
	all := make([]int32, len(routes))
	for i := range all {
		all[i] = int32(i)
	}
	return sortEntries(routes, all)
}

// sortEntries makes a node of entries, which are in order; nil for none.
func sortEntries(routes []Route, ids []int32) *node {
	if len(ids) == 0 {
		return nil
	}
	n := &node{first: ids[0]}
	k, ok := bestKey(routes, ids)
	if !ok {
		n.list = ids
		return n
	}
	n.on = k
	var rest []int32
	wholes, heads := make(map[string][]int32), make(map[string][]int32)
	for _, id := range ids {
		arg, whole, ok := routes[id].handleOn(k)
		switch {
		case !ok:
			rest = append(rest, id)
		case whole:
			wholes[arg] = append(wholes[arg], id)
		default:
			heads[arg] = append(heads[arg], id)
		}
	}
	n.rest = sortEntries(routes, rest)
	if len(wholes) > 0 {
		n.exact = make(map[string]*node, len(wholes))
		for arg, ids := range wholes {
			n.exact[arg] = sortEntries(routes, ids)
		}
	}
	if len(heads) > 0 {
		keys := slices.Sorted(maps.Keys(heads))
		hits := make([]*node, len(keys))
		for i, arg := range keys {
			hits[i] = sortEntries(routes, heads[arg])
		}
		n.leading = newTree(keys, hits)
	}
	return n
}

// bestKey is the key that leaves the fewest entries to look at in the worst case: those that it does not sort
// and the largest group of those that it does. It must spare a quarter of them.
func bestKey(routes []Route, ids []int32) (best key, ok bool) {
	if len(ids) <= few {
		return key{}, false
	}
	type group struct {
		key key
		arg string
	}
	sorted, largest := make(map[key]int), make(map[key]int)
	groups := make(map[group]int)
	for _, id := range ids {
		conds := routes[id].conds
		for i := range conds {
			k, arg, _, ok := conds[i].handle()
			if !ok || slices.ContainsFunc(conds[:i], func(c cond) bool {
				on, _, _, ok := c.handle()
				return ok && on == k
			}) {
				continue
			}
			g := group{k, arg}
			groups[g]++
			largest[k] = max(largest[k], groups[g])
			sorted[k]++
		}
	}
	least := len(ids) - len(ids)/4
	for k, n := range sorted {
		left := len(ids) - n + largest[k]
		if left < least || left == least && ok && k.compare(best) < 0 {
			best, least, ok = k, left, true
		}
	}
	return best, ok
}

// search is what stays the same while a request goes through the index.
type search struct {
	routes []Route
	q      *Request
	// onPath tells that the entries looked at now were found by their uri's bytes, so that only regexes have
	// still to be asked about the path.
	onPath bool
}

// find is the lowest entry below limit that the request meets, else limit. A nil node has none.
func (n *node) find(x *search, limit int32) int32 {
	for ; n != nil && n.first < limit; n = n.rest {
		if n.list != nil {
			for _, id := range n.list {
				if id >= limit {
					break
				}
				if x.routes[id].meets(x.q, x.onPath) {
					return id
				}
			}
			return limit
		}
		v, ok := n.on.value(x.q)
		if !ok {
			continue
		}
		outer := x.onPath
		x.onPath = outer || n.on.field == onPath && !n.on.fold
		if n.exact != nil {
			limit = n.exact[v].find(x, limit)
		}
		limit = n.leading.find(x, v, n.on.fold, limit)
		x.onPath = outer
	}
	return limit
}

// value is what the request has for the key, and whether it has anything.
func (k *key) value(q *Request) (string, bool) {
	switch k.field {
	case onPath:
		return q.Path, true
	case onHeader:
		return first(q.Header, k.name)
	}
	c := cond{field: k.field, name: k.name}
	return c.value(q)
}
