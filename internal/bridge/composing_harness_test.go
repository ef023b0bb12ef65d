package bridge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// isComposing is a request that says whether a contact is typing to juliet; says is the
// state, and with a number behind it the refresh.
func isComposing(callID, from, says string) *mapping.SIPMessage {
	m := fromSIP(callID, from, "sip:juliet@example.com", "")
	state, refresh, _ := strings.Cut(says, " ")
	if refresh != "" {
		refresh = "<refresh>" + refresh + "</refresh>"
	}
	m.ContentType = mapping.TypeComposing
	m.Body = []byte(`<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing"><state>` + state + "</state>" + refresh + "</isComposing>")
	return m
}

// sip hands over a request, whose Call-ID is its Ref.
func (r *running) sip(m *mapping.SIPMessage) {
	r.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: m.CallID, Value: m}})
	r.settle()
}

// state hands over a chat state of juliet.
func (r *running) state(to string, says mapping.ChatState) {
	r.FromXMPP([]mapping.XMPP{&mapping.XMPPState{From: mapping.MustParseJID("juliet@example.com/x"), To: mapping.MustParseJID(to), State: says}})
	r.settle()
}

func (r *running) composingTo(c Composing) {
	p := *r.policy.Load()
	p.Composing = c
	r.SetPolicy(p)
}

// wantTold checks what has been written to XMPP, states by name and texts as "text".
func (r *running) wantTold(want ...string) {
	r.t.Helper()
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	var got []string
	for _, p := range r.stanzas {
		switch v := p.Value.(type) {
		case *mapping.XMPPState:
			got = append(got, string(v.State))
		case *mapping.XMPPMessage:
			got = append(got, "text")
		default:
			got = append(got, fmt.Sprintf("%T", v))
		}
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("XMPP was told %q, want %q", got, want)
	}
}

// wantSent checks what has been sent to SIP, in the same way.
func (r *running) wantSent(want ...string) {
	r.t.Helper()
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	var got []string
	for _, p := range r.requests {
		got = append(got, saysOf(p.Value.(*mapping.SIPMessage)))
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("SIP was sent %q, want %q", got, want)
	}
}

// saysOf is active, idle, or text.
func saysOf(m *mapping.SIPMessage) string {
	switch {
	case m.ContentType != mapping.TypeComposing:
		return "text"
	case strings.Contains(string(m.Body), "<state>active</state>"):
		return "active"
	}
	return "idle"
}

// stanzaOutcome gives the last stanza its outcome.
func (r *running) stanzaOutcome(o mapping.Outcome) {
	r.side.mu.Lock()
	p := r.stanzas[len(r.stanzas)-1]
	r.side.mu.Unlock()
	r.XMPPOutcomes([]mapping.Result{{Ref: p.Ref, Outcome: o}})
	r.settle()
}

// wantAnswers checks the statuses that SIP has been answered.
func (r *running) wantAnswers(want ...int) {
	r.t.Helper()
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	var got []int
	for _, a := range r.answers {
		status, _ := a.Outcome.Final(200)
		got = append(got, status)
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("SIP was answered %v, want %v", got, want)
	}
}

// wantNoTrace checks that nothing of it has reached the disk.
func (r *running) wantNoTrace() {
	r.t.Helper()
	r.disk.mu.Lock()
	defer r.disk.mu.Unlock()
	if len(r.disk.trail)+len(r.disk.seen)+len(r.disk.disk)+len(r.disk.waiting) > 0 {
		r.t.Errorf("left on the disk: %v %v %v", r.disk.trail, r.disk.seen, r.disk.disk)
	}
}

const (
	romeoSIP  = "sip:romeo@pbx.example.net"
	romeoXMPP = "romeo@sip.example.com"
)
