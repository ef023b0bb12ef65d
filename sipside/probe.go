package sipside

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// The servers of routes are asked by OPTIONS whether they are there when nothing else has
// been answered by them lately: who is gone shows before a message is lost, and who is back
// before a message is sent to the second best. Any final answer but a 503 says yes (RFC 3261
// §11). One question is open for each route at any time.
const (
	probeAtLeast   = 45 * time.Second
	probeAtMost    = 60 * time.Second
	mostProbed     = 4                // servers of a route, in one go
	probeTellAgain = 10 * time.Minute // the log, of the same route
	maxProbed      = 64               // that are known to answer
)

// probe says of a request that it is such a question.
type probe struct {
	counts bool // no answer is a failure: the server has answered such a question before
}

// watch knows how the servers behind one Via do. One goroutine runs it.
type watch struct {
	u     *UA
	place place
	lead  atomic.Pointer[lead]
	over  atomic.Bool // no route leads there any more

	answered atomic.Bool          // a request was, since the last look
	flow     atomic.Pointer[flow] // that a registration wants kept open over UDP; nil: there is none
	wake     chan struct{}        // there is another flow

	// Of the goroutine.
	known map[locate.Target]bool // servers that have answered a question
	told  time.Time              // when the log was told last that nobody answers
	down  bool                   // and was not told since that somebody does

	mu     sync.Mutex // guards the following
	state  Liveness
	since  time.Time
	rtt    time.Duration
	reason string
	spoke  bool // something was answered, ever
}

// lead is what leads to a place.
type lead struct {
	routes []*Route // one at least
	hop    hop      // of the first
}

// Liveness says whether a server answers.
type Liveness string

// What is known of a server.
const (
	Unsure Liveness = "unknown" // not asked yet, or it answers no OPTIONS
	Alive  Liveness = "alive"
	Dead   Liveness = "dead"
)

func newWatch(u *UA, p place) *watch {
	return &watch{u: u, place: p, wake: make(chan struct{}, 1), known: make(map[locate.Target]bool), state: Unsure, since: time.Now()}
}

// heard is told that a request that went there was answered. w may be nil.
func (w *watch) heard() {
	if w != nil && !w.answered.Load() {
		w.answered.Store(true)
	}
}

// keep has the flow kept open from now on.
func (w *watch) keep(f *flow) {
	w.flow.Store(f)
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run looks again and again until ctx is done.
func (w *watch) run(ctx context.Context) {
	for {
		wait := probeAtLeast + rand.N(probeAtMost-probeAtLeast)
		if f := w.flow.Load(); f != nil {
			wait = mostOf(f.every)
		}
		due := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			due.Stop()
			return
		case <-w.wake: // the pause is another one
			due.Stop()
		case <-due.C:
			w.look(ctx)
		}
	}
}

// look asks the server that the next request would go to, and the next one if it is silent;
// and those that have failed, so that they are in their place again as soon as they can be.
func (w *watch) look(ctx context.Context) {
	quiet := !w.answered.Swap(false)
	if f := w.flow.Load(); f != nil { // nothing else, which might take too long for NAT
		w.lookAt(ctx, []locate.Target{f.to}, f)
		return
	}
	targets, f := w.u.targetsOf(ctx, w.lead.Load().hop)
	if f != nil {
		if ctx.Err() == nil && f.Condition != mapping.CondResourceConstraint {
			w.note(Dead, 0, "no server was found for "+w.place.via.Host)
		}
		return
	}
	now := time.Now()
	var first, failed []locate.Target
	for i := range targets {
		t := targets[i]
		if _, avoided := w.u.client.health.Avoided(t, now); avoided {
			failed = append(failed, t)
		} else {
			first = append(first, t)
		}
	}
	if len(first) == 0 {
		first, failed = failed, nil
	}
	if quiet {
		w.lookAt(ctx, first[:min(len(first), mostProbed)], nil)
	} else {
		w.note(Alive, 0, "")
	}
	for _, t := range failed[:min(len(failed), mostProbed)] {
		w.ask(ctx, t)
	}
}

