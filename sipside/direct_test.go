package sipside

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// A message is read in one of two ways (direct.go). What becomes of it is the same.

// twin is a UA and what came of what it was given.
type twin struct {
	u    *UA
	b    *bridge
	s    *udpSocket
	told []mapping.Result
}

func (w *twin) FromSIP(batch []mapping.Parcel[mapping.SIP]) { w.b.FromSIP(batch) }
func (w *twin) SIPOutcomes(batch []mapping.Result)          { w.told = append(w.told, batch...) }

// twins are two UAs that differ only in that one reads what it can from its bytes, and the
// other has the parser read everything.
func twins(tb testing.TB, cfg Config) (direct, parser *twin) {
	cfg.Routes = []Route{{Domain: "example.org", Via: mapping.URI{Scheme: "sip", Host: "192.0.2.9"}}}
	var all [2]*twin
	for i := range all {
		w := &twin{u: fuzzUAWith(tb, cfg), b: newBridge(nil)}
		w.u.sentBys = []sentBy{{"gw.example.com", 5060}}
		w.u.SetAccounts([]Account{account("juliet", "provider.example")})
		for _, l := range w.u.lines.byAOR { // as if it were registered where the strangers are
			w.u.lines.settle(l, []netip.Addr{twinStranger.Addr()})
		}
		w.b.ua, w.u.handler = w.u, w
		w.s = newUDPSocket(w.u, nil, netip.MustParseAddrPort("127.0.0.1:5060"))
		w.s.sentBy, w.u.tcpSentBy = "gw.example.com", "gw.example.com"
		all[i] = w
	}
	direct, parser = all[0], all[1]
	parser.s.rd.whole = true
	parser.u.server.keys, parser.u.client.seed = direct.u.server.keys, direct.u.client.seed
	return direct, parser
}

// asked begins a request of that kind, over a stream or UDP, to which {branch} is the branch.
func (w *twin) asked(kind uint8, s *stream, told *[]any) {
	tx := &clientTx{ref: "x", id: twinID, sent: true, stream: s, hop: &hop{}}
	if tx.req = (outRequest{method: methodMessage}); s == nil {
		tx.udp = w.s
	}
	switch kind & 3 {
	case 1:
		tx.req.method = methodOptions
	case 2:
		tx.req.method = methodSubscribe
	case 3:
		tx.done = func(a ownAnswer) { *told = append(*told, a.Outcome, a.fields) }
	}
	w.u.client.open.remove(tx.id)
	w.u.client.open.put(tx)
}

const twinID = 7

var twinStranger = netip.MustParseAddrPort("198.51.100.7:65535")

// twinEnd separates the messages of one input.
const twinEnd = datagramEnd

// seen is all that became of an input: what was handed over, what was answered and told, and
// what was counted.
func (w *twin) seen(in []byte, from netip.AddrPort, kind uint8) (all []any) {
	u, b := w.u, w.b
	u.strangers.mu.Lock()
	u.strangers.answered = tally{} // or hardly one of them would be answered
	u.strangers.mu.Unlock()
	in = bytes.ReplaceAll(in, []byte("{branch}"), []byte(u.client.branch(twinID)))
	b.requests, b.events, b.refs, b.answer = nil, nil, nil, nil
	w.asked(kind, nil, &all)
	for _, d := range bytes.Split(in, []byte(twinEnd)) {
		d = d[:min(len(d), 65507)]
		for _, p := range take(w.s, from, d) {
			all = append(all, p.b, p.to)
		}
		if n := len(b.refs); n > 0 {
			w.s.queue = nil
			u.Answer([]mapping.Result{{Ref: b.refs[n-1], Outcome: fuzzOutcomes[int(kind)%len(fuzzOutcomes)]}})
			for _, p := range append(w.s.queue, take(w.s, from, d)...) { // and to a copy
				all = append(all, p.b, p.to)
			}
		}
	}
	b.answer = processed
	s := newStream(u, &chunkConn{r: bytes.NewReader(in), chunk: int(kind)*16 + 1}, "fuzz")
	s.rd.whole, s.remote, s.rd.source = w.s.rd.whole, from, from
	w.asked(kind, s, &all)
	all = append(all, s.feed())
	for _, m := range b.requests {
		if m.Received.IsZero() {
			all = append(all, "no time")
		}
		m.Received = time.Time{}
		all = append(all, m)
	}
	for _, v := range b.events {
		all = append(all, v)
	}
	for _, r := range append(w.told, u.outbox.list...) {
		all = append(all, r)
	}
	w.told, u.outbox.list = nil, nil
	u.client.open.remove(twinID)
	st := &u.stats
	return append(all, st.Traffic(), st.Malformed.Load(), st.Refused.Load(), st.Strangers.Load(), st.Limited.Load(), st.Unmatched.Load(),
		st.Dropped.Load(), st.Panics.Load(), st.Guesses.Load())
}

