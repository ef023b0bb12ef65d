package bridge

import (
	"context"
	"sync"
	"time"
)

// tryStoreAgain is how long after a failed read or a refused update the next try
// comes.
const tryStoreAgain = time.Second

// Run does what time demands - back-off, expiry, errors to be told again, messages
// that wait in the store - until ctx is done. Call it once, after Restore; the
// sides and the store outlive it.
func (b *Bridge) Run(ctx context.Context) error {
	if b.uncertain > 0 {
		b.log.Warn("uncertain: these messages may have left before the last stop; they are sent once more, and may arrive twice", "dir", "xmpp-sip", "count", b.uncertain, "ids", b.uncertainIDs)
	}
	var lookups sync.WaitGroup
	lookups.Go(func() { b.runLookups(ctx) })
	defer lookups.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		from, next := b.tick()
		if !from.empty() {
			b.load(from)
			continue
		}
		if next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
		select {
		case <-b.wake:
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// tick does everything that is due, and tells what is to be read from the
// store and when to look again.
func (b *Bridge) tick() (from loads, next time.Time) {
	out := work{now: time.Now()}
	b.mu.Lock()
	b.next = time.Time{}
	for {
		f, at := b.lanes.due(out.now)
		if f == nil {
			b.wakeAt(&out, at)
			break
		}
		b.stir(&out, f)
	}
	if !b.retryUpdates.IsZero() && !out.now.Before(b.retryUpdates) {
		b.retryUpdates = time.Time{}
		for o := range b.refused {
			delete(b.refused, o)
			b.update(&out, o)
		}
	}
	b.wakeAt(&out, b.retryUpdates)
	b.tickParts(&out)
	b.retell(&out)
	b.tickLate(&out)
	b.tickStates(&out)
	from = b.nextLoads(&out)
	out.wake = false // whoever called looks at b.next
	b.unlock(&out)

	b.mu.Lock() // what the sides did meanwhile may have brought something nearer
	next = b.next
	b.reading = !from.empty()
	b.mu.Unlock()
	return from, next
}

// wakeAt has Run look at that time; the zero time: never. b.mu is held.
func (b *Bridge) wakeAt(out *work, at time.Time) {
	if at.IsZero() || !b.next.IsZero() && !at.Before(b.next) {
		return
	}
	b.next = at
	out.wake = true
}

func (b *Bridge) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}
