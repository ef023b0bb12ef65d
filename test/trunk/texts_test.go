package trunk

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stoxgw/stox/internal/siptest"
)

// static is a trunk that knows the gateway by its address.
func static() setting {
	return setting{trunk: siptest.TrunkOptions{Static: "sip:100000_stox@gw.example.com"}, advertise: "gw.example.com"}
}

var mark = regexp.MustCompile(`^\((\d+)/(\d+)\) `)

const friend = "+15551234567@" + component

// ADDR-20, ADDR-25, ADDR-26: a conversation with a telephone is one conversation, between
// the number that was dialled and the number of the user.
func TestConversation(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		s := static()
		s.network = network
		play(t, s, func(w *world) {
			w.registered()
			got := w.text("juliet@example.com", friend, "Art thou not Romeo?")
			if len(got) != 1 || got[0].From != "5550001111" || got[0].To != "5551234567" || got[0].Body != "Art thou not Romeo?" {
				w.Fatalf("%+v", got)
			}
			status, st := w.receive("5551234567", "5550001111", "Neither, fair saint.")
			if status != 200 || st.From != friend || st.To != "juliet@example.com" || st.Body != "Neither, fair saint." || st.Type == "error" {
				w.Errorf("%d %+v", status, st)
			}
			if got = w.text(st.To, st.From, "Good."); len(got) != 1 || got[0].From != "5550001111" || got[0].To != "5551234567" {
				w.Errorf("the reply: %+v", got)
			}
			if st := w.next(); st.Raw != "" {
				w.Errorf("besides: %s", st.Raw)
			}
		})
	}
}

// IM-62: what is longer than the trunk takes goes in parts of which each is not, marks
// included and counted in characters, and nothing of it is lost.
func TestLongTexts(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		parts int
	}{
		"160":               {strings.Repeat("y", 160), 1},
		"161":               {strings.Repeat("y", 161), 2},
		"words":             {strings.Repeat("Neither, fair saint, if either thee dislike. ", 20), 6},
		"160 accents":       {strings.Repeat("é", 160), 1},
		"160 emoji":         {strings.Repeat("👍", 160), 1},
		"161 emoji":         {strings.Repeat("👍", 161), 2},
		"more than UDP has": {strings.Repeat("漢字", 400), 6},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, static(), func(w *world) {
				w.registered()
				got := w.text("juliet@example.com", friend, c.text)
				joined := ""
				for i, m := range got {
					if n := utf8.RuneCountInString(m.Body); n > 160 {
						w.Errorf("part %d has %d characters", i+1, n)
					}
					if (mark.FindString(m.Body) == "") != (c.parts == 1) {
						w.Errorf("part %d: %s", i+1, m.Body)
					}
					joined += mark.ReplaceAllString(m.Body, "")
				}
				if joined != c.text || len(got) != c.parts || len(w.trunk.Refused()) > 0 {
					w.Errorf("%d parts: %s", len(got), joined)
				}
				if st := w.next(); st.Raw != "" {
					w.Errorf("told %s", st.Raw)
				}
			})
		})
	}
}

// A text of more than 99 parts comes back, and none of it has been sent.
func TestTextTooLong(t *testing.T) {
	play(t, static(), func(w *world) {
		w.registered()
		got := w.text("juliet@example.com", friend, strings.Repeat("y", 99*154))
		if st := w.next(); len(got) != 0 || st.Type != "error" || !strings.Contains(st.Raw, "policy-violation") || !strings.Contains(st.Raw, "too long") {
			w.Errorf("%d texts, told %s", len(got), st.Raw)
		}
		if !strings.Contains(w.log.String(), "160 characters") {
			w.Error("no remedy in the log")
		}
	})
}

// Where the route does not split a long text goes as it is, and the trunk's refusal comes
// back: nobody counts for a trunk that might take it.
func TestNoSplit(t *testing.T) {
	s := static()
	s.size = "tcp"
	play(t, s, func(w *world) {
		w.registered()
		got := w.text("juliet@example.com", friend, strings.Repeat("y", 161))
		if st := w.next(); len(got) != 0 || st.Type != "error" || len(w.trunk.Refused()) != 1 {
			w.Errorf("%d texts, refused %q, told %s", len(got), w.trunk.Refused(), st.Raw)
		}
	})
}

// The trunk gets text/plain and nothing else, whatever there is to say, and no question
// what it takes: a 415 would cost the texts after it, too.
func TestPlainTextOnly(t *testing.T) {
	s := static()
	s.trunk.Sulks = time.Hour
	play(t, s, func(w *world) {
		w.registered()
		for range 3 {
			w.write("juliet@example.com", friend, "<subject xml:lang='en'>Hello</subject><subject xml:lang='fr'>Bonjour</subject><body xml:lang='en'>Art thou not Romeo?</body><request xmlns='urn:xmpp:receipts'/>")
			w.write("juliet@example.com", friend, "<composing xmlns='http://jabber.org/protocol/chatstates'/>")
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if n := len(w.trunk.Texts()); n != 3 || len(w.trunk.Refused()) != 0 || w.methods["MESSAGE"] != 3 {
			w.Errorf("%d texts of %v, refused %q", n, w.methods, w.trunk.Refused())
		}
		for _, raw := range w.wire {
			if strings.HasPrefix(raw, "OPTIONS") && strings.Contains(raw, "5551234567") {
				w.Errorf("asked: %s", raw)
			}
		}
	})
}

// A user without a number of the trunk has nothing to send from that the trunk would take.
func TestSenderWithoutAlias(t *testing.T) {
	play(t, static(), func(w *world) {
		w.registered()
		got := w.text("nurse@example.com", friend, "hi")
		if st := w.next(); len(got) != 0 || st.Type != "error" || !strings.Contains(st.Raw, "403") {
			w.Errorf("%d texts, told %s", len(got), st.Raw)
		}
	})
}
