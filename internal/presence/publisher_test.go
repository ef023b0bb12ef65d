package presence

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

const gatewayName = "sip.example.com"

var presenceAt = Server{Domain: "example.net", Hop: "proxy", Name: mapping.MustParseJID(gatewayName)}

// newPublisherHarness starts an engine that publishes at these servers.
func newPublisherHarness(t *testing.T, servers ...Server) *harness {
	return newHarness(t, func(o *Options) { o.Policy.Publish = servers })
}

// device hands over what a device of a user shows to the gateway; "" is that it is gone.
func (h *harness) device(device, show string) {
	v := &mapping.XMPPPresence{From: mapping.MustParseJID(device), To: mapping.MustParseJID(gatewayName)}
	switch show {
	case "":
		v.Type = mapping.Unavailable
	case "open":
	default:
		v.Shows = &mapping.Resource{Show: mapping.Show(show)}
	}
	h.stanza(v)
}

// linkUp tells that the link is up.
func (h *harness) linkUp() { h.stanza(&mapping.XMPPReady{Name: mapping.MustParseJID(gatewayName)}) }

// sentPublish is a PUBLISH that was sent.
type sentPublish struct {
	*mapping.SIPPublish
	ref any
}

// wantPublish takes out the one request that was sent since the last time, a PUBLISH under
// that condition, for so many seconds, of these tuples as document takes them.
func (h *harness) wantPublish(etag string, expires int, tuples ...string) sentPublish {
	h.t.Helper()
	all := h.takeRequests()
	if len(all) != 1 {
		h.t.Fatalf("%d requests were sent, want a PUBLISH", len(all))
	}
	v, ok := all[0].Value.(*mapping.SIPPublish)
	if !ok || v.IfMatch != etag || v.Expires != expires || v.Package != "presence" || v.ToTag != "" || v.FromTag == "" || v.Toward != presenceAt.Domain {
		h.t.Fatalf("%+v was sent, want a PUBLISH for %d s if %q", all[0].Value, expires, etag)
	}
	if got, want := tuplesOf(h.t, v), strings.Join(tuples, ", "); got != want {
		h.t.Errorf("%q is published, want %q", got, want)
	}
	return sentPublish{v, all[0].Ref}
}

// tuplesOf is what v publishes; "" if there is no body.
func tuplesOf(t testing.TB, v *mapping.SIPPublish) string {
	if len(v.Body) == 0 {
		return ""
	}
	d, err := mapping.ReadPIDF(v.ContentType, v.Body)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range d.Resources() {
		s := r.Name + " closed"
		if r.Open {
			s = strings.TrimSpace(r.Name + " open " + string(r.Show))
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

// publishedUnder answers 200 with an entity-tag.
func (h *harness) publishedUnder(p sentPublish, etag string) {
	h.outcome(p.ref, answer(200, &mapping.EventAnswer{ETag: etag, Expires: p.Expires}))
}

// exposed is a user who lets the gateway see him, of whose devices one is open and published
// under the entity-tag "e1".
func (h *harness) exposed(user string) sentPublish {
	h.t.Helper()
	h.presence(user, gatewayName, mapping.Subscribed)
	h.device(user+"/balcony", "open")
	p := h.wantPublish("", 3600, "balcony open")
	h.publishedUnder(p, "e1")
	return p
}

// PRES-25: a user who uses the gateway is asked once whether it may see him, where that is for
// anything. Nothing is published before he says so, nor after he says no.
func TestPublishingNeedsConsent(t *testing.T) {
	ask := "subscribe sip.example.com > juliet@example.com"
	for _, c := range []struct {
		name    string
		servers []Server
		typ     mapping.PresenceType
		to      string
		asked   bool
	}{
		{"who adds the gateway", []Server{presenceAt}, mapping.Subscribe, gatewayName, true},
		{"who asks how the gateway is", []Server{presenceAt}, mapping.Probe, gatewayName, true},
		{"who shows himself to the gateway", []Server{presenceAt}, mapping.Available, gatewayName, true},
		{"who only goes", []Server{presenceAt}, mapping.Unavailable, gatewayName, false},
		{"who declines before he is asked", []Server{presenceAt}, mapping.Unsubscribed, gatewayName, false},
		{"where nothing is published", nil, mapping.Subscribe, gatewayName, false},
		{"another name of the gateway", []Server{presenceAt}, mapping.Subscribe, "example.net", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newPublisherHarness(t, c.servers...)
				h.presence(juliet+"/balcony", c.to, c.typ)
				h.presence(juliet+"/balcony", c.to, c.typ)
				if c.asked {
					h.wantXMPP(ask)
				} else {
					h.wantXMPP()
				}
				h.device(juliet+"/balcony", "open")
				h.takeStanzas()
				h.presence(juliet, gatewayName, mapping.Unsubscribed)
				h.device(juliet+"/balcony", "away")
				h.wait(2 * consentAgain)
				h.device(juliet+"/balcony", "dnd")
				h.wantXMPP()
				h.wantNothingToSIP()
			})
		})
	}
}

