package bridge

import (
	"fmt"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

type noHistory struct{ n int }

func (h *noHistory) Put(batch []Note) { h.n += len(batch) }

// BenchmarkNotes is what it takes to tell of messages that arrive at once, but for what the
// history does with it.
func BenchmarkNotes(b *testing.B) {
	var h noHistory
	br := &Bridge{history: &h}
	br.policy.Store(&Policy{})
	now := time.Now()
	user, contact := mapping.MustParseJID("juliet@example.com/balcony"), mapping.MustParseJID("romeo@sip.example.com")
	b.Run("from SIP", func(b *testing.B) {
		all := make([]*incoming, 256)
		for i := range all {
			all[i] = &incoming{number: uint64(i + 1), taken: now, from: contact, to: user, sender: "sip:romeo@example.net", id: fmt.Sprint("abcdef-", i), callID: fmt.Sprint("stox-", i),
				request: &mapping.SIPMessage{ContentType: "text/plain", Body: []byte("hello")}, outcome: mapping.Outcome{Kind: mapping.Processed}}
		}
		b.ReportAllocs()
		for i := 0; i < b.N; i += 16 {
			out := br.gather()
			for j := range 16 {
				br.noteTaken(out, all[(i+j)%len(all)])
			}
			br.do(out)
			out.notes = emptied(out.notes)
			for j := range 16 {
				in := all[(i+j)%len(all)]
				out.noteFinished(in, &event{Event: Event{Kind: eventDelivered}, status: 200})
			}
			br.do(out)
			*out = work{notes: emptied(out.notes)}
			br.works.Put(out)
		}
	})
	b.Run("from XMPP", func(b *testing.B) {
		all := make([]*outbound, 256)
		for i := range all {
			all[i] = &outbound{number: uint64(i + 1), read: now, from: user, to: contact, lane: "sip:romeo@example.net", id: fmt.Sprint("m", i), row: 1, attempts: 1,
				parts: []mapping.SIP{&mapping.SIPMessage{CallID: fmt.Sprint("stox-", i), ContentType: "text/plain", Body: []byte("hello")}}}
		}
		b.ReportAllocs()
		for i := 0; i < b.N; i += 16 {
			out := br.gather()
			for j := range 16 {
				out.noteRead(all[(i+j)%len(all)])
				out.noteSent(all[(i+j)%len(all)])
			}
			br.do(out)
			out.notes = emptied(out.notes)
			for j := range 16 {
				out.note(all[(i+j)%len(all)], noteJournaled)
			}
			br.do(out)
			out.notes = emptied(out.notes)
			for j := range 16 {
				out.noteOutcome(all[(i+j)%len(all)], &mapping.Outcome{Kind: mapping.Processed, Status: 200})
				out.noteEnd(all[(i+j)%len(all)], "", eventDelivered, nil)
			}
			br.do(out)
			*out = work{notes: emptied(out.notes)}
			br.works.Put(out)
		}
	})
}
