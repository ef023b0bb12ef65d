package sipside

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Account is a line of a user's own: the registrar sends us what is for its address, beside
// what it sends to his other user agents. It does not print the password.
type Account struct {
	AOR       mapping.URI // the address of record: user and host count
	Registrar mapping.URI // zero: the host of AOR. A route for that host decides where it is sent, if it has a next hop
	Username  string      // "" is the user of AOR
	Password  string
	Name      string // display name, "" if none
	// Token is the user of our Contact. Who knows it may write to the user, if he writes from
	// where the registrar is: it must not be guessable, and nobody else's.
	Token string
}

// String gives the address.
func (a Account) String() string { return a.AOR.String() }

// GoString gives the address.
func (a Account) GoString() string { return fmt.Sprintf("Account(%q)", a.AOR.String()) }

// LogValue gives the address.
func (a Account) LogValue() slog.Value { return slog.StringValue(a.AOR.String()) }

// AccountState is how an account does.
type AccountState struct {
	AOR        mapping.URI
	State      string    // "registered", "lost" (tried again soon), "refused", "ending"; "": not tried yet
	Registered bool      // there is a binding, and it leads here
	Since      time.Time // of State
	Until      time.Time // when the binding ends unless it is made anew; zero: there was none
	Status     int       // of the last REGISTER, 0 if it had no answer
	Reason     string    // why there is no binding, or why it was not made anew
	Server     string    // where the binding is, "" if there is none
}

// What AccountState.Reason says of a TryAccount that was not even begun, or not ended.
const (
	ReasonBusy     = "busy"              // the same account is being tried, or too many are, or there are too many
	ReasonNoAnswer = "no answer"         // the registrar says nothing
	ReasonStopping = "stopping"          // Run has not begun, or is ending
	ReasonDropped  = "dropped"           // DropAccount was called meanwhile
	ReasonTwice    = "the token is used" // by another account
	ReasonInvalid  = "incomplete"        // an address, a user name or a token is missing, or cannot be sent
)

const (
	maxAccounts  = 20000
	maxTrials    = 64               // at once
	tryTimeout   = 15 * time.Second // for a trial, in all
	tryPatience  = 10 * time.Second // for one server, half of it if there are several
	exitTimeout  = 10 * time.Second // for a binding that is taken back
	exits        = 64               // at once
	startEvery   = 50 * time.Millisecond
	maxHosts     = 16 // addresses of a registrar that are known to be its
	collectTurns = time.Minute
	tellTurns    = 10 * time.Minute
)

// check says what is wrong with an account, "" if it can be registered.
func (a *Account) check() string {
	ok := a.AOR.Scheme == "sip" && a.AOR.User != "" && a.AOR.Host != "" && isToken(a.Token) &&
		(a.Registrar.IsZero() || a.Registrar.Scheme == "sip" && a.Registrar.Host != "") &&
		headerSafe(a.Username) && headerSafe(a.Password) && plainAddress(&a.AOR) && (a.Registrar.IsZero() || plainAddress(&a.Registrar))
	if !ok {
		return ReasonInvalid
	}
	return ""
}

// username is who registers.
func (a *Account) username() string {
	if a.Username == "" {
		return a.AOR.User
	}
	return a.Username
}

// registrar is where a registration goes if no route says otherwise.
func (a *Account) registrar() mapping.URI {
	if a.Registrar.IsZero() {
		return mapping.URI{Scheme: "sip", Host: a.AOR.Host, Port: a.AOR.Port, Transport: a.AOR.Transport}
	}
	return mapping.URI{Scheme: "sip", Host: a.Registrar.Host, Port: a.Registrar.Port, Transport: a.Registrar.Transport}
}

// SetAccounts says which accounts there are, before Run or during it. Those that are new are
// registered, a few at a time; those that are not among them any more are taken back, and one
// that has changed is registered anew. What cannot be an account, or has the token of another
// one, is left out, which is told to the log.
func (u *UA) SetAccounts(all []Account) { u.lines.set(all) }

// TryAccount registers an account at once. If that works it is the account from then on, in
// the place of the one with the same AOR; if not, what there was stays as it was. done is
// told which, once: State is "registered", or "refused" (Status says by what) or "lost", both
// with a Reason. It is told within a quarter of a minute, by a goroutine of the UA that holds
// no lock; only while Run does not run it is told before TryAccount returns.
func (u *UA) TryAccount(a Account, done func(AccountState)) { u.lines.try(a, done) }

// DropAccount takes an account back and forgets it; one that is being tried, too. Requests to
// it are not taken any more from now on. done is called once when all is done, which may be
// before DropAccount returns, and takes some three quarters of a minute if the registrar does
// not answer.
func (u *UA) DropAccount(aor mapping.URI, done func()) { u.lines.drop(aor, done) }

// AccountState tells how an account does; false if there is none.
func (u *UA) AccountState(aor mapping.URI) (AccountState, bool) {
	ls := u.lines
	ls.mu.RLock()
	l := ls.byAOR[aorOf(aor)]
	ls.mu.RUnlock()
	if l == nil {
		return AccountState{}, false
	}
	return l.describe(), true
}

// AccountStates are the states of accounts as they are counted; "trying" is one that was not
// tried yet.
var AccountStates = [...]string{string(isBound), string(isLost), string(wasRefused), string(isUnbinding), "trying"}

// Accounts tells how many accounts are in each of AccountStates.
func (u *UA) Accounts() (n [len(AccountStates)]int) {
	ls := u.lines
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	for _, l := range ls.byAOR {
		n[stateIndex(l.reg.stands())]++
	}
	return n
}

func stateIndex(s registered) int {
	for i, name := range AccountStates {
		if name == string(s) {
			return i
		}
	}
	return len(AccountStates) - 1
}

// stands is the state of a registration.
func (r *registration) stands() registered {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

// turns lets those who register for the first time, or again after a loss, go one after the
// other: when a server comes back that has many accounts, or we do, it is not run over.
type turns struct {
	one  chan struct{}
	last time.Time // guarded by one
}

// take waits for a turn; false if ctx ends before.
func (t *turns) take(ctx context.Context) bool {
	select {
	case t.one <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-t.one }()
	if wait := time.Until(t.last.Add(startEvery)); wait > 0 {
		due := time.NewTimer(wait)
		defer due.Stop()
		select {
		case <-due.C:
		case <-ctx.Done():
			return false
		}
	}
	t.last = time.Now()
	return true
}
