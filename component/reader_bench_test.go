package component

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/stoxgw/stox/mapping"
)

// tally is a Handler that counts values.
type tally int

func (n *tally) FromXMPP(batch []mapping.XMPP) { *n += tally(len(batch)) }
func (n *tally) XMPPOutcomes([]mapping.Result) {}

// BenchmarkMessageIn is what a message costs from the octets that were read to the handler, as
// a server passes it on and as a client writes it, from many users to many contacts.
func BenchmarkMessageIn(b *testing.B) {
	for name, form := range map[string]string{
		"plain":  `<message from='juliet%[1]d@example.com/balcony' to='romeo%[1]d@sip.example.com' type='chat' id='run-%08[1]x'><body>%[2]s</body></message>`,
		"client": strings.NewReplacer("juliet@", "juliet%[1]d@", "romeo@", "romeo%[1]d@", "5d0a3b9e-", "%08[1]x-", "Wherefore", "%.0[2]sWherefore").Replace(clientMessage),
	} {
		b.Run(name, func(b *testing.B) {
			var text bytes.Buffer
			for i := range 1000 {
				fmt.Fprintf(&text, form, i, strings.Repeat("x", 100))
			}
			c, err := New(Config{Server: "x:1", Domain: testDomain, Secret: "s"}, slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			n := new(tally)
			l := &link{cfg: &c.cfg, q: c.q, srv: &c.srv, log: c.log, dead: make(chan struct{}), pingID: "p", up: make(chan struct{}),
				conn: &script{r: io.MultiReader(strings.NewReader(streamHeader), &endless{text: text.Bytes()}), step: 16 << 10}}
			l.rd = newReader(l, n)
			if _, err := l.rd.header(); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				e, over, err := l.rd.next()
				if err == nil {
					err = l.rd.stanza(e, over)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			if l.rd.flush(); int(*n) < b.N {
				b.Errorf("%d messages of %d", *n, b.N)
			}
		})
	}
}
