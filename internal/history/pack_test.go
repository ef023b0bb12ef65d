package history

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever there is of an entry is there again when it is unpacked.
func TestPack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	some := func(values ...int64) int64 { return values[r.IntN(len(values))] }
	var got entry // it has what the one before had
	for range 500 {
		e := entry{
			size:   int32(some(0, 5, math.MaxInt32)),
			status: int16(some(0, 100, 699, -1, math.MaxInt16)), omitted: uint16(some(0, 1, math.MaxUint16)), outcome: uint8(r.IntN(len(outcomeNames))),
			known: r.IntN(2) == 0, clipped: r.IntN(2) == 0,
		}
		part := func() span {
			if r.IntN(2) == 0 {
				return span{}
			}
			return e.append(string(make([]byte, some(1, 30, 255, 2048))))
		}
		for i := range e.fields {
			e.fields[i] = part()
		}
		for range r.IntN(MaxSteps + 1) {
			e.steps = append(e.steps, step{after: some(0, 1, -1, 12e6, math.MaxInt64), said: part(), condition: part(), status: int16(some(0, 200, -1)),
				kind: uint8(r.IntN(len(kindNames))), n: uint8(some(0, 1, 255)), of: uint8(some(0, 0, 255))})
		}
		for i := range e.text {
			e.text[i] = byte(r.Uint32())
		}
		got.unpack(e.pack(nil))
		if diff := cmp.Diff(e, got, cmp.AllowUnexported(entry{}, step{}, span{}), cmp.Transformer("empty", func(b []byte) string { return string(b) }),
			cmp.Transformer("none", func(s []step) []step { return append([]step{}, s...) })); diff != "" {
			t.Fatalf("-want +got\n%s", diff)
		}
	}
}

// What is in a chain of blocks is what was written last, whatever was there, and nothing is
// left of what is given back.
func TestBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var b blocks
	type kept struct {
		at   uint32
		data []byte
	}
	all := make([]kept, 50)
	for i := range 20_000 {
		k := &all[r.IntN(len(all))]
		if k.at != 0 && r.IntN(4) == 0 {
			b.release(k.at)
			*k = kept{}
			continue
		}
		k.data = make([]byte, 1+r.IntN(5*blockSize))
		for j := range k.data {
			k.data[j] = byte(i%255 + 1)
		}
		k.at = b.write(k.at, k.data)
		for _, k := range all {
			if got := b.read(nil, k.at, len(k.data)); string(got) != string(k.data) {
				t.Fatalf("after %d: %x instead of %x", i, got, k.data)
			}
		}
	}
	if len(b.next) > chunk {
		t.Errorf("%d blocks for %d that are needed at most", len(b.next), 5*len(all))
	}
	for _, k := range all {
		b.release(k.at)
	}
	for _, c := range b.chunks {
		for _, octet := range c {
			if octet != 0 {
				t.Fatal("something is left")
			}
		}
	}
	if b.used != 0 {
		t.Errorf("%d are in use", b.used)
	}
}
