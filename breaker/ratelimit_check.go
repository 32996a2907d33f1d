package breaker

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/go-inmesh/inmesh/internal/finding"
)

// check finds what is wrong with a rate limit, all at once.
func (s *LocalRateLimit) check() error {
	var fs finding.Faults
	if s == nil {
		fs.Errorf("localRateLimit", "nil, want settings")
		return fs.Err("breaker")
	}
	const at = "localRateLimit"
	if s.TokenBucket == (TokenBucket{}) && len(s.Descriptors) == 0 {
		fs.Errorf(at+".tokenBucket", "empty and there are no descriptors, want one of them")
	}
	s.TokenBucket.check(&fs, at+".tokenBucket")
	for i, d := range s.Descriptors {
		path := finding.Index(at+".descriptors", i)
		if d.Key == nil {
			fs.Errorf(path+".key", "nil, want a func")
		}
		if d.TokenBucket == (TokenBucket{}) && len(d.Values) == 0 {
			fs.Errorf(path+".tokenBucket", "empty and there are no values, want one of them")
		}
		d.TokenBucket.check(&fs, path+".tokenBucket")
		for _, v := range slices.Sorted(maps.Keys(d.Values)) {
			b := d.Values[v]
			if b == (TokenBucket{}) {
				fs.Errorf(finding.Key(path+".values", v), "empty, want a token bucket")
			}
			b.check(&fs, finding.Key(path+".values", v))
		}
	}
	atLeast(&fs, at+".maxDynamicDescriptors", s.MaxDynamicDescriptors, 0)
	refusalStatus(&fs, at+".status", s.Status)
	return fs.Err("breaker")
}

// check judges a bucket; one that is absent is right.
func (b TokenBucket) check(fs *finding.Faults, path string) {
	if b == (TokenBucket{}) {
		return
	}
	atLeast(fs, path+".maxTokens", b.MaxTokens, 1)
	atLeast(fs, path+".tokensPerFill", b.TokensPerFill, 0)
	if b.FillInterval < 50*time.Millisecond {
		fs.Errorf(path+".fillInterval", "%v is below 50ms", b.FillInterval)
	}
}

func atLeast(fs *finding.Faults, path string, got, want int) {
	if got < want {
		fs.Errorf(path, "%d is below %d", got, want)
	}
}

func positive(fs *finding.Faults, path string, d time.Duration) {
	if d <= 0 {
		fs.Errorf(path, "%v, want more than 0", d)
	}
}

func notNegative(fs *finding.Faults, path string, d time.Duration) {
	if d < 0 {
		fs.Errorf(path, "%v, want 0 or more", d)
	}
}

// percent judges a percentage, which must be a number.
func percent(fs *finding.Faults, path string, got, least float64) {
	if math.IsNaN(got) || got < least || got > 100 {
		fs.Errorf(path, "%v is not in %v..100", got, least)
	}
}

// refusalStatus judges the status of refusals; 0 is the default.
func refusalStatus(fs *finding.Faults, path string, got int) {
	if got != 0 && (got < 400 || got > 599) {
		fs.Errorf(path, "%d is not in 400..599", got)
	}
}
