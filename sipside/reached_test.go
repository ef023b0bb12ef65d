package sipside

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// SIP-28, IM-16: by what way a request has come is said where its domain is not served, for
// mapping to know the contact of a registration by.
func TestReached(t *testing.T) {
	cfg := testConfig()
	cfg.Advertise = "gw.example.com:5070"
	cfg.Routes = []Route{
		{Domain: "Trunk.example", Via: mapping.MustParseURI("sip:127.0.0.1:5099")},
		{Domain: "other.example", Via: mapping.MustParseURI("sip:192.0.2.7")},
		{Domain: "*", Via: mapping.MustParseURI("sip:127.0.0.1:5098")},
	}
	b := newBridge(processed)
	u := start(t, cfg, b)
	p := siptest.Listen(t, "udp")
	for i, c := range []struct {
		uri    string
		here   bool
		routes string
	}{
		{"sip:5550001111@gw.example.com:5070", true, "[trunk.example *]"},
		{"sip:5550001111@GW.example.com:5070;transport=udp;ob", true, "[trunk.example *]"},
		{"sip:5550001111@gw.example.com", false, "[trunk.example *]"},
		{"sip:5550001111@198.51.100.7:61234", false, "[trunk.example *]"},
		{"sip:5550001111@trunk.example", false, "[trunk.example *]"},
		{"sip:juliet@example.com", false, "[]"},
		{"sip:juliet%40example.com@gw.example.com:5070", false, "[]"},
	} {
		if m := p.Request(addr(u, "udp"), message("udp", "MESSAGE "+c.uri+" SIP/2.0")); m.Status() != 200 {
			t.Fatalf("%s: %s", c.uri, m.First)
		}
		b.mu.Lock()
		m := b.requests[i]
		b.mu.Unlock()
		if m.Here != c.here || fmt.Sprint(m.Routes) != c.routes {
			t.Errorf("%s: here %t, by %v; want %t, %s", c.uri, m.Here, m.Routes, c.here, c.routes)
		}
	}
}

// A peer with an address of its own is reached by the routes that end there.
func TestRoutesTo(t *testing.T) {
	cfg := testConfig()
	cfg.Routes = []Route{
		{Domain: "trunk.example", Via: mapping.MustParseURI("sip:192.0.2.7")},
		{Domain: "pbx.example", Via: mapping.MustParseURI("sip:198.51.100.1")},
	}
	cfg.Peers = []Peer{{Name: "trunk", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, {Name: "other", Addresses: []netip.Prefix{netip.MustParsePrefix("203.0.113.1/32")}}}
	p := newPeers(&cfg)
	for addr, want := range map[string]string{"192.0.2.7": "[trunk.example]", "192.0.2.9": "[trunk.example]", "198.51.100.1": "[pbx.example]", "203.0.113.1": "[]", "127.0.0.1": "[]"} {
		a := netip.MustParseAddr(addr)
		if got := fmt.Sprint(p.routesTo(p.find(a), a)); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}
