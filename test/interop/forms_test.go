//go:build interop

package interop

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// CT-07, RFC 3261 §21.4.13: who answers 415 and takes a message/cpim gets the message in one;
// its sender is not told of it.
func TestRefusedForm(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		eachTransport(t, func(t *testing.T, transport string) {
			w := newWorld(t, server)
			s, err := w.SIPpServeOne(w.ctx, transport,
				stage.SIPpAnswer{Status: 415, Reason: "Unsupported Media Type", Headers: []string{"Accept: message/cpim, text/html"}},
				stage.SIPpAnswer{Status: 200, Reason: "OK"})
			w.must(err)
			w.run(via("*", s.Port, transport))
			c := w.login(juliet)
			// One subject: for several it would be asked by OPTIONS, which SIPp does not expect here.
			w.must(c.Send("<message to='romeo@" + w.component + "' id='f1' type='chat' xml:lang='en'><subject>Balcony</subject>" +
				"<body>žluť &lt;3</body></message>"))
			all, err := s.Requests(w.ctx)
			w.must(err)
			if len(all) != 2 {
				t.Fatalf("%d requests, want 2:\n%s", len(all), strings.Join(all, "\n----\n"))
			}
			for i, want := range [][]string{
				{"\nContent-Type: text/plain;charset=utf-8\n", "\nSubject: Balcony\n", "\n\nžluť <3"},
				{"\nContent-Type: message/cpim\n", "\n\nFrom: <im:juliet@" + w.domain + ">\nTo: <im:romeo@sip.test>\nSubject: Balcony\n", "\n\nContent-Type: text/plain; charset=utf-8\n\nžluť <3"},
			} {
				for _, part := range want {
					if !strings.Contains(all[i], part) {
						t.Errorf("request %d has no %q:\n%s", i, part, all[i])
					}
				}
			}
			_, _, err = w.stox.WaitLine(w.ctx, 0, "msg=delivered", "id=f1")
			w.must(err)
			w.fence(c, "fence")
			for _, st := range c.Stanzas() {
				if st.Kind == "message" {
					t.Errorf("the sender got %s", st.Raw)
				}
			}
			w.crossed(passage{stage.SIPpName(), roleSIPp, transport, toSIP, "sent again as message/cpim"}, "answer 415 with Accept: message/cpim")
		})
	})
}

// IM-06, IM-12: an answer in the same Call-ID comes back in the thread, also in one that
// cannot be a Call-ID.
func TestAnswerInThread(t *testing.T) {
	t.Parallel()
	callID := regexp.MustCompile(`(?m)^Call-ID: (.*)$`)
	eachServer(t, func(t *testing.T, server string) {
		for _, row := range []struct{ transport, thread string }{{"udp", "this, žluť, is no Call-ID"}, {"tcp", "29377446-0CBB-4296"}, {"udp", ""}} {
			t.Run(row.transport+" "+row.thread, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, server)
				s, err := w.SIPpReply(w.ctx, stage.SIPpSend{Transport: row.transport, URI: w.user(juliet), From: "sip:romeo@sip.test", Body: "I am", Expect: handedOver})
				w.must(err)
				w.run(via("*", s.Port, row.transport))
				c := w.login(juliet)
				xml, what := "<thread>"+row.thread+"</thread>", "answer in a thread"
				if row.thread == "" {
					xml, what = "", "answer to a message without a thread"
				}
				w.must(c.Send("<message to='romeo@" + w.component + "' id='r1' type='chat'>" + xml + "<body>art thou not Romeo</body></message>"))
				st := w.await(c, "the answer", stage.WithBody("I am"))
				all, err := s.Requests(w.ctx)
				w.must(err)
				want := row.thread
				if want == "" {
					want = callID.FindStringSubmatch(all[0])[1]
				}
				if st.Thread != want {
					t.Errorf("the answer has the thread %q, want %q", st.Thread, want)
				}
				w.crossed(passage{stage.SIPpName(), roleSIPp, row.transport, both, "it comes back in the thread"}, what)
			})
		}
	})
}
