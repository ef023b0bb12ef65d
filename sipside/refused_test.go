package sipside

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
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

// TestRefusalOfAPiece: an error that shows the first request of a piece and the beginning of the
// second is about all of them; what has been sent again, or answered provisionally, may have been
// read. An error that shows less, or something else, is about one of them: the piece was cut.
func TestRefusalOfAPiece(t *testing.T) {
	const n = 8 // 0 to 4 are a piece, 5 is none, 6 and 7 are another one
	whole := func(wires [][]byte, i int) []byte { return append(bytes.Clone(wires[i]), wires[i+1]...) }
	for _, tt := range []struct {
		name  string
		wire  func(wires [][]byte) []byte
		ended []int
	}{
		{"the piece", func(w [][]byte) []byte { return whole(w, 0) }, []int{0, 1, 4}},
		{"little of the second", func(w [][]byte) []byte { return whole(w, 0)[:len(w[0])+leastQuoted] }, []int{0, 1, 4}},
		{"too little of the second", func(w [][]byte) []byte { return whole(w, 0)[:len(w[0])+leastQuoted-1] }, []int{0}},
		{"the first alone", func(w [][]byte) []byte { return w[0] }, []int{0}},
		{"the first, padded", func(w [][]byte) []byte { return append(bytes.Clone(w[0]), make([]byte, 50)...) }, []int{0}},
		{"the first and another one", func(w [][]byte) []byte { return append(bytes.Clone(w[0]), w[4]...) }, []int{0}},
		{"its beginning", func(w [][]byte) []byte { return w[0][:len(w[0])-1] }, []int{0}},
		{"the second and the next", func(w [][]byte) []byte { return whole(w, 1) }, []int{1}},
		{"one that was repeated, and the next", func(w [][]byte) []byte { return whole(w, 2) }, nil},
		{"the last and what follows", func(w [][]byte) []byte { return whole(w, 4) }, []int{4}},
		{"one that is in no piece", func(w [][]byte) []byte { return whole(w, 5) }, []int{5}},
		{"another piece", func(w [][]byte) []byte { return whole(w, 6) }, []int{6, 7}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(nil)
				u, m := memUA(t, testConfig(), b)
				var wires [][]byte
				for i := range n {
					u.Deliver(parcel(i, toMem(i+1)))
					synctest.Wait()
				}
				for _, p := range m.all() {
					wires = append(wires, p.data)
				}
				u.client.mu.Lock()
				var list [n]packet
				for _, tx := range u.client.open.all() {
					i := tx.ref.(int)
					list[i].tx = tx
					tx.repeated, tx.proceeding = i == 2, i == 3
				}
				linkPiece(list[:5])
				linkPiece(list[5:6])
				linkPiece(list[6:])
				u.client.mu.Unlock()
				u.client.refused(memPeer, tt.wire(wires), syscall.ECONNREFUSED)
				synctest.Wait()
				var ended []int
				for i := range n {
					if b.ready(i) {
						ended = append(ended, i)
						if o := b.outcome(i); o.Kind != mapping.NotWritten || !errors.Is(o.Failure, syscall.ECONNREFUSED) {
							t.Errorf("%d: %+v", i, o)
						}
					}
				}
				if !slices.Equal(ended, tt.ended) {
					t.Errorf("ended %d, want %d", ended, tt.ended)
				}
			})
		})
	}
}

// TestUnsentTooLate: that the first transmission could not be sent says nothing of a request that
// has been repeated meanwhile, or of which somebody has spoken.
func TestUnsentTooLate(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(tx *clientTx)
		ends   bool
	}{
		"in time":     {func(*clientTx) {}, true},
		"repeated":    {func(tx *clientTx) { tx.repeated = true }, false},
		"provisional": {func(tx *clientTx) { tx.proceeding = true }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(nil)
				u, _ := memUA(t, testConfig(), b)
				u.Deliver(parcel("x", toMem(1)))
				synctest.Wait()
				u.client.mu.Lock()
				tx := u.client.open.all()[0]
				tt.before(tx)
				u.client.mu.Unlock()
				u.client.unsent(tx, syscall.EPERM)
				synctest.Wait()
				if b.ready("x") != tt.ends {
					t.Errorf("ended: %t", !tt.ends)
				}
			})
		})
	}
}
