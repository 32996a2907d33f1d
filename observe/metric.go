package observe

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// counter is a series' number of requests at one scrape.
type counter struct {
	desc  *prometheus.Desc
	s     *series
	value uint64
}

// Desc implements [prometheus.Metric].
func (c *counter) Desc() *prometheus.Desc { return c.desc }

// Write implements [prometheus.Metric].
func (c *counter) Write(m *dto.Metric) error {
	value := float64(c.value)
	m.Label = slices.Clone(c.s.pairs)
	m.Counter = &dto.Counter{Value: &value, CreatedTimestamp: timestamppb.New(c.s.created)}
	return nil
}

// histogram is one of a series' histograms at one scrape.
type histogram struct {
	desc   *prometheus.Desc
	s      *series
	sum    float64
	counts *[buckets]uint64 // not cumulative
}

// Desc implements [prometheus.Metric].
func (h *histogram) Desc() *prometheus.Desc { return h.desc }

// Write implements [prometheus.Metric]. A scrape may fall between the parts of one request, so the count is
// that of this histogram's own buckets.
func (h *histogram) Write(m *dto.Metric) error {
	list := make([]*dto.Bucket, len(bounds))
	var n uint64
	for i := range bounds {
		n += h.counts[i]
		cumulative := n
		list[i] = &dto.Bucket{CumulativeCount: &cumulative, UpperBound: &bounds[i]}
	}
	n += h.counts[len(bounds)]
	m.Label = slices.Clone(h.s.pairs)
	m.Histogram = &dto.Histogram{SampleCount: &n, SampleSum: &h.sum, Bucket: list,
		CreatedTimestamp: timestamppb.New(h.s.created)}
	return nil
}