// plainSeeds are messages that are plain, or nearly.
func plainSeeds() (all []string) {
	for _, edits := range [][]string{
		nil, {"Via: SIP/2.0/UDP proxy.example.net:5070;branch=z9hG4bKa;rport;x=y=z\r\nVia: SIP/2.0/TCP 192.0.2.7;branch=z9hG4bKb;received=192.0.2.8"},
		{"Via: SIP/2.0/UDP a;branch=1;branch=2"}, {"Via: SIP/2.0/UDP a;rport=5;RPORT;Branch=z9hG4bKc"}, {"Via: SIP/2.0/UDP a:99999;branch=x"}, {"Via: SIP/2.0/UDP a;;branch=x;"},
		{"Via: SIP/2.0/UDP gw.example.com;branch={branch}"}, {"Via: SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bKd"}, {"v: SIP/2.0/UDP a;branch=z9hG4bKe", "-Via"},
		{"MESSAGE sip:juliet@example.com;transport=udp;gr=urn:uuid:x SIP/2.0"}, {"MESSAGE sip:+15551234567@example.com:5060;user=phone SIP/2.0"}, {"MESSAGE sip:* SIP/2.0"},
		{"MESSAGE sip:a@* SIP/2.0"}, {"MESSAGE sip:a@b@c SIP/2.0"}, {"MESSAGE sip:@b SIP/2.0"}, {"MESSAGE sip:a%40b@example.com SIP/2.0"}, {"MESSAGE sip:b:0 SIP/2.0"}, {"MESSAGE sip:b;a=b:c SIP/2.0"},
		{"From: Romeo <sip:romeo@example.net>;tag=x", "Subject: caf\u00e9", "Content-Language: fr, en"}, {"From: \"R, o\" <sip:romeo@example.net>;tag=x"},
		{"From: sip:romeo@example.net;tag=y;z"}, {"From: <sip:romeo@example.net;x=y> ;tag=y"}, {"From: <sip:romeo@example.net>;tag="}, {"To: <sip:juliet@example.com>;tag=t"},
		{"To: <>"}, {"To: <sip:other@example.com>"}, {"Subject: \u00a0x\u0085"}, {"Subject: a\tb"}, {"Subject: \x7f"}, {"Subject:  a  "}, {"Subject:"}, {"Subject : a"}, {"Subject: a\r\nSubject: b"},
		{"P-Asserted-Identity: <sip:nurse@example.net>, <tel:+15551234567>"}, {"P-Asserted-Identity: <sip:nurse@example.net>", "Privacy: id"}, {"Max-Forwards: 0"}, {"Max-Forwards: 256"},
		{"Content-Length: 1"}, {"Content-Length: 3"}, {"Content-Length: 02"}, {"Content-Length: 2\r\nContent-Length: 2"}, {"l: 2"}, {"Content-Type: text/plain", "Date: Thu, 15 Jan 2026 09:50:00 GMT", "Expires: 60"},
		{"-Content-Type"}, {"CSeq: 000000001 MESSAGE"}, {"CSeq: 9999999999 MESSAGE"}, {"CSeq: 2147483648 MESSAGE"}, {"CSeq: 1  MESSAGE"}, {"CSeq: 1 message"}, {"cseq: 1 MESSAGE", "-CSeq"},
		{"Require: x"}, {"Subject: " + strings.Repeat("x", 5000)}, {"X: y" + strings.Repeat("\r\nX: y", 90)}, {"X: y" + strings.Repeat("\r\nX: y", 101)}, {"Contact: a" + strings.Repeat("\r\nContact: a", 50)},
		{"X y: z"}, {": z"}, {"Proxy-Authentication-Info-X: z"}, {"Require: " + strings.Repeat("a,", 70)}, {"Content-Type: text/plain" + strings.Repeat(";a=b", 70)},
	} {
		all = append(all, siptest.Text("hi", lines("udp", "z9hG4bKseed", edits...)...))
	}
	all = append(all, strings.Replace(all[0], "Content-Length: 2\r\n", "", 1), all[0][:len(all[0])-3], all[0][:200], all[0]+"more", all[0]+all[1]+all[0])
	for _, s := range []string{"200 OK", "200 ", "200", "099 x", "700 x", "2000 x", "100 Trying", "180 SIPping", "302 Moved", "415 Unsupported", "404 Not\tFound", "503 Busy\x00", "486 \u0437\u0430\u043d\u044f\u0442\u043e"} {
		for _, more := range []string{"", "\r\nServer: x\r\nAccept: text/plain", "\r\nContact: <sip:a@b>, \"x\" <mailto:c@d>;q=1\r\nWarning: 399 a \"b\"\r\nRetry-After: 5 (x)",
			"\r\n  folded", "\r\nVia: SIP/2.0/UDP b", "\r\nWWW-Authenticate: Digest realm=\"x\"\r\nContent-Length: 5"} {
			all = append(all, twinAnswer(s, more))
		}
	}
	return all
}

