package sipside

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// TestChecks sends requests and looks at the answers, over UDP and TCP: each row
// is a good MESSAGE with edits.
func TestChecks(t *testing.T) {
	cfg := testConfig()
	cfg.Advertise = "gw.example.com:5070"
	b := newBridge(processed)
	u := start(t, cfg, b)
	vias := func(n int) string {
		_, first, _ := strings.Cut(lines("udp", fresh())[1], ": ")
		return first + strings.Repeat(", SIP/2.0/UDP x.example;branch=z9hG4bKx", n-1)
	}
	own := "Via: SIP/2.0/UDP gw.example.com:5070;rport;branch=" + u.client.branch(7)

	tests := []struct {
		name  string // with the requirement
		edits []string
		body  string // "" is "hi"
		want  int
		has   []string // header lines of the answer
		udp   bool     // UDP only
	}{
		{name: "good"},
		{name: "CT-01 charset", edits: []string{`Content-Type: Text/Plain;charset="UTF-8"`}},
		{name: "CT-01 us-ascii", edits: []string{`Content-Type: text/plain ; Charset = us-ascii`}},
		{name: "SIP-02 compact and odd case", edits: []string{"-To", "-From", "-Call-ID", "-Content-Type",
			"t: <sip:juliet@example.com>", "F: <sip:romeo@example.net>;Tag=x", "i: abc", "c: text/plain"}},
		{name: "SIP-02 folding", edits: []string{"From: <sip:romeo@example.net>\r\n ;tag=x", "CSeq: 1\r\n\tMESSAGE"}},
		{name: "SIP-02 version in lower case", edits: []string{"MESSAGE sip:juliet@example.com sip/2.0"}},
		{name: "SIP-02 sips not in a name", edits: []string{`From: "sips:x" <sip:romeo@example.net>;tag=x`}},
		{name: "SIP-01 addr-spec", edits: []string{"From: sip:romeo@example.net;tag=x", "To: sip:juliet@example.com"}},
		{name: "SIP-01 no Max-Forwards (RFC 2543)", edits: []string{"-Max-Forwards"}},
		{name: "Require empty", edits: []string{"Require: "}},
		{name: "IM-24 two dates, one of them a proxy's", edits: []string{"Date: Thu, 15 Jan 2026 09:50:00 GMT\r\nDate: Thu, 15 Jan 2026 09:50:03 GMT"}},
		{name: "IM-24 Date in the middle of nowhere", edits: []string{"Date: " + strings.Repeat("GMT ", 3000)}},
		{name: "IM-25 two times", edits: []string{"Expires: 5\r\nExpires: 99999999999999999999"}},
		{name: "identity", edits: []string{"Content-Encoding: identity"}},
		{name: "odd display name", edits: []string{`From: "A \"B\" <c>, d" <sip:romeo@example.net>;tag=x`}},

		{name: "SIP-01 no From tag", edits: []string{"From: <sip:romeo@example.net>"}, want: 400},
		{name: "SIP-01 From tag is no token", edits: []string{"From: <sip:romeo@example.net>;tag=1, <sip:nurse@example.net>"}, want: 400},
		{name: "SIP-01 no To", edits: []string{"-To"}, want: 400},
		{name: "SIP-01 no From", edits: []string{"-From"}, want: 400},
		{name: "SIP-01 no Call-ID", edits: []string{"-Call-ID"}, want: 400},
		{name: "SIP-01 no CSeq", edits: []string{"-CSeq"}, want: 400},
		{name: "SIP-01 CSeq method", edits: []string{"CSeq: 1 INVITE"}, want: 400},
		{name: "SIP-01 CSeq 2^31", edits: []string{"CSeq: 2147483648 MESSAGE"}, want: 400},
		{name: "SIP-01 CSeq word", edits: []string{"CSeq: one MESSAGE"}, want: 400},
		{name: "SIP-01 From broken", edits: []string{"From: <sip:romeo@example.net;tag=x"}, want: 400},
		{name: "SIP-01 To broken", edits: []string{"To: \"juliet <sip:juliet@example.com>"}, want: 400},
		{name: "SIP-01 two Call-IDs", edits: []string{"Call-ID: a\r\nCall-ID: b"}, want: 400},
		{name: "SIP-01 Via broken", edits: []string{"Via: SIP/2.0/UDP ;branch=z9hG4bKx;rport"}, want: 400, udp: true},
		{name: "SIP-01 Max-Forwards", edits: []string{"Max-Forwards: many"}, want: 400},
		{name: "header without colon", edits: []string{"Nonsense"}, want: 400},
		{name: "control character", edits: []string{"Subject: a\x01b"}, want: 400},
		{name: "escape", edits: []string{"Subject: a\x1fb\x7f"}, want: 400},
		{name: "stray CR", edits: []string{"Subject: a\rb"}, want: 400},
		{name: "control character in Content-Type", edits: []string{"Content-Type: text/plain;x=\"\x01\""}, want: 400},
		{name: "control character in a folded Content-Type", edits: []string{"Content-Type: text/plain;\r\n\tx=\"\x7f\""}, want: 400},
		{name: "control character in Date", edits: []string{"Date: Thu, 15 Jan 2026\x00 09:50:00 GMT"}, want: 400},
		{name: "two Content-Types", edits: []string{"Content-Type: text/plain\r\nc: text/html"}, want: 400},
		{name: "two Content-Dispositions", edits: []string{"Content-Disposition: render\r\nContent-Disposition: icon"}, want: 400},
		{name: "no Content-Type", edits: []string{"-Content-Type"}, want: 400},
		{name: "Request-URI with a space", edits: []string{"MESSAGE sip:jul iet@example.com SIP/2.0"}, want: 400},
		{name: "Request-URI with a bad port", edits: []string{"MESSAGE sip:juliet@example.com:http SIP/2.0"}, want: 400},
		{name: "Request-URI *", edits: []string{"MESSAGE * SIP/2.0"}, want: 400},
		{name: "version", edits: []string{"MESSAGE sip:juliet@example.com SIP/7.0"}, want: 505},
		{name: "SEC-11", edits: []string{"Max-Forwards: 0"}, want: 483},
		{name: "SEC-12", edits: []string{own + "\r\n" + lines("udp", fresh())[1]}, want: 482, udp: true},
		{name: "SEC-12 below", edits: []string{lines("udp", fresh())[1] + ", SIP/2.0/TCP x.example;branch=z9hG4bKy\r\n" + own}, want: 482, udp: true},
		{name: "SEC-12 our name, not our branch", edits: []string{lines("udp", fresh())[1] + "\r\nVia: SIP/2.0/UDP gw.example.com:5070;branch=z9hG4bKours"}, udp: true},
		{name: "SIP-21 known", edits: []string{"REFER sip:juliet@example.com SIP/2.0", "CSeq: 1 REFER"}, want: 405, has: []string{"Allow: " + allowed}},
		{name: "SIP-21 INVITE", edits: []string{"INVITE sip:juliet@example.com SIP/2.0", "CSeq: 1 INVITE"}, want: 405, has: []string{"Allow: " + allowed}},
		{name: "SIP-21 unknown", edits: []string{"FROBNICATE sip:juliet@example.com SIP/2.0", "CSeq: 1 FROBNICATE"}, want: 501},
		{name: "SIP-21 method names have case", edits: []string{"message sip:juliet@example.com SIP/2.0", "CSeq: 1 message"}, want: 501},
		{name: "SIP-21 and so has CSeq", edits: []string{"message sip:juliet@example.com SIP/2.0"}, want: 400},
		{name: "SIP-28", edits: []string{"MESSAGE http://example.com/ SIP/2.0"}, want: 416},
		{name: "SEC-02", edits: []string{"MESSAGE sips:juliet@example.com SIP/2.0"}, want: 480, has: []string{`Warning: 380 gw.example.com "SIPS Not Allowed"`}},
		{name: "SEC-02 To", edits: []string{"To: <SIPS:juliet@example.com>"}, want: 480, has: []string{`Warning: 380 gw.example.com "SIPS Not Allowed"`}},
		{name: "SEC-02 From", edits: []string{"From: <sips:romeo@example.net>;tag=x"}, want: 480, has: []string{`Warning: 380 gw.example.com "SIPS Not Allowed"`}},
		{name: "SIP-18", edits: []string{"To: <sip:juliet@example.com>;TAG=old"}, want: 481},
		{name: "SIP-19 CANCEL of nothing", edits: []string{"CANCEL sip:juliet@example.com SIP/2.0", "CSeq: 1 CANCEL"}, want: 481},
		{name: "SIP-22", edits: []string{"Require: foo, bar\r\nRequire: baz"}, want: 420, has: []string{"Unsupported: foo, bar, baz"}},
		{name: "SEC-28", edits: []string{"From: <sip:romeo@Example.COM>;tag=x"}, want: 403},
		{name: "SEC-29 foreign From", edits: []string{"From: <sip:romeo@example.org>;tag=x"}, want: 403},
		{name: "From without host", edits: []string{"From: <mailto:romeo>;tag=x"}, want: 400},
		{name: "SIP-20", edits: []string{"OPTIONS sip:gw.example.com SIP/2.0", "CSeq: 1 OPTIONS", "Max-Forwards: 0"}, want: 200,
			has: []string{"Allow: " + allowed, "Allow-Events: presence", "Accept: " + mapping.AcceptTypes + ", application/pidf+xml", "Accept-Encoding: " + mapping.AcceptEncodings, "Accept-Language: *", "Supported: "}},
		{name: "SIP-20 in a dialog", edits: []string{"OPTIONS sip:gw.example.com SIP/2.0", "CSeq: 1 OPTIONS", "To: <sip:gw.example.com>;tag=x"}, want: 481},
		{name: "SIP-29 70 Vias", edits: []string{"Via: " + vias(70)}, udp: true},
		{name: "SIP-29 71 Vias", edits: []string{"Via: " + vias(71)}, want: 513, udp: true},
		{name: "SIP-29 15000 Vias", edits: []string{"Via: " + vias(70) + strings.Repeat(",", 12000)}, want: 513, udp: true},
		{name: "SIP-29 rows", edits: []string{strings.Repeat("X: y\r\n", 101) + "X: y"}, want: 513, udp: true},
		{name: "SIP-29 header bytes", edits: []string{"X: " + strings.Repeat("y", 17<<10)}, want: 513, udp: true},
		{name: "SIP-03 longer than the datagram", edits: []string{"Content-Length: 3"}, want: 400, udp: true},
		{name: "SIP-03 not a number", edits: []string{"Content-Length: 2x"}, want: 400, udp: true},
		{name: "SIP-03 two of them", edits: []string{"Content-Length: 2\r\nl: 3"}, want: 400, udp: true},
		{name: "SIP-03 bytes beyond are ignored", edits: []string{"Content-Length: 1"}, udp: true},
	}
	for _, network := range []string{"udp", "tcp"} {
		for _, tt := range tests {
			if tt.udp && network != "udp" {
				continue
			}
			t.Run(network+" "+tt.name, func(t *testing.T) {
				p := siptest.Listen(t, network)
				before := b.count()
				text := siptest.Text("hi", lines(network, fresh(), tt.edits...)...)
				res := p.Request(addr(u, network), text)
				want := tt.want
				if want == 0 {
					want = 200
				}
				if res.Status() != want {
					t.Fatalf("answer %q, want %d to\n%s", res.First, want, text)
				}
				for _, h := range tt.has {
					name, value, _ := strings.Cut(h, ": ")
					if got := res.All(name); len(got) != 1 || got[0] != value {
						t.Errorf("%s is %q, want %q", name, got, value)
					}
				}
				// RFC 3261 §8.2.6.2: what a response repeats.
				for _, l := range strings.Split(text, "\r\n")[1:] {
					name, value, _ := strings.Cut(l, ": ")
					if name == "Call-ID" && tt.name != "SIP-01 two Call-IDs" && res.Get(name) != value {
						t.Errorf("%s is %q, want %q", name, res.Get(name), value)
					}
				}
				if to := res.Get("To"); to != "" && strings.Count(strings.ToLower(to), ";tag=") != 1 {
					t.Errorf("To %q", to)
				}
				if len(res.Body) != 0 || res.Get("Contact") != "" {
					t.Errorf("body or Contact in the answer (RFC 3428 §7)")
				}
				if got := b.count() - before; got != 0 && tt.want != 0 || tt.want == 0 && got != 1 {
					t.Errorf("%d messages were handed over", got)
				}
			})
		}
	}
	if n := u.stats.Panics.Load(); n != 0 {
		t.Errorf("%d panics", n)
	}
}

