package observe

import (
	"log/slog"
	"maps"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/prometheus/client_golang/prometheus"
)

// labelNames are the 25 labels of Istio's HTTP metrics, in the order of series.values.
var labelNames = []string{
	"reporter",
	"source_workload", "source_workload_namespace", "source_principal", "source_app", "source_version",
	"source_canonical_service", "source_canonical_revision", "source_cluster",
	"destination_workload", "destination_workload_namespace", "destination_principal", "destination_app",
	"destination_version", "destination_canonical_service", "destination_canonical_revision", "destination_cluster",
	"destination_service", "destination_service_name", "destination_service_namespace",
	"request_protocol", "response_code", "grpc_response_status", "response_flags", "connection_security_policy",
}

// key is what a series varies by. It holds no strings, so that it hashes in a few nanoseconds.
type key struct {
	source, destination Peer
	service             Service
	flags               Flags
	code, grpc          int32
	reporter            Reporter
	isGRPC, mutual      bool
	overflow            bool
}

// series counts the requests of one combination of label values.
type series struct {
	key     key
	pairs   []*dto.LabelPair
	created time.Time
	cells   []cell // one for each processor, a power of two
}

func (s *series) totals() (t totals) {
	for i := range s.cells {
		t.add(&s.cells[i])
	}
	return t
}

// table holds the series and finds them without a lock.
type table struct {
	max    int
	desc   *prometheus.Desc // any that has labelNames
	warn   *slog.Logger
	shards int
	tokens sync.Pool // *int, the index of this processor's cell
	next   atomic.Int32

	read atomic.Pointer[map[key]*series] // never written to

	mu       sync.Mutex
	cache    map[key]*series // all of read and what came since
	misses   int             // lookups that read did not answer, since it was renewed
	byLabels map[string]*series
	all      []*series
	overflow atomic.Uint64 // requests counted in overflow series
}

func newTable(limit int, desc *prometheus.Desc, warn *slog.Logger) *table {
	t := &table{max: limit, desc: desc, warn: warn, shards: 1, cache: map[key]*series{}, byLabels: map[string]*series{}}
	for t.shards < runtime.GOMAXPROCS(0) && t.shards < 16 {
		t.shards *= 2
	}
	t.tokens.New = func() any {
		n := int(t.next.Add(1)-1) & (t.shards - 1)
		return &n
	}
	t.read.Store(&map[key]*series{})
	return t
}

// add counts one request.
func (t *table) add(r *Record, took time.Duration) {
	k := key{source: r.Source, destination: r.Destination, service: r.DestinationService, flags: r.Flags & (flagEnd - 1),
		code: int32(r.Code), grpc: -1, reporter: r.Reporter, isGRPC: r.GRPC, mutual: r.MutualTLS}
	if r.GRPC && r.GRPCStatus >= 0 {
		k.grpc = int32(r.GRPCStatus)
	}
	s := (*t.read.Load())[k]
	if s == nil {
		s = t.find(k)
	}
	if s.key.overflow {
		t.overflow.Add(1)
	}
	shard := 0
	if t.shards > 1 {
		token := t.tokens.Get().(*int)
		shard = *token
		t.tokens.Put(token)
	}
	s.cells[shard].add(took, r.BytesReceived+r.RequestHeaderBytes, r.BytesSent+r.ResponseHeaderBytes, r.MutualTLS)
}

// find is the slow path of add: it makes what is missing.
func (t *table) find(k key) *series {
	s, full := t.findLocked(k)
	if full {
		t.warn.Warn("observe: too many series, what is new is counted in overflow series", "limit", t.max,
			"destination_service", k.service.values().host)
	}
	return s
}

// findLocked also tells whether the table has just become full.
func (t *table) findLocked(k key) (s *series, full bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s = t.cache[k]; s == nil {
		before := len(t.all)
		s = t.make(k)
		full = before == t.max && len(t.all) > t.max
		if len(t.cache) > 4*t.max { // the same labels under ever new keys: begin anew
			t.cache, t.misses = map[key]*series{}, 0
			t.read.Store(&map[key]*series{})
		}
		t.cache[k] = s
	}
	// Renewing costs as much as the cache is large, so it waits for as many misses, in proportion.
	if t.misses++; t.misses*8 >= len(t.cache) {
		m := maps.Clone(t.cache)
		t.read.Store(&m)
		t.misses = 0
	}
	return s, full
}

// make finds or makes the series of the key's labels.
func (t *table) make(k key) *series {
	values := k.values()
	if s := t.byLabels[strings.Join(values, "\xff")]; s != nil {
		return s
	}
	if len(t.all) >= t.max && !k.overflow {
		return t.make(key{reporter: k.reporter, code: knownCode(k.code), grpc: -1, overflow: true})
	}
	s := &series{key: k, created: time.Now(), cells: make([]cell, t.shards),
		pairs: prometheus.MakeLabelPairs(t.desc, values)}
	t.byLabels[strings.Join(values, "\xff")] = s
	t.all = append(t.all, s)
	return s
}

// knownCode gives codes that nobody registered that of their class, so that their number is bounded.
func knownCode(code int32) int32 {
	if code == 0 || http.StatusText(int(code)) != "" {
		return code
	}
	return min(max(code/100, 1), 9) * 100
}

// snapshot is all series so far.
func (t *table) snapshot() []*series {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all[:len(t.all):len(t.all)]
}

// values are the values of labelNames.
func (k key) values() []string {
	src, dst, svc := k.source.values(), k.destination.values(), k.service.values()
	if !k.mutual { // nobody proved who he is
		src.principal, dst.principal = unknown, unknown
	}
	if k.overflow {
		svc = service{"overflow", "overflow", unknown}
	}
	protocol, grpc, security := "http", "", unknown
	if k.isGRPC {
		protocol = "grpc"
		if k.grpc >= 0 {
			grpc = strconv.Itoa(int(k.grpc))
		}
	}
	if k.reporter == ReporterDestination && !k.overflow {
		security = "none"
		if k.mutual {
			security = "mutual_tls"
		}
	}
	return []string{
		k.reporter.String(),
		src.workload, src.namespace, src.principal, src.app, src.version,
		src.canonicalService, src.canonicalRevision, src.cluster,
		dst.workload, dst.namespace, dst.principal, dst.app,
		dst.version, dst.canonicalService, dst.canonicalRevision, dst.cluster,
		svc.host, svc.name, svc.namespace,
		protocol, strconv.Itoa(int(k.code)), grpc, k.flags.String(), security,
	}
}
