package component

import (
	"time"

	"github.com/stoxgw/stox/mapping"
)

const nsNick = "http://jabber.org/protocol/nick" // XEP-0172

// appendMessage appends a message. Its markup only repeats the text: where it would make
// the stanza bigger than limit, it is left out.
func appendMessage(b []byte, v *mapping.XMPPMessage, limit int) []byte {
	const end = "</message>"
	start := len(b)
	b = appendOpen(b, "message", v.From.String(), v.To.String(), v.ID, v.Type)
	b = appendOptAttr(b, "xml:lang", v.Lang)
	b = append(b, '>')
	for _, t := range v.Subjects {
		b = appendTextElement(b, "subject", t.Lang, t.Value)
	}
	for _, t := range v.Bodies {
		b = appendTextElement(b, "body", t.Lang, t.Value)
	}
	if v.Thread != "" {
		b = appendTextElement(b, "thread", "", v.Thread)
	}
	b = appendWishes(b, v)
	if !v.Delay.IsZero() {
		b = appendDelay(b, v.From, v.Delay)
	}
	b = appendNick(b, v.Nick)
	if len(v.Markup) > 0 {
		before := len(b)
		if b = appendXHTML(b, v.Markup); len(b)+len(end)-start > limit {
			b = b[:before]
		}
	}
	return append(b, end...)
}

// appendDelay says when a message was written (XEP-0203): its sender says so.
func appendDelay(b []byte, from mapping.JID, t time.Time) []byte {
	if t = t.UTC(); t.Year() < 0 || t.Year() > 9999 { // XEP-0082 has no words for it
		return b
	}
	b = append(b, "<delay"...)
	b = appendAttr(b, "xmlns", nsDelay)
	b = appendAttr(b, "from", from.Bare().String())
	b = append(b, " stamp='"...)
	b = t.AppendFormat(b, "2006-01-02T15:04:05.999Z")
	return append(b, "'/>"...)
}
