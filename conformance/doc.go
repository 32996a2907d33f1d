// Package conformance holds inmesh against Istio's own code: validation, routing, what DestinationRules come to, and
// real traffic. Its tests are all that it has; nothing here is linked into a program.
//
//	go test ./...                                  a bounded part: one fixed seed, one fresh one
//	go test -run TestRandomRoutes -seed 7 -n 1000  more of one kind
//	go test -run TestDoc -update                   writes docs/conformance.md, with larger figures
package conformance
