package commands

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/stoxgw/stox/internal/texts"
	"github.com/stoxgw/stox/mapping"
)

// Bounds of what is under way.
const (
	workers   = 16
	maxQueued = 256 // that no worker has begun
	maxOpen   = 1024
	maxOpenOf = 8 // of one user
)

// Ref is the Ref of everything that the desk hands to the XMPP side.
type Ref struct{}

// OfDesk tells a Ref of the desk from others.
func (Ref) OfDesk() {}

// Desk answers users who turn to the gateway itself.
type Desk struct {
	xmpp  XMPPSide
	o     Options
	log   *slog.Logger
	queue chan *call
	all   []*command // in the order of the list

	mu       sync.Mutex // guards the following; nobody else is called while it is held
	open     map[*call]struct{}
	openOf   map[mapping.JID]int
	sessions sessions
	rates    rates
	closed   bool
	stats    Stats
}

// Stats are counted since New.
type Stats struct {
	Commands, Chats, Registrations uint64 // that were taken
	Refused                        uint64 // for want of room, or of a user who gives too many
	Lost                           uint64 // answers that no link has taken
	Open, Sessions                 int    // at this moment
}

// New makes a desk. It does nothing but refuse until Run is called.
func New(x XMPPSide, o Options, log *slog.Logger) *Desk {
	return &Desk{xmpp: x, o: o, log: log, queue: make(chan *call, maxQueued), all: table(),
		open: make(map[*call]struct{}), openOf: make(map[mapping.JID]int), sessions: newSessions(), rates: rates{}}
}

// Run carries out commands until ctx is done. What a worker is at is brought to an end then; what
// waits, for a worker or for somebody else, is answered that the gateway stops, as is what comes
// later. It returns when no worker is left.
func (d *Desk) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case c := <-d.queue:
					c.carryOut(ctx)
				}
			}
		})
	}
	<-ctx.Done()
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	wg.Wait() // what a worker is at has happened, and is answered as such
	d.mu.Lock()
	rest := make([]*call, 0, len(d.open))
	for c := range d.open {
		rest = append(rest, c)
	}
	d.mu.Unlock()
	for _, c := range rest {
		c.stop()
	}
	return nil
}

// Stats returns what was counted.
func (d *Desk) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.stats
	s.Open, s.Sessions = len(d.open), d.sessions.live()
	return s
}

// Outcome takes what became of an answer. Nobody can be told of one that did not leave: its
// user asks again.
func (d *Desk) Outcome(r mapping.Result) {
	if r.Outcome.Kind == mapping.NotWritten || r.Outcome.Kind == mapping.Refused {
		d.mu.Lock()
		d.stats.Lost++
		d.mu.Unlock()
	}
}

func (d *Desk) isAdmin(who mapping.JID) bool { return d.o.Admin != nil && d.o.Admin(who.Bare()) }

// Language is the one in which a user is spoken to: that which he has chosen, else what he or
// his client has just said, "" if nothing.
func (d *Desk) Language(user mapping.JID, said string) string {
	if d.o.Languages != nil {
		if lang := d.o.Languages.Language(user.Bare()); lang != "" {
			return lang
		}
	}
	return said
}

func (d *Desk) texts(user mapping.JID, said string) *words {
	return &words{texts.For(d.Language(user, said))}
}

// take has a call carried out. If there is no room it says why not.
func (d *Desk) take(c *call, counter *uint64) {
	d.mu.Lock()
	why := d.roomLocked(c)
	if why == nil {
		*counter++
		d.open[c] = struct{}{}
		d.openOf[c.user]++
		select {
		case d.queue <- c:
		default:
			d.forgetLocked(c)
			why = c.busy(c.t.Session.Busy)
		}
	}
	if why != nil {
		d.stats.Refused++
		c.over = true
	}
	d.mu.Unlock()
	if why != nil {
		c.answer(&outcome{failure: why})
	}
}

func (d *Desk) roomLocked(c *call) *mapping.Failure {
	switch {
	case d.closed:
		return c.stopping()
	case d.openOf[c.user] >= maxOpenOf:
		return c.busy(c.t.Session.TooMany)
	case len(d.open) >= maxOpen:
		return c.busy(c.t.Session.Busy)
	}
	if wait := d.rates.take(c.user, d.rate(), time.Now()); wait > 0 {
		return c.tooFast(wait)
	}
	return nil
}

// usualRate is that of a user where nothing is said.
const usualRate = 5

func (d *Desk) rate() int {
	if d.o.Rate != nil {
		if r := d.o.Rate(); r > 0 {
			return r
		}
	}
	return usualRate
}

// forgetLocked ends what is counted of a call.
func (d *Desk) forgetLocked(c *call) {
	delete(d.open, c)
	if d.openOf[c.user]--; d.openOf[c.user] <= 0 {
		delete(d.openOf, c.user)
	}
}

// say hands stanzas to the XMPP side.
func (d *Desk) say(all ...mapping.XMPP) {
	batch := make([]mapping.Parcel[mapping.XMPP], 0, len(all))
	for _, v := range all {
		batch = append(batch, mapping.Parcel[mapping.XMPP]{Ref: Ref{}, Value: v})
	}
	d.xmpp.Deliver(batch)
}
