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
// which JID the answer is (GW-18).
func (s *services) addPrompt(contact func(string) (mapping.JID, error)) {
	ask := append([]byte(nil), "<query xmlns='"+nsGateway+"' xml:lang='en'>"...)
	ask = appendTextElement(ask, "desc", "", "Enter the SIP address or phone number.")
	ask = appendTextElement(ask, "prompt", "", "SIP address")
	ask = append(ask, "</query>"...)
	s.gateway[get(nsGateway, "query")] = func(*asked) ([]byte, *stanzaError) { return ask, nil }

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
