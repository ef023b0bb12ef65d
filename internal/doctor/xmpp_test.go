package doctor

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/xmpptest"
)

// listen is a server that does as told with each connection, and keeps it open.
func (w *world) listen(name string, f func(net.Conn)) net.Addr {
	w.t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				f(c)
				_, _ = io.Copy(io.Discard, c)
			})
		}
	})
	w.t.Cleanup(func() { l.Close(); all.Wait() })
	w.call(l.Addr().String(), name)
	return l.Addr()
}

// silentXMPP takes connections and says nothing.
func (w *world) silentXMPP() {
	w.o.Config.XMPP.Server = w.listen("XMPP", func(net.Conn) {}).String()
}

// What keeps the link from coming up, each with its remedy (GW-02, GW-03, GW-05, GW-34).
func TestLinkFaults(t *testing.T) {
	const header = `<?xml version='1.0'?><stream:stream xmlns='%s' xmlns:stream='http://etherx.jabber.org/streams' from='example.com' id='1'>`
	for name, e := range map[string]struct {
		plant func(w *world)
		want  []string
	}{
		"wrong secret": {func(w *world) { w.xmpp(xmpptest.Options{Secret: "another"}) }, []string{
			"fail xmpp: the XMPP server at XMPP does not accept our secret for sip.example.com -> make xmpp.secret equal to component_secret (Prosody) or password (ejabberd); ejabberd says the same if it does not know sip.example.com: is it there (hosts of ejabberd_service), and is xmpp.domain right?"}},
		"wrong name": {func(w *world) { w.xmpp(xmpptest.Options{Domain: "spi.example.com"}) }, []string{
			`fail xmpp: the XMPP server at XMPP does not know sip.example.com -> add it there (Prosody: Component "sip.example.com"; ejabberd: hosts of ejabberd_service) or correct xmpp.domain`}},
		"closed port": {func(*world) {}, []string{
			"fail xmpp: the XMPP server at XMPP refused the connection -> is it running, and is its component port open? (xmpp.server)"}},
		"port for clients": {func(w *world) {
			w.o.Config.XMPP.Server = w.listen("XMPP", func(c net.Conn) { fmt.Fprintf(c, header, "jabber:client") }).String()
		}, []string{
			"fail xmpp: what answers at XMPP does not speak XEP-0114 -> give the component port of the XMPP server in xmpp.server"}},
		"port of something else": {func(w *world) {
			w.o.Config.XMPP.Server = w.listen("XMPP", func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n<html>") }).String()
		}, []string{
			"fail xmpp: what answers at XMPP does not speak XEP-0114 -> give the component port of the XMPP server in xmpp.server"}},
		"silence": {func(w *world) { w.silentXMPP(); w.o.Patience = 500 * time.Millisecond }, []string{
			"fail xmpp: XMPP took the connection but did not finish the component handshake within TIME -> is this its component port? (xmpp.server)"}},
		"name unknown": {func(w *world) { w.o.Config.XMPP.Server = "192.0.2.300:5347" }, []string{
			"fail xmpp: the name of the XMPP server 192.0.2.300:5347 does not exist in DNS -> correct xmpp.server"}},
		"connected already": {func(w *world) {
			w.o.Config.XMPP.Server = w.listen("XMPP", func(c net.Conn) {
				fmt.Fprintf(c, header, "jabber:component:accept")
				fmt.Fprint(c, `<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>`)
			}).String()
		}, []string{
			`fail xmpp: another connection serves sip.example.com at XMPP, though no daemon answers at DIR/stox.sock -> stop the other stox; if it is a dead one of ours, set component_conflict_resolve = "kick_old" in Prosody`}},
		"shared with another": {func(w *world) {
			var n atomic.Int32
			w.xmpp(xmpptest.Options{OnIQ: func(_ *xmpptest.Conn, st xmpptest.Stanza) bool { return n.Add(1)%2 == 0 }})
			w.o.Patience = 2 * time.Second
		}, []string{
			"fail xmpp: another program is connected as this component -> what XMPP sends to sip.example.com does not all come to us, so the link is not used; stop the other one (another stox? ejabberd allows several), or give it a name of its own"}},
		"hangs later": {func(w *world) {
			var n atomic.Int32
			w.xmpp(xmpptest.Options{OnIQ: func(_ *xmpptest.Conn, st xmpptest.Stanza) bool { return n.Add(1) > 20 }})
			w.o.Patience = 2 * time.Second
		}, []string{
			"fail xmpp: the XMPP server at XMPP has not given back a ping of ours for TIME -> it hangs, or another program is connected as this component"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := bareWorld(t)
			e.plant(w)
			// That we were let in is told, too.
			got := w.lines(checkXMPP)
			if len(got) > 1 && got[0] == "ok xmpp: XMPP accepts us as sip.example.com (TIME)" {
				got = got[1:]
			}
			if strings.Join(got, "\n") != strings.Join(e.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(e.want, "\n"))
			}
		})
	}
}

