package bridge

import (
	"container/heap"
	"hash/maphash"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// That somebody is typing (RFC 3994 in SIP, XEP-0085 in XMPP) is of use for some seconds,
// and of none compared with a text. It lives in memory only: no row, no trail, nothing in
// the log above debug level. Who says it is never told that it did not get there. What is
// forgotten, for want of room or by a restart, ends by itself: both sides have timers.
//
// Neither side is told the same twice: it is told what changes, and a text means that its
// author has stopped typing (IM-55).
//
// composing_sip.go has what SIP says, composing_xmpp.go what XMPP says.

// Composing says to whom in SIP it is told that a user is typing.
type Composing string

// The values of sip.composing. The zero value is ComposingReplyOnly.
const (
	ComposingAlways    Composing = "always"
	ComposingReplyOnly Composing = "reply-only" // to whoever has written to the user, or been seen typing
	ComposingNever     Composing = "never"
)

const (
	maxTypists     = 4096    // that are seen at a time, in each direction
	maxTypistsSeen = 64      // of these, of one user and of one contact, whoever sees whom
	maxHeard       = 1 << 15 // conversations of which is known that the contact writes, in each of two generations
	heardFor       = 24 * time.Hour
)

// composing is who is seen typing. The bridge's mutex guards it.
type composing struct {
	shown typists // contacts, by users
	told  typists // users, by contacts
	heard heard   // who has written to whom

	open   int            // requests under way that say so
	openOf map[string]int // of these, of the users of a domain
}

func newComposing() composing {
	return composing{shown: newTypists(), told: newTypists(), openOf: make(map[string]int)}
}

// pair is an XMPP user and a contact, both bare.
type pair struct{ user, contact mapping.JID }

// pairs makes hashes of pairs, which nobody can foresee.
type pairs struct{ seed maphash.Seed }

// of is the hash of a pair. One of two strings is of two different ones: the first is
// multiplied by an odd number.
func (h pairs) of(k pair) uint64 {
	return maphash.String(h.seed, k.user.String())*0x9e3779b97f4a7c15 + maphash.String(h.seed, k.contact.String())
}

// typist is somebody who is seen typing by the other one of the pair.
type typist struct {
	pair
	until time.Time // from then on, unless something is heard, there is nothing to be kept
	index int       // in typists.byTime

	// Of a contact.
	from, to mapping.JID // as in the last stanza
	by       *incoming   // the request whose stanza said so

	// Of a user.
	active    bool      // what the contact was told last ...
	sees      time.Time // ... and believes until then
	open      *saying   // under way
	overtaken bool      // a text has left since: whatever open says is not so any more
	next      *saying   // to be said after that
	quiet     time.Time // nothing is said until then: something else than a 2xx was the answer
}

// typists are looked up by pair, and by the time when they have stopped.
type typists struct {
	byPair map[pair]*typist
	ofEach map[mapping.JID]int // of each user and of each contact
	byTime byTime
}

func newTypists() typists {
	return typists{byPair: make(map[pair]*typist), ofEach: make(map[mapping.JID]int)}
}

// add adds one until that time; nil if there is no room, or the addresses are too long to
// be kept.
func (ts *typists) add(k pair, until time.Time) *typist {
	if len(ts.byPair) >= maxTypists || ts.ofEach[k.user] >= maxTypistsSeen || ts.ofEach[k.contact] >= maxTypistsSeen || !memorable(k.user) || !memorable(k.contact) {
		return nil
	}
	t := &typist{pair: k, until: until}
	ts.byPair[k] = t
	ts.ofEach[k.user]++
	ts.ofEach[k.contact]++
	heap.Push(&ts.byTime, t)
	return t
}

func (ts *typists) remove(t *typist) {
	delete(ts.byPair, t.pair)
	for _, j := range [...]mapping.JID{t.user, t.contact} {
		if ts.ofEach[j]--; ts.ofEach[j] == 0 {
			delete(ts.ofEach, j)
		}
	}
	heap.Remove(&ts.byTime, t.index)
}

func (ts *typists) move(t *typist, until time.Time) {
	t.until = until
	heap.Fix(&ts.byTime, t.index)
}

// due is the one who stops first, if the time has come; else nil, and the time (zero:
// there is nobody).
func (ts *typists) due(now time.Time) (*typist, time.Time) {
	if len(ts.byTime) == 0 {
		return nil, time.Time{}
	}
	if t := ts.byTime[0]; now.Before(t.until) {
		return nil, t.until
	} else {
		return t, time.Time{}
	}
}

// byTime is a heap.
type byTime []*typist

func (h byTime) Len() int           { return len(h) }
func (h byTime) Less(i, j int) bool { return h[i].until.Before(h[j].until) }
func (h byTime) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *byTime) Push(x any) {
	t := x.(*typist)
	t.index = len(*h)
	*h = append(*h, t)
}
func (h *byTime) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return t
}

// heard has, as hashes, the pairs of which the contact has written to the user. What is
// not heard again in a whole generation is forgotten.
type heard struct {
	young, old map[uint64]struct{}
	turned     time.Time
}

func (h *heard) note(key uint64, now time.Time) {
	if _, ok := h.young[key]; ok && now.Sub(h.turned) < heardFor {
		return
	}
	switch age := now.Sub(h.turned); {
	case h.young == nil || age >= 2*heardFor:
		h.young, h.old, h.turned = make(map[uint64]struct{}), nil, now
	case age >= heardFor || len(h.young) >= maxHeard:
		h.young, h.old, h.turned = make(map[uint64]struct{}), h.young, now
	}
	h.young[key] = struct{}{}
}

func (h *heard) has(key uint64, now time.Time) bool {
	age := now.Sub(h.turned)
	if _, ok := h.young[key]; ok {
		return age < 2*heardFor
	}
	_, ok := h.old[key]
	return ok && age < heardFor
}
