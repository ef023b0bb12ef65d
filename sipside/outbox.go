package sipside

import (
	"sync"

	"github.com/stoxgw/stox/mapping"
)

// outbox collects outcomes for whoever tells them: a read loop at the end of what it has
// read in one go, for that is where answers come from, or else a goroutine of its own. It is
// one of them at a time, and each looks at the end for what has come in meanwhile.
type outbox struct {
	mu      sync.Mutex // guards the following
	list    []mapping.Result
	spare   []mapping.Result // of the last one who told
	telling bool
	closed  bool
	wake    chan struct{}
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// add has an outcome told. It may be called with locks held.
func (o *outbox) add(ref any, out mapping.Outcome) {
	if o.put(ref, &out) {
		o.signal()
	}
}

// put has an outcome told by who calls tell next. It reports whether it is the first one
// that waits.
func (o *outbox) put(ref any, out *mapping.Outcome) (first bool) {
	o.mu.Lock()
	o.list = append(o.list, mapping.Result{Ref: ref, Outcome: *out})
	first = len(o.list) == 1
	o.mu.Unlock()
	return first
}

// putAll is put for several.
func (o *outbox) putAll(list []mapping.Result) {
	o.mu.Lock()
	o.list = append(o.list, list...)
	o.mu.Unlock()
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.signal()
}

// tell hands over what there is now, if nobody is at it. Read loops call it, with no lock
// held: that saves the way through another goroutine. What comes meanwhile is left to the
// other one, lest a read loop do nothing but tell, and so is what a handler brings about
// that sends from within.
func (o *outbox) tell(u *UA) {
	o.mu.Lock()
	if len(o.list) == 0 || o.telling {
		o.mu.Unlock()
		return
	}
	o.hand(u)
	more := len(o.list) > 0 || o.closed
	o.mu.Unlock()
	if more {
		o.signal()
	}
}

// hand gives the handler what there is. The lock is held, but not while the handler has it.
func (o *outbox) hand(u *UA) {
	batch := o.list
	o.list, o.spare, o.telling = o.spare, nil, true
	o.mu.Unlock()
	guard(u, func() { u.handler.SIPOutcomes(batch) })
	clear(batch)
	o.mu.Lock()
	o.spare, o.telling = batch[:0], false
}

// run tells until it is closed and all is told.
func (o *outbox) run(u *UA) {
	o.mu.Lock()
	for !o.closed || o.telling || len(o.list) > 0 {
		if len(o.list) > 0 && !o.telling {
			o.hand(u)
			continue
		}
		o.mu.Unlock()
		<-o.wake
		o.mu.Lock()
	}
	o.mu.Unlock()
}
