package bridge

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// A record that is used again is like a new one, whatever its message was, and whoever has
// looked at it.
func TestRecordsAreEmpty(t *testing.T) {
	run(t, func(r *running) {
		for i := range 50 {
			m := fromXMPP(fmt.Sprint("m", i), fmt.Sprintf("user%d@example.com/x", i%3), fmt.Sprintf("contact%d@sip.example.com", i%3), "hi")
			m.WantReceipt, m.Type = i%2 == 0, "chat"
			r.FromXMPP([]mapping.XMPP{m})
			if i%5 == 0 {
				r.settle()
			}
			r.answer(answered(200))
			r.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: i, Value: fromSIP(fmt.Sprint("c", i), "sip:romeo@pbx.example.net", "sip:juliet@example.com", "hi")}})
			last := r.stanzas[len(r.stanzas)-1]
			r.XMPPOutcomes([]mapping.Result{{Ref: last.Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}}})
		}
		if n := len(r.answers); n != 50 {
			t.Fatalf("%d requests from SIP were answered, want 50", n)
		}
		r.settle()
		for range 50 {
			if o := r.newOutbound(); !reflect.DeepEqual(o, new(outbound)) {
				t.Fatalf("a record of a message to SIP is not empty: %+v", o)
			}
			if in := r.newIncoming(); !reflect.DeepEqual(in, new(incoming)) {
				t.Fatalf("a record of a message from SIP is not empty: %+v", in)
			}
		}
	})
}

// A side that reports an outcome twice, which none should, ends one message with it: not that
// which has the record by then, nor the next attempt of the same.
func TestOutcomeTwice(t *testing.T) {
	run(t, func(r *running) {
		r.FromXMPP([]mapping.XMPP{fromXMPP("m1", "juliet@example.com/x", "romeo@sip.example.com", "hi")})
		r.settle()
		first := r.requests[0].Ref
		r.SIPOutcomes([]mapping.Result{{Ref: first, Outcome: answered(503)}})
		r.SIPOutcomes([]mapping.Result{{Ref: first, Outcome: answered(404)}})
		time.Sleep(5 * time.Second)
		r.settle()
		second, _ := r.last(2)
		r.SIPOutcomes([]mapping.Result{{Ref: first, Outcome: answered(404)}, {Ref: second, Outcome: answered(200)}})
		r.settle()
		for i := range 50 { // at least one of them has a record of another
			r.FromXMPP([]mapping.XMPP{fromXMPP(fmt.Sprint("n", i), "juliet@example.com/x", "romeo@sip.example.com", "hi")})
			r.settle()
			last, _ := r.last(3 + i)
			r.SIPOutcomes([]mapping.Result{{Ref: first, Outcome: answered(404)}, {Ref: second, Outcome: answered(404)}})
			r.SIPOutcomes([]mapping.Result{{Ref: last, Outcome: answered(200)}, {Ref: last, Outcome: answered(404)}})
			second = last
		}
		if n := len(r.stanzas); n != 0 {
			t.Errorf("%d errors were told of messages that have arrived, the first: %+v", n, r.stanzas[0].Value)
		}

		bounced := mapping.Outcome{Kind: mapping.Bounced, Failure: mapping.FailRepeated(404)}
		var before any
		for i := range 50 {
			r.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: i, Value: fromSIP(fmt.Sprint("c", i), "sip:romeo@pbx.example.net", "sip:juliet@example.com", "hi")}})
			ref := r.stanzas[i].Ref
			if before != nil {
				r.XMPPOutcomes([]mapping.Result{{Ref: before, Outcome: bounced}})
			}
			r.XMPPOutcomes([]mapping.Result{{Ref: ref, Outcome: mapping.Outcome{Kind: mapping.Processed}}, {Ref: ref, Outcome: bounced}})
			before = ref
		}
		if len(r.answers) != 50 {
			t.Fatalf("%d answers, want 50", len(r.answers))
		}
		for i, a := range r.answers {
			if a.Ref != i || a.Outcome.Kind != mapping.Processed {
				t.Errorf("request %d was answered %+v", i, a)
			}
		}
	})
}
