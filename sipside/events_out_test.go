package sipside

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
	"pgregory.net/rapid"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// memPeerLocal is where the datagrams of a peer come from in tests without a socket.
var memPeerLocal = netip.MustParseAddrPort("127.0.0.1:65535")

// eventTo is what a request about events to p has, of a dialog that it begins.
func eventTo(p *siptest.Peer, n int) mapping.SIPEvent {
	m := outgoing(p, n)
	return mapping.SIPEvent{RequestURI: m.RequestURI, From: m.From, To: m.To, CallID: m.CallID, FromTag: m.FromTag, CSeq: m.CSeq,
		Package: "presence", Contact: mapping.URI{User: "juliet", GR: "g1"}}
}

// wireOf is a value as it goes over a transport.
func wireOf(tb testing.TB, u *UA, v mapping.SIP, transport string) (raw []byte, f *mapping.Failure) {
	tb.Helper()
	r, ok := requestOf(v)
	if !ok {
		tb.Fatalf("no request for a %T", v)
	}
	if f := r.sendable(); f != nil {
		return nil, f
	}
	return u.wire(&r, nil, transport, "gw.example.com", "z9hG4bKb"), nil
}

// TestEventRequests: the requests on the wire, and where they stand in the dialog (SIP-27).
func TestEventRequests(t *testing.T) {
	uri := mapping.MustParseURI
	base := mapping.SIPEvent{
		RequestURI: uri("sip:romeo@example.net"), From: uri("sip:juliet@example.com"), To: uri("sip:romeo@example.net"),
		CallID: "c1", FromTag: "t1", CSeq: 7, Package: "presence", Contact: mapping.URI{User: "juliet", GR: "g1"},
	}
	within := base
	within.ToTag, within.RemoteTarget = "ffd2", "sip:rom%65o@PRES.example.net;line=A1;transport=TCP;gr=p1"
	routed := func(routes ...string) mapping.SIPEvent { e := within; e.Routes = routes; return e }
	const head = "Via: SIP/2.0/TCP gw.example.com;rport;branch=z9hG4bKb\nMax-Forwards: 70\nFrom: <sip:juliet@example.com>;tag=t1\n"
	const dialog = "To: <sip:romeo@example.net>;tag=ffd2\nCall-ID: c1\n"
	const ours = "Contact: <sip:juliet@gw.example.com;transport=tcp;gr=g1>\n"
	target := within.RemoteTarget
	routeHead := func(routes string) string { return strings.Replace(head, "Max-F", routes+"Max-F", 1) }
	for name, tt := range map[string]struct {
		v    mapping.SIP
		want string
	}{
		"subscribe": {&mapping.SIPSubscribe{SIPEvent: base, Expires: 3600},
			"SUBSCRIBE sip:romeo@example.net SIP/2.0\n" + head + "To: <sip:romeo@example.net>\nCall-ID: c1\nCSeq: 7 SUBSCRIBE\nAccept: application/pidf+xml\n" + ours +
				"Event: presence\nAllow-Events: presence\nExpires: 3600\nUser-Agent: stox-test\nContent-Length: 0\n"},
		"unsubscribe": {&mapping.SIPSubscribe{SIPEvent: within},
			"SUBSCRIBE " + target + " SIP/2.0\n" + head + dialog + "CSeq: 7 SUBSCRIBE\nAccept: application/pidf+xml\n" + ours + "Event: presence\nExpires: 0\nUser-Agent: stox-test\nContent-Length: 0\n"},
		"pending": {&mapping.SIPNotify{SIPEvent: within, State: mapping.StatePending, Expires: 3600, Reason: "x", RetryAfter: 3},
			"NOTIFY " + target + " SIP/2.0\n" + head + dialog + "CSeq: 7 NOTIFY\n" + ours + "Event: presence\nSubscription-State: pending;expires=3600\nUser-Agent: stox-test\nContent-Length: 0\n"},
		"terminated": {&mapping.SIPNotify{SIPEvent: within, State: mapping.StateTerminated, Expires: 3600, Reason: "giveup", RetryAfter: 3},
			"NOTIFY " + target + " SIP/2.0\n" + head + dialog + "CSeq: 7 NOTIFY\n" + ours + "Event: presence\nSubscription-State: terminated;reason=giveup;retry-after=3\nUser-Agent: stox-test\nContent-Length: 0\n"},
		"document": {&mapping.SIPNotify{SIPEvent: routed("sip:p1.example.net;lr;x=Y", "sip:p2.example.net"), State: mapping.StateActiveSub, Expires: 1, Lang: "en", ContentType: "application/pidf+xml", Body: []byte("<p/>")},
			"NOTIFY " + target + " SIP/2.0\n" + routeHead("Route: <sip:p1.example.net;lr;x=Y>\nRoute: <sip:p2.example.net>\n") + dialog + "CSeq: 7 NOTIFY\n" + ours +
				"Event: presence\nSubscription-State: active;expires=1\nContent-Language: en\nUser-Agent: stox-test\nContent-Type: application/pidf+xml\nContent-Length: 4\n"},
		// The first does not know loose routing (RFC 3261 §12.2.1.1).
		"strict": {&mapping.SIPSubscribe{SIPEvent: routed("sip:p1.example.net;x=lr?a=b", "sip:p2.example.net;lr"), Expires: 5},
			"SUBSCRIBE sip:p1.example.net;x=lr SIP/2.0\n" + routeHead("Route: <sip:p2.example.net;lr>\nRoute: <"+target+">\n") + dialog + "CSeq: 7 SUBSCRIBE\nAccept: application/pidf+xml\n" + ours +
				"Event: presence\nExpires: 5\nUser-Agent: stox-test\nContent-Length: 0\n"},
		"publish": {&mapping.SIPPublish{SIPEvent: base, IfMatch: "e1", Expires: 60},
			"PUBLISH sip:romeo@example.net SIP/2.0\n" + head + "To: <sip:romeo@example.net>\nCall-ID: c1\nCSeq: 7 PUBLISH\nEvent: presence\nExpires: 60\nSIP-If-Match: e1\nUser-Agent: stox-test\nContent-Length: 0\n"},
	} {
		raw, f := wireOf(t, fuzzUA(t), tt.v, "TCP")
		if f != nil {
			t.Fatalf("%s: %v", name, f)
		}
		m, _, err := siptest.Parse(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := m.First + "\n"
		for _, f := range m.Fields {
			got += f.Name + ": " + f.Value + "\n"
		}
		if got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, tt.want)
		}
	}
}