// accountSeeds are messages to the contact of an account, or nearly.
var accountSeeds = [][]string{
	{"MESSAGE sip:tok-juliet-provider.example@gw.example.com SIP/2.0", "From: <sip:friend@provider.example>;tag=1"},
	{"MESSAGE SIP:tok-juliet-provider.example@gw.example.com:5060;transport=udp SIP/2.0", "From: <sip:friend@provider.example>;tag=1"},
	{"MESSAGE sip:tok-juliet-provider.example@gw.example.com:5070 SIP/2.0"}, {"MESSAGE sip:tok-juliet-provider.example@example.com SIP/2.0"},
	{"MESSAGE sip:tok-juliet-provider.example SIP/2.0"}, {"MESSAGE sip:tok-juliet-provider.exampl%65@gw.example.com SIP/2.0"},
	{"MESSAGE sip:tok-juliet-provider.example@gw.example.com SIP/2.0", "From: <sip:romeo@example.com>;tag=1"},
	{"OPTIONS sip:tok-juliet-provider.example@gw.example.com SIP/2.0", "CSeq: 1 OPTIONS"},
	{"SUBSCRIBE sip:tok-juliet-provider.example@gw.example.com SIP/2.0", "CSeq: 1 SUBSCRIBE", "Event: presence", "Contact: <sip:a@b>", "From: <sip:friend@provider.example>;tag=1"},
}

// twinAnswer is a response to the request that is open, with more headers.
func twinAnswer(status, more string) string {
	return "SIP/2.0 " + status + "\r\nVia: SIP/2.0/UDP gw.example.com;branch={branch}\r\nFrom: <sip:a@b>;tag=c\r\nTo: <sip:d@e>;tag=f\r\n" +
		"Call-ID: g\r\nCSeq: 1 MESSAGE" + more + "\r\nContent-Length: 0\r\n\r\n"
}

