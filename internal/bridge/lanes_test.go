package bridge

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/stoxgw/stox/mapping"
)

func msg(lane, sender, id string) *outbound {
	j := mapping.MustParseJID(sender)
	return &outbound{id: id, lane: lane, sender: j, from: j}
}

// IM-32, IM-58: one pending per destination, senders in turn.
func TestLanesServeSendersInTurn(t *testing.T) {
	ls := newLanes(Limits{})
	open := msg("bob", "loud@x.example", "l0")
	if send, ok := ls.add(open); !send || !ok {
		t.Fatalf("first message of an idle lane: send=%v ok=%v, want both", send, ok)
	}
	for i := 1; i <= 3; i++ {
		if send, ok := ls.add(msg("bob", "loud@x.example", fmt.Sprintf("l%d", i))); send || !ok {
			t.Fatalf("behind a busy slot: send=%v ok=%v, want only ok", send, ok)
		}
	}
	ls.add(msg("bob", "quiet@x.example", "q1"))
	if send, _ := ls.add(msg("carol", "loud@x.example", "c1")); !send {
		t.Fatal("another destination must not wait")
	}
	var got []string
	for m := ls.done(open); m != nil; m = ls.done(m) {
		got = append(got, m.id)
	}
	if want := "[l1 q1 l2 l3]"; fmt.Sprint(got) != want {
		t.Errorf("order %v, want %v", got, want)
	}
	if ls.open != 1 || len(ls.byKey) != 1 {
		t.Errorf("open=%d lanes=%d after bob is idle, want carol's only", ls.open, len(ls.byKey))
	}
}

// SEC-24, SEC-30: every queue is bounded, per sender, per destination, per user
// domain and in all.
func TestLanesAreBounded(t *testing.T) {
	ls := newLanes(Limits{FIFO: 2, Lane: 4, Total: 16, Open: 12})
	open := map[string]*outbound{}
	add := func(lane, sender string) bool {
		m := msg(lane, sender, "")
		send, ok := ls.add(m)
		if send {
			open[lane] = m
		}
		return ok
	}
	steps := []struct {
		lane, sender string
		want         bool
		why          string
	}{
		{"a", "x@x.example", true, "takes the slot"},
		{"b", "x@x.example", true, "takes the slot"},
		{"c", "y@x.example", true, "takes the slot"},
		{"d", "z@x.example", false, "x.example has three slots of twelve"},
		{"d", "x@other.example", true, "takes the slot: another domain"},
		{"a", "x@x.example", true, ""},
		{"a", "x@x.example", true, ""},
		{"a", "x@x.example", false, "the sender's FIFO holds two"},
		{"a", "y@x.example", true, ""},
		{"b", "y@x.example", true, ""},
		{"b", "z@x.example", false, "four of x.example wait, of sixteen"},
		{"a", "x@other.example", true, "another domain"},
		{"a", "y@other.example", false, "the lane holds four"},
		{"b", "x@third.example", true, ""},
	}
	defer func() {
		for _, m := range open {
			ls.done(m)
		}
		if ls.held != (held{}) || len(ls.domains) != 0 || len(ls.byKey) != 0 {
			t.Errorf("left behind: %+v, %v, %d lanes", ls.held, ls.domains, len(ls.byKey))
		}
	}()
	for i, s := range steps {
		if got := add(s.lane, s.sender); got != s.want {
			t.Errorf("step %d: add(%s, %s) = %v, want %v (%s)", i, s.lane, s.sender, got, s.want, s.why)
		}
	}
	if got := len(ls.clear()); got != 6 || ls.waiting != 0 {
		t.Errorf("clear returned %d, waiting %d; want 6 and 0", got, ls.waiting)
	}
	if ls.open != 4 {
		t.Errorf("after clear %d slots are held, want 4", ls.open)
	}
}

