package sipside

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// TestNobodyListens: a UDP port that nobody listens on is told at once where the
// system tells us, and not after the 32 s of Timer F. Requests to others are none the
// worse for it. So it is for requests that leave in one piece, of which only the first is
// named to us.
func TestNobodyListens(t *testing.T) {
	for _, tt := range []struct {
		listen string
		dead   func(i int) bool // whether request i goes to where nobody is
	}{
		{"udp://127.0.0.1:0", func(i int) bool { return i%2 == 1 }},
		{"udp://127.0.0.1:0", func(i int) bool { return i/10%2 == 1 }},
		{"udp://[::]:0", func(i int) bool { return i%2 == 1 }},
		{"udp://[::]:0", func(i int) bool { return i%21 > 9 }},
		{"udp://0.0.0.0:0", func(i int) bool { return i >= 100 }},
	} {
		t.Run(tt.listen, func(t *testing.T) {
			cfg := testConfig()
			cfg.Listen = []string{tt.listen}
			b := newBridge(nil)
			u := start(t, cfg, b)
			alive, dead := siptest.Listen(t, "udp"), siptest.Listen(t, "udp")
			alive.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
			dead.Close()
			const total = 200
			living := 0
			var batch []mapping.Parcel[mapping.SIP]
			for i := range total {
				p := alive
				if tt.dead(i) {
					p = dead
				} else {
					living++
				}
				batch = append(batch, mapping.Parcel[mapping.SIP]{Ref: i, Value: outgoing(p, i)})
			}
			u.Deliver(batch)
			for i := range total {
				o := b.outcome(i)
				switch {
				case !tt.dead(i) && (o.Kind != mapping.Answered || o.Status != 200):
					t.Errorf("%d: %+v %v", i, o, o.Failure)
				case tt.dead(i) && (o.Kind != mapping.NotWritten || !errors.Is(o.Failure, syscall.ECONNREFUSED) || !o.Failure.Temporary()):
					t.Errorf("%d, to nobody: %+v %v", i, o, o.Failure)
				}
			}
			if got := len(alive.Requests()); got != living {
				t.Errorf("%d requests arrived, want %d", got, living)
			}
		})
	}
}

// TestRefusalOfAnother: the system lets whatever comes next fail for a datagram that
// was refused before. Neither reading nor writing may suffer, and the refusal is told
// whichever it was.
func TestRefusalOfAnother(t *testing.T) {
	dead := siptest.Listen(t, "udp")
	dead.Close()
	for name, next := range map[string]func(a, alive datagrams, from, to netip.AddrPort) error{
		"written in one go": func(a, alive datagrams, _, to netip.AddrPort) error {
			out := []packet{{b: []byte("refused"), to: dead.Addr()}, {b: []byte("x"), to: to}}
			for len(out) > 0 {
				n, err := a.write(out)
				if err != nil {
					return err
				}
				out = out[n:]
			}
			_, err := alive.read([]packet{{b: make([]byte, 10)}})
			return err
		},
		"written next": func(a, alive datagrams, _, to netip.AddrPort) error {
			for _, p := range []packet{{b: []byte("refused"), to: dead.Addr()}, {b: []byte("x"), to: to}} {
				if n, err := a.write([]packet{p}); n != 1 || err != nil {
					return fmt.Errorf("%d, %w", n, err)
				}
			}
			_, err := alive.read([]packet{{b: make([]byte, 10)}})
			return err
		},
		"read next": func(a, alive datagrams, from, _ netip.AddrPort) error {
			if _, err := a.write([]packet{{b: []byte("refused"), to: dead.Addr()}}); err != nil {
				return err
			}
			if _, err := alive.write([]packet{{b: []byte("x"), to: from}}); err != nil {
				return err
			}
			_, err := a.read([]packet{{b: make([]byte, 10)}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			var told []string
			a, from, err := bindUDP(newSystemNetwork(), "127.0.0.1:0", func(dest netip.AddrPort, wire []byte, err error) {
				told = append(told, fmt.Sprint(dest, " ", string(wire), ": ", err))
			})
			if err != nil {
				t.Fatal(err)
			}
			defer a.close()
			alive, to, err := bindUDP(newSystemNetwork(), "127.0.0.1:0", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer alive.close()
			if err := next(a, alive, from, to); err != nil {
				t.Error(err)
			}
			if want := dead.Addr().String() + " refused: connection refused"; len(told) != 1 || told[0] != want {
				t.Errorf("told %q, want %q", told, want)
			}
		})
	}
}
