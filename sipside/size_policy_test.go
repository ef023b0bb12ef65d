package sipside

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// IM-62, IM-30, IM-31: what becomes of a request for its size, by route and transport.
// Nothing of more than 1300 bytes goes over UDP or without a route.
func TestFit(t *testing.T) {
	const body = 5000 // of which each request has so much
	route := func(size string, limit int) *hop {
		r := &Route{Size: size, MaxBytes: limit}
		return &hop{route: r, rule: r}
	}
	noVia := func(size string, limit int) *hop { return &hop{rule: &Route{Size: size, MaxBytes: limit}} }
	for _, c := range []struct {
		name   string
		hop    *hop
		n      int
		stream bool
		want   string // udp, tcp, "limit n" or "room n"
	}{
		{"no route, short", &hop{}, 1300, false, "udp"},
		{"no route, short, over TCP", &hop{}, 1300, true, "tcp"},
		{"no route", &hop{}, 1301, false, "limit 1300"},
		{"no route, over TCP", &hop{}, 1301, true, "limit 1300"},
		{"no via", noVia("", 0), 1301, true, "limit 1300"},
		{"no via, a higher limit", noVia("tcp", 9000), 1301, true, "limit 1300"},
		{"no via, a lower limit", noVia("tcp", 900), 901, false, "limit 900"},
		{"no via, split", noVia("split", 0), 6000, false, "room 300"},
		{"no via, reject", noVia("reject", 0), 6000, true, "limit 1300"},

		{"short", route("", 0), 1300, false, "udp"},
		{"default", route("", 0), 1301, false, "tcp"},
		{"tcp", route("tcp", 0), 65536, false, "tcp"},
		{"tcp, too long", route("tcp", 0), 65537, false, "limit 65536"},
		{"tcp, limit", route("tcp", 2000), 2000, false, "tcp"},
		{"tcp, beyond the limit", route("tcp", 2000), 2001, false, "limit 2000"},
		{"tcp, a low limit", route("tcp", 1000), 1001, false, "limit 1000"},
		{"reject, short", route("reject", 0), 1300, false, "udp"},
		{"reject", route("reject", 0), 1301, false, "limit 1300"},
		{"reject, a limit that UDP does not have", route("reject", 9000), 1301, false, "limit 1300"},
		{"reject, a low limit", route("reject", 1000), 1001, false, "limit 1000"},
		{"split, short", route("split", 0), 1300, false, "udp"},
		{"split", route("split", 0), 5400, false, "room 900"},
		{"split, a limit that UDP does not have", route("split", 9000), 5400, false, "room 900"},
		{"split, a low limit", route("split", 1000), 5400, false, "room 600"},
		{"split, headers alone are too long", route("split", 300), 5400, false, "limit 300"},

		{"over TCP", route("", 0), 65536, true, "tcp"},
		{"over TCP, too long", route("", 0), 65537, true, "limit 65536"},
		{"over TCP, reject", route("reject", 0), 65536, true, "tcp"},
		{"over TCP, reject beyond the limit", route("reject", 2000), 2001, true, "limit 2000"},
		{"over TCP, split", route("split", 0), 65536, true, "tcp"},
		{"over TCP, split beyond the limit", route("split", 5300), 5400, true, "room 4900"},
	} {
		tcp, room, f := c.hop.fit(c.n, body, c.stream, false)
		got := map[bool]string{false: "udp", true: "tcp"}[tcp]
		switch {
		case f != nil && f.Remedy == "":
			t.Errorf("%s: no remedy", c.name)
		case room > 0 && f != nil && f.Status == 413:
			got = fmt.Sprint("room ", room)
		case f != nil && f.Condition == mapping.CondPolicyViolation && f.Type == mapping.TypeModify:
			got = "limit " + strings.Fields(f.Text)[5]
		case f != nil || room != 0:
			got = fmt.Sprint(room, f)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// IM-62: the room that is told is the room that there is: a body of that length goes, and
// a longer one does not.
func TestRoom(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		p := siptest.Listen(t, network)
		p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
		cfg := testConfig()
		cfg.Routes = []Route{{Domain: "*", Size: SizeSplit, MaxBytes: 1200,
			Via: mapping.URI{Scheme: "sip", Host: "127.0.0.1", Port: p.Addr().Port(), Transport: network}}}
		b := newBridge(nil)
		u := start(t, cfg, b)
		m := outgoing(p, 1)
		m.RequestURI = mapping.URI{Scheme: "sip", User: "romeo", Host: "example.net"}
		m.Body = bytes.Repeat([]byte("x"), 5000)
		u.Deliver(parcel("long", m))
		o := b.outcome("long")
		if o.Kind != mapping.NotWritten || o.Failure == nil || o.Failure.Status != 413 || o.Room <= 0 {
			t.Fatalf("%s: %+v", network, o)
		}
		// The length of the body has a digit less in a part, so one byte is left over.
		for _, more := range []int{2, 0} {
			part := *m
			part.Body = m.Body[:o.Room+more]
			ref := fmt.Sprint(more)
			u.Deliver(parcel(ref, &part))
			got := b.outcome(ref)
			if sent := got.Kind == mapping.Answered; sent != (more == 0) {
				t.Errorf("%s: a body of %d bytes, where there is room for %d: %+v", network, len(part.Body), o.Room, got)
			}
		}
		got := p.Await(1)[0]
		n := len(got.First) + len("\r\n\r\n") + len(got.Body)
		for _, f := range got.Fields {
			n += len(f.Name) + len(": ") + len(f.Value) + len("\r\n")
		}
		if n != 1199 {
			t.Errorf("%s: %d bytes went, want 1199", network, n)
		}
	}
}

// IM-62: a part that fails at one server goes to the next, whose Via may be longer: there is
// room for it there, too. It could not be cut again.
func TestRoomAtEveryServer(t *testing.T) {
	p := siptest.Listen(t, "udp")
	p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	cfg := testConfig()
	cfg.Listen = append(cfg.Listen, "udp://[::1]:0") // in a Via shorter than 127.0.0.1
	via := func(host string) mapping.URI {
		return mapping.URI{Scheme: "sip", Host: host, Port: p.Addr().Port(), Transport: "udp"}
	}
	cfg.Routes = []Route{{Domain: "six.example", Size: SizeSplit, Via: via("::1")}, {Domain: "two.example", Size: SizeSplit, Via: via("127.0.0.1")}}
	b := newBridge(nil)
	u := start(t, cfg, b)
	m := outgoing(p, 1)
	m.RequestURI = mapping.URI{Scheme: "sip", User: "romeo", Host: "six.example"}
	m.Body = bytes.Repeat([]byte("x"), 5000)
	u.Deliver(parcel("long", m))
	room := b.outcome("long").Room
	if room <= 0 {
		t.Fatal("there is no room")
	}
	part := *m
	part.RequestURI.Host, part.Body = "two.example", m.Body[:room]
	u.Deliver(parcel("part", &part))
	if o := b.outcome("part"); o.Status != 200 {
		t.Errorf("%+v", o)
	}
}

// The operator is told each time that something is done about a size, but not for every
// request of a burst, and never what a message says.
func TestSizeLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := sizeLog{log: slog.New(slog.NewTextHandler(&log, nil))}
		uri := mapping.URI{Scheme: "sip", User: "romeo", Host: "example.net"}
		tx := &clientTx{req: outRequest{SIPMessage: &mapping.SIPMessage{RequestURI: uri, From: uri, CallID: "c1", Body: []byte("private")}}}
		lines := func() []string {
			defer log.Reset()
			return strings.Split(strings.TrimSpace(log.String()), "\n")
		}
		l.note(tx, 900, false, 0, nil)
		if got := log.String(); got != "" {
			t.Errorf("a request that went as it was: %s", got)
		}
		f := mapping.FailTooLarge(1300)
		f.Remedy = "mend it"
		for range 3 {
			l.note(tx, 1400, true, 0, nil)
			l.note(tx, 1500, false, 700, f)
			l.note(tx, 1600, false, 0, f)
		}
		got := lines()
		if len(got) != 3 {
			t.Fatalf("%d lines, want one for each thing that is done:\n%s", len(got), strings.Join(got, "\n"))
		}
		for i, want := range []string{"goes over TCP\"|bytes=1400 count=1", "goes in parts\"|bytes=1500 count=1|1300 bytes are the limit", "is not sent\"|bytes=1600 count=1|1300 bytes are the limit|remedy=\"mend it\""} {
			for part := range strings.SplitSeq("level=INFO|call_id=c1|to=sip:romeo@example.net|"+want, "|") {
				if !strings.Contains(got[i], part) {
					t.Errorf("%q is not in %s", part, got[i])
				}
			}
			if strings.Contains(got[i], "private") {
				t.Errorf("the text of a message is in the log: %s", got[i])
			}
		}
		time.Sleep(sizeLogEvery)
		l.note(tx, 1600, false, 0, f)
		if got := lines(); len(got) != 1 || !strings.Contains(got[0], "count=3") {
			t.Errorf("after a while: %s, want one line for 3 requests", got)
		}
	})
}

