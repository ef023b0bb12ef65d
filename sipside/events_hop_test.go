package sipside

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws/wsutil"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// notifyTo is a NOTIFY in a dialog whose remote target is given.
func notifyTo(target string, n int) *mapping.SIPNotify {
	uri := mapping.MustParseURI
	return &mapping.SIPNotify{State: mapping.StateActiveSub, Expires: 60, SIPEvent: mapping.SIPEvent{
		From: uri("sip:juliet@example.com"), To: uri("sip:romeo@example.net"), RemoteTarget: target, ToTag: "xfg9",
		CallID: "c" + strings.Repeat("x", n), FromTag: "ur93", CSeq: 1, Package: "presence", Contact: mapping.URI{User: "juliet", GR: "g1"}}}
}

func event(ref any, v mapping.SIP) []mapping.Parcel[mapping.SIP] {
	return []mapping.Parcel[mapping.SIP]{{Ref: ref, Value: v}}
}

// TestHopOf: where a request about events goes next (SIP-27, RFC 3261 §12.2.1.1).
func TestHopOf(t *testing.T) {
	uri := mapping.MustParseURI
	cfg := testConfig()
	cfg.Routes = []Route{
		{Domain: "example.net", Via: uri("sip:10.0.0.1:5070;transport=tcp"), Login: Login{Username: "stox", Password: "x"}},
		{Domain: "named.example", Via: uri("sip:proxy.example;transport=tls")},
		{Domain: "10.0.0.7"}, // where its host leads
		{Domain: "*", Via: uri("sip:10.0.0.9")},
	}
	u, err := New(cfg, testLog(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	q, _ := queryOf(cfg.Routes[1].Via, u.supported)
	u.names.routes[q] = &name{targets: []locate.Target{{Transport: locate.TLS, Addr: netip.MustParseAddrPort("10.0.0.2:5061"), Name: "proxy.example"}}}
	flow := &stream{u: u, flow: 7, remote: memPeer}
	u.conns.flows[7] = flow
	for _, tt := range []struct {
		name   string
		target string
		routes []string
		begins bool
		flow   uint64
		route  int // of cfg.Routes, -1: none
		to     string
		over   bool // the flow
	}{
		{name: "begins a dialog", target: "sip:romeo@example.net", begins: true, route: 0, to: "10.0.0.1 5070 tcp"},
		{name: "begins one elsewhere", target: "sip:romeo@example.org", begins: true, route: 3, to: "10.0.0.9 0 any"},
		{name: "begins one, and a flow says nothing", target: "sip:romeo@example.org", begins: true, flow: 7, route: 3, to: "10.0.0.9 0 any"},
		{name: "the target is the next hop of a route", target: "sip:presence@10.0.0.1:5070", route: 0, to: "10.0.0.1 5070 any"},
		{name: "the same, and there is a flow", target: "sip:presence@10.0.0.1:5070;transport=tcp", flow: 7, route: 0, to: "10.0.0.1 5070 tcp"},
		{name: "another port is another server", target: "sip:presence@10.0.0.1:5071", route: 3, to: "10.0.0.9 0 any"},
		{name: "the target is in the domain of a route (a GRUU)", target: "sip:romeo@example.net;gr=x", flow: 7, route: 0, to: "10.0.0.1 5070 tcp"},
		{name: "a number of a named next hop", target: "sip:romeo@10.0.0.2;transport=tls", route: 1, to: "10.0.0.2 0 tls"},
		{name: "a next hop over TLS", target: "sip:romeo@proxy.example:5061", route: 1, to: "proxy.example 5061 tls"},
		{name: "the same, and the target wants another transport", target: "sip:romeo@10.0.0.2:5061;transport=udp", route: 1, to: "10.0.0.2 5061 tls"},
		{name: "a number of nobody's", target: "sip:romeo@10.0.0.3;transport=tls", route: 3, to: "10.0.0.9 0 any"},
		{name: "the flow", target: "sip:romeo@192.168.1.5:33333;transport=tcp", flow: 7, over: true},
		{name: "the flow of a browser", target: "sip:romeo@df7jal23ls0d.invalid;transport=ws", flow: 7, over: true},
		{name: "a flow that is gone", target: "sip:romeo@192.168.1.5", flow: 8, route: 3, to: "10.0.0.9 0 any"},
		{name: "a route that leads where the host does", target: "sip:romeo@10.0.0.7:5062", route: -1, to: "10.0.0.7 5062 any"},
		{name: "the first of the routes", target: "sip:romeo@10.0.0.1:5070", routes: []string{"sip:10.0.0.7;transport=tcp;lr", "sip:10.0.0.1:5070;lr"}, flow: 7, route: -1, to: "10.0.0.7 0 tcp"},
		{name: "the first of the routes, a strict one", target: "sip:romeo@10.0.0.1:5070", routes: []string{"sip:10.0.0.7"}, route: -1, to: "10.0.0.7 0 any"},
		{name: "a route set that begins at a next hop", target: "sip:romeo@192.168.1.5", routes: []string{"sip:proxy.example:5061;transport=tls;lr"}, route: 1, to: "proxy.example 5061 tls"},
		{name: "a route set without a tag", target: "sip:romeo@192.168.1.5", begins: true, routes: []string{"sip:10.0.0.1:5070;lr"}, route: 0, to: "10.0.0.1 5070 any"},
	} {
		v := notifyTo(tt.target, 0)
		v.Routes, v.Flow = tt.routes, tt.flow
		if tt.begins {
			v.ToTag = ""
		}
		r, _ := requestOf(v)
		h, f := u.hopFor(&r, true)
		if f != nil || r.event.fault != nil {
			t.Fatalf("%s: %v %v", tt.name, f, r.event.fault)
		}
		if !h.events || !h.key().events {
			t.Errorf("%s: counts among the messages", tt.name)
		}
		if tt.over != (h.flow == flow) {
			t.Errorf("%s: over the flow: %t", tt.name, h.flow != nil)
		}
		if tt.over {
			continue
		}
		var route *Route
		if tt.route >= 0 {
			route = u.current().routes[tt.route]
		}
		if got := strings.Join([]string{h.query.Host, port(h.query.Port), h.query.Transport.String()}, " "); got != tt.to || h.route != route {
			t.Errorf("%s: %s by %v, want %s", tt.name, got, h.route, tt.to)
		}
	}
	for _, target := range []string{"sip:romeo@x.invalid", "sip:romeo@invalid;transport=ws"} {
		bare := *u.current()
		bare.routes = nil
		u.set.Store(&bare)
		r, _ := requestOf(notifyTo(target, 0))
		if _, f := u.hopFor(&r, true); f == nil || f.Condition != mapping.CondRemoteServerTimeout {
			t.Errorf("%s: %v", target, f)
		}
	}
}

// PRES-29: a PUBLISH goes by the route that it is for. Its Request-URI, the address of one of
// our users, leads back to us, and is what the request line says all the same.
func TestPublishToward(t *testing.T) {
	uri := mapping.MustParseURI
	cfg := testConfig()
	cfg.Routes = []Route{
		{Domain: "example.net", Via: uri("sip:10.0.0.1:5070;transport=tcp")},
		{Domain: "10.0.0.7"}, // where its host leads
		{Domain: "*", Via: uri("sip:10.0.0.9")},
	}
	u, err := New(cfg, testLog(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	for toward, to := range map[string]string{"example.net": "10.0.0.1", "10.0.0.7": "10.0.0.7", "*": "10.0.0.9", "": "10.0.0.9"} {
		us := uri("sip:juliet@example.com")
		r, _ := requestOf(&mapping.SIPPublish{SIPEvent: mapping.SIPEvent{RequestURI: us, From: us, To: us, CallID: "c", FromTag: "a", CSeq: 1, Package: "presence"},
			Toward: toward, Expires: 3600, IfMatch: "e1"})
		h, f := u.hopFor(&r, true)
		if f != nil || r.event.fault != nil || h.query.Host != to || r.event.uri != "sip:juliet@example.com" || len(r.event.routes) != 0 || !h.events {
			t.Errorf("toward %q: %+v %v, to %s by %v", toward, r.event, f, h.query.Host, h.route)
		}
	}
}

func port(n uint16) string {
	return strings.TrimPrefix(netip.AddrPortFrom(netip.IPv4Unspecified(), n).String(), "0.0.0.0:")
}

// TestFlow: a NOTIFY goes back over the connection that the SUBSCRIBE came by, and elsewhere
// when that is gone. What was on it then may have arrived.
func TestFlow(t *testing.T) {
	b := newBridge(processed)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "tcp")
	for _, contact := range []string{"sip:romeo@x.invalid;transport=ws", "sip:romeo@" + p.Addr().String() + ";transport=tcp;line=1"} {
		b.mu.Lock()
		b.events = nil
		b.mu.Unlock()
		had := len(p.Requests())
		p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
		if res := p.Request(addr(u, "tcp"), eventText("tcp", "SUBSCRIBE", fresh(), "Contact: <"+contact+">")); res.Status() != 200 {
			t.Fatal(res.First)
		}
		s := b.event(0).(*mapping.SIPSubscribe)
		if s.Flow == 0 || s.RemoteTarget != contact {
			t.Fatalf("%+v", s)
		}
		v := notifyTo(contact, 0)
		v.Flow = s.Flow
		u.Deliver(event(contact, v))
		if o := b.outcome(contact); o.Kind != mapping.Answered || o.Status != 200 || o.Event == nil || o.Event.Tag == "" {
			t.Fatalf("%+v %v", o, o.Failure)
		}
		m := p.Await(had + 1)[had]
		if m.Source != addr(u, "tcp") || m.First != "NOTIFY "+contact+" SIP/2.0" || !strings.HasPrefix(m.Get("Via"), "SIP/2.0/TCP "+addr(u, "tcp").String()+";") {
			t.Errorf("%s from %v, Via %s", m.First, m.Source, m.Get("Via"))
		}
		// The connection breaks while a request waits for its answer.
		p.Answer(func(*siptest.Message) string { return "" })
		u.Deliver(event("open "+contact, v))
		p.Await(had + 2)
		p.Hangup()
		p.AwaitHangup()
		if o := b.outcome("open " + contact); o.Kind != mapping.Unknown {
			t.Errorf("%+v %v", o, o.Failure)
		}
		p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
		u.Deliver(event("after "+contact, v))
		o := b.outcome("after " + contact)
		if strings.Contains(contact, "invalid") {
			if o.Kind != mapping.NotWritten || o.Failure.Condition != mapping.CondRemoteServerTimeout {
				t.Errorf("%+v %v", o, o.Failure)
			}
		} else if last := p.Await(had + 3)[had+2]; o.Kind != mapping.Answered || last.Source == addr(u, "tcp") {
			t.Errorf("%+v %v, from %v", o, o.Failure, last.Source)
		}
	}
	u.client.mu.Lock()
	defer u.client.mu.Unlock()
	if u.client.open.count != 0 || len(u.client.held) != 0 || u.client.events != 0 {
		t.Errorf("%d open, %v held, %d about events", u.client.open.count, u.client.held, u.client.events)
	}
}

// A flow that closes between the choice and the writing: the request goes another way, and
// counts there.
func TestFlowClosesMeanwhile(t *testing.T) {
	b := newBridge(processed)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "udp")
	p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	closed := &stream{u: u, flow: 7, remote: memPeer, closed: true, wake: make(chan struct{}, 1)}
	for _, target := range []string{"sip:romeo@" + p.Addr().String(), "sip:romeo@x.invalid"} {
		v := notifyTo(target, 0)
		r, _ := requestOf(v)
		u.client.launch(&clientTx{ref: target, req: r, hop: &hop{flow: closed, events: true, query: locate.Query{Host: "192.0.2.9"}}})
	}
	if o := b.outcome("sip:romeo@" + p.Addr().String()); o.Kind != mapping.Answered {
		t.Errorf("%+v %v", o, o.Failure)
	}
	if o := b.outcome("sip:romeo@x.invalid"); o.Kind != mapping.NotWritten {
		t.Errorf("%+v", o)
	}
	u.client.mu.Lock()
	defer u.client.mu.Unlock()
	if len(u.client.held) != 0 || u.client.events != 0 {
		t.Errorf("%v held, %d about events", u.client.held, u.client.events)
	}
}

// A browser is reached over its own connection only (RFC 7118 §5), where each request is a
// message of WebSocket, and its answers are taken from there.
func TestFlowOfWebSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		u, l := memLinks(t, locate.WS, b, nil)
		c := wsOpened(t, l, memPeer)
		defer c.Close()
		go wsutil.WriteClientText(c, []byte(eventText("ws", "SUBSCRIBE", fresh(), "Contact: <sip:romeo@x.invalid;transport=ws>")))
		if answer, err := wsutil.ReadServerText(c); err != nil || !strings.HasPrefix(string(answer), "SIP/2.0 200 ") {
			t.Fatalf("%q %v", answer, err)
		}
		s := b.event(0).(*mapping.SIPSubscribe)
		v := notifyTo(s.RemoteTarget, 0)
		v.Flow = s.Flow
		u.Deliver(event("x", v))
		raw, err := wsutil.ReadServerText(c)
		if err != nil {
			t.Fatal(err)
		}
		m, _, err := siptest.Parse(raw)
		if err != nil || m.First != "NOTIFY sip:romeo@x.invalid;transport=ws SIP/2.0" || !strings.HasPrefix(m.Get("Via"), "SIP/2.0/WS 192.0.2.1:5060;") ||
			m.Get("Contact") != "<sip:juliet@192.0.2.1:5060;transport=ws;gr=g1>" {
			t.Fatalf("%v\n%s", err, raw)
		}
		if err := wsutil.WriteClientText(c, []byte(m.Reply(200, "OK"))); err != nil {
			t.Fatal(err)
		}
		if o := b.outcome("x"); o.Kind != mapping.Answered || o.Status != 200 {
			t.Errorf("%+v %v", o, o.Failure)
		}
	})
}

