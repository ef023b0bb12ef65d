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