// IM-62: it is the bytes of the transport in use that count, with the Via that it has there.
// None more than 1300 go without a route, and all of those do.
func TestSizeOnTheWire(t *testing.T) {
	var mu sync.Mutex
	longest := 0
	at := serve(t, func(c net.Conn) {
		up := ws.Upgrader{Protocol: func([]byte) bool { return true }}
		if _, err := up.Upgrade(c); err != nil {
			return
		}
		for {
			b, _, err := wsutil.ReadClientData(c)
			if err != nil {
				return
			}
			mu.Lock()
			longest = max(longest, len(b))
			mu.Unlock()
			if m, _, err := siptest.Parse(b); err == nil {
				wsutil.WriteServerText(c, []byte(m.Reply(200, "OK")))
			}
		}
	})
	cfg := testConfig()
	cfg.Listen = append(cfg.Listen, "ws://127.0.0.1:0")
	cfg.Advertise = "gw.example.com:5060" // WebSocket has another port
	b := newBridge(nil)
	u := start(t, cfg, b)
	const sizes = 100
	m := toExample(0)
	m.RequestURI = mapping.URI{Scheme: "sip", User: "romeo", Host: at.Addr().String(), Port: at.Port(), Transport: "ws"}
	bare := len(u.wire(&outRequest{SIPMessage: m, method: methodMessage}, nil, "WS", "gw.example.com:5060", u.client.branch(1)))
	for i := range sizes {
		v := *m
		v.Body = bytes.Repeat([]byte("x"), 1300-bare-sizes/2+i)
		u.Deliver(parcel(i, &v))
	}
	sent := 0
	for i := range sizes {
		if o := b.outcome(i); o.Accepted() {
			sent++
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if longest != 1300 || sent == 0 || sent == sizes {
		t.Errorf("%d of %d sent, the longest has %d bytes", sent, sizes, longest)
	}
}