// SEC-21: nothing of a value ends a header, and what cannot stand where it belongs is not
// sent.
func TestNothingEndsAnEventHeader(t *testing.T) {
	uri := mapping.MustParseURI
	u := fuzzUA(t)
	good := func() *mapping.SIPNotify {
		return &mapping.SIPNotify{State: mapping.StateTerminated, Reason: "timeout", ContentType: "a/b", Body: []byte("x"), SIPEvent: mapping.SIPEvent{
			RequestURI: uri("sip:romeo@example.net"), From: uri("sip:juliet@example.com"), To: uri("sip:romeo@example.net"),
			CallID: "c1", FromTag: "t1", ToTag: "t2", CSeq: 7, Package: "presence", EventID: "i", RemoteTarget: "sip:a@b", Routes: []string{"sip:p;lr"}}}
	}
	if _, f := wireOf(t, u, good(), "UDP"); f != nil {
		t.Fatal(f)
	}
	for _, evil := range []string{"a\r\nEvil: 1", "a\nb", "a\x00b", "a\tb", "a\xff", "a b", "a>,<b", `a"b`, "é"} {
		for name, edit := range map[string]func(*mapping.SIPNotify){
			"package": func(n *mapping.SIPNotify) { n.Package = evil }, "id": func(n *mapping.SIPNotify) { n.EventID = evil },
			"state": func(n *mapping.SIPNotify) { n.State = mapping.SubscriptionState(evil) }, "reason": func(n *mapping.SIPNotify) { n.Reason = evil },
			"to tag": func(n *mapping.SIPNotify) { n.ToTag = evil }, "target": func(n *mapping.SIPNotify) { n.RemoteTarget = "sip:x@y;z=" + evil },
			"route": func(n *mapping.SIPNotify) { n.Routes = append(n.Routes, "sip:x@y;z="+evil) }, "contact": func(n *mapping.SIPNotify) { n.Contact = mapping.URI{Scheme: "sip", Host: evil} },
		} {
			n := good()
			edit(n)
			if raw, f := wireOf(t, u, n, "UDP"); f == nil {
				t.Errorf("%s %q is sent:\n%s", name, evil, raw)
			}
		}
		p := &mapping.SIPPublish{SIPEvent: good().SIPEvent, IfMatch: evil}
		if raw, f := wireOf(t, u, p, "UDP"); f == nil {
			t.Errorf("entity-tag %q is sent:\n%s", evil, raw)
		}
	}
	for name, edit := range map[string]func(*mapping.SIPNotify){
		"no package": func(n *mapping.SIPNotify) { n.Package = "" }, "no state": func(n *mapping.SIPNotify) { n.State = "" },
		"no target": func(n *mapping.SIPNotify) { n.RemoteTarget, n.RequestURI = "", mapping.URI{} },
		"no URI":    func(n *mapping.SIPNotify) { n.RemoteTarget = "nonsense" }, "no type": func(n *mapping.SIPNotify) { n.ContentType = "" },
		"empty route": func(n *mapping.SIPNotify) { n.Routes = []string{""} },
	} {
		n := good()
		edit(n)
		if raw, f := wireOf(t, u, n, "UDP"); f == nil {
			t.Errorf("%s is sent:\n%s", name, raw)
		}
	}
}