// A request has a flow only if it came straight from whom Contact names: over a connection,
// and by no proxy.
func TestNoFlow(t *testing.T) {
	b := newBridge(processed)
	u := start(t, testConfig(), b)
	p, q := siptest.Listen(t, "tcp"), siptest.Listen(t, "udp")
	for i, send := range []func(){
		func() { q.Request(addr(u, "udp"), eventText("udp", "SUBSCRIBE", fresh())) },
		func() {
			p.Request(addr(u, "tcp"), eventText("tcp", "SUBSCRIBE", fresh(), lines("tcp", fresh())[1]+", SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKy"))
		},
		func() {
			p.Request(addr(u, "tcp"), eventText("tcp", "SUBSCRIBE", fresh(), lines("tcp", fresh())[1]+"\r\nVia: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKy"))
		},
		func() {
			p.Request(addr(u, "tcp"), eventText("tcp", "NOTIFY", fresh(), "Record-Route: <sip:127.0.0.1;lr>"))
		},
		func() { p.Request(addr(u, "tcp"), eventText("tcp", "PUBLISH", fresh())) },
	} {
		send()
		var flow uint64
		switch v := b.event(i).(type) {
		case *mapping.SIPSubscribe:
			flow = v.Flow
		case *mapping.SIPNotify:
			flow = v.Flow
		case *mapping.SIPPublish:
			flow = v.Flow
		}
		if flow != 0 {
			t.Errorf("%d: flow %d", i, flow)
		}
	}
}

