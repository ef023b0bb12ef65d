package presence

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// This file is what an operator sees of subscriptions, and how he ends one.

// Entry is a relation as an operator sees it: who may see whom, and what goes on for that.
type Entry struct {
	Relation
	Dialogs []DialogInfo
}

// DialogInfo is what is told of a dialog.
type DialogInfo struct {
	Direction Direction
	State     mapping.SubscriptionState // "": not known yet
	Expires   time.Time                 // zero: not known yet
	Refresh   time.Time                 // when the gateway sends the next SUBSCRIBE; zero: it is not the one who does, or not known
}

// Direction is one half of a relation.
type Direction string

// The directions.
const (
	Watches Direction = "watches" // the user watches the contact
	Watched Direction = "watched" // the contact watches the user
)

// Of is what a state says of a direction, in one word: pending or granted, or asked, granted
// or declined; "" if nothing.
func (d Direction) Of(s State) string {
	switch {
	case d == Watches && s&WatchGranted != 0, d == Watched && s&WatcherGranted != 0:
		return "granted"
	case d == Watches && s&WatchPending != 0:
		return "pending"
	case d == Watched && s&WatcherDeclined != 0:
		return "declined"
	case d == Watched && s&WatcherAsked != 0:
		return "asked"
	}
	return ""
}

// Filter asks for a page of relations.
type Filter struct {
	User, Contact mapping.JID // of these only, both bare; zero: any
	// AfterUser and AfterContact are those of the last one of the page before; zero: from
	// the beginning.
	AfterUser, AfterContact mapping.JID
	N                       int // so many at most
}

func (f *Filter) takes(p pair) bool {
	return (f.User == mapping.JID{} || p.user == f.User) && (f.Contact == mapping.JID{} || p.contact == f.Contact)
}

func (p pair) compare(q pair) int {
	return cmp.Or(strings.Compare(p.user.String(), q.user.String()), strings.Compare(p.contact.String(), q.contact.String()))
}

// List returns the next relations in the order of users and contacts, none at the end, and
// how many the filter takes in all. What comes or goes meanwhile may or may not be among
// them: nothing waits for a list, however long it is.
func (e *Engine) List(f Filter) (page []Entry, total int) {
	for {
		keys, n := e.after(&f)
		if len(keys) == 0 {
			return nil, n
		}
		for some := range slices.Chunk(keys, lookAtOnce) {
			page = append(page, e.look(some)...)
		}
		if len(page) > 0 {
			return page, n
		}
		last := keys[len(keys)-1] // these are gone since
		f.AfterUser, f.AfterContact = last.user, last.contact
	}
}

// How many relations are walked over, and how many described, under one lock.
const (
	walkAtOnce = 4096
	lookAtOnce = 64
)

// after returns the first pairs of the page that f asks for, and how many it takes in all.
func (e *Engine) after(f *Filter) (keys []pair, total int) {
	if f.N <= 0 {
		return nil, 0
	}
	least := pair{f.AfterUser, f.AfterContact}
	e.mu.Lock()
	defer e.mu.Unlock()
	walked := 0
	full := false // keys has N already, and nothing behind its last one is of interest
	for p := range e.relations.all {
		if walked++; walked%walkAtOnce == 0 { // the map may change meanwhile: the language says what that means
			e.mu.Unlock()
			e.mu.Lock()
		}
		if !f.takes(p) {
			continue
		}
		total++
		if p.compare(least) <= 0 || full && p.compare(keys[f.N-1]) > 0 {
			continue
		}
		if keys = append(keys, p); len(keys) == 2*f.N {
			slices.SortFunc(keys, pair.compare)
			keys, full = keys[:f.N], true
		}
	}
	slices.SortFunc(keys, pair.compare)
	return keys[:min(len(keys), f.N)], total
}

// look describes those of the relations that are still there.
func (e *Engine) look(keys []pair) (out []Entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range keys {
		if r := e.relations.all[p]; r != nil {
			out = append(out, r.entry())
		}
	}
	return out
}

// Find returns what there is between a user and a contact.
func (e *Engine) Find(user, contact mapping.JID) (Entry, bool) {
	found := e.look([]pair{{user.Bare(), contact.Bare()}})
	if len(found) == 0 {
		return Entry{}, false
	}
	return found[0], true
}

func (r *relation) entry() Entry {
	out := Entry{Relation: Relation{User: r.user, Contact: r.contact, State: r.state, Since: r.since}}
	if r.watch != nil {
		if d, there := r.watch.info(); there {
			out.Dialogs = append(out.Dialogs, d)
		}
	}
	for _, w := range r.watchers {
		out.Dialogs = append(out.Dialogs, w.info())
	}
	return out
}

// Why Cancel does nothing.
var (
	ErrNoRelation = errors.New("presence: there is no such subscription")
	ErrClosing    = errors.New("presence: the gateway is stopping")
)

// Cancel ends the subscriptions between a user and a contact, in both directions if none is
// given, and returns what there was. It is as if the user had done so: his own ends with a
// SUBSCRIBE with Expires 0 and he is told unsubscribed; those of the contact end with a NOTIFY
// terminated;reason=rejected, since what has changed is who may see him (RFC 6665 §4.1.3), and
// the contact takes its subscription back (unsubscribe), so that his server does not go on
// sending presence that nobody gets (RFC 6121 §3.3). A contact that subscribes again is refused
// until the user grants it by himself. Errors: ErrNoRelation, ErrClosing.
func (e *Engine) Cancel(user, contact mapping.JID, only Direction) (Entry, error) {
	user, contact = user.Bare(), contact.Bare()
	out := e.lock()
	r := e.relations.find(user, contact)
	switch {
	case e.closing:
		e.unlock(out)
		return Entry{}, ErrClosing
	case r == nil:
		e.unlock(out)
		return Entry{}, ErrNoRelation
	}
	was := r.entry()
	watches := only != Watched && (r.state&(WatchPending|WatchGranted) != 0 || r.watch != nil)
	watched := only != Watches && (r.state&(WatcherAsked|WatcherGranted) != 0 || len(r.watchers) > 0)
	if watches {
		e.unsubscribe(out, &mapping.XMPPPresence{From: user, To: contact, Type: mapping.Unsubscribe})
		e.withdraw(out, user, contact, 0, WatchPending|WatchGranted)
	}
	if watched {
		if contact.Local() == "" { // what he shows to the gateway itself is published
			e.cover(out, user, contact)
		} else {
			e.declined(out, &mapping.XMPPPresence{From: user, To: contact, Type: mapping.Unsubscribed})
		}
		e.withdraw(out, user, contact, WatcherDeclined, WatcherAsked|WatcherGranted)
		out.say(contact, user, mapping.Unsubscribe)
	}
	e.unlock(out)
	if !watches && !watched {
		return Entry{}, ErrNoRelation
	}
	return was, nil
}

// withdraw has a direction granted no longer, whatever else its role has made of its end.
// e.mu is held.
func (e *Engine) withdraw(out *work, user, contact mapping.JID, set, clear State) {
	r := e.relations.find(user, contact)
	if r == nil && set != 0 {
		r = e.relations.get(user, contact, false)
	}
	if r != nil {
		e.enter(out, r, set, clear)
		e.relations.tidy(r)
	}
}
