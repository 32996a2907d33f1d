package unittest

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-inmesh/inmesh/mesh/meshtest"
	"github.com/go-inmesh/inmesh/route"
)

var fleet = meshtest.Fleet{"10.0.0.1:9080": meshtest.Name("v1"), "10.0.0.2:9080": meshtest.Name("v2")}

func TestJasonSeesVersion2(t *testing.T) {
	client := meshtest.Client(t, "rules.d", fleet)
	if got := meshtest.Do(t, client, "GET", "http://reviews:9080/", "end-user: jason"); got.Body != "v2" {
		t.Errorf("jason got %+v, want v2", got)
	}
}

func TestTenPercentSeeVersion2(t *testing.T) {
	client := meshtest.Client(t, "rules.d", fleet)
	got := meshtest.Spread(t, client, 1000, "http://reviews:9080/")
	if got["v2"] < 70 || got["v2"] > 130 || got["v1"]+got["v2"] != 1000 {
		t.Errorf("got %v, want about 900 v1 and 100 v2", got)
	}
}

func TestTheDelayTakesNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := meshtest.Client(t, "rules.d", fleet)
		began := time.Now()
		got := meshtest.Do(t, client, "GET", "http://reviews:9080/slow")
		if took := time.Since(began); took != 7*time.Second || got.Body != "v1" {
			t.Errorf("got %+v after %v, want v1 after 7s", got, took)
		}
	})
}

func TestAVersionThatHangsIsATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := meshtest.Client(t, "rules.d", meshtest.Fleet{"10.0.0.1:9080": meshtest.Hang, "10.0.0.2:9080": meshtest.Hang})
		if got := meshtest.Do(t, client, "GET", "http://reviews:9080/"); !errors.Is(got.Err, route.ErrTimeout) {
			t.Errorf("got %+v, want a timeout", got)
		}
	})
}
