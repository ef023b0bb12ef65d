package sipside

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// eventAnswered is an outcome with what an answer says besides.
func eventAnswered(status int, a mapping.EventAnswer) mapping.Outcome {
	return mapping.Outcome{Kind: mapping.Answered, Status: status, Event: &a}
}

func eventRefused(f *mapping.Failure, a mapping.EventAnswer) mapping.Outcome {
	return mapping.Outcome{Kind: mapping.Refused, Failure: f, Event: &a}
}

// TestEventOutcomes: what a peer is answered for each outcome (PRES-10, PRES-23, PRES-24,
// PRES-28, PRES-29).
func TestEventOutcomes(t *testing.T) {
	ours := mapping.URI{User: "juliet", GR: "g1"}
	none := mapping.EventAnswer{Expires: mapping.NoExpires}
	grown := mapping.FailUnsupportedEncoding()
	for _, tt := range []struct {
		method string
		o      mapping.Outcome
		want   string
		lines  string // what the answer has of its own
	}{
		{"SUBSCRIBE", eventAnswered(200, mapping.EventAnswer{Tag: "ur93", Contact: ours, Expires: 3600}), "200 OK", "tag ur93|Expires: 3600|Contact: <sip:juliet@gw.example.com;gr=g1>|Allow-Events: presence"},
		{"SUBSCRIBE", eventAnswered(200, mapping.EventAnswer{Contact: mapping.URI{User: "j m", GR: "a;b"}}), "200 OK", "Expires: 0|Contact: <sip:j%20m@gw.example.com;gr=a%3Bb>|Allow-Events: presence"},
		{"SUBSCRIBE", eventAnswered(202, none), "200 OK", "Allow-Events: presence"}, // RFC 6665 §8.3.1
		{"SUBSCRIBE", mapping.Outcome{Kind: mapping.Unknown}, "200 OK", "Allow-Events: presence"},
		{"SUBSCRIBE", mapping.Outcome{Kind: mapping.Processed}, "200 OK", "Allow-Events: presence"},
		{"NOTIFY", eventAnswered(200, none), "200 OK", ""},
		{"NOTIFY", mapping.Outcome{Kind: mapping.Answered, Status: 200}, "200 OK", ""},
		{"NOTIFY", mapping.Outcome{Kind: mapping.Refused, Failure: mapping.FailNoDialog()}, "481 Call/Transaction Does Not Exist", ""},
		{"NOTIFY", mapping.Outcome{Kind: mapping.Answered, Status: 481, Failure: mapping.FailNoDialog()}, "481 Call/Transaction Does Not Exist", ""},
		{"NOTIFY", mapping.Outcome{Kind: mapping.Answered, Status: 481}, "500 Server Internal Error", ""},
		{"NOTIFY", eventRefused(mapping.FailUnsupportedType(), none), "415 Unsupported Media Type", "Accept: application/pidf+xml"},
		{"NOTIFY", eventRefused(grown, none), "415 Unsupported Media Type", "Accept-Encoding: " + mapping.AcceptEncodings},
		{"NOTIFY", eventRefused(mapping.FailEvent(), none), "489 Bad Event", "Allow-Events: presence"},
		{"SUBSCRIBE", eventRefused(mapping.FailNoForm(), none), "406 Not Acceptable", "Accept: application/pidf+xml"},
		{"SUBSCRIBE", eventRefused(mapping.FailTooBrief(), mapping.EventAnswer{Expires: mapping.NoExpires, MinExpires: 60}), "423 Interval Too Brief", "Min-Expires: 60"},
		{"SUBSCRIBE", eventRefused(mapping.FailTooBrief(), none), "400 Bad Request", ""}, // it must say what would do
		{"SUBSCRIBE", eventRefused(mapping.FailForbidden(), mapping.EventAnswer{Tag: "t", Contact: ours, Expires: 5, ETag: "e", MinExpires: 6}), "403 Forbidden", "tag t"},
		{"SUBSCRIBE", mapping.Outcome{Kind: mapping.Refused, Failure: mapping.FailOverloaded(3 * time.Second)}, "503 Service Unavailable", "Retry-After: 3"},
		{"PUBLISH", eventAnswered(200, mapping.EventAnswer{Expires: 60, ETag: "dx200xyz"}), "200 OK", "Expires: 60|SIP-ETag: dx200xyz"},
		{"PUBLISH", eventRefused(mapping.FailCondition(), none), "412 Conditional Request Failed", ""},
		// Nothing ends a header (SEC-21).
		{"PUBLISH", eventAnswered(200, mapping.EventAnswer{Tag: "a\r\nEvil: 1", ETag: "a\r\nEvil: 1", Expires: mapping.NoExpires, Contact: mapping.URI{Host: "a\r\nEvil: 1", Scheme: "sip"}}), "200 OK", ""},
	} {
		for _, network := range []string{"udp", "tcp"} {
			b := newBridge(nil)
			b.reply = func(mapping.SIP) mapping.Outcome { return tt.o }
			u := fuzzUAWith(t, testConfig())
			b.ua, u.handler = u, b
			s := newUDPSocket(u, nil, memSelf)
			s.sentBy, u.udp = "gw.example.com", []*udpSocket{s}
			raw := []byte(eventText(network, tt.method, fresh()))
			var m *siptest.Message
			if network == "udp" {
				out := take(s, memPeerLocal, raw)
				if len(out) != 1 {
					t.Fatalf("%d answers", len(out))
				}
				m = responses(t, out[0].b)[0]
			} else {
				m = responses(t, u.feed(raw, 1000))[0]
			}
			var own []string
			for _, f := range m.Fields {
				switch f.Name {
				case "Via", "From", "Call-ID", "CSeq", "Content-Length":
				case "To":
					if _, tag, _ := strings.Cut(f.Value, ";tag="); tag == "" {
						t.Errorf("%s: %q", tt.method, f)
					} else if len(tag) != 16 && tt.method != "NOTIFY" { // ours by itself has 16
						own = append(own, "tag "+tag)
					}
				default:
					own = append(own, f.Name+": "+f.Value)
				}
			}
			if got := strings.Join(own, "|"); m.First != "SIP/2.0 "+tt.want || got != tt.lines {
				t.Errorf("%s %s:\n got %s, %s\nwant %s, %s", network, tt.method, m.First, got, tt.want, tt.lines)
			}
		}
	}
}

