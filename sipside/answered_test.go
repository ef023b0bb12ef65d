package sipside

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
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

// count tells how many answers are kept, those that are over and still there among them.
func (a *answered) count() int { return a.n + len(a.young) + len(a.old) }

// bytes is what the tables take.
func (a *answered) bytes() (n int) {
	for _, t := range a.tables {
		n += 32 + 64*cap(t.groups)
	}
	return n
}

// check counts what is in the tables.
func (a *answered) check(t *testing.T) {
	t.Helper()
	n := 0
	for _, tab := range a.tables {
		taken := 0
		for _, g := range tab.groups {
			for _, m := range g.marks {
				if m != 0 {
					taken++
				}
			}
		}
		if taken != int(tab.n) || taken > mostPlaces(len(tab.groups)) {
			t.Fatalf("%d places in %d groups are taken, %d were counted", taken, len(tab.groups), tab.n)
		}
		n += taken
	}
	if n != a.n {
		t.Fatalf("%d entries, %d were counted", n, a.n)
	}
}

// numbered is a key as a hash would make it, quicker.
func numbered(n int) (k txKey) {
	x := uint64(n) * 0x9e3779b97f4a7c15
	mix := func(x uint64) uint64 { // that of SplitMix64
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		return x ^ x>>31
	}
	binary.LittleEndian.PutUint64(k[:], mix(x))
	binary.LittleEndian.PutUint64(k[8:], mix(^x))
	return k
}

// TestAnsweredIsSmall: what is kept of answered requests for Timer J at some rates, and at
// the bound, however many there are and whatever they were told.
func TestAnsweredIsSmall(t *testing.T) {
	explained := func(i int) reply {
		return reply{status: 415, reason: fmt.Sprintf("No such thing as %d here, and so on until it is long", i), extra: acceptLines}
	}
	status := func(int) reply { return reply{status: 200} }
	for _, tt := range []struct {
		name  string
		n     int
		rate  int // requests a second
		of    func(i int) reply
		most  uint64 // MiB
		entry int    // bytes at most of an entry; 0: it is not in the tables
	}{
		{"2,000 a second for two minutes", 240_000, 2_000, status, 3, 25},
		{"50,000 a second for 40 seconds", 2_000_000, 50_000, status, 33, 21},
		{"without end", 3_000_000, 200_000, status, 33, 18},
		{"without end, each with a reason", 6 * maxTold, 100_000, explained, 16, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := heap()
			var a answered
			now := time.Unix(1e9, 0)
			for i := range tt.n {
				now = now.Add(time.Second / time.Duration(tt.rate))
				a.put(numbered(i), tt.of(i), now)
				if len(a.young) > maxTold || len(a.old) > maxTold || a.bytesMost() {
					t.Fatalf("%d entries, %d and %d explained ones are kept", a.n, len(a.young), len(a.old))
				}
			}
			after := heap()
			if after > before+tt.most<<20 {
				t.Errorf("%d KiB are kept, want %d MiB at most", (after-before)>>10, tt.most)
			}
			a.check(t)
			if tt.entry > 0 && a.bytes() > tt.entry*a.n {
				t.Errorf("%d bytes for %d entries, %d for each", a.bytes(), a.n, a.bytes()/a.n)
			}
			sure := min(int(timerJ/time.Second)*min(tt.rate, 50_000), 1_600_000) // of late
			if tt.entry == 0 {
				sure = maxTold
			}
			for i := max(tt.n-sure, 0); i < tt.n; i += 101 {
				if r, ok := a.find(numbered(i), now); !ok || r != tt.of(i) {
					t.Fatalf("%d of %d: %+v, %v", i, tt.n, r, ok)
				}
			}
			if _, ok := a.find(numbered(0), now); ok {
				t.Error("the first is still known")
			}
			for range 2*answerPeriods + 1 {
				a.turn(now)
				now = now.Add(answerPeriod)
			}
			if a.turn(now); a.count() != 0 || a.tables != nil || !a.turns.IsZero() {
				t.Errorf("%d are left after Timer J", a.count())
			}
		})
	}
}

// bytesMost reports whether there are more entries than the bound.
func (a *answered) bytesMost() bool { return a.n > answerTables*mostPlaces(largestTable) }

// TestAnsweredIsKept: against a map that remembers when each was put. What is younger than
// Timer J is known with its latest answer, what is older than a period more is not.
func TestAnsweredIsKept(t *testing.T) {
	type kept struct {
		at time.Time
		r  reply
	}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var a answered
		model := make(map[txKey]kept)
		now := time.Unix(1e9, 0)
		for range 20_000 {
			switch rng.IntN(500) {
			case 0:
				now = now.Add(time.Duration(rng.Int64N(int64(3 * timerJ))))
			case 1:
				a.turn(now)
			default:
				now = now.Add(time.Duration(rng.IntN(int(20 * time.Millisecond))))
			}
			// Few tables, so that they grow, shrink and are swept.
			k := numbered(rng.IntN(4000))
			binary.LittleEndian.PutUint64(k[:], uint64(k[0]&3))
			m, known := model[k]
			r, ok := a.find(k, now)
			switch age := now.Sub(m.at); {
			case ok && (!known || r.status != m.r.status):
				t.Fatalf("seed %d: found %+v, was %+v", seed, r, m)
			case known && age < timerJ && !ok:
				t.Fatalf("seed %d: forgotten after %v", seed, age)
			case ok && r.plain() && age > timerJ+answerPeriod:
				t.Fatalf("seed %d: still known after %v", seed, age)
			}
			if ok {
				continue // as the server does
			}
			r = reply{status: 200 + rng.IntN(500)}
			if rng.IntN(10) == 0 {
				r.reason = "so"
			}
			a.put(k, r, now)
			model[k] = kept{now, r}
		}
		a.check(t)
		now = now.Add(2*timerJ + answerPeriod)
		if a.turn(now); a.count() != 0 || !a.turns.IsZero() {
			t.Fatalf("seed %d: %d are left", seed, a.count())
		}
	}
}

// TestAnsweredAtOnce: a table is bounded whenever its entries came.
func TestAnsweredAtOnce(t *testing.T) {
	var a answered
	now := time.Unix(1e9, 0)
	most := 0
	for i := range 5000 {
		k := numbered(i)
		binary.LittleEndian.PutUint64(k[:], 7)
		a.put(k, reply{status: 200}, now)
		if r, ok := a.find(k, now); !ok || r.status != 200 {
			t.Fatalf("%d: %+v, %v", i, r, ok)
		}
		most = max(most, a.n)
	}
	a.check(t)
	if most != mostPlaces(largestTable) {
		t.Errorf("%d entries at most", most)
	}
}
