package sipside

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/digest"
	"github.com/stoxgw/stox/sipside/locate"
)

// line is an account with its registration, whose holder it is. accountLines.mu guards what is not
// the goroutine's, but for what never changes.
type line struct {
	lines    *accountLines
	key      aorKey
	account  Account
	to       target
	login    *login
	reg      *registration
	provider *provider
	hosts    []netip.Addr       // where the servers of the registrar are
	end      context.CancelFunc // nil: it has never run
	over     bool               // it has run, and does not any more
	ended    chan struct{}
	then     []func() // to be called then

	trying    bool        // of the goroutine
	abandoned atomic.Bool // its binding is another line's now
}

// newLine makes the line of an account. Nothing is sent before it runs. The lock is held.
func (ls *accountLines) newLine(a Account) *line {
	ls.some.Store(true)
	l := &line{lines: ls, key: aorOf(a.AOR), account: a, to: ls.u.wayOf(&a), ended: make(chan struct{})}
	l.login = ls.u.newAccountLogin(&a, &l.to)
	l.to.hop.login = l.login
	aor := mapping.URI{Scheme: "sip", User: a.AOR.User, Host: a.AOR.Host}
	l.reg = freshRegistration(ls.u, aor, l.to)
	l.reg.of, l.reg.user, l.reg.unique, l.reg.name = l, a.Token, true, mapping.HeaderText(a.Name)
	l.reg.registrar = mapping.URI{Scheme: "sip", Host: a.registrar().Host}
	l.reg.regID = ls.freeRegID(l.key)
	host := l.to.hop.query.Host
	if l.to.route == nil {
		host = a.registrar().Host
	}
	p := ls.providers[host]
	if p == nil {
		p = &provider{peer: peer{name: "registrar " + host, id: "registrar " + host, registrar: host, share: &share{}}}
		ls.providers[host] = p
	}
	p.lines++
	l.provider = p
	return l
}

// freeRegID is a number that no other line of the address has: to a registrar that knows
// outbound it is the same binding otherwise, which the end of one would end for both (RFC
// 5626 §6). The lock is held.
func (ls *accountLines) freeRegID(k aorKey) int {
	used := make([]int, 0, 2)
	for _, l := range [...]*line{ls.byAOR[k], ls.leaving[k]} {
		if l != nil {
			used = append(used, l.reg.regID)
		}
	}
	id := 1
	for slices.Contains(used, id) {
		id++
	}
	return id
}

// wayOf is where an account registers: by the first route of its domain, if that has a next
// hop, else where its registrar is by DNS.
func (u *UA) wayOf(a *Account) (t target) {
	set, at := u.current(), a.registrar()
	t.hop.account = true
	for i, r := range set.routes {
		if r.Domain != "*" && set.routeDomains[i] != a.AOR.Host {
			continue
		}
		switch {
		case !r.Via.IsZero():
			t.route, at = r, r.Via
			t.hop.route, t.hop.rule, t.hop.watch = r, r, set.watches[r]
		case at.Host == a.AOR.Host: // what the route allows is for its domain
			t.hop.rule = r
		}
		break
	}
	t.fault = t.hop.lead(at, u.supported)
	return t
}

// lineWay is where a registration goes, in what makes it another one.
type lineWay struct {
	watch *watch
	query locate.Query
	name  string
	fault bool
}

func (t *target) way() lineWay {
	return lineWay{t.hop.watch, t.hop.query, t.hop.name, t.fault != nil}
}

func (u *UA) newAccountLogin(a *Account, to *target) *login {
	own := []string{a.AOR.Host, a.registrar().Host}
	return &login{client: digest.NewClient(a.username(), a.Password, own...), secure: to.hop.query.Transport.Secure(), log: u.log}
}

// serves reports whether a request along h goes to the servers of the account. The lock is
// held.
func (l *line) serves(h *hop) bool {
	switch {
	case h.flow != nil:
		return false
	case l.to.route != nil:
		return h.route != nil && h.watch == l.to.hop.watch
	}
	return h.route == nil && (h.query.Host == l.to.hop.query.Host || h.query.Host == l.account.AOR.Host)
}

