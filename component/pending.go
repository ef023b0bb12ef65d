package component

import (
	"time"

	"github.com/stoxgw/stox/mapping"
)

// addressed is what the pending table has to know about a value.
type addressed struct {
	id       string
	from, to mapping.JID
	bounces  bool // a message: a bounce is an outcome of it; that of an error is dropped
}

// pending is a value that has been appended to the stream and whose outcome is
// open. It keeps the value: if the link is lost, it is written once more.
type pending struct {
	ref any
	addressed
	value mapping.XMPP
	size  int
	end   uint64    // its position
	due   time.Time // when a message is Unknown, and without a link anything is Uncertain
	next  *pending  // with the same id
	done  bool      // settled; still in the FIFO of its track
	again bool      // this is the second copy
}

// pendingTable finds pending values by their id, and counts. The queue's mutex
// guards it.
type pendingTable struct {
	byID    map[string]*pending
	entries int // in the FIFOs of all tracks
	open    int // of these not settled
	held    int // octets of those, as written
}

func newPendingTable() pendingTable { return pendingTable{byID: make(map[string]*pending)} }

// add takes in p, which its track has appended to its FIFO.
func (t *pendingTable) add(p *pending) {
	t.entries++
	t.open++
	t.held += p.size
	if !p.bounces || p.id == "" {
		return
	}
	// The oldest of an id comes first; there is hardly ever a second.
	if first := t.byID[p.id]; first == nil {
		t.byID[p.id] = p
	} else {
		for first.next != nil {
			first = first.next
		}
		first.next = p
	}
}

// bounce finds the message that an error stanza answers: same id, sent by our
// address to, and from being the addressee's bare JID, one of its full JIDs, or
// its domain (SEC-22). It returns nil if there is none.
func (t *pendingTable) bounce(id string, from, to mapping.JID) *pending {
	for p := t.byID[id]; p != nil; p = p.next {
		if p.from == to && (from.Bare() == p.to.Bare() || from == p.to.DomainJID()) {
			return p
		}
	}
	return nil
}

// finish marks p as settled: no bounce finds it any more.
func (t *pendingTable) finish(p *pending) {
	p.done = true
	t.open--
	t.held -= p.size
	p.value = nil
	if !p.bounces || p.id == "" {
		return
	}
	first := t.byID[p.id]
	if first == p {
		if p.next == nil {
			delete(t.byID, p.id)
		} else {
			t.byID[p.id] = p.next
		}
		p.next = nil
		return
	}
	for ; first != nil; first = first.next {
		if first.next == p {
			first.next = p.next
			p.next = nil
			return
		}
	}
}
