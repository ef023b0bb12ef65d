package bridge

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// queued is a message of one sender for one lane, as the lanes see it.
func queued(lane, sender string, size int) *outbound {
	j := mapping.MustParseJID(sender)
	return &outbound{lane: lane, sender: j, from: j, size: size, expire: time.Unix(1<<31, 0)}
}

// take gives o the slot of an idle lane, or lets it wait.
func (ls *lanes) take(o *outbound) bool { return ls.takeSlot(o) || ls.push(o) != nil }

// SEC-24, SEC-30: every queue is bounded, per sender, per destination, per user
// domain and in all.
func TestLanesAreBounded(t *testing.T) {
	ls := newLanes(Limits{FIFO: 2, Lane: 4, Total: 8, Open: 12})
	var taken []*outbound
	for i, s := range []struct {
		lane, sender string
		want         bool
		why          string
	}{
		{"a", "x@x.example", true, "takes the slot"},
		{"b", "x@x.example", true, "takes the slot"},
		{"c", "y@x.example", true, "takes the slot"},
		{"d", "z@x.example", true, "waits: x.example has three slots of twelve"},
		{"e", "x@other.example", true, "takes the slot: another domain"},
		{"a", "x@x.example", true, ""},
		{"a", "x@x.example", true, ""},
		{"a", "x@x.example", false, "the sender's FIFO holds two"},
		{"a", "y@x.example", true, ""},
		{"b", "y@x.example", false, "four of x.example wait, of eight"},
		{"a", "x@other.example", true, "another domain"},
		{"a", "y@other.example", false, "the lane holds four"},
		{"b", "x@third.example", true, ""},
	} {
		o := queued(s.lane, s.sender, 1)
		if got := ls.take(o); got != s.want {
			t.Errorf("step %d: %s to %s taken: %v, want %v (%s)", i, s.sender, s.lane, got, s.want, s.why)
		} else if got {
			taken = append(taken, o)
		}
	}
	if want := (held{waiting: 6, open: 4, bytes: 10}); ls.held != want {
		t.Errorf("held %+v, want %+v", ls.held, want)
	}
	for _, o := range taken {
		l := ls.byKey[o.lane]
		if l.open == o {
			ls.release(o)
			ls.tidyLane(l)
			continue
		}
		f := l.of(o.sender)
		ls.remove(f, len(f.queue)-1)
		ls.tidy(f)
	}
	if ls.held != (held{}) || len(ls.domains.each()) != 0 || len(ls.byKey) != 0 {
		t.Errorf("left behind: %+v, %v, %d lanes", ls.held, ls.domains.each(), len(ls.byKey))
	}
}

// What waits for its next use keeps no message alive.
func TestSpareFIFOsAreEmpty(t *testing.T) {
	ls := newLanes(Limits{})
	for range 3 {
		var f *fifo
		for range 5 { // more than there was room for
			f = ls.push(queued("bob", "juliet@example.com", 1))
		}
		for len(f.queue) > 0 {
			ls.remove(f, 0)
		}
		ls.tidy(f)
		ls.reuse()
		for _, f := range ls.spareFIFO {
			for _, e := range f.queue[:cap(f.queue)] {
				if e != (entry{}) {
					t.Fatalf("%+v is left", e)
				}
			}
		}
		if len(ls.spareFIFO) != 1 {
			t.Fatalf("%d are kept, want 1", len(ls.spareFIFO))
		}
	}
}

// SEC-24: a few big messages are as bad as many small ones.
func TestLanesAreBoundedInOctets(t *testing.T) {
	ls := newLanes(Limits{Bytes: 2000})
	for i, s := range []struct {
		sender string
		size   int
		want   bool
	}{
		{"a@a.example", 900, true}, {"b@a.example", 200, false}, {"b@a.example", 100, true}, {"c@a.example", 1, false},
		{"a@b.example", 999, true}, {"a@c.example", 2, false}, {"a@c.example", 1, true},
	} {
		if got := ls.take(queued("bob", s.sender, s.size)); got != s.want {
			t.Errorf("step %d: %d octets of %s taken: %v, want %v", i, s.size, s.sender, got, s.want)
		}
	}
}

