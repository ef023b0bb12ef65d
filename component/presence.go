package component

import "github.com/stoxgw/stox/mapping"

// presence handles a presence stanza (RFC 6121 §3, §4). What asks for something is
// answered if it makes no sense; the rest of what makes none is ignored, and so are error
// stanzas: our presence is nobody's message.
func (r *reader) presence(st *element, over string) {
	typ := mapping.PresenceType(st.attr("type"))
	if !typ.Known() || typ == mapping.PresenceError {
		return // GW-29, SEC-10
	}
	rt, bad := r.route(st)
	if bad == nil && over != "" {
		e := tooBig(over)
		bad = &e
	}
	if bad != nil {
		if typ == mapping.Subscribe {
			r.refuse(st, rt, *bad)
		}
		return
	}
	r.hand(&mapping.XMPPPresence{From: rt.from, To: rt.to, ID: st.attr("id"), Type: typ})
}

// appendPresence appends a presence stanza. Who is available says what it can do
// (XEP-0115); a nick is for those who are asked for a subscription and for nobody else
// (XEP-0172 §4.1). q.mu is held.
func (q *queue) appendPresence(b []byte, v *mapping.XMPPPresence) []byte {
	b = appendOpen(b, "presence", v.From.String(), v.To.String(), v.ID, string(v.Type))
	b = append(b, '>')
	switch v.Type {
	case mapping.Available:
		b = q.caps(b, v.From)
	case mapping.Subscribe:
		b = appendNick(b, v.Nick)
	case mapping.PresenceError:
		f := v.Failure
		b = appendStanzaError(b, q.by, stanzaError{f.Condition, f.Type, f.Text, f.Alternate})
	}
	return append(b, "</presence>"...)
}

// appendNick says what the sender calls itself (XEP-0172), unless that is "".
func appendNick(b []byte, nick string) []byte {
	if nick == "" {
		return b
	}
	b = append(b, "<nick"...)
	b = appendAttr(b, "xmlns", nsNick)
	b = append(b, '>')
	b = appendEscaped(b, nick, false)
	return append(b, "</nick>"...)
}
