package presence

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stoxgw/stox/mapping"
)

const (
	julietJID = "juliet@example.com"
	romeoJID  = "romeo@example.net"
)

// agent is a user agent of romeoJID that watches juliet.
type agent struct {
	h    *harness
	next mapping.SIPSubscribe // what it sends next, but for CSeq
}

// agent makes one, whose dialog has that Call-ID.
func (h *harness) agent(callID string, change ...func(*mapping.SIPSubscribe)) *agent {
	a := &agent{h: h, next: mapping.SIPSubscribe{SIPEvent: mapping.SIPEvent{
		RequestURI: mapping.MustParseURI("sip:" + julietJID), To: mapping.MustParseURI("sip:" + julietJID),
		From: mapping.MustParseURI("sip:" + romeoJID), FromTag: "xfg9", CallID: callID,
		Contact: mapping.MustParseURI("sip:romeo@ua.example.net;gr=dr4hcr0st3lup4c"),
		Package: "presence", Peer: "ua.example.net",
	}}}
	for _, f := range change {
		f(&a.next)
	}
	return a
}

// subscribe sends a SUBSCRIBE, and remembers the dialog that it has begun.
func (a *agent) subscribe(expires int) mapping.Outcome {
	a.h.t.Helper()
	a.next.CSeq++
	v := a.next
	v.Expires = expires
	o := a.h.fromSIP(&v)
	if statusOf(o) == 200 {
		a.next.ToTag = o.Event.Tag
	}
	return o
}

// wants checks the status of an answer.
func (a *agent) wants(o mapping.Outcome, status int) {
	a.h.t.Helper()
	if got := statusOf(o); got != status {
		a.h.t.Errorf("SUBSCRIBE is answered %d, want %d", got, status)
	}
}

// watcher is an agent that was accepted, and whose first NOTIFY was answered.
func (h *harness) watcher(callID string, change ...func(*mapping.SIPSubscribe)) *agent {
	h.t.Helper()
	a := h.agent(callID, change...)
	a.wants(a.subscribe(3600), 200)
	h.answerAll(200)
	h.takeStanzas()
	return a
}

// answerAll answers all requests since the last time, and those that follow, until there is
// none. It gives them, as described.
func (h *harness) answerAll(status int) (told []string) {
	h.t.Helper()
	for {
		all := h.takeRequests()
		if len(all) == 0 {
			return told
		}
		for _, p := range all {
			told = append(told, describeNotify(h.t, p.Value))
			h.outcome(p.Ref, answer(status, nil))
		}
	}
}

// wantTold checks what watchers are told, and answers 200.
func (h *harness) wantTold(want ...string) {
	h.t.Helper()
	if got := h.answerAll(200); !slices.Equal(got, want) {
		h.t.Errorf("watchers were told\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// pidf is what the tests look at in a document.
type pidf struct {
	XMLName xml.Name `xml:"urn:ietf:params:xml:ns:pidf presence"`
	Entity  string   `xml:"entity,attr"`
	Tuples  []struct {
		ID    string   `xml:"id,attr"`
		Basic string   `xml:"status>basic"`
		Show  string   `xml:"jabber:client status>show"`
		Notes []string `xml:"note"`
	} `xml:"tuple"`
}

func readPIDF(t testing.TB, body []byte) pidf {
	t.Helper()
	var d pidf
	if err := xml.Unmarshal(body, &d); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return d
}

// describeNotify writes a NOTIFY in one line: Call-ID, state, expires or reason, tuples.
func describeNotify(t testing.TB, v mapping.SIP) string {
	t.Helper()
	n, ok := v.(*mapping.SIPNotify)
	if !ok {
		return fmt.Sprintf("%T", v)
	}
	s := n.CallID + " " + string(n.State)
	if n.Reason != "" {
		s += " " + n.Reason
	}
	if n.Expires != mapping.NoExpires {
		s += fmt.Sprintf(" %d", n.Expires)
	}
	if (len(n.Body) > 0) != (n.ContentType == "application/pidf+xml") {
		t.Errorf("a body of %d bytes is of the type %q", len(n.Body), n.ContentType)
	}
	if len(n.Body) == 0 {
		return s
	}
	for _, tuple := range readPIDF(t, n.Body).Tuples {
		s += fmt.Sprintf(" %s=%s%s%s", tuple.ID, tuple.Basic, tuple.Show, strings.Join(tuple.Notes, "|"))
	}
	return s
}

// grant has julietJID let romeoJID see her.
func (h *harness) grant() { h.presence(julietJID, romeoJID, mapping.Subscribed) }

// show has julietJID show a resource to romeo.
func (h *harness) show(resource string, typ mapping.PresenceType, shows *mapping.Resource) {
	h.stanza(&mapping.XMPPPresence{From: mapping.MustParseJID(julietJID + "/" + resource), To: mapping.MustParseJID(romeoJID), Type: typ, Shows: shows})
}

// inBubble runs f with a harness.
func inBubble(t *testing.T, f func(t *testing.T, h *harness)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newHarness(t)) })
}
