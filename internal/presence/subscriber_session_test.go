package presence

import (
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// PRES-07: when the last device has gone the dialog is let run out, and a probe at the next
// start begins the next one.
func TestSessionEnds(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		d := h.watching("x open")
		for _, device := range []string{"/a", "/b"} {
			h.presence(juliet+device, romeo, mapping.Available)
		}
		h.presence(juliet+"/a", romeo, mapping.Unavailable)
		h.waitForRequest(time.Hour)
		d = d.within(t, h.wantSubscribe(3600)) // one is left
		h.accept(d, 3600)
		h.presence(juliet+"/b", romeo, mapping.Unavailable)
		h.wait(59 * time.Minute)
		h.wantNothingToSIP()
		h.wantXMPP()
		h.wait(2 * time.Minute)
		h.wantXMPP("unavailable romeo@example.net/x > juliet@example.com")
		h.wait(24 * time.Hour)
		h.wantNothingToSIP()
		h.wantState(WatchGranted)
		h.presence(juliet, romeo, mapping.Probe)
		next := h.wantSubscribe(3600)
		h.wantXMPP()
		h.wantStatus(200, next.notify("active;expires=3600", document("x open")))
		h.wantXMPP("available romeo@example.net/x > juliet@example.com") // and no second "subscribed"
	})
}

// Who comes back before the end of the dialog keeps it.
func TestSessionResumes(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		d := h.watching("x open")
		h.presence(juliet+"/a", romeo, mapping.Available)
		h.presence(juliet+"/a", romeo, mapping.Unavailable)
		h.wait(50 * time.Minute)
		h.wantNothingToSIP()
		h.presence(juliet, romeo, mapping.Probe)
		h.wantXMPP("available romeo@example.net/x > juliet@example.com")
		h.waitForRequest(9 * time.Minute)
		d.within(t, h.wantSubscribe(3600))
	})
}

// PRES-26: where the user lets the contact see him he is asked whether he is there.
func TestProbeBeforeRefresh(t *testing.T) {
	for _, answers := range []string{"", "unavailable", "available"} {
		t.Run(answers, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *harness) {
				d := h.watching("x open")
				h.mu.Lock()
				h.relations.find(mapping.MustParseJID(juliet), mapping.MustParseJID(romeo)).state |= WatcherGranted
				h.mu.Unlock()
				for h.told() == 0 {
					h.wait(time.Second)
				}
				h.wantXMPP("probe romeo@example.net > juliet@example.com")
				h.wantNothingToSIP()
				switch answers {
				case "unavailable":
					h.presence(juliet, romeo, mapping.Unavailable)
					h.wait(10 * time.Minute)
					h.wantNothingToSIP()
					h.wait(30 * time.Minute)
					h.wantNothingToSIP()
					h.wantXMPP("unavailable romeo@example.net/x > juliet@example.com")
				case "available":
					h.here()
					d.within(t, h.wantSubscribe(3600))
				default: // it cannot be known, so he is taken to be there for a while
					h.wait(time.Minute)
					d.within(t, h.wantSubscribe(3600))
				}
			})
		})
	}
}

// A user who has not been heard of for twelve hours is taken to be away.
func TestSessionUnknown(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		d := h.watching("x open")
		begin := time.Now()
		var last time.Duration
		for time.Since(begin)-last < time.Hour {
			if h.wait(time.Minute); h.sent() == 0 {
				continue
			}
			last = time.Since(begin)
			d = d.within(t, h.wantSubscribe(3600))
			h.accept(d, 3600)
			h.wantStatus(200, d.notify("active;expires=3600", ""))
			h.wantXMPP()
		}
		if last < 11*time.Hour+20*time.Minute || last > 12*time.Hour+time.Minute {
			t.Errorf("the last refresh was after %v", last)
		}
		h.wait(2 * time.Hour)
		h.wantNothingToSIP()
		h.wantXMPP("unavailable romeo@example.net/x > juliet@example.com")
		h.wantState(WatchGranted)
	})
}

// A request that the contact has not decided about is kept up for two weeks, whether its
// user is there or not.
func TestPendingIsKeptUp(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.presence(juliet, romeo, mapping.Subscribe)
		d := h.wantSubscribe(3600)
		h.presence(juliet+"/a", romeo, mapping.Unavailable)
		begin := time.Now()
		for {
			h.accept(d, 3600)
			h.wantStatus(200, d.notify("pending;expires=3600", ""))
			for range 62 {
				h.wait(time.Minute)
				if h.sent() > 0 {
					break
				}
			}
			if h.sent() == 0 {
				break
			}
			d = d.within(t, h.wantSubscribe(3600))
		}
		if got := time.Since(begin); got < 14*24*time.Hour || got > 14*24*time.Hour+2*time.Hour {
			t.Errorf("it was kept up for %v", got)
		}
		h.wantXMPP()
		h.wantState(WatchPending)
		h.presence(juliet, romeo, mapping.Subscribe) // his server asks again when he comes
		h.wantStatus(200, h.wantSubscribe(3600).notify("active;expires=3600", document("x open")))
		h.wantXMPP("subscribed romeo@example.net > juliet@example.com", "available romeo@example.net/x > juliet@example.com")
	})
}

// A request that was about to be let go is kept up if the user asks again in time.
func TestPendingAskedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.presence(juliet, romeo, mapping.Subscribe)
		d := h.wantSubscribe(3600)
		h.accept(d, 3600)
		h.wantStatus(200, d.notify("pending;expires=3600", ""))
		p := h.options.Policy
		p.Access = mapping.Access{}
		h.SetPolicy(p)
		h.wait(40 * time.Minute)
		h.wantNothingToSIP()
		h.SetPolicy(h.options.Policy)
		h.presence(juliet, romeo, mapping.Subscribe)
		h.waitForRequest(19 * time.Minute)
		d.within(t, h.wantSubscribe(3600))
		h.wantXMPP()
	})
}

// What an operator is told of a dialog, and how he ends it.
func TestOperatorSeesDialog(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		user, contact := mapping.MustParseJID(juliet), mapping.MustParseJID(romeo)
		dialog := func() DialogInfo {
			t.Helper()
			e, ok := h.Find(user, contact)
			if !ok || len(e.Dialogs) != 1 || e.Dialogs[0].Direction != Watches {
				t.Fatalf("found %v %+v, want a dialog", ok, e)
			}
			return e.Dialogs[0]
		}
		h.presence(juliet, romeo, mapping.Subscribe)
		d := h.wantSubscribe(3600)
		if got := dialog(); got.State != "" || !got.Expires.IsZero() {
			t.Errorf("before a NOTIFY: %+v", got)
		}
		h.accept(d, 3600)
		h.wantStatus(200, d.notify("pending;expires=3600", ""))
		if got := dialog(); got.State != mapping.StatePending || time.Until(got.Expires) != time.Hour {
			t.Errorf("pending: %+v", got)
		}
		h.wantStatus(200, d.notify("active;expires=3600", document("x open")))
		if got := dialog(); got.State != mapping.StateActiveSub || time.Until(got.Refresh) < 24*time.Minute || time.Until(got.Refresh) > 30*time.Minute {
			t.Errorf("active: %+v", got)
		}
		h.takeStanzas()
		if _, err := h.Cancel(user, contact, Watches); err != nil {
			t.Error(err)
		}
		h.settle()
		h.wantXMPP("unavailable romeo@example.net/x > juliet@example.com")
		h.accept(d.within(t, h.wantSubscribe(0)), 0)
		h.wantXMPP("unsubscribed romeo@example.net > juliet@example.com")
		h.wantNothingLeft()
	})
}