// identify has a request that is of an account say so to the servers of that account, and of
// no other one: it gives the hop that does.
func (ls *accountLines) identify(from *mapping.URI, h *hop) *hop {
	if from.Scheme != "sip" {
		return h
	}
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	if l := ls.byAOR[aorOf(*from)]; l != nil && l.serves(h) {
		known := *h
		known.login = l.login
		return &known
	}
	return h
}

// describe tells how the line does.
func (l *line) describe() AccountState {
	r := l.reg
	r.mu.Lock()
	defer r.mu.Unlock()
	s := AccountState{AOR: r.aor, State: string(r.state), Since: r.since, Until: r.until, Status: r.code, Reason: r.why}
	if s.Registered = r.leadsHere(time.Now()); s.Registered {
		s.Server = r.to.String()
	}
	return s
}

// tell tells who wants to know how accounts do, unless the line is not the account's any more.
func (l *line) tell() {
	on := l.lines.u.cfg.OnAccount
	if on == nil || l.trying {
		return
	}
	l.lines.mu.RLock()
	current := l.lines.byAOR[l.key] == l
	l.lines.mu.RUnlock()
	if current {
		on(l.describe())
	}
}

// quit takes the binding back and lets those know who wait for that.
func (l *line) quit(inner context.Context) {
	ls := l.lines
	if nat := l.reg.part(isUnbinding); nat != nil {
		l.keep(l.reg, nat, nil)
	}
	l.tell()
	if !l.abandoned.Load() {
		guard(ls.u, func() { l.reg.leave(inner) })
	}
	l.reg.linger(inner, l.alone)
	ls.mu.Lock()
	l.end() // of its context
	l.over = true
	ls.release(l)
	if ls.leaving[l.key] == l {
		delete(ls.leaving, l.key)
	}
	then := l.then
	l.then = nil
	close(l.ended)
	ls.mu.Unlock()
	for _, f := range then {
		f()
	}
}

// alone reports whether no other line has the contact of this one.
func (l *line) alone() bool {
	l.lines.mu.RLock()
	defer l.lines.mu.RUnlock()
	other := l.lines.byToken[l.account.Token]
	return other == nil || other == l
}

// admit implements holder. A binding that stands is made again when that is due; all others
// wait for their turn, but for an account that somebody has just entered.
func (l *line) admit(ctx context.Context, r *registration) bool {
	to := r.newest.Load()
	r.mu.Lock()
	stands := r.leadsHere(time.Now())
	r.mu.Unlock()
	if l.trying || stands && r.way.hop.login == to.hop.login && r.way.loose() == to.loose() {
		return true
	}
	return l.lines.turns.take(ctx)
}

// leaves implements holder.
func (l *line) leaves(ctx context.Context) (may context.Context, done func(), ok bool) {
	select {
	case l.lines.exits <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, false
	}
	may, end := context.WithTimeout(ctx, exitTimeout)
	return may, func() { end(); <-l.lines.exits }, true
}

// found implements holder.
func (l *line) found(at []locate.Target) {
	if len(at) == 0 {
		return
	}
	if l.trying {
		l.reg.patience = tryPatience / time.Duration(min(len(at), 2))
	}
	var hosts []netip.Addr
	for _, t := range at[:min(len(at), maxHosts)] {
		if a := t.Addr.Addr(); !slices.Contains(hosts, a) {
			hosts = append(hosts, a)
		}
	}
	ls := l.lines
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if !l.over && !slices.Equal(hosts, l.hosts) {
		ls.settle(l, hosts)
	}
}

// bound implements holder.
func (l *line) bound(r *registration, _ *ownAnswer, _ grant) {
	if !l.trying {
		l.lines.note(isBound, r.aor, "")
	}
	l.tell()
}

// left implements holder.
func (l *line) left(r *registration, _ time.Time) { l.lines.note(isUnbinding, r.aor, "") }

// turned implements holder.
func (l *line) turned(r *registration, to registered, _ *ownAnswer, why string, _ time.Duration) {
	if !l.trying {
		l.lines.note(to, r.aor, why)
	}
	l.tell()
}

// keep implements holder.
func (l *line) keep(r *registration, before, now *flow) {
	l.lines.nat.keep(before, now, r.way.hop, r.registrar)
}
