package sipside

import (
	"net/netip"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// TestUnsendable: a packet that cannot be sent does not keep back those around
// it, and its request is told as NotWritten.
func TestUnsendable(t *testing.T) {
	b := newBridge(nil)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "udp")
	p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	var batch []mapping.Parcel[mapping.SIP]
	for i := range 40 {
		m := outgoing(p, i)
		if i%3 == 1 {
			m.RequestURI.Host = "192.0.2.77" // not from a socket on loopback
		}
		batch = append(batch, mapping.Parcel[mapping.SIP]{Ref: i, Value: m})
	}
	u.Deliver(batch)
	for i := range batch {
		want := mapping.Answered
		if i%3 == 1 {
			want = mapping.NotWritten
		}
		if o := b.outcome(i); o.Kind != want {
			t.Errorf("%d: %+v, want %d", i, o, want)
		}
	}
}

// TestBatchIO: both ways, to several addresses at once, over either family.
func TestBatchIO(t *testing.T) {
	for _, host := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0", "0.0.0.0:0"} {
		a, from, err := bindUDP(newSystemNetwork(), host, nil)
		if err != nil && host[0] == '[' {
			t.Logf("no IPv6 here: %v", err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer a.close()
		to := "127.0.0.1:0"
		if host == "[::1]:0" {
			to = host
		}
		var peers []datagrams
		var out []packet
		for i := range 2 * udpBatch {
			p, dest, err := bindUDP(newSystemNetwork(), to, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer p.close()
			peers = append(peers, p)
			out = append(out, packet{b: []byte{byte(i), 'x'}, to: dest})
		}
		for rest := out; len(rest) > 0; {
			n, err := a.write(rest)
			if err != nil {
				t.Fatalf("%s: %v", host, err)
			}
			rest = rest[n:]
		}
		for i, p := range peers {
			got := []packet{{b: make([]byte, 100)}}
			if n, err := p.read(got); n != 1 || err != nil || len(got[0].b) != 2 || got[0].b[0] != byte(i) {
				t.Fatalf("%s: %d, %v, %v", host, n, err, got[0].b)
			}
			if got[0].to.Port() != from.Port() || got[0].to.Addr() != netip.MustParseAddrPort(out[i].to.String()).Addr() {
				t.Errorf("%s: from %v", host, got[0].to)
			}
		}
	}
}