// Whatever is in a value, what goes out is read by another parser as the same.
func TestEventRequestsRead(t *testing.T) {
	u := fuzzUA(t)
	parser := sip.NewParser()
	token := rapid.StringMatching(`[A-Za-z0-9.!%*_+~-]{1,20}`)
	host := rapid.StringMatching(`[a-z][a-z0-9]{0,8}\.example`)
	user := rapid.StringMatching(`[a-z0-9 @;?=é"<>]{1,12}`)
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(g *rapid.Generator[string], name string) string { return g.Draw(rt, name) }
		address := func(name string) mapping.URI {
			return mapping.URI{Scheme: "sip", User: draw(user, name), Host: draw(host, name), GR: draw(user, name)}
		}
		e := mapping.SIPEvent{RequestURI: address("uri"), From: address("from"), To: address("to"), CallID: draw(token, "id"), FromTag: draw(token, "tag"),
			CSeq: uint32(rapid.IntRange(1, 1<<31-1).Draw(rt, "cseq")), Package: draw(token, "package"), Contact: mapping.URI{User: draw(user, "contact"), GR: draw(token, "gr")}}
		if rapid.Bool().Draw(rt, "within") {
			e.ToTag, e.EventID = draw(token, "to tag"), draw(token, "event id")
			e.RemoteTarget = "sip:" + draw(rapid.StringMatching(`[a-zA-Z0-9;?%]{0,1}[a-zA-Z0-9;?=]{1,9}`), "literal") + "@" + draw(host, "literal") + ";line=" + draw(rapid.StringMatching(`[A-Za-z0-9]{1,5}`), "line")
			if _, err := mapping.ParseURI(e.RemoteTarget); err != nil {
				rt.Skip()
			}
			for range rapid.IntRange(0, 3).Draw(rt, "routes") {
				e.Routes = append(e.Routes, "sip:"+draw(host, "route")+draw(rapid.SampledFrom([]string{";lr", ";lr=on", ";LR;x=y", "", ";lrx"}), "lr"))
			}
		}
		expires := rapid.IntRange(-1, 1<<31-1).Draw(rt, "expires")
		body := []byte(draw(rapid.StringMatching(`[<a-z/>\r\n]{0,40}`), "body"))
		var v mapping.SIP
		typ := ""
		method := rapid.SampledFrom([]string{"SUBSCRIBE", "NOTIFY", "PUBLISH"}).Draw(rt, "method")
		if len(body) > 0 && method != "SUBSCRIBE" {
			typ = "application/pidf+xml"
		} else {
			body = nil
		}
		state := ""
		switch method {
		case "SUBSCRIBE":
			v = &mapping.SIPSubscribe{SIPEvent: e, Expires: expires}
		case "NOTIFY":
			v = &mapping.SIPNotify{SIPEvent: e, State: "active", Expires: expires, ContentType: typ, Body: body}
			if state = "active"; expires >= 0 {
				state += ";expires=" + strconv.Itoa(expires)
			}
		case "PUBLISH":
			v = &mapping.SIPPublish{SIPEvent: e, Expires: expires, ContentType: typ, Body: body, IfMatch: e.CallID}
		}
		raw, f := wireOf(t, u, v, "UDP")
		if f != nil {
			rt.Fatalf("%+v: %v", v, f)
		}
		got, err := parser.ParseSIP(raw)
		if err != nil {
			rt.Fatalf("%v in\n%s", err, raw)
		}
		req := got.(*sip.Request)
		value := func(name string) string {
			if h := req.GetHeader(name); h != nil {
				return h.Value()
			}
			return "-"
		}
		want := func(name, w string) {
			if g := value(name); g != w {
				rt.Errorf("%s: %q, want %q in\n%s", name, g, w, raw)
			}
		}
		event := "presence"
		if event = e.Package; e.EventID != "" {
			event += ";id=" + e.EventID
		}
		want("Event", event)
		want("Call-ID", e.CallID)
		want("CSeq", fmt.Sprintf("%d %s", e.CSeq, method))
		want("Subscription-State", map[bool]string{true: state, false: "-"}[state != ""])
		if expires < 0 || method == "NOTIFY" {
			want("Expires", "-")
		} else {
			want("Expires", strconv.Itoa(expires))
		}
		if req.From().Params.GetOr("tag", "") != e.FromTag || req.To().Params.GetOr("tag", "") != e.ToTag || string(req.Body()) != string(body) {
			rt.Errorf("%+v became\n%s", v, raw)
		}
		var routes []string
		for _, h := range req.GetHeaders("Route") {
			routes = append(routes, h.Value())
		}
		target := e.RemoteTarget
		if target == "" {
			target = e.RequestURI.String()
		}
		line, _, _ := strings.Cut(string(raw), "\r\n")
		line = strings.Fields(line)[1]
		// Who goes by the routes comes to the target, and every one of them is there once.
		visited := slices.Clone(routes)
		if len(e.Routes) > 0 && !strings.Contains(strings.ToLower(e.Routes[0])+";", ";lr;") && !strings.Contains(e.Routes[0], ";lr=") {
			visited = append([]string{"<" + line + ">"}, routes...)
		} else {
			visited = append(visited, "<"+line+">")
		}
		var all []string
		for _, r := range append(slices.Clone(e.Routes), target) {
			all = append(all, "<"+r+">")
		}
		if !slices.Equal(visited, all) {
			rt.Errorf("routes %q, want %q in\n%s", visited, all, raw)
		}
	})
}

