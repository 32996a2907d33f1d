package route

// node is a part of the index.
type node struct{}

func newIndex([]*Route) *node { return &node{} }

// find is the lowest entry below limit that the request meets, else limit.
func (n *node) find(routes []*Route, q *Request, limit int32) int32 {
	for i := range limit {
		if routes[i].meets(q) {
			return i
		}
	}
	return limit
}
