package bridge

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stoxgw/stox/mapping"
)

// Everybody at once says the same of the same messages, which are in the trail only: each
// thing is told once (IM-48), and every notification has one answer.
func TestReceiptsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBridge(t)
		r := &running{b, s, t, s.journal}
		r.learnsCPIM()
		const n, workers = 10, 8
		var ids, names []string
		for i := range n {
			ids = append(ids, r.deliver(wanting(fmt.Sprint("c", i), askAll), processed).ID)
			names = append(names, messageID(r.ask(asking(fmt.Sprint("m", i)))))
			r.answer(answered(200))
		}
		s.stanzas, s.answers, b.receipts = nil, nil, receipts{}
		start(t, b)
		var all sync.WaitGroup
		for worker := range workers {
			all.Go(func() {
				for i := range n {
					i = (i + worker) % n
					b.FromXMPP([]mapping.XMPP{&mapping.XMPPReceipt{From: mapping.MustParseJID(julietX), To: mapping.MustParseJID(romeoX), About: ids[i], Read: worker%2 == 0}})
					m := fromSIP(fmt.Sprint("notice-", worker, "-", i), romeoAt, "sip:juliet@example.com", "<imdn><message-id>"+names[i]+"</message-id>"+saysDelivered+"</imdn>")
					m.ContentType = mapping.TypeIMDN
					b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: m.CallID, Value: m}})
				}
			})
		}
		all.Wait()
		synctest.Wait()
		for _, p := range s.stanzas {
			b.XMPPOutcomes([]mapping.Result{{Ref: p.Ref, Outcome: processed}})
		}
		if len(s.stanzas) != n || len(s.answers) != n*workers || b.incoming != 0 {
			t.Errorf("%d receipts, %d answers, %d without one; want %d, %d and none", len(s.stanzas), len(s.answers), b.incoming, n, n*workers)
		}
		told := make(map[string]int)
		for _, e := range s.journal.trail {
			if e.Kind == eventReceipt {
				told[e.ID+" "+e.told(dirFromSIP).String()+e.told(dirFromXMPP).String()]++
			}
		}
		for what, times := range told {
			if times != 1 {
				t.Errorf("%s: told %d times", what, times)
			}
		}
		if len(told) != 3*n {
			t.Errorf("%d things were told, want %d", len(told), 3*n)
		}
	})
}
