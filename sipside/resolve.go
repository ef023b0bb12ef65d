package sipside

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

const (
	resolvers      = 32   // lookups at once; each may take lookupTimeout
	maxLookups     = 1024 // that wait for one of them
	lookupTimeout  = 5 * time.Second
	maxNames       = 4096             // cached
	refreshRoutes  = 60 * time.Second // at most: sooner if DNS says so
	retryRouteName = 5 * time.Second
)

// Locator finds the servers of a SIP domain. It is the part of locate.Locator that is
// used.
type Locator interface {
	Locate(ctx context.Context, q locate.Query) (locate.Answer, error)
}

// names finds targets (RFC 3263) without anybody waiting for it: who asks is called
// back, by one of a few goroutines or, if the answer is known, at once.
type names struct {
	locator Locator
	jobs    chan locate.Query
	changed chan struct{} // one slot: there are other routes

	mu     sync.Mutex // guards the following
	known  map[locate.Query]*name
	routes map[locate.Query]*name // of routes, by watchRoutes
}

// name is what is known of a query.
type name struct {
	targets []locate.Target
	failure *mapping.Failure
	until   time.Time // of the answer; zero while it is looked up
	waiting []func(*name)
}

func newNames(cfg *Config) *names {
	return &names{locator: cfg.Locator, jobs: make(chan locate.Query, maxLookups), changed: make(chan struct{}, 1), known: make(map[locate.Query]*name),
		routes: make(map[locate.Query]*name)}
}

// targets are those of q if they are known now, else there are none, whatever is known.
func (n *names) targets(q locate.Query, now time.Time) []locate.Target {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e := n.lately(q, now); e != nil && e.failure == nil {
		return e.targets
	}
	return nil
}

// lately is the answer for q that is known and not too old, nil if there is none. The lock
// is held.
func (n *names) lately(q locate.Query, now time.Time) *name {
	if e := n.routes[q]; e != nil && now.Before(e.until) {
		return e
	}
	if e := n.known[q]; e != nil && !e.until.IsZero() && now.Before(e.until) {
		return e
	}
	return nil
}

// lookup calls f once with the answer for q. f must not block.
func (n *names) lookup(q locate.Query, f func(*name)) {
	now := time.Now()
	n.mu.Lock()
	if e := n.lately(q, now); e != nil {
		n.mu.Unlock()
		f(e)
		return
	}
	if e := n.known[q]; e != nil && e.until.IsZero() {
		e.waiting = append(e.waiting, f)
		n.mu.Unlock()
		return
	}
	if len(n.known) >= maxNames {
		for h, e := range n.known {
			if !e.until.IsZero() && !now.Before(e.until) {
				delete(n.known, h)
			}
		}
	}
	select {
	case n.jobs <- q:
		n.known[q] = &name{waiting: []func(*name){f}}
		n.mu.Unlock()
	default:
		n.mu.Unlock()
		f(&name{failure: mapping.FailBusy(busySeconds)})
	}
}

// run serves lookups until ctx is done.
func (n *names) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-n.jobs:
			n.settle(q, n.resolve(ctx, q))
		}
	}
}

// settle enters an answer and tells it to those who wait.
func (n *names) settle(q locate.Query, e *name) {
	n.mu.Lock()
	waiting := n.known[q].waiting
	if len(n.known) > maxNames {
		delete(n.known, q)
	} else {
		n.known[q] = e
	}
	n.mu.Unlock()
	for _, f := range waiting {
		f(e)
	}
}

func (n *names) resolve(ctx context.Context, q locate.Query) *name {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	a, err := n.locator.Locate(ctx, q)
	e := &name{targets: a.Targets, until: a.Until}
	if soon := time.Now().Add(time.Second); e.until.Before(soon) {
		e.until = soon
	}
	if err == nil && len(a.Targets) > 0 {
		return e
	}
	var why *locate.Error
	switch {
	case errors.Is(err, context.Canceled): // we are stopping
		e.failure = mapping.FailShutdown()
	case !errors.As(err, &why) || why.Temporary():
		e.failure = mapping.FailUnreachable() // EL-002
	case why.Reason == locate.Unsupported:
		e.failure = mapping.FailTransport()
	default:
		e.failure = mapping.FailDNS() // EL-003
	}
	if q.Scheme != locate.SIP && e.failure.Status == 404 {
		e.failure.Status = 502 // what an im: or pres: address without a server gets
	}
	e.failure.Err = err
	return e
}

// look has watchRoutes look at once: there are other routes.
func (n *names) look() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// watchRoutes keeps the targets of routes whose host is a name: where a route leads is a
// peer, and requests to it do not queue behind lookups of whatever names users write to.
func (n *names) watchRoutes(ctx context.Context, current func() *peers) {
	found := make(map[locate.Query][]netip.Addr)
	for {
		p := current()
		maps.DeleteFunc(found, func(q locate.Query, _ []netip.Addr) bool { return !slices.Contains(p.names, q) })
		n.mu.Lock()
		maps.DeleteFunc(n.routes, func(q locate.Query, _ *name) bool { return !slices.Contains(p.names, q) })
		n.mu.Unlock()
		pause := refreshRoutes
		for _, q := range p.names {
			e := n.resolve(ctx, q)
			if e.failure != nil {
				pause = retryRouteName // the last good answer stays: for sending until it expires
				continue
			}
			pause = min(pause, max(time.Until(e.until), retryRouteName))
			e.until = time.Now().Add(2 * refreshRoutes)
			n.mu.Lock()
			n.routes[q] = e
			n.mu.Unlock()
			found[q] = nil
			for _, t := range e.targets {
				found[q] = append(found[q], t.Addr.Addr())
			}
		}
		var due <-chan time.Time
		if len(p.names) > 0 {
			byAddr := make(map[netip.Addr][]string)
			for q, addrs := range found {
				for _, a := range addrs {
					byAddr[a] = append(byAddr[a], q.Host)
				}
			}
			p.resolved.Store(&byAddr)
			due = time.After(pause)
		}
		select {
		case <-ctx.Done():
			return
		case <-n.changed:
		case <-due:
		}
	}
}
