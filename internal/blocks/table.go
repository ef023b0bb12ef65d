package blocks

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Bounds of what is blocked.
const (
	MaxOf  = 1000    // by one user
	MaxAll = 100_000 // in all; users of one domain may have half of it
)

// Entry is something that is blocked.
type Entry struct {
	Owner mapping.JID // who does not want to hear of it, bare; zero: an admin, for everybody
	// What is it in its normal form, which is understood again wherever it is typed:
	//
	//	sip:romeo@example.net    a SIP address
	//	tel:+4930123456          a telephone number
	//	@example.net             a SIP domain
	//	192.0.2.0/24             where requests come from; an address alone has no /32
	//	xmpp:mallory@example.com an XMPP user
	//	xmpp:example.org         an XMPP domain
	What  string
	Since time.Time
}

// Kind says what an entry is.
type Kind string

// The kinds.
const (
	Contact Kind = "contact" // a SIP address or number
	Domain  Kind = "domain"  // a SIP domain
	Source  Kind = "source"  // an IP address or network
	User    Kind = "user"    // an XMPP user or domain
)

// Kind is what e is.
func (e Entry) Kind() Kind {
	switch {
	case strings.HasPrefix(e.What, "sip:"), strings.HasPrefix(e.What, "tel:"):
		return Contact
	case strings.HasPrefix(e.What, "@"):
		return Domain
	case strings.HasPrefix(e.What, userPrefix):
		return User
	}
	return Source
}

// Book keeps entries. Nothing here waits for the disk.
type Book interface {
	// PutBlocks takes new entries, and those that are blocked no longer, which have no Since.
	PutBlocks(batch []Entry)
}

// Why something is not blocked, or not blocked any more. A *mapping.Failure besides says what
// is wrong with an address.
var (
	ErrFull    = errors.New("blocks: there is no room for another one")
	ErrUnknown = errors.New("blocks: it is not blocked")
	ErrKind    = errors.New("blocks: only an admin may block this")
	ErrAll     = errors.New("blocks: this would block everybody")
)

// Options of a Table.
type Options struct {
	Rules func() *mapping.Rules // in force
	Book  Book                  // nil: nothing outlives the process
	// Changed is told of each entry that came, or went, when it counts. No lock is held. It
	// may be nil.
	Changed func(e Entry, blocked bool)
	Now     func() time.Time // nil: time.Now
}

// Table is what is blocked. It is safe for concurrent use.
type Table struct {
	o     Options
	any   atomic.Bool // there is something that addresses are compared with
	users atomic.Bool // there is a User

	changing sync.Mutex // of whoever changes something; taken before mu
	mu       sync.RWMutex
	of       map[mapping.JID]map[string]time.Time
	all      int
	byDomain map[string]int // entries of users
}

// New makes an empty table.
func New(o Options) *Table {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Table{o: o, of: make(map[mapping.JID]map[string]time.Time), byDomain: make(map[string]int)}
}

// Restore takes what an earlier run has kept; what is no entry of this version is passed over.
// Call it before anything is asked; it may be called in batches.
func (t *Table) Restore(batch []Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range batch {
		if e.What != "" && !e.Since.IsZero() && t.all < MaxAll {
			t.set(e)
		}
	}
	t.note(mapping.JID{})
}

// Block blocks what somebody has typed, for a user, or with a zero owner for everybody. It
// returns the entry, also if that was there already. Errors: ErrFull, ErrKind, ErrAll, or a
// *mapping.Failure that says what is wrong with the address.
func (t *Table) Block(owner mapping.JID, what string) (Entry, error) {
	owner = owner.Bare()
	normal, err := normalForm(t.o.Rules(), owner, what)
	if err != nil {
		return Entry{}, err
	}
	// One change after the other, so that the book and whoever is told see them in the order
	// in which they count.
	t.changing.Lock()
	defer t.changing.Unlock()
	e := Entry{Owner: owner, What: normal, Since: t.o.Now().Truncate(time.Millisecond)}
	t.mu.Lock()
	if since, has := t.of[owner][normal]; has {
		t.mu.Unlock()
		e.Since = since
		return e, nil
	}
	if !t.room(owner) {
		t.mu.Unlock()
		return Entry{}, ErrFull
	}
	t.set(e)
	t.note(owner)
	t.mu.Unlock()
	t.keep(e, true)
	return e, nil
}

// Unblock takes an entry back and returns what it was. Errors: ErrUnknown, or those of Block
// about what was typed.
func (t *Table) Unblock(owner mapping.JID, what string) (Entry, error) {
	owner = owner.Bare()
	normal := strings.TrimSpace(what)
	t.changing.Lock()
	defer t.changing.Unlock()
	t.mu.RLock()
	since, has := t.of[owner][normal] // also what the rules would not make of it any more
	t.mu.RUnlock()
	if !has {
		var err error
		if normal, err = normalForm(t.o.Rules(), owner, what); err != nil {
			return Entry{}, err
		}
		t.mu.RLock()
		since, has = t.of[owner][normal]
		t.mu.RUnlock()
		if !has {
			return Entry{}, ErrUnknown
		}
	}
	e := Entry{Owner: owner, What: normal, Since: since}
	t.mu.Lock()
	t.remove(e)
	t.note(owner)
	t.mu.Unlock()
	t.keep(e, false)
	return e, nil
}

