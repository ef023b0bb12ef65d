package component

import (
	"slices"

	"github.com/stoxgw/stox/mapping"
)

const nsRegister = "jabber:iq:register" // XEP-0077

// registerFields are the plain elements of a registration (XEP-0077 §14.1); no other is read
// or written.
var registerFields = []string{
	"username", "nick", "password", "name", "first", "last", "email", "address", "city",
	"state", "zip", "phone", "url", "date", "misc", "text", "key",
}

// addRegister takes registrations for the handler (GW-19). What becomes of them, and what is
// missing in them, is its business.
func (s *services) addRegister() {
	s.gateway[get(nsRegister, "query")] = func(q *asked) ([]byte, *stanzaError) {
		q.inquiry = &mapping.XMPPRegister{From: q.from, To: q.to, ID: q.id, Lang: q.lang}
		return nil, nil
	}
	s.gateway[set(nsRegister, "query")] = func(q *asked) ([]byte, *stanzaError) {
		v := &mapping.XMPPRegister{From: q.from, To: q.to, ID: q.id, Lang: q.lang, Set: true}
		for _, c := range q.payload.children {
			if c.name.Space == nsRegister && c.name.Local == "remove" {
				v.Remove = true
				continue
			}
			v.More = true
			if c.name.Space != nsRegister || !slices.Contains(registerFields, c.name.Local) {
				continue
			}
			again := slices.ContainsFunc(v.Fields, func(f mapping.Field) bool { return f.Var == c.name.Local })
			if again || len(c.children) > 0 {
				return nil, &stanzaError{cond: mapping.CondBadRequest, text: "Each field of a registration is one text."}
			}
			v.Fields = append(v.Fields, mapping.Field{Var: c.name.Local, Values: []string{string(c.text)}})
		}
		var ok bool
		if v.Form, ok = formIn(q.payload); !ok {
			return nil, &stanzaError{cond: mapping.CondBadRequest, text: "The form cannot be read."}
		}
		q.inquiry = v
		return nil, nil
	}
}

// appendRegisterReply appends the answer to a registration. A set that was done has an empty
// one (XEP-0077 §3.1).
func appendRegisterReply(b []byte, v *mapping.XMPPRegisterReply, by string) []byte {
	a := answer{from: v.From, to: v.To, id: v.ID, lang: v.Lang, failure: v.Failure}
	return a.append(b, by, func(b []byte) []byte {
		if !v.Asked {
			return b
		}
		b = append(b, "<query xmlns='"+nsRegister+"'>"...)
		if v.Registered {
			b = append(b, "<registered/>"...)
		}
		if v.Instructions != "" {
			b = appendTextElement(b, "instructions", "", v.Instructions)
		}
		for i := range v.Fields {
			f := &v.Fields[i]
			if !slices.Contains(registerFields, f.Var) {
				continue
			}
			value := ""
			if len(f.Values) > 0 {
				value = f.Values[0]
			}
			b = appendTextElement(b, f.Var, "", value)
		}
		if v.Form != nil {
			b = appendForm(b, v.Form)
		}
		return append(b, "</query>"...)
	})
}
