package component

import (
	"bytes"
	"strconv"
	"time"

	"gosrc.io/xmpp/stanza"

	"github.com/stoxgw/stox/mapping"
)

const nsIdle = "urn:xmpp:idle:1" // XEP-0319

// maxStatuses is how many texts of one presence stanza are looked at: one of a language.
const maxStatuses = 8

// presence handles a presence stanza (RFC 6121 §3, §4). What asks for something is
// answered if it makes no sense; the rest of what makes none is ignored. Errors are handed
// over and never answered (GW-29, SEC-10): they may be forged, and are believed only where
// something was asked.
func (r *reader) presence(st *element, over string) {
	h := st.head()
	typ := mapping.PresenceType(h.typ)
	if !typ.Known() {
		return
	}
	rt, bad := r.route(&h)
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
	v := &mapping.XMPPPresence{From: rt.from, To: rt.to, ID: h.id, Type: typ}
	switch typ {
	case mapping.Available, mapping.Unavailable:
		readShown(v, st)
	case mapping.PresenceError:
		v.Failure = readStanzaError(st)
	}
	r.hand(v)
}

// readShown reads what a stanza says besides that its sender is there or gone. Of what may
// stand once the first counts; what is none of its values is not said.
func readShown(v *mapping.XMPPPresence, st *element) {
	var s mapping.Resource
	v.Lang = st.lang()
	said := false
	for _, c := range st.children {
		switch c.name.Space {
		case stanza.NSComponent, stanza.NSClient:
			said = readShownOwn(&s, c) || said
		case nsIdle:
			if c.name.Local == "idle" && s.Idle.IsZero() {
				s.Idle = readStamp(c.attr("since"), time.RFC3339Nano)
				said = said || !s.Idle.IsZero()
			}
		case nsDelay:
			if c.name.Local == "delay" && s.Since.IsZero() {
				s.Since = readStamp(c.attr("stamp"), time.RFC3339Nano)
				said = said || !s.Since.IsZero()
			}
		}
	}
	if said {
		v.Shows = &s
	}
}

// readShownOwn reads a child of the stanza vocabulary, and reports whether it says anything.
func readShownOwn(s *mapping.Resource, c *element) bool {
	text := bytes.TrimSpace(c.text)
	switch c.name.Local {
	case "show":
		show := mapping.ParseShow(string(text))
		if s.Show != mapping.ShowNone || show == mapping.ShowNone {
			return false
		}
		s.Show = show
	case "status":
		if len(text) == 0 || len(s.Status) >= maxStatuses {
			return false
		}
		s.Status = append(s.Status, mapping.Text{Lang: c.lang(), Value: string(c.text)})
	case "priority":
		n, err := strconv.ParseInt(string(text), 10, 8)
		if err != nil || s.HasPriority {
			return false
		}
		s.Priority, s.HasPriority = int8(n), true
	default:
		return false
	}
	return true
}

// appendPresence appends a presence stanza. The gateway says what it can do (XEP-0115); of a
// contact only that is shown which it shows itself, and what its JID can do is told to those
// who ask. A nick is for those who are asked for a subscription and for nobody else
// (XEP-0172 §4.1, PRES-31). q.mu is held.
func (q *queue) appendPresence(b []byte, v *mapping.XMPPPresence) []byte {
	b = appendOpen(b, "presence", v.From.String(), v.To.String(), v.ID, string(v.Type))
	b = appendOptAttr(b, "xml:lang", v.Lang)
	b = append(b, '>')
	switch v.Type {
	case mapping.Available:
		b = appendShown(b, v)
		if v.From.Local() == "" {
			b = q.caps(b)
		}
	case mapping.Unavailable:
		b = appendShown(b, v)
	case mapping.Subscribe:
		b = appendNick(b, v.Nick)
	case mapping.PresenceError:
		b = appendStanzaError(b, q.by, errorOf(v.Failure))
	}
	return append(b, "</presence>"...)
}

// appendShown appends what is said besides that somebody is there or gone: of who is gone
// only the texts (RFC 6121 §4.7.2).
func appendShown(b []byte, v *mapping.XMPPPresence) []byte {
	s := v.Shows
	if s == nil {
		return b
	}
	if v.Type == mapping.Available && mapping.ParseShow(string(s.Show)) != mapping.ShowNone {
		b = appendTextElement(b, "show", "", string(s.Show))
	}
	for _, t := range s.Status {
		b = appendTextElement(b, "status", t.Lang, t.Value)
	}
	if v.Type == mapping.Unavailable {
		return b
	}
	if s.HasPriority {
		b = appendTextElement(b, "priority", "", strconv.Itoa(int(s.Priority)))
	}
	if since := s.Idle.UTC(); !since.IsZero() && since.Year() >= 0 && since.Year() <= 9999 {
		b = append(b, "<idle xmlns='"+nsIdle+"' since='"...)
		b = since.AppendFormat(b, "2006-01-02T15:04:05.999Z")
		b = append(b, "'/>"...)
	}
	if !s.Since.IsZero() {
		b = appendDelay(b, v.From, s.Since)
	}
	return b
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
