package hist

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Each value is in the exponential bucket that its bounds say, and in the first classic one
// that has room for it.
func TestBuckets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64Range(1.1e-6, 1e6).Draw(t, "value")
		if rapid.Bool().Draw(t, "round") {
			v = math.Exp2(float64(rapid.IntRange(-76, 76).Draw(t, "bucket")) / perDoubling)
		}
		var h Histogram
		h.Add(v, Seconds)
		h.Each(func(bucket int, n uint64) {
			upper, lower := math.Exp2(float64(bucket)/perDoubling), math.Exp2(float64(bucket-1)/perDoubling)
			const off = 1e-12 // the bounds are rounded
			if v > upper*(1+off) || v <= lower*(1-off) || n != 1 {
				t.Fatalf("%v is in (%v, %v], %d times", v, lower, upper, n)
			}
		})
		for i, n := range h.Bins {
			in := (i >= len(Seconds) || v <= Seconds[i]) && (i == 0 || i <= len(Seconds) && v > Seconds[i-1])
			if in != (n == 1) {
				t.Fatalf("%v: %v", v, h.Bins)
			}
		}
	})
}

// Nothing is lost, whatever comes.
func TestExtremes(t *testing.T) {
	var h Histogram
	values := []float64{0, -1, 1e-300, 1e300, 5e-324, math.MaxFloat64 / 4}
	for _, v := range values {
		h.Add(v, Sizes)
	}
	var fine uint64
	h.Each(func(bucket int, n uint64) {
		if bucket != least && bucket != most {
			t.Errorf("bucket %d", bucket)
		}
		fine += n
	})
	var bins uint64
	for _, n := range h.Bins {
		bins += n
	}
	if n := uint64(len(values)); h.N != n || fine+h.Nothing != n || bins != n || h.Nothing != 2 {
		t.Errorf("%d: %d exponential, %d classic, %d of nothing", h.N, fine, bins, h.Nothing)
	}
}

func TestTook(t *testing.T) {
	var h Histogram
	h.Took(1500 * time.Microsecond)
	h.Took(time.Hour)
	if h.Sum != 3600.0015 || h.Bins[4] != 1 || h.Bins[len(Seconds)] != 1 {
		t.Errorf("%v %v", h.Sum, h.Bins)
	}
}

// A copy is not changed by what is counted later.
func TestCopies(t *testing.T) {
	var h Histogram
	h.Took(time.Second)
	was := h
	h.Took(time.Second)
	if was.N != 1 || h.N != 2 {
		t.Errorf("%d, %d", was.N, h.N)
	}
}

func BenchmarkTook(b *testing.B) {
	var h Histogram
	for i := range b.N {
		h.Took(time.Duration(i&0xfffff) * time.Microsecond)
	}
}
