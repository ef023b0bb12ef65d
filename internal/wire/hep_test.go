package wire

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// collector is a capture server.
type collector struct{ conn *net.UDPConn }

func listenHEP(t *testing.T) *collector {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &collector{conn}
}

func (c *collector) addr() string { return c.conn.LocalAddr().String() }

func (c *collector) next(t *testing.T) []byte {
	t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 65536)
	n, err := c.conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// captured is what a capture server makes of a datagram.
type captured struct {
	family, protocol, kind byte
	src, dst               netip.AddrPort
	at                     time.Time
	agent                  uint32
	callID                 string
	payload                []byte
}

// decodeHEP reads HEP 3, by the description of the format and not by the encoder.
func decodeHEP(t *testing.T, b []byte) (c captured) {
	t.Helper()
	if len(b) < 6 || string(b[:4]) != "HEP3" || int(binary.BigEndian.Uint16(b[4:])) != len(b) {
		t.Fatalf("no HEP 3: %x", b)
	}
	var src, dst netip.Addr
	var srcPort, dstPort uint16
	var sec, usec uint32
	for b = b[6:]; len(b) > 0; {
		if len(b) < 6 {
			t.Fatalf("half a chunk: %x", b)
		}
		vendor, kind, n := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), int(binary.BigEndian.Uint16(b[4:]))
		if vendor != 0 || n < 6 || n > len(b) {
			t.Fatalf("chunk %d of vendor %d, %d octets", kind, vendor, n)
		}
		v := b[6:n]
		b = b[n:]
		switch kind {
		case 1:
			c.family = v[0]
		case 2:
			c.protocol = v[0]
		case 3, 5:
			src, _ = netip.AddrFromSlice(v)
		case 4, 6:
			dst, _ = netip.AddrFromSlice(v)
		case 7:
			srcPort = binary.BigEndian.Uint16(v)
		case 8:
			dstPort = binary.BigEndian.Uint16(v)
		case 9:
			sec = binary.BigEndian.Uint32(v)
		case 10:
			usec = binary.BigEndian.Uint32(v)
		case 11:
			c.kind = v[0]
		case 12:
			c.agent = binary.BigEndian.Uint32(v)
		case 15:
			c.payload = v
		case 17:
			c.callID = string(v)
		default:
			t.Fatalf("chunk %d", kind)
		}
	}
	c.src, c.dst = netip.AddrPortFrom(src, srcPort), netip.AddrPortFrom(dst, dstPort)
	c.at = time.Unix(int64(sec), int64(usec)*1000)
	return c
}

// TestHEPGolden: octet for octet, as the format is described.
func TestHEPGolden(t *testing.T) {
	at := time.Unix(1753440179, 123456789)
	got := appendHEP(nil, at, "udp", theirs, ours, "abc", []byte("SIP/2.0 200 OK\r\n\r\n"))
	want := strings.Join([]string{
		hex.EncodeToString([]byte("HEP3")), "007e",
		"0000 0001 0007 02", "0000 0002 0007 11",
		"0000 0003 000a c000020a", "0000 0004 000a c0000201",
		"0000 0007 0008 13c4", "0000 0008 0008 13c4",
		"0000 0009 000a 68835fb3", "0000 000a 000a 0001e240",
		"0000 000b 0007 01", "0000 000c 000a 000013c4",
		"0000 0011 0009 616263",
		"0000 000f 0018 " + hex.EncodeToString([]byte("SIP/2.0 200 OK\r\n\r\n")),
	}, "")
	want = strings.ReplaceAll(want, " ", "")
	if g := hex.EncodeToString(got); g != want {
		t.Errorf("%s\nwant %s", g, want)
	}
}

// TestHEP: a capture server finds who has sent what to whom, and when.
func TestHEP(t *testing.T) {
	six, other := netip.MustParseAddrPort("[2001:db8::1]:5060"), netip.MustParseAddrPort("[2001:db8::a]:5061")
	for _, tt := range []struct {
		transport        string
		in               bool
		local, remote    netip.AddrPort
		family, protocol byte
	}{
		{"udp", true, ours, theirs, 2, 17},
		{"udp", false, ours, theirs, 2, 17},
		{"tls", false, ours, theirs, 2, 6},
		{"wss", true, six, other, 10, 6},
		{"udp", true, six, other, 10, 17},
	} {
		r, _, run := room(t)
		c := listenHEP(t)
		r.Change(Settings{HEP: c.addr(), Texts: true})
		m := message("sip:romeo@example.net", "sip:juliet@example.com", "", "But soft")
		before := time.Now().Truncate(time.Microsecond)
		r.SIP().Packet(tt.in, tt.transport, tt.local, tt.remote, m)
		after := time.Now()
		run()
		got := decodeHEP(t, c.next(t))
		src, dst := tt.local, tt.remote
		if tt.in {
			src, dst = dst, src
		}
		if got.src != src || got.dst != dst || got.family != tt.family || got.protocol != tt.protocol || got.kind != 1 || got.agent != captureAgent {
			t.Errorf("%+v: %+v", tt, got)
		}
		if got.at.Before(before) || got.at.After(after) {
			t.Errorf("at %v, not from %v to %v", got.at, before, after)
		}
		if got.callID != "a84b4c76e66710" || string(got.payload) != string(m) {
			t.Errorf("%q: %q", got.callID, got.payload)
		}
	}
}

// TestHEPSource: of a socket on all addresses the copy has the one that packets come from.
func TestHEPSource(t *testing.T) {
	r, _, run := room(t)
	c := listenHEP(t)
	r.Change(Settings{HEP: c.addr()})
	for range 2 {
		r.SIP().Packet(false, "udp", netip.MustParseAddrPort("[::]:5060"), netip.MustParseAddrPort("127.0.0.1:5070"), message("sip:a@b", "sip:c@d", "", ""))
	}
	run()
	for range 2 {
		if got := decodeHEP(t, c.next(t)); got.src != netip.MustParseAddrPort("127.0.0.1:5060") || got.dst.Port() != 5070 {
			t.Errorf("%v -> %v", got.src, got.dst)
		}
	}
}

// TestHEPTooLong: what no datagram holds is missing, and the next one is not.
func TestHEPTooLong(t *testing.T) {
	r, _, run := room(t)
	c := listenHEP(t)
	r.Change(Settings{HEP: c.addr()})
	r.SIP().Packet(true, "tcp", ours, theirs, message("sip:a@b", "sip:c@d", "", strings.Repeat("x", 65400)))
	r.SIP().Packet(true, "tcp", ours, theirs, message("sip:a@b", "sip:c@d", "", "short"))
	run()
	if s := r.Stats(); s.Copied != 1 || s.Dropped != 1 {
		t.Errorf("%+v", s)
	}
	if got := decodeHEP(t, c.next(t)); !strings.HasSuffix(string(got.payload), "\r\n\r\n*****") {
		t.Errorf("%q", got.payload)
	}
}

// TestHEPNobody: a capture server that cannot be found holds up nothing, and the log says so once.
func TestHEPNobody(t *testing.T) {
	r, b, run := room(t)
	r.Change(Settings{HEP: "127.0.0.1:no-such-port", Wire: Headers})
	for range 3 {
		r.SIP().Packet(true, "udp", ours, theirs, message("sip:a@b", "sip:c@d", "", ""))
	}
	run()
	if s := r.Stats(); s.Copied != 0 || s.Dropped != 3 || s.Logged != 3 {
		t.Errorf("%+v", s)
	}
	if n := strings.Count(b.String(), "SIP packets cannot be copied"); n != 1 {
		t.Errorf("%d warnings\n%s", n, b)
	}
}