// A further component name has keys of its own, and the user domains are asked once.
func TestSecondName(t *testing.T) {
	w := newWorld(t)
	second := xmpptest.New(t, xmpptest.Options{Domain: "lab.example.com", Secret: "another"})
	w.call(second.Addr(), "SECOND")
	w.o.Config.Domains = []config.Domain{{XMPP: "lab.example.com", SIP: "lab.example", Server: second.Addr(), Secret: secret}}
	got := w.lines(checkXMPP)
	const want = "fail xmpp: the XMPP server at SECOND does not accept our secret for lab.example.com -> make domain[0].secret equal to component_secret (Prosody) or password (ejabberd); ejabberd says the same if it does not know lab.example.com: is it there (hosts of ejabberd_service), and is domain[0].xmpp right?"
	if len(got) != 4 || got[3] != want {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestUserDomains(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	w.o.Config.XMPP.UserDomains = []string{"example.com", "other.example", "far.example", "mute.example", "shy.example", "alone.example"}
	w.xmpp(xmpptest.Options{Software: "ejabberd", OnIQ: func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
		switch st.To {
		case "other.example":
			c.Bounce(st, "remote-server-not-found")
		case "far.example":
			c.Bounce(st, "remote-server-timeout")
		case "mute.example":
		case "shy.example":
			c.Bounce(st, "service-unavailable")
		case "alone.example":
			c.Bounce(st, "not-allowed")
		default:
			return false
		}
		return true
	}})
	w.o.Patience = 2 * time.Second
	got := w.lines(checkXMPP)
	want := []string{
		"ok xmpp: example.com, of xmpp.user_domains, answers (ejabberd 1)",
		`fail xmpp: other.example, of xmpp.user_domains, cannot be reached through XMPP: remote-server-not-found -> correct xmpp.user_domains, or have the XMPP server serve the domain (Prosody: VirtualHost "other.example"; ejabberd: hosts)`,
		`fail xmpp: far.example, of xmpp.user_domains, cannot be reached through XMPP: remote-server-timeout -> correct xmpp.user_domains, or have the XMPP server serve the domain (Prosody: VirtualHost "far.example"; ejabberd: hosts)`,
		`fail xmpp: mute.example, of xmpp.user_domains, does not answer through XMPP -> correct xmpp.user_domains, or have the XMPP server serve the domain (Prosody: VirtualHost "mute.example"; ejabberd: hosts)`,
		"ok xmpp: shy.example, of xmpp.user_domains, is there",
		`fail xmpp: alone.example, of xmpp.user_domains, cannot be reached through XMPP: not-allowed -> correct xmpp.user_domains, or have the XMPP server serve the domain (Prosody: VirtualHost "alone.example"; ejabberd: hosts)`,
	}
	if len(got) != 8 || strings.Join(got[2:], "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A server that does not say what it is has slower barriers than it needs.
func TestServerWithoutName(t *testing.T) {
	w := bareWorld(t)
	w.xmpp(xmpptest.Options{OnIQ: func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
		if strings.Contains(st.Raw, "jabber:iq:version") {
			c.Bounce(st, "service-unavailable")
			return true
		}
		return false
	}})
	const what = "ok xmpp: example.com, of xmpp.user_domains, answers"
	if got := w.lines(checkXMPP); got[len(got)-1] != what+`; it does not say what it is (Prosody: mod_version), so xmpp.barrier = "auto" waits as for ejabberd` {
		t.Errorf("%q", got)
	}
	w.o.Config.XMPP.Barrier = "single"
	if got := w.lines(checkXMPP); got[len(got)-1] != what {
		t.Errorf("%q", got)
	}
}

func TestSlowBarrier(t *testing.T) {
	d := newDoctor(bareWorld(t).o)
	const want = "SIP waits for each of its messages as long as that: is the XMPP server busy, or far away? (xmpp.server)"
	if f := d.barriers(d.names[0], []time.Duration{time.Millisecond, time.Second, time.Second}); f.Level != Warn || f.Remedy != want || f.Text != "barriers of sip.example.com come home in 1s, 1s at most of 3" {
		t.Errorf("%+v", f)
	}
	if f := d.barriers(d.names[0], []time.Duration{time.Millisecond, time.Millisecond, time.Second}); f.Level != OK {
		t.Errorf("%+v", f)
	}
}

// The clocks of XMPP servers and SIP servers are compared with ours.
func TestClock(t *testing.T) {
	for name, e := range map[string]struct {
		ahead time.Duration
		want  string
	}{
		"right":  {10 * time.Second, "ok clock: the clock agrees with that of 1 server"},
		"ahead":  {time.Hour, "warn clock: the clock of the XMPP server of example.com is 1h0m0s ahead of ours -> set the clock that is wrong: timedatectl shows ours, and whether it is kept right"},
		"behind": {-10 * time.Minute, "warn clock: the clock of the XMPP server of example.com is 10m0s behind ours -> set the clock that is wrong: timedatectl shows ours, and whether it is kept right"},
	} {
		t.Run(name, func(t *testing.T) {
			w := bareWorld(t)
			w.xmpp(xmpptest.Options{OnIQ: func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
				if !strings.Contains(st.Raw, "urn:xmpp:time") {
					return false
				}
				c.Send(fmt.Sprintf("<iq type='result' from='%s' to='%s' id='%s'><time xmlns='urn:xmpp:time'><tzo>Z</tzo><utc>%s</utc></time></iq>",
					st.To, st.From, st.ID, time.Now().Add(e.ahead).UTC().Format(time.RFC3339)))
				return true
			}})
			var got []string
			Run(t.Context(), w.o, func(f Finding) {
				if f.Check == checkClock {
					got = append(got, strings.TrimSuffix(string(f.Level)+" clock: "+f.Text+" -> "+f.Remedy, " -> "))
				}
			})
			// A second may pass between the question and the answer, and its time has no parts.
			if len(got) != 1 || roundedClock(got[0]) != roundedClock(e.want) {
				t.Errorf("got %q, want %q", got, e.want)
			}
		})
	}
	d := newDoctor(bareWorld(t).o)
	d.saw("a", time.Second)
	d.saw("b", -time.Minute)
	d.saw("a", time.Minute)
	if got := d.clock(); len(got) != 2 || got[0].Text != "the clock of a is 1m0s ahead of ours" || got[1].Text != "the clock of b is 1m0s behind ours" {
		t.Errorf("%+v", got)
	}
}

// roundedClock takes a time to the whole minute.
func roundedClock(line string) string {
	words := strings.Fields(line)
	for i, w := range words {
		if d, err := time.ParseDuration(w); err == nil {
			words[i] = d.Round(time.Minute).String()
		}
	}
	return strings.Join(words, " ")
}

// While a daemon may run, no component stream is opened (GW-34), only the port is tried.
func TestBesideADaemon(t *testing.T) {
	w := newWorld(t)
	srv := w.xmpp(xmpptest.Options{Handshake: func(c net.Conn) bool {
		if b, _ := io.ReadAll(c); len(b) > 0 {
			t.Errorf("the doctor speaks to the XMPP server: %q", b)
		}
		return false
	}})
	w.daemon(&fakeDaemon{waiting: 3, links: []adminLink{
		{Component: "sip.example.com", Server: srv.Addr(), State: "up", Since: time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)},
	}})
	w.want([]string{checkDaemon, checkXMPP},
		"ok daemon: a daemon answers at DIR/stox.sock; 3 messages wait in its queue",
		"ok daemon: its link as sip.example.com to XMPP is up since 2026-03-01 12:00:00",
		"skip xmpp: XMPP takes connections (TIME); handshake, barriers and user domains of sip.example.com were not tried, for a second connection would take the daemon's place: stop stox for that",
	)
	w.o.Config.XMPP.Server = fmt.Sprintf("127.0.0.1:%d", w.port("NOBODY", "tcp"))
	w.want([]string{checkXMPP},
		"fail xmpp: cannot connect to NOBODY: connection refused -> is the XMPP server running, is its component port open, and does a firewall let us through? (xmpp.server)")
}

