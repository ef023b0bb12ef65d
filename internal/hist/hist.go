// Package hist counts how often something took how long, or was how much. A Histogram is a
// plain value: whoever owns it guards it by the lock that is held where it is written
// anyway, and gives copies of it away. So it costs the way of a message nothing but two
// additions, and its owner knows nothing of who will look at it.
//
// It is kept twice: in the buckets that its owner has chosen, which every reader of metrics
// understands, and in exponential ones, which are as narrow everywhere.
package hist

import (
	"math"
	"slices"
	"time"
)

// Schema says how narrow the exponential buckets are: four for each doubling, as in the
// native histograms of Prometheus of schema 2.
const Schema = 2

const (
	perDoubling = 1 << Schema
	least       = -20 * perDoubling // bucket of 2^-20: a microsecond ...
	most        = 20 * perDoubling  // ... and of 2^20: a million
	// Exponential is the number of exponential buckets.
	Exponential = most - least + 1
	// Classic is how many bounds an owner may choose.
	Classic = 16
)

// bounds of the buckets within a doubling, for the fraction of math.Frexp.
var bounds = [perDoubling]float64{0.5, 0.5946035575013605, 0.7071067811865475, 0.8408964152537144}

// Seconds are bounds for what takes microseconds at best and a minute at worst.
var Seconds = []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30}

// Sizes are bounds for what comes in ones and in thousands.
var Sizes = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096}

// Histogram has the counts. The zero value is empty.
type Histogram struct {
	N       uint64
	Sum     float64
	Bins    [Classic + 1]uint64 // by the bounds of its owner; the last is what is beyond
	Fine    [Exponential]uint64 // exponential: see Each
	Nothing uint64              // zero, or less
}

// Add counts one value. limits are the same for each call, in ascending order, Classic of
// them at most.
func (h *Histogram) Add(v float64, limits []float64) {
	h.N++
	h.Sum += v
	i := 0
	for i < len(limits) && v > limits[i] {
		i++
	}
	h.Bins[i]++
	if v <= 0 {
		h.Nothing++
		return
	}
	fraction, exponent := math.Frexp(v)
	at, _ := slices.BinarySearch(bounds[:], fraction)
	at += (exponent - 1) * perDoubling
	h.Fine[min(max(at, least), most)-least]++
}

// Took is Add for a time, in seconds.
func (h *Histogram) Took(d time.Duration) { h.Add(d.Seconds(), Seconds) }

// Each calls f for each exponential bucket that is not empty: it has the values up to
// 2^(bucket/4), and above those of the bucket before it.
func (h *Histogram) Each(f func(bucket int, n uint64)) {
	for i, n := range h.Fine {
		if n > 0 {
			f(i+least, n)
		}
	}
}

// Bound is the greatest value of the exponential bucket Fine[i], but for the last, which has
// what is beyond as well.
func Bound(i int) float64 { return math.Exp2(float64(i+least) / perDoubling) }