// TestValues: what the bridge is given.
func TestValues(t *testing.T) {
	b := newBridge(processed)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "udp")
	begun := time.Now()
	p.Request(addr(u, "udp"), siptest.Text("Neither,\r\nfair saint", lines("udp", fresh(),
		"MESSAGE sip:juliet@example.com;gr=balcony SIP/2.0",
		`From: "Romeo \"M\"" <sip:rom%65o@Example.NET;gr=x>;tag=vwxyz;other=1`,
		"Content-Type: text/plain; charset=UTF-8", "s: O,\r\n\tRomeo", "Content-Language: en-GB, it", "CSeq: 41 MESSAGE")...))
	if b.count() != 1 {
		t.Fatalf("%d messages", b.count())
	}
	got := b.first()
	want := mapping.SIPMessage{
		RequestURI: mapping.MustParseURI("sip:juliet@example.com;gr=balcony"), To: mapping.MustParseURI("sip:juliet@example.com"),
		From: mapping.MustParseURI("sip:romeo@example.net;gr=x"), Name: `Romeo "M"`, FromTag: "vwxyz",
		CallID: "9E97FB43-85F4-4A00-8751-1124FD4C7B2E", CSeq: 41, Subject: "O, Romeo", Lang: "en-GB",
		ContentType: "text/plain; charset=UTF-8", Body: []byte("Neither,\r\nfair saint"), Received: got.Received,
	}
	if got.Received.Before(begun) || got.Received.After(time.Now()) {
		t.Errorf("received %v, begun %v", got.Received, begun)
	}
	if fmt.Sprintf("%+v", *got) != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
}

