//go:build interop

package interop

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/test/stage"
)

// GW-33, IM-21, IM-56, ERR-04: a bounce comes before the barrier that decides, also
// that of a user who is online and has blocked the sender (XEP-0191), and also in the
// midst of 2000 pipelined messages: exactly those that bounced are refused. The first
// message is the first that the server refuses since its start.
func TestBouncesBeforeBarrier(t *testing.T) {
	t.Parallel()
	for _, on := range []struct{ server, mode string }{{"prosody", "single"}, {"prosody", "settled"}, {"ejabberd", "settled"}} {
		server, mode := on.server, on.mode
		t.Run(server+" "+mode, func(t *testing.T) {
			t.Parallel()
			w := newPrivateWorld(t, server)
			b, err := os.ReadFile(w.stox.Config)
			w.must(err)
			w.must(os.WriteFile(w.stox.Config, []byte(strings.Replace(string(b), "[xmpp]\n", "[xmpp]\nbarrier = \""+mode+"\"\n", 1)), 0o600))
			w.must(w.server.Boot(w.ctx))
			w.run(via(sipDomain, 9, "udp"))
			c := w.login(juliet)
			w.must(c.Send("<iq type='set' id='block'><block xmlns='urn:xmpp:blocking'><item jid='tybalt@" + w.component + "'/></block></iq>"))
			if st := w.await(c, "the answer to block", stage.WithID("block")); st.Type != "result" {
				t.Fatalf("block: %s", st.Raw)
			}

			peer := siptest.Listen(t, "tcp")
			sip := netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", w.stox.SIP))
			n := 0
			send := func(from, to string) (branch string) {
				n++
				branch = fmt.Sprintf("z9hG4bK%s%d", mode, n)
				peer.Send(sip, siptest.Text(fmt.Sprintf("number %d", n),
					"MESSAGE sip:"+to+"@xmpp.test SIP/2.0",
					fmt.Sprintf("Via: SIP/2.0/TCP %s;branch=%s;rport", peer.Addr(), branch),
					"Max-Forwards: 70",
					fmt.Sprintf("From: <sip:%s@sip.test>;tag=t%d", from, n),
					"To: <sip:"+to+"@xmpp.test>",
					fmt.Sprintf("Call-ID: barrier-%d", n),
					"CSeq: 1 MESSAGE",
					"Content-Type: text/plain;charset=UTF-8"))
				return branch
			}
			for _, row := range []struct {
				name, from, to string
				bounce         bool
			}{
				{"blocked", "tybalt", "juliet", true},
				{"unknown", "romeo", "nobody", true},
				{"welcome", "romeo", "juliet", false},
			} {
				want := 200
				if row.bounce {
					want = 480
				}
				if got := peer.Final(send(row.from, row.to)).Status(); got != want {
					t.Errorf("%s: %d, want %d", row.name, got, want)
				}
			}
			for _, bouncing := range []struct{ from, to string }{{"romeo", "nobody"}, {"tybalt", "juliet"}} {
				// One SIP peer may have a quarter of 4096 requests open.
				const pipelined, window = 2000, 1000
				var good, bad []string
				for i := range pipelined / 2 {
					if i >= window/2 {
						peer.Final(good[i-window/2])
						peer.Final(bad[i-window/2])
					}
					good = append(good, send("romeo", "juliet"))
					bad = append(bad, send(bouncing.from, bouncing.to))
				}
				count := map[string]int{}
				for i := range good {
					count[fmt.Sprint("good ", peer.Final(good[i]).Status())]++
					count[fmt.Sprint("bad ", peer.Final(bad[i]).Status())]++
				}
				if len(count) != 2 || count["good 200"] != pipelined/2 || count["bad 480"] != pipelined/2 {
					t.Errorf("from %s to %s: %v", bouncing.from, bouncing.to, count)
				}
			}
		})
	}
}
