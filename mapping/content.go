package mapping

import (
	"bytes"
	"strings"
	"time"
)

// What is accepted in the body of a request: the values of Accept and Accept-Encoding,
// the same in an answer to OPTIONS and in a 415 (CT-08).
const (
	AcceptTypes     = "text/plain, text/html, message/cpim, message/imdn+xml, application/im-iscomposing+xml, multipart/mixed, multipart/alternative, multipart/related, multipart/signed"
	AcceptEncodings = "gzip, deflate, identity"
)

// The limits of what is taken apart. Whatever is over them gets 413: the request may be
// sound, it is only more than anybody's message.
const (
	maxInflated = 64 << 10 // octets that all encoded bodies of a request may have when decoded
	maxParts    = 32       // parts of all multiparts of a request
	maxDepth    = 4        // multiparts and message/cpim one in the other
)

// content is what the body of a request says, in the forms that go to XMPP.
type content struct {
	text   string // LF, and nothing that XML forbids
	markup []Node // nil if there is none beside the text
	lang   string // a BCP 47 tag, "" if nothing is said

	// Of a message/cpim, which speaks for itself (RFC 3862): what it does not say is zero.
	subjects []Text
	date     time.Time
	asks     *IMDNRequest // nil if it wants no notifications

	notice *imdn   // it is a notification, and says nothing else
	typing *typing // it says whether somebody is typing, and nothing else
}

// entity is a body with what the headers around it say, as they came, "" for those that
// are not there: the body of a request, a part of a multipart, the content of a
// message/cpim.
type entity struct {
	typ         string // Content-Type; "" is text/plain
	encoding    string // Content-Encoding
	transfer    string // Content-Transfer-Encoding, which SIP itself does not have
	disposition string // Content-Disposition
	lang        string // Content-Language
	id          string // Content-ID
	data        []byte
	broken      *Failure // its headers break the grammar, and nothing else is known of it
}

// isPlainUTF8 reports whether a Content-Type is one of the ways in which nearly everybody
// says text/plain in UTF-8: no more than a comparison is spent on them.
func isPlainUTF8(typ string) bool {
	switch typ {
	case "", "text/plain", "text/plain;charset=utf-8", "text/plain; charset=utf-8", "text/plain;charset=UTF-8", "text/plain; charset=UTF-8",
		`text/plain;charset="utf-8"`, `text/plain;charset="UTF-8"`:
		return true
	}
	return false
}

// readContent reads the body of a request: all of it, or it is a Failure. The zero
// content says nothing.
func (r *Rules) readContent(m *SIPMessage) (content, *Failure) {
	if len(m.Body) == 0 {
		return content{}, nil
	}
	if m.Encoding == "" && m.Disposition == "" && isPlainUTF8(m.ContentType) {
		if text, f := decodeUTF8(m.Body); f == nil {
			return content{text: text, lang: LanguageTag(m.Lang)}, nil
		}
	}
	d := reading{plainOnly: r.plainOnly, left: maxInflated}
	return d.entity(entity{typ: m.ContentType, encoding: m.Encoding, disposition: m.Disposition, lang: m.Lang, data: m.Body}, 0)
}

// reading is the state of taking one request apart.
type reading struct {
	plainOnly bool
	left      int  // octets that may still be inflated
	parts     int  // parts seen so far
	tags      int  // of HTML, so far
	inCPIM    bool // what is read now is in a message/cpim
}

// entity reads e, depth containers deep.
//
// The order of the checks is that of RFC 3261 §8.2.3: what is not understood by its
// headers is refused before its octets are looked at.
func (d *reading) entity(e entity, depth int) (content, *Failure) {
	if e.broken != nil || len(e.data) == 0 {
		return content{}, e.broken
	}
	if f := checkDisposition(e.disposition); f != nil && !(isNotification(e.disposition) && imdnType(e.typ)) {
		return content{}, f
	}
	typ := mediaType{name: "text/plain"}
	if e.typ != "" {
		var ok bool
		if typ, ok = parseMedia(e.typ); !ok || !strings.Contains(typ.name, "/") {
			return content{}, FailBadRequest("Content-Type")
		}
	}
	read, f := d.reader(typ.name, depth)
	if f != nil {
		return content{}, f
	}
	if e.data, f = decodeTransfer(e.data, e.transfer); f != nil {
		return content{}, f
	}
	if e.data, f = d.inflate(e.data, e.encoding); f != nil {
		return content{}, f
	}
	if len(e.data) == 0 {
		return content{}, nil
	}
	c, f := read(e.data, &typ, depth)
	if f != nil {
		return content{}, f
	}
	if c.lang == "" {
		c.lang = LanguageTag(e.lang)
	}
	return c, nil
}

