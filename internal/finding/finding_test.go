package finding

import (
	"strings"
	"testing"
)

func TestTidy(t *testing.T) {
	at := func(line int, s Severity, message string) Finding {
		return Finding{Position: Position{File: "a.yaml", Line: line, Column: 1}, Severity: s, Code: CodeInvalid, Message: message}
	}
	got := Tidy([]Finding{at(2, Error, "y"), at(1, Error, "x"), at(2, Error, "y"), at(2, Error, "z")})
	if len(got) != 3 || got[0].Message != "x" || got[1].Message != "y" || got[2].Message != "z" {
		t.Errorf("said twice: %v", got)
	}
	var many []Finding
	for i := range 2500 {
		many = append(many, at(i+1, Warning, "w"))
	}
	got = Tidy(append(many, at(9999, Error, "e")))
	if len(got) != 1002 || got[1000].Message != "e" || !HasErrors(got) {
		t.Fatalf("%d findings, want a thousand warnings, the error and how many more: %v", len(got), got[len(got)-1])
	}
	if last := got[1001]; last.Code != CodeMore || last.Severity != Warning || last.File != "a.yaml" || !strings.Contains(last.Message, "1500 more") {
		t.Errorf("the rest: %v", last)
	}
	if got := Tidy(nil); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
