package presence

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stoxgw/stox/mapping"
)

// What is refused, and that the user hears nothing of it (PRES-23, PRES-24, PRES-30, SEC-13).
func TestWatchersRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(v *mapping.SIPSubscribe)
		status int
	}{
		{"another package", func(v *mapping.SIPSubscribe) { v.Package = "dialog" }, 489},
		{"no form (P-017)", func(v *mapping.SIPSubscribe) { v.Accept = "application/xpidf+xml" }, 406},
		{"a package goes before a form", func(v *mapping.SIPSubscribe) { v.Package, v.Accept = "dialog", "text/plain" }, 489},
		{"a form goes before a time", func(v *mapping.SIPSubscribe) { v.Accept, v.Expires = "text/plain", 1 }, 406},
		{"too brief", func(v *mapping.SIPSubscribe) { v.Expires = 59 }, 423},
		{"not served", func(v *mapping.SIPSubscribe) { v.RequestURI = mapping.MustParseURI("sip:juliet@elsewhere.example") }, 404},
		{"a domain", func(v *mapping.SIPSubscribe) { v.RequestURI = mapping.MustParseURI("sip:example.com") }, 403},
		{"the gateway", func(v *mapping.SIPSubscribe) { v.RequestURI = mapping.MustParseURI("sip:gw.example.com") }, 404},
		{"under a user's address (SEC-28)", func(v *mapping.SIPSubscribe) { v.From = mapping.MustParseURI("sip:nurse@example.com") }, 403},
		{"no such dialog", func(v *mapping.SIPSubscribe) { v.ToTag = "ur93" }, 481},
		{"a user who may not be reached", func(v *mapping.SIPSubscribe) { v.RequestURI = mapping.MustParseURI("sip:nurse@example.com") }, 403},
		{"the same, and the sender is wrong", func(v *mapping.SIPSubscribe) {
			v.RequestURI, v.From = mapping.MustParseURI("sip:nurse@example.com"), mapping.MustParseURI("sip:x@example.com")
		}, 403},
		{"presence is not exchanged there", func(v *mapping.SIPSubscribe) { v.From = mapping.MustParseURI("sip:100@voip.example") }, 403},
		{"more than is kept of one", func(v *mapping.SIPSubscribe) { v.CallID = strings.Repeat("c", 4097) }, 413},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				access, err := mapping.NewAccess([]string{julietJID})
				if err != nil {
					t.Fatal(err)
				}
				h := newHarness(t, func(o *Options) {
					o.Policy.Access = access
					o.Policy.Mode = func(u mapping.URI) Mode {
						if u.Host == "voip.example" {
							return ModeNone
						}
						return ModeSubscribe
					}
				})
				a := h.agent("c1", tt.change)
				v := a.next
				v.CSeq = 1
				if v.Expires == 0 {
					v.Expires = 3600
				}
				o := h.fromSIP(&v)
				a.wants(o, tt.status)
				if tt.status == 423 && (o.Event == nil || o.Event.MinExpires != 60) {
					t.Errorf("Min-Expires is %+v", o.Event)
				}
				if o.Event == nil || o.Event.Expires != mapping.NoExpires {
					t.Errorf("the refusal says %+v", o.Event)
				}
				h.wantNothingToSIP()
				h.wantXMPP()
				h.wantEmpty()
			})
		})
	}
}

// What is taken, though it is said otherwise (PRES-23).
func TestWatchersTaken(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(v *mapping.SIPSubscribe)
		expires int
	}{
		{"nothing is said", func(v *mapping.SIPSubscribe) { v.Expires = mapping.NoExpires }, 3600},
		{"too long", func(v *mapping.SIPSubscribe) { v.Expires = 1 << 31 }, 3600},
		{"just long enough", func(v *mapping.SIPSubscribe) { v.Expires = 60 }, 60},
		{"one form of several", func(v *mapping.SIPSubscribe) { v.Accept = "application/xpidf+xml, application/pidf+xml;q=0.5" }, 600},
		{"any form", func(v *mapping.SIPSubscribe) { v.Accept = "application/*" }, 600},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				a := h.agent("c1")
				a.next.Expires, a.next.CSeq = 600, 1
				tt.change(&a.next)
				v := a.next
				o := h.fromSIP(&v)
				a.wants(o, 200)
				if o.Event.Expires != tt.expires {
					t.Errorf("Expires %d, want %d", o.Event.Expires, tt.expires)
				}
				h.wantTold(fmt.Sprintf("c1 pending %d", tt.expires))
			})
		})
	}
}

// In a dialog is what has its tags, its Call-ID, its id of the event and comes from its peer
// (PRES-24, PRES-30); its requests are in order (RFC 3261 §12.2.2).
func TestInDialog(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		a := h.watcher("c1")
		for _, tt := range []struct {
			name   string
			change func(v *mapping.SIPSubscribe)
			status int
		}{
			{"another tag", func(v *mapping.SIPSubscribe) { v.FromTag = "x" }, 481},
			{"no tag", func(v *mapping.SIPSubscribe) { v.FromTag = "" }, 481},
			{"another Call-ID", func(v *mapping.SIPSubscribe) { v.CallID = "x" }, 481},
			{"another id", func(v *mapping.SIPSubscribe) { v.EventID = "x" }, 481},
			{"another peer", func(v *mapping.SIPSubscribe) { v.Peer = "x" }, 481},
			{"an old request", func(v *mapping.SIPSubscribe) { v.CSeq = 1 }, 500},
			{"an unknown package", func(v *mapping.SIPSubscribe) { v.Package = "x" }, 489},
			{"too brief", func(v *mapping.SIPSubscribe) { v.Expires = 1 }, 423},
		} {
			v := a.next
			v.CSeq, v.Expires = 2, 600
			tt.change(&v)
			if got := statusOf(h.fromSIP(&v)); got != tt.status {
				t.Errorf("%s: answered %d, want %d", tt.name, got, tt.status)
			}
		}
		h.wantTold()
		a.wants(a.subscribe(600), 200) // it has taken no harm
		h.wantTold("c1 pending 600")
	})
}
