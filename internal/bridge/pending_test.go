package bridge

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// pending is a map by the key, also of keys that share a bucket however many there are.
func TestPendingIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p pending
		want := map[stanzaKey]*incoming{}
		key := func(t *rapid.T) (k stanzaKey) {
			binary.LittleEndian.PutUint16(k[:], rapid.Uint16Range(0, 300).Draw(t, "key"))
			k[12] = rapid.SampledFrom([]byte{0, 0, 1, 64, 128}).Draw(t, "bucket")
			return k
		}
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				if k := key(t); want[k] == nil {
					want[k] = &incoming{key: k}
					p.add(want[k])
				}
			},
			"take many": func(t *rapid.T) {
				for range 100 {
					if k := key(t); want[k] == nil {
						want[k] = &incoming{key: k}
						p.add(want[k])
					}
				}
			},
			"end": func(t *rapid.T) {
				if in := want[key(t)]; in != nil {
					delete(want, in.key)
					p.remove(in)
				}
			},
			"end one that was never taken": func(t *rapid.T) { p.remove(&incoming{key: key(t)}) },
			"": func(t *rapid.T) {
				if p.n != len(want) {
					t.Fatalf("%d, want %d", p.n, len(want))
				}
				for k, in := range want {
					if got := p.get(k); got != in {
						t.Fatalf("%x: %p, want %p", k, got, in)
					}
				}
				if k := key(t); p.get(k) != want[k] {
					t.Fatalf("%x: %p, want %p", k, p.get(k), want[k])
				}
			},
		})
	})
}
