package store

import (
	"fmt"
	"runtime"
	"testing"

	"pgregory.net/rapid"
)

// The table is a map, whatever order ids come in and whichever rows stay.
func TestRowTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, want := newRowTable(), map[uint64]row{}
		next := uint64(0)
		id := func(t *rapid.T) uint64 { return rapid.Uint64Range(0, next+2*pageRows).Draw(t, "id") }
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				step := rapid.SampledFrom([]uint64{1, 1, 1, 2, 100, 10 * pageRows}).Draw(t, "step")
				for range rapid.IntRange(1, 3*pageRows).Draw(t, "rows") {
					next += step
					r := row{size: int32(next % 1000), item: int32(next % 7), state: fresh}
					table.set(next, r)
					want[next] = r
				}
			},
			"set": func(t *rapid.T) {
				id, r := id(t), row{size: 5, item: -1, state: kept}
				table.set(id, r)
				want[id] = r
			},
			"remove one": func(t *rapid.T) {
				id := id(t)
				table.remove(id)
				delete(want, id)
			},
			"remove most": func(t *rapid.T) {
				stay := rapid.SampledFrom([]uint64{2, 5, 300, 1 << 40}).Draw(t, "stay")
				for id := range want {
					if id%stay != 1 {
						table.remove(id)
						delete(want, id)
					}
				}
			},
			"": func(t *rapid.T) {
				if table.len() != len(want) {
					t.Fatalf("%d rows, want %d", table.len(), len(want))
				}
				for id, r := range want {
					if got := table.get(id); got != r {
						t.Fatalf("row %d is %+v, want %+v", id, got, r)
					}
				}
				for id := range min(next, 2000) {
					if got := table.get(id); got != want[id] {
						t.Fatalf("row %d is %+v, want %+v", id, got, want[id])
					}
				}
			},
		})
	})
}

// However few rows of how many stay, what they cost is bounded.
func TestRowTableIsCompact(t *testing.T) {
	const rows = 100_000
	for _, every := range []uint64{1, 2, 3, 4, 5, 10, 100} {
		table := newRowTable()
		before := heap()
		for id := uint64(1); id <= rows*every; id++ {
			table.set(id, row{size: 300, item: -1, state: kept})
			if gone := id - min(id, 2*pageRows); gone > 0 && gone%every != 0 {
				table.remove(gone)
			}
		}
		per := float64(heap()-before) / float64(table.len())
		t.Logf("one of %d stays: %.0f bytes each, %d pages, %d in the map", every, per, len(table.pages), len(table.sparse))
		if per > 150 {
			t.Errorf("one of %d stays: %.0f bytes each", every, per)
		}
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkRowTable is the life of a row, with 256 outstanding, beside a backlog.
func BenchmarkRowTable(b *testing.B) {
	for _, backlog := range []uint64{0, 1000, 1_000_000} {
		b.Run(fmt.Sprint("backlog/", backlog), func(b *testing.B) {
			table := newRowTable()
			for id := range backlog {
				table.set(id+1, row{size: 300, item: -1, state: kept})
			}
			id := backlog
			b.ReportAllocs()
			for b.Loop() {
				id++
				table.set(id, row{size: 300, state: fresh})
				if gone := id - min(id, pageRows); gone > backlog {
					table.set(gone, row{item: -1, state: dead})
					table.remove(gone)
				}
			}
		})
	}
}
