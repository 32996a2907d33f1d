package route

import "strings"

// tree finds all of a set of texts that a value begins with, in time that depends on the value alone. Below each
// node all texts share the bytes on the way to it.
type tree struct {
	label string // the bytes from the parent to here, without the first below the root
	hit   *node  // of the text that ends here, nil for none
	kids  []tree
	head  byte // the first byte on the way from the parent
	dense bool // kids stand at the place of their head, from low on; the gaps are zero
	low   byte
}

// newTree makes a tree of texts, which are sorted and differ, and of what they lead to.
func newTree(texts []string, hits []*node) *tree {
	t := grow(texts, hits, 0)
	return &t
}

// grow makes the part of the tree for texts that share their first bytes, as many as from says.
func grow(texts []string, hits []*node, from int) tree {
	to := from + common(texts[0][from:], texts[len(texts)-1][from:])
	t := tree{label: texts[0][from:to]}
	if len(texts[0]) == to {
		t.hit = hits[0]
		texts, hits = texts[1:], hits[1:]
	}
	if len(texts) == 0 {
		return t
	}
	heads := 1
	for i := range texts[1:] {
		if texts[i][to] != texts[i+1][to] {
			heads++
		}
	}
	t.low = texts[0][to]
	span := int(texts[len(texts)-1][to]-t.low) + 1
	if t.dense = span <= 8*heads; !t.dense {
		span = heads
	}
	t.kids = make([]tree, span)
	for k, begin, end := 0, 0, 0; begin < len(texts); begin = end {
		head := texts[begin][to]
		for end < len(texts) && texts[end][to] == head {
			end++
		}
		if t.dense {
			k = int(head - t.low)
		}
		t.kids[k] = grow(texts[begin:end], hits[begin:end], to+1)
		t.kids[k].head = head
		k++
	}
	return t
}

// kid is the part of the tree that begins with the byte, nil for none.
func (t *tree) kid(head byte) *tree {
	if t.dense {
		if i := int(head) - int(t.low); uint(i) < uint(len(t.kids)) {
			return &t.kids[i]
		}
		return nil
	}
	for i := range t.kids {
		if t.kids[i].head == head {
			return &t.kids[i]
		}
	}
	return nil
}

// common is the number of bytes that both begin with.
func common(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// find asks the nodes of all texts that v begins with for an entry below limit. A nil tree has none. With fold
// the texts are in lower case and v in any.
func (t *tree) find(x *search, v string, fold bool, limit int32) int32 {
	var later *node // the one that begins with the highest entry waits: it will often have nothing to add
	for t != nil {
		if t.label != "" {
			if !fold && !strings.HasPrefix(v, t.label) || fold && !foldPrefix(v, t.label) {
				break
			}
			v = v[len(t.label):]
		}
		if t.hit != nil {
			switch {
			case later == nil:
				later = t.hit
			case t.hit.first < later.first:
				limit = t.hit.find(x, limit)
			default:
				limit, later = later.find(x, limit), t.hit
			}
		}
		if v == "" {
			break
		}
		head := v[0]
		if fold {
			head = lower(head)
		}
		t, v = t.kid(head), v[1:]
	}
	return later.find(x, limit)
}
