package sipside

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestHeard: what was read counts for a second, and for nobody else.
func TestHeard(t *testing.T) {
	var h heard
	now := time.Unix(1000, 0)
	place := func(i int) netip.AddrPort { return netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:5060", i)) }
	h.note([]packet{{to: place(1)}, {to: place(1)}, {to: place(2)}}, now)
	for i, want := range []bool{false, true, true, false} {
		if h.lately(place(i), now.Add(heardFor-1)) != want {
			t.Errorf("%v: %t", place(i), !want)
		}
		if h.lately(place(i), now.Add(heardFor)) {
			t.Errorf("%v: still", place(i))
		}
	}
	if other := netip.MustParseAddrPort("192.0.2.1:5061"); h.lately(other, now) {
		t.Error("another port counts")
	}
	h.note([]packet{{to: place(1 + len(h))}}, now) // has the same place in the table
	if h.lately(place(1), now) || !h.lately(place(1+len(h)), now) || !h.lately(place(2), now) {
		t.Error("a place in the table is not that of who wrote last")
	}
	if h.lately(netip.AddrPort{}, now) {
		t.Error("nobody was heard")
	}
}

// TestSure: requests may share a piece once their peer was heard, and no longer when it has
// been silent for a second.
func TestSure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, m := memUA(t, testConfig(), newBridge(nil))
		var firsts []bool // of each request that is sent first: whether it is sure
		m.deny = func(p packet) error {
			if p.tx != nil {
				firsts = append(firsts, p.sure)
			}
			return nil
		}
		send := func(n int) {
			u.Deliver(parcel(n, toMem(n)))
			synctest.Wait()
		}
		send(1)
		send(2)
		m.in <- okTo(m.all()[0])
		synctest.Wait()
		send(3)
		time.Sleep(heardFor)
		send(4)
		if want := []bool{false, false, true, false}; !slices.Equal(firsts, want) {
			t.Errorf("sure: %v, want %v", firsts, want)
		}
	})
}
