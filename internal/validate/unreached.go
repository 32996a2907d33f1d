package validate

import (
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// unreached warns of rules and matches that no request can reach, for earlier ones take all that they would match.
func unreached(fs *finding.Faults, v *networking.VirtualService) {
	http := rules{fs: fs, field: "http", seen: map[string]int{}, all: -1}
	var cover covers
	for i, r := range v.Http {
		if r == nil {
			continue
		}
		http.rule(i, r.Name, len(r.Match), func(j int) string {
			m := r.Match[j]
			if m.GetName() != "" { // the name has no part in matching
				m = proto.CloneOf(m)
				m.Name = ""
			}
			return canon(m)
		}, func(j int) {
			if by, ok := cover.earlier(i, r.Match[j]); ok {
				fs.Warnf(http.match(i, j), codeIneffective, "every request that it matches is taken by the match %s before it",
					http.match(by.rule, by.match))
			}
			cover.add(place{i, j}, r.Match[j])
		})
	}
	tls := rules{fs: fs, field: "tls", seen: map[string]int{}, all: -1}
	for i, r := range v.Tls {
		if r != nil {
			tls.rule(i, "", len(r.Match), func(j int) string { return canon(r.Match[j]) }, func(int) {})
		}
	}
	tcp := rules{fs: fs, field: "tcp", seen: map[string]int{}, all: -1}
	for i, r := range v.Tcp {
		if r != nil {
			tcp.rule(i, "", len(r.Match), func(j int) string { return canon(r.Match[j]) }, func(int) {})
		}
	}
}

// canon is the same for equal messages only.
func canon(m proto.Message) string {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil { // text that is not UTF-8, which no decoder lets through
		return fmt.Sprint(m)
	}
	return string(b)
}

// rules goes through one list of rules in order.
type rules struct {
	fs    *finding.Faults
	field string
	seen  map[string]int // canonical match → its rule
	all   int            // the last rule without match, -1 if none
}

func (l *rules) path(i int) string     { return finding.Index(l.field, i) }
func (l *rules) match(i, j int) string { return finding.Index(finding.Join(l.path(i), "match"), j) }

// rule takes the next rule, of n matches. Each match that is new and can be reached is handed to fresh.
func (l *rules) rule(i int, name string, n int, key func(int) string, fresh func(int)) {
	label := "rule " + l.path(i)
	if name != "" {
		label = "rule " + strconv.Quote(name)
	}
	if l.all >= 0 {
		l.fs.Warnf(l.path(i), codeUnreachable, "%s is never reached: %s before it has no match and takes every request", label, l.path(l.all))
		return
	}
	if n == 0 {
		l.all = i
		return
	}
	duplicates := 0
	for j := range n {
		k := key(j)
		if by, ok := l.seen[k]; ok {
			duplicates++
			l.fs.Warnf(l.match(i, j), codeIneffective, "the match is never used: %s has the same", l.path(by))
			continue
		}
		l.seen[k] = i
		fresh(j)
	}
	if duplicates == n {
		l.fs.Warnf(l.path(i), codeUnreachable, "%s is never reached: rules before it have all of its matches", label)
	}
}
