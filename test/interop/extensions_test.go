//go:build interop

package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// CT-14, CT-16, IM-26: what clients put beside a text, through a real server. Each request
// that arrives is the one that was expected, so what is to be silent was.
func TestBesideTheText(t *testing.T) {
	t.Parallel()
	steps := []struct {
		what, xml string
		want      []string // in the request; nil if there is to be none
	}{
		{"out-of-band link", "<body>Our orchard</body><x xmlns='jabber:x:oob'><url>https://up.test/orchard.jpg</url></x>",
			[]string{"\n\nOur orchard\nhttps://up.test/orchard.jpg"}},
		{"out-of-band link", "<x xmlns='jabber:x:oob'><url>https://up.test/alone.jpg</url></x>",
			[]string{"\n\nhttps://up.test/alone.jpg"}},
		{"", "<reactions xmlns='urn:xmpp:reactions:0' id='b0'><reaction>👍</reaction></reactions><body>👍</body>" +
			"<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reactions:0'><body/></fallback>", nil},
		{"", "<encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl'/>" +
			"<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/></encrypted>", nil},
		{"correction (XEP-0308)", "<body>wherefore art thou</body><replace xmlns='urn:xmpp:message-correct:0' id='b0'/>",
			[]string{"\n\nwherefore art thou"}},
		{"delay", "<body>late news</body><delay xmlns='urn:xmpp:delay' stamp='2026-01-15T10:00:00.5+01:00'/>",
			[]string{"\nDate: Thu, 15 Jan 2026 09:00:00 GMT\n", "\n\nlate news"}},
		{"texts in several languages", "<body xml:lang='de'>Wozu?</body><body xml:lang='en'>wherefore</body>",
			[]string{"\nContent-Language: en\n", "\n\nwherefore"}},
	}
	eachServer(t, func(t *testing.T, server string) {
		requests := 0
		for _, s := range steps {
			if s.want != nil {
				requests++
			}
		}
		w, s := sippRoute(t, server, "tcp", requests, 200, "OK")
		c := w.login(juliet)
		for i, step := range steps {
			w.must(c.Send(fmt.Sprintf("<message to='romeo@%s' id='b%d' type='chat' xml:lang='en'>%s</message>", w.component, i, step.xml)))
		}
		all, err := s.Requests(w.ctx)
		w.must(err)
		for _, step := range steps {
			if step.want == nil {
				continue
			}
			for _, want := range step.want {
				if len(all) == 0 || !strings.Contains(all[0], want) {
					t.Fatalf("%s: no %q in the next of\n%s", step.what, want, strings.Join(all, "\n----\n"))
				}
			}
			all = all[1:]
			w.crossed(passage{stage.SIPpName(), roleSIPp, "tcp", toSIP, "arrived"}, step.what)
		}

		for id, xml := range map[string]string{
			"omemo": "<body>I sent you an OMEMO encrypted message</body><encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl' name='OMEMO'/>" +
				"<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'><key rid='2'>AA==</key><iv>AA==</iv></header><payload>AA==</payload></encrypted>",
			"no-body": "<encrypted xmlns='urn:xmpp:omemo:2'><header sid='1'/><payload>AA==</payload></encrypted><store xmlns='urn:xmpp:hints'/>",
			"otr":     "<body>?OTR:AAMDJ+MVmSfjFZcAAAAAAQAAAAIAAADA.</body>",
		} {
			w.must(c.Send(fmt.Sprintf("<message to='romeo@%s' id='%s' type='chat'>%s</message>", w.component, id, xml)))
			st := w.await(c, "the refusal", stage.WithID(id))
			if st.Type != "error" || st.Condition != "not-acceptable" || st.ErrorType != "modify" || !strings.Contains(st.ErrorText, "encrypt") || st.From != "romeo@"+w.component {
				t.Errorf("%s: %s", id, st.Raw)
			}
		}
		w.crossed(passage{stage.XMPPClientName(), roleClient, transportStream, toStox, "refused, with what to do"}, "encrypted message")
	})
}