// answersBack checks that what a request about events has of its dialog can be sent back, as
// the other side of the dialog would do it: nothing that is taken fails then.
func answersBack(t *testing.T, u *UA, v mapping.SIP) {
	t.Helper()
	var e mapping.SIPEvent
	switch v := v.(type) {
	case *mapping.SIPSubscribe:
		e = v.SIPEvent
	case *mapping.SIPNotify:
		e = v.SIPEvent
	default:
		return
	}
	if e.Package != "presence" || e.RemoteTarget == "" || e.Peer == "" {
		t.Fatalf("%+v was handed over", e)
	}
	e.From, e.To = mapping.MustParseURI("sip:juliet@example.com"), mapping.MustParseURI("sip:romeo@example.net")
	e.FromTag, e.ToTag, e.CallID, e.RequestURI, e.Name = "t", e.FromTag, "c", mapping.URI{}, ""
	raw, f := wireOf(t, u, &mapping.SIPNotify{SIPEvent: e, State: mapping.StateActiveSub, Expires: 1}, "UDP")
	if f != nil {
		t.Fatalf("%v: %+v", f, e)
	}
	if m, n, err := siptest.Parse(raw); err != nil || n != len(raw) || len(m.All("Route")) != len(e.Routes) || e.EventID != "" && m.Get("Event") != "presence;id="+e.EventID {
		t.Fatalf("%v in\n%s", err, raw)
	}
}
