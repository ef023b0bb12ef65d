package mapping

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// printState shows a chat state as it is on the wire, and how long it lasts.
func printState(v *XMPPState) string {
	s := fmt.Sprintf("<message from='%s' to='%s' type='chat'>\n  <%s xmlns='http://jabber.org/protocol/chatstates'/>\n</message>\n", v.From, v.To, v.State)
	if v.Lasts > 0 {
		s += fmt.Sprintf("no longer than %s\n", v.Lasts)
	}
	return s
}

// IM-51, IM-52: what a document says, and what is no document.
func TestComposingRead(t *testing.T) {
	const open, end = `<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">`, `</isComposing>`
	yes, no := typing{true, usualRefresh}, typing{false, usualRefresh}
	for _, c := range []struct {
		doc  string
		want *typing // nil: it is refused
	}{
		{open + "<state>active</state>" + end, &yes},
		{open + "<state> \r\n active\t</state>" + end, &yes},
		{open + "<state>act<!-- x -->ive</state>" + end, &yes},
		{open + "<state>idle</state>" + end, &no},
		{open + "<state>ACTIVE</state>" + end, &no},
		{open + "<state/>" + end, &no},
		{open + end, &no},
		{open + "<state>active</state><state>idle</state>" + end, &yes},
		{open + "<x><state>active</state></x><state>idle</state>" + end, &no},
		{open + `<state xmlns="urn:x">active</state>` + end, &no},
		{open + `<x xmlns="urn:x">active</x><contenttype>video/*</contenttype><lastactive>2003-01-27T10:43:00Z</lastactive><state a="b">active</state>` + end, &yes},
		{`<c:isComposing xmlns:c="urn:ietf:params:xml:ns:im-iscomposing"><c:state>active</c:state></c:isComposing>`, &yes},
		{"<?xml version='1.0'?>\r\n<!-- a -->" + open + "<state>active</state><refresh> 90 </refresh>" + end + "\r\n", &typing{true, 90 * time.Second}},
		{open + "<refresh>90</refresh><state>active</state><refresh>5</refresh>" + end, &typing{true, 90 * time.Second}},
		{open + "<state>active</state><refresh>1</refresh>" + end, &typing{true, leastRefresh}},
		{open + "<state>active</state><refresh>3601</refresh>" + end, &typing{true, mostRefresh}},
		{open + "<state>active</state><refresh>99999999999999999999</refresh>" + end, &typing{true, mostRefresh}},
		{open + "<state>active</state><refresh>0</refresh>" + end, &yes},
		{open + "<state>active</state><refresh>-5</refresh>" + end, &yes},
		{open + "<state>active</state><refresh>soon</refresh>" + end, &yes},

		{"", nil}, {"active", nil}, {open, nil}, {"<isComposing><state>active</state></isComposing>", nil},
		{`<isComposing xmlns="urn:x"/>`, nil}, {open + "<state>active" + end, nil}, {open + end + open + end, nil},
		{"<!DOCTYPE isComposing [<!ENTITY a 'active'>]>" + open + "<state>&a;</state>" + end, nil},
		{open + "<state>&a;</state>" + end, nil}, {open + "<state>\xff</state>" + end, nil},
		{"<?xml version='1.0' encoding='utf-16'?>" + open + end, nil},
		{open + strings.Repeat("<a>", composingDocument.depth) + strings.Repeat("</a>", composingDocument.depth) + end, nil},
		{open + strings.Repeat("<a/>", composingDocument.nodes) + end, nil},
		{open + strings.Repeat(" ", composingDocument.bytes) + end, nil},
	} {
		got, err := readComposing([]byte(c.doc))
		switch {
		case (c.want == nil) != (got == nil) || (got == nil) != (err != nil):
			t.Errorf("%.200s: %+v, %v; want %+v", c.doc, got, err, c.want)
		case got != nil && *got != *c.want:
			t.Errorf("%.200s: %+v, want %+v", c.doc, *got, *c.want)
		}
	}
}

// It is a message of its own, and never part of one.
func TestComposingContents(t *testing.T) {
	r := testRules(t)
	for _, c := range []struct {
		typ, encoding, disposition, body string
		want                             ChatState
		status                           int
	}{
		{TypeComposing, "", "", bodyActive, StateComposing, 0},
		{"Application/IM-isComposing+XML; charset=UTF-8", "", "", bodyIdle, StateActive, 0},
		{TypeComposing, "deflate", "render", deflated(t, "deflate", bodyActive), StateComposing, 0},
		{TypeComposing, "", "", "", "", 0},
		{"message/cpim", "", "", inCPIM("", "Content-Type: "+TypeComposing, bodyActive), StateComposing, 0},
		{"message/cpim", "", "", inCPIM("", "Content-Type: "+TypeComposing+"|Content-Encoding: deflate", deflated(t, "deflate", bodyIdle)), StateActive, 0},
		{TypeComposing, "", "session", bodyActive, "", 415},
		{TypeComposing, "", "", "<", "", 400},
		{"multipart/mixed;boundary=b", "", "", mime(TypeComposing + "|" + bodyActive), "", 415},
		{"message/cpim", "", "", inCPIM("", "Content-Type: multipart/mixed;boundary=b", mime(TypeComposing+"|"+bodyActive)), "", 415},
	} {
		m := &SIPMessage{RequestURI: MustParseURI("sip:juliet@example.com"), From: MustParseURI("sip:romeo@example.net"), CallID: "c",
			ContentType: c.typ, Encoding: c.encoding, Disposition: c.disposition, Body: []byte(c.body)}
		out, err := r.ToXMPP(m)
		var got ChatState
		for _, v := range out {
			if s, ok := v.(*XMPPState); ok {
				got = s.State
			}
		}
		status := 0
		if err != nil {
			status = asFailure(err).Status
		}
		if got != c.want || status != c.status {
			t.Errorf("%s %s %s %.80q: %q, %v; want %q, %d", c.typ, c.encoding, c.disposition, c.body, got, err, c.want, c.status)
		}
	}
}

