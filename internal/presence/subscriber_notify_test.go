package presence

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// PRES-05: what follows from each reason, and when it is tried again.
func TestTerminated(t *testing.T) {
	gone := []string{"unavailable romeo@example.net/x > juliet@example.com"}
	over := append([]string{}, append(gone, "unsubscribed romeo@example.net > juliet@example.com")...)
	for _, c := range []struct {
		says        string
		told        []string
		least, most time.Duration // until the next SUBSCRIBE; 0: at once
		never       bool
	}{
		{says: "terminated;reason=rejected", told: over, never: true},
		{says: "terminated;reason=noresource", told: over, never: true},
		{says: "terminated;reason=deactivated"},
		{says: "terminated;reason=deactivated;retry-after=600"},
		{says: "terminated;reason=timeout"},
		{says: "terminated;reason=giveup"},
		{says: "terminated;reason=giveup;retry-after=600", told: gone, least: 10 * time.Minute, most: 13 * time.Minute},
		{says: "terminated;reason=probation", told: gone, least: time.Minute, most: 2 * time.Minute},
		{says: "terminated;reason=probation;retry-after=600", told: gone, least: 10 * time.Minute, most: 13 * time.Minute},
		{says: "terminated;reason=probation;retry-after=999999999", told: gone, least: 24 * time.Hour, most: 31 * time.Hour},
		{says: "terminated;reason=invariant", never: true},
		{says: "terminated"},
		{says: "terminated;retry-after=60", told: gone, least: time.Minute, most: 2 * time.Minute},
		{says: "terminated;retry-after=1", told: gone, least: 30 * time.Second, most: time.Minute},
		{says: "terminated;reason=moon"},
	} {
		t.Run(c.says, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *harness) {
				d := h.watching("x open")
				h.wait(2 * time.Minute)
				h.stanza(&mapping.XMPPPresence{From: mapping.MustParseJID(juliet + "/balcony"), To: mapping.MustParseJID(romeo)})
				h.wantStatus(200, d.notify(c.says, ""))
				h.wantXMPP(c.told...)
				h.wantStatus(481, d.notify("active;expires=100", document("y open")))
				h.wantXMPP()
				switch {
				case c.never:
					h.wait(48 * time.Hour)
					h.wantNothingToSIP()
				case c.most > 0:
					if got := h.waitForRequest(c.most); got < c.least {
						t.Errorf("it is tried again after %v, want %v", got, c.least)
					}
					fallthrough
				default:
					again := h.wantSubscribe(3600)
					if again.CallID == d.CallID || again.ToTag != "" {
						t.Errorf("the next dialog is %+v", again.SIPEvent)
					}
					h.wantState(WatchGranted)
				}
			})
		})
	}
}

// PRES-05: what never changes any more is shown as it was last, without a dialog.
func TestInvariant(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		d := h.watching("x open")
		h.wantStatus(200, d.notify("terminated;reason=invariant", document("y open")))
		h.wantXMPP("available romeo@example.net/y > juliet@example.com", "unavailable romeo@example.net/x > juliet@example.com")
		h.wait(5 * time.Minute)
		h.presence(juliet, romeo, mapping.Probe)
		h.wantXMPP("available romeo@example.net/y > juliet@example.com")
		h.wantNothingToSIP()
		h.presence(juliet, romeo, mapping.Unsubscribe)
		h.wantXMPP("unavailable romeo@example.net/y > juliet@example.com", "unsubscribed romeo@example.net > juliet@example.com")
		h.wantNothingLeft()
	})
}

// PRES-05: who is refused while nothing is seen of the contact hears that it is not there.
func TestRejectedUnseen(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		d := h.watching("x closed")
		h.wantStatus(200, d.notify("terminated;reason=rejected", ""))
		h.wantXMPP("unsubscribed romeo@example.net > juliet@example.com", "unavailable romeo@example.net > juliet@example.com")
		h.wantNothingLeft()
	})
}

// Who ends every dialog as soon as there is one is not asked as often as he likes.
func TestEndedAgainAndAgain(t *testing.T) {
	for _, says := range []string{"terminated;reason=deactivated", "terminated;reason=timeout", "active;expires=1", "active;expires=0"} {
		t.Run(says, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *harness) {
				d := h.watching("x open")
				n := 0
				for begin := time.Now(); time.Since(begin) < time.Hour; h.wait(time.Second) {
					if d != nil {
						h.accept(d, 3600)
						h.wantStatus(200, d.notify("active;expires=3600", ""))
						h.wantStatus(200, d.notify(says, ""))
						d = nil
					}
					if h.sent() > 0 {
						d = h.wantSubscribe(3600)
						n++
					}
				}
				if n == 0 || n > 12 {
					t.Errorf("%d SUBSCRIBEs in an hour", n)
				}
			})
		})
	}
}

