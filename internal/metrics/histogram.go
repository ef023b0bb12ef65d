package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/stoxgw/stox/internal/hist"
)

// Histogram gives a histogram its values: with classic buckets, which end at limits, and as
// a native histogram for who asks for that.
func (b *Batch) Histogram(m *Metric, h *hist.Histogram, limits []float64, labels ...string) {
	buckets := make(map[float64]uint64, len(limits))
	var n uint64
	for i, limit := range limits {
		n += h.Bins[i]
		buckets[limit] = n
	}
	fine := make(map[int]int64)
	h.Each(func(bucket int, n uint64) { fine[bucket] = int64(n) })
	classic, err := prometheus.NewConstHistogram(m.desc, h.N, h.Sum, buckets, labels...)
	if err != nil {
		b.put(m, nil, err)
		return
	}
	native, err := prometheus.NewConstNativeHistogram(m.desc, h.N, h.Sum, fine, nil, h.Nothing, hist.Schema, zeroBelow, time.Time{}, labels...)
	b.put(m, &both{classic, native}, err)
}

// zeroBelow is the width of the bucket for nothing.
const zeroBelow = 1e-12

// both is a histogram of both kinds. The library makes either, and Prometheus takes them in
// one.
type both struct {
	prometheus.Metric // classic
	native            prometheus.Metric
}

func (b *both) Write(out *dto.Metric) error {
	var classic dto.Metric
	if err := b.Metric.Write(&classic); err != nil {
		return err
	}
	if err := b.native.Write(out); err != nil {
		return err
	}
	out.Histogram.Bucket = classic.Histogram.Bucket
	out.Histogram.CreatedTimestamp = nil // the counts begin with the process, like all others
	return nil
}