// SEC-24: a few big messages are as bad as many small ones.
func TestLanesAreBoundedInOctets(t *testing.T) {
	ls := newLanes(Limits{Bytes: 4000})
	add := func(sender string, size int) bool {
		m := msg("bob", sender, "")
		m.size = size
		_, ok := ls.add(m)
		return ok
	}
	for i, s := range []struct {
		sender string
		size   int
		want   bool
	}{
		{"a@a.example", 900, true}, {"b@a.example", 200, false}, {"b@a.example", 100, true}, {"c@a.example", 1, false},
		{"a@b.example", 1000, true}, {"a@c.example", 1000, true}, {"a@d.example", 999, true}, {"a@e.example", 2, false}, {"a@e.example", 1, true},
	} {
		if got := add(s.sender, s.size); got != s.want {
			t.Errorf("step %d: %d octets of %s taken: %v, want %v", i, s.size, s.sender, got, s.want)
		}
	}
}

// The lanes against the simplest thing that could be right: a list per
// destination, searched.
func TestLanesModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := Limits{FIFO: rapid.IntRange(1, 4).Draw(t, "fifo"), Lane: rapid.IntRange(1, 6).Draw(t, "lane"),
			Total: rapid.IntRange(1, 20).Draw(t, "total"), Open: rapid.IntRange(1, 12).Draw(t, "open")}
		ls := newLanes(limits)
		busy := map[string]*outbound{}
		queue := map[string][]*outbound{} // by lane, in order of arrival
		turns := map[string][]string{}    // by lane: senders in order of service
		total := 0
		held := func(domain string) (open, waiting int) {
			for _, m := range busy {
				if m.sender.Domain() == domain {
					open++
				}
			}
			for _, q := range queue {
				for _, m := range q {
					if m.sender.Domain() == domain {
						waiting++
					}
				}
			}
			return open, waiting
		}
		count := func(lane, sender string) (n int) {
			for _, m := range queue[lane] {
				if sender == "" || m.sender.String() == sender {
					n++
				}
			}
			return n
		}
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			lane := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "lane")
			if rapid.Bool().Draw(t, "add") {
				sender := rapid.SampledFrom([]string{"x@h", "y@h", "z@i"}).Draw(t, "sender")
				m := msg(lane, sender, fmt.Sprint(i))
				open, waiting := held(m.sender.Domain())
				send, ok := ls.add(m)
				switch {
				case busy[lane] == nil && (len(busy) >= limits.Open || open >= max(limits.Open/4, 1)),
					busy[lane] != nil && waiting >= max(limits.Total/4, 1):
					if send || ok {
						t.Fatalf("the share of %s is used up and took a message", m.sender.Domain())
					}
				case busy[lane] == nil:
					if !send || !ok {
						t.Fatalf("idle lane did not take the message")
					}
					busy[lane] = m
				case count(lane, sender) >= limits.FIFO || count(lane, "") >= limits.Lane || total >= limits.Total:
					if send || ok {
						t.Fatalf("a full queue took a message")
					}
				default:
					if send || !ok {
						t.Fatalf("send=%v ok=%v, want queued", send, ok)
					}
					if count(lane, sender) == 0 {
						turns[lane] = append(turns[lane], sender)
					}
					queue[lane] = append(queue[lane], m)
					total++
				}
				continue
			}
			if busy[lane] == nil {
				continue
			}
			got := ls.done(busy[lane])
			delete(busy, lane)
			if len(queue[lane]) == 0 {
				if got != nil {
					t.Fatalf("an empty lane gave %s", got.id)
				}
				continue
			}
			busy[lane] = got
			sender := turns[lane][0]
			turns[lane] = turns[lane][1:]
			var want *outbound
			for j, m := range queue[lane] {
				if m.sender.String() == sender {
					want = m
					queue[lane] = append(queue[lane][:j:j], queue[lane][j+1:]...)
					break
				}
			}
			total--
			if count(lane, sender) > 0 {
				turns[lane] = append(turns[lane], sender)
			}
			if got != want {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
		if ls.waiting != total || ls.open != len(busy) {
			t.Fatalf("waiting %d, open %d, want %d and %d", ls.waiting, ls.open, total, len(busy))
		}
	})
}
