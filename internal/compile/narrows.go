package compile

import networking "istio.io/api/networking/v1"

// Narrows tells whether a delegate's route can act below a root's route: each of its matches lies within one of the
// root's.
func Narrows(root, leaf *networking.HTTPRoute) bool {
	_, ok := mergeMatches(root.GetMatch(), leaf.GetMatch())
	return ok
}
