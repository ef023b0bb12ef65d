package sipside

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// TestBigGoesToTCP: a request of more than 1300 bytes to a UDP route is sent over
// TCP to the same next hop, and its Via says so (SIP-07).
func TestBigGoesToTCP(t *testing.T) {
	p := siptest.Listen(t, "tcp")
	p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	cfg := testConfig()
	cfg.Routes = []Route{{Domain: "*", Via: mapping.URI{Scheme: "sip", Host: "127.0.0.1", Port: p.Addr().Port()}}}
	b := newBridge(nil)
	u := start(t, cfg, b)
	m := outgoing(p, 1)
	m.RequestURI = mapping.URI{Scheme: "sip", User: "romeo", Host: "example.net"}
	m.Body = []byte(strings.Repeat("x", 1300))
	u.Deliver(parcel("x", m))
	if o := b.outcome("x"); o.Kind != mapping.Answered {
		t.Fatalf("%+v", o)
	}
	if via := p.Await(1)[0].Get("Via"); !strings.HasPrefix(via, "SIP/2.0/TCP ") {
		t.Errorf("Via %s", via)
	}
}

// SIP-07, IM-30, IM-59: where TCP is not taken a request that goes there for its size
// only cannot be delivered for now, like any other: the server may be restarting. The
// sender learns what is wrong if it stays that way.
func TestNoTCPForBig(t *testing.T) {
	for _, tt := range []struct {
		transport, body string
		long            bool // it is said that the message is too long for UDP
	}{
		{"", strings.Repeat("x", 1300), true},
		{"udp", strings.Repeat("x", 1300), true},
		{"tcp", strings.Repeat("x", 1300), false},
		{"tcp", "x", false},
	} {
		p := siptest.Listen(t, "tcp")
		p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
		cfg := testConfig()
		cfg.Routes = []Route{{Domain: "*", Via: mapping.URI{Scheme: "sip", Host: "127.0.0.1", Port: p.Addr().Port(), Transport: tt.transport}}}
		b := newBridge(nil)
		u, err := New(cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var down atomic.Bool
		down.Store(true)
		dial := u.dial
		u.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if down.Load() {
				return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
			}
			return dial(ctx, network, addr)
		}
		run(t, u, b)
		m := outgoing(p, 1)
		m.RequestURI = mapping.URI{Scheme: "sip", User: "romeo", Host: "example.net"}
		m.Body = []byte(tt.body)
		u.Deliver(parcel("x", m))
		o := b.outcome("x")
		if o.Kind != mapping.NotWritten || !o.Failure.Temporary() || o.Failure.Condition != mapping.CondRemoteServerTimeout || !errors.Is(o.Failure, syscall.ECONNREFUSED) || o.Failure.Remedy == "" {
			t.Errorf("%q, %d bytes: %+v %v", tt.transport, len(tt.body), o, o.Failure)
		}
		if long := strings.Contains(o.Failure.Text, "too long for UDP"); long != tt.long {
			t.Errorf("%q, %d bytes: %s", tt.transport, len(tt.body), o.Failure.Text)
		}
		down.Store(false)
		u.Deliver(parcel("again", m))
		if o := b.outcome("again"); o.Kind != mapping.Answered || o.Status != 200 {
			t.Errorf("%q, %d bytes, once it is up: %+v %v", tt.transport, len(tt.body), o, o.Failure)
		}
	}
}
