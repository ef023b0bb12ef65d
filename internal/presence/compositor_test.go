package presence

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// publishOf is a PUBLISH of a user agent of a contact.
func publishOf(contact, etag string, expires int, document string) *mapping.SIPPublish {
	u := mapping.MustParseURI("sip:" + contact)
	v := &mapping.SIPPublish{
		SIPEvent: mapping.SIPEvent{RequestURI: u, From: u, To: u, CallID: "p1", FromTag: "a", CSeq: 1, Package: "presence", Peer: "the proxy"},
		IfMatch:  etag, Expires: expires,
	}
	if document != "" {
		v.ContentType, v.Body = mapping.TypePIDF, []byte(document)
	}
	return v
}

// publishes hands over a PUBLISH that is accepted, and gives the entity-tag.
func (h *harness) publishes(contact, etag string, expires int, document string) string {
	h.t.Helper()
	o := h.fromSIP(publishOf(contact, etag, expires, document))
	if statusOf(o) != 200 || o.Event == nil || o.Event.ETag == "" || o.Event.ETag == etag || expires >= 0 && o.Event.Expires > expires {
		h.t.Fatalf("PUBLISH for %d s is answered %d %+v", expires, statusOf(o), o.Event)
	}
	return o.Event.ETag
}

// PRES-29, RFC 3903 §6: what each PUBLISH is answered with. There is one publication of
// romeo's before it, which each but the successful ones leaves as it is.
func TestCompositorAnswers(t *testing.T) {
	open := document("home open")
	plain := func(etag string, expires int, document string) func(string) *mapping.SIPPublish {
		return func(known string) *mapping.SIPPublish {
			return publishOf(romeo, strings.ReplaceAll(etag, "KNOWN", known), expires, document)
		}
	}
	but := func(f func(*mapping.SIPPublish)) func(string) *mapping.SIPPublish {
		return func(string) *mapping.SIPPublish {
			v := publishOf(romeo, "", 3600, open)
			f(v)
			return v
		}
	}
	for _, c := range []struct {
		name    string
		publish func(known string) *mapping.SIPPublish
		status  int
		expires int // of a 200, or Min-Expires of a 423
		holds   bool
	}{
		{"initial", plain("", 600, open), 200, 600, true},
		{"initial, for how long is not said", plain("", mapping.NoExpires, open), 200, 3600, true},
		{"initial, for a week", plain("", 7*86400, open), 200, 3600, true},
		{"initial without a body", plain("", 3600, ""), 400, 0, true},
		{"initial, for no time", plain("", 0, open), 200, 0, true},
		{"initial, for no time, without a body", plain("", 0, ""), 200, 0, true},
		{"refresh", plain("KNOWN", 1800, ""), 200, 1800, false},
		{"modify", plain("KNOWN", 1800, document("home closed")), 200, 1800, false},
		{"remove", plain("KNOWN", 0, ""), 200, 0, false},
		{"remove with a body", plain("KNOWN", 0, open), 200, 0, false},
		{"refresh of another one's", plain("xKNOWN", 3600, ""), 412, 0, true},
		{"modify what is not there", plain("none", 3600, open), 412, 0, true},
		{"the condition comes before the time", plain("none", 5, open), 412, 0, true},
		{"too brief", plain("", 59, open), 423, 60, true},
		{"a refresh that is too brief", plain("KNOWN", 1, ""), 423, 60, true},
		{"as brief as may be", plain("", 60, open), 200, 60, true},
		{"another event", but(func(v *mapping.SIPPublish) { v.Package = "dialog" }), 489, 0, true},
		{"another type", but(func(v *mapping.SIPPublish) { v.ContentType = "text/plain" }), 415, 0, true},
		{"compressed", but(func(v *mapping.SIPPublish) { v.Encoding = "gzip" }), 415, 0, true},
		{"no document", but(func(v *mapping.SIPPublish) { v.Body = []byte("<presence") }), 400, 0, true},
		{"a huge one", but(func(v *mapping.SIPPublish) { v.Body = append(v.Body, make([]byte, 8192)...) }), 413, 0, true},
		{"of somebody else", but(func(v *mapping.SIPPublish) { v.From = mapping.MustParseURI("sip:tybalt@example.net") }), 403, 0, true},
		{"of an XMPP user", but(func(v *mapping.SIPPublish) { v.RequestURI = mapping.MustParseURI("sip:juliet@example.com") }), 403, 0, true},
		{"by an XMPP user", but(func(v *mapping.SIPPublish) { v.From = mapping.MustParseURI("sip:juliet@example.com") }), 403, 0, true},
		{"of nobody", but(func(v *mapping.SIPPublish) {
			v.From, v.RequestURI = mapping.MustParseURI("sip:example.net"), mapping.MustParseURI("sip:example.net")
		}), 403, 0, true},
		{"where presence is not exchanged", but(func(v *mapping.SIPPublish) {
			v.From, v.RequestURI = mapping.MustParseURI("sip:romeo@trunk.example"), mapping.MustParseURI("sip:romeo@trunk.example")
		}), 403, 0, true},
		{"to our own host", but(func(v *mapping.SIPPublish) { v.RequestURI = mapping.MustParseURI("sip:romeo@gw.example.com") }), 200, 3600, true},
		{"to our own host, of somebody else", but(func(v *mapping.SIPPublish) {
			v.RequestURI, v.To = mapping.MustParseURI("sip:gw.example.com"), mapping.MustParseURI("sip:tybalt@example.net")
		}), 403, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, func(o *Options) {
					o.Policy.Mode = func(u mapping.URI) Mode {
						if u.Host == "trunk.example" {
							return ModeNone
						}
						return ModeSubscribe
					}
				})
				known := h.publishes(romeo, "", 3600, document("work open"))
				o := h.fromSIP(c.publish(known))
				if statusOf(o) != c.status {
					t.Fatalf("it is answered %d, want %d", statusOf(o), c.status)
				}
				switch c.status {
				case 200:
					if o.Event.ETag == "" || o.Event.ETag == known || o.Event.Expires != c.expires {
						t.Errorf("it is answered with %+v, want a new entity-tag and %d s", o.Event, c.expires)
					}
				case 423:
					if o.Event.MinExpires != c.expires || o.Event.ETag != "" {
						t.Errorf("it is answered with %+v", o.Event)
					}
				case 415:
					if o.Failure.Accept == "" && o.Failure.AcceptEncoding == "" {
						t.Error("what would be understood is not said")
					}
				}
				if got := statusOf(h.fromSIP(publishOf(romeo, known, 3600, ""))); (got == 200) != c.holds {
					t.Errorf("afterwards a refresh of the first one is answered %d, want it to hold: %v", got, c.holds)
				}
				h.wantXMPP()
				h.wantNothingToSIP()
			})
		})
	}
}

