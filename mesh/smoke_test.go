package mesh_test

import (
	"testing"

	"github.com/go-inmesh/inmesh/mesh/meshtest"
)

const bookinfo = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  endpoints:
  - {address: 10.0.0.1, labels: {version: v1}}
  - {address: 10.0.0.2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - route: [{destination: {host: reviews, subset: v1}}]
`

func TestSmoke(t *testing.T) {
	client := meshtest.Client(t, bookinfo, meshtest.Fleet{"10.0.0.1:9080": meshtest.Name("v1"), "10.0.0.2:9080": meshtest.Name("v2")})
	if got := meshtest.Do(t, client, "GET", "http://reviews:9080/", "end-user: jason"); got.Body != "v2" {
		t.Error(got)
	}
	if got := meshtest.Spread(t, client, 10, "http://reviews:9080/"); got["v1"] != 10 {
		t.Error(got)
	}
}
