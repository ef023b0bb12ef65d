package sipside

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/stoxgw/stox/mapping"
)

// accountLines has the accounts of users. Each is a line with a registration, which a goroutine of
// its own keeps while Run runs.
type accountLines struct {
	u     *UA
	turns turns
	exits chan struct{} // those who take a binding back just now
	some  atomic.Bool   // there are accounts, or are to be
	nat   natKeeper
	log   accountLog

	mu        sync.RWMutex    // guards the following, and what a line says
	ctx       context.Context // nil before Run and once it ends
	inner     context.Context
	running   sync.WaitGroup
	byAOR     map[aorKey]*line
	byToken   map[string]*line // those that are tried, too
	trials    map[aorKey]*trial
	leaving   map[aorKey]*line     // the last one of an address that is being taken back
	hosts     map[netip.Addr]int   // of registrars, and how many accounts are there
	providers map[string]*provider // registrars that are no peers, by host
}

// aorKey is whose address it is.
type aorKey struct{ user, host string }

func aorOf(u mapping.URI) aorKey { return aorKey{u.User, u.Host} }

// provider is a registrar seen from the other end: what it takes up is its own.
type provider struct {
	peer  peer
	lines int
}

func newLines(u *UA) *accountLines {
	ls := &accountLines{u: u, turns: turns{one: make(chan struct{}, 1)}, exits: make(chan struct{}, exits),
		byAOR: make(map[aorKey]*line), byToken: make(map[string]*line), trials: make(map[aorKey]*trial),
		leaving: make(map[aorKey]*line), hosts: make(map[netip.Addr]int), providers: make(map[string]*provider)}
	ls.nat = natKeeper{lines: ls, flows: make(map[netip.AddrPort]*openFlow), wake: make(chan struct{}, 1)}
	return ls
}

// begin starts the lines that there are. They are taken back when ctx ends, which the end of
// inner breaks off.
func (ls *accountLines) begin(ctx, inner context.Context) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.ctx, ls.inner = ctx, inner
	for _, l := range ls.byAOR {
		ls.start(l, nil)
	}
}

// finish starts nothing any more. That of those who run is told by ctx.
func (ls *accountLines) finish() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.ctx = nil
}

// set is UA.SetAccounts.
func (ls *accountLines) set(all []Account) {
	unfit := 0
	ls.mu.Lock()
	wanted := make(map[aorKey]*Account, len(all))
	var order []aorKey
	for i := range all {
		k := aorOf(all[i].AOR)
		if all[i].check() != "" || wanted[k] != nil || len(order) == maxAccounts {
			unfit++
			continue
		}
		wanted[k] = &all[i]
		order = append(order, k)
	}
	for k, l := range ls.byAOR {
		if wanted[k] == nil {
			ls.retire(l)
		}
	}
	for _, k := range order {
		a, l := wanted[k], ls.byAOR[k]
		if other := ls.byToken[a.Token]; other != nil && other.key != k {
			unfit++
			if l != nil {
				ls.retire(l)
			}
			continue
		}
		switch {
		case l == nil:
			ls.add(*a)
		case l.account != *a:
			ls.change(l, *a)
		}
	}
	ls.mu.Unlock()
	if unfit > 0 {
		ls.u.log.Warn("accounts of users cannot be registered as they are", "accounts", unfit, "remedy",
			"have their users enter them again: an address is missing or stands twice, or there are too many accounts")
	}
}

// add makes a line for an account. The lock is held.
func (ls *accountLines) add(a Account) {
	l := ls.newLine(a)
	ls.byAOR[l.key], ls.byToken[a.Token] = l, l
	if ls.ctx != nil {
		ls.start(l, ls.leaving[l.key])
	}
}

// change gives an account another form. With another login the binding is made anew as it is,
// otherwise by another line. The lock is held.
func (ls *accountLines) change(l *line, a Account) {
	same := l.account
	same.Username, same.Password = a.Username, a.Password
	if same != a {
		ls.replace(l, a)
		return
	}
	l.account = a
	l.login = ls.u.newAccountLogin(&a, &l.to)
	l.to.hop.login = l.login
	l.reg.goTo(l.to)
}

// replace puts another line in the place of l, once l is taken back. The lock is held.
func (ls *accountLines) replace(l *line, a Account) {
	ls.retire(l)
	ls.add(a)
}

// retire takes a line out: nobody is sent to it any more, and its binding is taken back. The
// lock is held.
func (ls *accountLines) retire(l *line) {
	if ls.byAOR[l.key] == l {
		delete(ls.byAOR, l.key)
	}
	if ls.byToken[l.account.Token] == l {
		delete(ls.byToken, l.account.Token)
	}
	if l.end == nil { // it has never run
		ls.release(l)
		close(l.ended)
		return
	}
	if !l.over {
		ls.leaving[l.key] = l
	}
	l.end()
}

// start runs a line, once another one of the same address has been taken back. The lock is
// held.
func (ls *accountLines) start(l, after *line) {
	ctx, end := context.WithCancel(ls.ctx)
	inner := ls.inner
	l.end = end
	ls.running.Go(func() {
		if after != nil {
			<-after.ended // which its requests bound
		}
		l.reg.keepUp(ctx, inner, l.reg.guarded(ctx, inner))
		l.quit(inner)
	})
}

// follow has all lines go where they go by the settings that there are now.
func (ls *accountLines) follow() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.byAOR {
		ls.refit(l)
	}
}

// refit has a line go where it goes now. The lock is held.
func (ls *accountLines) refit(l *line) {
	to := ls.u.wayOf(&l.account)
	if to.way() != l.to.way() {
		ls.replace(l, l.account)
		return
	}
	to.hop.login = l.login
	l.to = to
	l.reg.goTo(to)
}

// drop is UA.DropAccount.
func (ls *accountLines) drop(aor mapping.URI, done func()) {
	k := aorOf(aor)
	ls.mu.Lock()
	if t := ls.trials[k]; t != nil {
		delete(ls.trials, k)
		t.end()
	}
	l := ls.byAOR[k]
	if l != nil {
		ls.retire(l)
	} else {
		l = ls.leaving[k]
	}
	if l != nil && l.end != nil && !l.over {
		l.then = append(l.then, done)
		done = nil
	}
	ls.mu.Unlock()
	if done != nil {
		done()
	}
}

// release gives back what a line takes up in the tables. The lock is held.
func (ls *accountLines) release(l *line) {
	ls.settle(l, nil)
	p := l.provider
	if p.lines--; p.lines == 0 {
		delete(ls.providers, p.peer.registrar)
	}
}

// settle notes where the servers of a line's registrar are. The lock is held.
func (ls *accountLines) settle(l *line, hosts []netip.Addr) {
	for _, a := range hosts {
		ls.hosts[a]++
	}
	for _, a := range l.hosts {
		if ls.hosts[a]--; ls.hosts[a] == 0 {
			delete(ls.hosts, a)
		}
	}
	l.hosts = hosts
}

// at reports whether an address is one of a registrar's.
func (ls *accountLines) at(a netip.Addr) bool {
	if !ls.some.Load() {
		return false
	}
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	return ls.hosts[a] > 0
}

// parted tells of the end of a connection that we had made.
func (ls *accountLines) parted(s *stream) {
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	for _, l := range ls.byAOR {
		l.reg.parted(s)
	}
}
