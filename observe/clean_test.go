package observe

import (
	"strings"
	"testing"
	"testing/quick"
	"time"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", "unknown"},
		{"plain", "reviews-v1", "reviews-v1"},
		{"other scripts", "büro", "büro"},
		{"new line", "a\nb\r\x00\u0085\u2028", "a_b____"},
		{"not UTF-8", "a\xffb", "a\ufffdb"},
		{"long", strings.Repeat("x", 300), strings.Repeat("x", 256)},
		{"long, cut within a letter", "x" + strings.Repeat("ü", 150), "x" + strings.Repeat("ü", 127)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := clean(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\nb\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if got == "" || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r") || clean(got) != got {
			t.Errorf("got %q of %q", got, s)
		}
	})
}

// TestBuckets holds the shortcut against a plain search.
func TestBuckets(t *testing.T) {
	plain := func(v float64) int {
		for i, b := range bounds {
			if v <= b {
				return i
			}
		}
		return len(bounds)
	}
	check := func(v int64) bool {
		v &= 1<<63 - 1
		return times.bucket(v) == plain(float64(v)/1e6) && sizes.bucket(v) == plain(float64(v))
	}
	for _, b := range bounds {
		for d := range int64(5) {
			if v := int64(b*1e6) - 2 + d; !check(v) || !check(int64(b)-2+d) && int64(b) > 2 {
				t.Errorf("the bound %v is wrong near %d", b, v)
			}
		}
	}
	if err := quick.Check(func(v int64, shift uint8) bool { return check(v >> (shift % 63)) }, nil); err != nil {
		t.Error(err)
	}
	if got := times.bucket(int64(1<<63 - 1)); got != buckets-1 {
		t.Errorf("got %d, want the last", got)
	}
	c := &cell{}
	c.add(-time.Second, -1, -1, false)
	if c.duration[0].Load() != 1 || c.nanoseconds.Load() != 0 {
		t.Error("a negative duration does not count as 0")
	}
}
