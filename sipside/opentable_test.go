package sipside

import (
	"math/rand/v2"
	"testing"
)

// The table has what a map would have, however ids collide.
func TestOpenTable(t *testing.T) {
	for _, bits := range []uint64{0x7, 0x3f, 0xfff, 1<<63 | 0x1f, 1<<64 - 1} { // of the ids, that differ
		rnd := rand.New(rand.NewPCG(bits, 1))
		var table openTable
		want := make(map[uint64]*clientTx)
		for range 20000 {
			id := rnd.Uint64() & bits
			switch tx := want[id]; {
			case table.get(id) != tx:
				t.Fatalf("%x: %d is %p, not %p", bits, id, table.get(id), tx)
			case tx != nil && rnd.IntN(3) > 0:
				table.remove(id)
				delete(want, id)
			case tx == nil && len(want) < 500:
				want[id] = &clientTx{id: id}
				table.put(want[id])
			case tx == nil:
				table.remove(id)
			}
			if table.count != len(want) || 2*table.count > len(table.slots) {
				t.Fatalf("%x: %d in %d places, want %d", bits, table.count, len(table.slots), len(want))
			}
		}
		for id, tx := range want {
			if table.get(id) != tx {
				t.Errorf("%x: %d is lost", bits, id)
			}
		}
		all := table.all()
		for _, tx := range all {
			if want[tx.id] != tx {
				t.Errorf("%x: %d is there", bits, tx.id)
			}
		}
		if len(all) != len(want) {
			t.Errorf("%x: %d of %d", bits, len(all), len(want))
		}
	}
}
