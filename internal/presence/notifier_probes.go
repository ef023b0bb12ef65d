package presence

import (
	"slices"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// How users are is asked of their servers (RFC 6121 §4.3) when somebody watches and nothing
// is known, and when what is known may be out of date: after a restart, and after the loss of
// a link. Thousands of watchers are no reason to send thousands of stanzas at once.

const (
	probeEvery  = 20 * time.Millisecond
	probeBurst  = 50
	probePause  = 10 * time.Second // before the same is asked again
	probeAnswer = 15 * time.Second // what has not been answered by then will not be
)

// probes are the users that are to be asked how they are.
type probes struct {
	queue  []*relation // each once
	tokens tokens
	timer  timer
}

func newProbes() probes { return probes{tokens: tokens{every: probeEvery, burst: probeBurst}} }

// asking is a question to a user on its way: whether a contact may see him, or how he is.
type asking struct {
	relation *relation
	how      bool
}

func (*asking) presence() {}

// inquire has the user asked how he is, unless he just was. e.mu is held.
func (e *Engine) inquire(out *work, r *relation) {
	ds := &r.devices
	if ds.waiting || !ds.inquired.IsZero() && out.now.Sub(ds.inquired) < probePause {
		return
	}
	ds.waiting = true
	p := &e.notifier.probes
	p.queue = append(p.queue, r)
	e.at(out, &p.timer, p.tokens.next(out.now), e.sendProbes)
}

// sendProbes asks as many users as may be asked now. e.mu is held.
func (e *Engine) sendProbes(out *work) {
	p := &e.notifier.probes
	for len(p.queue) > 0 && !p.tokens.next(out.now).After(out.now) {
		r := p.queue[0]
		p.queue[0] = nil
		p.queue = p.queue[1:]
		r.devices.waiting = false
		if e.closing || e.relations.all[r.pair] != r || !r.sees(out.policy) || !out.policy.lets(r.pair) {
			continue
		}
		p.tokens.take(out.now)
		r.devices.inquired = out.now
		e.tally.Probes++
		out.stanzas = append(out.stanzas, mapping.Parcel[mapping.XMPP]{Ref: &asking{r, true},
			Value: &mapping.XMPPPresence{From: r.contact, To: r.user, Type: mapping.Probe}})
		e.at(out, &r.devices.answers, out.now.Add(probeAnswer), func(out *work) { e.probesAnswered(out, r) })
	}
	if len(p.queue) > 0 {
		e.at(out, &p.timer, p.tokens.next(out.now), e.sendProbes)
	} else {
		p.queue = nil
	}
}

// probesAnswered takes that all answers to the question how a user is have come: a device of which
// nothing was said is not there any more. e.mu is held.
func (e *Engine) probesAnswered(out *work, r *relation) {
	if e.relations.all[r.pair] != r || !r.sees(out.policy) {
		return
	}
	ds := &r.devices
	stale := func(d device) bool { return d.stale }
	switch i := slices.IndexFunc(ds.known, stale); {
	case ds.gone():
		ds.known[0].stale = false
	case i >= 0:
		e.remove(out, r, stale, device{Resource: mapping.Resource{Name: ds.known[i].Name}})
	case len(ds.known) == 0 && ds.resumed:
		// Some watcher may believe that he is as an earlier run has said.
		e.remove(out, r, stale, device{})
	}
	ds.resumed = false
}

// asked takes what became of a question to a user. e.mu is held.
func (e *Engine) asked(out *work, ref *asking, o mapping.Outcome) {
	r := ref.relation
	if e.relations.all[r.pair] != r {
		return
	}
	switch o.Kind {
	case mapping.Bounced:
		e.askedInVain(out, r, o.Failure)
	case mapping.NotWritten, mapping.Uncertain:
		if ref.how {
			e.timers.stop(&r.devices.answers)
			r.devices.inquired = time.Time{} // the next link has it asked again
		} else {
			r.devices.asked = time.Time{}
			e.enter(out, r, 0, WatcherAsked)
			e.relations.tidy(r)
		}
	}
}

// notifierLinkUp has the users of a component name asked again how they are: while there was
// no link, nobody was told (GW-08). e.mu is held.
func (e *Engine) notifierLinkUp(out *work, name mapping.JID) {
	for _, r := range e.relations.all {
		switch {
		case r.contact.Domain() != name.Domain():
		case r.granted() && len(r.watchers) == 0:
			e.unknown(r)
		case r.granted():
			for i := range r.devices.known {
				r.devices.known[i].stale = true
			}
			e.timers.stop(&r.devices.answers)
			r.devices.inquired = time.Time{}
			e.inquire(out, r)
		case len(r.watchers) > 0:
			e.unknown(r)
			e.askUser(out, r, r.watchers[0])
		default:
			e.expireAsked(out, r)
		}
	}
}
