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
	if send, ok := ls.add(msg("bob", "loud@x.example", "l0")); !send || !ok {
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
	for m := ls.done("bob"); m != nil; m = ls.done("bob") {
		got = append(got, m.id)
	}
	if want := "[l1 q1 l2 l3]"; fmt.Sprint(got) != want {
		t.Errorf("order %v, want %v", got, want)
	}
	if ls.open != 1 || len(ls.byKey) != 1 {
		t.Errorf("open=%d lanes=%d after bob is idle, want carol's only", ls.open, len(ls.byKey))
	}
}

// SEC-24: every queue is bounded, per sender, per destination and in all.
func TestLanesAreBounded(t *testing.T) {
	ls := newLanes(Limits{FIFO: 2, Lane: 3, Total: 4})
	add := func(lane, sender string) bool {
		_, ok := ls.add(msg(lane, sender, ""))
		return ok
	}
	for _, lane := range []string{"a", "b"} {
		add(lane, "x@x.example") // takes the slot
	}
	steps := []struct {
		lane, sender string
		want         bool
		why          string
	}{
		{"a", "x@x.example", true, ""},
		{"a", "x@x.example", true, ""},
		{"a", "x@x.example", false, "the sender's FIFO holds two"},
		{"a", "y@x.example", true, ""},
		{"a", "z@x.example", false, "the lane holds three"},
		{"b", "z@x.example", true, ""},
		{"b", "y@x.example", false, "four wait in all"},
	}
	for i, s := range steps {
		if got := add(s.lane, s.sender); got != s.want {
			t.Errorf("step %d: add(%s, %s) = %v, want %v (%s)", i, s.lane, s.sender, got, s.want, s.why)
		}
	}
	if got := len(ls.clear()); got != 4 || ls.waiting != 0 {
		t.Errorf("clear returned %d, waiting %d; want 4 and 0", got, ls.waiting)
	}
	if m := ls.done("a"); m != nil || ls.open != 1 {
		t.Errorf("after clear: done(a) = %v, open %d; want nil and 1", m, ls.open)
	}
}

// The lanes against the simplest thing that could be right: a list per
// destination, searched.
func TestLanesModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := Limits{FIFO: rapid.IntRange(1, 4).Draw(t, "fifo"), Lane: rapid.IntRange(1, 6).Draw(t, "lane"), Total: rapid.IntRange(1, 8).Draw(t, "total")}
		ls := newLanes(limits)
		busy := map[string]bool{}
		queue := map[string][]*outbound{} // by lane, in order of arrival
		turns := map[string][]string{}    // by lane: senders in order of service
		total := 0
		count := func(lane, sender string) (n int) {
			for _, m := range queue[lane] {
				if sender == "" || m.sender.String() == sender {
					n++
				}
			}
			return n
		}
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			lane := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "lane")
			if rapid.Bool().Draw(t, "add") {
				sender := rapid.SampledFrom([]string{"x@h", "y@h", "z@h"}).Draw(t, "sender")
				m := msg(lane, sender, fmt.Sprint(i))
				send, ok := ls.add(m)
				switch {
				case !busy[lane]:
					if !send || !ok {
						t.Fatalf("idle lane did not take the message")
					}
					busy[lane] = true
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
			if !busy[lane] {
				continue
			}
			got := ls.done(lane)
			if len(queue[lane]) == 0 {
				if got != nil {
					t.Fatalf("an empty lane gave %s", got.id)
				}
				busy[lane] = false
				continue
			}
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
		if ls.waiting != total {
			t.Fatalf("waiting %d, want %d", ls.waiting, total)
		}
	})
}
