package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// ErrDrain is returned by Drain when its time was up: what was still open has been
// left to the journal as far as that was possible.
var ErrDrain = errors.New("bridge: not everything was finished in time")

// Drain refuses everything new, sends nothing more, and waits until what is under
// way has ended, with the errors to the senders, or ctx is done. What waits stays in
// the journal; if that keeps nothing, the senders are told. Call it once, while Run,
// the store and both sides still run.
func (b *Bridge) Drain(ctx context.Context) error {
	b.mu.Lock()
	b.closing = true
	b.idle = make(chan struct{})
	out := work{now: time.Now()}
	if b.volatile {
		for _, l := range b.lanes.byKey {
			for _, f := range l.fifos {
				b.dismiss(&out, f)
			}
		}
	}
	idle := b.idle
	b.unlock(&out)

	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	open, incoming, errs := b.lanes.open, b.incoming, b.reports.open
	b.mu.Unlock()
	return fmt.Errorf("%w: %d messages to SIP without an answer, %d messages from SIP without an outcome, %d errors unconfirmed",
		ErrDrain, open, incoming, errs)
}

// Seal has messages that are read from now on journaled for the next start, since
// nobody can be told any more. Call it after Drain, before the stream is closed.
func (b *Bridge) Seal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sealed = true
}

// dismiss tells the senders of what waits in f that it will not be sent.
func (b *Bridge) dismiss(out *work, f *fifo) {
	for len(f.queue) > 0 {
		o := f.queue[0].o
		b.lanes.remove(f, 0)
		if o != nil {
			b.giveUp(out, o, mapping.FailShutdown())
		}
	}
	b.lanes.tidy(f)
}

// wakeDrain ends Drain's wait when nothing is open any more. b.mu is held.
func (b *Bridge) wakeDrain() {
	if b.idle == nil || b.lanes.open > 0 || b.incoming > 0 || b.reports.open > 0 {
		return
	}
	select {
	case <-b.idle:
	default:
		close(b.idle)
	}
}