// reader is what reads data of a media type (CT-01, CT-09, CT-14). The Failure is for
// those that nothing reads.
func (d *reading) reader(name string, depth int) (func([]byte, *mediaType, int) (content, *Failure), *Failure) {
	switch name {
	case "text/plain":
		return d.plain, nil
	case "text/html":
		return d.html, nil
	case "application/pkcs7-mime", "application/x-pkcs7-mime", "multipart/encrypted":
		// Also what is only signed in there: it would have to be taken out of CMS.
		return nil, FailUndecipherable()
	}
	multi := strings.HasPrefix(name, "multipart/")
	switch {
	case name == TypeIMDN && (depth == 0 || d.inCPIM && d.parts == 0): // never beside a text
		return d.imdn, nil
	case name == TypeComposing && (depth == 0 || d.inCPIM && d.parts == 0): // never beside a text
		return d.composing, nil
	case !multi && name != "message/cpim":
		return nil, FailUnsupportedType()
	case !multi && d.inCPIM: // nobody wraps a wrapped message, and its headers would contradict
		return nil, FailUnsupportedType()
	case depth == maxDepth:
		return nil, FailTooLarge(0)
	case multi:
		return d.multipart, nil
	}
	return d.cpim, nil
}

func (d *reading) plain(b []byte, typ *mediaType, _ int) (content, *Failure) {
	text, f := decodeText(b, typ.param("charset"))
	if f == nil && lower(typ.param("format")) == "flowed" {
		text = unflow(text, lower(typ.param("delsp")) == "yes")
	}
	return content{text: text}, f
}

// html knows the charset from the header alone, and it is UTF-8 by default like that of
// every text in SIP (RFC 3261 §7.4.1). A meta element has no say: who makes the text of a
// message knows its header, and to guess would be to read one text in two ways.
func (d *reading) html(b []byte, typ *mediaType, _ int) (content, *Failure) {
	src, f := decodeText(b, typ.param("charset"))
	if f != nil {
		return content{}, f
	}
	if d.tags += countTags(src); d.tags > maxHTMLTags {
		return content{}, FailTooLarge(0)
	}
	text, markup, ok := readHTML(src, d.plainOnly)
	if !ok { // no more than a picture that is sent alone
		return content{}, FailUnsupportedType()
	}
	if d.plainOnly || text == "" {
		markup = nil
	}
	return content{text: text, markup: markup}, nil
}

// checkDisposition refuses a body that is for something else than to be shown (RFC 3261
// §20.11): session, icon, alert, notification, recipient-list ... render is the SIP word
// for that, inline the one of mail (RFC 2183). An attachment is shown too: it is a text
// if it is understood at all, and XMPP has no place beside the body for it, so that
// nothing of what was sent is lost.
//
// For the body of a request handling=optional makes no difference: it would allow to
// ignore the body, which is the whole message (RFC 8591 §7.3 has the same for types). For
// a part see join.
func checkDisposition(s string) *Failure {
	if s == "" {
		return nil
	}
	m, ok := parseMedia(s)
	if !ok {
		return FailBadRequest("Content-Disposition")
	}
	switch m.name {
	case "render", "inline", "attachment":
		return nil
	}
	return FailUnsupportedType()
}

// optional reports whether a part may be ignored by who does not understand it. The
// default is that it must be understood (RFC 3261 §20.11, RFC 5621 §8.1).
func (e *entity) optional() bool {
	m, ok := parseMedia(e.disposition)
	return ok && lower(m.param("handling")) == "optional"
}

// notUnderstood reports whether f is about a thing that is sound, but that the gateway
// does not know how to read.
func notUnderstood(f *Failure) bool { return f != nil && (f.Status == 415 || f.Status == 493) }

// isBlank reports whether b is a space or tab, which headers may have around anything.
func isBlank(b byte) bool { return b == ' ' || b == '\t' }

// nextLine takes the first line of b: without its end, which may be CRLF or LF, and what
// follows.
func nextLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return b, nil
	}
	return bytes.TrimSuffix(b[:i], []byte("\r")), b[i+1:]
}
