package component

import (
	"slices"

	"gosrc.io/xmpp/stanza"

	"github.com/stoxgw/stox/mapping"
)

// answer is what the answers of the handler to IQs have in common.
type answer struct {
	from, to mapping.JID
	id, lang string
	failure  *mapping.Failure
	app      string // the condition of XEP-0050 beside it
}

// append appends the answer. payload is what a result has in it.
func (a answer) append(b []byte, by string, payload func([]byte) []byte) []byte {
	typ := stanza.IQTypeResult
	if a.failure != nil {
		typ = stanza.IQTypeError
	}
	b = appendOpen(b, "iq", a.from.String(), a.to.String(), a.id, string(typ))
	b = appendOptAttr(b, "xml:lang", a.lang)
	b = append(b, '>')
	if a.failure != nil {
		e := errorOf(a.failure)
		e.lang, e.app = a.lang, a.app
		b = appendStanzaError(b, by, e)
	} else {
		b = payload(b)
	}
	return append(b, "</iq>"...)
}

// appendCommandReply appends the answer to a command.
func appendCommandReply(b []byte, v *mapping.XMPPCommandReply, by string) []byte {
	a := answer{v.From, v.To, v.ID, v.Lang, v.Failure, v.Condition}
	return a.append(b, by, func(b []byte) []byte {
		b = append(b, "<command xmlns='"+nsCommands+"'"...)
		b = appendAttr(b, "node", v.Node)
		b = appendOptAttr(b, "sessionid", v.Session)
		b = appendAttr(b, "status", v.Status)
		b = append(b, '>')
		b = appendActions(b, v.Actions, v.Default)
		for _, n := range v.Notes {
			b = appendNote(b, n)
		}
		if v.Form != nil {
			b = appendForm(b, v.Form)
		}
		return append(b, "</command>"...)
	})
}

// appendActions says what may come next, in the order of XEP-0050 §4.2.
func appendActions(b []byte, actions []string, execute string) []byte {
	if len(actions) == 0 {
		return b
	}
	b = append(b, "<actions"...)
	if slices.Contains(actions, execute) {
		b = appendOptAttr(b, "execute", execute)
	}
	b = append(b, '>')
	for _, one := range []string{"prev", "next", "complete"} {
		if slices.Contains(actions, one) {
			b = append(append(append(b, '<'), one...), "/>"...)
		}
	}
	return append(b, "</actions>"...)
}

func appendNote(b []byte, n mapping.Note) []byte {
	b = append(b, "<note"...)
	switch n.Type {
	case "info", "warn", "error":
		b = appendAttr(b, "type", n.Type)
	}
	b = append(b, '>')
	b = appendEscaped(b, n.Text, false)
	return append(b, "</note>"...)
}

// commandStatus reports whether it is one of XEP-0050 §4.1.
func commandStatus(s string) bool {
	return s == "executing" || s == "completed" || s == "canceled"
}