// Whatever of a message is kept counts, also the subjects in languages that only a
// message/cpim can say.
func TestSubjectsAreCounted(t *testing.T) {
	m := &mapping.SIPMessage{Body: []byte("hi")}
	o := &outbound{parts: []mapping.SIP{m}}
	o.measure()
	plain := o.size
	for range 100 {
		m.Subjects = append(m.Subjects, mapping.Text{Lang: "fr", Value: strings.Repeat("x", 1000)})
	}
	if o.measure(); o.size < plain+100*1000 {
		t.Errorf("a message with 100,000 bytes of subjects counts as %d", o.size)
	}
}

// IM-32, IM-58: one pending per destination, senders in turn, each in order. Who is
// being served when another one comes has the next turn after that one.
func TestSendersAreServedInTurn(t *testing.T) {
	run(t, func(r *running) {
		r.lanes.limits.FIFO = 8
		for _, id := range []string{"l0", "l1", "l2", "l3"} {
			r.text(id, "juliet@example.com/x")
		}
		r.text("q1", "nurse@example.com/x")
		var got []string
		for i := range 5 {
			ref, _ := r.last(i + 1)
			got = append(got, ref.(*claim[outbound]).on.id)
			r.answer(answered(200))
		}
		if want := "[l0 q1 l1 l2 l3]"; fmt.Sprint(got) != want {
			t.Errorf("order %v, want %v", got, want)
		}
	})
}

// A message that comes back from its slot is not asked whether there is room; that
// must not keep anything from leaving.
func TestComingBackLocksNobodyOut(t *testing.T) {
	run(t, func(r *running) {
		r.lanes.limits = Limits{Total: 2}.withDefaults() // half of it is one
		r.text("a", "juliet@example.com/x")
		r.text("b", "nurse@example.com/x")
		r.answer(answered(503)) // two wait
		if h := r.lanes.domains.of("example.com"); h.waiting+h.open != 2 || h.open != 1 {
			t.Fatalf("held %+v, want one under way and one waiting", h)
		}
		r.answer(answered(503))
		time.Sleep(10 * time.Second)
		r.settle()
		r.last(3)
	})
}

