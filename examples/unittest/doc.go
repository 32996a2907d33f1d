// Package unittest shows rules under test: no socket, no waiting, repeatable chance. See reviews_test.go.
//
//	go test ./examples/unittest
package unittest
