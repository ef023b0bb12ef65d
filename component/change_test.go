package component

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// What may change does for the next stanza, and says whether the gateway is something else.
func TestChange(t *testing.T) {
	var cfg Config
	r, conn := memory(t, xmpptest.Options{}, func(c *Config) { withServices(t)(c); cfg = *c })
	ask := func(to string) xmpptest.Stanza {
		t.Helper()
		send(t, conn, `<iq type='get' id='i' from='juliet@example.com/b' to='`+to+`'>`+askInfo+`</iq>`)
		got := conn.Next()
		if got.ID != "i" {
			t.Fatalf("%s", got.Raw)
		}
		return got
	}
	if r.Change(cfg) {
		t.Error("the same configuration is another gateway")
	}
	cfg.ContactFeatures = []string{FeatureChatStates}
	if r.Change(cfg) { // of contacts, which are never available
		t.Error("other features of contacts are another gateway")
	}
	if got := ask(romeo + "/r"); !strings.Contains(got.Raw, nsStates) || strings.Contains(got.Raw, nsReceipts) {
		t.Errorf("features: %s", got.Raw)
	}
	cfg.Numbers = !cfg.Numbers
	if !r.Change(cfg) {
		t.Error("the gateway is said to be the same, with or without telephones")
	}
	cfg.Contact = func(mapping.JID) (mapping.URI, error) { return mapping.MustParseURI("sip:r@new.example"), nil }
	cfg.Prompt = nil
	if !r.Change(cfg) {
		t.Error("the gateway is said to be the same without a service")
	}
	if got := ask(romeo); !strings.Contains(got.Raw, "sip:r@new.example") {
		t.Errorf("contact: %s", got.Raw)
	}
	if got := ask(gateway); strings.Contains(got.Raw, nsGateway) {
		t.Errorf("prompt: %s", got.Raw)
	}
	cfg.Allow = func(mapping.JID) bool { return false }
	if r.Change(cfg) {
		t.Error("other users are another gateway")
	}
	if got := ask(gateway); got.Condition != "forbidden" {
		t.Errorf("allow: %s", got.Raw)
	}
	if dials := r.srv.Dials(); dials != 1 || r.Status().State != StateUp {
		t.Errorf("%d connections, %s", dials, r.Status().State)
	}
}

// A message that waits keeps the time that it was given for its barrier, or has less; the next
// one has the new time, be it longer or shorter.
func TestChangeOfBarrierTimeout(t *testing.T) {
	for _, tt := range []struct{ before, after time.Duration }{{5 * time.Second, time.Second}, {time.Second, 5 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			var h held
			cfg := Config{}
			r, _ := memory(t, h.options(), func(c *Config) { c.Barrier, c.BarrierTimeout = BarrierSingle, tt.before; cfg = *c })
			r.Deliver(parcels(message("old", "x"), to("old elsewhere", "nurse@other.example")))
			cfg.BarrierTimeout = tt.after
			r.Change(cfg)
			r.Deliver(parcels(message("new", "x"), to("new elsewhere", "nurse@other.example")))
			time.Sleep(time.Second / 4) // between the deadlines
			for passed := time.Second / 4; passed < 6*time.Second; passed += time.Second / 2 {
				want := map[string]mapping.OutcomeKind{}
				for id, due := range map[string]time.Duration{"old": min(tt.before, tt.after), "new": tt.after} {
					kind := none
					if passed > due {
						kind = mapping.Unknown
					}
					want[id], want[id+" elsewhere"] = kind, kind
				}
				r.expect(t, passed.String(), want)
				time.Sleep(time.Second / 2)
			}
		})
	}
}

// A change disturbs nothing that goes on beside it.
func TestChangeWhileStanzasPass(t *testing.T) {
	const n = 500
	var cfg Config
	r, conn := loopback(t, xmpptest.Options{}, func(c *Config) { withServices(t)(c); cfg = *c })
	var all sync.WaitGroup
	all.Go(func() {
		for i := range n {
			next := cfg
			next.BarrierTimeout = time.Duration(5+i%3) * time.Second
			next.Numbers = i%2 == 0
			r.Change(next)
		}
	})
	all.Go(func() {
		for range n {
			send(t, conn, `<iq type='get' id='i' from='juliet@example.com/b' to='`+gateway+`'>`+askInfo+`</iq>`)
		}
	})
	for range n {
		if got := conn.Next(); got.ID != "i" || got.Type != "result" {
			t.Errorf("%s", got.Raw)
		}
	}
	all.Wait()
}
