package sipside

import (
	"bytes"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// The whole way of what comes in: from the socket to the handler and back to the bytes of
// the answer. Fuzzers of single steps are in fuzz_test.go, wsframes_test.go and others.

// datagramEnd separates the datagrams of one fuzzer's input.
const datagramEnd = "\x00\x00"

// listIO gives datagrams, one in each read.
type listIO struct {
	list [][]byte
	from netip.AddrPort
}

func (l *listIO) read(into []packet) (int, error) {
	if len(l.list) == 0 {
		return (&onceIO{done: true}).read(nil)
	}
	into[0].b = into[0].b[:copy(into[0].b, l.list[0])]
	into[0].to = l.from
	l.list = l.list[1:]
	return 1, nil
}
func (l *listIO) write(p []packet) (int, error) { return len(p), nil }
func (l *listIO) close() error                  { return nil }

// take gives datagrams to s and returns what it answers.
func take(s *udpSocket, from netip.AddrPort, list ...[]byte) []packet {
	s.io, s.queue = &listIO{slices.Clone(list), from}, nil
	s.serve()
	return s.queue
}

// fuzzOutcomes are what may become of a request.
var fuzzOutcomes = []mapping.Outcome{
	{Kind: mapping.Processed}, {Kind: mapping.Unknown}, {Kind: mapping.Uncertain},
	{Kind: mapping.Bounced, Failure: mapping.FailBusy(3)},
	{Kind: mapping.Refused, Failure: mapping.FailUnsupportedType()},
	{Kind: mapping.Refused, Failure: mapping.FailTooLarge(0)},
	{Kind: mapping.NotWritten, Failure: mapping.FailOverloaded(2 * time.Second)},
	{Kind: mapping.Answered, Status: 200, Event: &mapping.EventAnswer{Tag: "ours", Expires: 60, ETag: "e", Contact: mapping.URI{User: "a>\r\nb", GR: "x\"y"}}},
	{Kind: mapping.Refused, Failure: mapping.FailTooBrief(), Event: &mapping.EventAnswer{Expires: mapping.NoExpires, MinExpires: 60}},
	{Kind: mapping.Refused, Failure: mapping.FailEvent()},
	{Kind: mapping.Refused, Failure: mapping.FailNoForm()},
}

// statusOf is the status that a request gets for an outcome; about says that it is one about
// events.
func statusOf(o mapping.Outcome, about bool, accept int) int {
	status, _ := o.Final(accept)
	switch {
	case !about && (status == 423 || status == 489): // without what it has to say
		return 400
	case about && status == 202, about && o.Kind == mapping.Answered:
		return 200
	}
	return status
}

// answersTo checks that response is one to a request that is in its strictest form: it
// repeats what it has to, as it came (RFC 3261 §8.2.6.2).
func answersTo(t *testing.T, raw []byte, res *siptest.Message) {
	t.Helper()
	req, _, err := siptest.Parse(raw)
	if err != nil || req.Status() != 0 {
		return // not by the letter: it may be read in another way
	}
	for _, f := range req.Fields {
		// A compact form is repeated under the long name, and a control character not at all.
		if len(f.Name) == 1 || hasControl(f.Name+f.Value) || strings.Contains(f.Value, "\t") {
			return
		}
	}
	for _, name := range []string{"From", "Call-ID", "CSeq"} {
		if all := req.All(name); len(all) == 1 && res.Get(name) != all[0] && res.Get(name) != "" {
			t.Errorf("%s: %q, and in the answer %q", name, all[0], res.Get(name))
		}
	}
	asked, said := slices.DeleteFunc(req.All("Via"), func(s string) bool { return strings.TrimSpace(s) == "" }), res.All("Via")
	if len(asked) != len(said) || !slices.Equal(asked[1:], said[1:]) {
		t.Errorf("Via: %q, and in the answer %q", asked, said)
	}
}

// asksLogin in the kind of an input: nobody's requests are asked who they are of.
const asksLogin = 0x80

// FuzzDatagrams: any datagrams from a peer and from anybody else, in any order.
//
//   - Each gets one answer at most, which a strict parser reads, and which goes to the
//     address it came from.
//   - A request that is handed over can be answered, once; a copy of it then gets the same
//     answer and is not handed over again.
//   - Of a stranger nothing is handed over, and no answer is much longer than what it sent.
//   - At the end nothing is pending.
//
// The same where peers may log in.
func FuzzDatagrams(f *testing.F) {
	all := seeds()
	for i, s := range all {
		f.Add([]byte(s), i%2 == 0, uint8(i))
		f.Add([]byte(s+datagramEnd+all[(i+1)%len(all)]+datagramEnd+s), false, uint8(i))
	}
	for _, c := range crowds {
		f.Add([]byte(message("udp", c.header(c.most+1))), false, uint8(0))
	}
	f.Add([]byte(message("udp", "Via: SIP/2.0/UDP a;branch=z9hG4bKx"+strings.Repeat(";rport", 500))), true, uint8(0))
	for i, authorization := range []string{
		`Digest username="branch", realm="example.net", nonce="n", uri="sip:juliet@example.com", response="r", qop=auth, nc=00000001, cnonce="c"`,
		"Digest " + strings.Repeat(`realm="example.net",`, 50), "Basic YnJhbmNoOng=",
	} {
		f.Add([]byte(message("udp", "Authorization: "+authorization)), true, uint8(i))
		f.Add([]byte(message("udp", "Authorization: "+authorization)), true, uint8(i)|asksLogin)
	}
	closed, asking := fuzzUA(f), fuzzUAWith(f, loginConfig())
	f.Fuzz(func(t *testing.T, in []byte, strange bool, kind uint8) {
		u := closed
		if kind&asksLogin != 0 {
			u = asking
		}
		b := newBridge(nil) // which answers nothing by itself
		b.ua, u.handler = u, b
		s := newUDPSocket(u, nil, netip.MustParseAddrPort("127.0.0.1:5060"))
		// Each run is one of a daemon that has just begun.
		u.server.mu.Lock()
		u.server.answered = answered{}
		u.server.mu.Unlock()
		u.strangers.mu.Lock()
		u.strangers.answered = tally{} // or hardly one of them would be answered
		u.strangers.mu.Unlock()
		list := bytes.Split(in, []byte(datagramEnd))
		for i, d := range list {
			list[i] = d[:min(len(d), 65507)]
		}
		from := netip.MustParseAddrPort("127.0.0.1:65535")
		if strange {
			from = netip.MustParseAddrPort("198.51.100.7:65535")
		}
		check := func(raw []byte, out []packet) *siptest.Message {
			if len(out) > 1 {
				t.Fatalf("%d answers to one datagram", len(out))
			}
			if len(out) == 0 {
				return nil
			}
			if out[0].to.Addr() != from.Addr() {
				t.Errorf("the answer goes to %v", out[0].to)
			}
			if strange && len(out[0].b) > len(raw)+600 { // what our answers have of their own
				t.Errorf("%d bytes for %d of a stranger", len(out[0].b), len(raw))
			}
			m := responses(t, out[0].b)[0]
			answersTo(t, bytes.TrimLeft(raw, "\r\n"), m)
			return m
		}
		of := make(map[any][]byte) // the datagrams of what was handed over
		for _, d := range list {
			before := len(b.refs)
			out := take(s, from, d)
			check(d, out)
			if n := len(b.refs) - before; n > 1 || n == 1 && len(out) > 0 {
				t.Fatalf("handed over %d times, %d answers", n, len(out))
			} else if n == 1 {
				of[b.refs[before]] = d
			}
		}
		if strange && len(b.refs) > 0 {
			t.Fatal("a stranger's request was handed over")
		}
		refs := b.refs
		for i, ref := range refs {
			outcome := fuzzOutcomes[(int(kind)+i)%len(fuzzOutcomes)]
			s.queue = nil
			u.Answer([]mapping.Result{{Ref: ref, Outcome: outcome}, {Ref: ref, Outcome: outcome}})
			if len(s.queue) != 1 {
				t.Fatalf("%d answers to what was answered", len(s.queue))
			}
			first := s.queue[0]
			status := statusOf(outcome, ref.(*serverTx).event != "", u.cfg.Accept)
			m, req := check(of[ref], s.queue), b.requests[i]
			if n, _, ok := parseCSeq(m.Get("CSeq")); m.Status() != status || !strings.Contains(m.Get("To"), ";tag=") || m.Get("Call-ID") != req.CallID || !ok || n != req.CSeq {
				t.Errorf("%+v is answered %+v", req, m)
			}
			again := take(s, from, of[ref])
			if len(again) != 1 || !bytes.Equal(again[0].b, first.b) || again[0].to != first.to {
				t.Errorf("a copy is answered %+v, not %q", again, first.b)
			}
		}
		if len(b.refs) != len(refs) {
			t.Error("a copy was handed over")
		}
		if n := len(u.server.pending); n > 0 || u.current().peers.loopback.share.pending > 0 {
			t.Errorf("%d are pending, %d of the peer", n, u.current().peers.loopback.share.pending)
		}
		if u.stats.Panics.Load() > 0 {
			t.Fatal("a panic was caught")
		}
	})
}

// feedLink is feed for WebSocket: b are frames.
func (u *UA) feedLink(b []byte, chunk int) []byte {
	c := &chunkConn{r: bytes.NewReader(b), chunk: chunk}
	l := &link{Conn: c, kind: locate.WS}
	l.become(newWSConn(c, c, ws.StateServerSide, u.limits))
	return u.feedConn(l)
}

// FuzzWebSocket: any bytes after the opening of a WebSocket connection, however they are
// cut. All that is said is frames of a server, the messages in them are answers that can be
// read, there is at most one close, at the end, and none of it depends on the cuts.
func FuzzWebSocket(f *testing.F) {
	for i, s := range seeds() {
		text := ws.NewTextFrame([]byte(s))
		f.Add(masked(text), uint16(7))
		if i%4 == 0 {
			cut := len(s) / 2
			f.Add(masked(ws.NewFrame(ws.OpBinary, false, []byte(s[:cut])), ws.NewPingFrame([]byte("x")), ws.NewFrame(ws.OpContinuation, true, []byte(s[cut:])),
				text, ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "bye")), text), uint16(1))
		}
	}
	f.Add(masked(ws.NewTextFrame([]byte("\r\n\r\n")), ws.NewTextFrame(nil), ws.NewPongFrame(nil)), uint16(3))
	f.Add([]byte{0x81, 0x02, 'h', 'i'}, uint16(1))
	u := fuzzUA(f)
	f.Fuzz(func(t *testing.T, b []byte, chunk uint16) {
		var distinct [2][]string
		for i, n := range []int{1 << 20, int(chunk)%1500 + 1} {
			frames, err := framesOf(bytes.NewReader(u.feedLink(b, n)))
			if err != nil && err != io.ErrUnexpectedEOF {
				t.Fatal(err)
			}
			var said []string
			for j, fr := range frames {
				if fr.Header.Masked || !fr.Header.Fin {
					t.Fatalf("%+v is no frame of ours", fr.Header)
				}
				switch fr.Header.OpCode {
				case ws.OpClose:
					if j != len(frames)-1 {
						t.Error("something follows a close")
					}
				case ws.OpText, ws.OpBinary:
					for _, m := range responses(t, fr.Payload) {
						// As in FuzzStream: what the copies of one request have of their own may differ.
						to := m.Get("To")
						said = append(said, m.First+to[max(strings.LastIndex(to, ";tag="), 0):])
					}
				}
			}
			slices.Sort(said)
			distinct[i] = slices.Compact(said)
		}
		if !slices.Equal(distinct[0], distinct[1]) {
			t.Errorf("in one piece %q\ncut at %d %q", distinct[0], chunk, distinct[1])
		}
		if u.stats.Panics.Load() > 0 {
			t.Fatal("a panic was caught")
		}
	})
}