// FuzzDirect: any messages, over UDP and over a connection, of a peer or of nobody. Both ways
// come to the same, to the byte.
func FuzzDirect(f *testing.F) {
	plain := plainSeeds()
	for i, s := range slices.Concat(plain, seeds()) {
		f.Add([]byte(s), i%7 == 0, uint8(i))
		f.Add([]byte(s+twinEnd+plain[i%len(plain)]+twinEnd+s), false, uint8(i*7))
	}
	for i, c := range tortureAnswers {
		bad := strings.NewReplacer(c.edits...).Replace(twinAnswer(cmp.Or(c.status, "200 OK"), ""))
		f.Add([]byte(bad+twinEnd+twinAnswer("200 OK", "")), false, uint8(i*4))
	}
	for _, edits := range accountSeeds {
		f.Add([]byte(siptest.Text("hi", lines("udp", "z9hG4bKseed", edits...)...)), true, uint8(0))
		f.Add([]byte(siptest.Text("hi", lines("udp", "z9hG4bKseed", edits...)...)), false, uint8(0))
	}
	direct, parser := twins(f, testConfig())
	f.Fuzz(func(t *testing.T, in []byte, strange bool, kind uint8) {
		from := netip.MustParseAddrPort("127.0.0.1:65535")
		if strange {
			from = twinStranger
		}
		got, want := direct.seen(in, from, kind), parser.seen(in, from, kind)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q\nfrom its bytes %s\nby the parser %s", in, show(got), show(want))
		}
	})
}

// show writes what was seen for a person to read.
func show(all []any) string {
	var b strings.Builder
	for _, v := range all {
		switch v := v.(type) {
		case []byte:
			fmt.Fprintf(&b, "\n\t%q", v)
		case mapping.Result:
			fmt.Fprintf(&b, "\n\t%+v %+v", v, v.Outcome.Failure)
		default:
			fmt.Fprintf(&b, "\n\t%+v", v)
		}
	}
	return b.String()
}

// TestDirectTakes: what is read from its bytes, and that all else is left alone.
func TestDirectTakes(t *testing.T) {
	direct, parser := twins(t, testConfig())
	login, _ := twins(t, loginConfig())
	peer, stranger := netip.MustParseAddrPort("127.0.0.1:9"), netip.MustParseAddrPort("198.51.100.7:9")
	good := siptest.Text("hi", lines("udp", "z9hG4bKx")...)
	answer := "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP gw.example.com;branch=z9hG4bKx\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"
	with := func(edits ...string) string { return siptest.Text("hi", lines("udp", fresh(), edits...)...) }
	for _, c := range []struct {
		what, text string
		from       netip.AddrPort
		takes      bool
	}{
		{"a good one", good, peer, true},
		{"the same without a length", strings.Replace(good, "Content-Length: 2\r\n", "", 1), peer, true},
		{"one with more behind it", good + "x", peer, true},
		{"a bad one", with("-Call-ID"), peer, true},
		{"compact forms, other letters", with("-From", "-CSeq", "f: <sip:romeo@example.net>;tag=x", "CSEQ: 1 MESSAGE"), peer, true},
		{"many Vias", with("Via: SIP/2.0/UDP a;branch=b, SIP/2.0/UDP c" + strings.Repeat("\r\nVia: SIP/2.0/UDP d", 10)), peer, true},
		{"an answer", answer, peer, true},
		{"an answer of anybody", answer, stranger, true},
		{"a stranger's", good, stranger, true},
		{"another method", strings.ReplaceAll(good, "MESSAGE", "OPTIONS"), peer, false},
		{"no method of ours", strings.ReplaceAll(good, "MESSAGE", "message"), peer, false},
		{"another version", with("MESSAGE sip:juliet@example.com SIP/3.0"), peer, false},
		{"another scheme", with("MESSAGE sips:juliet@example.com SIP/2.0"), peer, false},
		{"a folded line", with("Subject: a\r\n b"), peer, false},
		{"a tab", with("Subject: a\tb"), peer, false},
		{"a control character", with("Subject: a\x01b"), peer, false},
		{"a bare LF", strings.Replace(good, "\r\n", "\n", 3), peer, false},
		{"a space before a colon", with("Subject : a"), peer, false},
		{"no colon", with("Subject"), peer, false},
		{"two lengths", with("Content-Length: 2\r\nl: 2"), peer, false},
		{"less than its length", with("Content-Length: 3"), peer, false},
		{"no end", good[:200], peer, false},
		{"a long one", with("Subject: " + strings.Repeat("x", maxPlain)), peer, false},
		{"too many headers", with("X: y" + strings.Repeat("\r\nX: y", maxRows)), peer, false},
		{"an answer of another version", strings.Replace(answer, "2.0 200", "3.0 200", 1), peer, false},
		{"an answer without a status", strings.Replace(answer, "200", "2x0", 1), peer, false},
	} {
		if n := direct.s.rd.direct([]byte(c.text), c.from); n > 0 != c.takes || n > len(c.text) || n > 0 && !strings.Contains(c.text[:n], "\r\n\r\n") {
			t.Errorf("%s: takes %d bytes of %d", c.what, n, len(c.text))
		}
		if n := login.s.rd.direct([]byte(c.text), stranger); n > 0 && !strings.HasPrefix(c.text, "SIP/") {
			t.Errorf("%s: it may be of somebody who logs in, and takes %d bytes", c.what, n)
		}
		if n := parser.s.rd.direct([]byte(c.text), c.from); n != 0 {
			t.Errorf("%s: what is left to the parser takes %d bytes", c.what, n)
		}
	}
}

