package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/dnstest"
	"github.com/stoxgw/stox/internal/siptest"
)

// One OPTIONS request as it is on the wire.
func TestOptionsOnTheWire(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		w := bareWorld(t)
		p := w.peer(network, nil)
		w.route(p.Addr(), network)
		w.lines(checkRoute)
		m := p.Requests()[0]
		if want := "OPTIONS sip:" + p.Addr().String() + " SIP/2.0"; m.First != want {
			t.Errorf("%q, want %q", m.First, want)
		}
		if v := m.Get("Via"); !strings.HasPrefix(v, "SIP/2.0/"+strings.ToUpper(network)+" "+m.Source.String()+";branch=z9hG4bK") || !strings.HasSuffix(v, ";rport") {
			t.Errorf("Via: %s, from %s", v, m.Source)
		}
		for header, want := range map[string]string{"Max-Forwards": "70", "CSeq": "1 OPTIONS", "To": "<sip:" + p.Addr().String() + ">", "Content-Length": "0"} {
			if got := m.Get(header); got != want {
				t.Errorf("%s: %q, want %q", header, got, want)
			}
		}
		if from := m.Get("From"); !strings.HasPrefix(from, "<sip:127.0.0.1>;tag=") || strings.Contains(from, "@") {
			t.Errorf("From: %s", from)
		}
	}
}

// Any final answer is a sign of life, but for 503. Provisional ones, answers to others
// and what is no message are not looked at.
func TestAnswers(t *testing.T) {
	const overloaded = " -> the SIP server is overloaded, being restarted, or has no way on: its log says which; correct sip.route.via if it is the wrong one"
	for name, e := range map[string]struct {
		answer func(*siptest.Message) string
		want   string
	}{
		"200":         {func(m *siptest.Message) string { return m.Reply(200, "OK") }, "ok route: NETWORK PEER answers OPTIONS with 200 OK in TIME"},
		"405":         {func(m *siptest.Message) string { return m.Reply(405, "Method Not Allowed", "User-Agent: phone/1") }, "ok route: NETWORK PEER answers OPTIONS with 405 Method Not Allowed in TIME (phone/1)"},
		"401":         {func(m *siptest.Message) string { return m.Reply(401, "Unauthorized") }, "ok route: NETWORK PEER answers OPTIONS with 401 Unauthorized in TIME"},
		"503":         {func(m *siptest.Message) string { return m.Reply(503, "Busy", "Server: pbx") }, "fail route: NETWORK PEER answers OPTIONS with 503 Busy in TIME (pbx)" + overloaded},
		"after a 100": {func(m *siptest.Message) string { return m.Reply(100, "Trying") + m.Reply(200, "OK") }, "ok route: NETWORK PEER answers OPTIONS with 200 OK in TIME"},
		"after another's": {func(m *siptest.Message) string {
			return strings.Replace(m.Reply(486, "Busy Here"), "Call-ID: ", "Call-ID: x", 1) + m.Reply(200, "OK")
		}, "ok route: NETWORK PEER answers OPTIONS with 200 OK in TIME"},
		"after a keep-alive": {func(m *siptest.Message) string { return "\r\n\r\n" + m.Reply(200, "OK") }, "ok route: NETWORK PEER answers OPTIONS with 200 OK in TIME"},
		"another protocol":   {func(*siptest.Message) string { return "HTTP/1.1 400 Bad Request\r\n\r\n" }, "fail route: what answers at NETWORK PEER does not speak SIP -> correct sip.route.via: give the port for SIP over NETWORK"},
		"no status":          {func(*siptest.Message) string { return "SIP/2.0 999 What\r\n\r\n" }, "fail route: what answers at NETWORK PEER does not speak SIP -> correct sip.route.via: give the port for SIP over NETWORK"},
	} {
		for _, network := range []string{"udp", "tcp"} {
			if network == "udp" && strings.HasPrefix(name, "after a") { // each is a packet there
				continue
			}
			t.Run(name+" over "+network, func(t *testing.T) {
				w := bareWorld(t)
				p := w.peer(network, e.answer)
				w.route(p.Addr(), network)
				w.want([]string{checkRoute},
					"ok route: sip.route[0] (pbx.example.net) leads to "+network+" PEER",
					strings.ReplaceAll(e.want, "NETWORK", network))
			})
		}
	}
}

