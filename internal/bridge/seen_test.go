package bridge

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// testKey is spread like the keyed hash that a real one is.
func testKey(n int) (k stanzaKey) {
	rnd := rand.NewPCG(uint64(n), 57)
	binary.BigEndian.PutUint64(k[:8], rnd.Uint64())
	binary.BigEndian.PutUint64(k[8:], rnd.Uint64())
	return k
}

// size is how many entries there are, over or not, and how many octets they take.
func (t *seenTable) size() (entries, octets int) {
	for i := range t.shards {
		for _, g := range []*seenGeneration{&t.shards[i].cur, &t.shards[i].old} {
			entries += g.n
			octets += len(g.slots) * int(unsafe.Sizeof(seenEntry{}))
		}
	}
	return entries, octets
}

// IM-57: what was put is found with its last outcome for ten minutes, to the
// millisecond, and nothing else ever is; a map says the same.
func TestSeenTableIsAMap(t *testing.T) {
	type value struct {
		outcome uint16
		at      int64
	}
	const tenMinutes = 600_000
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 57))
		var table seenTable
		want := map[int]value{}
		now := int64(1_700_000_000_000)
		keys := 1 << (2 + rnd.IntN(14))
		for step := range 40_000 {
			k := rnd.IntN(keys)
			switch rnd.IntN(20) {
			case 0:
				now += rnd.Int64N(20_000)
			case 1:
				if rnd.IntN(500) == 0 {
					now += tenMinutes - 1 + rnd.Int64N(3)
				}
			case 2:
				if rnd.IntN(100) == 0 {
					any, live := table.drop(now), false
					for _, v := range want {
						live = live || now-v.at < tenMinutes
					}
					if live && !any {
						t.Fatalf("seed %d, step %d: the table says that nothing is left", seed, step)
					}
				}
			case 3, 4, 5, 6, 7, 8, 9:
				v := value{uint16(1 + rnd.IntN(65535)), now}
				table.put(testKey(k), v.outcome, now)
				want[k] = v
			default:
				v, ok := want[k]
				ok = ok && now-v.at < tenMinutes
				e := table.get(testKey(k), now)
				if ok != (e != nil) || ok && (uint16(e.meta) != v.outcome || e.age(now) != now-v.at) {
					t.Fatalf("seed %d, step %d: key %d is %v, want %+v, %v", seed, step, k, e, v, ok)
				}
			}
		}
	}
}

// The table is bounded, keeps the last ones when it is full, and costs nothing
// while it is empty, before and after.
func TestSeenTableBounds(t *testing.T) {
	var table seenTable
	if entries, octets := table.size(); entries != 0 || octets != 0 {
		t.Errorf("empty: %d entries, %d octets", entries, octets)
	}
	now, last := int64(1_700_000_000_000), 0
	put := func(n int) {
		for range n {
			table.put(testKey(last), 200, now)
			last++
		}
	}
	put(1000)
	if _, octets := table.size(); octets > 100_000 {
		t.Errorf("1000 outcomes take %d octets", octets)
	}
	put(2_500_000)
	entries, octets := table.size()
	if entries > 1_000_000 || octets > 33_600_000 {
		t.Errorf("full: %d entries, %d octets", entries, octets)
	}
	// A generation of each shard is always there; the shards fill unevenly.
	for n := last - 450_000; n < last; n++ {
		if table.get(testKey(n), now) == nil {
			t.Fatalf("the outcome before the last %d is forgotten", last-n)
		}
	}
	if table.get(testKey(0), now) != nil {
		t.Error("the first outcome is still known")
	}
	now += seenFor.Milliseconds() - 1
	if !table.drop(now) {
		t.Error("dropped before its time")
	}
	if table.get(testKey(last-1), now) == nil {
		t.Error("the last outcome is forgotten before its time")
	}
	if now++; table.drop(now) {
		t.Error("something is left")
	}
	if entries, octets := table.size(); entries != 0 || octets != 0 {
		t.Errorf("after its time: %d entries, %d octets", entries, octets)
	}
}

// What is over goes by itself while outcomes keep coming.
func TestSeenTableAtASteadyRate(t *testing.T) {
	var table seenTable
	now, most := int64(1_700_000_000_000), 0
	for n := range 400_000 { // 100/s for more than an hour
		now += 10
		table.put(testKey(n), 200, now)
		if n%10_000 == 0 {
			_, octets := table.size()
			most = max(most, octets)
		}
	}
	// 60,000 are live, and as many may be over.
	if most > 8<<20 {
		t.Errorf("%d octets for 60,000 outcomes", most)
	}
	if _, octets := table.size(); octets > most*11/10 {
		t.Errorf("%d octets in the end, %d at most before", octets, most)
	}
}

func BenchmarkSeenTable(b *testing.B) {
	var table seenTable
	keys := make([]stanzaKey, 1<<20)
	for i := range keys {
		keys[i] = testKey(i)
	}
	i := 0
	for b.Loop() {
		k := keys[i&(len(keys)-1)]
		if table.get(k, int64(i)) == nil {
			table.put(k, 200, int64(i))
		}
		i++
	}
}
