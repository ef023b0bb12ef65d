package presence

import (
	"fmt"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// here has a device of juliet's be there.
func (h *harness) here() {
	h.stanza(&mapping.XMPPPresence{From: mapping.MustParseJID(juliet + "/balcony"), To: mapping.MustParseJID(romeo)})
}

// PRES-07: the refresh is in the dialog, at about half of the interval and a minute before
// its end; a day of it is one dialog.
func TestRefresh(t *testing.T) {
	for seconds, bounds := range map[int][2]time.Duration{3600: {24 * time.Minute, 30 * time.Minute}, 600: {4 * time.Minute, 5 * time.Minute}, 100: {40 * time.Second, 51 * time.Second}} {
		t.Run(fmt.Sprint(seconds), func(t *testing.T) {
			bubble(t, func(t *testing.T, h *harness) {
				d := h.watching("x open")
				h.here()
				h.wantStatus(200, d.notify(fmt.Sprintf("active;expires=%d", seconds), ""))
				for begin := time.Now(); time.Since(begin) < 24*time.Hour; {
					if after := h.waitForRequest(time.Hour); after < bounds[0]-time.Second || after > bounds[1]+time.Second {
						t.Fatalf("refreshed after %v, want %v", after, bounds)
					}
					again := d.within(t, h.wantSubscribe(3600))
					h.accept(again, seconds)
					d = again
					h.wantStatus(200, d.notify(fmt.Sprintf("active;expires=%d", seconds), document("x open")))
				}
				h.wantXMPP()
				if got := h.Tally(); got.Failed != 0 {
					t.Errorf("counted %+v", got)
				}
			})
		})
	}
}

// RFC 6665 §4.1.2.1: what is longer than was asked for is not believed, and no word about it
// is as long as was asked for.
func TestExpiresNeverLonger(t *testing.T) {
	for _, says := range []string{"active;expires=999999999", "active", "active;expires=-5"} {
		bubble(t, func(t *testing.T, h *harness) {
			h.presence(juliet, romeo, mapping.Subscribe)
			d := h.wantSubscribe(3600)
			h.outcome(d.ref, answer(200, &mapping.EventAnswer{Expires: mapping.NoExpires}))
			h.wantStatus(200, d.notify(says, ""))
			if after := h.waitForRequest(time.Hour); after < 24*time.Minute || after > 31*time.Minute {
				t.Errorf("%s: refreshed after %v", says, after)
			}
		})
	}
}

// RFC 6665 §4.1.2.2: these end the dialog, and the next one is asked for at once. What is
// shown meanwhile stays, and is compared with what the next one says.
func TestRefreshEndsDialog(t *testing.T) {
	for _, status := range endings {
		if status == 489 {
			continue // a refusal
		}
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			bubble(t, func(t *testing.T, h *harness) {
				d := h.watching("x open", "y open")
				h.here()
				h.waitForRequest(time.Hour)
				h.outcome(h.wantSubscribe(3600).ref, answer(status, nil))
				next := h.wantSubscribe(3600)
				if next.CallID == d.CallID || next.FromTag == d.FromTag || next.ToTag != "" || next.CSeq != 1 || next.RequestURI != d.RequestURI || next.Routes != nil {
					t.Errorf("the next dialog is %+v", next.SIPEvent)
				}
				h.wantStatus(481, d.notify("active;expires=10", ""))
				h.wantXMPP()
				h.wantStatus(200, next.notify("active;expires=3600", document("x open")))
				h.wantXMPP("unavailable romeo@example.net/y > juliet@example.com")
			})
		})
	}
}

// If the next one fails, too, the contact is not shown any more, but the subscription stays:
// that it cannot be found may pass.
func TestRefreshEndsForAWhile(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.watching("x open")
		h.here()
		h.waitForRequest(time.Hour)
		h.outcome(h.wantSubscribe(3600).ref, answer(481, nil))
		h.outcome(h.wantSubscribe(3600).ref, answer(404, nil))
		h.wantXMPP("unavailable romeo@example.net/x > juliet@example.com")
		h.presence(juliet, romeo, mapping.Probe)
		h.wantXMPP("unavailable romeo@example.net > juliet@example.com")
		h.waitForRequest(5 * time.Minute)
		h.wantStatus(200, h.wantSubscribe(3600).notify("active;expires=3600", document("x open")))
		h.wantXMPP("available romeo@example.net/x > juliet@example.com")
		h.wantState(WatchGranted)
	})
}

// PRES-06: these are for good at any time.
func TestRefreshRefused(t *testing.T) {
	for _, status := range refusals {
		bubble(t, func(t *testing.T, h *harness) {
			h.watching("x open")
			h.here()
			h.waitForRequest(time.Hour)
			h.outcome(h.wantSubscribe(3600).ref, answer(status, nil))
			h.wantXMPP("unavailable romeo@example.net/x > juliet@example.com", "unsubscribed romeo@example.net > juliet@example.com")
			h.wantNothingLeft()
		})
	}
}

// Anything else leaves the dialog valid until its time has run out; it is refreshed again
// until then, and begun anew after that.
func TestRefreshFails(t *testing.T) {
	for _, o := range []mapping.Outcome{answer(500, nil), answer(503, nil), answer(401, nil), {Kind: mapping.Unknown}, {Kind: mapping.NotWritten}} {
		bubble(t, func(t *testing.T, h *harness) {
			d := h.watching("x open")
			h.here()
			begin, refreshes := time.Now(), 0
			for {
				h.waitForRequest(time.Hour)
				again := h.wantSubscribe(3600)
				if again.CallID != d.CallID {
					break
				}
				refreshes++
				h.outcome(again.ref, o)
				h.wantXMPP()
				h.wantStatus(200, d.notify("active", ""))
			}
			if held := time.Since(begin); held < 59*time.Minute || held > 61*time.Minute || refreshes < 3 || refreshes > 80 {
				t.Errorf("%+v: the dialog held for %v, with %d refreshes", o, held, refreshes)
			}
			h.wantXMPP()
		})
	}
}

// Retry-After is heeded, within reason.
func TestRetryAfter(t *testing.T) {
	for after, bounds := range map[time.Duration][2]time.Duration{time.Second: {30 * time.Second, time.Minute}, 10 * time.Minute: {10 * time.Minute, 13 * time.Minute}, 10_000 * time.Hour: {24 * time.Hour, 30*time.Hour + time.Minute}} {
		bubble(t, func(t *testing.T, h *harness) {
			h.presence(juliet, romeo, mapping.Subscribe)
			o := answer(503, nil)
			o.Failure.RetryAfter = after
			h.outcome(h.wantSubscribe(3600).ref, o)
			if got := h.waitForRequest(48 * time.Hour); got < bounds[0] || got > bounds[1] {
				t.Errorf("Retry-After %v: tried again after %v", after, got)
			}
		})
	}
}

// Whoever has to prove who he is uses up a CSeq.
func TestCSeqOfLogin(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.presence(juliet, romeo, mapping.Subscribe)
		d := h.wantSubscribe(3600)
		o := answer(200, &mapping.EventAnswer{Expires: 3600})
		o.CSeq = d.CSeq + 1
		h.outcome(d.ref, o)
		h.wantStatus(200, d.notify("active;expires=3600", document("x open")))
		h.waitForRequest(time.Hour)
		if again := h.wantSubscribe(3600); again.CSeq != d.CSeq+2 {
			t.Errorf("CSeq %d after %d", again.CSeq, o.CSeq)
		}
	})
}
