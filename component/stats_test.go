package component

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// Links that come and go are counted, with words that no server chooses; barriers that come
// home are measured.
func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSingle))
		synctest.Wait()
		// A barrier that is at home before the writer has noted when it left is no round trip.
		link := r.Stats()
		if link.Connected != 1 || len(link.Failures) != 0 || link.Trips.N > xmpptest.LinkCheck || link.Pending != 0 || link.Unwritten != 0 {
			t.Errorf("a new link: %+v", link)
		}
		r.Deliver(parcels(message("a", "x"), message("b", "x")))
		b := h.takeN(t, 1)[0]
		time.Sleep(1500 * time.Millisecond)
		if s := r.Stats(); s.Pending != 2 || s.Barriers != xmpptest.LinkCheck+1 {
			t.Errorf("two are under way: %+v", s)
		}
		conn.Echo(b)
		r.expect(t, "home", map[string]mapping.OutcomeKind{"a": mapping.Processed, "b": mapping.Processed})
		s := r.Stats()
		if s.Pending != 0 || s.Trips.N != link.Trips.N+1 || s.Trips.Sum < 1.5 || s.Trips.Sum > 2 {
			t.Errorf("home: %+v", s)
		}
		conn.StreamError("conflict")
		conn.EndStream()
		synctest.Wait()
		first := r.Stats()
		if len(first.Failures) != 1 || first.Failures["conflict"] != 1 {
			t.Errorf("broken: %v", first.Failures)
		}
		time.Sleep(2 * time.Minute)
		accept2(t, r.srv).StreamError("made-up-by-the-server")
		synctest.Wait()
		if s := r.Stats(); s.Connected != 2 || s.Failures["other"] != 1 || s.Failures["conflict"] != 1 || s.Behind > time.Second {
			t.Errorf("again: %+v", s)
		}
		if len(first.Failures) != 1 {
			t.Error("what was told has changed")
		}
		r.stop()
	})
}

func TestReasons(t *testing.T) {
	if !slices.IsSorted(Reasons) || len(slices.Compact(slices.Clone(Reasons))) != len(Reasons) {
		t.Error("they are not in order")
	}
	for _, own := range []string{"refused", "dropped", "split", "host-unknown", "system-shutdown", "other"} {
		if knownReason(own) != own {
			t.Errorf("%s is not known", own)
		}
	}
	for _, made := range []string{"", "juliet@example.com", "Refused", "zzz"} {
		if knownReason(made) != "other" {
			t.Errorf("%q is taken for a reason", made)
		}
	}
}
