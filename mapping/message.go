package mapping

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// ToSIP translates v: none, one or several values (nothing to say is no error).
// An error is a *Failure.
func (r *Rules) ToSIP(v XMPP) ([]SIP, error) {
	switch v := v.(type) {
	case *XMPPMessage:
		m, f := r.messageToSIP(v)
		if f != nil {
			return nil, f
		}
		if m == nil {
			return nil, nil
		}
		return []SIP{m}, nil
	case *XMPPError:
		return nil, nil // an error is never answered and never becomes a request (IM-08, ERR-11)
	}
	return nil, FailInternal(fmt.Errorf("mapping: no SIP form for %T", v))
}

// ToXMPP translates v: none, one or several values (nothing to say is no error).
// An error is a *Failure.
func (r *Rules) ToXMPP(v SIP) ([]XMPP, error) {
	if v, ok := v.(*SIPMessage); ok {
		m, f := r.messageToXMPP(v)
		if f != nil {
			return nil, f
		}
		if m == nil {
			return nil, nil
		}
		return []XMPP{m}, nil
	}
	return nil, FailInternal(fmt.Errorf("mapping: no XMPP form for %T", v))
}

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
		ContentType: textPlain,
		Charset:     "utf-8",
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
	if len(v.Body) == 0 {
		return nil, nil
	}
	body, f := decodeBody(v.ContentType, v.Charset, v.Body)
	if f != nil {
		return nil, f
	}
	if body == "" {
		return nil, nil
	}
	m := &XMPPMessage{
		From:   from,
		To:     to,
		Lang:   LanguageTag(v.Lang),
		Bodies: []Text{{Value: body}},
		Thread: XMLText(HeaderText(v.CallID)),
	}
	if subject := XMLText(HeaderText(v.Subject)); subject != "" {
		m.Subjects = []Text{{Value: subject}}
	}
	return m, nil
}

const textPlain = "text/plain"

// decoders has a function for each media type that can be made a text: from the
// octets and the charset parameter to the text with LF and without anything that
// XML forbids.
var decoders = map[string]func(charset string, body []byte) (string, *Failure){
	textPlain: decodePlain,
	"":        decodePlain, // RFC 2045 §5.2: what a body without Content-Type is
}

// charsets has a function for each charset of a text: from its octets to UTF-8,
// false if they are not in it.
var charsets = map[string]func([]byte) ([]byte, bool){
	"":         utf8Text, // RFC 3261 §7.4.1: the default is UTF-8
	"utf-8":    utf8Text,
	"us-ascii": utf8Text, // many who say so send UTF-8
}

func decodeBody(contentType, charset string, body []byte) (string, *Failure) {
	decode, ok := decoders[contentType]
	if !ok {
		return "", FailUnsupportedType()
	}
	return decode(charset, body)
}

func decodePlain(charset string, body []byte) (string, *Failure) {
	decode, ok := charsets[charset]
	if !ok {
		return "", FailUnsupportedType()
	}
	text, ok := decode(body)
	if !ok {
		return "", FailBadText()
	}
	return XMLText(fromCRLF(text)), nil
}

func utf8Text(b []byte) ([]byte, bool) { return b, utf8.Valid(b) }

// asFailure returns the *Failure in err. Whatever else it might be is a fault of
// ours.
func asFailure(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) && f != nil {
		return f
	}
	return FailInternal(err)
}
