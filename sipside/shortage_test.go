package sipside

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

func sendError(e syscall.Errno) error {
	return &net.OpError{Op: "write", Net: "udp", Err: os.NewSyscallError("sendmmsg", e)}
}

// A packet that the system has no room for is as good as lost on the way: Timer E
// sends it again. It does not mean that the peer is out of reach, and does not keep
// back what is sent with it.
func TestNoRoomToSend(t *testing.T) {
	for e, lost := range map[syscall.Errno]bool{syscall.ENOBUFS: true, syscall.EAGAIN: true, syscall.ENOMEM: true, syscall.EPERM: false} {
		t.Run(e.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(nil)
				u, m := memUA(t, testConfig(), b)
				full := true
				m.deny = func(p packet) error {
					if full && strings.Contains(string(p.b), "Call-ID: call-2\r\n") {
						return sendError(e)
					}
					return nil
				}
				var batch []mapping.Parcel[mapping.SIP]
				for i := range 4 {
					batch = append(batch, mapping.Parcel[mapping.SIP]{Ref: i + 1, Value: toMem(i + 1)})
				}
				u.Deliver(batch)
				synctest.Wait()
				if sent := m.all(); len(sent) != 3 {
					t.Fatalf("%d packets were sent, want the other 3", len(sent))
				}
				m.mu.Lock()
				full = false
				m.mu.Unlock()
				if b.ready(2) == lost {
					t.Fatalf("ended at once: %v", !lost)
				}
				if !lost {
					if o := b.outcome(2); o.Kind != mapping.NotWritten || o.Failure.Condition != mapping.CondRemoteServerTimeout {
						t.Errorf("%+v %v", o, o.Failure)
					}
					return
				}
				if n := u.Stats().Dropped.Load(); n != 1 {
					t.Errorf("%d packets count as dropped, want 1", n)
				}
				time.Sleep(timerT1)
				synctest.Wait()
				for _, p := range m.all() {
					req, _, err := siptest.Parse(p.data)
					if err != nil {
						t.Fatal(err)
					}
					if req.Get("Call-ID") == "call-2" {
						m.in <- packet{b: []byte(req.Reply(200, "OK")), to: memPeer}
					}
				}
				synctest.Wait()
				if o := b.outcome(2); o.Kind != mapping.Answered || o.Status != 200 {
					t.Errorf("%+v %v", o, o.Failure)
				}
			})
		})
	}
}

