package mapping

import (
	"strings"
	"time"
	"unicode/utf8"
)

// What is accepted in the body of a request: the values of Accept and Accept-Encoding,
// the same in an answer to OPTIONS and in a 415 (CT-08).
const (
	AcceptTypes     = "text/plain"
	AcceptEncodings = "identity"
)

// content is what the body of a request says, in the forms that go to XMPP.
type content struct {
	text   string // LF, and nothing that XML forbids
	markup []Node // nil if there is none beside the text

	// Of a message/cpim, which speaks for itself (RFC 3862): what it does not say is zero.
	subjects []Text
	date     time.Time
}

// readContent reads the body of a request. The zero content says nothing.
func (r *Rules) readContent(m *SIPMessage) (content, *Failure) {
	if len(m.Body) == 0 {
		return content{}, nil
	}
	typ, ok := parseMedia(m.ContentType)
	if m.ContentType != "" && !ok {
		return content{}, FailBadRequest("Content-Type")
	}
	switch lower(typ.param("charset")) {
	case "", "utf-8", "us-ascii":
	default:
		return content{}, FailUnsupportedType()
	}
	if ok && typ.name != "text/plain" {
		return content{}, FailUnsupportedType()
	}
	for e := range strings.SplitSeq(m.Encoding, ",") {
		if e = lower(strings.Trim(e, " \t")); e != "" && e != "identity" {
			return content{}, FailUnsupportedEncoding()
		}
	}
	if !utf8.Valid(m.Body) {
		return content{}, FailBadText()
	}
	return content{text: XMLText(fromCRLF(m.Body))}, nil
}
