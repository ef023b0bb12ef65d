package presence

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// check looks at all that was said since the last step.
func (m *notifierModel) check() {
	m.t.Helper()
	for _, p := range m.takeRequests() {
		n, ok := p.Value.(*mapping.SIPNotify)
		if !ok {
			m.t.Errorf("SIP was sent %T", p.Value)
			return
		}
		i := slices.IndexFunc(m.agents, func(a *notifierAgent) bool { return a.next.CallID == n.CallID })
		if i < 0 || m.agents[i].next.ToTag != n.FromTag || m.agents[i].next.FromTag != n.ToTag {
			m.t.Errorf("a NOTIFY belongs to nobody: %+v", n.SIPEvent)
			return
		}
		m.checkNotify(m.agents[i], n, p.Ref)
	}
	for _, p := range m.takeStanzas() {
		m.checkStanza(p.Value.(*mapping.XMPPPresence), p.Ref)
	}
	for _, a := range m.agents {
		if a.owed && a.open == nil {
			m.t.Errorf("%s has got 200 and no NOTIFY", a.next.CallID)
		}
	}
}

func (m *notifierModel) checkNotify(a *notifierAgent, n *mapping.SIPNotify, ref any) {
	m.t.Helper()
	what := describeNotify(m.t, n)
	fmt.Fprintln(m.log, "NOTIFY", n.CSeq, what)
	if a.open != nil {
		m.t.Errorf("a second NOTIFY is on its way: %s", what)
	}
	if a.over || a.last && n.State != mapping.StateTerminated {
		m.t.Errorf("after the last NOTIFY: %s", what)
	}
	if n.CSeq <= a.seq {
		m.t.Errorf("CSeq %d after %d: %s", n.CSeq, a.seq, what)
	}
	if a.failed {
		m.did["a second try"]++
	}
	a.seq, a.open, a.owed, a.failed = n.CSeq, ref, false, false
	kind := string(n.State)
	switch n.State {
	case mapping.StateTerminated:
		a.last, a.gone = true, true
		kind += " " + n.Reason
		if n.Expires != mapping.NoExpires {
			m.t.Errorf("an end that expires: %s", what)
		}
	case mapping.StateActiveSub, mapping.StatePending:
		if (n.State == mapping.StateActiveSub) != a.granted {
			m.t.Errorf("granted is %v: %s", a.granted, what)
		}
		if n.Expires < 1 || n.Expires > 3600 || n.Reason != "" {
			m.t.Errorf("it does not say for how long: %s", what)
		}
	}
	if len(n.Body) > 0 {
		kind += " with a body"
		m.checkBody(a, n, what)
	}
	m.did[kind]++
}

// checkBody checks that a document says what the user lets this contact see, and all of it.
func (m *notifierModel) checkBody(a *notifierAgent, n *mapping.SIPNotify, what string) {
	m.t.Helper()
	if !a.granted || m.closed {
		m.t.Errorf("he is not let see this: %s", what)
	}
	now := time.Now()
	if n.State == mapping.StateActiveSub {
		if now.Sub(a.said) < notifySpacing {
			m.t.Errorf("%v after the one before: %s", now.Sub(a.said), what)
		}
		a.said = now
	}
	said := make(map[string]bool)
	for _, tuple := range readPIDF(m.t, n.Body).Tuples {
		name, _ := strings.CutPrefix(tuple.ID, "ID-")
		said[name] = true
		d := a.shown[name]
		switch {
		case tuple.ID != "IDbare" && !strings.HasPrefix(name, a.user.Local()+"."+a.contact.Local()+"."):
			m.t.Errorf("this was shown to somebody else: %s", what)
		case tuple.Basic == "closed":
		case d == nil:
			m.t.Errorf("%s is not there any more: %s", name, what)
		case tuple.Show != string(d.show):
			m.t.Errorf("%s is %q by now: %s", name, d.show, what)
		}
	}
	if len(said) == 0 {
		m.t.Errorf("no tuple: %s", what)
	}
	for name, d := range a.shown {
		if d.stale.IsZero() && !said[name] {
			m.t.Errorf("%s is there, too: %s", name, what)
		}
	}
}

func (m *notifierModel) checkStanza(v *mapping.XMPPPresence, ref any) {
	m.t.Helper()
	what := describe(v)
	p := m.pairs[pair{v.To, v.From}]
	if p == nil {
		m.t.Errorf("to nobody: %s", what)
		return
	}
	if ref != nil {
		p.asking = append(p.asking, ref)
	}
	m.did["XMPP "+string(v.Type)]++
	switch v.Type {
	case mapping.Subscribe:
		if p.granted || p.declined || m.closed || !p.asked.IsZero() && time.Since(p.asked) < askAgain {
			m.t.Errorf("asked though granted %v, declined %v, last time %v ago: %s", p.granted, p.declined, time.Since(p.asked), what)
		}
		p.asked = time.Now()
	case mapping.Probe:
		if !p.granted || m.closed {
			m.t.Errorf("a stranger probes: %s", what)
		}
	case mapping.Unavailable:
		for _, a := range m.agents {
			if a.notifierPair == p && !a.gone && !a.doubtful && time.Now().Before(a.until) {
				m.t.Errorf("%s still watches: %s", a.next.CallID, what)
			}
		}
	default:
		m.t.Errorf("XMPP was told %s", what)
	}
}