// What Deliver says of NotWritten: the condition tells what was our own lack from
// what is wrong with the next hop, or the request.
func TestWhoseLack(t *testing.T) {
	const (
		ours = mapping.CondResourceConstraint
		gone = mapping.CondRemoteServerTimeout
	)
	dialError := func(err error) func(*UA, *memNet) {
		return func(u *UA, _ *memNet) {
			u.dial = func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
			}
		}
	}
	lookupError := func(err error) func(*UA, *memNet) {
		return func(u *UA, _ *memNet) { u.names.locator = failingDNS{err} }
	}
	overTCP := func(m *mapping.SIPMessage) { m.RequestURI.Transport = "tcp" }
	byName := func(m *mapping.SIPMessage) { m.RequestURI.Host = "pbx.example" }
	routed := func(m *mapping.SIPMessage) { m.RequestURI.Host = "routed.example" }
	long := func(m *mapping.SIPMessage) { m.Body = []byte(strings.Repeat("x", 1300)); routed(m) }
	for name, tt := range map[string]struct {
		before func(u *UA, m *memNet) // Run
		first  int                    // requests that are open
		ready  func(u *UA)            // Run has begun
		edit   func(m *mapping.SIPMessage)
		after  func(u *UA, m *memNet) // Deliver
		want   mapping.Condition
	}{
		"the share of the next hop":  {first: 2, want: ours},
		"the whole table":            {before: func(u *UA, _ *memNet) { u.cfg.MaxPending = 0 }, want: ours},
		"the queue of the socket":    {ready: fillSocket, want: ours},
		"the queue of the dialers":   {before: func(u *UA, _ *memNet) { u.conns.jobs = nil }, edit: overTCP, want: ours},
		"the queue of the resolvers": {before: func(u *UA, _ *memNet) { u.names.jobs = nil }, edit: byName, want: ours},
		"descriptors":                {before: dialError(os.NewSyscallError("socket", syscall.EMFILE)), edit: overTCP, want: ours},
		"descriptors, for its size":  {before: dialError(os.NewSyscallError("socket", syscall.ENFILE)), edit: long, want: ours},
		"memory":                     {before: dialError(os.NewSyscallError("connect", syscall.ENOBUFS)), edit: overTCP, want: ours},
		"a stop":                     {ready: func(u *UA) { u.client.close() }, want: ours},
		"a stop, for dialers":        {ready: func(u *UA) { u.conns.close()() }, edit: overTCP, want: ours},
		"a stop while dialling":      {before: dialError(context.Canceled), edit: overTCP, want: ours},
		"a stop during a lookup":     {before: lookupError(&net.DNSError{Err: "canceled", UnwrapErr: context.Canceled}), edit: byName, want: ours},

		"TCP is refused":             {before: dialError(os.NewSyscallError("connect", syscall.ECONNREFUSED)), edit: overTCP, want: gone},
		"TCP is refused, by size":    {before: dialError(os.NewSyscallError("connect", syscall.ECONNREFUSED)), edit: long, want: gone},
		"TCP is silent":              {before: dialError(context.DeadlineExceeded), edit: overTCP, want: gone},
		"TCP is silent, by size":     {before: dialError(os.NewSyscallError("connect", syscall.ETIMEDOUT)), edit: long, want: gone},
		"no way there":               {before: dialError(os.NewSyscallError("connect", syscall.ENETUNREACH)), edit: overTCP, want: gone},
		"no address to send from":    {before: dialError(os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)), edit: overTCP, want: gone},
		"hangs up before it is told": {before: hangUp, edit: overTCP, want: gone},
		"UDP is refused": {after: func(u *UA, m *memNet) {
			u.client.refused(memPeer, m.all()[0].data, syscall.ECONNREFUSED)
		}, want: gone},
		"a filter of ours":    {before: func(_ *UA, m *memNet) { m.deny = func(packet) error { return sendError(syscall.EPERM) } }, want: gone},
		"no such socket":      {edit: func(m *mapping.SIPMessage) { m.RequestURI.Host = "2001:db8::1" }, want: gone},
		"no such transport":   {edit: func(m *mapping.SIPMessage) { m.RequestURI.Transport = "sctp" }, want: mapping.CondRemoteServerNotFound},
		"name server":         {before: lookupError(&net.DNSError{Err: "server misbehaving", IsTemporary: true}), edit: byName, want: gone},
		"silent name server":  {before: lookupError(&net.DNSError{Err: "timeout", IsTimeout: true, UnwrapErr: context.DeadlineExceeded}), edit: byName, want: gone},
		"no such name":        {before: lookupError(&net.DNSError{Err: "no such host", IsNotFound: true}), edit: byName, want: mapping.CondRemoteServerNotFound},
		"too long for anyone": {edit: func(m *mapping.SIPMessage) { m.Body = make([]byte, maxRouted); routed(m) }, want: mapping.CondPolicyViolation},
		"a loop":              {edit: func(m *mapping.SIPMessage) { m.RequestURI.Host = memSelf.Addr().String() }, want: mapping.CondPolicyViolation},
		"no request":          {edit: func(m *mapping.SIPMessage) { m.CallID = "" }, want: mapping.CondInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig()
				cfg.Listen = []string{"udp://192.0.2.1:5060"}
				cfg.MaxPending = 8 // of which a next hop has 2
				cfg.Locator = &fakeDNS{hosts: map[string]string{"pbx.example": "192.0.2.9"}}
				cfg.Routes = []Route{{Domain: "routed.example", Via: mapping.URI{Scheme: "sip", Host: "192.0.2.9"}}}
				b := newBridge(nil)
				u, err := New(cfg, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				m := newMemNet()
				u.listenUDP = func(string) (datagrams, netip.AddrPort, error) { return m, memSelf, nil }
				if tt.before != nil {
					tt.before(u, m)
				}
				run(t, u, b)
				synctest.Wait()
				for i := range tt.first {
					u.Deliver(parcel(i, toMem(i+1)))
				}
				synctest.Wait()
				if tt.ready != nil {
					tt.ready(u)
				}
				v := toMem(9)
				if tt.edit != nil {
					tt.edit(v)
				}
				u.Deliver(parcel("x", v))
				synctest.Wait()
				if tt.after != nil {
					tt.after(u, m)
				}
				synctest.Wait()
				if !b.ready("x") {
					t.Fatal("it has not ended")
				}
				if o := b.outcome("x"); o.Kind != mapping.NotWritten || o.Failure.Condition != tt.want {
					t.Errorf("%+v %v, want NotWritten with %s", o, o.Failure, tt.want)
				}
			})
		})
	}
}

// failingDNS knows no name.
type failingDNS struct{ err error }

func (d failingDNS) Locate(ctx context.Context, q locate.Query) (locate.Answer, error) {
	return byAddress(func(string) ([]netip.Addr, error) { return nil, d.err }).Locate(ctx, q)
}

// fillSocket leaves no room in the queue of the UDP socket.
func fillSocket(u *UA) {
	s := u.udp[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = make([]packet, maxOutgoing)
}

// hangUp lets connections be made that are closed at once.
func hangUp(u *UA, _ *memNet) {
	u.dial = func(_ context.Context, _, addr string) (net.Conn, error) {
		here, there := net.Pipe()
		here.Close()
		return pipeConn{there, memSelf, netip.MustParseAddrPort(addr)}, nil
	}
}
