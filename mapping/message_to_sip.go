package mapping

// plainUTF8 is the type of all text that goes to SIP.
const plainUTF8 = "text/plain;charset=utf-8"

// messageToSIP is RFC 7572 §4, Table 1. The result is nil if v has no text.
// CallID is left empty if the thread cannot be one; FromTag and CSeq always are.
func (r *Rules) messageToSIP(v *XMPPMessage) (*SIPMessage, *Failure) {
	switch v.Type {
	case "error":
		return nil, nil
	case "groupchat":
		return nil, FailGroupchat()
	}
	around := LanguageTag(v.Lang)
	body, ok := choose(v.Bodies, around, around)
	if !ok {
		return nil, nil
	}
	to, err := r.SIPAddress(v.To)
	if err != nil {
		return nil, asFailure(err)
	}
	from, err := r.SIPIdentity(v.From, to.Host)
	if err != nil {
		return nil, asFailure(err)
	}
	m := &SIPMessage{
		RequestURI:  to,
		From:        from,
		To:          to,
		Lang:        LanguageTag(body.Lang),
		ContentType: plainUTF8,
		Body:        toCRLF(XMLText(body.Value)),
	}
	if ValidCallID(v.Thread) {
		m.CallID = v.Thread
	}
	if subject, ok := choose(v.Subjects, body.Lang, around); ok {
		m.Subject = HeaderText(subject.Value)
	}
	return m, nil
}
