package presence

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

const (
	juliet = "juliet@example.com"
	romeo  = "romeo@example.net"
)

// asked is a SUBSCRIBE that was sent, and the notifier that it has reached.
type asked struct {
	*mapping.SIPSubscribe
	ref  any
	cseq uint32 // of the last NOTIFY
	tag  string
	peer string // "the proxy" if ""
}

// wantSubscribe takes out the one request that was sent since the last time, a SUBSCRIBE
// for so many seconds.
func (h *harness) wantSubscribe(expires int) *asked {
	h.t.Helper()
	all := h.takeRequests()
	if len(all) != 1 {
		h.t.Fatalf("%d requests were sent, want a SUBSCRIBE", len(all))
	}
	v, ok := all[0].Value.(*mapping.SIPSubscribe)
	if !ok || v.Expires != expires {
		h.t.Fatalf("%T %+v was sent, want a SUBSCRIBE for %d s", all[0].Value, all[0].Value, expires)
	}
	return &asked{SIPSubscribe: v, ref: all[0].Ref, tag: "ffd2"}
}

// within is another request of the dialog that d has begun.
func (d *asked) within(t *testing.T, a *asked) *asked {
	t.Helper()
	if a.CallID != d.CallID || a.FromTag != d.FromTag || a.ToTag != d.tag || a.CSeq <= d.CSeq {
		t.Errorf("Call-ID %s, tags %s %s, CSeq %d, want those of the dialog %s %s %s after %d", a.CallID, a.FromTag, a.ToTag, a.CSeq, d.CallID, d.FromTag, d.tag, d.CSeq)
	}
	a.cseq = d.cseq
	return a
}

// notify is the next NOTIFY of the dialog; says is a state, and what follows it in
// Subscription-State.
func (d *asked) notify(says, document string) *mapping.SIPNotify {
	d.cseq++
	v := &mapping.SIPNotify{
		SIPEvent: mapping.SIPEvent{RequestURI: d.Contact, From: d.To, To: d.From, CallID: d.CallID, FromTag: d.tag, ToTag: d.FromTag,
			CSeq: d.cseq, Package: "presence", Contact: mapping.MustParseURI("sip:romeo@pres.example.net;gr=p1"),
			RemoteTarget: "sip:romeo@pres.example.net;gr=p1;line=7", Routes: []string{"<sip:proxy.example.net;lr>"}, Peer: "the proxy"},
		Expires: mapping.NoExpires,
	}
	if d.peer != "" {
		v.Peer = d.peer
	}
	state, params, _ := strings.Cut(says, ";")
	v.State = mapping.SubscriptionState(state)
	for p := range strings.SplitSeq(params, ";") {
		switch name, value, _ := strings.Cut(p, "="); name {
		case "expires":
			fmt.Sscan(value, &v.Expires)
		case "reason":
			v.Reason = value
		case "retry-after":
			fmt.Sscan(value, &v.RetryAfter)
		}
	}
	if document != "" {
		v.ContentType, v.Body = mapping.TypePIDF, []byte(document)
	}
	return v
}

// document is a presence document with these tuples, each "id open" or "id closed", and
// what it shows behind that.
func document(tuples ...string) string {
	var b strings.Builder
	b.WriteString(`<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:romeo@example.net">`)
	for _, t := range tuples {
		f := append(strings.Fields(t), "", "")
		fmt.Fprintf(&b, `<tuple id="ID-%s"><status><basic>%s</basic>`, f[0], f[1])
		if f[2] != "" {
			fmt.Fprintf(&b, `<show xmlns="jabber:client">%s</show>`, f[2])
		}
		b.WriteString(`</status></tuple>`)
	}
	b.WriteString(`</presence>`)
	return b.String()
}

// wantStatus hands over a NOTIFY, and checks its answer.
func (h *harness) wantStatus(status int, v *mapping.SIPNotify) mapping.Outcome {
	h.t.Helper()
	o := h.fromSIP(v)
	if statusOf(o) != status {
		h.t.Errorf("NOTIFY %s is answered %d, want %d", v.State, statusOf(o), status)
	}
	return o
}

// accept answers a SUBSCRIBE with 200.
func (h *harness) accept(d *asked, expires int) {
	h.outcome(d.ref, answer(200, &mapping.EventAnswer{Expires: expires}))
}

// watching is a dialog in which juliet sees romeo, who shows that.
func (h *harness) watching(tuples ...string) *asked {
	h.t.Helper()
	h.presence(juliet, romeo, mapping.Subscribe)
	d := h.wantSubscribe(3600)
	h.accept(d, 3600)
	h.wantStatus(200, d.notify("active;expires=3600", document(tuples...)))
	h.takeStanzas()
	return d
}

// state is that of the relation.
func (h *harness) state(user, contact string) State {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.relations.find(mapping.MustParseJID(user), mapping.MustParseJID(contact)); r != nil {
		return r.state
	}
	return 0
}

func (h *harness) wantState(want State) {
	h.t.Helper()
	if got := h.state(juliet, romeo); got != want {
		h.t.Errorf("the state is %d, want %d", got, want)
	}
	rs, _ := h.book.kept()
	var kept State
	for _, r := range rs {
		if r.User.String() == juliet && r.Contact.String() == romeo {
			kept = r.State
		}
	}
	if kept != want {
		h.t.Errorf("the book has the state %d, want %d", kept, want)
	}
}

// sent is how many requests were sent since the last time.
func (h *harness) sent() int {
	h.side.mu.Lock()
	defer h.side.mu.Unlock()
	return len(h.side.requests)
}

// told is how many stanzas were written since the last time.
func (h *harness) told() int {
	h.side.mu.Lock()
	defer h.side.mu.Unlock()
	return len(h.side.stanzas)
}

// waitForRequest lets time go by until something is sent.
func (h *harness) waitForRequest(most time.Duration) time.Duration {
	h.t.Helper()
	begin := time.Now()
	for time.Since(begin) < most {
		h.wait(time.Second)
		if h.sent() > 0 {
			return time.Since(begin)
		}
	}
	h.t.Fatalf("nothing was sent in %v", most)
	return 0
}

// wantNothingLeft is wantEmpty for this role, too, after all that lingers has gone.
func (h *harness) wantNothingLeft() {
	h.t.Helper()
	h.wait(3 * sweepEvery)
	h.wantEmpty()
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &h.subscriber
	for what, n := range map[string]int{"dialogs": len(w.byCall), "ends": len(w.ending), "polls": len(w.polls), "pollers": len(w.polled), "rounds": len(w.rounds),
		"destinations": len(w.pace.destinations), "turns": w.pace.turns.Len(), "waiting": w.pace.waiting, "sessions": len(h.relations.sessions)} {
		if n != 0 {
			h.t.Errorf("%d %s are left", n, what)
		}
	}
}
