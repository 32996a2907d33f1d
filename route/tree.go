package route

import "strings"

// tree finds all of a set of texts that a value begins with, in time that depends on the value alone. Below each
// node all texts share the bytes on the way to it.
type tree struct {
	label string // the bytes from the parent to here, without the first below the root
	hit   *node  // of the text that ends here, nil for none
	heads string // the first byte on the way to each kid, in order
	kids  []tree
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
	var ends []int // where each kid's texts end
	var heads []byte
	for i := range texts {
		if c := texts[i][to]; len(heads) == 0 || heads[len(heads)-1] != c {
			heads, ends = append(heads, c), append(ends, i)
		}
		ends[len(ends)-1] = i + 1
	}
	t.heads = string(heads)
	t.kids = make([]tree, len(heads))
	begin := 0
	for k, end := range ends {
		t.kids[k] = grow(texts[begin:end], hits[begin:end], to+1)
		begin = end
	}
	return t
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
		i := strings.IndexByte(t.heads, head)
		if i < 0 {
			break
		}
		t, v = &t.kids[i], v[1:]
	}
	return later.find(x, limit)
}