// TestContentHeaders: what describes the body goes over as it came, with its folding
// undone, and what informs of times as far as it can be read.
func TestContentHeaders(t *testing.T) {
	long := "multipart/mixed;boundary=\"" + strings.Repeat("b", 9000) + "\""
	for _, tt := range []struct {
		edits []string
		want  mapping.SIPMessage
	}{
		{[]string{"Content-Type: Multipart/Mixed ;\r\n\t boundary=\"a,b; c\"\r\n ;x=y", "Content-Encoding: gzip\r\ne: deflate", "Content-Disposition:  Render ; handling=optional "},
			mapping.SIPMessage{ContentType: `Multipart/Mixed ; boundary="a,b; c" ;x=y`, Encoding: "gzip,deflate", Disposition: "Render ; handling=optional"}},
		{[]string{"Content-Type: " + long}, mapping.SIPMessage{ContentType: long}},
		{[]string{"Content-Type: text/plain;x=\"\xff\t\""}, mapping.SIPMessage{ContentType: "text/plain;x=\"\xff\t\""}},
		{[]string{"Content-Type: nonsense ;;"}, mapping.SIPMessage{ContentType: "nonsense ;;"}},
		{[]string{"date: Thu, 15 Jan 2026\r\n 09:50:00 GMT", "EXPIRES: 3600"},
			mapping.SIPMessage{ContentType: "text/plain", Date: time.Date(2026, 1, 15, 9, 50, 0, 0, time.UTC), Expires: time.Hour}},
		{[]string{"Date: Thu, 15 Jan 2026 09:50:00 GMT\r\nDate: Thu, 15 Jan 2026 09:51:00 GMT", "Expires: 0\r\nExpires: 7"},
			mapping.SIPMessage{ContentType: "text/plain", Date: time.Date(2026, 1, 15, 9, 50, 0, 0, time.UTC), Expires: time.Second}},
		{[]string{"Date: yesterday", "Expires: Thu, 15 Jan 2026 09:50:00 GMT"}, mapping.SIPMessage{ContentType: "text/plain"}},
		{[]string{"Date: ", "Expires: ", "Content-Disposition: "}, mapping.SIPMessage{ContentType: "text/plain"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBridge(processed)
			_, m := memUA(t, testConfig(), b)
			time.Sleep(time.Minute)
			m.in <- fromMem("z9hG4bKa", tt.edits...)
			synctest.Wait()
			if b.count() != 1 {
				t.Fatalf("%q: %d messages, %q", tt.edits, b.count(), m.all()[0].data)
			}
			got := b.first()
			if got.ContentType != tt.want.ContentType || got.Encoding != tt.want.Encoding || got.Disposition != tt.want.Disposition ||
				!got.Date.Equal(tt.want.Date) || got.Expires != tt.want.Expires {
				t.Errorf("%q:\n got %+v\nwant %+v", tt.edits, *got, tt.want)
			}
			if !got.Received.Equal(time.Now()) {
				t.Errorf("received %v, it is %v", got.Received, time.Now())
			}
			time.Sleep(time.Minute) // another read has another time
			m.in <- fromMem("z9hG4bKb")
			synctest.Wait()
			if got := b.requests[1]; !got.Received.Equal(time.Now()) {
				t.Errorf("the second was received %v, it is %v", got.Received, time.Now())
			}
		})
	}
}

