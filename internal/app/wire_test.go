package app

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/config"
)

// tracer is the daemon of h as the operator's socket has it.
func (h *home) tracer() *liveQueue {
	return &liveQueue{wire: h.app.wire, config: h.app.config, log: h.app.log}
}

// traced are the lines of the log that are packets.
func (h *home) traced() (all []string) {
	for line := range strings.Lines(h.log.String()) {
		if strings.Contains(line, " packet=") {
			all = append(all, line)
		}
	}
	return all
}

// TestWireOn: the packets of one user are logged in both worlds, those of others are not, and it
// ends by itself.
func TestWireOn(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		h.toSIP("romeo", "m0", "before")
		q := h.tracer()
		now, err := q.WireOn(t.Context(), admin.Watch{Targets: []string{"sip:romeo@example.net"}, Full: true, For: time.Minute})
		if err != nil || !slices.Equal(now.Targets, []string{"sip:romeo@example.net"}) || now.Mode != "full" || now.All != "off" || time.Until(now.Until) != time.Minute {
			t.Fatalf("%+v, %v", now, err)
		}
		h.toSIP("romeo", "m1", "the first")
		h.toSIP("tybalt", "m2", "the second")
		h.fromSIP(neighbour, 1, romeo, juliet, "the third")
		h.fromSIP(neighbour, 2, "sip:tybalt@example.net", juliet, "the fourth")
		synctest.Wait()
		all := strings.Join(h.traced(), "")
		for text, want := range map[string]int{"before": 0, "the first": 2, "the second": 0, "the third": 2, "the fourth": 0} {
			if n := strings.Count(all, text); n != want {
				t.Errorf("%q is shown %d times, not %d\n%s", text, n, want, all)
			}
		}
		for _, want := range []string{`msg=received side=xmpp component=sip.example.com `, `msg=sent side=sip transport=udp peer=192.0.2.99:5060 local=192.0.2.1:5060 packet="MESSAGE sip:romeo@example.net SIP/2.0\n`,
			`msg=received side=sip transport=udp peer=127.0.0.1:5070 `, `packet="SIP/2.0 200 OK\n`, `msg=sent side=xmpp `} {
			if !strings.Contains(all, want) {
				t.Errorf("%s is not there\n%s", want, all)
			}
		}
		n := len(h.traced())
		time.Sleep(time.Minute)
		h.toSIP("romeo", "m3", "the last")
		if now, err := q.Wire(t.Context()); err != nil || len(now.Targets) > 0 || now.Logged != uint64(n) || len(h.traced()) != n {
			t.Errorf("after its time: %+v, %v, %d packets", now, err, len(h.traced()))
		}
		if now, err := q.WireOff(t.Context()); err != nil || len(now.Targets) > 0 {
			t.Errorf("%+v, %v", now, err)
		}
		if _, err := q.WireOn(t.Context(), admin.Watch{Targets: []string{"@"}}); err == nil {
			t.Error("@ is taken for an address")
		}
	})
}

// TestWireKeepsSecrets: a daemon that logs in, to its XMPP server and to a SIP server, shows
// neither password nor anything that is made of it, with everything shown.
func TestWireKeepsSecrets(t *testing.T) {
	var made []string // of the passwords
	inHome(t, func(t *testing.T, h *home) {
		if got := guardedTrunk("u", "one-and-only")(h); got != "u ok" {
			t.Fatal(got)
		}
		synctest.Wait()
		for _, w := range h.sent("MESSAGE") {
			for _, a := range w.All("Authorization") {
				made = append(made, secretsOfDigest(a)...)
			}
		}
		all := strings.Join(h.traced(), "")
		if len(made) < 2 || strings.Count(all, "Authorization: Digest") < 1 || !strings.Contains(all, "WWW-Authenticate: Digest") || !strings.Contains(all, "<handshake>***</handshake>") {
			t.Fatalf("%q\n%s", made, all)
		}
		for _, secret := range append(made, "one-and-only", "component secret") {
			if strings.Contains(h.log.String(), secret) {
				t.Errorf("%q is in the log", secret)
			}
		}
	}, loginTrunk, "log: wire='full'")
}

// loginTrunk is a route whose server asks who we are.
var loginTrunk = with(loginA, "password='one'", "password='one-and-only'")

// secretsOfDigest are the parts of credentials that nobody else may know.
func secretsOfDigest(value string) (all []string) {
	for _, part := range strings.Split(value, ",") {
		name, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch strings.TrimPrefix(name, "Digest ") {
		case "nonce", "cnonce", "response", "opaque":
			all = append(all, strings.Trim(v, `"`))
		}
	}
	return all
}

// TestWireOfRoutes: who names the domain of a route means its servers too.
func TestWireOfRoutes(t *testing.T) {
	routes := []config.Route{{Domain: "a.example", Via: "sip:192.0.2.7"}, {Domain: "*", Via: "sip:[2001:db8::7]:5070;transport=tcp"}, {Domain: "b.example"}, {Domain: "c.example", Via: "sip:no-such-host.invalid"}}
	for _, tt := range []struct{ named, want string }{
		{"a.example", "a.example 192.0.2.7"},
		{"192.0.2.7", "192.0.2.7 192.0.2.7"},
		{"b.example", "b.example"},
		{"*", "*"},
		{"juliet@example.com a.example", "juliet@example.com a.example 192.0.2.7"},
		{"2001:db8::7", "2001:db8::7 2001:db8::7"},
		{"A.Example", "A.Example 192.0.2.7"},
		{"sip:a.example", "sip:a.example 192.0.2.7"},
	} {
		if got := strings.Join(withServers(t.Context(), strings.Fields(tt.named), routes), " "); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.named, got, tt.want)
		}
	}
}

// TestWireOfTheStop: what is said at the end is shown too.
func TestWireOfTheStop(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		h.stop()
		all := h.traced()
		if last := all[len(all)-1]; !strings.Contains(last, "</stream:stream>") {
			t.Errorf("the last one is %s", last)
		}
	}, "log: wire='headers'")
}
