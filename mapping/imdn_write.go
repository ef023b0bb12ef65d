package mapping

import (
	"encoding/xml"
	"strings"
)

// notices are the elements that a notification has for a Notice. That a bounce came after
// the answer is an error and not a failure: another device may have the message.
var notices = map[Notice][2]string{
	NoticeDelivered: {"delivery-notification", "delivered"},
	NoticeDisplayed: {"display-notification", "displayed"},
	NoticeFailed:    {"delivery-notification", "error"},
}

// Notify makes the request that tells to, who has asked for it with q, one thing about the
// message (RFC 5438 §7.2.1): in a message/cpim of its own with the identifier id. from is
// whom it was for. Call-ID, From tag and CSeq are left empty.
//
// Where the message names a way for notifications (IMDN-Record-Route), all of it is in the
// notification. Its first station is where the request goes, if that is the server of to
// itself: the sender of a message does not choose who else gets requests of ours, be it a
// user or a telephone of the same server (SEC-27).
func (q *IMDNRequest) Notify(from, to URI, says Notice, id string) *SIPMessage {
	m := &SIPMessage{RequestURI: to, To: to, From: from, ContentType: TypeIMDN, Disposition: "notification", Body: q.document(from, says)}
	headers := []CPIMHeader{{Space: SpaceIMDN, Name: "Message-ID", Value: id}}
	for i, r := range q.Route {
		h := CPIMHeader{Space: SpaceIMDN, Name: "IMDN-Route", Value: r}
		headers = append(headers, h)
		if _, uri, ok := h.Address(); ok && i == 0 {
			if u, err := ParseURI(uri); err == nil && u.Scheme == "sip" && u.User == "" && u.Host == to.Host && u.Port == to.Port {
				m.RequestURI = u
			}
		}
	}
	return m.Wrap(headers...)
}

// document is the body of a notification (RFC 5438 §11.1.9). recipient-uri and
// original-recipient-uri come only as a pair.
func (q *IMDNRequest) document(recipient URI, says Notice) []byte {
	about := notices[says]
	_, uri, _ := CPIMHeader{Value: cpimAddress(recipient)}.Address()
	original := q.OriginalTo
	if original == "" {
		original = uri
	}
	var b strings.Builder
	text := func(name, value string) {
		b.WriteString("<" + name + ">")
		xml.EscapeText(&b, []byte(value)) // writing to a Builder does not fail
		b.WriteString("</" + name + ">")
	}
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><imdn xmlns="` + nsIMDN + `">`)
	text("message-id", q.MessageID)
	text("datetime", q.DateTime)
	text("recipient-uri", uri)
	text("original-recipient-uri", original)
	b.WriteString("<" + about[0] + "><status><" + about[1] + "/></status></" + about[0] + "></imdn>")
	return []byte(b.String())
}