// A user who adds the contact of a route is asked as well; one who has not decided is asked
// again after a week; one who has declined, when he adds the gateway.
func TestConsentIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ask := "subscribe sip.example.com > juliet@example.com"
		h := newHarness(t, func(o *Options) {
			o.Policy.Publish = []Server{presenceAt}
			o.Policy.Mode = func(mapping.URI) Mode { return ModeNone }
		})
		contact := `romeo\40voip.example@` + gatewayName
		if j, err := h.policy.Load().Rules.XMPPAddress(mapping.MustParseURI("sip:romeo@voip.example")); err == nil {
			contact = j.String()
		}
		h.presence(juliet, contact, mapping.Subscribe)
		h.wantXMPP("subscribed "+contact+" > "+juliet, ask)
		h.wait(consentAgain - time.Second)
		h.presence(juliet+"/b", gatewayName, mapping.Available)
		h.wantXMPP()
		h.restart()
		h.wait(2 * time.Second)
		h.presence(juliet+"/b", gatewayName, mapping.Available)
		h.wantXMPP(ask)
		h.presence(juliet, gatewayName, mapping.Unsubscribed)
		h.presence(juliet+"/b", gatewayName, mapping.Available)
		h.wantXMPP()
		h.presence(juliet, gatewayName, mapping.Subscribe)
		h.wantXMPP(ask)
		h.wantNothingToSIP()
	})
}

// RFC 3903 §4: a publication is made, refreshed, changed and withdrawn, each under the
// entity-tag of the last answer.
func TestPublishing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newPublisherHarness(t, presenceAt)
		h.presence(juliet, gatewayName, mapping.Subscribed)
		h.wantNothingToSIP()
		h.device(juliet+"/balcony", "open")
		first := h.wantPublish("", 3600, "balcony open")
		if us := mapping.MustParseURI("sip:juliet@example.com"); first.RequestURI != us || first.From != us || first.To != us {
			t.Errorf("it is of %s, from %s to %s", first.RequestURI, first.From, first.To)
		}
		h.device(juliet+"/garden", "away")
		h.wantNothingToSIP() // one at a time
		h.publishedUnder(first, "e1")
		h.wait(publishSpacing - time.Millisecond)
		h.wantNothingToSIP()
		h.wait(time.Millisecond)
		second := h.wantPublish("e1", 3600, "balcony open", "garden open away")
		if second.CallID != first.CallID || second.FromTag != first.FromTag || second.CSeq != first.CSeq+1 {
			t.Errorf("Call-ID %s, tag %s, CSeq %d after %s, %s, %d", second.CallID, second.FromTag, second.CSeq, first.CallID, first.FromTag, first.CSeq)
		}
		h.publishedUnder(second, "e2")
		if after := h.waitForRequest(time.Hour); after < 1400*time.Second || after > 1801*time.Second {
			t.Errorf("it is refreshed after %v, want about half an hour", after)
		}
		h.publishedUnder(h.wantPublish("e2", 3600), "e3")

		h.wait(time.Minute)
		for _, show := range []string{"dnd", "xa", "away", "open"} { // of which the last counts
			h.device(juliet+"/garden", show)
			h.wait(time.Second)
		}
		h.publishedUnder(h.wantPublish("e3", 3600, "balcony open", "garden open dnd"), "e4")
		h.wait(publishSpacing)
		h.publishedUnder(h.wantPublish("e4", 3600, "balcony open", "garden open"), "e5")
		h.wait(time.Minute)
		h.device(juliet+"/garden", "open") // as it was
		h.device(juliet+"/garden", "")
		h.publishedUnder(h.wantPublish("e5", 3600, "balcony open"), "e6")
		h.wait(time.Minute)
		h.device(juliet+"/balcony", "")
		h.publishedUnder(h.wantPublish("e6", 0), "e7")
		h.wait(24 * time.Hour)
		h.wantNothingToSIP()
		h.wantXMPP()
		h.presence(juliet, gatewayName, mapping.Unsubscribed)
		h.wantNoPublications()
	})
}

