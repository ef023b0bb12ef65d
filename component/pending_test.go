package component

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stoxgw/stox/mapping"
)

// The table finds what a list finds that is gone through from its begin, however much is in
// it, whatever has been used again, and also where many have one id.
func TestPendingTable(t *testing.T) {
	from := mapping.MustParseJID("romeo@sip.example.com")
	to := []mapping.JID{mapping.MustParseJID("a@example.com"), mapping.MustParseJID("b@example.com"), mapping.MustParseJID("c@example.com/x")}
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		tab, list, found := newPendingTable(), []*pending(nil), 0
		end := func(i int) {
			tab.finish(list[i])
			tab.recycle(list[i])
			list = append(list[:i], list[i+1:]...)
		}
		for step := range 5000 {
			switch n := rnd.IntN(10); {
			case n < 5:
				m := message(fmt.Sprint("id", rnd.IntN(400)), "x")
				if rnd.IntN(50) == 0 {
					m.ID = ""
				}
				m.From, m.To = from, to[rnd.IntN(len(to))]
				p := tab.make()
				if p.done || p.again || p.indexed || p.next != nil || p.value != nil || p.ref != nil || p.size != 0 {
					t.Fatalf("seed %d: a record comes back as %+v", seed, p)
				}
				p.ref, p.value, p.size, p.end, p.bounces = step, m, 1+rnd.IntN(9), uint64(step+1), rnd.IntN(5) > 0
				tab.add(p, m.ID)
				list = append(list, p)
			case n < 7 && len(list) > 0:
				end(rnd.IntN(min(len(list), 3)))
			case n < 8:
				id, by := fmt.Sprint("id", rnd.IntN(400)), to[rnd.IntN(len(to))]
				want := -1
				for i, p := range list {
					if m := p.value.(*mapping.XMPPMessage); want < 0 && p.bounces && m.ID == id && m.To == by {
						want = i
					}
				}
				got := tab.bounce(id, by, from)
				if want < 0 != (got == nil) || want >= 0 && got != list[want] {
					t.Fatalf("seed %d: the bounce of %s by %v is of %v, want number %d", seed, id, by, got, want)
				}
				if want >= 0 {
					found++
					end(want)
				}
			}
		}
		held := 0
		for _, p := range list {
			held += p.size
		}
		if tab.open != len(list) || tab.held != held {
			t.Errorf("seed %d: %d open and %d octets, want %d and %d", seed, tab.open, tab.held, len(list), held)
		}
		if found < 50 || len(tab.heads) <= leastHeads {
			t.Errorf("seed %d: %d bounces and %d chains show nothing", seed, found, len(tab.heads))
		}
		for len(list) > 0 {
			end(len(list) - 1)
		}
		if tab.ids != 0 || tab.open != 0 || tab.spare > mostSpare {
			t.Errorf("seed %d: %d ids and %d open left, %d spare", seed, tab.ids, tab.open, tab.spare)
		}
	}
}
