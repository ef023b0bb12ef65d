package mapping

import (
	"strings"
	"time"
)

// plainUTF8 is the type of all text that goes to SIP.
const plainUTF8 = "text/plain;charset=utf-8"

// aloneSIP is a message and the slice that it goes out in: one piece of memory, as there is
// one for every message.
type aloneSIP struct {
	SIPMessage
	out [1]SIP
}

// messageToSIP is RFC 7572 §4, Table 1. The result is nil if v says nothing. CallID is
// left empty if the thread cannot be one; FromTag and CSeq always are.
func (r *Rules) messageToSIP(v *XMPPMessage) ([]SIP, *Failure) {
	switch v.Type {
	case "error":
		return nil, nil
	case "groupchat":
		return nil, FailGroupchat()
	}
	around := LanguageTag(v.Lang)
	body, ok := choose(v.Bodies, around, around)
	if !ok {
		if len(v.URLs) == 0 && !v.Encrypted {
			return nil, nil
		}
		body.Lang = around
	}
	var to, from URI
	if f := r.addressee(&to, v.To, v.Device); f != nil {
		return nil, f
	}
	if f := r.sipIdentity(&from, v.From, to.Host, nil); f != nil {
		return nil, f
	}
	// The addresses come first: to who has mistyped one it is of no use to hear what is
	// wrong with the text.
	if v.Encrypted || isCiphertext(body.Value) {
		return nil, FailEncrypted()
	}
	text, f := withLinks(body.Value, v.URLs)
	if f != nil {
		return nil, f
	}
	a := new(aloneSIP)
	m := &a.SIPMessage
	m.RequestURI, m.From, m.To = to, from, to
	m.Lang, m.ContentType = LanguageTag(body.Lang), plainUTF8
	m.Body = toCRLF(XMLText(text))
	if r.lines != nil {
		m.Name = r.displayName(v.From, &from)
	}
	if ValidCallID(v.Thread) {
		m.CallID = v.Thread
	}
	if len(v.Subjects) > 0 {
		if subject, ok := choose(v.Subjects, body.Lang, around); ok {
			m.Subject = HeaderText(subject.Value)
		}
		m.Subjects = beyondHeader(v.Subjects, around, m.Lang)
	}
	if !v.Delay.IsZero() {
		m.Date = v.Delay.UTC().Truncate(time.Second) // IM-26: a SIP-date has no fractions
	}
	a.out[0] = m
	return a.out[:], nil
}

// addressee sets u to the SIP address of the one who is written to: of a device if one was
// named (ADDR-19).
func (r *Rules) addressee(u *URI, to JID, device bool) *Failure {
	if device {
		return r.sipDevice(u, to)
	}
	return r.sipAddress(u, to.Bare(), nil)
}

// beyondHeader is SIPMessage.Subjects: nil if the header Subject says all that texts
// say, in the language lang of the text. around is the language of those that name none.
func beyondHeader(texts []Text, around, lang string) []Text {
	count, other := 0, false
	for _, t := range texts {
		if t.Value == "" {
			continue
		}
		tag := subjectLang(t, around)
		count, other = count+1, other || tag != "" && !strings.EqualFold(tag, lang)
	}
	if count < 2 && !other {
		return nil
	}
	var all []Text
	for _, t := range texts {
		if value := HeaderText(t.Value); value != "" {
			all = append(all, Text{Lang: subjectLang(t, around), Value: value})
		}
	}
	return all
}

func subjectLang(t Text, around string) string {
	if t.Lang == "" {
		return around
	}
	return LanguageTag(t.Lang)
}