// keep tells the book and whoever wants to know. t.changing is held, t.mu is not.
func (t *Table) keep(e Entry, blocked bool) {
	if t.o.Book != nil {
		kept := e
		if !blocked {
			kept.Since = time.Time{}
		}
		t.o.Book.PutBlocks([]Entry{kept})
	}
	if t.o.Changed != nil {
		t.o.Changed(e, blocked)
	}
}

// List returns what a user has blocked, or with a zero owner an admin, in order.
func (t *Table) List(owner mapping.JID) []Entry {
	owner = owner.Bare()
	t.mu.RLock()
	out := make([]Entry, 0, len(t.of[owner]))
	for what, since := range t.of[owner] {
		out = append(out, Entry{Owner: owner, What: what, Since: since})
	}
	t.mu.RUnlock()
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.What, b.What) })
	return out
}

// All returns all entries, those of the admins first.
func (t *Table) All() []Entry {
	t.mu.RLock()
	out := make([]Entry, 0, t.all)
	for owner, list := range t.of {
		for what, since := range list {
			out = append(out, Entry{Owner: owner, What: what, Since: since})
		}
	}
	t.mu.RUnlock()
	Sort(out)
	return out
}

// Sort puts entries in the order of All.
func Sort(list []Entry) {
	slices.SortFunc(list, func(a, b Entry) int {
		return cmp.Or(strings.Compare(a.Owner.String(), b.Owner.String()), strings.Compare(a.What, b.What))
	})
}

// Count returns how many entries there are: of admins, and of users.
func (t *Table) Count() (admins, users int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	admins = len(t.of[mapping.JID{}])
	return admins, t.all - admins
}

// Blocked reports whether a user does not want to hear of a SIP address, or nobody is to.
func (t *Table) Blocked(user mapping.JID, sip mapping.URI) bool {
	return t.any.Load() && (t.has(user.Bare(), sip) || t.has(mapping.JID{}, sip))
}

// BlockedForAll reports whether an admin has blocked a SIP address.
func (t *Table) BlockedForAll(sip mapping.URI) bool { return t.any.Load() && t.has(mapping.JID{}, sip) }

// BlockedUser reports whether an admin has blocked an XMPP user.
func (t *Table) BlockedUser(user mapping.JID) bool {
	if !t.users.Load() {
		return false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := t.of[mapping.JID{}]
	if _, has := list[userPrefix+user.Domain()]; has {
		return true
	}
	_, has := list[userPrefix+user.Bare().String()]
	return has
}

// Sources are the places that an admin has blocked.
func (t *Table) Sources() (out []netip.Prefix) {
	for _, e := range t.List(mapping.JID{}) {
		if e.Kind() == Source {
			if p, ok := parseSource(e.What); ok {
				out = append(out, p)
			}
		}
	}
	return out
}

// has reports whether a list has a SIP address, or its domain.
func (t *Table) has(owner mapping.JID, sip mapping.URI) bool {
	t.mu.RLock()
	none := len(t.of[owner]) == 0
	t.mu.RUnlock()
	if none {
		return false
	}
	who, ok := t.o.Rules().Identity(sip)
	if !ok {
		return false
	}
	key := who.AOR()
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := t.of[owner]
	if _, has := list[key]; has {
		return true
	}
	_, has := list["@"+cmp.Or(sip.Host, who.Host)]
	return has
}

// room reports whether there is room for an entry of owner. An admin has it always: what he
// blocks must not depend on what users do. t.mu is held.
func (t *Table) room(owner mapping.JID) bool {
	if owner.IsZero() {
		return len(t.of[owner]) < MaxAll
	}
	return len(t.of[owner]) < MaxOf && t.all < MaxAll && t.byDomain[owner.Domain()] < MaxAll/2
}

// set enters e. t.mu is held.
func (t *Table) set(e Entry) {
	list := t.of[e.Owner]
	if list == nil {
		list = make(map[string]time.Time)
		t.of[e.Owner] = list
	}
	if _, has := list[e.What]; !has {
		t.all++
		if !e.Owner.IsZero() {
			t.byDomain[e.Owner.Domain()]++
		}
	}
	list[e.What] = e.Since
}

// remove takes e out. t.mu is held.
func (t *Table) remove(e Entry) {
	list := t.of[e.Owner]
	if _, has := list[e.What]; !has {
		return
	}
	t.all--
	if !e.Owner.IsZero() {
		if t.byDomain[e.Owner.Domain()]--; t.byDomain[e.Owner.Domain()] == 0 {
			delete(t.byDomain, e.Owner.Domain())
		}
	}
	if delete(list, e.What); len(list) == 0 {
		delete(t.of, e.Owner)
	}
}

// note has the questions that nothing can be the answer to answered at once, after a change of
// what owner has blocked. t.mu is held.
func (t *Table) note(owner mapping.JID) {
	t.any.Store(t.all > 0)
	if !owner.IsZero() {
		return // of users there is no User
	}
	users := false
	for what := range t.of[mapping.JID{}] {
		if users = strings.HasPrefix(what, userPrefix); users {
			break
		}
	}
	t.users.Store(users)
}

// Any reports whether a user, or an admin, has blocked anything that Blocked would find.
func (t *Table) Any(user mapping.JID) bool {
	if !t.any.Load() {
		return false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.of[user.Bare()]) > 0 || len(t.of[mapping.JID{}]) > 0
}