// PRES-28: where a Contact of ours leads, for each transport and whatever else is listened
// on.
func TestOwnContact(t *testing.T) {
	cfg := testConfig()
	u := fuzzUAWith(t, cfg)
	both := newUDPSocket(u, nil, memSelf)
	both.sentBy = "gw.example.com"
	c := mapping.URI{User: "juliet", GR: "g1"}
	for _, tt := range []struct {
		udp                     []*udpSocket
		transport, sentBy, want string
	}{
		{[]*udpSocket{both}, "UDP", "gw.example.com", "<sip:juliet@gw.example.com;gr=g1>"},
		{[]*udpSocket{both}, "TCP", "gw.example.com", "<sip:juliet@gw.example.com;gr=g1>"},
		{nil, "TCP", "gw.example.com", "<sip:juliet@gw.example.com;transport=tcp;gr=g1>"},
		{[]*udpSocket{both}, "TCP", "gw.example.com:5070", "<sip:juliet@gw.example.com:5070;transport=tcp;gr=g1>"},
		{[]*udpSocket{both}, "TLS", "gw.example.com:5061", "<sip:juliet@gw.example.com:5061;transport=tls;gr=g1>"},
		{[]*udpSocket{both}, "TLS", "gw.example.com:5060", "<sip:juliet@gw.example.com:5060;transport=tls;gr=g1>"},
		{[]*udpSocket{both}, "WS", "gw.example.com:80", "<sip:juliet@gw.example.com:80;transport=ws;gr=g1>"},
		{[]*udpSocket{both}, "WSS", "[2001:db8::1]:443", "<sip:juliet@[2001:db8::1]:443;transport=ws;gr=g1>"},
	} {
		u.udp = tt.udp
		if got := u.ownContact(c, tt.transport, tt.sentBy); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.transport, tt.sentBy, got, tt.want)
		}
	}
	c.Scheme, c.Host = "sip", "pres.example.com"
	if got := u.ownContact(c, "TLS", "x"); got != "<sip:juliet@pres.example.com;gr=g1>" {
		t.Errorf("a host that is said: %s", got)
	}
}

// SIP-13, PRES-10: over UDP a copy of a SUBSCRIBE gets the same answer again, with its tag,
// and begins no second dialog.
func TestEventRetransmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		n := 0
		b.reply = func(mapping.SIP) mapping.Outcome {
			n++
			return eventAnswered(200, mapping.EventAnswer{Tag: fmt.Sprint("tag", n), Expires: 60 + n, Contact: mapping.URI{User: "juliet"}})
		}
		_, m := memUA(t, testConfig(), b)
		raw := []byte(eventText("udp", "SUBSCRIBE", "z9hG4bKa", "Via: SIP/2.0/UDP 192.0.2.9;rport;branch=z9hG4bKa"))
		for _, wait := range []time.Duration{0, 500 * time.Millisecond, 31 * time.Second} {
			time.Sleep(wait)
			m.in <- packet{b: raw, to: memPeer}
			synctest.Wait()
		}
		sent := m.all()
		if len(sent) != 3 || n != 1 {
			t.Fatalf("%d answers, handed over %d times", len(sent), n)
		}
		for _, p := range sent {
			if string(p.data) != string(sent[0].data) || !strings.Contains(string(p.data), ";tag=tag1\r\n") || !strings.Contains(string(p.data), "\r\nExpires: 61\r\n") {
				t.Errorf("%s", p.data)
			}
		}
	})
}