// An entity-tag is good for the contact that has it only.
func TestPublicationOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		romeos := h.publishes(romeo, "", 3600, document("home open"))
		h.publishes("tybalt@example.net", "", 3600, document("home open"))
		if got := statusOf(h.fromSIP(publishOf("tybalt@example.net", romeos, 0, ""))); got != 412 {
			t.Errorf("withdrawing what somebody else has published is answered %d", got)
		}
		h.publishes(romeo, romeos, 3600, "")
	})
}

// PRES-29: who watches a contact that publishes sees what its user agents say, put together,
// and needs no subscription; what is the same is not said again.
func TestPublishedIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		home := h.publishes(romeo, "", 3600, document("home open away"))
		h.presence(juliet, romeo, mapping.Subscribe)
		h.wantXMPP("subscribed romeo@example.net > juliet@example.com", "available romeo@example.net/home > juliet@example.com away")
		h.wantState(WatchGranted)
		work := h.publishes(romeo, "", 600, document("work open"))
		h.wantXMPP("available romeo@example.net/work > juliet@example.com")
		home = h.publishes(romeo, home, 3600, "")
		h.wantXMPP()
		home = h.publishes(romeo, home, 3600, document("home open away"))
		h.wantXMPP()
		work = h.publishes(romeo, work, 600, document("work open dnd"))
		h.wantXMPP("available romeo@example.net/work > juliet@example.com dnd")

		h.presence(juliet+"/balcony", romeo, mapping.Probe)
		h.wantXMPP("available romeo@example.net/work > juliet@example.com/balcony dnd", "available romeo@example.net/home > juliet@example.com/balcony away")
		h.wait(599 * time.Second)
		h.wantXMPP()
		h.wait(2 * time.Second)
		h.wantXMPP("unavailable romeo@example.net/work > juliet@example.com")
		if got := statusOf(h.fromSIP(publishOf(romeo, work, 600, ""))); got != 412 {
			t.Errorf("a refresh that comes too late is answered %d", got)
		}
		h.publishes(romeo, home, 0, "")
		h.wantXMPP("unavailable romeo@example.net > juliet@example.com", "unavailable romeo@example.net/home > juliet@example.com")
		h.wantNothingToSIP()
		h.presence(juliet, romeo, mapping.Unsubscribe)
		h.wantXMPP("unsubscribed romeo@example.net > juliet@example.com")
		h.publishes(romeo, "", 3600, document("home open"))
		h.wantXMPP()
		h.wait(26 * time.Hour)
		h.wantNothingLeft()
		h.wantNothingToSIP()
	})
}

