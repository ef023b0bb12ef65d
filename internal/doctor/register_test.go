package doctor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/sipside/digest"
)

// registering adds a route that registers.
func (w *world) registering(p *siptest.Peer) {
	w.route(p.Addr(), p.Network())
	r := &w.o.Config.SIP.Routes[len(w.o.Config.SIP.Routes)-1]
	r.Register, r.Username, r.Password = true, "stox", secret
}

// Without a daemon the registrar is asked, by a request that changes nothing.
func TestRegistrar(t *testing.T) {
	const leads = "ok route: sip.route[0] (pbx.example.net) leads to NETWORK PEER"
	const alive = "ok route: NETWORK PEER answers OPTIONS with 200 OK in TIME"
	const name = "NETWORK PEER answers REGISTER for sip:stox@pbx.example.net with "
	for status, want := range map[int]string{
		200: "ok route: " + name + "200 Reason, without a password",
		401: "fail route: " + name + "401 Reason: it asks for a password in a way that is not answered -> the server has to ask by digest, with MD5, SHA-256 or SHA-512-256; Basic is never answered",
		407: "fail route: " + name + "407 Reason: it asks for a password in a way that is not answered -> the server has to ask by digest, with MD5, SHA-256 or SHA-512-256; Basic is never answered",
		403: "fail route: " + name + "403 Reason -> correct sip.route.username, or sip.route.domain, which is the domain that is registered at; or let the server take registrations from this machine",
		501: "fail route: " + name + "501 Reason: it takes no registrations -> take out sip.route.register, or correct sip.route.via",
		500: "warn route: " + name + "500 Reason -> the SIP server's log says why",
	} {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(network, func(t *testing.T) {
				w := bareWorld(t)
				p := w.peer(network, func(m *siptest.Message) string {
					if m.Method() == "REGISTER" {
						return m.Reply(status, "Reason")
					}
					return m.Reply(200, "OK")
				})
				w.registering(p)
				to := func(s string) string { return strings.ReplaceAll(s, "NETWORK", network) }
				w.want([]string{checkRoute}, to(leads), to(alive), to(want))
				m := p.Requests()[1]
				if m.First != "REGISTER sip:pbx.example.net SIP/2.0" || m.Get("To") != "<sip:stox@pbx.example.net>" || !strings.HasPrefix(m.Get("From"), "<sip:stox@pbx.example.net>;tag=") ||
					m.Get("CSeq") != "1 REGISTER" || m.Get("Contact") != "" || m.Get("Expires") != "" {
					t.Errorf("%+v", m)
				}
			})
		}
	}
}

// The password is tried, so that it is known before the daemon is refused.
func TestRegistrarAsks(t *testing.T) {
	const answers = "udp PEER answers REGISTER for sip:stox@pbx.example.net with "
	for name, tt := range map[string]struct{ known, want string }{
		"right": {secret, "ok route: " + answers + "200 OK, with the password"},
		"wrong": {"another password", "fail route: " + answers + "401 Unauthorized: it does not accept the password -> correct sip.route.username and sip.route.password: they are those that the server has for this account"},
	} {
		t.Run(name, func(t *testing.T) {
			w := bareWorld(t)
			s := digest.NewServer("pbx.example.net", []byte("key"), func(user string) (string, bool) { return tt.known, user == "stox" })
			p := w.peer("udp", func(m *siptest.Message) string {
				if m.Method() != "REGISTER" {
					return m.Reply(200, "OK")
				}
				now := time.Now()
				if _, _, verdict := s.Verify("REGISTER", "sip:pbx.example.net", m.All("Authorization"), nil, "", now); verdict == digest.OK {
					return m.Reply(200, "OK")
				}
				var lines []string
				for _, c := range s.Challenges("", false, now) {
					lines = append(lines, "WWW-Authenticate: "+c)
				}
				return m.Reply(401, "Unauthorized", lines...)
			})
			w.registering(p)
			got := w.lines(checkRoute)
			if len(got) != 3 || got[2] != tt.want {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), tt.want)
			}
			asked := p.Requests()[1:]
			if len(asked) != 2 || asked[0].Get("Call-ID") != asked[1].Get("Call-ID") || asked[0].Get("From") != asked[1].Get("From") || asked[1].Get("CSeq") != "2 REGISTER" {
				t.Errorf("%d requests: %+v", len(asked), asked)
			}
			if strings.Contains(strings.Join(got, "\n"), string(secret)) {
				t.Error("the password is in what is said")
			}
		})
	}
}

