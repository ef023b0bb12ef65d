package sipside

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// Header lines that make a request about events of a good MESSAGE.
var (
	subscribeLines = []string{"SUBSCRIBE sip:juliet@example.com SIP/2.0", "CSeq: 1 SUBSCRIBE", "-Content-Type", "Event: presence",
		"Contact: <sip:romeo@ua.example.net;gr=x>", "Expires: 3600"}
	notifyLines = []string{"NOTIFY sip:juliet@gw.example.com;gr=g1 SIP/2.0", "CSeq: 1 NOTIFY", "To: <sip:juliet@example.com>;tag=t1",
		"Content-Type: application/pidf+xml", "Event: presence", "Contact: <sip:romeo@pres.example.net;gr=p1>", "Subscription-State: active;expires=60"}
	publishLines = []string{"PUBLISH sip:romeo@example.net SIP/2.0", "CSeq: 1 PUBLISH", "To: <sip:romeo@example.net>",
		"Content-Type: application/pidf+xml", "Event: presence", "Expires: 60"}
)

func eventLinesOf(method string) []string {
	return map[string][]string{"SUBSCRIBE": subscribeLines, "NOTIFY": notifyLines, "PUBLISH": publishLines}[method]
}

// eventText is a good request about events, changed by edits. A SUBSCRIBE has no body.
func eventText(network, method, branch string, edits ...string) string {
	body := "<presence/>"
	if method == "SUBSCRIBE" {
		body = ""
	}
	return siptest.Text(body, lines(network, branch, append(slices.Clone(eventLinesOf(method)), edits...)...)...)
}