// The number of a connection is nobody's after a restart.
func TestFlowNumbers(t *testing.T) {
	seen := make(map[uint64]bool)
	for range 100 {
		if n := newFlowBase(); n == 0 || seen[n] {
			t.Fatalf("%d twice", n)
		} else {
			seen[n] = true
		}
	}
}

// PRES-30, SEC-05: in a dialog, too, the server of a route is told who we are; the outcome has
// the number that the request then had. A login is shown to nobody else.
func TestEventLogin(t *testing.T) {
	server, other := siptest.Listen(t, "udp"), siptest.Listen(t, "udp")
	ask := newAsker(401, "example.net")
	server.Answer(guarded(ask))
	other.Answer(guarded(newAsker(401, "example.net")))
	u, b, _ := startLogin(t, Route{Domain: "example.net", Via: mapping.URI{Scheme: "sip", Host: "127.0.0.1", Port: server.Addr().Port()}, Login: Login{Username: "stox", Password: passphrase}})
	v := notifyTo("sip:Presence@"+server.Addr().String()+";line=A", 0)
	u.Deliver(event("here", v))
	if o := b.outcome("here"); o.Kind != mapping.Answered || o.Status != 200 || o.CSeq != 2 {
		t.Errorf("%+v %v", o, o.Failure)
	}
	again := notifyTo(v.RemoteTarget, 2)
	u.Deliver(event("again", again))
	if o := b.outcome("again"); o.Kind != mapping.Answered || o.Status != 200 || o.CSeq != 2 {
		t.Errorf("%+v %v", o, o.Failure) // nobody is told before they ask
	}
	u.Deliver(event("refresh", &mapping.SIPSubscribe{SIPEvent: v.SIPEvent, Expires: 60}))
	if o := b.outcome("refresh"); o.Kind != mapping.Answered || o.Status != 200 || o.CSeq != 0 {
		t.Errorf("%+v %v", o, o.Failure) // to the server itself it is said at once
	}
	first := &mapping.SIPSubscribe{SIPEvent: v.SIPEvent, Expires: 60}
	first.RequestURI, first.RemoteTarget, first.ToTag, first.CallID = mapping.MustParseURI("sip:romeo@example.net"), "", "", "other"
	u.Deliver(event("begins", first))
	if o := b.outcome("begins"); o.Kind != mapping.Answered || o.Status != 200 || o.CSeq != 2 {
		t.Errorf("%+v %v", o, o.Failure)
	}
	u.Deliver(event("elsewhere", notifyTo("sip:x@"+other.Addr().String(), 1)))
	if o := b.outcome("elsewhere"); o.Kind != mapping.Answered || o.Status != 401 {
		t.Errorf("%+v %v", o, o.Failure)
	}
	for _, m := range other.Requests() {
		if m.Get("Authorization") != "" {
			t.Errorf("the login was shown to somebody else: %v", m.Fields)
		}
	}
}

