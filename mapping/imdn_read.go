package mapping

import (
	"encoding/xml"
	"strings"
)

const nsIMDN = "urn:ietf:params:xml:ns:imdn"

// imdnDocument is one: real ones have some 600 bytes and a dozen elements, and there are
// some without the namespace.
var imdnDocument = func() xmlDocument {
	d := newXMLDocument(TypeIMDN, nsIMDN, "imdn")
	d.unspaced, d.bytes, d.depth, d.nodes = true, 8192, 8, 256
	return d
}()

// imdn is the content of a notification.
type imdn struct {
	messageID string
	says      Notice
}

// statuses are the elements with which a notification says what it says (RFC 5438 §11.1).
// That it must not be told whether a message was read (forbidden) is no notice, nor is what
// went wrong in telling it.
var statuses = map[[2]string]Notice{
	{"delivery-notification", "delivered"}: NoticeDelivered,
	{"delivery-notification", "failed"}:    NoticeFailed,
	{"delivery-notification", "error"}:     NoticeFailed,
	{"display-notification", "displayed"}:  NoticeDisplayed,
}

// imdn reads a notification. Elements that are not known are passed over, and so are the
// addresses, which are nobody's identity. One that names no message says nothing.
func (d *reading) imdn(b []byte, _ *mediaType, _ int) (content, *Failure) {
	n, err := readIMDN(b)
	if err != nil {
		f := FailBadRequest(TypeIMDN)
		f.Err = err
		return content{}, f
	}
	return content{notice: n}, nil
}

// imdnReader has the first message-id, and the first status that says something.
type imdnReader struct {
	says  Notice
	id    strings.Builder
	named bool // id is whole
}

func (r *imdnReader) opened(path []string, _ []xml.Attr) {
	if len(path) == 4 && path[2] == "status" && r.says == 0 {
		r.says = statuses[[2]string{path[1], path[3]}]
	}
}

func (r *imdnReader) text(path []string, data []byte) {
	if len(path) == 2 && path[1] == "message-id" && !r.named {
		r.id.Write(data)
	}
}

func (r *imdnReader) closed(path []string) {
	r.named = r.named || len(path) == 2 && path[1] == "message-id"
}

func readIMDN(b []byte) (*imdn, error) {
	var r imdnReader
	if err := imdnDocument.read(b, &r); err != nil {
		return nil, err
	}
	n := &imdn{says: r.says}
	if s := strings.TrimSpace(r.id.String()); isIMDNID(s) {
		n.messageID = s
	}
	return n, nil
}
