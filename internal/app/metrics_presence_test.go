package app

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/metrics"
	"github.com/stoxgw/stox/internal/presence"
	"github.com/stoxgw/stox/internal/siptest"
)

// Each count of presence has its place in the metrics, and no two have the same.
func TestMetricsOfPresence(t *testing.T) {
	var tally presence.Tally
	v := reflect.ValueOf(&tally).Elem()
	of := make(map[string]int) // the value of each field
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch f := v.Field(i); {
		case name == "Behind": // is for the health
			continue
		case f.CanInt():
			f.SetInt(int64(9000 + i))
		default:
			f.SetUint(uint64(9000 + i))
		}
		of[name] = 9000 + i
	}
	page := httptest.NewRecorder()
	metrics.Page(func(b *metrics.Batch) { gatherPresence(b, tally) }, slog.New(slog.DiscardHandler)).ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	all := page.Body.String()
	for field, line := range map[string]string{
		"Relations":    `stox_presence_relations`,
		"Watched":      `stox_presence_subscriptions{watcher="user"}`,
		"Watchers":     `stox_presence_subscriptions{watcher="contact"}`,
		"Waiting":      `stox_presence_subscribes_waiting`,
		"Devices":      `stox_presence_devices`,
		"Publications": `stox_presence_publications{of="user"}`,
		"Published":    `stox_presence_publications{of="contact"}`,
		"Subscribes":   `stox_presence_requests_sent_total{method="SUBSCRIBE"}`,
		"Failed":       `stox_presence_requests_failed_total{method="SUBSCRIBE"}`,
		"Notified":     `stox_presence_requests_sent_total{method="NOTIFY"}`,
		"NotNotified":  `stox_presence_requests_failed_total{method="NOTIFY"}`,
		"Publishes":    `stox_presence_requests_sent_total{method="PUBLISH"}`,
		"NotPublished": `stox_presence_requests_failed_total{method="PUBLISH"}`,
		"Notifies":     `stox_presence_notifies_received_total{outcome="taken"}`,
		"Stale":        `stox_presence_notifies_received_total{outcome="refused"}`,
		"Refused":      `stox_presence_requests_refused_total`,
		"Asks":         `stox_presence_user_requests_total{kind="subscribe"}`,
		"Probes":       `stox_presence_user_requests_total{kind="probe"}`,
		"NotAsked":     `stox_presence_user_requests_total{kind="suppressed"}`,
		"Unseen":       `stox_presence_dropped_total`,
	} {
		if want := fmt.Sprintf("\n%s %d\n", line, of[field]); of[field] == 0 || !strings.Contains(all, want) {
			t.Errorf("no %q for %s", want, field)
		}
		delete(of, field)
	}
	if len(of) > 0 {
		t.Errorf("not looked for: %v", of)
	}
}

// SEC-14: who watches whom, and what is shown, is not in the metrics; that it happens is.
func TestMetricsOfPresenceNameNobody(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		g := startGateway(t, network, watched)
		g.peer.Answer(func(m *siptest.Message) string {
			if m.Method() == "SUBSCRIBE" {
				return m.Reply(404, "No Quarter For Tybalt", "Contact: <sip:laurence@cell.example>")
			}
			return m.Reply(200, "OK")
		})
		ask := func(n int, method, headers string) (status int) {
			t.Helper()
			branch := fmt.Sprintf("z9hG4bKpres%d", n)
			g.peer.Send(g.sip, fmt.Sprintf("%s sip:juliet@example.com SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=%s;rport\r\nMax-Forwards: 70\r\n"+
				"From: <sip:friarjohn@pbx.example.net>;tag=xyzzy\r\nTo: <sip:juliet@example.com>\r\nCall-ID: call-71-%d\r\nCSeq: 1 %s\r\n"+
				"Contact: <sip:friarjohn@%s;transport=%s;gr=quixotic>\r\n%s\r\n", method, strings.ToUpper(network), g.peer.Addr(), branch, n, method, g.peer.Addr(), network, headers))
			return g.peer.Final(branch).Status()
		}
		for i, c := range []struct {
			method, headers string
			status          int
		}{
			{"SUBSCRIBE", "Event: presence\r\nExpires: 3600\r\nContent-Length: 0\r\n", 200},
			{"SUBSCRIBE", "Event: presence\r\nExpires: 1\r\nContent-Length: 0\r\n", 423},
			{"NOTIFY", "Event: presence\r\nSubscription-State: active;expires=60\r\nContent-Length: 0\r\n", 481},
			{"PUBLISH", "Event: presence\r\nExpires: 3600\r\nSIP-If-Match: never-was\r\nContent-Length: 0\r\n", 403},
		} {
			if got := ask(i, c.method, c.headers); got != c.status {
				t.Errorf("%s %d is answered %d, want %d", c.method, i, got, c.status)
			}
		}
		if err := g.xmpp.Send("<presence type='subscribe' from='juliet@example.com' to='mercutio@sip.example.com'/>" +
			"<presence from='juliet@example.com/balcony' to='mercutio@sip.example.com'><show>dnd</show><status>a plague</status></presence>"); err != nil {
			t.Fatal(err)
		}
		all := g.measured(
			`stox_presence_requests_sent_total{method="SUBSCRIBE"} 1`,
			`stox_presence_requests_failed_total{method="SUBSCRIBE"} 1`,
			`stox_presence_requests_sent_total{method="NOTIFY"} 1`,
			`stox_presence_requests_failed_total{method="NOTIFY"} 0`,
			`stox_presence_subscriptions{watcher="contact"} 1`,
			`stox_presence_notifies_received_total{outcome="refused"} 1`,
			`stox_presence_requests_refused_total 2`,
			`stox_presence_user_requests_total{kind="subscribe"} 1`,
			`stox_sip_responses_received_total{class="4xx",method="SUBSCRIBE"} 1`,
			`stox_sip_responses_sent_total{class="4xx",method="PUBLISH"} 1`,
		)
		for _, secret := range []string{"juliet", "friarjohn", "mercutio", "balcony", "plague", "dnd", "xyzzy", "quixotic", "call-71", "Quarter", "laurence", "never-was", "127.0.0.1"} {
			if strings.Contains(all, secret) {
				t.Errorf("the metrics have %q", secret)
			}
		}
	})
}

// Presence is one of the parts whose health is watched.
func TestPresenceIsWatched(t *testing.T) {
	w := newWatch(newGateway(t, "udp").app)
	for _, p := range w.parts {
		if p.name == "presence" {
			if behind := p.ask(); behind != 0 {
				t.Errorf("behind by %v before it runs", behind)
			}
			return
		}
	}
	t.Error("presence is not asked how it does")
}