// TestBadBytes: what is not UTF-8 or not one line is marked, not lost (CT-10).
func TestBadBytes(t *testing.T) {
	b := newBridge(processed)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "udp")
	p.Request(addr(u, "udp"), message("udp", "Subject: caf\xe9\tau  lait", "From: \"Rom\xe9o\" <sip:romeo@example.net>;tag=x"))
	if m := b.first(); m.Subject != "caf\ufffd au  lait" || m.Name != "Rom\ufffdo" {
		t.Errorf("subject %q, name %q", m.Subject, m.Name)
	}
}

// TestOutcomes: what a sender is answered for each outcome (IM-56, SIP-30, ERR-07).
func TestOutcomes(t *testing.T) {
	moved := &mapping.Failure{Status: 302, Alternate: "sip:romeo@verona.example"}
	evil := &mapping.Failure{Status: 302, Reason: "Moved\r\nX: y", Alternate: "sip:a@b>\r\nEvil: 1", Warning: "399 a \"b\"\r\nEvil: 2"}
	odd := &mapping.Failure{Status: 404, Reason: "Not\r\nX: y", Alternate: "sip:a@b", Warning: "399"}
	warned := &mapping.Failure{Status: 480, Warning: `380 "SIPS Not Allowed"`}
	over := mapping.FailOverloaded(3e9)
	notOver := mapping.FailForbidden()
	notOver.RetryAfter = 1e9
	tests := []struct {
		o    mapping.Outcome
		want string
		has  string
	}{
		{mapping.Outcome{Kind: mapping.Processed}, "SIP/2.0 202 Accepted", ""},
		{mapping.Outcome{Kind: mapping.Unknown}, "SIP/2.0 202 Accepted", ""},
		{mapping.Outcome{Kind: mapping.NotWritten}, "SIP/2.0 503 Service Unavailable", ""},
		{mapping.Outcome{Kind: mapping.Refused, Failure: mapping.FailNotServed()}, "SIP/2.0 404 Not Found", ""},
		{mapping.Outcome{Kind: mapping.Refused, Failure: mapping.FailUnsupportedType()}, "SIP/2.0 415 Unsupported Media Type", "Accept: " + mapping.AcceptTypes},
		{mapping.Outcome{Kind: mapping.Refused, Failure: over}, "SIP/2.0 503 Service Unavailable", "Retry-After: 3"},
		{mapping.Outcome{Kind: mapping.Refused, Failure: notOver}, "SIP/2.0 403 Forbidden", "-Retry-After"},
		{mapping.Outcome{Kind: mapping.Bounced, Failure: moved}, "SIP/2.0 302 Moved Temporarily", "Contact: <sip:romeo@verona.example>"},
		{mapping.Outcome{Kind: mapping.Bounced, Failure: evil}, "SIP/2.0 480 Temporarily Unavailable", "-Evil"}, // no address, no redirect
		{mapping.Outcome{Kind: mapping.Bounced, Failure: odd}, "SIP/2.0 404 Not X: y", "-Evil"},
		{mapping.Outcome{Kind: mapping.Refused, Failure: warned}, "SIP/2.0 480 Temporarily Unavailable", `Warning: 380 127.0.0.1 "SIPS Not Allowed"`},
	}
	for _, network := range []string{"udp", "tcp"} {
		next := make(chan mapping.Outcome, 1)
		b := newBridge(func(*mapping.SIPMessage) mapping.Outcome { return <-next })
		cfg := testConfig()
		cfg.Accept = 202
		u := start(t, cfg, b)
		p := siptest.Listen(t, network)
		for _, tt := range tests {
			next <- tt.o
			res := p.Request(addr(u, network), message(network))
			if res.First != tt.want {
				t.Errorf("%s: %v: %q, want %q", network, tt.o.Kind, res.First, tt.want)
			}
			name, value, _ := strings.Cut(tt.has, ": ")
			switch {
			case strings.HasPrefix(name, "-"):
				if res.Get(name[1:]) != "" || res.Get("Contact") != "" {
					t.Errorf("%s: has %v", network, res.Fields)
				}
			case res.Get(name) != value:
				t.Errorf("%s: %s is %q, want %q", network, name, res.Get(name), value)
			}
		}
	}
}