// FuzzPlainValues: what is read in its usual form reads the same in any.
func FuzzPlainValues(f *testing.F) {
	for _, s := range []string{"SIP/2.0/UDP a:5060;branch=z9hG4bKx;rport", "SIP/2.0/TCP 192.0.2.9;rport;branch=x=y;z", "SIP/2.0/UDP 192.0.2.4;rport=1", "SIP/2.0/UDP a;branch", "SIP/2.0/UDP a;rport;received=1.2.3.4;RPORT=6", "SIP/2.0/UDP a;Received",
		"SIP/2.0/UDP 192.0.2.4;x=[::1]:5;y", "<sip:a@b>;tag=c", "<sip:a@b;x=y:z>", "<sip:a>;tag=x=y", "1 MESSAGE", "012345678 x", "1234567890 x", "a\x00bcdefgh\x7f", "\u0080\x1f\u00ff\x20\x7e"} {
		f.Add(s)
	}
	src := netip.MustParseAddrPort("192.0.2.4:5070")
	f.Fuzz(func(t *testing.T, s string) {
		if v := (via{}); v.plainRow(s) {
			w, ok := parseAnyVia(s)
			if got, want := v.received(src), w.received(src); got != want {
				t.Errorf("%q is returned as %q, and by all rules as %q", s, got, want)
			}
			if v.hasRport() != w.hasRport() || v.stray() != w.stray() {
				t.Errorf("%q: rport %t %t, stray %t %t", s, v.hasRport(), w.hasRport(), v.stray(), w.stray())
			}
			v.plain, v.filled, v.rport, v.at, v.end = false, false, false, 0, 0
			if !ok || v != w {
				t.Errorf("%q is %+v, and by all rules %+v, %t", s, v, w, ok)
			}
		}
		if n := (nameAddr{}); n.plain(s) {
			if m, ok := parseAnyAddr(s); !ok || n != m {
				t.Errorf("%q is %+v, and by all rules %+v, %t", s, n, m, ok)
			}
		}
		if n, method, ok := plainCSeq(s); ok {
			if m, name, ok := parseAnyCSeq(s); !ok || n != m || method != name {
				t.Errorf("%q is %d %q, and by all rules %d %q, %t", s, n, method, m, name, ok)
			}
		}
		for from := range min(len(s), 20) {
			at := from
			for at < len(s) && s[at] >= 0x20 && s[at] != 0x7f {
				at++
			}
			if got := controlAt([]byte(s), from); got != at {
				t.Errorf("%q has a control character at %d, not %d", s, at, got)
			}
		}
	})
}

