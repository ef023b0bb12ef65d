package trunk

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stoxgw/stox/internal/siptest"
)

// registering is a trunk that wants a registration.
func registering(opt siptest.TrunkOptions) setting {
	return setting{trunk: opt, advertise: "gw.example.com"}
}

// SEC-05: registered with a password, a user writes to a telephone and is answered, over the
// registration and nothing else; each request proves who it is.
func TestRegistered(t *testing.T) {
	for name, s := range map[string]setting{
		"401 over UDP":    registering(siptest.TrunkOptions{}),
		"407 over UDP":    registering(siptest.TrunkOptions{Proxy: true}),
		"nonces end":      registering(siptest.TrunkOptions{NonceUses: 1}),
		"a short grant":   registering(siptest.TrunkOptions{Grant: 60}),
		"the account":     registering(siptest.TrunkOptions{ToAccount: true, ToHost: "asterisk.invalid"}),
		"401 over TCP":    {network: "tcp", advertise: "gw.example.com"},
		"not advertised":  {},
		"a route for all": {route: "*", advertise: "gw.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, s, func(w *world) {
				w.registered()
				for range 3 {
					got := w.text("juliet@example.com", friend, strings.Repeat("Art thou not Romeo? ", 9))
					if len(got) != 2 || got[0].From != "5550001111" || got[1].To != "5551234567" {
						w.Fatalf("%+v", got)
					}
					status, st := w.receive("5551234567", "5550001111", "Neither, fair saint.")
					if status != 200 || st.From != friend || st.To != "juliet@example.com" || st.Body != "Neither, fair saint." {
						w.Errorf("%d %s", status, st.Raw)
					}
					if got = w.text(st.To, st.From, "Good."); len(got) != 1 || got[0].To != "5551234567" {
						w.Errorf("the reply: %+v", got)
					}
					time.Sleep(5 * time.Minute)
				}
				if got := w.trunk.Refused(); len(got) > 0 {
					w.Errorf("refused %q", got)
				}
				if st := w.next(); st.Raw != "" {
					w.Errorf("besides: %s", st.Raw)
				}
			})
		})
	}
}

// The trunk of docs/trunks.md works with the configuration that stands there.
func TestDocumentedTrunk(t *testing.T) {
	s := setting{text: examples(document(t))[0],
		aliases: [][2]string{{"sip:5550001111@trunk.example", "juliet@example.com"}, {"sip:5550002222@trunk.example", "nurse@example.com"}}}
	play(t, s, func(w *world) {
		w.registered()
		for _, user := range []struct{ jid, number string }{{"juliet@example.com", "5550001111"}, {"nurse@example.com", "5550002222"}} {
			if got := w.text(user.jid, friend, "hi"); len(got) != 1 || got[0].From != user.number {
				w.Errorf("%s: %+v", user.jid, got)
			}
			if status, st := w.receive("5551234567", user.number, "hi"); status != 200 || st.To != user.jid || st.From != friend {
				w.Errorf("%s: %d %s", user.jid, status, st.Raw)
			}
		}
	})
}

// The registration is renewed before it ends, and not much more often than that takes.
func TestRegistrationLasts(t *testing.T) {
	for _, grant := range []int{60, 600, 3600} {
		play(t, registering(siptest.TrunkOptions{Grant: grant}), func(w *world) {
			w.registered()
			for range 4 * 60 {
				time.Sleep(time.Minute)
				synctest.Wait()
				if _, ok := w.trunk.Binding(); !ok {
					w.Fatalf("granted %d s: it has ended", grant)
				}
			}
			b, _ := w.trunk.Binding()
			if most := 4 * 3600 / (min(grant, 600) / 3); b.Times > most {
				w.Errorf("granted %d s: renewed %d times in four hours, where %d would be plenty", grant, b.Times, most)
			}
			if got := w.trunk.Refused(); len(got) > 0 {
				w.Errorf("refused %q", got)
			}
		})
	}
}

// A trunk that has been restarted knows nothing of the registration, nor of its nonces: both
// are made anew with the next refresh, and texts get through then.
func TestTrunkRestarts(t *testing.T) {
	play(t, registering(siptest.TrunkOptions{Grant: 600}), func(w *world) {
		w.registered()
		if got := w.text("juliet@example.com", friend, "one"); len(got) != 1 {
			w.Fatalf("%+v", got)
		}
		w.trunk.Forget()
		time.Sleep(10 * time.Minute)
		w.registered()
		if got := w.text("juliet@example.com", friend, "two"); len(got) != 1 {
			w.Errorf("%+v", got)
		}
		if status, st := w.receive("5551234567", "5550001111", "three"); status != 200 || st.Body != "three" {
			w.Errorf("%d %s", status, st.Raw)
		}
	})
}

// At its end the daemon ends the registration: the trunk is not left sending to nobody.
func TestStopUnregisters(t *testing.T) {
	var trunk *siptest.Trunk
	play(t, registering(siptest.TrunkOptions{}), func(w *world) {
		w.registered()
		trunk = w.trunk
		w.stop()
		if b, ok := trunk.Binding(); ok {
			w.Errorf("still registered: %+v", b)
		}
	})
}

// A wrong password is tried neither with every message nor every minute, the sender learns of
// it, and the log says which key is meant.
func TestWrongPassword(t *testing.T) {
	s := registering(siptest.TrunkOptions{})
	s.wrong = true
	play(t, s, func(w *world) {
		time.Sleep(5 * time.Minute)
		got := w.text("juliet@example.com", friend, "hi")
		if st := w.next(); len(got) != 0 || st.Type != "error" {
			w.Errorf("%d texts, told %s", len(got), st.Raw)
		}
		if _, ok := w.trunk.Binding(); ok {
			w.Error("it is registered")
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if n := w.methods["REGISTER"]; n == 0 || n > 6 {
			w.Errorf("%d attempts to register in five minutes", n)
		}
		if n := w.methods["MESSAGE"]; n > 3 {
			w.Errorf("%d attempts to send", n)
		}
		if !strings.Contains(w.log.String(), "sip.route") {
			w.Error("no remedy in the log")
		}
	})
}

// SIP-07, IM-62: credentials count. A part that has as many bytes as 160 characters can take
// still goes with them, in one datagram.
func TestLongTextsWithCredentials(t *testing.T) {
	for _, proxy := range []bool{false, true} {
		play(t, registering(siptest.TrunkOptions{Proxy: proxy, NonceUses: 3}), func(w *world) {
			w.registered()
			for _, n := range []int{160, 161, 900} {
				text := strings.Repeat("👍", n)
				joined := ""
				for i, m := range w.text("juliet@example.com", friend, text) {
					if n := utf8.RuneCountInString(m.Body); n > 160 {
						w.Errorf("part %d has %d characters", i+1, n)
					}
					joined += mark.ReplaceAllString(m.Body, "")
				}
				if joined != text {
					w.Errorf("%d characters: %q has come", n, joined)
				}
				if st := w.next(); st.Raw != "" {
					w.Errorf("told %s", st.Raw)
				}
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, raw := range w.wire {
				if strings.HasPrefix(raw, "MESSAGE") && (len(raw) > 1300 || strings.Contains(raw, "SIP/2.0/TCP")) {
					w.Errorf("%d bytes: %s", len(raw), raw)
				}
			}
		})
	}
}
