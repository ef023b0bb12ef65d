package sipside

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
)

// TestBigMessages: what is larger than one read of sipgo is, whatever is in it. Its loop
// takes a read that has nothing but zeros for a keepalive, and then the next message on the
// trunk for the rest of this one's body.
func TestBigMessages(t *testing.T) {
	b := newBridge(processed)
	u := start(t, testConfig(), b)
	for name, body := range map[string]string{
		"zeros":           strings.Repeat("\x00", 60000),
		"zeros, the most": strings.Repeat("\x00", 65536),
		"line ends":       strings.Repeat("\r\n", 32768),
		"messages":        strings.Repeat(message("tcp"), 100),
		"text":            strings.Repeat("x", 65536),
	} {
		for _, head := range []int{0, 100, 15000} { // of a header more
			t.Run(name, func(t *testing.T) {
				before := b.count()
				pad := "Subject: " + strings.Repeat("s", head)
				big := siptest.Text(body, lines("tcp", fresh(), pad)...)
				if got := statuses(t, exchange(t, addr(u, "tcp"), message("tcp")+big+message("tcp"))); len(got) != 3 || got[0] != 200 || got[1] != 200 || got[2] != 200 {
					t.Errorf("over TCP, %d: %v", head, got)
				}
				if n := len(body) + head; n < 64000 {
					p := siptest.Listen(t, "udp")
					if res := p.Request(addr(u, "udp"), siptest.Text(body, lines("udp", fresh(), pad)...)); res.Status() != 200 {
						t.Errorf("over UDP, %d: %s", head, res.First)
					}
				}
				b.mu.Lock()
				defer b.mu.Unlock()
				n := 0
				for _, m := range b.requests[before:] {
					if bytes.Equal(m.Body, []byte(body)) {
						n++
					} else if string(m.Body) != "hi" {
						t.Errorf("a body of %d bytes has become another one", len(m.Body))
					}
				}
				if n == 0 {
					t.Error("the big one did not come through")
				}
			})
		}
	}
}