// What a contact publishes takes the place of the dialog that there is: that is ended, and
// what comes in it is not shown any more.
func TestPublishedInsteadOfDialog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		d := h.watching("home open", "work open")
		h.publishes(romeo, "", 3600, document("home open", "car open"))
		h.wantXMPP("available romeo@example.net/car > juliet@example.com", "unavailable romeo@example.net/work > juliet@example.com")
		end := d.within(t, h.wantSubscribe(0))
		h.wantStatus(200, end.notify("active;expires=3600", document("work open")))
		h.accept(end, 0)
		h.wantStatus(200, end.notify("terminated;reason=timeout", document("work open")))
		h.wantXMPP()
		h.wantState(WatchGranted)
		h.wait(time.Hour - time.Second)
		h.wantXMPP()
		h.wantNothingToSIP()
	})
}

// A user who waits for the consent of a contact has it as soon as it publishes; the answers
// to what was asked before change nothing.
func TestPublishedWhilePending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.presence(juliet, romeo, mapping.Subscribe)
		d := h.wantSubscribe(3600)
		h.publishes(romeo, "", 3600, document("home open"))
		h.wantXMPP("subscribed romeo@example.net > juliet@example.com", "available romeo@example.net/home > juliet@example.com")
		h.outcome(d.ref, answer(489, nil))
		h.wantStatus(481, d.notify("terminated;reason=rejected", ""))
		h.wantXMPP()
		h.wantState(WatchGranted)
	})
}

// A contact that does not publish any more is asked again, a day later: its user agents are
// not taken to have subscriptions before that.
func TestPublishesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.publishes(romeo, "", 3600, document("home open"))
		h.presence(juliet, romeo, mapping.Subscribe)
		h.takeStanzas()
		h.wait(25*time.Hour - time.Second)
		h.wantXMPP("unavailable romeo@example.net > juliet@example.com", "unavailable romeo@example.net/home > juliet@example.com")
		h.wantNothingToSIP()
		h.presence(juliet+"/balcony", romeo, mapping.Available)
		h.wait(2 * time.Second)
		d := h.wantSubscribe(3600)
		h.wantStatus(200, d.notify("active;expires=3600", document("car open")))
		h.wantXMPP("available romeo@example.net/car > juliet@example.com")
	})
}

// What is published is for users who watch, and who may use the gateway; and for who asks.
func TestPublishedIsNotForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.presence(juliet, romeo, mapping.Subscribe)
		h.wantSubscribe(3600)
		h.presence("nurse@example.com", "tybalt@example.net", mapping.Subscribe)
		h.wantSubscribe(3600)
		nobody, err := mapping.NewAccess([]string{"nurse@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		p := testPolicy(t)
		p.Access = nobody
		h.SetPolicy(p)
		h.publishes(romeo, "", 3600, document("home open"))
		h.wantXMPP()
		h.wantState(WatchPending)
		h.presence("nurse@example.com/balcony", romeo, mapping.Probe)
		h.wantXMPP("available romeo@example.net/home > nurse@example.com/balcony")
		h.wantNothingToSIP()
	})
}

