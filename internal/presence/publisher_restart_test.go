package presence

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// After a restart it goes on with the publications that there are, once users have said how
// they are; those of whom nothing comes, and who do not agree any more, are withdrawn.
func TestPublishingRestart(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(h *harness)
		want func(h *harness) sentPublish
	}{
		{"he is as he was, and there is one more", func(h *harness) {
			h.device(juliet+"/balcony", "open")
			h.device(juliet+"/garden", "open")
		}, func(h *harness) sentPublish { return h.wantPublish("e1", 3600, "balcony open", "garden open") }},
		{"he is not there", func(h *harness) { h.device(juliet, "") }, func(h *harness) sentPublish { return h.wantPublish("e1", 0) }},
		{"nothing comes", func(*harness) {}, func(h *harness) sentPublish { return h.wantPublish("e1", 0) }},
		{"his server knows nothing of it", func(h *harness) { h.presence(juliet, gatewayName, mapping.Unsubscribed) },
			func(h *harness) sentPublish { return h.wantPublish("e1", 0) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newPublisherHarness(t, presenceAt)
				h.exposed(juliet)
				h.restart()
				h.wait(time.Minute)
				h.wantNothingToSIP()
				h.linkUp()
				h.wantXMPP("probe sip.example.com > juliet@example.com")
				c.then(h)
				h.wait(probeAnswers)
				h.publishedUnder(c.want(h), "e2")
				h.wait(time.Minute)
				h.wantNothingToSIP()
				h.wantXMPP()
			})
		})
	}
}

// A crash between the end of the consent and the withdrawal does not leave anything published,
// and what an earlier run has kept for too long is not believed.
func TestPublishingRestartWithdraws(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newPublisherHarness(t, presenceAt)
		h.exposed(juliet)
		h.exposed("nurse@example.com")
		h.presence(juliet, gatewayName, mapping.Unsubscribed)
		h.restart()
		p := h.wantPublish("e1", 0)
		if p.RequestURI != mapping.MustParseURI("sip:juliet@example.com") {
			t.Errorf("%s is withdrawn", p.RequestURI)
		}
		h.publishedUnder(p, "")
		h.wait(2 * time.Hour)
		h.wantNothingToSIP()
		h.wantNoPublications()
		h.presence("nurse@example.com", gatewayName, mapping.Unsubscribed)
	})
}

// Rows that are not ours to read are forgotten, and nothing is made of them.
func TestPublicationRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newPublisherHarness(t, presenceAt)
		h.exposed(juliet)
		_, ds := h.book.kept()
		if len(ds) != 1 {
			t.Fatalf("the book has %d rows", len(ds))
		}
		good := ds[0]
		h.stop()
		for i := range good.Data {
			bad := good
			bad.Data = good.Data[:i]
			if _, ok := readPublication(bad.Data); ok {
				t.Errorf("a row that ends after %d bytes is read", i)
			}
		}
		late := good
		late.Key, late.Data = "px", append([]byte{'p', 2}, good.Data[2:]...)
		h.book.PutDialogs([]Dialog{late})
		h.start()
		if _, ds = h.book.kept(); len(ds) != 1 || ds[0].Key != good.Key {
			t.Errorf("the book has %v", ds)
		}
		h.wait(2 * time.Hour)
		h.wantNoPublications()
	})
}

// After the loss of a link users are asked how they are; a device of which nothing is said is
// gone, and what is published holds until that is known.
func TestPublishingAfterLinkLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newPublisherHarness(t, presenceAt)
		h.exposed(juliet)
		h.wait(time.Minute)
		h.device(juliet+"/garden", "away")
		h.publishedUnder(h.wantPublish("e1", 3600, "balcony open", "garden open away"), "e2")
		h.wait(time.Minute)
		h.linkUp()
		h.wantXMPP("probe sip.example.com > juliet@example.com")
		h.device(juliet+"/garden", "away")
		h.wait(probeAnswers - time.Second)
		h.wantNothingToSIP()
		h.wait(time.Second)
		h.publishedUnder(h.wantPublish("e2", 3600, "garden open away"), "e3")
		h.wantXMPP()
	})
}

