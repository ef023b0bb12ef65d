package statuspage

import (
	"github.com/stoxgw/stox/internal/history"
)

// brief is a message in a list.
type brief struct{ history.Message }

func briefs(all []history.Message) []brief {
	out := make([]brief, 0, len(all))
	for _, m := range all {
		out = append(out, brief{m})
	}
	return out
}

// Link is the address of its page.
func (b brief) Link() string { return link(&b.Message) }

// Why is the reason of its outcome; a condition of XMPP if there are no words.
func (b brief) Why() string { return why(&b.Message) }

// TookWords is the time from reading it to its outcome.
func (b brief) TookWords() string {
	if b.Outcome == history.Open {
		return "not done"
	}
	if !b.Known && len(b.Steps) < 2 && b.Took() == 0 {
		return "not known"
	}
	return took(b.Took().Seconds())
}

func why(m *history.Message) string {
	if m.Reason != "" {
		return m.Reason
	}
	return m.Condition
}

// Why is that of brief.
func (t told) Why() string { return why(&t.Message) }