// Over UDP the request is sent again until there is an answer, which need not be the
// first packet.
func TestOptionsAreRepeated(t *testing.T) {
	w := bareWorld(t)
	n := 0
	p := w.peer("udp", func(m *siptest.Message) string {
		switch n++; n {
		case 1:
			return ""
		case 2:
			return "\r\n\r\n"
		case 3:
			return m.Reply(100, "Trying")
		}
		return m.Reply(200, "OK")
	})
	conn, err := net.Dial("udp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r, err := askSIP(conn, true, sipRequest{target: "sip:pbx.example.net", from: "sip:sip.example.com", transport: "UDP", t1: time.Millisecond})
	if err != nil || r.status != 200 {
		t.Errorf("%+v, %v", r, err)
	}
	all := p.Requests()
	if len(all) < 4 || all[0].Branch() != all[3].Branch() || all[0].Get("Call-ID") != all[3].Get("Call-ID") {
		t.Errorf("%d requests", len(all))
	}
}

// Targets that nobody answers at.
func TestUnreachable(t *testing.T) {
	for name, e := range map[string]struct {
		plant func(w *world)
		want  string
	}{
		"closed, over TCP": {func(w *world) { w.route(w.closed("tcp"), "tcp") },
			"fail route: nobody listens at tcp PEER -> is the SIP server running, and does it listen for tcp there? Else correct sip.route.via"},
		"closed, over UDP": {func(w *world) { w.route(w.closed("udp"), "udp") },
			"fail route: nobody listens at udp PEER -> is the SIP server running, and does it listen for udp there? Else correct sip.route.via"},
		"silent, over UDP": {func(w *world) {
			p := w.peer("udp", nil)
			p.Answer(nil)
			w.route(p.Addr(), "udp")
			w.o.Patience = 500 * time.Millisecond
		}, "fail route: udp PEER does not answer OPTIONS -> is it the right address, does a firewall let UDP through both ways, and does the server answer OPTIONS from this machine? Else correct sip.route.via"},
		"silent, over TCP": {func(w *world) {
			w.route(netip.MustParseAddrPort(w.listen("PEER", func(net.Conn) {}).String()), "tcp")
			w.o.Patience = 500 * time.Millisecond
		}, "fail route: tcp PEER does not answer -> is it the right address, and does a firewall let us through? Else correct sip.route.via"},
		"broken off": {func(w *world) {
			w.route(netip.MustParseAddrPort(w.listen("PEER", func(c net.Conn) { c.Read(make([]byte, 10000)); c.Close() }).String()), "tcp")
		}, "fail route: tcp PEER broke the connection off: unexpected EOF -> the SIP server's log may say why; else correct sip.route.via"},
		"half an answer": {func(w *world) {
			w.route(netip.MustParseAddrPort(w.listen("PEER", func(c net.Conn) { c.Read(make([]byte, 10000)); fmt.Fprint(c, "SIP/2.0 200 OK\r\nVia: "); c.Close() }).String()), "tcp")
		}, "fail route: tcp PEER broke the connection off: unexpected EOF -> the SIP server's log may say why; else correct sip.route.via"},
		"headers without an end": {func(w *world) {
			w.route(netip.MustParseAddrPort(w.listen("PEER", func(c net.Conn) {
				fmt.Fprint(c, "SIP/2.0 200 OK\r\n"+strings.Repeat("X: y\r\n", 10000))
			}).String()), "tcp")
		}, "fail route: what answers at tcp PEER does not speak SIP -> correct sip.route.via: give the port for SIP over tcp"},
		"ourselves": {func(w *world) {
			s, _ := parseSocket(w.o.Config.SIP.Listen[0])
			w.route(s.addr, "udp")
			w.call(s.addr.String(), "PEER")
		}, "fail route: udp PEER is our own address (sip.listen) -> correct sip.route.via: it must lead to another program than stox"},
	} {
		t.Run(name, func(t *testing.T) {
			w := bareWorld(t)
			e.plant(w)
			got := w.lines(checkRoute)
			if len(got) != 2 || got[1] != e.want {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), e.want)
			}
		})
	}
}

