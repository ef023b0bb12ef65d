package presence

import (
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Bounds of what is remembered. A subscription costs refreshes for ever (RFC 8048 §8.1), so
// what there is no room for is refused.
const (
	maxRelations    = 100_000 // in all; users of one domain may have half of it, unless there is one only
	maxRelationsOf  = 512     // of one user
	maxRelationsFor = 512     // that one contact has begun: of a contact, in all
)

// pair is a user and a contact, both bare.
type pair struct{ user, contact mapping.JID }

// relation is a pair of which something is known.
type relation struct {
	pair
	state State
	since time.Time

	watch    *subscription // the user watches the contact; nil: there is no dialog and none is due
	watchers []*watcher    // the contact's user agents that watch the user
	devices  devices       // what the user shows to the contact

	next, before *relation // of those with the same contact
}

// relations are all of them. The engine's mutex guards it.
type relations struct {
	alone    bool
	all      map[pair]*relation
	of       map[mapping.JID]int // by user
	sessions map[mapping.JID]*session
	towards  map[mapping.JID]int       // by contact
	first    map[mapping.JID]*relation // of a contact; see relation.next
	byDomain map[string]int            // of users
}

func newRelations() relations {
	return relations{all: make(map[pair]*relation), of: make(map[mapping.JID]int), sessions: make(map[mapping.JID]*session),
		towards: make(map[mapping.JID]int), first: make(map[mapping.JID]*relation), byDomain: make(map[string]int)}
}

// find is the relation of a user and a contact, nil if nothing is known of them.
func (rs *relations) find(user, contact mapping.JID) *relation {
	return rs.all[pair{user.Bare(), contact.Bare()}]
}

// get is find that begins one; nil if there is no room for it. byContact: it is the contact
// who begins it.
func (rs *relations) get(user, contact mapping.JID, byContact bool) *relation {
	p := pair{user.Bare(), contact.Bare()}
	r := rs.all[p]
	switch {
	case r != nil:
		return r
	case !rs.fitsWithout(pair{}, p, byContact):
		return nil
	}
	return rs.add(p)
}

// full reports whether there is no room for any relation of users of a domain.
func (rs *relations) full(domain string) bool {
	return len(rs.all) >= maxRelations || !rs.alone && rs.byDomain[domain] >= maxRelations/2
}

// fitsWithout reports whether there is room for p if gone were forgotten, which is zero for
// none.
func (rs *relations) fitsWithout(gone, p pair, byContact bool) bool {
	but := func(n int, same bool) int {
		if same {
			n--
		}
		return n
	}
	all := but(len(rs.all), gone != pair{})
	inDomain := but(rs.byDomain[p.user.Domain()], gone.user.Domain() == p.user.Domain())
	of := but(rs.of[p.user], gone.user == p.user)
	towards := but(rs.towards[p.contact], gone.contact == p.contact)
	switch {
	case all >= maxRelations, !rs.alone && inDomain >= maxRelations/2:
		return false
	case of >= maxRelationsOf, byContact && of >= maxRelationsOf/2:
		return false // whoever may subscribe from SIP may do so under many names
	case byContact && towards >= maxRelationsFor:
		return false
	}
	return true
}

func (rs *relations) add(p pair) *relation {
	r := &relation{pair: p, next: rs.first[p.contact]}
	if r.next != nil {
		r.next.before = r
	}
	rs.first[p.contact] = r
	rs.all[p] = r
	rs.of[p.user]++
	rs.towards[p.contact]++
	rs.byDomain[p.user.Domain()]++
	return r
}

// tidy forgets r if nothing is known any more.
func (rs *relations) tidy(r *relation) {
	if r.state != 0 || r.watch != nil || len(r.watchers) > 0 || rs.all[r.pair] != r {
		return
	}
	delete(rs.all, r.pair)
	rs.unlink(r)
	less(rs.of, r.user)
	less(rs.towards, r.contact)
	less(rs.byDomain, r.user.Domain())
}

// unlink takes r out of those with the same contact.
func (rs *relations) unlink(r *relation) {
	if r.next != nil {
		r.next.before = r.before
	}
	switch {
	case r.before != nil:
		r.before.next = r.next
	case r.next != nil:
		rs.first[r.contact] = r.next
	default:
		delete(rs.first, r.contact)
	}
	r.next, r.before = nil, nil
}

func less[K comparable](m map[K]int, k K) {
	if m[k]--; m[k] == 0 {
		delete(m, k)
	}
}

// restore takes a relation that an earlier run has kept.
func (rs *relations) restore(r Relation) {
	p := pair{r.User.Bare(), r.Contact.Bare()}
	if r.State == 0 || len(rs.all) >= maxRelations {
		return
	}
	known := rs.all[p]
	if known == nil {
		known = rs.add(p)
	}
	known.state, known.since = r.State, r.Since
}

// lately reports whether a time is not longer ago than that. One that is ahead is not: it was
// written down by a clock that has been set since, and nothing waits for it.
func lately(now, t time.Time, within time.Duration) bool {
	d := now.Sub(t)
	return 0 <= d && d < within
}

// enter sets and clears bits of the state of r, and has the book keep it. e.mu is held.
func (e *Engine) enter(out *work, r *relation, set, clear State) {
	state := r.state&^clear | set
	if state == r.state {
		return
	}
	r.state, r.since = state, out.now
	out.relations = append(out.relations, Relation{User: r.user, Contact: r.contact, State: state, Since: out.now})
}
