package bridge

import (
	"fmt"
	"reflect"
	"testing"

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
