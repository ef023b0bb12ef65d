package component

import (
	"bytes"
	"strings"
	"time"

	"gosrc.io/xmpp/stanza"

	"github.com/stoxgw/stox/mapping"
)

const (
	nsDelay    = "urn:xmpp:delay" // XEP-0203
	nsOldDelay = "jabber:x:delay" // XEP-0091, before it
	nsOOB      = "jabber:x:oob"   // XEP-0066
)

// message handles a message stanza.
func (r *reader) message(st *element, over string) {
	h := st.head()
	typ := stanza.StanzaType(h.typ)
	if typ == stanza.MessageTypeError {
		r.bounce(st) // never answered (SEC-10)
		return
	}
	if r.privilege(st) {
		return
	}
	m := readMessage(st, &h)
	if over == "" && !hasText(m.Bodies) && len(m.URLs) == 0 && !m.Encrypted {
		r.signals(st, &h)
		return
	}
	rt, bad := r.route(&h)
	m.From, m.To = rt.from, rt.to
	switch typ {
	case stanza.MessageTypeChat, stanza.MessageTypeNormal, stanza.MessageTypeHeadline, "", stanza.MessageTypeGroupchat:
	default:
		m.Type = string(stanza.MessageTypeNormal) // RFC 6121 §5.2.2
	}
	switch {
	case bad != nil:
		r.refuse(st, rt, *bad)
	case over != "":
		r.refuse(st, rt, tooBig(over))
	case typ == stanza.MessageTypeGroupchat:
		r.refuse(st, rt, stanzaError{cond: mapping.CondServiceUnavailable, text: "There is no room at this address."})
	case m.To.Local() == "" && typ == stanza.MessageTypeHeadline: // nobody expects an answer to one
	default:
		r.hand(m)
	}
}

// readMessage reads what a message stanza says, all but its addresses. Only direct
// children count: what is in a forwarded, carbon copied or archived message, in an event
// or in a fallback mark is not said by this stanza (GW-29).
func readMessage(st *element, h *head) *mapping.XMPPMessage {
	// Nearly all have one body, so there is room for one beside the message.
	with := new(struct {
		mapping.XMPPMessage
		body [1]mapping.Text
	})
	m := &with.XMPPMessage
	m.ID, m.Type, m.Lang = h.id, h.typ, h.lang
	more := false // there is something beside the texts
	for _, c := range st.children {
		switch c.name.Space {
		case stanza.NSComponent, stanza.NSClient:
			readOwn(m, c, with.body[:0])
			continue
		case nsDelay:
			if m.Delay.IsZero() && c.name.Local == "delay" {
				m.Delay = readStamp(c.attr("stamp"), time.RFC3339Nano) // XEP-0082 §3.2
			}
		case nsOldDelay:
			if m.Delay.IsZero() && c.name.Local == "x" {
				m.Delay = readStamp(c.attr("stamp"), "20060102T15:04:05")
			}
		case nsOOB:
			if c.name.Local == "x" {
				m.URLs = appendURLs(m.URLs, c)
			}
		case nsReceipts, nsMarkers:
			readWishes(m, c)
		}
		more = true
	}
	if more {
		m.Bodies = withoutReaction(st, m.Bodies)
		m.Encrypted = isEncrypted(st, hasText(m.Bodies))
	}
	return m
}

// readOwn reads a child of the stanza vocabulary. room is for a body.
func readOwn(m *mapping.XMPPMessage, c *element, room []mapping.Text) {
	switch c.name.Local {
	case "body":
		if m.Bodies == nil {
			m.Bodies = room
		}
		m.Bodies = append(m.Bodies, mapping.Text{Lang: c.lang(), Value: string(c.text)})
	case "subject":
		m.Subjects = append(m.Subjects, mapping.Text{Lang: c.lang(), Value: string(c.text)})
	case "thread":
		if m.Thread == "" {
			m.Thread = string(c.text)
		}
	}
}

func hasText(texts []mapping.Text) bool {
	for _, t := range texts {
		if t.Value != "" {
			return true
		}
	}
	return false
}

// readStamp reads the time in a delay, whoever wrote it: a wrong one does no harm but to
// what the reader is told. The zero time stands for nonsense and for times before there
// was any XMPP, which a clock that was never set gives.
func readStamp(stamp, layout string) time.Time {
	if len(stamp) > 64 {
		return time.Time{}
	}
	t, err := time.Parse(layout, strings.TrimSpace(stamp))
	if t = t.UTC(); err != nil || t.Year() < 1999 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// appendURLs appends what a jabber:x:oob links to. How many there are is for the
// mapping to judge; maxElements is the bound here.
func appendURLs(urls []string, x *element) []string {
	for _, c := range x.children {
		if c.name.Space != nsOOB || c.name.Local != "url" {
			continue
		}
		if url := bytes.TrimSpace(c.text); len(url) > 0 {
			urls = append(urls, string(url))
		}
	}
	return urls
}
