package presence

import (
	"time"

	"github.com/stoxgw/stox/mapping"
)

// look reads what was sent, and looks into the engine.
func (m *subscriberModel) look() {
	for _, p := range m.takeRequests() {
		m.request(p)
	}
	m.read()
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &m.subscriber
	for _, s := range w.byCall {
		if s.relation != nil && s.relation.watch != s {
			m.failf("%s and %s have a second dialog", s.user, s.contact)
		}
		if s.relation == nil && s.prober.IsZero() && !s.ended {
			m.failf("a dialog of %s and %s belongs to nothing", s.user, s.contact)
		}
	}
	if n, most := len(m.timers.heap), 2*(len(w.byCall)+len(m.relations.all)+len(w.polls))+5; n > most {
		m.failf("%d timers for %d dialogs", n, len(w.byCall))
	}
	for i, t := range m.timers.heap {
		if t.at.Before(time.Now().Add(-time.Second)) {
			m.failf("timer %d has been due since %v", i, t.at)
		}
	}
}

// request takes a request that was sent.
func (m *subscriberModel) request(p mapping.Parcel[mapping.SIP]) {
	v := p.Value.(*mapping.SIPSubscribe)
	m.note("SUBSCRIBE %s CSeq %d Expires %d", v.CallID[:6], v.CSeq, v.Expires)
	for _, o := range m.open {
		if o.Value.(*mapping.SIPSubscribe).CallID == v.CallID {
			m.failf("a second request of dialog %s is open", v.CallID)
		}
	}
	m.open = append(m.open, p)
	for _, d := range m.dialogs {
		if d.CallID == v.CallID {
			if v.CSeq <= d.last {
				m.failf("CSeq %d after %d", v.CSeq, d.last)
			}
			if d.last = v.CSeq; v.Expires == 0 && d.poll == "" {
				m.did["end"]++
			} else {
				m.did["refresh"]++
			}
			return
		}
	}
	if v.ToTag != "" {
		m.failf("a request of a dialog that nobody has begun")
	}
	for _, pair := range m.pairs {
		if v.From.User+"@example.com" == pair.user && v.To.User+"@example.net" == pair.contact {
			d := &modelDialog{asked: &asked{SIPSubscribe: v, tag: "ffd2"}, of: pair, last: v.CSeq}
			if v.Expires == 0 {
				d.poll = pair.user
				m.did["poll"]++
			}
			for _, old := range m.dialogs {
				if old.of == pair {
					m.did["retry"]++
				}
			}
			m.dialogs = append(m.dialogs, d)
			return
		}
	}
	m.failf("a SUBSCRIBE of nobody: %+v", v.SIPEvent)
}

// read takes what XMPP was told.
func (m *subscriberModel) read() {
	for _, parcel := range m.takeStanzas() {
		v := parcel.Value.(*mapping.XMPPPresence)
		m.note("told: %s", describe(v))
		var p *modelPair
		for _, known := range m.pairs {
			if v.To.Bare().String() == known.user && v.From.Bare().String() == known.contact {
				p = known
			}
		}
		if p == nil {
			m.failf("told to nobody of ours: %s", describe(v))
			return
		}
		m.hear(p, v)
	}
}

func (m *subscriberModel) hear(p *modelPair, v *mapping.XMPPPresence) {
	typ := string(v.Type)
	if typ == "" {
		typ = "available"
	}
	m.did[typ]++
	polled := m.polling != "" && m.polling == v.To.Bare().String()
	switch v.Type {
	case mapping.Subscribed:
		if !p.asked || !p.active && !p.granted && !m.none {
			m.failf("subscribed without a NOTIFY that says so: %s", describe(v))
		}
		p.granted = true
	case mapping.Unsubscribed:
		if len(p.seen) > 0 {
			m.failf("%s ends while %v is seen", describe(v), p.seen)
		}
		p.asked, p.granted, p.active = false, false, false
	case mapping.Available:
		switch {
		case polled:
		case !p.granted:
			m.failf("shown to who may not see it: %s", describe(v))
		case v.To.IsBare():
			p.seen[v.From.Resource()] = true
		}
	case mapping.Unavailable:
		if v.To.IsBare() && !polled {
			delete(p.seen, v.From.Resource())
		}
	case mapping.PresenceError:
		if !p.asked || p.granted {
			m.failf("an error that answers nothing: %s", describe(v))
		}
		p.asked = m.state(p.user, p.contact)&WatchPending != 0
	case mapping.Probe:
	default:
		m.failf("told %s", describe(v))
	}
}
