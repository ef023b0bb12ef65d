package mapping

// aloneXMPP is a message with its text and its subject, and the slice that it goes out in:
// one piece of memory, as nearly every message has one of each.
type aloneXMPP struct {
	XMPPMessage
	out           [1]XMPP
	body, subject [1]Text
}

// messageToXMPP is RFC 7572 §5, Table 2. The result is nil if v has no text, an IMDN if
// that is what v has, and an XMPPState if v says only whether somebody is typing. ID
// is left empty. Type too: page mode has none (IM-15). Nick is what the display name
// says, each time: that it is told only once is for who remembers.
func (r *Rules) messageToXMPP(v *SIPMessage) ([]XMPP, *Failure) {
	// Addresses before content: RFC 3261 §8.2 has the checks in that order.
	from, err := r.Sender(v.From)
	if err != nil {
		return nil, asFailure(err)
	}
	to, err := r.RecipientOf(v) // the To header only informs (IM-16), but for an account
	if err != nil {
		return nil, asFailure(err)
	}
	c, f := r.readContent(v)
	if f != nil {
		return nil, f
	}
	if c.notice != nil {
		return []XMPP{&IMDN{From: from, To: to, MessageID: c.notice.messageID, Says: c.notice.says}}, nil
	}
	if c.typing != nil {
		return []XMPP{stateToXMPP(from, to, c.typing)}, nil
	}
	if c.text == "" {
		return nil, nil
	}
	a := new(aloneXMPP)
	m := &a.XMPPMessage
	m.From, m.To, m.Lang = from, to, c.lang
	a.body[0].Value = c.text
	m.Bodies, m.Markup = a.body[:], c.markup
	m.Thread, m.Nick = lineXML(v.CallID), nick(v.Name, &v.From)
	// What a message/cpim says of itself is from its author, end to end: it wins over the
	// headers of the request, but for when that expires.
	if m.Subjects = subjectsOf(c.subjects, c.lang); m.Subjects == nil {
		if subject := lineXML(v.Subject); subject != "" {
			a.subject[0].Value = subject
			m.Subjects = a.subject[:]
		}
	}
	if m.Delay, f = r.delay(v, c.date); f != nil {
		return nil, f
	}
	if c.asks != nil { // IM-40
		m.Asks, m.WantReceipt, m.Markable = c.asks, c.asks.Wants.Has(NoticeDelivered), c.asks.Wants.Has(NoticeDisplayed)
	}
	a.out[0] = m
	return a.out[:], nil
}
