package presence

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// RFC 3903 §4.5, §10: what is made of answers that are no 200.
func TestPublishingFails(t *testing.T) {
	status := func(status int) mapping.Outcome { return answer(status, nil) }
	busy := answer(503, nil)
	busy.Failure.RetryAfter = 7 * time.Minute
	for _, c := range []struct {
		name        string
		outcome     mapping.Outcome
		least, most time.Duration // until it is tried again
		etag        string
		expires     int
		body        bool
	}{
		{"412", status(412), 4 * time.Second, 6 * time.Second, "", 3600, true},
		{"423", answer(423, &mapping.EventAnswer{MinExpires: 7200}), 4 * time.Second, 6 * time.Second, "e1", 7200, true},
		{"423 that says nothing", answer(423, &mapping.EventAnswer{}), 30 * time.Minute, 80 * time.Minute, "", 3600, true},
		{"423 that wants a year", answer(423, &mapping.EventAnswer{MinExpires: 31536000}), 30 * time.Minute, 80 * time.Minute, "", 3600, true},
		{"403", status(403), 30 * time.Minute, 80 * time.Minute, "", 3600, true},
		{"489", status(489), 30 * time.Minute, 80 * time.Minute, "", 3600, true},
		{"500", status(500), 29 * time.Second, 40 * time.Second, "e1", 3600, true},
		{"503 with Retry-After", busy, 7 * time.Minute, 9 * time.Minute, "e1", 3600, true},
		{"no answer", mapping.Outcome{Kind: mapping.Unknown, Failure: mapping.FailTimeout()}, 29 * time.Second, 40 * time.Second, "e1", 3600, true},
		{"not sent", mapping.Outcome{Kind: mapping.NotWritten}, 29 * time.Second, 40 * time.Second, "e1", 3600, true},
		{"200 without an entity-tag", answer(200, &mapping.EventAnswer{Expires: 600}), 599 * time.Second, 602 * time.Second, "", 3600, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newPublisherHarness(t, presenceAt)
				h.exposed(juliet)
				h.wait(10 * time.Minute)
				h.device(juliet+"/balcony", "away")
				h.outcome(h.wantPublish("e1", 3600, "balcony open away").ref, c.outcome)
				after := h.waitForRequest(2 * time.Hour)
				if after < c.least || after > c.most {
					t.Errorf("it is tried again after %v, want %v to %v", after, c.least, c.most)
				}
				etag := c.etag
				if after > 50*time.Minute {
					etag = "" // the server has forgotten it by then
				} else if etag == "" && c.least > time.Minute && c.outcome.Status != 200 {
					etag = "e1"
				}
				h.publishedUnder(h.wantPublish(etag, c.expires, "balcony open away"), "e9")
				h.wantXMPP()
			})
		})
	}
}

// A server that fails is named in the log once, and once more when it works; users' texts are
// not in there.
func TestPublishingFailsInLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newPublisherHarness(t, presenceAt)
		h.presence(juliet, gatewayName, mapping.Subscribed)
		h.stanza(&mapping.XMPPPresence{From: mapping.MustParseJID(juliet + "/b"), To: mapping.MustParseJID(gatewayName),
			Shows: &mapping.Resource{Status: []mapping.Text{{Value: "wherefore"}}}})
		for range 4 {
			h.outcome(h.wantPublish("", 3600, "b open").ref, answer(500, nil))
			h.waitForRequest(time.Hour)
		}
		h.publishedUnder(h.wantPublish("", 3600, "b open"), "e1")
		log := h.log.String()
		if n, m := strings.Count(log, "level=WARN"), strings.Count(log, "takes again"); n != 1 || m != 1 {
			t.Errorf("%d warnings and %d ends of them in\n%s", n, m, log)
		}
		if strings.Contains(log, "wherefore") {
			t.Error("a status is in the log")
		}
		if tally := h.Tally(); tally.Publishes != 5 || tally.NotPublished != 4 || tally.Publications != 1 {
			t.Errorf("the counts are %+v", tally)
		}
	})
}

// A withdrawal that fails is tried again a few times: the server forgets by itself.
func TestWithdrawalFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newPublisherHarness(t, presenceAt)
		h.exposed(juliet)
		h.presence(juliet, gatewayName, mapping.Unsubscribed)
		for range maxRemovals {
			h.outcome(h.wantPublish("e1", 0).ref, mapping.Outcome{Kind: mapping.Unknown, Failure: mapping.FailTimeout()})
			h.wait(10 * time.Minute)
		}
		h.wantNothingToSIP()
		h.wantNoPublications()
	})
}
