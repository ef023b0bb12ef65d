package component

import (
	"errors"
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// nsGateway is the namespace in which a client asks for the JID of an address of the
// other side (XEP-0100).
const nsGateway = "jabber:iq:gateway"

// addPrompt serves XEP-0100's way to addresses: what to ask the user for (GW-17), and
// which JID the answer is (GW-18). texts are those of the question in a language, nil if they
// are English.
func (s *services) addPrompt(contact func(string) (mapping.JID, error), texts func(lang string) (desc, prompt string)) {
	s.gateway[get(nsGateway, "query")] = func(q *asked) ([]byte, *stanzaError) {
		b := append([]byte(nil), "<query xmlns='"+nsGateway+"'"...)
		desc, prompt := "Enter the SIP address or phone number.", "SIP address"
		if texts != nil { // whether it has them in that language it does not say
			desc, prompt = texts(q.lang)
		} else {
			b = appendAttr(b, "xml:lang", "en")
		}
		b = append(b, '>')
		b = appendTextElement(b, "desc", "", desc)
		b = appendTextElement(b, "prompt", "", prompt)
		return append(b, "</query>"...), nil
	}

	s.gateway[set(nsGateway, "query")] = func(q *asked) ([]byte, *stanzaError) {
		var typed *element
		for _, c := range q.payload.children {
			switch {
			case c.name.Space != nsGateway || c.name.Local != "prompt":
			case typed != nil || len(c.children) > 0:
				return nil, &stanzaError{cond: mapping.CondBadRequest, text: "The prompt is one text."}
			default:
				typed = c
			}
		}
		if typed == nil {
			return nil, &stanzaError{cond: mapping.CondBadRequest, text: "The query has no prompt."}
		}
		jid, err := contact(strings.TrimSpace(string(typed.text)))
		if err != nil {
			bad := stanzaError{cond: mapping.CondNotAcceptable, typ: mapping.TypeModify}
			var f *mapping.Failure
			if errors.As(err, &f) {
				bad.text = f.Text
			}
			return nil, &bad
		}
		b := append([]byte(nil), "<query xmlns='"+nsGateway+"'>"...)
		b = appendTextElement(b, "jid", "", jid.String())
		return append(b, "</query>"...), nil
	}
}
