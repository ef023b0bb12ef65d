package accounts

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Mode is accounts.mode.
type Mode string

// The modes. The zero one is ModeNone.
const (
	ModeNone     Mode = "none"
	ModeOptional Mode = "optional"
	ModeRequired Mode = "required"
)

// Policy is what an admin may change while the engine runs. It is swapped whole.
type Policy struct {
	Mode   Mode
	Rules  *mapping.Rules // of ModeNone it may be nil
	Access mapping.Access
	// Via reports whether the route to a SIP domain says the next hop. nil: each does.
	Via  func(domain string) bool
	Keys Keys // may be none with ModeNone
}

// Line is an account as the SIP side keeps it.
type Line struct {
	AOR, Registrar           mapping.URI // Registrar is zero for the host of AOR
	Username, Password, Name string
	Token                    string // the user part of our Contact
}

// Format keeps the password out of whatever prints one.
func (l Line) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, l.AOR.String()) }

// LineState is how a line does.
type LineState struct {
	AOR          mapping.URI
	State        string // "" if it was not tried yet, else one of the SIP side's words
	Registered   bool
	Since, Until time.Time
	Status       int
	Reason       string // a word of the SIP side, or what the registrar says
	Server       string
	Busy         bool // of a trial: it was not begun, and may be later
}

// Lines is what the engine asks of the SIP side.
type Lines interface {
	// SetAccounts says which lines there are: new ones are registered, those that are
	// missing are taken back.
	SetAccounts([]Line)
	// TryAccount registers at once. If that works it is the line from then on, in the place
	// of one of the same AOR; if not, what there was stays. done is called once.
	TryAccount(Line, func(LineState))
	// DropAccount takes a line back and forgets it. done is called once.
	DropAccount(aor mapping.URI, done func())
}

// Record is what is stored of an account.
type Record struct {
	User   mapping.JID
	AOR    string
	Since  time.Time
	Sealed []byte // nil: it is forgotten
}

// Book is where accounts are kept.
type Book interface {
	// PutAccounts keeps records, which replace those of the same users, in the order of the
	// calls. With a done it is tried once, and done is told later when it is on the disk, or
	// that it may not be; without one it is tried until it is. If it returns an error nothing
	// was taken, and done is not called. It does not block.
	PutAccounts(batch []Record, done func(error)) error
}

// MaxAccounts is how many accounts there may be; the SIP side keeps no more.
const MaxAccounts = 20000

// maxChanges bounds how many accounts are being tried or written at once.
const maxChanges = 64

// Engine has the accounts. Make it with New, give it what an earlier run has kept (Restore)
// and a policy, then Start.
type Engine struct {
	lines   Lines
	book    Book
	log     *slog.Logger
	setting sync.Mutex // of SetAccounts: the last list is the newest; never taken with mu held

	mu      sync.Mutex // guards the following
	policy  Policy
	byUser  map[mapping.JID]*entry
	byKey   map[mapping.URI]*entry      // of those who have the address, awake or not
	changes map[mapping.JID]*change     // by user
	wanted  map[mapping.URI]mapping.JID // addresses of changes
	tries   tries
	sets    uint64 // how many lists were made
	telling bool   // the last one is on its way to the SIP side
	told    [2]int // what the log has said of how many there are, and are asleep
	started bool
	closing bool

	index index
}

// entry is an account. What it is does not change, but for how it is sealed, and how it does.
type entry struct {
	user     mapping.JID
	aor, key mapping.URI
	text     string // of aor, as it was stored
	secret   secret // zero if it could not be opened
	opened   bool
	since    time.Time
	sealed   []byte
	stale    bool // what is on the disk may be sealed with another key than this
	asleep   Kind // why it is; "": it is awake
	state    LineState
}

// Format keeps the password out of whatever prints one: fmt asks no field that is not exported.
func (en entry) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, en.text) }

// index answers the address rules, which ask for each message.
type index struct {
	mu    sync.RWMutex // guards the following
	aors  map[mapping.JID]mapping.URI
	users map[mapping.URI]mapping.JID
	names map[mapping.JID]string // of those who have one
}

var (
	_ mapping.Accounts     = (*Engine)(nil)
	_ mapping.AccountNames = (*Engine)(nil)
)

// New makes an engine of ModeNone.
func New(l Lines, b Book, log *slog.Logger) *Engine {
	return &Engine{lines: l, book: b, log: log,
		byUser: make(map[mapping.JID]*entry), byKey: make(map[mapping.URI]*entry),
		changes: make(map[mapping.JID]*change), wanted: make(map[mapping.URI]mapping.JID),
		tries: tries{make(map[mapping.JID]tried)},
		index: index{aors: make(map[mapping.JID]mapping.URI), users: make(map[mapping.URI]mapping.JID), names: make(map[mapping.JID]string)}}
}

// AccountOf implements mapping.Accounts: of accounts that are awake.
func (e *Engine) AccountOf(user mapping.JID) (mapping.URI, bool) {
	e.index.mu.RLock()
	defer e.index.mu.RUnlock()
	aor, ok := e.index.aors[user]
	return aor, ok
}

// UserOf implements mapping.Accounts: of accounts that are awake.
func (e *Engine) UserOf(key mapping.URI) (mapping.JID, bool) {
	e.index.mu.RLock()
	defer e.index.mu.RUnlock()
	user, ok := e.index.users[key]
	return user, ok
}