// wantNoPublications checks that nothing is remembered of what was published.
func (h *harness) wantNoPublications() {
	h.t.Helper()
	h.settle()
	h.mu.Lock()
	defer h.mu.Unlock()
	p := &h.publisher
	if len(p.users) != 0 || p.all != 0 || p.text != 0 || p.probes.queue.Len() != 0 || len(h.timers.heap) != 0 {
		h.t.Errorf("%d users, %d publications, %d bytes, %d probes and %d timers are left", len(p.users), p.all, p.text, p.probes.queue.Len(), len(h.timers.heap))
	}
	for _, s := range p.servers {
		if s.open != 0 || s.waiting.Len() != 0 {
			h.t.Errorf("%d requests are open, %d wait", s.open, s.waiting.Len())
		}
	}
	if _, ds := h.book.kept(); len(ds) != 0 {
		h.t.Errorf("the book has %v", ds)
	}
}

// A user who takes his consent back is withdrawn at once: not when it is the turn of his
// changes, and not when what has failed is to be tried again.
func TestConsentTakenBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		before func(h *harness) (etag string)
	}{
		{"just published", func(*harness) string { return "e1" }},
		{"after a failure", func(h *harness) string {
			h.wait(time.Minute)
			h.device(juliet+"/balcony", "away")
			h.outcome(h.wantPublish("e1", 3600, "balcony open away").ref, answer(503, nil))
			return "e1"
		}},
		{"while something is on its way", func(h *harness) string {
			h.wait(time.Minute)
			h.device(juliet+"/balcony", "away")
			p := h.wantPublish("e1", 3600, "balcony open away")
			h.presence(juliet, gatewayName, mapping.Unsubscribed)
			h.wantNothingToSIP()
			h.publishedUnder(p, "e2")
			return "e2"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newPublisherHarness(t, presenceAt)
				h.exposed(juliet)
				etag := c.before(h)
				h.presence(juliet, gatewayName, mapping.Unsubscribed)
				p := h.wantPublish(etag, 0)
				h.device(juliet+"/balcony", "dnd")
				h.publishedUnder(p, "last")
				h.wait(24 * time.Hour)
				h.wantNothingToSIP()
				h.wantNoPublications()
			})
		})
	}
}

// Two servers have a publication each; two routes to one server, one.
func TestPublishingAtServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := Server{Domain: "other.example", Hop: "other", Name: presenceAt.Name}
		same := Server{Domain: "more.example", Hop: presenceAt.Hop, Name: presenceAt.Name}
		foreign := Server{Domain: "lab.example", Hop: "lab", Name: mapping.MustParseJID("lab.example.com")}
		h := newPublisherHarness(t, presenceAt, other, same, foreign)
		h.presence(juliet, gatewayName, mapping.Subscribed)
		h.device(juliet+"/b", "open")
		all := h.takeRequests()
		if len(all) != 2 {
			t.Fatalf("%d requests were sent, want 2", len(all))
		}
		for i, s := range []Server{presenceAt, other} {
			v := all[i].Value.(*mapping.SIPPublish)
			if v.Toward != s.Domain {
				t.Errorf("the request %d goes toward %s, want %s", i, v.Toward, s.Domain)
			}
			h.publishedUnder(sentPublish{v, all[i].Ref}, s.Domain)
		}
		p := testPolicy(t)
		p.Publish = []Server{same}
		h.SetPolicy(p) // it is what it was at the one, and over at the other
		h.settle()
		all = h.takeRequests()
		if len(all) != 1 {
			t.Fatalf("%d requests were sent, want 1", len(all))
		}
		v := all[0].Value.(*mapping.SIPPublish)
		if v.Toward != other.Domain || v.IfMatch != other.Domain || v.Expires != 0 {
			t.Errorf("%+v was sent", v)
		}
		h.publishedUnder(sentPublish{v, all[0].Ref}, "")
		h.wait(time.Minute)
		h.wantNothingToSIP()
		h.wantXMPP()
	})
}

// Who may not use the gateway any more is withdrawn, as is everybody where publishing is
// switched off; where it is switched on users are asked how they are.
func TestPublishingPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newPublisherHarness(t, presenceAt)
		h.exposed(juliet)
		on, off := testPolicy(t), testPolicy(t)
		on.Publish = []Server{presenceAt}
		h.SetPolicy(off)
		h.settle()
		h.publishedUnder(h.wantPublish("e1", 0), "")
		h.device(juliet+"/balcony", "away")
		h.wait(time.Hour)
		h.wantNothingToSIP()
		h.SetPolicy(on)
		h.settle()
		h.wantXMPP("probe sip.example.com > juliet@example.com")
		h.device(juliet+"/balcony", "dnd")
		h.wait(probeAnswers)
		h.publishedUnder(h.wantPublish("", 3600, "balcony open dnd"), "e2")
		nobody, err := mapping.NewAccess([]string{"nurse@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		on.Access = nobody
		h.SetPolicy(on)
		h.settle()
		h.publishedUnder(h.wantPublish("e2", 0), "")
		h.wantXMPP()
	})
}
