package meshtest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

// A test of one's own rules, in five lines.
func TestJasonSeesVersion2(t *testing.T) {
	client := meshtest.Client(t, split, meshtest.Fleet{"10.0.0.1:80": meshtest.Name("v1"), "10.0.0.2:80": meshtest.Name("v2")})
	if got := meshtest.Spread(t, client, 1000, "http://a.com/"); got["v2"] < 50 || got["v2"] > 150 {
		t.Error(got)
	}
}

// Time is virtual in a bubble, so that a test of an hour takes no time.
func TestTimeIsVirtual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := meshtest.Client(t, split, meshtest.Fleet{"10.0.0.1:80": meshtest.Hang, "10.0.0.2:80": meshtest.Hang})
		client.Timeout = time.Hour
		if got := meshtest.Do(t, client, "GET", "http://a.com/"); got.Err == nil {
			t.Error(got)
		}
	})
}
