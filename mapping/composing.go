package mapping

import (
	"encoding/xml"
	"errors"
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

// composingDocument is one: real ones have some 300 bytes and four elements.
var composingDocument = func() xmlDocument {
	d := newXMLDocument(TypeComposing, nsComposing, "isComposing")
	d.bytes, d.depth, d.nodes = 4096, 8, 64
	return d
}()

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

// composing reads such a document. What is not known is passed over, and a state that is
// not known, or not there, is idle (IM-51).
func (d *reading) composing(b []byte, _ *mediaType, _ int) (content, *Failure) {
	t, err := readComposing(b)
	if err != nil {
		f := FailBadRequest(TypeComposing)
		f.Err = err
		return content{}, f
	}
	return content{typing: t}, nil
}

// composingReader has the text of each child of the root: the first of a name counts.
type composingReader struct {
	found map[string]string
	open  strings.Builder // of the child that is open
}

func (r *composingReader) opened([]string, []xml.Attr) { r.open.Reset() }

func (r *composingReader) text(path []string, data []byte) {
	if len(path) == 2 {
		r.open.Write(data)
	}
}

func (r *composingReader) closed(path []string) {
	if len(path) != 2 {
		return
	}
	if _, known := r.found[path[1]]; !known {
		r.found[path[1]] = strings.TrimSpace(r.open.String())
	}
}

func readComposing(b []byte) (*typing, error) {
	found := make(map[string]string)
	if err := composingDocument.read(b, &composingReader{found: found}); err != nil {
		return nil, err
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
	var to, from URI
	if f := r.addressee(&to, v.To, v.Device); f != nil {
		return nil, f
	}
	if _, number := subscriber(to.User); number || to.Phone {
		return nil, nil
	}
	if f := r.sipIdentity(&from, v.From, to.Host, nil); f != nil {
		return nil, f
	}
	return &SIPMessage{RequestURI: to, From: from, To: to, ContentType: TypeComposing, Body: []byte(body)}, nil
}
