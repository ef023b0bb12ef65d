package sipside

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"
	"time"
)

func keyOf(n int) (k txKey) {
	h := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	copy(k[:], h[:])
	return k
}

// heap is what is in use after the collector has been.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestAnsweredIsSmall: what is kept of answered requests for Timer J at 2,000 a second,
// and at the bound, however many there are and whatever they were told.
func TestAnsweredIsSmall(t *testing.T) {
	told := func(i int) reply {
		return reply{status: 415, reason: fmt.Sprintf("No such thing as %d here, and so on until it is long", i), extra: acceptLines}
	}
	status := func(int) reply { return reply{status: 200} }
	for _, tt := range []struct {
		name string
		n    int
		rate int // requests a second
		of   func(i int) reply
		most uint64 // MiB
	}{
		{"2,000 a second for two minutes", 240_000, 2_000, status, 8},
		{"without end", 3 * maxAnswered, 100_000, status, 40},
		{"without end, each with a reason", 6 * maxTold, 100_000, told, 16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := heap()
			var a answered
			now := time.Unix(1e9, 0)
			for i := range tt.n {
				now = now.Add(time.Second / time.Duration(tt.rate))
				a.put(keyOf(i), tt.of(i), now)
				if len(a.young.status) > maxAnswered || len(a.old.status) > maxAnswered || len(a.young.more) > maxTold || len(a.old.more) > maxTold {
					t.Fatalf("%d, %d, %d, %d are kept", len(a.young.status), len(a.old.status), len(a.young.more), len(a.old.more))
				}
			}
			after := heap()
			if after > before+tt.most<<20 {
				t.Errorf("%d KiB are kept, want %d MiB at most", (after-before)>>10, tt.most)
			}
			for _, i := range []int{tt.n - 1, tt.n - maxTold} { // those of late
				if r, ok := a.find(keyOf(i), now); !ok || r != tt.of(i) {
					t.Errorf("%d: %+v, %v", i, r, ok)
				}
			}
			if _, ok := a.find(keyOf(0), now); ok {
				t.Error("the first is still known")
			}
			if a.turn(now.Add(2 * timerJ)); a.young.status != nil || a.old.status != nil || !a.turns.IsZero() {
				t.Error("something is left after Timer J")
			}
		})
	}
}