// Many users are asked, and published, some at a time.
func TestPublishingPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users = 400
		h := newPublisherHarness(t, presenceAt)
		var batch []mapping.XMPP
		name := mapping.MustParseJID(gatewayName)
		for i := range users {
			user := mapping.MustParseJID(fmt.Sprintf("u%d@example.com/b", i))
			batch = append(batch, &mapping.XMPPPresence{From: user, To: name, Type: mapping.Subscribed}, &mapping.XMPPPresence{From: user, To: name})
		}
		h.FromXMPP(batch)
		h.settle()
		published := map[string]string{}
		answerAll := func() (n int) {
			for _, r := range h.takeRequests() {
				v := r.Value.(*mapping.SIPPublish)
				published[v.RequestURI.User] = v.IfMatch
				h.outcome(r.Ref, answer(200, &mapping.EventAnswer{ETag: "e" + v.RequestURI.User, Expires: 3600}))
				n++
			}
			return n
		}
		if n := h.sent(); n != publishOpen {
			t.Errorf("%d requests are on their way at once, want %d", n, publishOpen)
		}
		for range publishAtOnce {
			answerAll()
		}
		if n := len(published); n != publishAtOnce {
			t.Errorf("%d were sent at once, want %d", n, publishAtOnce)
		}
		for range 80 {
			h.wait(100 * time.Millisecond)
			answerAll()
		}
		if n := len(published); n != users {
			t.Errorf("%d of %d are published after 8 seconds", n, users)
		}
		h.takeStanzas()
		h.linkUp()
		if n := h.told(); n != probeBurst {
			t.Errorf("%d are asked at once, want %d", n, probeBurst)
		}
		h.wait(8 * time.Second)
		if n := h.told(); n != users {
			t.Errorf("%d of %d are asked after 8 seconds", n, users)
		}
	})
}

// GW-10: when the gateway stops, what is published is withdrawn; nothing new is begun.
func TestPublishingDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newPublisherHarness(t, presenceAt)
		h.exposed(juliet)
		h.presence("nurse@example.com", gatewayName, mapping.Subscribed)
		h.Drain()
		h.settle()
		p := h.wantPublish("e1", 0)
		h.device("nurse@example.com/b", "open")
		h.device(juliet+"/balcony", "away")
		h.presence("peter@example.com", gatewayName, mapping.Subscribe)
		h.publishedUnder(p, "")
		h.wait(time.Hour)
		h.wantNothingToSIP()
		h.wantXMPP()
		if _, ds := h.book.kept(); len(ds) != 0 {
			t.Errorf("the book has %v", ds)
		}
	})
}

// An operator who cancels what the gateway sees of a user ends what is published of him.
func TestPublishingCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newPublisherHarness(t, presenceAt)
		h.exposed(juliet)
		if _, err := h.Cancel(mapping.MustParseJID(juliet), mapping.MustParseJID(gatewayName), ""); err != nil {
			t.Fatal(err)
		}
		h.settle()
		h.wantXMPP("unsubscribe sip.example.com > juliet@example.com")
		h.publishedUnder(h.wantPublish("e1", 0), "")
		h.device(juliet+"/balcony", "away")
		h.presence(juliet+"/balcony", gatewayName, mapping.Probe)
		h.wait(time.Minute)
		h.wantNothingToSIP()
		h.wantXMPP()
	})
}

// What is kept of a user is bounded.
func TestExposedBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newPublisherHarness(t, presenceAt)
		h.presence(juliet, gatewayName, mapping.Subscribed)
		long := strings.Repeat("o", 900)
		for i := range 2 * maxExposedDevices {
			h.stanza(&mapping.XMPPPresence{From: mapping.MustParseJID(fmt.Sprintf("%s/r%d", juliet, i)), To: mapping.MustParseJID(gatewayName),
				Shows: &mapping.Resource{Status: []mapping.Text{{Value: long}, {Lang: "it", Value: long}}}})
		}
		h.mu.Lock()
		u := h.publisher.users[pair{mapping.MustParseJID(juliet), mapping.MustParseJID(gatewayName)}]
		if len(u.shows) != maxExposedDevices || h.publisher.text > maxExposedDevices*(maxExposedText+8) {
			t.Errorf("%d devices and %d bytes are kept", len(u.shows), h.publisher.text)
		}
		h.mu.Unlock()
		h.presence(juliet, gatewayName, mapping.Unsubscribed)
		all := h.takeRequests()
		h.outcome(all[0].Ref, answer(200, &mapping.EventAnswer{ETag: "e1", Expires: 3600}))
		h.publishedUnder(h.wantPublish("e1", 0), "")
		h.wait(publishSpacing)
		h.wantNoPublications()
	})
}