// TestEventChecks: what is refused before anybody is asked (PRES-23, PRES-24, PRES-28,
// PRES-30).
func TestEventChecks(t *testing.T) {
	cfg := testConfig()
	cfg.Advertise = "gw.example.com:5070"
	b := newBridge(nil)
	b.reply = func(mapping.SIP) mapping.Outcome { return mapping.Outcome{Kind: mapping.Processed} }
	u := start(t, cfg, b)
	const dialogs, states, all = "SUBSCRIBE NOTIFY", "NOTIFY", "SUBSCRIBE NOTIFY PUBLISH"
	route := func(n int, uri string) string {
		return "Record-Route: " + strings.TrimPrefix(strings.Repeat(",<"+uri+">", n), ",")
	}
	tests := []struct {
		name    string
		methods string
		edits   []string
		want    int // 0: it is handed over
		reason  string
	}{
		{name: "good", methods: all},
		{name: "PRES-24 no Event", methods: all, edits: []string{"-Event"}, want: 489},
		{name: "PRES-24 winfo", methods: all, edits: []string{"Event: presence.winfo"}, want: 489},
		{name: "PRES-24 dialog", methods: all, edits: []string{"Event: dialog;id=3"}, want: 489},
		{name: "PRES-24 message-summary", methods: all, edits: []string{"Event: message-summary", "-Contact"}, want: 489},
		{name: "PRES-24 package names have case", methods: all, edits: []string{"Event: Presence"}, want: 489},
		{name: "no package", methods: all, edits: []string{"Event: ;id=3"}, want: 400, reason: "Event"},
		{name: "blank Event", methods: all, edits: []string{"Event:  "}, want: 400, reason: "Event"},
		{name: "Event no token", methods: all, edits: []string{"Event: pres ence"}, want: 400, reason: "Event"},
		{name: "id no token", methods: all, edits: []string{"Event: presence;id=a@b"}, want: 400, reason: "Event"},
		{name: "id empty", methods: all, edits: []string{"Event: presence;id="}, want: 400, reason: "Event"},
		{name: "id too long", methods: all, edits: []string{"Event: presence;id=" + strings.Repeat("x", 257)}, want: 400, reason: "Event"},
		{name: "two Events", methods: all, edits: []string{"Event: presence\r\nEvent: presence"}, want: 400, reason: "Event"},
		{name: "two Events, one compact", methods: all, edits: []string{"Event: presence\r\no: presence"}, want: 400, reason: "Event"},
		{name: "Event with parameters beyond counting", methods: all, edits: []string{"Event: presence" + strings.Repeat(";x", 65)}, want: 400, reason: "Event"},
		{name: "compact Event", methods: all, edits: []string{"-Event", "o: presence"}},
		{name: "Event with other parameters", methods: all, edits: []string{"Event: presence ; X=\"a;id=b\";ID=7"}},

		{name: "folded", methods: dialogs, edits: []string{"Event:\r\n presence\r\n ;\tid\r\n = 7", "Contact:\r\n\t<sip:a@b>", "Record-Route:\r\n <sip:p;lr>\r\n ,\t<sip:q>"}},
		{name: "odd case", methods: all, edits: []string{"-Event", "EVENT: presence", "-Contact", "CONTACT: <SIP:a@B>"}},
		{name: "Event with a quote that is open", methods: all, edits: []string{"Event: presence;x=\"y"}, want: 400, reason: "Event"},

		{name: "PRES-28 no Contact", methods: dialogs, edits: []string{"-Contact"}, want: 400, reason: "Contact"},
		{name: "two Contacts", methods: dialogs, edits: []string{"Contact: <sip:a@b>, <sip:c@d>"}, want: 400, reason: "Contact"},
		{name: "two rows of Contact", methods: dialogs, edits: []string{"Contact: <sip:a@b>\r\nm: <sip:a@b>"}, want: 400, reason: "Contact"},
		{name: "Contact *", methods: dialogs, edits: []string{"Contact: *"}, want: 400, reason: "Contact"},
		{name: "Contact open", methods: dialogs, edits: []string{"Contact: <sip:a@b"}, want: 400, reason: "Contact"},
		{name: "Contact no SIP", methods: dialogs, edits: []string{"Contact: <mailto:a@b>"}, want: 400, reason: "Contact"},
		{name: "Contact a number", methods: dialogs, edits: []string{"Contact: <tel:+15551234567>"}, want: 400, reason: "Contact"},
		{name: "Contact im:", methods: dialogs, edits: []string{"Contact: <im:a@b>"}, want: 400, reason: "Contact"},
		{name: "Contact not of ASCII", methods: dialogs, edits: []string{"Contact: <sip:a@b;x=é>"}, want: 400, reason: "Contact"},
		{name: "Contact with what no URI has", methods: dialogs, edits: []string{"Contact: <sip:a@b;x={y}>"}, want: 400, reason: "Contact"},
		{name: "Contact with a bracket in it", methods: dialogs, edits: []string{"Contact: <sip:a@b;x=<y>"}, want: 400, reason: "Contact"},
		{name: "Contact too long", methods: dialogs, edits: []string{"Contact: <sip:a@b;x=" + strings.Repeat("y", 1024) + ">"}, want: 400, reason: "Contact"},
		{name: "SEC-02 Contact sips", methods: dialogs, edits: []string{"Contact: <sips:a@b>"}, want: 480},
		{name: "compact Contact", methods: dialogs, edits: []string{"-Contact", "m: \"R, <o>\" <sip:a@b;x=y?Subject=z>;expires=3"}},
		{name: "PUBLISH needs no Contact", methods: "PUBLISH", edits: []string{"Contact: nonsense <"}},

		{name: "16 routes", methods: dialogs, edits: []string{route(16, "sip:p.example.net;lr")}},
		{name: "17 routes", methods: dialogs, edits: []string{route(17, "sip:p.example.net;lr")}, want: 400, reason: "Record-Route"},
		{name: "17 rows of routes", methods: dialogs, edits: []string{strings.Repeat(route(1, "sip:p.example.net;lr")+"\r\n", 16) + route(1, "sip:p.example.net")}, want: 400, reason: "Record-Route"},
		{name: "routes too long", methods: dialogs, edits: []string{route(5, "sip:p.example.net;lr;x="+strings.Repeat("y", 820))}, want: 400, reason: "Record-Route"},
		{name: "route without brackets", methods: dialogs, edits: []string{"Record-Route: sip:p.example.net;lr"}, want: 400, reason: "Record-Route"},
		{name: "route no URI", methods: dialogs, edits: []string{"Record-Route: <p.example.net;lr>"}, want: 400, reason: "Record-Route"},
		{name: "route sips", methods: dialogs, edits: []string{"Record-Route: <sips:p.example.net;lr>"}, want: 400, reason: "Record-Route"},
		{name: "empty route", methods: dialogs, edits: []string{"Record-Route: <sip:p.example.net;lr>,, <sip:q.example.net>"}, want: 400, reason: "Record-Route"},
		{name: "route with a quote", methods: dialogs, edits: []string{"Record-Route: <sip:p.example.net;x=\"y\";lr>"}, want: 400, reason: "Record-Route"},

		{name: "PRES-23 no Expires", methods: "SUBSCRIBE PUBLISH", edits: []string{"-Expires"}},
		{name: "Expires no number", methods: "SUBSCRIBE PUBLISH", edits: []string{"Expires: soon"}, want: 400, reason: "Expires"},
		{name: "Expires negative", methods: "SUBSCRIBE PUBLISH", edits: []string{"Expires: -1"}, want: 400, reason: "Expires"},
		{name: "Expires 2^64", methods: "SUBSCRIBE PUBLISH", edits: []string{"Expires: 18446744073709551616"}},

		{name: "no Subscription-State", methods: states, edits: []string{"-Subscription-State"}, want: 400, reason: "Subscription-State"},
		{name: "blank Subscription-State", methods: states, edits: []string{"Subscription-State: "}, want: 400, reason: "Subscription-State"},
		{name: "Subscription-State no token", methods: states, edits: []string{"Subscription-State: act ive"}, want: 400, reason: "Subscription-State"},
		{name: "two Subscription-States", methods: states, edits: []string{"Subscription-State: active\r\nSubscription-State: pending"}, want: 400, reason: "Subscription-State"},
		{name: "Subscription-State open", methods: states, edits: []string{"Subscription-State: active;x=\"y"}, want: 400, reason: "Subscription-State"},
		{name: "Subscription-State with nonsense", methods: states, edits: []string{"Subscription-State: Active ;expires=soon;retry-after=x;reason=a@b"}},

		{name: "PRES-29 two entity-tags", methods: "PUBLISH", edits: []string{"SIP-If-Match: a\r\nSIP-If-Match: b"}, want: 400, reason: "SIP-If-Match"},
		{name: "entity-tag no token", methods: "PUBLISH", edits: []string{"SIP-If-Match: a, b"}, want: 400, reason: "SIP-If-Match"},
		{name: "entity-tag empty", methods: "PUBLISH", edits: []string{"SIP-If-Match: "}, want: 400, reason: "SIP-If-Match"},
		{name: "entity-tag", methods: "PUBLISH", edits: []string{"SIP-If-Match:  abc.123 "}},

		{name: "SIP-18 in a dialog", methods: dialogs, edits: []string{"To: <sip:juliet@example.com>;tag=ur93"}},
		{name: "SIP-18 PUBLISH in a dialog", methods: "PUBLISH", edits: []string{"To: <sip:romeo@example.net>;tag=ur93"}, want: 481},
		{name: "To tag no token", methods: dialogs, edits: []string{"To: <sip:juliet@example.com>;tag=\"a b\""}, want: 400, reason: "To"},
		{name: "PRES-30 From of nobody's", methods: all, edits: []string{"From: <sip:romeo@example.org>;tag=x"}, want: 403},
		{name: "SEC-28", methods: all, edits: []string{"From: <sip:romeo@example.com>;tag=x"}, want: 403},
		{name: "SIP-22", methods: all, edits: []string{"Require: eventlist"}, want: 420},
		{name: "SEC-11", methods: all, edits: []string{"Max-Forwards: 0"}, want: 483},
		{name: "Accept beyond counting", methods: all, edits: []string{"Accept: " + strings.Repeat("a/b,", 70) + "a/b"}, want: 400, reason: "Accept"},
		{name: "no Content-Type", methods: "NOTIFY PUBLISH", edits: []string{"-Content-Type"}, want: 400, reason: "no Content-Type"},
	}
	for _, network := range []string{"udp", "tcp"} {
		for _, tt := range tests {
			for method := range strings.FieldsSeq(tt.methods) {
				t.Run(network+" "+method+" "+tt.name, func(t *testing.T) {
					p := siptest.Listen(t, network)
					before := b.count()
					text := eventText(network, method, fresh(), tt.edits...)
					res := p.Request(addr(u, network), text)
					want := max(tt.want, 200)
					if res.Status() != want {
						t.Fatalf("%s, want %d to\n%s", res.First, want, text)
					}
					if tt.reason != "" && res.First != fmt.Sprintf("SIP/2.0 %d Bad Request (%s)", want, tt.reason) {
						t.Errorf("%s, want the reason %s", res.First, tt.reason)
					}
					if got, want := res.Get("Allow-Events"), map[bool]string{true: "presence"}[want == 489 || want == 200 && method == "SUBSCRIBE"]; got != want {
						t.Errorf("Allow-Events: %q, want %q", got, want)
					}
					if got := b.count() - before; got != 0 && tt.want != 0 || tt.want == 0 && got != 1 {
						t.Errorf("%d values were handed over", got)
					}
				})
			}
		}
	}
	if n := u.stats.Panics.Load(); n != 0 {
		t.Errorf("%d panics", n)
	}
}

