package bridge

import (
	"context"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// What is not in memory any more is read from the trail, by a goroutine of its own: the
// trail may be big, and nothing else waits for it. There is room for so many questions;
// beyond that a receipt is lost, which is no worse than one that was never sent.
//
// Nobody may ask so much that there is no room for others: a sender has a few places.
const (
	maxLookups   = 1024
	maxLookupsOf = 256
)

// lookup is a question to the trail, and who asks: a notification from SIP, which waits for
// its answer, a receipt from XMPP, or a late error.
type lookup struct {
	id      string
	in      *incoming
	receipt *mapping.XMPPReceipt
	late    *mapping.XMPPError
}

// by is who asks.
func (l *lookup) by() mapping.JID {
	switch {
	case l.in != nil:
		return l.in.from.Bare()
	case l.receipt != nil:
		return l.receipt.From.Bare()
	}
	return l.late.From.Bare()
}

// find has the trail looked at. It reports false if there is no room for it. b.mu is held.
func (b *Bridge) find(l lookup) bool {
	by := l.by()
	if b.lookupsOf[by] >= maxLookupsOf {
		b.log.Debug("too many receipts of one sender are for messages that are not in memory", "from", by, "id", l.id)
		return false
	}
	select {
	case b.lookups <- l:
		b.lookupsOf[by]++
		return true
	default:
		b.log.Debug("too many receipts are for messages that are not in memory", "id", l.id)
		return false
	}
}

// runLookups answers questions until ctx is done.
func (b *Bridge) runLookups(ctx context.Context) {
	var warned time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-b.lookups:
			events, err := b.journal.Lookup(l.id)
			if err != nil && time.Since(warned) >= warnEvery {
				warned = time.Now()
				b.log.Warn("the trail cannot be read; receipts for messages that are not in memory are lost", "err", err)
			}
			b.found(l, events)
		}
	}
}

// found goes on with a question that was answered.
func (b *Bridge) found(l lookup, events []Event) {
	out := work{now: time.Now()}
	p := b.policy.Load()
	b.mu.Lock()
	defer b.unlock(&out)
	by := l.by()
	if b.lookupsOf[by]--; b.lookupsOf[by] == 0 {
		delete(b.lookupsOf, by)
	}
	if l.in != nil {
		n := l.in.notice
		key := wishKey{n.To.Bare(), n.From.Bare(), n.MessageID}
		w, ok := b.receipts.fromXMPP.get(key)
		if !ok && !b.receipts.shared.has(key) {
			if w = wishOf(events, key); w != nil {
				b.receipts.fromXMPP.put(key, w, w.size(), out.now)
			}
		}
		b.noticed(&out, p, l.in, w)
		return
	}
	key, _ := keyOf(l.id)
	a, ok := b.receipts.fromSIP.get(key)
	if !ok {
		if a = askedOf(events, l.id); a == nil {
			b.log.Debug("a receipt, or an error, is for no message that wants one", "id", l.id)
			return
		}
		b.receipts.fromSIP.put(key, a, a.size(), out.now)
	}
	if l.receipt != nil {
		b.acknowledge(&out, p, a, l.receipt)
	} else {
		b.notifyBounced(&out, p, a, l.late)
	}
}
