package sipside

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/stoxgw/stox/mapping"
)

const (
	resolvers      = 32   // lookups at once; each may take lookupTimeout
	maxLookups     = 1024 // that wait for one of them
	lookupTimeout  = 5 * time.Second
	foundFor       = 30 * time.Second
	notFoundFor    = 5 * time.Second
	maxNames       = 4096 // cached
	refreshRoutes  = 60 * time.Second
	retryRouteName = 5 * time.Second
)

// names looks up hosts (A and AAAA) without anybody waiting for it: who asks is
// called back, by one of a few goroutines or, if the answer is known, at once.
type names struct {
	resolver Resolver
	jobs     chan string

	mu     sync.Mutex // guards the following
	known  map[string]*name
	routes map[string]*name // hosts of routes, by watchRoutes
}

type name struct {
	addrs   []netip.Addr // while it is looked up, or if that failed: those of the last answer
	failure *mapping.Failure
	until   time.Time // of the answer; zero while it is looked up
	waiting []func(*name)
}

func newNames(cfg *Config) *names {
	return &names{resolver: cfg.Resolver, jobs: make(chan string, maxLookups), known: make(map[string]*name),
		routes: make(map[string]*name)}
}

// lookup calls f once with the answer for host. f must not block.
func (n *names) lookup(host string, f func(*name)) {
	now := time.Now()
	n.mu.Lock()
	e := n.routes[host]
	if e == nil || !now.Before(e.until) {
		e = n.known[host]
	}
	if e != nil && !e.until.IsZero() && now.Before(e.until) {
		n.mu.Unlock()
		f(e)
		return
	}
	if e != nil && e.until.IsZero() {
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
	var last []netip.Addr
	if e != nil {
		last = e.addrs
	}
	select {
	case n.jobs <- host:
		n.known[host] = &name{addrs: last, waiting: []func(*name){f}}
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
		case host := <-n.jobs:
			n.settle(host, n.resolve(ctx, host))
		}
	}
}

// settle enters an answer and tells it to those who wait.
func (n *names) settle(host string, e *name) {
	n.mu.Lock()
	waiting := n.known[host].waiting
	e.keepOrder(n.known[host].addrs)
	if len(n.known) > maxNames {
		delete(n.known, host)
	} else {
		n.known[host] = e
	}
	n.mu.Unlock()
	for _, f := range waiting {
		f(e)
	}
}

func (n *names) resolve(ctx context.Context, host string) *name {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := n.resolver.LookupNetIP(ctx, "ip", host)
	e := &name{until: time.Now().Add(foundFor)}
	for _, a := range addrs {
		e.addrs = append(e.addrs, a.Unmap())
	}
	if err == nil && len(e.addrs) > 0 {
		return e
	}
	e.until = time.Now().Add(notFoundFor)
	var dns *net.DNSError
	var none *net.AddrError // a name without an address
	switch {
	case errors.Is(err, context.Canceled): // we are stopping
		e.failure = mapping.FailShutdown()
	case err == nil || errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &none):
		e.failure = mapping.FailDNS() // EL-003
	default:
		e.failure = mapping.FailUnreachable() // EL-002
	}
	e.failure.Err = err
	return e
}

// keepOrder brings the addresses into the order of the last answer; new ones come
// behind. A name server gives them in another order each time, but a request that
// got no answer from the first in the 32 s of Timer F has to find the second in its
// place.
func (e *name) keepOrder(last []netip.Addr) {
	if e.failure != nil {
		e.addrs = last
		return
	}
	place := func(a netip.Addr) int {
		if i := slices.Index(last, a); i >= 0 {
			return i
		}
		return len(last)
	}
	slices.SortStableFunc(e.addrs, func(a, b netip.Addr) int { return cmp.Compare(place(a), place(b)) })
}

// watchRoutes keeps the addresses of route hosts that are names: a route's host is
// a peer, and requests to it do not queue behind lookups of whatever names users
// write to.
func (n *names) watchRoutes(ctx context.Context, p *peers) {
	if len(p.names) == 0 {
		return
	}
	found := make(map[string][]netip.Addr)
	for {
		pause := refreshRoutes
		for _, host := range p.names {
			e := n.resolve(ctx, host)
			if e.failure != nil {
				pause = retryRouteName // the last good answer stays: for sending until it expires
				continue
			}
			e.until = time.Now().Add(2 * refreshRoutes)
			n.mu.Lock()
			if last := n.routes[host]; last != nil {
				e.keepOrder(last.addrs)
			} else if last := n.known[host]; last != nil {
				e.keepOrder(last.addrs)
			}
			n.routes[host] = e
			n.mu.Unlock()
			found[host] = e.addrs
		}
		byAddr := make(map[netip.Addr][]string)
		for host, addrs := range found {
			for _, a := range addrs {
				byAddr[a] = append(byAddr[a], host)
			}
		}
		p.resolved.Store(&byAddr)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
