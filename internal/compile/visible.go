package compile

import "slices"

// exported tells whether an object of the owner's namespace is exported to another one. An empty list is the
// mesh's default: to all.
func exported(exportTo []string, owner, namespace string) bool {
	return len(exportTo) == 0 || slices.ContainsFunc(exportTo, func(e string) bool {
		return e == "*" || e == namespace || e == "." && owner == namespace
	})
}

// rank orders VirtualServices by how near they are to the client: private to its own namespace, exported to it
// by name, public. Negative means that the object is not visible.
func rank(exportTo []string, owner, namespace string) int {
	switch {
	case len(exportTo) == 0 || slices.Contains(exportTo, "*"):
		return 2
	case !exported(exportTo, owner, namespace):
		return -1
	case owner == namespace:
		return 0
	}
	return 1
}
