package sipside

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
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
