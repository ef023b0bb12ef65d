package presence

import (
	"container/list"
	"slices"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// The pace of PUBLISH requests to one server, and of probes: after a restart there are
// thousands to be sent.
const (
	publishEvery  = 20 * time.Millisecond
	publishAtOnce = 50
	publishOpen   = 16               // without an answer
	probeAnswers  = 15 * time.Second // what was not answered by then will not be
)

// presenceServer is a server at which something is published.
type presenceServer struct {
	hop     string
	waiting list.List // of *publication
	tokens  tokens
	open    int
	failing bool // what was sent last has failed, and was logged
	timer   timer
}

// place is one among those that wait.
type place struct {
	at      *presenceServer
	element *list.Element
	urgent  bool
}

// takeTurn has p wait for its turn; who is urgent goes before all others. e.mu is held.
func (e *Engine) takeTurn(out *work, p *publication, urgent bool) {
	if p.turn != nil {
		if urgent && !p.turn.urgent {
			p.turn.at.waiting.MoveToFront(p.turn.element)
			p.turn.urgent = true
		}
		return
	}
	at := e.publisher.servers[p.server.Hop]
	if at == nil {
		at = &presenceServer{hop: p.server.Hop, tokens: tokens{every: publishEvery, burst: publishAtOnce}}
		e.publisher.servers[at.hop] = at
	}
	p.turn = &place{at: at, urgent: urgent}
	if urgent {
		p.turn.element = at.waiting.PushFront(p)
	} else {
		p.turn.element = at.waiting.PushBack(p)
	}
	e.pumpServer(out, at)
}

// noTurn has p not wait any more. e.mu is held.
func (e *Engine) noTurn(p *publication) {
	if p.turn == nil {
		return
	}
	at := p.turn.at
	at.waiting.Remove(p.turn.element)
	p.turn = nil
	if at.waiting.Len() == 0 {
		e.timers.stop(&at.timer)
	}
}

// pumpServer sends what may be sent to a server now. e.mu is held.
func (e *Engine) pumpServer(out *work, at *presenceServer) {
	for at.waiting.Len() > 0 && at.open < publishOpen {
		if !at.tokens.take(out.now) {
			e.at(out, &at.timer, at.tokens.next(out.now), func(out *work) { e.pumpServer(out, at) })
			return
		}
		p := at.waiting.Front().Value.(*publication)
		e.noTurn(p)
		e.publish(out, p, at)
	}
}

// serverFails logs that a server does not take what is published, once until it does. e.mu is
// held.
func (e *Engine) serverFails(at *presenceServer, p *publication, o mapping.Outcome) {
	e.log.Debug("presence was not published", "dir", dirToSIP, "user", p.user.user, "call_id", p.callID, "status", o.Status, "err", o.Failure)
	if !at.failing {
		at.failing = true
		e.log.Warn("a presence server does not take what is published", "domain", p.server.Domain, "status", o.Status, "err", o.Failure,
			"remedy", "sip.route.presence says whether users' presence is published there")
	}
}

// serverAnswers takes that it does. e.mu is held.
func (e *Engine) serverAnswers(at *presenceServer) {
	if at.failing {
		at.failing = false
		e.log.Info("a presence server takes again what is published", "server", at.hop)
	}
}

// exposedProbes are the users who are to be asked how they are.
type exposedProbes struct {
	queue  list.List // of *exposed, each once
	tokens tokens
	timer  timer
}

func newExposedProbes() exposedProbes {
	return exposedProbes{tokens: tokens{every: probeEvery, burst: probeBurst}}
}

// inquireExposed has the users who let a name of the gateway see them asked how they are: all
// of them, or only those of whom nothing is known. e.mu is held.
func (e *Engine) inquireExposed(out *work, name mapping.JID, all bool) {
	if e.closing {
		return
	}
	for r := e.relations.first[name]; r != nil; r = r.next {
		if !e.mayPublish(out.policy, r.pair) {
			continue
		}
		u := e.userOf(r.pair)
		if u == nil || !all && (len(u.shows) > 0 || u.unsure) {
			continue
		}
		for i := range u.shows {
			u.shows[i].stale = true
		}
		u.unsure = true
		e.timers.stop(&u.timer)
		if !u.queued {
			u.queued = true
			e.publisher.probes.queue.PushBack(u)
		}
		for _, p := range slices.Clone(u.publications) {
			e.advance(out, p)
		}
	}
	e.sendExposedProbes(out)
}

// sendExposedProbes asks as many users as may be asked now. e.mu is held.
func (e *Engine) sendExposedProbes(out *work) {
	p := &e.publisher.probes
	for p.queue.Len() > 0 {
		u := p.queue.Front().Value.(*exposed)
		if !u.unsure || e.publisher.users[u.pair] != u {
			u.queued = false
			p.queue.Remove(p.queue.Front())
			continue
		}
		if !p.tokens.take(out.now) {
			e.at(out, &p.timer, p.tokens.next(out.now), e.sendExposedProbes)
			return
		}
		u.queued = false
		p.queue.Remove(p.queue.Front())
		out.say(u.contact, u.user, mapping.Probe)
		e.at(out, &u.timer, out.now.Add(probeAnswers), func(out *work) { e.sure(out, u) })
	}
}

// sure takes that all answers of a user have come: a device that did not answer is not there.
// e.mu is held.
func (e *Engine) sure(out *work, u *exposed) {
	u.unsure = false
	e.covers(out, u, func(d *exposedDevice) bool { return d.stale })
	e.republish(out, u)
}

// notAsked takes that the answers of a user do not count. e.mu is held.
func (e *Engine) notAsked(u *exposed) {
	u.unsure = false
	e.timers.stop(&u.timer)
}

// stopProbes asks nobody any more. e.mu is held.
func (e *Engine) stopProbes() {
	p := &e.publisher.probes
	p.queue.Init()
	e.timers.stop(&p.timer)
	for _, u := range e.publisher.users {
		u.queued = false
		e.notAsked(u)
	}
}