// A registrar that is silent is told of; one of a route without register is not asked.
func TestRegistrarSilent(t *testing.T) {
	w := bareWorld(t)
	w.o.Patience = 300 * time.Millisecond
	p := w.peer("udp", func(m *siptest.Message) string {
		if m.Method() == "REGISTER" {
			return ""
		}
		return m.Reply(200, "OK")
	})
	w.registering(p)
	got := w.lines(checkRoute)
	if want := "warn route: udp PEER does not answer REGISTER: no answer in time -> does it take registrations, and from this machine? Else take out sip.route.register"; len(got) != 3 || got[2] != want {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	w = bareWorld(t)
	p = w.peer("udp", nil)
	w.route(p.Addr(), "udp")
	w.lines(checkRoute)
	if n := len(p.Requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// routedDaemon is a daemon that tells of its routes.
type routedDaemon struct {
	all []admin.Route
	err error
}

func (f *routedDaemon) Routes(context.Context) ([]admin.Route, error) { return f.all, f.err }

// What a daemon says of its registrations is told, each with its remedy, and the registrar
// is left alone.
func TestDaemonsRegistrations(t *testing.T) {
	until := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	const what = "its registration for pbx.example.net at sip:192.0.2.9 "
	for name, e := range map[string]struct {
		route admin.Route
		err   error
		want  string
	}{
		"registered": {route: admin.Route{Registration: "registered", Registered: true, Server: "udp 192.0.2.9:5060", Until: until}, want: "ok daemon: " + what + "is good until 2026-03-01 12:00:00; udp 192.0.2.9:5060 sends us what is for it"},
		"refused":    {route: admin.Route{Registration: "refused", Reason: "answered 403"}, want: "fail daemon: " + what + "is refused (answered 403) -> journalctl -u stox says what to correct: mostly sip.route.username or sip.route.password"},
		"lost":       {route: admin.Route{Registration: "lost", Reason: "no answer"}, want: "fail daemon: " + what + "is lost for now (no answer) -> does the server at sip.route.via run, and is it reached? The lines on the route say more"},
		"run out":    {route: admin.Route{Registration: "registered"}, want: "fail daemon: " + what + "is lost for now -> does the server at sip.route.via run, and is it reached? The lines on the route say more"},
		"trying":     {route: admin.Route{Registration: "trying"}, want: "warn daemon: " + what + "is not there yet -> run stox doctor again in a while; journalctl -u stox says how it goes"},
		"none":       {},
		"broken":     {err: errors.New("broken"), want: "skip daemon: the daemon does not tell of its registrations: broken"},
		"old":        {err: admin.ErrUnknown, want: "skip daemon: the daemon is of an earlier version and cannot tell of its registrations; journalctl -u stox does"},
	} {
		t.Run(name, func(t *testing.T) {
			w := bareWorld(t)
			w.registering(w.peer("udp", nil))
			d := newDoctor(w.o)
			e.route.Domain, e.route.Via = "pbx.example.net", "sip:192.0.2.9"
			got := ""
			for _, f := range d.registrations(t.Context(), &routedDaemon{[]admin.Route{e.route}, e.err}) {
				got += string(f.Level) + " " + f.Check + ": " + f.Text
				if f.Remedy != "" {
					got += " -> " + f.Remedy
				}
			}
			if got != e.want {
				t.Errorf("got\n%s\nwant\n%s", got, e.want)
			}
		})
	}
	w := bareWorld(t)
	p := w.peer("udp", nil)
	w.registering(p)
	w.daemon(&fakeDaemon{}) // has no routes to tell of
	got := w.lines(checkDaemon, checkRoute)
	if n := len(p.Requests()); n != 1 || !strings.Contains(strings.Join(got, "\n"), "skip daemon: the daemon does not tell of its registrations: there are no routes") {
		t.Errorf("%d requests\n%s", n, strings.Join(got, "\n"))
	}
	if d := newDoctor(bareWorld(t).o); d.registrations(t.Context(), &routedDaemon{err: errNotAsked}) != nil {
		t.Error("asked although no route registers")
	}
}
