package sipside

import (
	"bytes"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// An ICMP error is easily forged and may come late: it ends a request only if it
// shows the branch, and the one transmission that there was.
func TestRefusalHasToMatch(t *testing.T) {
	other := netip.MustParseAddrPort("192.0.2.9:5061")
	for _, tt := range []struct {
		name  string
		wait  time.Duration
		reply string // a provisional response before
		dest  netip.AddrPort
		wire  func(sent []byte) []byte
		ends  bool
	}{
		{name: "the whole of it", dest: memPeer, ends: true},
		{name: "up to the branch", dest: memPeer, wire: func(b []byte) []byte { return b[:bytes.Index(b, []byte("\r\nMax-"))] }, ends: true},
		{name: "padded", dest: memPeer, wire: func(b []byte) []byte {
			return append(bytes.Clone(b[:bytes.Index(b, []byte("\r\nMax-"))]), 0, 0, 0)
		}, ends: true},
		{name: "8 bytes", dest: memPeer, wire: func(b []byte) []byte { return b[:8] }},
		{name: "nothing", dest: memPeer, wire: func(b []byte) []byte { return nil }},
		{name: "half the branch", dest: memPeer, wire: func(b []byte) []byte { return b[:bytes.Index(b, []byte("\r\nMax-"))-1] }},
		{name: "another branch", dest: memPeer, wire: func(b []byte) []byte {
			i := bytes.Index(b, []byte("z9hG4bK")) + 7
			return append(append(bytes.Clone(b[:i]), flip(string(b[i:i+24]))...), b[i+24:]...)
		}},
		{name: "the branch alone", dest: memPeer, wire: func(b []byte) []byte { return b[bytes.Index(b, []byte("Via: ")):] }},
		{name: "another port", dest: other},
		{name: "another address", dest: memSelf},
		{name: "after a provisional response", reply: "100 Trying", dest: memPeer},
		{name: "after the second transmission", wait: timerT1 + time.Millisecond, dest: memPeer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(nil)
				u, m := memUA(t, testConfig(), b)
				u.Deliver(parcel("x", toMem(1)))
				synctest.Wait()
				sent := m.all()[0].data
				if tt.reply != "" {
					req, _, err := siptest.Parse(sent)
					if err != nil {
						t.Fatal(err)
					}
					m.in <- packet{b: []byte(strings.Replace(req.Reply(200, "OK"), "200 OK", tt.reply, 1)), to: memPeer}
				}
				time.Sleep(tt.wait)
				synctest.Wait()
				if tt.wire != nil {
					sent = tt.wire(sent)
				}
				u.client.refused(tt.dest, sent, syscall.ECONNREFUSED)
				synctest.Wait()
				if b.ready("x") != tt.ends {
					t.Fatalf("ended: %v", !tt.ends)
				}
				time.Sleep(timerF)
				synctest.Wait()
				want := mapping.Unknown
				if tt.ends {
					want = mapping.NotWritten
				}
				if o := b.outcome("x"); o.Kind != want {
					t.Errorf("%+v", o)
				}
			})
		})
	}
}
