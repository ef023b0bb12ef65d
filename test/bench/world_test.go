package bench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/stoxgw/stox/internal/app"
	"github.com/stoxgw/stox/internal/config"
)

const (
	component = "sip.example.com"
	domain    = "example.com"
	sipDomain = "pbx.example.net"
	secret    = "component secret"
)

// world is a daemon with its peers.
type world struct {
	tb     testing.TB
	server *server
	sip    netip.AddrPort // of the daemon
	phone  *phone         // where its route leads
}

// start runs a daemon until the test ends. It has a store, and no limits of rates, since all
// of the load comes from one peer.
func start(tb testing.TB) *world {
	tb.Helper()
	w := &world{tb: tb, server: listen(tb), phone: newPhone(tb), sip: freeAddr(tb)}
	dir := tb.TempDir()
	text := fmt.Sprintf(`
[xmpp]
domain = %[1]q
secret = %[2]q
server = %[3]q
[sip]
domain = %[4]q
listen = ["udp://%[5]s", "tcp://%[5]s"]
[[sip.route]]
domain = "*"
via = "sip:%[6]s;transport=udp"
[limits]
peer_rate = 0
user_rate = 0
[store]
path = %[7]q
[admin]
listen = ""
socket = %[8]q
`, component, secret, w.server.Addr(), sipDomain, w.sip, w.phone.addr(), filepath.Join(dir, "stox.db"), filepath.Join(dir, "s"))
	cfg, err := config.Parse("stox.toml", []byte(text), nil)
	if err != nil {
		tb.Fatal(err)
	}
	a, err := app.New(cfg, slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	select {
	case <-w.server.up:
	case err := <-ended:
		ended <- err
		tb.Fatal("the daemon has ended")
	}
	w.await()
	return w
}

// await has a message sent until one is answered with 200: the link may just not be up yet.
func (w *world) await() {
	c := w.caller("udp", 1, "first")
	for w.server.messages.Load() == 0 {
		if c.other = 0; c.run(1, 1) == nil {
			return
		}
	}
}

// freeAddr is an address of loopback that nobody listens on, for UDP and TCP.
func freeAddr(tb testing.TB) netip.AddrPort {
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		addr := l.Addr().(*net.TCPAddr).AddrPort()
		p, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
		l.Close()
		if err == nil {
			p.Close()
			return addr
		}
	}
	tb.Fatal("no port is free for both UDP and TCP")
	return netip.AddrPort{}
}