// IM-50, M-016, M-017: what is said of an XMPP user, and to whom.
func TestStateToSIP(t *testing.T) {
	r := testRules(t)
	const active, idle = `<?xml version="1.0" encoding="UTF-8"?><isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing"><state>active</state><contenttype>text/plain</contenttype></isComposing>`,
		`<?xml version="1.0" encoding="UTF-8"?><isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing"><state>idle</state></isComposing>`
	for _, c := range []struct {
		state  ChatState
		to     string
		device bool
		uri    string
		body   string
		status int
	}{
		{StateComposing, "romeo@example.net", false, "sip:romeo@example.net", active, 0},
		{StateComposing, "romeo@example.net/phone", false, "sip:romeo@example.net", active, 0},
		{StateComposing, "romeo@example.net/phone", true, "sip:romeo@example.net;gr=phone", active, 0},
		{StateActive, "romeo@example.net", false, "sip:romeo@example.net", idle, 0},
		{StatePaused, "romeo@example.net", false, "sip:romeo@example.net", idle, 0},
		{StateInactive, "romeo@example.net", false, "sip:romeo@example.net", idle, 0},
		{StateGone, "romeo@example.net", false, "", "", 0},
		{"dancing", "romeo@example.net", false, "", "", 0},
		{StateComposing, "+12125550123@sip.example.com", false, "", "", 0},
		{StateComposing, "+12125550123;ext=5@sip.example.com", false, "", "", 0},
		{StateComposing, `+12125550123\40elsewhere.example@sip.example.com`, false, "", "", 0},
		{StateComposing, `romeo\40@sip.example.com`, false, "", "", 404},
	} {
		v := &XMPPState{From: MustParseJID("juliet@example.com/balcony"), To: MustParseJID(c.to), State: c.state, Device: c.device}
		out, err := r.ToSIP(v)
		uri, body, status := "", "", 0
		if err != nil {
			status = asFailure(err).Status
		}
		if len(out) == 1 {
			m := out[0].(*SIPMessage)
			uri, body = m.RequestURI.String(), string(m.Body)
			if m.ContentType != "application/im-iscomposing+xml" || m.From.String() != "sip:juliet@example.com;gr=balcony" || m.To != m.RequestURI {
				t.Errorf("%s to %s: %+v", c.state, c.to, m)
			}
		}
		if uri != c.uri || body != c.body || status != c.status {
			t.Errorf("%s to %s: %s %s %v; want %s %s %d", c.state, c.to, uri, body, err, c.uri, c.body, c.status)
		}
	}
}

// FuzzComposing: whatever is read is read within its limits, and what is sent is read as
// what it says.
func FuzzComposing(f *testing.F) {
	for _, s := range []string{bodyActive, bodyIdle, `<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing"><state>active</state><refresh>90</refresh></isComposing>`,
		`<c:isComposing xmlns:c="urn:ietf:params:xml:ns:im-iscomposing"><c:state>idle</c:state><c:lastactive>2003-01-27T10:43:00Z</c:lastactive></c:isComposing>`,
		"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "<a", "<?xml version='1.0' encoding='x'?>"} {
		f.Add([]byte(s))
	}
	r := testRules(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := readComposing(b); (got == nil) == (err == nil) || got != nil && (got.until < leastRefresh || got.until > mostRefresh) {
			t.Fatalf("%+v, %v", got, err)
		}
		m := &SIPMessage{RequestURI: MustParseURI("sip:juliet@example.com"), From: MustParseURI("sip:romeo@example.net"), CallID: "c", ContentType: TypeComposing, Body: b}
		out, err := r.ToXMPP(m)
		if err != nil || len(out) == 0 {
			return
		}
		v := out[0].(*XMPPState)
		if v.State != StateComposing && v.State != StateActive || (v.State == StateComposing) != (v.Lasts > 0) {
			t.Fatalf("%+v", v)
		}
		v.From, v.To = v.To, v.From
		back, err := r.ToSIP(v)
		if err != nil || len(back) != 1 {
			t.Fatalf("%v, %v", back, err)
		}
		says, err := readComposing(back[0].(*SIPMessage).Body)
		if err != nil || says.active != (v.State == StateComposing) {
			t.Fatalf("%+v, %v", says, err)
		}
	})
}