// What a daemon says of its links is told with its remedies, under their keys.
func TestDaemonsLinks(t *testing.T) {
	link := func(l adminLink) *fakeDaemon {
		l.Component, l.Server = "sip.example.com", "127.0.0.1:5347"
		return &fakeDaemon{links: []adminLink{l}}
	}
	for name, e := range map[string]struct {
		daemon *fakeDaemon
		want   string
	}{
		"refused":    {link(adminLink{State: "down", Reason: "refused", Text: "the XMPP server at 127.0.0.1:5347 refused the connection: is it running, and is its component port open? (xmpp.server)"}), "fail daemon: its link as sip.example.com to 127.0.0.1:5347 is not up: the XMPP server at 127.0.0.1:5347 refused the connection -> is it running, and is its component port open? (xmpp.server)"},
		"no remedy":  {link(adminLink{State: "down", Reason: "lost", Text: "the connection to the XMPP server at 127.0.0.1:5347 broke"}), "fail daemon: its link as sip.example.com to 127.0.0.1:5347 is not up: the connection to the XMPP server at 127.0.0.1:5347 broke -> the server's log may say why (xmpp.server)"},
		"at it":      {link(adminLink{State: "connecting", Reason: "refused"}), "fail daemon: its link as sip.example.com to 127.0.0.1:5347 is not up: refused -> journalctl -u stox says how to mend it (xmpp.server)"},
		"starting":   {link(adminLink{State: "connecting"}), "warn daemon: its link as sip.example.com to 127.0.0.1:5347 is not up yet: connecting -> run stox doctor again in a while; journalctl -u stox says how it goes (xmpp.server)"},
		"no answer":  {&fakeDaemon{err: "broken"}, "skip daemon: the daemon does not tell of its links: broken"},
		"an old one": {&fakeDaemon{old: true}, "skip daemon: the daemon is of an earlier version and cannot tell of its links; journalctl -u stox does"},
	} {
		t.Run(name, func(t *testing.T) {
			w := bareWorld(t)
			w.daemon(e.daemon)
			got := w.lines(checkDaemon)
			if len(got) != 2 || got[0] != "ok daemon: a daemon answers at DIR/stox.sock; its queue is empty" || got[1] != duration.ReplaceAllString(e.want, "TIME") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), e.want)
			}
		})
	}
}