// lookAt asks servers one after the other until one answers, and notes what came of it.
func (w *watch) lookAt(ctx context.Context, targets []locate.Target, f *flow) {
	state, reason, mute := Unsure, "", true
	for _, t := range targets {
		a, took, ok := w.ask(ctx, t)
		if !ok {
			return
		}
		switch alive, why := livenessOf(&a); {
		case alive == Alive:
			w.note(Alive, took, "")
			return
		case alive == Dead:
			state, reason = Dead, why
			mute = mute && a.Kind == mapping.Unknown
			if f != nil && a.Kind != mapping.Answered && w.known[t] {
				w.broken(f)
			}
		}
	}
	switch {
	case state == Unsure:
	case w.answered.Load(): // it just does not answer this
		w.note(Alive, 0, "")
	case mute && len(w.known) == 0 && w.everHeard(): // and never has
		w.note(Unsure, 0, "it does not answer OPTIONS")
	default:
		w.note(Dead, 0, reason)
	}
}

// broken tells the registrations of a flow that it is one no more.
func (w *watch) broken(f *flow) {
	for _, r := range w.u.current().registrations {
		if r.watch == w {
			r.silent(f)
		}
	}
}

func (w *watch) everHeard() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.spoke
}

// ask sends the question to one server.
func (w *watch) ask(ctx context.Context, t locate.Target) (a ownAnswer, took time.Duration, ok bool) {
	via := w.place.via
	target, us := hostURI(via.Host, via.Port), w.u.ownURI()
	req := ownRequest(methodOptions, target, us, target, freshCallID(), freshTag(), 1)
	req.accept, req.probe = queryAccept, &probe{counts: w.known[t]}
	begin := time.Now()
	if a, ok = w.u.askAt(ctx, req, w.lead.Load().hop, t); ok && a.Kind == mapping.Answered && (w.known[t] || len(w.known) < maxProbed) {
		w.known[t] = true
	}
	return a, time.Since(begin), ok
}

// livenessOf reads the outcome of a question, and why it is Dead.
func livenessOf(a *ownAnswer) (Liveness, string) {
	switch {
	case a.Kind == mapping.Answered && a.Status == 503:
		return Dead, cameTo(a)
	case a.Kind == mapping.Answered:
		return Alive, ""
	case a.Failure != nil && a.Failure.Condition == mapping.CondResourceConstraint:
		return Unsure, ""
	}
	return Dead, cameTo(a)
}

// note enters what is known now, and tells the log of a change.
func (w *watch) note(state Liveness, took time.Duration, reason string) {
	now := time.Now()
	w.mu.Lock()
	if w.state != state {
		w.state, w.since = state, now
	}
	w.spoke = w.spoke || state == Alive
	w.rtt, w.reason = took, reason
	w.mu.Unlock()
	var domains []string
	for _, r := range w.lead.Load().routes {
		domains = append(domains, r.Domain)
	}
	slices.Sort(domains)
	route := strings.Join(slices.Compact(domains), ", ")
	switch {
	case state == Dead && !w.down && (w.told.IsZero() || now.Sub(w.told) >= probeTellAgain):
		w.told, w.down = now, true
		w.u.log.Warn("the SIP server of a route does not answer", "route", route, "via", w.place.via.String(), "reason", reason,
			"remedy", "does it run, is it reached, and does it answer OPTIONS from this machine? stox doctor looks; else correct sip.route.via")
	case state == Alive && w.down:
		w.down = false
		w.u.log.Info("the SIP server of a route answers again", "route", route, "via", w.place.via.String())
	}
}

// judgeProbe remembers how a target answered a question. The lock is held.
func (c *client) judgeProbe(tx *clientTx, o *mapping.Outcome) {
	now := time.Now()
	switch {
	case !tx.to.Addr.IsValid():
	case o.Kind == mapping.Answered && o.Status == 503:
		c.health.Unavailable(tx.to, o.Failure.RetryAfter, now)
	case o.Kind == mapping.Answered:
		c.health.Answers(tx.to)
	case c.closed:
	case o.Kind == mapping.NotWritten && o.Failure.Condition == mapping.CondRemoteServerTimeout:
		c.health.Silent(tx.to, true, now)
	case o.Kind == mapping.Unknown && !tx.proceeding:
		c.health.Silent(tx.to, tx.req.probe.counts, now)
	}
}
