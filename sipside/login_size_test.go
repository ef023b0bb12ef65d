package sipside

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// SIP-07: with its credentials a request may be too long for UDP. It then goes as any other
// one of that length.
func TestLoginAndSize(t *testing.T) {
	for _, size := range []string{SizeTCP, SizeSplit, SizeReject} {
		t.Run(size, func(t *testing.T) {
			a := newAsker(407, "x")
			p, tcp := siptest.Listen(t, "udp"), siptest.Listen(t, "tcp")
			p.Answer(guarded(a))
			tcp.Answer(guarded(a))
			cfg := testConfig()
			cfg.Routes = []Route{loginRoute(p)}
			cfg.Routes[0].Size = size
			u, err := New(cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			dial := u.dial // the same server, which has another port here
			u.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return dial(ctx, network, tcp.Addr().String())
			}
			b := newBridge(nil)
			run(t, u, b)
			m := toExample(0)
			m.Body = bytes.Repeat([]byte("x"), 900)
			for i := range 2 {
				u.Deliver(parcel(i, m))
				o := b.outcome(i)
				switch size {
				case SizeTCP:
					if o.Status != 200 || o.CSeq != 2 {
						t.Errorf("%+v", o)
					}
				case SizeReject:
					if o.Kind != mapping.NotWritten || o.Failure.Condition != mapping.CondPolicyViolation || o.Room != 0 {
						t.Errorf("%+v", o)
					}
				case SizeSplit:
					if o.Kind != mapping.NotWritten || o.Failure.Status != 413 || o.Room == 0 {
						t.Fatalf("%+v", o)
					}
				}
			}
			switch size {
			case SizeTCP:
				if got, over := steps(p.Requests()), steps(tcp.Requests()); got != "1, 1" || over != "2 p1, 2 p1" {
					t.Errorf("%s over UDP, %s over TCP", got, over)
				}
			case SizeSplit: // of what there is room for nothing has to be cut again
				part := *m
				part.Body = part.Body[:b.outcome(0).Room]
				u.Deliver(parcel("part", &part))
				if o := b.outcome("part"); o.Status != 200 {
					t.Errorf("a part: %+v", o)
				}
			}
		})
	}
}

// A part that fits before its server has asked fits afterwards.
func TestRoomForALogin(t *testing.T) {
	p := siptest.Listen(t, "udp")
	p.Answer(guarded(newAsker(401, strings.Repeat("realm", 20))))
	r := loginRoute(p)
	r.Size = SizeSplit
	u, b, _ := startLogin(t, r)
	m := toExample(0)
	m.Body = bytes.Repeat([]byte("x"), 5000)
	u.Deliver(parcel("long", m))
	part := *m
	part.Body = m.Body[:b.outcome("long").Room]
	if len(part.Body) == 0 {
		t.Fatal("there is no room")
	}
	u.Deliver(parcel("part", &part))
	if o := b.outcome("part"); o.Status != 200 || o.CSeq != 2 {
		t.Errorf("%+v", o)
	}
}
