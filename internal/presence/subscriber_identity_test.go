package presence

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// lines are the SIP accounts of users, of whom juliet may have one.
type lines struct{ juliet atomic.Pointer[mapping.URI] }

func (l *lines) AccountOf(user mapping.JID) (mapping.URI, bool) {
	if u := l.juliet.Load(); u != nil && user.String() == juliet {
		return *u, true
	}
	return mapping.URI{}, false
}

func (l *lines) UserOf(mapping.URI) (mapping.JID, bool) { return mapping.JID{}, false }

// A subscription is in the name of who its user is in SIP, and does not outlive that by more than
// the time until its refresh: the address may be another user's account by then, with whose
// login it would go on.
func TestSubscriptionFollowsAccount(t *testing.T) {
	for name, required := range map[string]bool{"optional": false, "required": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *harness) {
				accounts, own := &lines{}, mapping.MustParseURI("sip:capulet@example.net")
				accounts.juliet.Store(&own)
				rules, err := mapping.NewRules(mapping.RulesConfig{
					GatewayDomain: "sip.example.com", SIPHost: "gw.example.com", UserDomains: []string{"example.com"}, DefaultSIPDomain: "voip.example",
					Domains:  []mapping.DomainPair{{XMPP: "example.net", SIP: "example.net"}},
					Routes:   []mapping.RouteRule{{Domain: "example.net", From: "account"}},
					Accounts: accounts, AccountsRequired: required,
				})
				if err != nil {
					t.Fatal(err)
				}
				p := h.options.Policy
				p.Rules = rules
				h.SetPolicy(p)

				d := h.watching("x open")
				if d.From != own {
					t.Fatalf("from %s", d.From)
				}
				h.here()
				h.waitForRequest(time.Hour)
				d = d.within(t, h.wantSubscribe(3600))
				h.accept(d, 3600)
				h.wantStatus(200, d.notify("active;expires=3600", document("x open")))

				accounts.juliet.Store(nil)
				if required { // he may not watch at all any more
					h.wait(2 * time.Hour)
					for _, r := range h.takeRequests() {
						t.Errorf("%+v was sent", r.Value)
					}
					return
				}
				h.waitForRequest(time.Hour)
				if next := h.wantSubscribe(3600); next.From.String() != "sip:juliet@example.com" || next.ToTag != "" || next.CallID == d.CallID {
					t.Errorf("from %s, in %s with tag %q", next.From, next.CallID, next.ToTag)
				}
			})
		})
	}
}