// closed is an address where nobody listens.
func (w *world) closed(network string) netip.AddrPort {
	w.t.Helper()
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(w.port("PEER", network)))
}

// The way by DNS is shown; of several targets one that works is enough for messages.
func TestWayByDNS(t *testing.T) {
	w := bareWorld(t)
	up, down := w.peer("tcp", nil), w.closed("udp")
	w.call(down.String(), "DOWN")
	w.dns(dnstest.Zone{
		"pbx.example.net":           nil,
		"_sip._udp.pbx.example.net": {fmt.Sprintf("300 SRV 1 1 %d a.example.net.", down.Port())},
		"_sip._tcp.pbx.example.net": {fmt.Sprintf("300 SRV 1 1 %d a.example.net.", up.Addr().Port())},
		"a.example.net":             {"300 A 127.0.0.1"},
		"example.com":               {"300 A 192.0.2.7"},
	})
	w.want([]string{checkRoute, checkDNS},
		"ok dns: DNS answers in TIME",
		"ok route: sip.domain (pbx.example.net) leads to tcp PEER, udp DOWN",
		"ok route: tcp PEER answers OPTIONS with 200 OK in TIME (test (1))",
		"warn route: nobody listens at udp DOWN; messages go to the next target -> is the SIP server running, and does it listen for udp there? Else give the domain a sip.route.via, or correct its records in DNS",
	)
	var steps []string
	Run(t.Context(), w.o, func(f Finding) {
		if f.Check == checkRoute {
			steps = append(steps, f.Steps...)
		}
	})
	if all := strings.Join(steps, "\n"); !strings.Contains(all, "SRV _sip._tcp.pbx.example.net: ") || !strings.Contains(all, "A a.example.net: 127.0.0.1") {
		t.Errorf("steps\n%s", all)
	}
}

// What DNS can say instead of a target, and name servers that do not.
func TestDNSFaults(t *testing.T) {
	const mend = " -> give the domain a sip.route.via, or correct its records in DNS"
	for name, e := range map[string]struct {
		zone  dnstest.Zone
		fault dnstest.Fault
		want  []string
	}{
		"no such domain":  {dnstest.Zone{}, dnstest.None, []string{"ok dns: DNS answers in TIME", "fail route: sip.domain (pbx.example.net): DNS knows no SIP server and no address for pbx.example.net" + mend}},
		"no such service": {dnstest.Zone{"_sip._udp.pbx.example.net": {"300 SRV 0 0 0 ."}, "_sip._tcp.pbx.example.net": {"300 SRV 0 0 0 ."}, "_sips._tcp.pbx.example.net": {"300 SRV 0 0 0 ."}, "pbx.example.net": {"300 A 127.0.0.1"}}, dnstest.None, []string{"ok dns: DNS answers in TIME", "fail route: sip.domain (pbx.example.net): pbx.example.net says in DNS that it has no such service" + mend}},
		"a loop":          {dnstest.Zone{"pbx.example.net": {"300 CNAME pbx.example.net."}}, dnstest.None, []string{"ok dns: DNS answers in TIME", "fail route: sip.domain (pbx.example.net): what DNS says about pbx.example.net makes no sense" + mend}},
		"a broken server": {dnstest.Zone{}, dnstest.ServFail, []string{
			"fail dns: DNS could not be asked, and messages to domains without a route need it -> does the name server work? /etc/resolv.conf names it (resolvectl status); sip.resolver takes its place",
			"fail route: sip.domain (pbx.example.net): DNS could not be asked about pbx.example.net -> does the name server work? /etc/resolv.conf names it (resolvectl status); sip.resolver takes its place; an address in sip.route.via needs none"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := bareWorld(t)
			w.dns(e.zone).Fault("", e.fault)
			w.want([]string{checkRoute, checkDNS}, e.want...)
		})
	}
}

