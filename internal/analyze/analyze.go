// Package analyze looks at all objects together and finds what none of them shows alone: references that lead
// nowhere, rules that can never act, policies that contradict each other.
package analyze

import (
	"github.com/go-inmesh/inmesh/internal/finding"
	"github.com/go-inmesh/inmesh/internal/rule"
)

// Set is all findings about the set as a whole.
func Set(*rule.Set) []finding.Finding { return nil }