// IM-58, SEC-30: a sender whose domain has all the slots that it may have holds up
// nobody in a lane that is shared.
func TestFullDomainHoldsUpNobody(t *testing.T) {
	rules, err := mapping.NewRules(mapping.RulesConfig{GatewayDomain: "sip.example.com", SIPHost: "sip.example.com",
		UserDomains: []string{"example.com", "example.org"}, DefaultSIPDomain: "pbx.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	access, err := mapping.NewAccess([]string{"example.com", "example.org"})
	if err != nil {
		t.Fatal(err)
	}
	run(t, func(r *running) {
		r.SetPolicy(Policy{Rules: rules, Access: access})
		r.lanes.limits = Limits{Open: 8}.withDefaults() // a quarter is two
		for _, m := range []mapping.XMPP{
			fromXMPP("o1", "nurse@example.org/x", "romeo@sip.example.com", "hello"),
			fromXMPP("c1", "juliet@example.com/x", "mercutio@sip.example.com", "hello"),
			fromXMPP("c2", "juliet@example.com/x", "tybalt@sip.example.com", "hello"),
			fromXMPP("c3", "juliet@example.com/x", "romeo@sip.example.com", "hello"),
			fromXMPP("o2", "nurse@example.org/x", "romeo@sip.example.com", "hello"),
		} {
			r.FromXMPP([]mapping.XMPP{m})
			r.settle()
		}
		ref := r.requests[0].Ref
		r.SIPOutcomes([]mapping.Result{{Ref: ref, Outcome: answered(200)}})
		r.settle()
		if got, _ := r.last(4); got.(*claim[outbound]).on.id != "o2" {
			t.Errorf("%s has left, want o2", got.(*claim[outbound]).on.id)
		}
		r.answer(answered(200))
		r.last(4) // c3 waits for a slot of its domain
		r.SIPOutcomes([]mapping.Result{{Ref: r.requests[1].Ref, Outcome: answered(200)}})
		r.settle()
		if got, _ := r.last(5); got.(*claim[outbound]).on.id != "c3" {
			t.Errorf("%s has left, want c3", got.(*claim[outbound]).on.id)
		}
	})
}

// IM-62: a part leaves only when the row says that those before it have arrived, or
// when there is no row any more.
func TestPartWaitsForItsRow(t *testing.T) {
	t.Run("written", func(t *testing.T) {
		run(t, func(r *running) {
			inParts(r.Bridge, "m", "1", "2")
			r.settle()
			ref, _ := r.last(1)
			r.SIPOutcomes([]mapping.Result{{Ref: ref, Outcome: answered(200)}})
			synctest.Wait()
			r.last(1)
			r.settle()
			r.last(2)
			o, err := decode(r.disk.rows()[0])
			if err != nil || !o.sent || len(o.parts) != 1 {
				t.Errorf("the row has %d parts, sent %v, %v; want the second", len(o.parts), o.sent, err)
			}
		})
	})
	t.Run("lost", func(t *testing.T) {
		run(t, func(r *running) {
			inParts(r.Bridge, "m", "1", "2")
			ref, _ := r.last(1)
			r.SIPOutcomes([]mapping.Result{{Ref: ref, Outcome: answered(200)}})
			r.last(1)
			r.disk.fault = errFull
			r.settle()
			r.last(2)
			r.answer(answered(404))
			if got := r.errors(); got != "m item-not-found" {
				t.Errorf("errors %q, want one", got)
			}
		})
	})
}

// IM-59: a message that has left and whose row is lost before the next attempt is told
// as what it is: it may have arrived.
func TestLostRowOfAmbiguousMessage(t *testing.T) {
	run(t, func(r *running) {
		r.FromXMPP([]mapping.XMPP{fromXMPP("m", "juliet@example.com/x", "romeo@sip.example.com", "hello")})
		ref, _ := r.last(1)
		r.SIPOutcomes([]mapping.Result{{Ref: ref, Outcome: timeout()}})
		r.disk.fault = errFull
		r.settle()
		if got := r.errors(); got != "m remote-server-timeout" {
			t.Errorf("errors %q, want that it may have arrived", got)
		}
	})
}

// A refused update is not offered again over a newer version of the row.
func TestParkForgetsRefusedUpdates(t *testing.T) {
	run(t, func(r *running) {
		for _, u := range []string{"juliet", "nurse"} {
			r.text(u, u+"@example.com/x")
		}
		r.Bridge.mu.Lock()
		defer r.Bridge.mu.Unlock()
		for _, l := range r.lanes.byKey {
			for _, f := range l.fifos {
				r.refused[f.queue[0].o] = true
				f.queue[0].o.sent = false
				r.park(f)
			}
		}
		if r.lanes.stored != 1 || len(r.refused) != 0 {
			t.Errorf("%d in the store, %d updates to be offered; want 1 and none", r.lanes.stored, len(r.refused))
		}
	})
}

// Limits that change count for what comes: nothing that waits is given up.
func TestSetLimits(t *testing.T) {
	b := New(nil, nil, nil, Options{Limits: Limits{Stored: 10}}, slog.New(slog.DiscardHandler))
	room := func(n int) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.lanes.room("example.com", held{stored: n})
	}
	if !room(5) || room(6) { // half of it is for the users of other domains
		t.Error("10, of which one domain has half")
	}
	b.SetLimits(Limits{Stored: 10, Alone: true})
	if !room(10) || room(11) || !b.contacts.alone {
		t.Error("10 for one domain alone")
	}
	b.mu.Lock()
	b.lanes.count("example.com", held{stored: 8})
	b.mu.Unlock()
	b.SetLimits(Limits{Stored: 4, Alone: true})
	if room(1) || b.lanes.held.stored != 8 {
		t.Error("beyond a new limit")
	}
	b.SetLimits(Limits{})
	if !room(100_000) {
		t.Error("the default")
	}
}

// each is what is held by the users of each domain.
func (d *domains) each() map[string]held {
	d.settle()
	return d.all
}