// PRES-03: from active back to pending nothing is shown any more, and the subscription stays.
func TestPendingAgain(t *testing.T) {
	for _, state := range []string{"pending", "moon"} {
		bubble(t, func(t *testing.T, h *harness) {
			d := h.watching("x open")
			h.wantStatus(200, d.notify(state+";expires=3000", document("x open", "y open")))
			h.wantXMPP("unavailable romeo@example.net/x > juliet@example.com")
			h.wantStatus(200, d.notify("active;expires=3000", document("y open")))
			h.wantXMPP("available romeo@example.net/y > juliet@example.com")
			h.wantState(WatchGranted)
		})
	}
}

// PRES-21: what has changed is told, and nothing else; who is left out has gone.
func TestChanges(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		d := h.watching("desk closed", "cell open")
		h.wantStatus(200, d.notify("active;expires=500", document("desk open", "cell closed")))
		h.wantXMPP("available romeo@example.net/desk > juliet@example.com", "unavailable romeo@example.net/cell > juliet@example.com")
		h.wantStatus(200, d.notify("active;expires=500", document("desk open", "cell closed")))
		h.wantXMPP()
		h.wantStatus(200, d.notify("active;expires=500", "")) // RFC 3856 §6.8: as before
		h.wantXMPP()
		h.wantStatus(200, d.notify("active;expires=500", document("desk open dnd")))
		h.wantXMPP("available romeo@example.net/desk > juliet@example.com dnd")
		h.wantStatus(200, d.notify("active;expires=500", document()))
		h.wantXMPP("unavailable romeo@example.net > juliet@example.com", "unavailable romeo@example.net/desk > juliet@example.com")
	})
}

// PRES-24, PRES-27, PRES-30: what belongs to no dialog, or to somebody else.
func TestForeignNotify(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(v *mapping.SIPNotify)
		status int
	}{
		{"other Call-ID", func(v *mapping.SIPNotify) { v.CallID = "zzz" }, 481},
		{"other tag of ours", func(v *mapping.SIPNotify) { v.ToTag = "nope" }, 481},
		{"no tag of ours", func(v *mapping.SIPNotify) { v.ToTag = "" }, 481},
		{"a fork that comes second", func(v *mapping.SIPNotify) { v.FromTag = "other" }, 481},
		{"no tag of theirs", func(v *mapping.SIPNotify) { v.FromTag = "" }, 481},
		{"another subscription of the dialog", func(v *mapping.SIPNotify) { v.EventID = "7" }, 481},
		{"another peer", func(v *mapping.SIPNotify) { v.Peer = "a stranger" }, 481},
		{"another package", func(v *mapping.SIPNotify) { v.Package = "dialog" }, 489},
		{"the same CSeq", func(v *mapping.SIPNotify) { v.CSeq-- }, 500},
		{"a lower CSeq", func(v *mapping.SIPNotify) { v.CSeq = 0 }, 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *harness) {
				d := h.watching("x open")
				v := d.notify("terminated;reason=rejected", document("y open"))
				d.cseq--
				c.change(v)
				h.wantStatus(c.status, v)
				h.wantXMPP()
				h.wantState(WatchGranted)
				h.wantStatus(200, d.notify("active;expires=3000", document("z open")))
				h.wantXMPP("available romeo@example.net/z > juliet@example.com", "unavailable romeo@example.net/x > juliet@example.com")
			})
		})
	}
}

