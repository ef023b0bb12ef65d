package component

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// script is a connection that reads from a text, some octets at a time.
type script struct {
	net.Conn // nil: nothing else is called
	r        io.Reader
	step     int
}

func (s *script) Read(p []byte) (int, error)      { return s.r.Read(p[:min(len(p), s.step)]) }
func (s *script) SetReadDeadline(time.Time) error { return nil }
func (s *script) SetDeadline(time.Time) error     { return nil }

// readAll feeds text to the reader of a link without a writer, and returns what
// ended it and what it would have written.
func readAll(text []byte, step, limit int, h Handler) (written []byte, err error) {
	return readAllWith(text, step, limit, h, func(*Config) {})
}

// readAllWith is readAll with another configuration.
func readAllWith(text []byte, step, limit int, h Handler, mod func(*Config)) (written []byte, err error) {
	cfg := Config{Server: "x:1", Domain: testDomain, Secret: "s", MaxStanzaBytes: limit, ReplySlots: 1 << 30, ReplyBytes: 1 << 30}
	mod(&cfg)
	c, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	l := &link{cfg: &c.cfg, q: c.q, srv: &c.srv, log: c.log, dead: make(chan struct{}), pingID: "p", up: make(chan struct{}),
		conn: &script{r: bytes.NewReader(text), step: step}}
	l.rd = newReader(l, h)
	if _, err := l.rd.header(); err != nil {
		return nil, err
	}
	c.q.open(l.pingID)
	err = l.rd.run()
	return c.q.buf, err
}