// NameOf implements mapping.AccountNames.
func (e *Engine) NameOf(user mapping.JID) string {
	e.index.mu.RLock()
	defer e.index.mu.RUnlock()
	return e.index.names[user]
}

// add is for one that is awake. The lock is held.
func (x *index) add(en *entry) {
	x.aors[en.user], x.users[en.key] = en.aor, en.user
	if en.secret.Name != "" {
		x.names[en.user] = en.secret.Name
	}
}

// point has the index say what is so of a user. e.mu is held.
func (e *Engine) point(old, now *entry) {
	e.index.mu.Lock()
	defer e.index.mu.Unlock()
	if old != nil {
		delete(e.index.aors, old.user)
		delete(e.index.names, old.user)
		if e.index.users[old.key] == old.user {
			delete(e.index.users, old.key)
		}
	}
	if now != nil && now.asleep == "" {
		e.index.add(now)
	}
}

// StateAsleep is the State of an account that may not be used at present.
const StateAsleep = "asleep"

// Account is a user's account, for whoever shows it: never with the password.
type Account struct {
	User                      mapping.JID
	AOR                       mapping.URI
	Username, Registrar, Name string // of one that could not be opened ""; Registrar "" is the domain of AOR
	// State is StateAsleep, or a word of the SIP side: "registered", "lost", "refused",
	// "ending", "" if it was not tried yet.
	State string
	// Reason is a Kind if it is asleep, else what the SIP side says, which may be the
	// registrar's words.
	Reason       string
	Server       string
	Status       int
	Since, Until time.Time
}

// Of is the account of a user. A resource does not count.
func (e *Engine) Of(user mapping.JID) (Account, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	en := e.byUser[user.Bare()]
	if en == nil {
		return Account{}, false
	}
	return en.describe(), true
}

// All are all accounts, by user.
func (e *Engine) All() []Account {
	e.mu.Lock()
	all := make([]Account, 0, len(e.byUser))
	for _, en := range e.byUser {
		all = append(all, en.describe())
	}
	e.mu.Unlock()
	slices.SortFunc(all, func(a, b Account) int { return strings.Compare(a.User.String(), b.User.String()) })
	return all
}

// Count tells how many accounts there are, and how many of them are asleep.
func (e *Engine) Count() (all, asleep int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, en := range e.byUser {
		if en.asleep != "" {
			asleep++
		}
	}
	return len(e.byUser), asleep
}

func (en *entry) describe() Account {
	a := Account{User: en.user, AOR: en.aor, Username: en.secret.Username, Registrar: en.secret.Registrar, Name: en.secret.Name,
		State: en.state.State, Reason: en.state.Reason, Server: en.state.Server, Status: en.state.Status, Since: en.state.Since, Until: en.state.Until}
	if en.asleep != "" {
		a.State, a.Reason, a.Server, a.Status, a.Since, a.Until = StateAsleep, string(en.asleep), "", 0, time.Time{}, time.Time{}
	}
	return a
}

// line is the account as the SIP side wants it.
func (en *entry) line() Line {
	l := Line{AOR: en.aor, Username: en.secret.Username, Password: en.secret.Password, Name: en.secret.Name, Token: en.secret.Token}
	l.AOR.Phone = false // it says how a number is dialled, not where one registers
	if en.secret.Registrar != "" {
		l.Registrar = mapping.URI{Scheme: "sip", Host: en.secret.Registrar}
	}
	return l
}

// LineState takes a change of state from the SIP side.
func (e *Engine) LineState(s LineState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	key, ok := e.keyOf(s.AOR)
	if !ok {
		return
	}
	if c := e.changes[e.wanted[key]]; c != nil && c.step == writing && c.entry != nil && c.entry.key == key {
		c.entry.state = s
	} else if en := e.byKey[key]; en != nil {
		en.state = s
	}
}

// keyOf is what an address is compared by. e.mu is held.
func (e *Engine) keyOf(aor mapping.URI) (mapping.URI, bool) {
	if e.policy.Rules == nil {
		return mapping.URI{}, false
	}
	_, key, fault := e.policy.Rules.AccountAddress(aor)
	return key, fault != mapping.AccountBadAddress
}

// sync tells the SIP side which lines there are: of the accounts that are awake, and of those
// that are registered already and are being written.
func (e *Engine) sync() {
	e.setting.Lock()
	defer e.setting.Unlock()
	e.mu.Lock()
	if !e.started {
		e.mu.Unlock()
		return
	}
	e.sets++
	e.telling = true
	all := make(map[mapping.URI]Line, len(e.byUser))
	for _, en := range e.byUser {
		if en.asleep == "" {
			all[en.aor] = en.line()
		}
	}
	for _, c := range e.changes {
		if c.step == writing && c.entry != nil {
			all[c.entry.aor] = c.entry.line()
		}
	}
	e.mu.Unlock()
	e.lines.SetAccounts(slices.SortedFunc(maps.Values(all), func(a, b Line) int { return strings.Compare(a.AOR.String(), b.AOR.String()) }))
	e.mu.Lock()
	e.telling = false
	e.mu.Unlock()
}

// Drain has everything refused that is still asked for (KindBusy).
func (e *Engine) Drain() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closing = true
}