// A MESSAGE may have headers of events, which say nothing in it, as it always could.
func TestEventHeadersOfMessage(t *testing.T) {
	b := newBridge(processed)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "udp")
	res := p.Request(addr(u, "udp"), message("udp", "Event: a\r\nEvent: b", "Record-Route: nonsense", "Subscription-State: ", "SIP-ETag: a b", "Contact: <"))
	if res.Status() != 200 || res.Get("Allow-Events") != "" {
		t.Errorf("%s %v", res.First, res.Fields)
	}
}

// PRES-30: a stranger's request about events gets no further than a message of his.
func TestEventOfStranger(t *testing.T) {
	b := newBridge(processed)
	u := fuzzUAWith(t, testConfig())
	b.ua, u.handler = u, b
	for _, method := range []string{"SUBSCRIBE", "NOTIFY", "PUBLISH"} {
		s := newUDPSocket(u, nil, memSelf)
		out := take(s, memPeer, []byte(eventText("udp", method, fresh())))
		if len(out) != 1 || responses(t, out[0].b)[0].Status() != 403 || b.count() != 0 {
			t.Errorf("%s: %v, %d handed over", method, out, b.count())
		}
	}
}

// TestEventValues: what is handed over.
func TestEventValues(t *testing.T) {
	uri := mapping.MustParseURI
	base := mapping.SIPEvent{
		From: uri("sip:romeo@example.net"), To: uri("sip:juliet@example.com"), CallID: "9E97FB43-85F4-4A00-8751-1124FD4C7B2E", FromTag: "vwxyz", CSeq: 1,
		RequestURI: uri("sip:juliet@example.com"), Package: "presence", Peer: "loopback",
		Contact: uri("sip:romeo@ua.example.net;gr=x"), RemoteTarget: "sip:romeo@ua.example.net;gr=x",
	}
	of := func(edit func(e *mapping.SIPEvent)) mapping.SIPEvent { e := base; edit(&e); return e }
	notify := func(e *mapping.SIPEvent) {
		e.RequestURI, e.ToTag = uri("sip:juliet@gw.example.com;gr=g1"), "t1"
		e.Contact, e.RemoteTarget = uri("sip:romeo@pres.example.net;gr=p1"), "sip:romeo@pres.example.net;gr=p1"
	}
	publish := func(e *mapping.SIPEvent) {
		e.RequestURI, e.To = uri("sip:romeo@example.net"), uri("sip:romeo@example.net")
		e.Contact, e.RemoteTarget = mapping.URI{}, ""
	}
	body := []byte("<presence/>")
	for _, tt := range []struct {
		method string
		edits  []string
		want   mapping.SIP
	}{
		{"SUBSCRIBE", nil, &mapping.SIPSubscribe{SIPEvent: base, Expires: 3600}},
		{"SUBSCRIBE", []string{"-Expires"}, &mapping.SIPSubscribe{SIPEvent: base, Expires: mapping.NoExpires}},
		{"SUBSCRIBE", []string{"Expires: 0", "CSeq: 66 SUBSCRIBE", "To: <sip:juliet@example.com>;tag=ur93", "Accept: a/b\r\nAccept: application/pidf+xml;q=0.5", "User-Agent: phone"},
			&mapping.SIPSubscribe{SIPEvent: of(func(e *mapping.SIPEvent) {
				e.CSeq, e.ToTag, e.Accept, e.Agent = 66, "ur93", "a/b, application/pidf+xml;q=0.5", "phone"
			})}},
		// The remote target is to the letter, and so is the route set.
		{"SUBSCRIBE", []string{"Expires: 99999999999", "-Event", "o: presence;x=y;ID=w.1", "-Contact", "m: Romeo <sip:rom%65o@UA.Example.NET:5070;ob;line=a1;transport=TLS;gr=x?Subject=hi>;+sip.instance=\"<a,b>\"",
			"Record-Route: <sip:P1.example.net;lr;r2=on;ftag=a>;x=y , \"P\" <sip:u@p2.example.net;transport=tcp>\r\nRecord-Route: <sip:p3.example.net;lr>"},
			&mapping.SIPSubscribe{Expires: 1<<31 - 1, SIPEvent: of(func(e *mapping.SIPEvent) {
				e.EventID = "w.1"
				e.Contact, e.RemoteTarget = uri("sip:romeo@ua.example.net:5070;transport=tls;gr=x"), "sip:rom%65o@UA.Example.NET:5070;ob;line=a1;transport=TLS;gr=x"
				e.Routes = []string{"sip:P1.example.net;lr;r2=on;ftag=a", "sip:u@p2.example.net;transport=tcp", "sip:p3.example.net;lr"}
			})}},
		{"NOTIFY", []string{"Subscription-State: Terminated ; reason=Rejected;retry-after=7", "Content-Language: en, it", "e: gzip"},
			&mapping.SIPNotify{SIPEvent: of(notify), State: mapping.StateTerminated, Reason: "rejected", RetryAfter: 7, Expires: mapping.NoExpires,
				ContentType: "application/pidf+xml", Encoding: "gzip", Lang: "en", Body: body}},
		{"NOTIFY", []string{"Subscription-State: active;expires=soon;retry-after=x;reason=a@b"},
			&mapping.SIPNotify{SIPEvent: of(notify), State: mapping.StateActiveSub, Expires: mapping.NoExpires, ContentType: "application/pidf+xml", Body: body}},
		{"NOTIFY", []string{"Subscription-State: waiting;EXPIRES=30"},
			&mapping.SIPNotify{SIPEvent: of(notify), State: "waiting", Expires: 30, ContentType: "application/pidf+xml", Body: body}},
		{"PUBLISH", []string{"SIP-If-Match: dx200xyz"},
			&mapping.SIPPublish{SIPEvent: of(publish), IfMatch: "dx200xyz", Expires: 60, ContentType: "application/pidf+xml", Body: body}},
	} {
		b := newBridge(processed)
		u := start(t, testConfig(), b)
		p := siptest.Listen(t, "udp")
		text := eventText("udp", tt.method, fresh(), tt.edits...)
		if res := p.Request(addr(u, "udp"), text); res.Status() != 200 || b.count() != 1 {
			t.Fatalf("%s to\n%s", res.First, text)
		}
		if diff := cmp.Diff(tt.want, b.event(0)); diff != "" {
			t.Errorf("%s\n(-want +got)\n%s", text, diff)
		}
	}
}

