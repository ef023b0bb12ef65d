package bridge

import (
	"fmt"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

func nameOf(n int) wishKey {
	return wishKey{mapping.MustParseJID(fmt.Sprintf("user%d@example.com", n%7)), mapping.MustParseJID("romeo@sip.example.com"), fmt.Sprint(n)}
}

// A name is found until a whole generation of others has come, or so much time has passed;
// names that are not there, nor made of the same texts in another order, are not; and it
// takes no more memory than it says.
func TestNames(t *testing.T) {
	var s names
	now := time.Unix(1_700_000_000, 0)
	if s.has(nameOf(1)) {
		t.Error("an empty table has something")
	}
	for n := range 10 * maxNames {
		s.add(nameOf(n), now)
		s.add(nameOf(n), now)
		for _, last := range []int{n, n / 2, n - maxNames + 1} {
			if want := last >= 0 && n-last < maxNames; want && !s.has(nameOf(last)) {
				t.Fatalf("%d is forgotten after %d", last, n)
			}
		}
		if octets := 8 * (len(s.young) + len(s.old)); octets > 256<<10 {
			t.Fatalf("%d octets after %d names", octets, n)
		}
	}
	last := 10*maxNames - 1
	for n := range 1000 {
		if s.has(nameOf(n)) || s.has(nameOf(last+1+n)) {
			t.Fatalf("%d, or %d, is there", n, last+1+n)
		}
	}
	k := nameOf(last)
	for _, other := range []wishKey{{k.contact, k.user, k.name}, {k.user, k.contact, k.name + "x"}, {k.user, k.user, k.name}, {user: k.user, contact: k.contact}} {
		if s.has(other) {
			t.Errorf("%v is there", other)
		}
	}
	s.add(nameOf(0), now.Add(recentFor))
	if !s.has(nameOf(last)) {
		t.Error("forgotten after one generation")
	}
	s.add(nameOf(1), now.Add(2*recentFor))
	if s.has(nameOf(last)) || !s.has(nameOf(0)) {
		t.Error("not forgotten after two generations, or the second one too")
	}
	s.add(nameOf(2), now.Add(4*recentFor))
	if s.has(nameOf(0)) || s.has(nameOf(1)) || !s.has(nameOf(2)) {
		t.Error("not forgotten after a long time")
	}
}