// TestCancel: a CANCEL for a MESSAGE, pending or answered, is accepted and changes
// nothing (SIP-19).
func TestCancel(t *testing.T) {
	b := newBridge(nil)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "tcp")
	branch := fresh()
	p.Send(addr(u, "tcp"), siptest.Text("hi", lines("tcp", branch)...))
	b.wait(func() bool { return len(b.refs) == 1 })
	res := p.Request(addr(u, "tcp"), siptest.Text("", lines("tcp", branch, "CANCEL sip:juliet@example.com SIP/2.0", "CSeq: 1 CANCEL")...))
	if res.Status() != 200 || res.Method() != "CANCEL" {
		t.Fatalf("CANCEL: %s", res.First)
	}
	u.Answer([]mapping.Result{{Ref: b.refs[0], Outcome: mapping.Outcome{Kind: mapping.Refused, Failure: mapping.FailNotServed()}}})
	if res := p.Finals(branch, 2)[1]; res.Status() != 404 || res.Method() != "MESSAGE" {
		t.Errorf("MESSAGE: %s", res.First)
	}
}

func TestCancelTooLate(t *testing.T) {
	b := newBridge(processed)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "udp")
	branch := fresh()
	p.Request(addr(u, "udp"), siptest.Text("hi", lines("udp", branch)...))
	p.Send(addr(u, "udp"), siptest.Text("", lines("udp", branch, "CANCEL sip:juliet@example.com SIP/2.0", "CSeq: 1 CANCEL")...))
	if res := p.Finals(branch, 2)[1]; res.Status() != 200 || res.Method() != "CANCEL" {
		t.Errorf("CANCEL: %s", res.First)
	}
}