// A route that is loose has one Route, whatever the dialog says of it.
func TestEventLooseRoute(t *testing.T) {
	p := siptest.Listen(t, "udp")
	p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	via := mapping.URI{Scheme: "sip", Host: "127.0.0.1", Port: p.Addr().Port()}
	cfg := testConfig()
	cfg.Routes = []Route{{Domain: "example.net", Via: via, Loose: true}}
	b := newBridge(nil)
	u := start(t, cfg, b)
	v := notifyTo("sip:romeo@example.net;gr=x", 0)
	u.Deliver(event(0, v))
	b.outcome(0)
	w := notifyTo("sip:romeo@192.168.1.5", 1)
	w.Routes = []string{via.String() + ";lr;r2=on"}
	u.Deliver(event(1, w))
	b.outcome(1)
	all := p.Await(2)
	for i, want := range []string{"<" + via.String() + ";lr>", "<" + via.String() + ";lr;r2=on>"} {
		if got := all[i].All("Route"); len(got) != 1 || got[0] != want {
			t.Errorf("%d: Route %q, want %q", i, got, want)
		}
	}
}

// SEC: what a dialog says leads to this machine only where a route says so.
func TestEventAbroad(t *testing.T) {
	p := siptest.Listen(t, "udp")
	p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	cfg := testConfig()
	cfg.Local = false
	b := newBridge(nil)
	cfg.Routes = []Route{{Domain: "example.net", Via: mapping.URI{Scheme: "sip", Host: "127.0.0.1", Port: p.Addr().Port()}}}
	u := start(t, cfg, b)
	other := siptest.Listen(t, "udp")
	u.Deliver(event("target", notifyTo("sip:x@"+other.Addr().String(), 0)))
	routed := notifyTo("sip:x@192.0.2.77", 1)
	routed.Routes = []string{"sip:" + other.Addr().String() + ";lr"}
	u.Deliver(event("route", routed))
	u.Deliver(event("meant", notifyTo("sip:x@"+p.Addr().String(), 2)))
	for _, ref := range []string{"target", "route"} {
		if o := b.outcome(ref); o.Kind != mapping.NotWritten || !strings.Contains(o.Failure.Remedy, "sip.route") {
			t.Errorf("%s: %+v %v", ref, o, o.Failure)
		}
	}
	if o := b.outcome("meant"); o.Kind != mapping.Answered {
		t.Errorf("%+v %v", o, o.Failure)
	}
	if n := len(other.Requests()); n != 0 {
		t.Errorf("%d requests came", n)
	}
}

