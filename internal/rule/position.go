package rule

import (
	"strconv"
	"strings"
	"sync"

	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule/tree"
)

// place is one entry of a document's table of positions, sixteen bytes in place of the nodes that were read. The
// table lists a value, then all that is in it, then the next value beside it.
type place struct {
	key          uint32 // hash of the key, or of the index in decimal
	line, column int32
	end          int32 // index after the last entry that is in this one
}

// At is where the path stands in the document: "spec.http[1].match[0].headers[x-user].exact". Fields may be written
// in camel or snake case. Of a path that the document does not have it is the place of the nearest value around
// it. An object built in Go has no position.
func (o *Object) At(path string) finding.Position {
	found := o.Position
	at, end := int32(0), int32(len(o.places))
	for path != "" && at < end {
		var key string
		key, path = cutStep(path)
		i := o.find(at, end, key)
		if i < 0 {
			break
		}
		p := o.places[i]
		found.Line, found.Column = int(p.line), int(p.column)
		at, end = i+1, p.end
	}
	return found
}

// List is where the values of a list stand, in order: of many of them, in one go. Nil where the document has no such list.
func (o *Object) List(path string) []finding.Position {
	at, end := int32(0), int32(len(o.places))
	for path != "" {
		var key string
		key, path = cutStep(path)
		i := o.find(at, end, key)
		if i < 0 {
			return nil
		}
		at, end = i+1, o.places[i].end
	}
	var list []finding.Position
	for i := at; i < end; i = o.places[i].end {
		list = append(list, finding.Position{File: o.Position.File, Line: int(o.places[i].line), Column: int(o.places[i].column)})
	}
	return list
}

// find looks for a key among the entries side by side from at to end, as written first; -1 if there is none.
func (o *Object) find(at, end int32, key string) int32 {
	if i := o.findHash(at, end, hashKey(key)); i >= 0 {
		return i
	}
	if camel := toCamel(key); camel != key {
		return o.findHash(at, end, hashKey(camel))
	}
	if snake := toSnake(key); snake != key {
		return o.findHash(at, end, hashKey(snake))
	}
	return -1
}

func (o *Object) findHash(at, end int32, hash uint32) int32 {
	n := 0
	for i := at; i < end; i = o.places[i].end {
		if o.places[i].key == hash {
			return i
		}
		if n++; n == narrow && o.wide != nil {
			return o.wide.find(o.places, at, end, hash)
		}
	}
	return -1
}

// narrow is how many entries side by side are looked through one by one.
const narrow = 64

// wide indexes the values that have more entries than that, when they are first asked for: hash to place, by where
// the entries begin. It is safe for concurrent use.
type wide struct {
	mu      sync.Mutex
	indices map[int32]map[uint32]int32
}

func (w *wide) find(places []place, at, end int32, hash uint32) int32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	index := w.indices[at]
	if index == nil {
		index = map[uint32]int32{}
		for i := at; i < end; i = places[i].end {
			if _, earlier := index[places[i].key]; !earlier {
				index[places[i].key] = i
			}
		}
		if w.indices == nil {
			w.indices = map[int32]map[uint32]int32{}
		}
		w.indices[at] = index
	}
	if i, ok := index[hash]; ok {
		return i
	}
	return -1
}

// cutStep takes the first step off a path. A bracket may hold dots, and brackets in pairs.
func cutStep(path string) (key, rest string) {
	if path[0] == '[' {
		depth := 0
		for i := range len(path) {
			switch path[i] {
			case '[':
				depth++
			case ']':
				if depth--; depth == 0 {
					return path[1:i], strings.TrimPrefix(path[i+1:], ".")
				}
			}
		}
		return path[1:], ""
	}
	i := strings.IndexAny(path, ".[")
	switch {
	case i < 0:
		return path, ""
	case path[i] == '.':
		return path[:i], path[i+1:]
	}
	return path[:i], path[i:]
}

func hashKey(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}

func toCamel(s string) string {
	if strings.IndexByte(s, '_') < 0 {
		return s
	}
	parts := strings.Split(s, "_")
	for i, p := range parts[1:] {
		if p != "" {
			parts[i+1] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "")
}

func toSnake(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			b.WriteByte(c + 'a' - 'A')
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// indexer makes an object's table of positions and its hash, and finds the keys that stand twice.
type indexer struct {
	places  []place
	hash    uint64
	parents []parent // of the value at hand
	faults  *tree.Faults
}

func (x *indexer) walk(n *tree.Node) {
	x.mix(n.Kind.String())
	if n.Kind < tree.Map {
		x.mix(n.Text)
		return
	}
	var seen map[string]bool
	if n.Kind == tree.Map && len(n.Kids) > 16 {
		seen = make(map[string]bool, len(n.Kids))
	}
	for i := range n.Kids {
		k := &n.Kids[i]
		line, column := k.Place()
		p := place{line: line, column: column}
		var digits [20]byte
		if n.Kind == tree.List {
			p.key = hashKey(string(strconv.AppendInt(digits[:0], int64(i), 10)))
		} else {
			p.key = hashKey(k.Key)
			x.mix(k.Key)
			if again(n.Kids[:i], k.Key, seen) {
				x.faults.KeyErrorf(k, x.pathTo(k), finding.CodeDuplicateKey, "the key %q stands twice in this mapping", k.Key)
			}
		}
		at := len(x.places)
		x.places = append(x.places, p)
		x.parents = append(x.parents, parent{k, i})
		x.walk(&k.Value)
		x.parents = x.parents[:len(x.parents)-1]
		x.places[at].end = int32(len(x.places))
	}
	x.mix("end")
}

// again tells whether the key is among those before it; large mappings keep a map of them.
func again(before []tree.Kid, key string, seen map[string]bool) bool {
	if seen != nil {
		found := seen[key]
		seen[key] = true
		return found
	}
	for i := range before {
		if before[i].Key == key {
			return true
		}
	}
	return false
}

// parent is one value around the value at hand, with its index where it is an item of a list.
type parent struct {
	*tree.Kid
	index int
}

// pathTo renders the path to an entry of the mapping at hand. Keys that no field has stand in brackets.
func (x *indexer) pathTo(k *tree.Kid) string {
	path := ""
	for _, p := range append(x.parents, parent{k, 0}) {
		switch {
		case p.Key == "":
			path = finding.Index(path, p.index)
		case strings.ContainsAny(p.Key, ".[]-/"):
			path = finding.Key(path, p.Key)
		default:
			path = finding.Join(path, p.Key)
		}
	}
	return path
}

// mix adds text to the hash (FNV-1a), with its length so that neighbours do not run together.
func (x *indexer) mix(s string) {
	h := x.hash
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	x.hash = (h ^ uint64(len(s))) * 1099511628211
}
