package identity_test

import (
	"fmt"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	security "istio.io/api/security/v1"

	"github.com/go-inmesh/inmesh/identity"
)

// Only the front end may read, and nobody else may do anything.
func ExampleNewPolicies() {
	policies, err := identity.NewPolicies([]identity.Policy{{Namespace: "shop", Name: "readers", Spec: &security.AuthorizationPolicy{
		Rules: []*security.Rule{{
			From: []*security.Rule_From{{Source: &security.Source{Principals: []string{"cluster.local/ns/shop/sa/front"}}}},
			To:   []*security.Rule_To{{Operation: &security.Operation{Methods: []string{"GET"}}}},
		}},
	}}}, nil)
	if err != nil {
		panic(err)
	}
	front := identity.Peer{ID: spiffeid.RequireFromString("spiffe://cluster.local/ns/shop/sa/front")}
	for _, q := range []identity.Request{{Method: "GET", Path: "/", Peer: front}, {Method: "PUT", Path: "/", Peer: front}, {Method: "GET", Path: "/"}} {
		v := policies.Authorize(&q)
		fmt.Println(q.Method, v.Allowed, v.Rule+v.Details())
	}
	// Output:
	// GET true ns[shop]-policy[readers]-rule[0]
	// PUT false rbac_access_denied_matched_policy[none]
	// GET false rbac_access_denied_matched_policy[none]
}
