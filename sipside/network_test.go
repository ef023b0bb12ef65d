package sipside

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// A UA takes the network that it is given: for its sockets, for its connections, and
// datagram by datagram where a socket is not one of the system's.
func TestGivenNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []*siptest.Wire
		m := siptest.NewMemory(t, netip.MustParseAddr("192.0.2.4"), func(w *siptest.Wire) { got = append(got, w) })
		u, err := New(Config{
			Listen: []string{"udp://192.0.2.1:5060", "tcp://192.0.2.1:5060"}, Network: m, Locator: m,
			Peers: []Peer{{Name: "mem", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32")}}},
		}, testLog(t, nil))
		if err != nil {
			t.Fatal(err)
		}
		b := newBridge(nil)
		run(t, u, b)
		for _, network := range []string{"udp", "tcp"} {
			raw := siptest.Text("", "OPTIONS sip:192.0.2.1 SIP/2.0", "Via: SIP/2.0/"+strings.ToUpper(network)+" 192.0.2.9;branch=z9hG4bK"+network,
				"Max-Forwards: 70", "From: <sip:a@192.0.2.9>;tag=1", "To: <sip:192.0.2.1>", "Call-ID: c", "CSeq: 1 OPTIONS")
			if err := m.Send(network, netip.MustParseAddrPort("192.0.2.9:5060"), raw); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		for _, transport := range []string{"udp", "tcp"} {
			u.Deliver(parcel(transport, &mapping.SIPMessage{
				RequestURI: mapping.URI{Scheme: "sip", User: "romeo", Host: "example.net", Transport: transport},
				To:         mapping.URI{Scheme: "sip", User: "romeo", Host: "example.net"},
				From:       mapping.URI{Scheme: "sip", User: "juliet", Host: "example.com"},
				CallID:     transport, FromTag: "t", CSeq: 1, ContentType: "text/plain", Body: []byte("hi"),
			}))
			synctest.Wait()
		}
		var all []string
		for _, w := range got {
			all = append(all, w.Network+" "+w.First)
			if w.Status() != 0 {
				continue
			}
			if err := m.Answer(w, w.Reply(200, "OK")); err != nil {
				t.Error(err)
			}
		}
		const request = "MESSAGE sip:romeo@example.net;transport="
		want := []string{"udp SIP/2.0 200 OK", "tcp SIP/2.0 200 OK", "udp " + request + "udp SIP/2.0", "tcp " + request + "tcp SIP/2.0"}
		if !slices.Equal(all, want) {
			t.Errorf("%q, want %q", all, want)
		}
		synctest.Wait()
		for _, transport := range []string{"udp", "tcp"} {
			if o := b.told()[transport]; o.Kind != mapping.Answered || o.Status != 200 {
				t.Errorf("over %s: %+v", transport, o)
			}
		}
	})
}
