package sipside

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// natKeeper keeps the ways open over which registrars send what is for accounts, where these
// are registered over UDP (RFC 5626 §4.4.2): by an OPTIONS to each server now and then,
// however many accounts there are. A server that has answered such a question and does not
// any more is asked for new bindings.
type natKeeper struct {
	lines *accountLines
	wake  chan struct{}

	mu    sync.Mutex // guards the following
	flows map[netip.AddrPort]*openFlow
}

// openFlow is a way that is kept open.
type openFlow struct {
	to       locate.Target
	hop      hop
	asks     mapping.URI // whom the question is to
	every    time.Duration
	bindings int
	due      time.Time
	asking   bool
	known    bool // to answer such a question
	broken   bool
}

// keep has a flow kept open from now on, and one of before no more; either may be nil.
func (k *natKeeper) keep(before, now *flow, h hop, registrar mapping.URI) {
	if before == nil && now == nil {
		return
	}
	k.mu.Lock()
	if now != nil {
		f := k.flows[now.to.Addr]
		if f == nil {
			h.login, h.watch = nil, nil
			f = &openFlow{to: now.to, hop: h, asks: registrar, due: time.Now().Add(mostOf(now.every))}
			k.flows[now.to.Addr] = f
		}
		f.every = now.every
		f.bindings++
	}
	if before != nil {
		if f := k.flows[before.to.Addr]; f != nil {
			if f.bindings--; f.bindings == 0 {
				delete(k.flows, before.to.Addr)
			}
		}
	}
	k.mu.Unlock()
	k.stir()
}

func (k *natKeeper) stir() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// look asks those that are due, and gives the time of the next one, zero if there is none,
// and the servers that are gone.
func (k *natKeeper) look(now time.Time) (next time.Time, gone []netip.AddrPort) {
	var ask []*openFlow
	k.mu.Lock()
	for a, f := range k.flows {
		switch {
		case f.broken:
			f.broken, f.known = false, false
			gone = append(gone, a)
		case f.asking:
		case !f.due.After(now):
			f.asking = true
			ask = append(ask, f)
		default:
			next = earliest(next, f.due)
		}
	}
	k.mu.Unlock()
	for _, f := range ask {
		k.ask(f)
	}
	return next, gone
}

func (k *natKeeper) ask(f *openFlow) {
	u := k.lines.u
	us := u.ownURI()
	req := ownRequest(methodOptions, f.asks, us, f.asks, freshCallID(), freshTag(), 1)
	req.accept, req.probe = queryAccept, &probe{}
	u.client.ask(req, f.hop.at(f.to), func(a ownAnswer) {
		k.mu.Lock()
		f.asking, f.due = false, time.Now().Add(mostOf(f.every))
		switch {
		case a.Kind == mapping.Answered:
			f.known = true
		case a.Failure != nil && a.Failure.Condition == mapping.CondResourceConstraint: // a lack of ours
		default:
			f.broken = f.known
		}
		k.mu.Unlock()
		k.stir()
	})
}

// silent tells the registrations at a server that it does not answer any more.
func (ls *accountLines) silent(at netip.AddrPort) {
	var gone []*flow
	ls.mu.RLock()
	for _, l := range ls.byAOR {
		if f := l.reg.silentAt(at); f != nil {
			gone = append(gone, f)
		}
	}
	ls.mu.RUnlock()
	for _, f := range gone {
		ls.nat.keep(f, nil, hop{}, mapping.URI{})
	}
}

// silentAt is told that a server does not answer any more; it gives the flow to it, which is
// none now.
func (r *registration) silentAt(at netip.AddrPort) *flow {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.nat
	if f == nil || f.to.Addr != at {
		return nil
	}
	r.nat, r.lost = nil, true
	r.wake()
	return f
}

// run keeps ways open and tells the log, until ctx is done.
func (ls *accountLines) run(ctx context.Context) {
	for {
		now := time.Now()
		next, gone := ls.nat.look(now)
		for _, a := range gone {
			ls.silent(a)
		}
		next = earliest(next, ls.tellLog(now))
		var due <-chan time.Time
		timer := time.NewTimer(time.Hour)
		if !next.IsZero() {
			timer.Reset(time.Until(next))
			due = timer.C
		}
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-ls.nat.wake:
		case <-due:
		}
		timer.Stop()
	}
}
