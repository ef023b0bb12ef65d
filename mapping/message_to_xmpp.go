package mapping

// messageToXMPP is RFC 7572 §5, Table 2. The result is nil if v has no text. ID
// is left empty. Type too: page mode has none (IM-15).
func (r *Rules) messageToXMPP(v *SIPMessage) (*XMPPMessage, *Failure) {
	// Addresses before content: RFC 3261 §8.2 has the checks in that order.
	from, err := r.Sender(v.From)
	if err != nil {
		return nil, asFailure(err)
	}
	to, err := r.Recipient(v.RequestURI) // the To header only informs (IM-16)
	if err != nil {
		return nil, asFailure(err)
	}
	c, f := r.readContent(v)
	if f != nil {
		return nil, f
	}
	if c.text == "" {
		return nil, nil
	}
	m := &XMPPMessage{
		From:   from,
		To:     to,
		Lang:   LanguageTag(v.Lang),
		Bodies: []Text{{Value: c.text}},
		Markup: c.markup,
		Thread: XMLText(HeaderText(v.CallID)),
	}
	if subject := XMLText(HeaderText(v.Subject)); subject != "" {
		m.Subjects = []Text{{Value: subject}}
	}
	return m, nil
}
