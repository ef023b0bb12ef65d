package component

import "github.com/stoxgw/stox/mapping"

// What a message stanza says that is no text: receipts, markers, chat states.

const (
	nsReceipts = "urn:xmpp:receipts"                     // XEP-0184
	nsMarkers  = "urn:xmpp:chat-markers:0"               // XEP-0333
	nsStates   = "http://jabber.org/protocol/chatstates" // XEP-0085
	nsHints    = "urn:xmpp:hints"                        // XEP-0334
)

// readWishes reads what the sender of a text wants to be told.
func readWishes(m *mapping.XMPPMessage, c *element) {
	switch {
	case c.name.Space == nsReceipts && c.name.Local == "request":
		m.WantReceipt = true
	case c.name.Space == nsMarkers && c.name.Local == "markable":
		m.Markable = true
	}
}

// signals hands over what a stanza without a text says: one receipt, one marker, or else one
// chat state. It is never answered: what is
// wrong with it, or with its addresses, is nobody's message.
func (r *reader) signals(st *element, h *head) {
	rt, bad := r.route(h)
	if bad != nil || rt.to.Local() == "" || h.typ == "groupchat" {
		return
	}
	var received, displayed bool
	var state mapping.ChatState
	for _, c := range st.children {
		switch c.name.Space {
		case nsReceipts, nsMarkers:
			read := c.name.Space == nsMarkers
			said := &received
			if read {
				said = &displayed
			}
			about := c.attr("id")
			if *said || about == "" || !(read && c.name.Local == "displayed" || !read && c.name.Local == "received") {
				continue
			}
			*said = true
			r.hand(&mapping.XMPPReceipt{From: rt.from, To: rt.to, ID: h.id, Type: h.typ, About: about, Read: read})
		case nsStates:
			if s := mapping.ChatState(c.name.Local); s.Known() && state == "" {
				state = s
			}
		}
	}
	// What a client does with a receipt says nothing about typing.
	if state != "" && !received && !displayed {
		r.hand(&mapping.XMPPState{From: rt.from, To: rt.to, ID: h.id, State: state})
	}
}

// appendWishes appends what a text asks to be told (IM-43).
func appendWishes(b []byte, v *mapping.XMPPMessage) []byte {
	if v.WantReceipt {
		b = append(b, "<request xmlns='"+nsReceipts+"'/>"...)
	}
	if v.Markable {
		b = append(b, "<markable xmlns='"+nsMarkers+"'/>"...)
	}
	return b
}

// appendReceipt appends a receipt or a marker. It wants no receipt itself (XEP-0184 §5.6),
// and is kept for who is away.
func appendReceipt(b []byte, v *mapping.XMPPReceipt) []byte {
	b = appendOpen(b, "message", v.From.String(), v.To.String(), v.ID, v.Type)
	if v.Read {
		b = append(b, "><displayed xmlns='"+nsMarkers+"'"...)
	} else {
		b = append(b, "><received xmlns='"+nsReceipts+"'"...)
	}
	b = appendAttr(b, "id", v.About)
	return append(b, "/></message>"...)
}

// appendState appends a chat state: of type chat, with no text (XEP-0085 §5.1), and not to
// be kept by anybody (XEP-0334).
func appendState(b []byte, v *mapping.XMPPState) []byte {
	b = appendOpen(b, "message", v.From.String(), v.To.String(), v.ID, "chat")
	b = append(b, "><"...)
	b = append(b, v.State...)
	return append(b, " xmlns='"+nsStates+"'/><no-store xmlns='"+nsHints+"'/></message>"...)
}