// The name server of the configuration is asked, and named.
func TestResolver(t *testing.T) {
	w := bareWorld(t)
	s := dnstest.Listen(t, dnstest.Zone{})
	s.Fault("", dnstest.ServFail)
	w.o.Locate.Servers, w.o.Config.SIP.Resolver = nil, s.Addr.String()
	w.call(s.Addr.String(), "DNS")
	w.want([]string{checkDNS}, "fail dns: DNS could not be asked, and messages to domains without a route need it -> does the name server DNS work? (sip.resolver)")
}

// Without a socket for UDP nothing is sent over UDP, whatever the domain offers.
func TestSupports(t *testing.T) {
	w := bareWorld(t)
	w.o.Config.SIP.Listen = []string{"tcp://127.0.0.1:0"}
	w.dns(dnstest.Zone{"_sip._udp.pbx.example.net": {"300 SRV 1 1 5060 pbx.example.net."}, "pbx.example.net": {"300 A 127.0.0.1"}})
	got := w.lines(checkRoute)
	if len(got) == 0 || strings.Contains(got[0], "udp") {
		t.Errorf("%q", got)
	}
}

// Each way is told of once, by all the keys that lead there, and what nobody can know
// before is said.
func TestWays(t *testing.T) {
	w := bareWorld(t)
	p := w.peer("udp", nil)
	w.route(p.Addr(), "udp")
	w.route(p.Addr(), "udp")
	w.o.Config.SIP.Routes[1].Domain = "lab.example"
	w.o.Config.SIP.Routes = append(w.o.Config.SIP.Routes, config.Route{Domain: "*"}, config.Route{Domain: "x.example", Via: "sip:" + p.Addr().String() + ";transport=sctp"})
	w.o.Config.SIP.PhoneDomain = "phones.example"
	w.o.Config.Domains = nil
	w.want([]string{checkRoute},
		"ok route: sip.route[0], sip.route[1] (pbx.example.net, lab.example) leads to udp PEER",
		"ok route: udp PEER answers OPTIONS with 200 OK in TIME (test (1))",
		"skip route: sip.route[2] (*): each domain is looked up when a message goes there; nothing can be tried before (stox map --dns ADDRESS shows one)",
		"fail route: sip.route[3] (x.example): stox has no transport sctp -> take udp, tcp, tls, ws or wss for the transport in sip.route.via",
	)
	// A route for all domains needs no DNS but for its own name.
	w = bareWorld(t)
	p = w.peer("udp", nil)
	w.route(p.Addr(), "udp")
	w.o.Config.SIP.Routes[0].Domain = "*"
	w.dns(dnstest.Zone{}).Fault("", dnstest.ServFail)
	w.want([]string{checkDNS, checkRoute},
		"ok route: sip.route[0] (*) leads to udp PEER",
		"ok route: udp PEER answers OPTIONS with 200 OK in TIME (test (1))",
	)
	if n := len(p.Requests()); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// More targets than anybody looks at.
func TestManyTargets(t *testing.T) {
	w := bareWorld(t)
	w.route(netip.MustParseAddrPort("127.0.0.1:1"), "udp")
	w.o.Config.SIP.Routes[0].Via = fmt.Sprintf("sip:many.example:%d;transport=udp", w.closed("udp").Port())
	var a []string
	for i := range 12 {
		a = append(a, fmt.Sprintf("300 A 127.0.1.%d", i+1))
	}
	w.dns(dnstest.Zone{"many.example": a})
	got := w.lines(checkRoute)
	if len(got) != 1+most || !strings.HasSuffix(got[0], ", and 4 more, which are not looked at") {
		t.Errorf("%d lines, the first is %s", len(got), got[0])
	}
}

// The clock of a SIP server, by its Date.
func TestDate(t *testing.T) {
	w := bareWorld(t)
	p := w.peer("udp", func(m *siptest.Message) string {
		return m.Reply(200, "OK", "Date: "+time.Now().Add(-time.Hour).UTC().Format("Mon, 02 Jan 2006 15:04:05")+" GMT")
	})
	w.route(p.Addr(), "udp")
	got := ""
	Run(t.Context(), w.o, func(f Finding) {
		if f.Check == checkClock {
			got += string(f.Level) + " " + f.Text
		}
	})
	if roundedClock(got) != "warn the clock of 127.0.0.1 is 1h0m0s behind ours" {
		t.Error(got)
	}
}
