package route

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// timeOperator compiles START_TIME and START_TIME(format), in UTC. The format is strftime's with Envoy's
// additions: %s, %3s, %6s, %9s for seconds since 1970 and %f, %1f to %9f for the fraction.
func timeOperator(format string) (operator, error) {
	if format == "" {
		return func(s *scene) string {
			if s.env.Start.IsZero() {
				return ""
			}
			return s.env.Start.UTC().Format("2006-01-02T15:04:05.000Z")
		}, nil
	}
	parts, err := timeParts(format)
	if err != nil {
		return nil, err
	}
	return func(s *scene) string {
		if s.env.Start.IsZero() {
			return ""
		}
		var b strings.Builder
		t := s.env.Start.UTC()
		for _, p := range parts {
			b.WriteString(p(t))
		}
		return b.String()
	}, nil
}

func timeParts(format string) ([]func(time.Time) string, error) {
	var parts []func(time.Time) string
	for s := format; s != ""; {
		i := strings.IndexByte(s, '%')
		if i != 0 {
			if i < 0 {
				i = len(s)
			}
			lit := s[:i]
			parts = append(parts, func(time.Time) string { return lit })
			s = s[i:]
			continue
		}
		s = s[1:]
		digits := 0
		if s != "" && '1' <= s[0] && s[0] <= '9' {
			digits, s = int(s[0]-'0'), s[1:]
		}
		if s == "" {
			return nil, fmt.Errorf("%%START_TIME(%s)%%: a %% at the end", format)
		}
		p := timePart(s[0], digits)
		if p == nil {
			return nil, fmt.Errorf("%%START_TIME(%s)%%: %%%c is not supported", format, s[0])
		}
		parts = append(parts, p)
		s = s[1:]
	}
	return parts, nil
}

// timePart is one of strftime's letters; nil for those that are not supported.
func timePart(c byte, digits int) func(time.Time) string {
	layout := func(l string) func(time.Time) string {
		return func(t time.Time) string { return t.Format(l) }
	}
	switch c {
	case 's':
		return func(t time.Time) string {
			return strconv.FormatInt(t.Unix(), 10) + fraction(t, digits)
		}
	case 'f':
		if digits == 0 {
			digits = 9
		}
		return func(t time.Time) string { return fraction(t, digits) }
	}
	if digits != 0 {
		return nil
	}
	switch c {
	case 'Y':
		return layout("2006")
	case 'y':
		return layout("06")
	case 'm':
		return layout("01")
	case 'd':
		return layout("02")
	case 'e':
		return layout("_2")
	case 'H':
		return layout("15")
	case 'I':
		return layout("03")
	case 'M':
		return layout("04")
	case 'S':
		return layout("05")
	case 'p':
		return layout("PM")
	case 'a':
		return layout("Mon")
	case 'A':
		return layout("Monday")
	case 'b', 'h':
		return layout("Jan")
	case 'B':
		return layout("January")
	case 'j':
		return layout("002")
	case 'Z':
		return layout("MST")
	case 'z':
		return layout("-0700")
	case 'F':
		return layout("2006-01-02")
	case 'T':
		return layout("15:04:05")
	case 'R':
		return layout("15:04")
	case 'D':
		return layout("01/02/06")
	case 'n':
		return layout("\n")
	case '%':
		return layout("%")
	}
	return nil
}

// fraction is the first digits of the fraction of a second.
func fraction(t time.Time, digits int) string {
	return fmt.Sprintf("%09d", t.Nanosecond())[:digits]
}