// A deadline that was over just before the link was to be finished does not end it: there is
// time left for what the server has to say.
func TestFinishBehindDeadline(t *testing.T) {
	c, err := New(Config{Server: "x:1", Domain: testDomain, Secret: "s"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l := &link{cfg: &c.cfg, q: c.q, srv: &c.srv, log: c.log, conn: &script{}}
	r := newReader(l, newSink())
	r.watch = true
	reads := 0
	r.read = func(p []byte) (int, error) {
		if reads++; reads == 1 {
			l.finishBy(time.Minute)
			return 0, os.ErrDeadlineExceeded
		}
		return copy(p, "</stream:stream>"), nil
	}
	if n, err := r.fill(make([]byte, 100)); n == 0 || err != nil {
		t.Errorf("read %d octets, %v", n, err)
	}
	l.finishBy(0)
	r.read = func([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }
	if _, err := r.fill(make([]byte, 100)); !isTimeout(err) {
		t.Errorf("when the time is over: %v, want a timeout", err)
	}
}

const streamHeader = `<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' from='sip.example.com' id='1'>`

// FuzzReader: any octets after the handshake. No panic, no endless loop; what was
// good in front of them is handed over; nothing handed over is larger than the
// limit; what is answered is well-formed (SEC-20, SEC-26).
func FuzzReader(f *testing.F) {
	for _, s := range []string{
		"", " ", "</stream:stream>", "x", "<", "<a/>", "<message/>", "<iq/>", "<presence/>",
		`<iq type='get' id='1' from='a@b' to='sip.example.com'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>`,
		`<message type='error' from='a@b' to='c@sip.example.com'><error><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>x</gone></error></message>`,
		`<presence><priority>foo</priority></presence>`, `<message><x xmlns='y'><message xmlns='jabber:component:accept'/></x></message>`,
		`<message from='a@b/&lt;&apos;' to='sip.example.com' id='&quot;&#10;'><body>x</body></message>`,
		`<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>`,
		`<message from='a@b/c' to='d@sip.example.com'><delay xmlns='urn:xmpp:delay' stamp='2026-01-15T09:00:00.5+01:00'/><x xmlns='jabber:x:delay' stamp='20020910T23:08:25'/><x xmlns='jabber:x:oob'><url>https://e.example/</url><url/></x></message>`,
		`<message from='a@b/c' to='d@sip.example.com'><body>b</body><encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:omemo:2'/><encrypted xmlns='urn:xmpp:omemo:2'><payload/></encrypted><openpgp xmlns='urn:xmpp:openpgp:0'/></message>`,
		`<message from='a@b/c' to='d@sip.example.com'><reactions xmlns='urn:xmpp:reactions:0'/><body>+1</body><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reactions:0'><body start='0' end='9'/></fallback></message>`,
		`<!DOCTYPE x>`, `<!-- -->`, `<?xml version='1.0' encoding='latin1'?>`, "<a>\xff</a>", `<a>&x;</a>`, `<![CDATA[`, strings.Repeat("<a>", 300),
	} {
		f.Add([]byte(s))
	}
	const limit = 2048
	good := []byte(`<message from='juliet@example.com' to='romeo@sip.example.com' id='g'><body>good</body></message>`)
	f.Fuzz(func(t *testing.T, garbage []byte) {
		text := bytes.Join([][]byte{[]byte(streamHeader), good, good, garbage}, nil)
		h := newSink()
		written, err := readAll(text, 1+len(garbage)%1000, limit, h)
		if err == nil {
			t.Fatal("the reader ended without a cause")
		}
		if len(h.messages) < 2 || h.messages[0].ID != "g" || h.messages[1].ID != "g" {
			t.Fatalf("the good messages are missing: %v", h.messages)
		}
		for _, m := range h.messages {
			size := len(m.ID) + len(m.Thread)
			for _, b := range m.Bodies {
				size += len(b.Value)
			}
			for _, u := range m.URLs {
				size += len(u)
			}
			if !hasText(m.Bodies) && len(m.URLs) == 0 && !m.Encrypted {
				t.Errorf("a message that says nothing was handed over: %+v", m)
			}
			if size > limit {
				t.Errorf("a message of %d octets was handed over", size)
			}
		}
		d := xml.NewDecoder(bytes.NewReader(written))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("written %q: %v", written, err)
			}
		}
		// The same octets one by one: where a read ends makes no difference.
		again := newSink()
		written2, err2 := readAll(text, 1, limit, again)
		if len(again.messages) != len(h.messages) || !bytes.Equal(written, written2) || err.Error() != err2.Error() {
			t.Errorf("octet by octet: %d messages, %v; else %d, %v", len(again.messages), err2, len(h.messages), err)
		}
	})
}

// Batches end where a read ends, or at maxBatch; a stanza that is cut in two does
// not hold up those in front of it.
func TestBatches(t *testing.T) {
	one := `<message from='juliet@example.com' to='romeo@sip.example.com'><body>x</body></message>`
	for _, tt := range []struct {
		n    int
		tail string
		want []int
	}{
		{3, "", []int{3}},
		{3, `<message from='x`, []int{3}},
		{maxBatch + 5, "", []int{maxBatch, 5}},
	} {
		h := newSink()
		_, err := readAll([]byte(streamHeader+strings.Repeat(one, tt.n)+tt.tail), 1<<20, 1<<16, h)
		if !errors.Is(err, io.EOF) {
			t.Errorf("ended by %v", err)
		}
		if len(h.batches) != len(tt.want) {
			t.Errorf("%d messages and %q: batches %v, want %v", tt.n, tt.tail, h.batches, tt.want)
			continue
		}
		for i := range tt.want {
			if h.batches[i] != tt.want[i] {
				t.Errorf("%d messages and %q: batches %v, want %v", tt.n, tt.tail, h.batches, tt.want)
			}
		}
	}
}

// White space between stanzas costs nothing, however much of it comes.
func TestEndlessWhitespace(t *testing.T) {
	h := newSink()
	text := streamHeader + strings.Repeat(" \n", 1<<16) + `<message from='juliet@example.com' to='romeo@sip.example.com'><body>x</body></message>`
	_, err := readAll([]byte(text), 4096, 512, h)
	if !errors.Is(err, io.EOF) || len(h.messages) != 1 {
		t.Errorf("%d messages, %v", len(h.messages), err)
	}
}

func BenchmarkReader(b *testing.B) {
	one := `<message from='juliet@example.com/balcony' to='romeo@sip.example.com' id='abcdef' type='chat'><body>` + strings.Repeat("x", 100) + `</body></message>`
	text := []byte(streamHeader + strings.Repeat(one, 1000))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readAll(text, 1<<20, 1<<16, discard{}); !errors.Is(err, io.EOF) {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/stanza")
}

func BenchmarkAppendMessage(b *testing.B) {
	m := message("abcdef", strings.Repeat("x", 100))
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = appendValue(buf[:0], m, testDomain, 1<<20)
	}
}

type discard struct{}

func (discard) FromXMPP([]mapping.XMPP)       {}
func (discard) XMPPOutcomes([]mapping.Result) {}
