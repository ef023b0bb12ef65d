package presence

import (
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stoxgw/stox/mapping"
)

// Whatever is not about events is answered, too: once and at once.
func TestForeignMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		if got := statusOf(h.fromSIP(&mapping.SIPMessage{})); got != 405 {
			t.Errorf("a MESSAGE is answered %d, want 405", got)
		}
		h.wantXMPP()
		h.wantNothingToSIP()
		h.wantEmpty()
	})
}

// slowSide is an XMPP side that takes its time with the first batch.
type slowSide struct {
	fakeXMPP
	once sync.Once
	hold chan struct{}
}

func (s *slowSide) Deliver(batch []mapping.Parcel[mapping.XMPP]) {
	s.once.Do(func() { <-s.hold })
	s.fakeXMPP.Deliver(batch)
}

// What was decided later comes later: a stanza that is being written is not overtaken by
// what another goroutine has to say.
func TestHandedOnInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		side := &fakeSide{}
		slow := &slowSide{fakeXMPP: fakeXMPP{side}, hold: make(chan struct{})}
		e := New(slow, fakeSIP{side}, Options{Policy: testPolicy(t)}, slog.New(slog.DiscardHandler))
		say := func(typ mapping.PresenceType) {
			out := e.lock()
			out.say(mapping.MustParseJID("romeo@example.net"), mapping.MustParseJID("juliet@example.com"), typ)
			e.unlock(out)
		}
		go say(mapping.Available)
		synctest.Wait()
		say(mapping.Unavailable)
		close(slow.hold)
		synctest.Wait()
		h := &harness{Engine: e, t: t, side: side}
		h.wantXMPP("available romeo@example.net > juliet@example.com", "unavailable romeo@example.net > juliet@example.com")
	})
}