// SEC-30: requests about events have places of their own, a quarter as many, of which a next
// hop has a quarter. However many there are, none of a message's is taken.
func TestEventPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		cfg := testConfig()
		cfg.MaxPending = 64
		u, _ := memUA(t, cfg, b)
		refs := 0
		count := func(kind string, hosts, each int, make func(host string, n int) mapping.SIP) (open int) {
			from := refs
			for h := range hosts {
				for range each {
					u.Deliver(event(refs, make(netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + h)}).String(), refs)))
					refs++
				}
			}
			synctest.Wait()
			for i := from; i < refs; i++ {
				if !b.ready(i) {
					open++
				} else if o := b.outcome(i); o.Kind != mapping.NotWritten || o.Failure.Condition != mapping.CondResourceConstraint {
					t.Errorf("%s: %+v %v", kind, o, o.Failure)
				}
			}
			return open
		}
		notify := func(host string, n int) mapping.SIP { return notifyTo("sip:romeo@"+host, n) }
		message := func(host string, n int) mapping.SIP {
			m := toMem(n + 1)
			m.RequestURI.Host = host
			return m
		}
		if n := count("one next hop", 1, 10, notify); n != 4 {
			t.Errorf("%d places of one next hop", n)
		}
		if n := count("all", 9, 10, notify); n != 12 {
			t.Errorf("%d more places", n)
		}
		if n := count("messages", 5, 20, message); n != 64 {
			t.Errorf("%d places of messages", n)
		}
		time.Sleep(timerF + time.Second)
		synctest.Wait()
		if n := count("messages", 5, 20, message); n != 64 {
			t.Errorf("%d places of messages alone", n)
		}
		if n := count("the rest", 9, 10, notify); n != 16 {
			t.Errorf("%d places beside them", n)
		}
	})
}

