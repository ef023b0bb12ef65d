package sipside

import (
	"sync"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// accountLog is what the log has yet to be told of accounts: a server that many are registered
// at is one line when it goes, and one when it is back.
type accountLog struct {
	mu   sync.Mutex // guards the following
	due  time.Time  // when to tell; zero: there is nothing
	told time.Time
	now  [len(AccountStates)]turned // since then
}

// turned is how many accounts have come into a state, and the last one of them.
type turned struct {
	accounts int
	last     mapping.URI
	why      string
}

// note counts an account that has come into a state. isUnbinding is one that was not taken
// back.
func (ls *accountLines) note(to registered, aor mapping.URI, why string) {
	g := &ls.log
	g.mu.Lock()
	t := &g.now[stateIndex(to)]
	t.accounts++
	t.last, t.why = aor, why
	wake := g.due.IsZero()
	if wake {
		if g.due = time.Now().Add(collectTurns); !g.told.IsZero() && g.due.Before(g.told.Add(tellTurns)) {
			g.due = g.told.Add(tellTurns)
		}
	}
	g.mu.Unlock()
	if wake {
		ls.nat.stir()
	}
}

// tellLog tells the log what there is to be told, if it is time for that, and says when it
// will be.
func (ls *accountLines) tellLog(now time.Time) (next time.Time) {
	g := &ls.log
	g.mu.Lock()
	if g.due.IsZero() || g.due.After(now) {
		next = g.due
		g.mu.Unlock()
		return next
	}
	all := g.now
	g.now, g.due, g.told = [len(AccountStates)]turned{}, time.Time{}, now
	g.mu.Unlock()
	count := ls.u.Accounts()
	attrs := func(to registered) (t turned, a []any) {
		t = all[stateIndex(to)]
		return t, []any{"accounts", t.accounts, "now", count[stateIndex(to)], "last", t.last.String()}
	}
	if t, a := attrs(isBound); t.accounts > 0 {
		ls.u.log.Info("accounts of users have been registered", a...)
	}
	if t, a := attrs(isLost); t.accounts > 0 {
		ls.u.log.Warn("accounts of users are not registered: nothing comes for them until they are", append(a, "reason", t.why,
			"remedy", "does the registrar of these accounts run, and is it reached from here?")...)
	}
	if t, a := attrs(wasRefused); t.accounts > 0 {
		ls.u.log.Warn("accounts of users are refused by their registrar", append(a, "reason", t.why,
			"remedy", "have their users enter the password again; does the registrar take registrations from this address?")...)
	}
	ls.tellLeft(all[stateIndex(isUnbinding)])
	return time.Time{}
}

// tellEnd tells the log at the end what of it lasts.
func (ls *accountLines) tellEnd() {
	ls.log.mu.Lock()
	left := ls.log.now[stateIndex(isUnbinding)]
	ls.log.mu.Unlock()
	ls.tellLeft(left)
}

// tellLeft tells the log of accounts that were not taken back.
func (ls *accountLines) tellLeft(left turned) {
	if left.accounts > 0 {
		ls.u.log.Warn("accounts of users were not taken back: until their registrations end, requests for them may be sent here",
			"accounts", left.accounts, "last", left.last.String())
	}
}