// A daemon that cannot be asked may be there all the same.
func TestDaemonThatCannotBeAsked(t *testing.T) {
	t.Run("a socket that is none", func(t *testing.T) {
		w := newWorld(t)
		w.o.Config.Admin.Socket = filepath.Join(w.dir, strings.Repeat("long", 60))
		got := w.lines(checkDaemon, checkXMPP)
		if len(got) != 2 || !strings.HasPrefix(got[0], "fail daemon: cannot ask whether a daemon runs: ") || !strings.HasSuffix(got[0], " -> run stox doctor as root or as the user that stox runs as (sudo -u stox stox doctor), or correct admin.socket") || !strings.HasPrefix(got[1], "skip xmpp: XMPP takes connections") {
			t.Errorf("got\n%s", strings.Join(got, "\n"))
		}
	})
	t.Run("silence", func(t *testing.T) {
		w := newWorld(t)
		l, err := net.Listen("unix", w.o.Config.Admin.Socket)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		w.o.Patience = time.Second
		got := w.lines(checkDaemon)
		if len(got) != 1 || !strings.HasPrefix(got[0], "fail daemon: a daemon has the socket DIR/stox.sock and does not answer: ") || !strings.HasSuffix(got[0], " -> restart it: systemctl restart stox; its log says more: journalctl -u stox") {
			t.Errorf("got\n%s", strings.Join(got, "\n"))
		}
	})
	t.Run("no socket, and the port in use", func(t *testing.T) {
		w := newWorld(t)
		w.o.Config.Admin.Socket = ""
		w.want([]string{checkDaemon}, "ok daemon: no admin.socket is set; the ports of sip.listen are free, so no daemon runs")
		c := w.hold()
		defer c.Close()
		got := w.lines(checkDaemon, checkXMPP)
		if len(got) != 2 || got[0] != "skip daemon: no admin.socket is set, and udp://LISTEN is in use: perhaps by a daemon, so no component stream is opened" || !strings.HasPrefix(got[1], "skip xmpp: XMPP takes connections") {
			t.Errorf("got\n%s", strings.Join(got, "\n"))
		}
	})
}
