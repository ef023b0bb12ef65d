package mapping

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// That somebody is typing: RFC 3994 in SIP, XEP-0085 in XMPP, and RFC 7573 §6.1, Tables 3
// and 4, between them (IM-50). SIP knows two states, active and idle; XMPP has three words
// for the second.

// TypeComposing is the media type of a document that says whether somebody is typing
// (RFC 3994 §6.1).
const TypeComposing = "application/im-iscomposing+xml"

const nsComposing = "urn:ietf:params:xml:ns:im-iscomposing"

// How long somebody is seen typing of whom nothing more is heard (RFC 3994 §3.3, IM-52):
// what the document says, within reason, else usualRefresh.
const (
	usualRefresh = 120 * time.Second
	leastRefresh = 10 * time.Second
	mostRefresh  = time.Hour
)

// The limits of a document: real ones have some 300 bytes and four elements.
const (
	maxComposingBytes = 4096
	maxComposingDepth = 8
	maxComposingNodes = 64 // elements, texts, comments
)

// What is sent. Of what is not required the type of the message to come is said, as RFC
// 3994's own examples do; nothing is said of a refresh, since none is sent (§3.2).
const (
	composingOpen = `<?xml version="1.0" encoding="UTF-8"?><isComposing xmlns="` + nsComposing + `"><state>`
	bodyActive    = composingOpen + `active</state><contenttype>text/plain</contenttype></isComposing>`
	bodyIdle      = composingOpen + `idle</state></isComposing>`
)

// typing is the content of such a document.
type typing struct {
	active bool
	until  time.Duration // how long that is so, if nothing more is heard
}

// composing reads such a document. There is no DTD and no entity in it but those of XML
// itself (SEC-26); what is not known is passed over, and a state that is not known, or not
// there, is idle (IM-51).
func (d *reading) composing(b []byte, _ *mediaType, _ int) (content, *Failure) {
	t, err := readComposing(b)
	if err != nil {
		f := FailBadRequest(TypeComposing)
		f.Err = err
		return content{}, f
	}
	return content{typing: t}, nil
}

var (
	errComposingSyntax = errors.New("mapping: " + TypeComposing + ": it is not well-formed")
	errComposingBig    = errors.New("mapping: " + TypeComposing + ": it is too big")
	errComposingRoot   = errors.New("mapping: " + TypeComposing + ": it is another document")
)

func readComposing(b []byte) (*typing, error) {
	if len(b) > maxComposingBytes {
		return nil, errComposingBig
	}
	dec := xml.NewDecoder(bytes.NewReader(b))
	found := make(map[string]string) // the text of each child of the root: the first counts
	var path []string                // names of the open elements, "" for those of other namespaces
	var text strings.Builder         // of the child that is open
	rooted := false
	for nodes := 0; ; nodes++ {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		switch {
		case err != nil:
			return nil, errComposingSyntax // the text of the error may have some of the document in it
		case nodes == maxComposingNodes:
			return nil, errComposingBig
		}
		switch tok := tok.(type) {
		case xml.Directive:
			return nil, errComposingSyntax
		case xml.StartElement:
			name := tok.Name.Local
			if tok.Name.Space != nsComposing {
				name = ""
			}
			switch {
			case len(path) == 0 && (rooted || name != "isComposing"):
				return nil, errComposingRoot
			case len(path) == maxComposingDepth:
				return nil, errComposingBig
			}
			rooted = true
			path = append(path, name)
			text.Reset()
		case xml.EndElement:
			if len(path) == 2 {
				if _, known := found[path[1]]; !known {
					found[path[1]] = strings.TrimSpace(text.String())
				}
			}
			path = path[:len(path)-1]
		case xml.CharData:
			if len(path) == 2 {
				text.Write(tok)
			}
		}
	}
	if !rooted {
		return nil, errComposingRoot
	}
	return &typing{active: found["state"] == "active", until: refresh(found["refresh"])}, nil
}

// refresh is how long a state lasts of which this is said: a number of seconds. What cannot
// be one says nothing.
func refresh(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) || err == nil && n > uint64(mostRefresh/time.Second):
		return mostRefresh
	case err != nil || n == 0:
		return usualRefresh
	}
	return max(time.Duration(n)*time.Second, leastRefresh)
}

// stateToXMPP is Table 3.
func stateToXMPP(from, to JID, t *typing) *XMPPState {
	if t.active {
		return &XMPPState{From: from, To: to, State: StateComposing, Lasts: t.until}
	}
	return &XMPPState{From: from, To: to, State: StateActive}
}

// stateToSIP is Table 4. The result is nil for what SIP has no word for, and for telephone
// numbers: behind those are trunks for short texts, which refuse it, and some then refuse
// texts as well. CallID, FromTag and CSeq are left open.
func (r *Rules) stateToSIP(v *XMPPState) (*SIPMessage, *Failure) {
	body := bodyIdle
	switch v.State {
	case StateComposing:
		body = bodyActive
	case StateActive, StatePaused, StateInactive:
	default: // who has gone tells no page mode (M-017)
		return nil, nil
	}
	to, err := r.addressee(v.To, v.Device)
	if err != nil {
		return nil, asFailure(err)
	}
	if _, number := subscriber(to.User); number || to.Phone {
		return nil, nil
	}
	from, err := r.SIPIdentity(v.From, to.Host)
	if err != nil {
		return nil, asFailure(err)
	}
	return &SIPMessage{RequestURI: to, From: from, To: to, ContentType: TypeComposing, Body: []byte(body)}, nil
}