// Nothing of it outlives the process: the user agent is told so and begins anew.
func TestPublishedRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		etag := h.publishes(romeo, "", 3600, document("home open"))
		h.presence(juliet, romeo, mapping.Subscribe)
		h.restart()
		if got := statusOf(h.fromSIP(publishOf(romeo, etag, 3600, ""))); got != 412 {
			t.Errorf("a refresh is answered %d", got)
		}
		h.publishes(romeo, "", 3600, document("home open"))
		h.wantXMPP("available romeo@example.net/home > juliet@example.com")
		h.Drain()
		h.settle()
		h.wantXMPP("unavailable romeo@example.net/home > juliet@example.com")
		if got := statusOf(h.fromSIP(publishOf(romeo, "", 3600, document("home open")))); got != 503 {
			t.Errorf("while the gateway stops a PUBLISH is answered %d", got)
		}
	})
}

// The bounds: of one contact the publication that has not been touched for longest goes, of a
// peer that brings too many the next ones are refused, and those of others are not.
func TestCompositorBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		first := h.publishes(romeo, "", 3600, document("p0 open"))
		h.wait(time.Second)
		second := h.publishes(romeo, "", 3600, document("p1 open"))
		h.wait(time.Second)
		first = h.publishes(romeo, first, 3600, "")
		for i := range maxPublishedOf - 1 {
			h.publishes(romeo, "", 3600, document(fmt.Sprintf("q%d open", i)))
		}
		h.publishes(romeo, first, 3600, "")
		if got := statusOf(h.fromSIP(publishOf(romeo, second, 3600, ""))); got != 412 {
			t.Errorf("the oldest one is answered %d", got)
		}
		for i := h.Tally().Published; i < maxPublishedFrom; i++ {
			h.publishes(fmt.Sprintf("u%d@example.net", i), "", 3600, document("home open"))
		}
		v := publishOf("one-more@example.net", "", 3600, document("home open"))
		o := h.fromSIP(v)
		if statusOf(o) != 503 || o.Failure.RetryAfter != 0 {
			t.Errorf("one more of the peer is answered %d %v", statusOf(o), o.Failure)
		}
		v.Peer = "another one"
		if got := statusOf(h.fromSIP(v)); got != 200 {
			t.Errorf("one of another peer is answered %d", got)
		}
		h.wait(26 * time.Hour)
		h.wantNothingLeft()
		h.mu.Lock()
		defer h.mu.Unlock()
		if c := &h.compositor; len(c.of) != 0 || c.all != 0 || len(c.from) != 0 {
			t.Errorf("%d contacts, %d publications and %d peers are left", len(c.of), c.all, len(c.from))
		}
	})
}

// Contacts that have published and do not any more give way to those that do.
func TestPresentitiesGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		for i := range maxPublished + 10 {
			contact := fmt.Sprintf("u%d@example.net", i)
			h.publishes(contact, h.publishes(contact, "", 3600, document("home open")), 0, "")
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if n := len(h.compositor.of); n != maxPublished {
			t.Errorf("%d contacts are remembered, want %d", n, maxPublished)
		}
	})
}

// Where one has to give way it is one that nobody watches; or else those who watch it have it
// asked again.
func TestPresentitiesThatAreWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.publishes(romeo, h.publishes(romeo, "", 3600, document("home open")), 0, "")
		h.presence(juliet, romeo, mapping.Subscribe)
		h.mu.Lock()
		for i := range maxPublished - 1 {
			u := &presentity{contact: mapping.MustParseJID(fmt.Sprintf("u%d@example.net", i))}
			if i >= 40 {
				u.publications = []*published{{of: u}}
			}
			h.compositor.of[u.contact] = u
		}
		h.mu.Unlock()
		for i := range 40 {
			h.publishes(fmt.Sprintf("v%d@example.net", i), "", 3600, document("home open"))
		}
		h.wantNothingToSIP()
		h.publishes("one-more@example.net", "", 3600, document("home open"))
		if v := h.wantSubscribe(3600); v.To.String() != "sip:"+romeo {
			t.Errorf("%s is asked", v.To)
		}
	})
}

// Probes of a contact that publishes cost no more than polls of one that does not.
func TestPublishedPollBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.publishes(romeo, "", 3600, document("home open"))
		told := "available romeo@example.net/home > nurse@example.com/balcony"
		for range 10 {
			h.presence("nurse@example.com/balcony", romeo, mapping.Probe)
		}
		h.wantXMPP(told)
		h.wait(pollEvery)
		h.presence("nurse@example.com/balcony", romeo, mapping.Probe)
		h.wantXMPP(told)
	})
}
