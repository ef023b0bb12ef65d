package sipside

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// A peer that an admin has blocked is a stranger, at once and until it is unblocked: three
// answers a minute over UDP (SEC-24), and nothing of it goes on. Others are not concerned.
func TestBlockedSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		cfg := testConfig()
		cfg.Peers = []Peer{{Name: "all", Addresses: prefixes("192.0.2.0/24")}}
		u, m := memUA(t, cfg, b)
		other := netip.MustParseAddrPort("192.0.2.77:5060")
		all := func() (out string) {
			for range 5 {
				out += fmt.Sprint(" ", m.status(t, fromMem(fresh())))
			}
			return strings.TrimSpace(out)
		}
		if got := all(); got != "200 200 200 200 200" {
			t.Errorf("before: %s", got)
		}
		u.SetBlocked(prefixes("198.51.100.0/24", "192.0.2.9/32"))
		if got := all(); got != "403 403 403 0 0" {
			t.Errorf("blocked: %s", got)
		}
		if got := m.status(t, from(other)); got != 200 {
			t.Errorf("another one gets %d", got)
		}
		if n := u.stats.Blocked.Load(); n != 5 {
			t.Errorf("%d are counted", n)
		}
		u.SetBlocked(nil)
		if got := all(); got != "200 200 200 200 200" {
			t.Errorf("unblocked: %s", got)
		}
		if b.count() != 11 {
			t.Errorf("%d messages have gone on", b.count())
		}
	})
}

// Connections of a blocked source are closed, and it gets no new ones.
func TestBlockedConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		u, l, _ := memTCP(t, testConfig(), b)
		ended := func(c net.Conn) bool {
			t.Cleanup(func() { c.Close() })
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			_, err := c.Read(make([]byte, 1))
			return err == io.EOF
		}
		c := l.dial(memPeer)
		got := readAll(c)
		if _, err := c.Write([]byte(message("tcp"))); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !strings.HasPrefix(got(), "SIP/2.0 200 ") {
			t.Fatalf("before: %q", got())
		}
		u.SetBlocked(prefixes("192.0.2.9/32"))
		synctest.Wait()
		if _, err := c.Write([]byte("x")); err == nil {
			t.Error("the connection goes on")
		}
		if !ended(l.dial(memPeer)) {
			t.Error("a new connection goes on")
		}
		synctest.Wait()
		if load := u.Load(); load.Accepted != 0 || b.count() != 1 {
			t.Errorf("%+v, %d messages", load, b.count())
		}
		u.SetBlocked(nil)
		if ended(l.dial(memPeer)) {
			t.Error("unblocked, and the connection is closed")
		}
	})
}

// What is blocked is found among as many as an admin may block, whatever their sizes, and not by
// looking at each.
func TestManyBlockedSources(t *testing.T) {
	list := prefixes("203.0.113.7/32", "198.51.100.0/22", "10.0.0.0/9", "2001:db8::/33", "2001:db8:ffff::1/128")
	for i := range 100_000 {
		list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{172, byte(i >> 16), byte(i >> 8), byte(i)}), 32))
	}
	s := newSources(list)
	for _, text := range []string{
		"203.0.113.7", "203.0.113.8", "::ffff:203.0.113.7", "198.51.100.0", "198.51.103.255", "198.51.104.0", "10.127.255.255", "10.128.0.0",
		"2001:db8:7fff::1", "2001:db8:8000::1", "2001:db8:ffff::1%eth0", "2001:db8:ffff::2", "172.1.134.159", "172.1.134.160", "172.0.0.0", "::1", "::", "0.0.0.0",
	} {
		a := netip.MustParseAddr(text)
		want := false
		for _, p := range list {
			want = want || p.Contains(a.Unmap().WithZone(""))
		}
		if got := s.has(a); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if n := len(s.v4) + len(s.v6); n != 5 {
		t.Errorf("an address is compared with %d, want the 5 sizes that there are", n)
	}
	if s.has(netip.Addr{}) {
		t.Error("no address is blocked")
	}
}