// TestHeaderNames: a name is known in any letters, and no other name is taken for it.
func TestHeaderNames(t *testing.T) {
	for _, name := range []string{"Via", "Proxy-Authentication-Info", "CSeq", "Subscription-State", "o", "User-Agent"} {
		is := headerOf([]byte(name))
		if is == otherHeader || headerOf([]byte(strings.ToUpper(name))) != is || headerOf([]byte(strings.ToLower(name))) != is {
			t.Errorf("%s is %d, %d in capitals", name, is, headerOf([]byte(strings.ToUpper(name))))
		}
		for _, other := range []string{name + "x", "x" + name, name + "-", "", strings.Repeat("x", 100)} {
			if headerOf([]byte(other)) == is {
				t.Errorf("%q is taken for %s", other, name)
			}
		}
	}
}

// onceBroken is a log that panics when it is given a text for the first time.
type onceBroken struct {
	slog.Handler
	text  string
	broke bool
}

func (h *onceBroken) Enabled(context.Context, slog.Level) bool { return true }
func (h *onceBroken) Handle(_ context.Context, r slog.Record) error {
	if r.Message == h.text && !h.broke {
		h.broke = true
		panic("the log is broken")
	}
	return nil
}

// TestDirectPanic: a fault of ours costs the message that shows it, which gets 500, and no other.
func TestDirectPanic(t *testing.T) {
	direct, parser := twins(t, testConfig())
	for _, w := range []*twin{direct, parser} {
		w.u.log = slog.New(&onceBroken{Handler: slog.DiscardHandler, text: "SIP request refused"})
		w.b.answer = processed
		var got []int
		for _, edit := range []string{"Max-Forwards: 0", "Max-Forwards: 0", "Max-Forwards: 1"} {
			for _, p := range take(w.s, manyFrom, []byte(message("udp", edit))) {
				got = append(got, responses(t, p.b)[0].Status())
			}
		}
		if n := w.u.stats.Panics.Load(); n != 1 || !slices.Equal(got, []int{500, 483, 200}) {
			t.Errorf("answered %v, %d panics", got, n)
		}
	}
}

// TestPeerAt: that the last peer is remembered does not show.
func TestPeerAt(t *testing.T) {
	cfg := testConfig()
	cfg.Peers = []Peer{{Name: "a", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25")}}, {Name: "b", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.128/25")}}}
	cfg.Routes = []Route{{Domain: "example.org", Via: mapping.URI{Scheme: "sip", Host: "proxy.example.org"}}}
	u := fuzzUAWith(t, cfg)
	rd := &reader{u: u}
	who := func(a string) string {
		if p := rd.peerAt(u.current(), netip.MustParseAddr(a)); p != nil {
			return p.name
		}
		return ""
	}
	check := func(want string) {
		t.Helper()
		var got []string
		for _, a := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.200", "198.51.100.1", "192.0.2.200", "127.0.0.1", "198.51.100.1", "198.51.100.1"} {
			got = append(got, who(a))
		}
		if s := strings.Join(got, ","); s != want {
			t.Errorf("%s, want %s", s, want)
		}
	}
	check("a,a,b,,b,loopback,,")
	resolve := func(m map[netip.Addr][]string) { u.current().peers.resolved.Store(&m) }
	resolve(map[netip.Addr][]string{netip.MustParseAddr("198.51.100.1"): {"proxy.example.org"}})
	check("a,a,b,route proxy.example.org,b,loopback,route proxy.example.org,route proxy.example.org")
	resolve(map[netip.Addr][]string{}) // the name leads elsewhere now
	check("a,a,b,,b,loopback,,")
	cfg.Peers[1].Name = "c"
	if err := u.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	check("a,a,c,,c,loopback,,")
}