// A request in a dialog has the tag of that, and the answer no other.
func TestEventTagInDialog(t *testing.T) {
	b := newBridge(nil)
	b.reply = func(mapping.SIP) mapping.Outcome {
		return eventAnswered(200, mapping.EventAnswer{Tag: "other", Expires: 1})
	}
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "tcp")
	res := p.Request(addr(u, "tcp"), eventText("tcp", "SUBSCRIBE", fresh(), "To: <sip:juliet@example.com>;tag=ur93"))
	if res.Get("To") != "<sip:juliet@example.com>;tag=ur93" || res.Get("Expires") != "1" {
		t.Errorf("%v", res.Fields)
	}
}

// SIP-19: a CANCEL of a request about events is accepted, and changes nothing.
func TestCancelEvent(t *testing.T) {
	for _, method := range []string{"SUBSCRIBE", "NOTIFY", "PUBLISH"} {
		b := newBridge(processed)
		u := start(t, testConfig(), b)
		p := siptest.Listen(t, "udp")
		branch := fresh()
		p.Request(addr(u, "udp"), eventText("udp", method, branch))
		p.Send(addr(u, "udp"), siptest.Text("", lines("udp", branch, "CANCEL sip:juliet@example.com SIP/2.0", "CSeq: 1 CANCEL")...))
		if res := p.Finals(branch, 2)[1]; res.Status() != 200 || res.Method() != "CANCEL" {
			t.Errorf("%s: %s", method, res.First)
		}
	}
}

// TestEventAnswersRead: what comes of final responses (PRES-06, PRES-23, PRES-29).
func TestEventAnswersRead(t *testing.T) {
	b := newBridge(nil)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "tcp")
	uri := mapping.MustParseURI
	for i, tt := range []struct {
		status int
		lines  []string
		want   mapping.EventAnswer
		check  func(f *mapping.Failure) bool
	}{
		{200, []string{"Expires: 3600", "Contact: <sip:romeo@pres.example.net;line=A;gr=p1>", "SIP-ETag: e1"},
			mapping.EventAnswer{Tag: "peer", Expires: 3600, Contact: uri("sip:romeo@pres.example.net;gr=p1"), RemoteTarget: "sip:romeo@pres.example.net;line=A;gr=p1", ETag: "e1"}, nil},
		{202, []string{"Expires: 0", "m: sip:a@b"}, mapping.EventAnswer{Tag: "peer", Contact: uri("sip:a@b"), RemoteTarget: "sip:a@b"}, nil},
		{200, []string{"Expires: x", "Contact: <sip:a@b>, <sip:c@d>", "SIP-ETag: a b"}, mapping.EventAnswer{Tag: "peer", Expires: mapping.NoExpires}, nil},
		{200, nil, mapping.EventAnswer{Tag: "peer", Expires: mapping.NoExpires}, nil},
		{423, []string{"Min-Expires: 7200"}, mapping.EventAnswer{Tag: "peer", Expires: mapping.NoExpires, MinExpires: 7200}, nil},
		{503, []string{"Retry-After: 18"}, mapping.EventAnswer{Tag: "peer", Expires: mapping.NoExpires}, func(f *mapping.Failure) bool { return f.RetryAfter == 18*time.Second }},
		{302, []string{"Contact: <sip:other@example.org>"}, mapping.EventAnswer{Tag: "peer", Expires: mapping.NoExpires}, func(f *mapping.Failure) bool { return f.Alternate == "sip:other@example.org" }},
		{489, []string{"Allow-Events: dialog"}, mapping.EventAnswer{Tag: "peer", Expires: mapping.NoExpires}, nil},
	} {
		p.Answer(func(m *siptest.Message) string { return m.Reply(tt.status, "What", tt.lines...) })
		v := &mapping.SIPSubscribe{SIPEvent: eventTo(p, i), Expires: 3600}
		u.Deliver([]mapping.Parcel[mapping.SIP]{{Ref: i, Value: v}})
		o := b.outcome(i)
		if o.Kind != mapping.Answered || o.Status != tt.status || (o.Failure == nil) != (tt.status < 300) || tt.check != nil && !tt.check(o.Failure) {
			t.Errorf("%d: %+v %+v", tt.status, o, o.Failure)
		}
		if diff := cmp.Diff(&tt.want, o.Event); diff != "" {
			t.Errorf("%d %q: (-want +got)\n%s", tt.status, tt.lines, diff)
		}
	}
	// Nobody but them hears of it.
	p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK", "Expires: 60", "SIP-ETag: x") })
	u.Deliver(parcel("message", outgoing(p, 100)))
	if o := b.outcome("message"); o.Event != nil {
		t.Errorf("a message has %+v", o.Event)
	}
}
