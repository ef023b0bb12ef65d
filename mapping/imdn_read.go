package mapping

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

const nsIMDN = "urn:ietf:params:xml:ns:imdn"

// The limits of a notification: real ones have some 600 bytes and a dozen elements.
const (
	maxIMDNBytes = 8192
	maxIMDNDepth = 8
	maxIMDNNodes = 256 // elements, texts, comments
)

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

// imdn reads a notification. There is no DTD and no entity in it but those of XML itself
// (SEC-26); elements that are not known are passed over, and so are the addresses, which
// are nobody's identity. One that names no message says nothing.
func (d *reading) imdn(b []byte, _ *mediaType, _ int) (content, *Failure) {
	n, err := readIMDN(b)
	if err != nil {
		f := FailBadRequest(TypeIMDN)
		f.Err = err
		return content{}, f
	}
	return content{notice: n}, nil
}

var (
	errIMDNSyntax = errors.New("mapping: " + TypeIMDN + ": it is not well-formed")
	errIMDNBig    = errors.New("mapping: " + TypeIMDN + ": it is too big")
	errIMDNRoot   = errors.New("mapping: " + TypeIMDN + ": it is another document")
)

func readIMDN(b []byte) (*imdn, error) {
	if len(b) > maxIMDNBytes {
		return nil, errIMDNBig
	}
	dec := xml.NewDecoder(bytes.NewReader(b))
	n := &imdn{}
	var path []string // names of the open elements, "" for those of other namespaces
	var id strings.Builder
	rooted, named := false, false
	for nodes := 0; ; nodes++ {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		switch {
		case err != nil:
			return nil, errIMDNSyntax // the text of the error may have some of the document in it
		case nodes == maxIMDNNodes:
			return nil, errIMDNBig
		}
		switch tok := tok.(type) {
		case xml.Directive:
			return nil, errIMDNSyntax
		case xml.StartElement:
			name := tok.Name.Local
			if tok.Name.Space != nsIMDN && tok.Name.Space != "" {
				name = ""
			}
			switch {
			case len(path) == 0 && (rooted || name != "imdn"):
				return nil, errIMDNRoot
			case len(path) == maxIMDNDepth:
				return nil, errIMDNBig
			}
			rooted = true
			if len(path) == 3 && path[2] == "status" && n.says == 0 {
				n.says = statuses[[2]string{path[1], name}]
			}
			path = append(path, name)
		case xml.EndElement:
			named = named || len(path) == 2 && path[1] == "message-id"
			path = path[:len(path)-1]
		case xml.CharData:
			if len(path) == 2 && path[1] == "message-id" && !named {
				id.Write(tok)
			}
		}
	}
	if !rooted {
		return nil, errIMDNRoot
	}
	if s := strings.TrimSpace(id.String()); isIMDNID(s) {
		n.messageID = s
	}
	return n, nil
}