// A user agent that is gone takes no server with it: silence in a dialog does not make its
// next hop one that is avoided. That of a request that begins one does.
func TestEventSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		u, _ := memUA(t, testConfig(), b)
		to := locate.Target{Transport: locate.UDP, Addr: netip.MustParseAddrPort("192.0.2.9:5060"), Name: "192.0.2.9"}
		for i, begins := range []bool{false, true} {
			v := notifyTo("sip:romeo@192.0.2.9", 0)
			if begins {
				v.ToTag = ""
			}
			u.Deliver(event(i, v))
			time.Sleep(timerF)
			synctest.Wait()
			if o := b.outcome(i); o.Kind != mapping.Unknown {
				t.Fatalf("%+v", o)
			}
			if _, avoided := u.client.health.Avoided(to, time.Now()); avoided != begins {
				t.Errorf("begins a dialog: %t, avoided: %t", begins, avoided)
			}
		}
	})
}

// SIP-07: what is too long for UDP goes over TCP where that is to be had, else over UDP all
// the same (RFC 3261 §18.1.1), in one piece. The route may say otherwise.
func TestEventSize(t *testing.T) {
	for _, tt := range []struct {
		name   string
		route  *Route // without Via; nil: none
		body   int
		tcp    bool // it is to be had
		want   string
		refuse bool
	}{
		{name: "short", body: 100, tcp: true, want: "UDP"},
		{name: "long", body: 2000, tcp: true, want: "TCP"},
		{name: "long, no TCP", body: 2000, want: "UDP"},
		{name: "too long for UDP at all", body: 65400, refuse: true},
		{name: "too long for UDP, TCP", body: 64000, tcp: true, want: "TCP"},
		{name: "too long for anything", body: 66000, tcp: true, refuse: true},
		{name: "split", route: &Route{Size: SizeSplit}, body: 2000, tcp: true, want: "UDP"},
		{name: "reject", route: &Route{Size: SizeReject}, body: 2000, tcp: true, refuse: true},
		{name: "the limit of the route", route: &Route{MaxBytes: 1800}, body: 2000, tcp: true, refuse: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig()
			udp, tcp := siptest.Listen(t, "udp"), siptest.Listen(t, "tcp")
			reply := func(m *siptest.Message) string { return m.Reply(200, "OK") }
			udp.Answer(reply)
			tcp.Answer(reply)
			if tt.route != nil {
				r := *tt.route
				r.Domain = "*"
				cfg.Routes = []Route{r}
			}
			b := newBridge(nil)
			u, err := New(cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			var dialed atomic.Int32
			dial := u.dial
			u.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				dialed.Add(1)
				if !tt.tcp {
					return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
				}
				return dial(ctx, network, tcp.Addr().String())
			}
			run(t, u, b)
			v := notifyTo("sip:romeo@"+udp.Addr().String(), 0)
			v.ContentType, v.Body = "application/pidf+xml", []byte(strings.Repeat("x", tt.body))
			u.Deliver(event("x", v))
			o := b.outcome("x")
			if tt.refuse {
				if o.Kind != mapping.NotWritten || o.Room != 0 || len(udp.Requests())+len(tcp.Requests()) != 0 || o.Failure.Remedy == "" {
					t.Errorf("%+v %v", o, o.Failure)
				}
				return
			}
			if o.Kind != mapping.Answered || o.Status != 200 {
				t.Fatalf("%+v %v", o, o.Failure)
			}
			all := append(udp.Requests(), tcp.Requests()...)
			if len(all) != 1 || !strings.HasPrefix(all[0].Get("Via"), "SIP/2.0/"+tt.want+" ") || len(all[0].Body) != tt.body {
				t.Errorf("%d requests, the first with Via %s", len(all), all[0].Get("Via"))
			}
			if got := dialed.Load() > 0; got != (tt.body > 1300 && (tt.route == nil || tt.route.Size == "")) {
				t.Errorf("dialled: %t", got)
			}
		})
	}
}

// While we stop nothing goes the other way instead.
func TestEventSizeStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		u, m := memUA(t, testConfig(), b)
		v := notifyTo("sip:romeo@192.0.2.9", 0)
		v.ContentType, v.Body = "application/pidf+xml", []byte(strings.Repeat("x", 2000))
		r, _ := requestOf(v)
		h, _ := u.hopFor(&r, true)
		tx := &clientTx{ref: "x", req: r, hop: h}
		if f := u.client.begin(tx); f != nil {
			t.Fatal(f)
		}
		tx.moved, tx.fallback = true, h.direct()
		u.client.undialed(tx, context.Canceled)
		if o := b.outcome("x"); o.Kind != mapping.NotWritten || len(m.all()) != 0 {
			t.Errorf("%+v, %d packets", o, len(m.all()))
		}
	})
}
