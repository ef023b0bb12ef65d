package mapping

import (
	"strings"
	"unicode"
)

// TypeIMDN is the media type of a notification (RFC 5438 §11).
const TypeIMDN = "message/imdn+xml"

// maxIMDNID is how long the identifier of a message may be: those of user agents have some
// twenty characters, and a Call-ID, which stands in for one, 255 at most.
const maxIMDNID = 255

// The other limits of what is kept of a request for notifications. What has more is kept
// without it.
const (
	maxIMDNDate  = 64
	maxIMDNRoute = 4   // IMDN-Record-Route headers
	maxIMDNURI   = 256 // bytes of each, and of Original-To
)

// Notice is what a notification says of a message, and a set of them is what a sender wants
// to be told.
type Notice uint8

// The notices (RFC 5438 §6.2). What a processing-notification says is none of them: there
// is nothing in XMPP that says it.
const (
	NoticeDelivered Notice = 1 << iota // it has arrived (positive-delivery)
	NoticeDisplayed                    // it was read (display)
	NoticeFailed                       // it has not arrived, or nobody knows (negative-delivery)
)

// Has reports whether all of what are in n.
func (n Notice) Has(what Notice) bool { return n&what == what }

// dispositions are the words of Disposition-Notification, in the order in which they are
// written.
var dispositions = [...]struct {
	notice Notice
	word   string
}{{NoticeDelivered, "positive-delivery"}, {NoticeFailed, "negative-delivery"}, {NoticeDisplayed, "display"}}

// String is n as the value of a Disposition-Notification.
func (n Notice) String() string {
	var words []string
	for _, d := range dispositions {
		if n.Has(d.notice) {
			words = append(words, d.word)
		}
	}
	return strings.Join(words, ", ")
}

// ParseNotice reads the value of a Disposition-Notification. Words that are not known, and
// parameters, are passed over.
func ParseNotice(s string) (n Notice) {
	for word := range strings.SplitSeq(s, ",") {
		word, _, _ = strings.Cut(word, ";")
		for _, d := range dispositions {
			if lower(strings.Trim(word, " \t")) == d.word {
				n |= d.notice
			}
		}
	}
	return n
}

// IMDNRequest is what a message/cpim asks for (RFC 5438 §6): who wants to be notified of
// what is the sender of the request around it, whoever its From may be.
type IMDNRequest struct {
	MessageID  string
	DateTime   string // as it stands there: notifications say it again
	Wants      Notice
	OriginalTo string   // URI; "" if there is none
	Route      []string // IMDN-Record-Route, as they stand there, in their order
}

// Headers are the message headers that ask for what q wants (RFC 5438 §7.1.1). DateTime is
// among them unless it is "".
func (q *IMDNRequest) Headers() []CPIMHeader {
	var h []CPIMHeader
	if q.DateTime != "" {
		h = append(h, CPIMHeader{Name: "DateTime", Value: q.DateTime})
	}
	return append(h,
		CPIMHeader{Space: SpaceIMDN, Name: "Message-ID", Value: q.MessageID},
		CPIMHeader{Space: SpaceIMDN, Name: "Disposition-Notification", Value: q.Wants.String()})
}

// imdnRequest is what c asks for, nil if nothing: a request without identifier or time
// cannot be answered (RFC 5438 §7.1.1.1).
func (c *CPIM) imdnRequest() *IMDNRequest {
	wants, ok := c.Header(SpaceIMDN, "Disposition-Notification")
	if !ok {
		return nil
	}
	q := &IMDNRequest{Wants: ParseNotice(wants)}
	q.MessageID, _ = c.Header(SpaceIMDN, "Message-ID")
	q.DateTime, _ = c.Header("", "DateTime")
	if _, dated := c.DateTime(); !dated || len(q.DateTime) > maxIMDNDate {
		return nil
	}
	if q.Wants == 0 || !isIMDNID(q.MessageID) {
		return nil
	}
	for _, h := range c.Headers {
		h.Value = strings.Trim(h.Value, " \t")
		if h.Space != SpaceIMDN || len(h.Value) > maxIMDNURI || !isPrintable(h.Value) {
			continue
		}
		_, uri, ok := h.Address()
		switch {
		case !ok:
		case h.Name == "Original-To" && q.OriginalTo == "":
			q.OriginalTo = uri
		case h.Name == "IMDN-Record-Route" && len(q.Route) < maxIMDNRoute:
			q.Route = append(q.Route, h.Value)
		}
	}
	return q
}

// isIMDNID reports whether s may be the identifier of a message. RFC 5438 §6.3 has a token;
// what others write is taken as long as it is one word.
func isIMDNID(s string) bool {
	return s != "" && len(s) <= maxIMDNID && !strings.ContainsFunc(s, unicode.IsSpace) && isPrintable(s)
}

// isPrintable reports whether s is what XML and headers may have as it is.
func isPrintable(s string) bool { return XMLText(HeaderText(s)) == s }

// IMDN is a notification that SIP has sent about a message of an XMPP user. What it says
// becomes a stanza, by whoever remembers the message: the XMPP side takes no value of this
// kind.
type IMDN struct {
	From, To  JID    // who says so; the user, or one of the user's devices
	MessageID string // of the message: the identifier that it was given, or its Call-ID
	Says      Notice // one of them; 0 is nothing that anybody waits for
}

func (*IMDN) isXMPP() {}

// imdnType reports whether a media type, with or without parameters, is TypeIMDN.
func imdnType(typ string) bool {
	m, ok := parseMedia(typ)
	return ok && m.name == TypeIMDN
}

// isNotification reports whether that is what a Content-Disposition says (RFC 5438 §12.2).
func isNotification(disposition string) bool {
	m, ok := parseMedia(disposition)
	return ok && m.name == "notification"
}
