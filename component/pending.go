package component

import (
	"hash/maphash"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// addressed is what the pending table has to know about a value.
type addressed struct {
	id       string
	from, to mapping.JID
	bounces  bool // a message: a bounce is an outcome of it; that of an error is dropped
	answers  bool // an IQ: see inquiry
}

// pending is a value that has been appended to the stream and whose outcome is
// open. It keeps the value: if the link is lost, it is written once more. There may be tens
// of thousands: what the value has too, it has not.
type pending struct {
	ref     any
	value   mapping.XMPP
	next    *pending // in the chain of the index, or of what is free
	end     uint64   // its position
	due     time.Time
	size    int
	hash    uint32 // of its id
	bounces bool   // see addressed
	indexed bool
	done    bool // settled; still in the FIFO of its track
	again   bool // this is the second copy
}

// addressed is what address has said of the value. p is not done.
func (p *pending) addressed() addressed {
	var a addressed
	_ = address(p.value, &a) // it has passed before
	return a
}

// pendingTable finds pending values by their id, and counts. The queue's mutex
// guards it.
type pendingTable struct {
	seed  maphash.Seed
	heads []*pending // chains of those whose bounces are outcomes, by the hash of the id; a power of two
	ids   int        // in the chains
	free  *pending   // to be used again
	spare int        // number of those

	entries int // in the FIFOs of all tracks
	open    int // of these not settled
	held    int // octets of those, as written
}

const (
	leastHeads = 256
	mostSpare  = 2048 // more are left to the collector
)

func newPendingTable() pendingTable { return pendingTable{seed: maphash.MakeSeed()} }

// make returns an empty record.
func (t *pendingTable) make() *pending {
	p := t.free
	if p == nil {
		return new(pending)
	}
	t.free, p.next = p.next, nil
	t.spare--
	return p
}

// recycle takes back a record that nobody looks at any more: it is done, and has left the
// FIFO of its track.
func (t *pendingTable) recycle(p *pending) {
	*p = pending{}
	if t.spare < mostSpare {
		p.next, t.free = t.free, p
		t.spare++
	}
}

// add takes in p, which its track has appended to its FIFO.
func (t *pendingTable) add(p *pending, id string) {
	t.entries++
	t.open++
	t.held += p.size
	if !p.bounces || id == "" {
		return
	}
	if t.ids >= len(t.heads) {
		t.grow()
	}
	p.hash, p.indexed = uint32(maphash.String(t.seed, id)), true
	head := t.head(p.hash)
	p.next, *head = *head, p
	t.ids++
}

// head is where the chain of a hash begins.
func (t *pendingTable) head(hash uint32) **pending { return &t.heads[int(hash)&(len(t.heads)-1)] }

func (t *pendingTable) grow() {
	before := t.heads
	t.heads = make([]*pending, max(leastHeads, 2*len(before)))
	for _, p := range before {
		for p != nil {
			next, head := p.next, t.head(p.hash)
			p.next, *head = *head, p
			p = next
		}
	}
}

// forget empties the index: what is pending is written again, or settled one by one.
func (t *pendingTable) forget(again []*pending) {
	clear(t.heads)
	t.ids = 0
	for _, p := range again {
		p.next, p.indexed = nil, false
	}
}

// bounce finds the message that an error stanza answers: same id, sent by our
// address to, and from being the addressee's bare JID, one of its full JIDs, or
// its domain (SEC-22). Of several it is the oldest. It returns nil if there is none.
func (t *pendingTable) bounce(id string, from, to mapping.JID) (oldest *pending) {
	if t.ids == 0 || id == "" {
		return nil
	}
	hash := uint32(maphash.String(t.seed, id))
	for p := *t.head(hash); p != nil; p = p.next {
		if p.hash != hash || oldest != nil && oldest.end < p.end {
			continue
		}
		if a := p.addressed(); a.id == id && a.from == to && (from.Bare() == a.to.Bare() || from == a.to.DomainJID()) {
			oldest = p
		}
	}
	return oldest
}

// finish marks p as settled: no bounce finds it any more.
func (t *pendingTable) finish(p *pending) {
	p.done = true
	t.open--
	t.held -= p.size
	p.value = nil
	if !p.indexed {
		return
	}
	at := t.head(p.hash)
	for *at != p {
		at = &(*at).next
	}
	*at = p.next
	p.next, p.indexed = nil, false
	t.ids--
}