// What cannot be read is refused, and changes nothing: neither what is shown, nor that there
// is a dialog.
func TestUnreadableDocument(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(v *mapping.SIPNotify)
		status int
	}{
		{"no XML", func(v *mapping.SIPNotify) { v.Body = []byte("nonsense") }, 400},
		{"cut off", func(v *mapping.SIPNotify) { v.Body = v.Body[:len(v.Body)/2] }, 400},
		{"a bomb", func(v *mapping.SIPNotify) {
			v.Body = []byte(`<!DOCTYPE p [<!ENTITY a "aaaa">]><presence xmlns="urn:ietf:params:xml:ns:pidf">&a;</presence>`)
		}, 400},
		{"another type", func(v *mapping.SIPNotify) { v.ContentType = "application/xpidf+xml" }, 415},
		{"no type", func(v *mapping.SIPNotify) { v.ContentType = "" }, 415},
		{"compressed", func(v *mapping.SIPNotify) { v.Encoding = "gzip" }, 415},
		{"too big", func(v *mapping.SIPNotify) {
			v.Body = []byte(`<presence xmlns="urn:ietf:params:xml:ns:pidf">` + strings.Repeat("<tuple/>", 100_000) + `</presence>`)
		}, 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *harness) {
				h.presence(juliet, romeo, mapping.Subscribe)
				d := h.wantSubscribe(3600)
				h.accept(d, 3600)
				v := d.notify("active;expires=3600", document("x open"))
				c.change(v)
				h.wantStatus(c.status, v)
				h.wantXMPP()
				h.wantState(WatchPending)
				h.wait(time.Minute) // timer N has been stopped
				h.wantStatus(200, d.notify("active;expires=3600", document("x open")))
				h.wantXMPP("subscribed romeo@example.net > juliet@example.com", "available romeo@example.net/x > juliet@example.com")
				v = d.notify("active;expires=3600", document("y open"))
				c.change(v)
				h.wantStatus(c.status, v)
				h.wantXMPP()
				h.presence(juliet, romeo, mapping.Probe)
				h.wantXMPP("available romeo@example.net/x > juliet@example.com")
				h.wantNothingToSIP()
			})
		})
	}
}

// A storm of changes is shown for a moment, and then once a second; the last of them counts.
func TestNotifyStorm(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		d := h.watching("x open")
		told := 0
		for i := range 1000 {
			h.wantStatus(200, d.notify("active;expires=3600", document("x open "+[]string{"away", "dnd"}[i%2])))
			h.wait(10 * time.Millisecond)
			told += len(h.takeStanzas())
		}
		if told > maxChanges+11 {
			t.Errorf("%d stanzas in 10 s", told)
		}
		h.wantStatus(200, d.notify("active;expires=3600", document("x closed")))
		h.wait(changesWithin)
		last := h.takeStanzas()
		if len(last) == 0 || last[len(last)-1].Value.(*mapping.XMPPPresence).Type != mapping.Unavailable {
			t.Errorf("in the end juliet sees %v", last)
		}
		// What waits to be shown is not, once it is over.
		for i := range 10 {
			h.wantStatus(200, d.notify("active;expires=3600", document("x open "+[]string{"away", "dnd"}[i%2])))
		}
		h.presence(juliet, romeo, mapping.Unsubscribe)
		h.takeStanzas()
		h.wait(2 * changesWithin)
		h.wantXMPP()
	})
}

// A contact with many tuples, and texts without end, is kept in little memory.
func TestBoundedDocument(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		d := h.watching("x open")
		var tuples []string
		for i := range 60 {
			tuples = append(tuples, fmt.Sprintf("r%d open", i))
		}
		h.wantStatus(200, d.notify("active;expires=3600", document(tuples...)))
		if n := len(h.takeStanzas()); n != maxResources+1 {
			t.Errorf("%d stanzas, want %d that came and one that went", n, maxResources)
		}
	})
	all := []mapping.Resource{{Name: "a"}, {Name: strings.Repeat("n", maxTexts), Open: true},
		{Name: "b", Open: true, Status: []mapping.Text{{Value: strings.Repeat("x", maxTexts)}, {Lang: "de", Value: "kurz"}}}}
	got := bounded(all)
	if len(got) != 2 || got[1].Name != "b" || len(got[1].Status) != 1 || got[1].Status[0].Value != "kurz" {
		t.Errorf("kept %+v", got)
	}
}

// PRES-25, SEC-17: what one user may see is not shown to another one.
func TestNobodyElse(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.watching("x open")
		h.presence("nurse@example.com", romeo, mapping.Subscribe)
		d := h.wantSubscribe(3600)
		h.wantStatus(200, d.notify("pending;expires=3600", ""))
		h.presence("nurse@example.com/phone", romeo, mapping.Probe)
		h.wantXMPP()
		h.presence(juliet+"/balcony", romeo, mapping.Probe)
		h.wantXMPP("available romeo@example.net/x > juliet@example.com/balcony")
	})
}

// SEC-13: who may not use the gateway any more sees nothing any more, from the next NOTIFY
// on, and his subscriptions are not kept up.
func TestAccessTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		d := h.watching("x open")
		p := h.options.Policy
		p.Access = mapping.Access{}
		h.SetPolicy(p)
		h.wantStatus(200, d.notify("active;expires=3600", document("y open")))
		h.wantXMPP("unavailable romeo@example.net/x > juliet@example.com")
		h.wait(2 * time.Hour)
		h.wantXMPP()
		h.wantNothingToSIP()
		h.wantState(WatchGranted)
	})
}