// Whom a SUBSCRIBE is for is found as with messages: it says by what way it has come.
func TestEventReached(t *testing.T) {
	cfg := testConfig()
	cfg.Advertise = "gw.example.com:5070"
	cfg.Routes = []Route{{Domain: "trunk.example", Via: mapping.MustParseURI("sip:127.0.0.1:5099")}}
	b := newBridge(processed)
	u := start(t, cfg, b)
	text := strings.Replace(eventText("udp", "SUBSCRIBE", fresh()), "SUBSCRIBE sip:juliet@example.com ", "SUBSCRIBE sip:5550001111@gw.example.com:5070 ", 1)
	if res := siptest.Listen(t, "udp").Request(addr(u, "udp"), text); res.Status() != 200 {
		t.Fatalf("%s to\n%s", res.First, text)
	}
	v, ok := b.event(0).(*mapping.SIPSubscribe)
	if !ok || !v.Here || !slices.Equal(v.Ways, []string{"trunk.example"}) {
		t.Errorf("%+v", b.event(0))
	}
}

// PRES-30: the same peer has the same text, and no other has it, however they are named.
func TestPeerTexts(t *testing.T) {
	of := func() map[string]string {
		p := newPeers(&Config{SIPDomain: "example.net", Peers: []Peer{
			{Name: "loopback"}, {Name: "route 10.0.0.9"}, {TLSNames: []string{"a.example"}}, {TLSNames: []string{"b.example"}}, {Login: Login{Username: "c"}}, {Name: "x"}},
			Routes: []Route{{Domain: "a.example", Via: mapping.MustParseURI("sip:10.0.0.9")}, {Domain: "b.example", Via: mapping.MustParseURI("sip:10.0.0.8")}}})
		all := map[string]string{"loopback": p.loopback.id, "via 1": p.routes[0].peer.id, "via 2": p.routes[1].peer.id}
		for i, q := range p.configured {
			all[fmt.Sprint("table ", i)] = q.id
		}
		return all
	}
	all, seen := of(), make(map[string]bool)
	for who, text := range all {
		if text == "" || seen[text] {
			t.Errorf("%s is %q, as another one is", who, text)
		}
		seen[text] = true
	}
	if again := of(); !cmp.Equal(all, again) {
		t.Errorf("after the next start:\n%s", cmp.Diff(all, again))
	}
}
