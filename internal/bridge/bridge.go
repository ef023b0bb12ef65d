package bridge

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// XMPPSide is what the bridge asks of the XMPP side.
type XMPPSide interface {
	// Deliver takes stanzas to be written. It returns at once; what became of
	// each is told later, once, through XMPPOutcomes.
	Deliver(batch []mapping.Parcel[mapping.XMPP])
	// Up reports whether any link to an XMPP server takes messages.
	Up() bool
}

// SIPSide is what the bridge asks of the SIP side.
type SIPSide interface {
	// Deliver takes requests to be sent. It returns at once; what became of each
	// is told later, once, through SIPOutcomes.
	Deliver(batch []mapping.Parcel[mapping.SIP])
	// Answer gives requests that came through FromSIP their final answer.
	Answer(batch []mapping.Result)
}

// Policy is what an admin may change while the bridge runs. It is swapped whole.
type Policy struct {
	Rules  *mapping.Rules
	Access mapping.Access // who may send, and who may be reached

	Expire time.Duration // a message to SIP is tried for so long; zero: 5 min
	Notice bool          // a late error is also told in an ordinary message (xmpp.failure_notice)
	Late   LateErrors    // how an error is told that comes after the answer to SIP
	IMDN   IMDN          // from whom notifications are asked

	Composing Composing // to whom it is told that a user is typing
	UserRate  int       // messages a second of one user; 0 is no limit. See rates.go

	// What may be sent to telephones; see quota.go.
	Prefixes     []string // what numbers begin with, "+49"; none: anything
	DailyPerUser int      // messages of one user on one day; 0 is no limit

	Blocks Blocks // nil: nobody is blocked
	Texts  bool   // History is told the texts of messages, too
}

func (p *Policy) expire() time.Duration {
	if p.Expire <= 0 {
		return 5 * time.Minute
	}
	return p.Expire
}

// LateErrors says how SIP is told of an error that comes after the answer (IM-61).
type LateErrors string

// The values of sip.late_errors.
const (
	LateIMDN    LateErrors = "imdn"
	LateMessage LateErrors = "message"
	LateNone    LateErrors = "none"
)

// Options of a Bridge.
type Options struct {
	Policy Policy
	Secret []byte // the stanza ids are keyed with a value derived from it
	Limits Limits
	Now    time.Time // where CSeq and the numbers of rows begin; zero: time.Now()

	// Volatile: the journal and Contacts keep nothing when the process ends.
	Volatile bool
	// Contacts keeps what is remembered of users and their contacts. nil: nothing is kept,
	// and nobody is greeted or introduced.
	Contacts ContactBook
	// Usage keeps what users have sent to telephones. nil: it begins anew with the process.
	Usage UsageBook
	// Zone is where days begin and end; nil: that of the machine.
	Zone *time.Location
	// Presence keeps the presence of contacts. nil: nobody does, and nothing is answered.
	Presence Presences
	// History is told what happens to messages. nil: nobody is.
	History History
	// NoEarly: a message leaves only after its row is on the disk. It is there to
	// compare the two.
	NoEarly bool
	// Full tells from the error of Journal.Append whether the queue is full, rather
	// than the journal broken. nil: never.
	Full func(error) bool
	// Desk is where users ask the gateway itself for something. The zero one has nothing but
	// help for them.
	Desk Desk
}

// Bridge carries values from one side to the other.
type Bridge struct {
	xmpp     XMPPSide
	sip      SIPSide
	journal  Journal
	presence Presences
	history  History
	log      *slog.Logger
	ids      *ids
	pairs    pairs
	talks    *conversations
	formats  *formats
	rates    *rates
	quota    *quota
	usage    UsageBook
	policy   atomic.Pointer[Policy]
	volatile bool
	noEarly  bool
	full     func(error) bool
	ahead    int       // markAhead; tests have less
	works    sync.Pool // of *work: see gather
	// Of *incoming and *outbound: see records.go.
	incomings, outbounds sync.Pool
	wake                 chan struct{} // capacity 1: Run has to look
	lookups              chan lookup   // questions to the trail
	desk                 Desk

	unnumbered atomic.Uint64 // see noteWithoutRow

	mu       sync.Mutex    // guards the following
	lanes    *lanes        //
	incoming int           // SIP requests that wait for their outcome, without repeats
	repeats  repeats       // of SIP requests
	late     late          // errors that came after the answer to SIP
	receipts receipts      // messages whose senders want to be told
	contacts contacts      // what is remembered of users
	tally    Tally         //
	stats    Stats         // what Stats counts besides; the rest of it is zero
	closing  bool          // Drain has begun
	sealed   bool          // Seal was called
	idle     chan struct{} // closed by Drain's wait when nothing is left; nil before

	requested claims[outbound] // what the SIP side has been given
	handed    claims[incoming] // and what the XMPP side has

	nextRow     uint64
	rows        map[uint64]*outbound // in memory and in the journal
	unjournaled []*outbound          // sent early, in order of reading; some have been committed or are over
	failing     bool                 // the last commit failed

	refused      map[*outbound]bool      // whose update the journal would not take
	retryUpdates time.Time               // when they are offered again
	waiting      map[*outbound]time.Time // have the slot, and their next part waits for the row so long
	partsDue     time.Time               // when the first of them has waited long enough; zero: there are none
	wanted       []*fifo                 // whose first message is to be read from the store, in this order
	reports      reports
	next         time.Time // when Run looks again; zero: never
	reading      bool      // Run reads from the store, and so looks when that has answered

	composing composing           // who is typing
	lookupsOf map[mapping.JID]int // how many of lookups are of each sender

	retries     uint64 // since New
	retryLogged time.Time

	uncertain    int      // rows of an earlier run whose request may have left ...
	uncertainIDs []string // ... and the ids of the first of these messages
}

// listIDs is how many ids one log line has.
const listIDs = 20

// New makes a bridge between the two sides.
func New(x XMPPSide, s SIPSide, j Journal, o Options, log *slog.Logger) *Bridge {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.Full == nil {
		o.Full = func(error) bool { return false }
	}
	g, hash := newIDs(o.Secret, o.Now), pairs{maphash.MakeSeed()}
	b := &Bridge{xmpp: x, sip: s, journal: j, presence: o.Presence, history: o.History, log: log, ids: g, talks: newConversations(g), formats: newFormats(), rates: newRates(),
		quota: newQuota(o.Zone, time.Now(), o.Limits.Alone, o.Usage != nil), usage: o.Usage, composing: newComposing(), pairs: hash,
		lanes:    newLanes(o.Limits),
		volatile: o.Volatile, noEarly: o.NoEarly, full: o.Full, ahead: markAhead, wake: make(chan struct{}, 1), lookups: make(chan lookup, maxLookups), lookupsOf: make(map[mapping.JID]int),
		// A number is not used again after a restart: an operator may still have it in mind.
		nextRow: uint64(o.Now.UnixMilli()) << 4,
		rows:    make(map[uint64]*outbound), refused: make(map[*outbound]bool), waiting: make(map[*outbound]time.Time),
		repeats: newRepeats(time.Now()), late: newLate(), contacts: newContacts(o.Contacts, o.Limits.Alone, hash)}
	b.unnumbered.Store(uint64(o.Now.UnixMilli()) << 4)
	b.stats.ToSIP, b.stats.ToXMPP = newFlow(), newFlow()
	b.desk = o.Desk
	b.SetPolicy(o.Policy)
	return b
}

// SetPolicy swaps the rules for everything that is read from now on. Of what was read
// before, the addresses and the time at which it is given up stay as they are.
func (b *Bridge) SetPolicy(p Policy) { b.policy.Store(&p) }

// SetLimits changes Limits.Stored and Limits.Alone while the bridge runs. What is beyond a
// new limit stays where it is: nothing comes to it.
func (b *Bridge) SetLimits(l Limits) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lanes.limits.Stored, b.lanes.limits.Alone = l.withDefaults().Stored, l.Alone
	b.contacts.alone = l.Alone
	b.quota.setAlone(l.Alone)
}

// Announce tells the users who are subscribed to these names of the gateway once more that it
// is there: what it can do has changed.
func (b *Bridge) Announce(names ...mapping.JID) {
	out := work{now: time.Now()}
	b.mu.Lock()
	for _, name := range names {
		if _, up := b.contacts.names[name]; up { // else it is announced when its link is
			b.announce(&out, name)
		}
	}
	b.unlock(&out)
}

// work collects what is to be handed on once the lock is released: a batch in
// makes at most one batch out per kind.
type work struct {
	now time.Time

	stanzas  []mapping.Parcel[mapping.XMPP]
	requests []mapping.Parcel[mapping.SIP]
	answers  []mapping.Result
	events   []event
	notes    []Note // for history
	history  History
	seen     []Seen
	contacts []Contact
	// For Presences, in stream order.
	presences []mapping.XMPP

	// Handed to the journal, or made into stanzas, before the lock is released.
	updates []*outbound
	done    []uint64
	reports []*report

	// Counted before the lock is released.
	refusals []mapping.Condition // requests that were not taken
	tooFast  uint64
	denied   Denied

	wake bool // Run has to look

	// What is of use only while a batch is taken.
	read  []*incoming
	taken []*outbound
	rows  []Row  // see encode
	data  []byte // the same
	kept  []Event

	recalled uint64   // seenTable.puts as of recall
	outcomes []seenOf // see keepOutcomes

	// Records that nobody has any more: see records.go.
	answered []*incoming
	sentOut  []*outbound
}

// gather is a work that has what was allocated for those before it. It is for what is done
// for every batch; release takes it back.
func (b *Bridge) gather() *work {
	w, _ := b.works.Get().(*work)
	if w == nil {
		w = new(work)
	}
	w.now, w.history = time.Now(), b.history
	return w
}

// release is unlock, and keeps the slices of w for another batch: their takers keep values
// only.
func (b *Bridge) release(w *work) {
	b.unlock(w)
	b.recycle(w)
	*w = work{
		stanzas: emptied(w.stanzas), requests: emptied(w.requests), answers: emptied(w.answers),
		events: emptied(w.events), notes: emptied(w.notes), seen: emptied(w.seen), updates: emptied(w.updates), done: emptied(w.done),
		reports: emptied(w.reports), refusals: emptied(w.refusals),
		read: emptied(w.read), taken: emptied(w.taken), rows: emptied(w.rows), data: w.data[:0], kept: emptied(w.kept),
		outcomes: emptied(w.outcomes), answered: emptied(w.answered), sentOut: emptied(w.sentOut),
	}
	b.works.Put(w)
}

// maxKept is how long a slice may be that is kept for another batch.
const maxKept = 512

// emptied is a slice without what was in it, none if it is too long to be kept.
func emptied[T any](s []T) []T {
	if cap(s) > maxKept {
		return nil
	}
	clear(s)
	return s[:0]
}

// debugs reports whether the log takes what is said of single messages. Ask it where there
// is something to be said of every one: what is given to the log has to be allocated,
// also if the log does not take it.
func (b *Bridge) debugs() bool { return b.log.Enabled(context.Background(), slog.LevelDebug) }

// unlock decides the fate of the rows, so that it is one step with what was
// decided about the messages, releases b.mu, and hands on what is in out.
func (b *Bridge) unlock(out *work) {
	b.countOutbound(out.reports)
	for _, r := range out.reports {
		b.tell(out, r)
	}
	for _, why := range out.refusals {
		b.stats.ToXMPP.Refused++
		b.stats.ToXMPP.because(why)
	}
	b.stats.TooFast += out.tooFast
	b.stats.Denied.add(&out.denied)
	if b.usage != nil { // in the order in which it was counted
		if used := b.quota.changed(); len(used) > 0 {
			b.usage.PutUsage(used)
		}
	}
	b.keepOutcomes(out)
	b.writeUpdates(out)
	if len(out.done) > 0 {
		b.journal.Done(out.done)
	}
	b.lanes.reuse()
	b.wakeDrain()
	b.mu.Unlock()
	if out.wake {
		b.poke()
	}
	b.do(out)
}

// writeUpdates gives the journal new versions of rows. What it would not take for
// want of room is offered again.
func (b *Bridge) writeUpdates(out *work) {
	if len(out.updates) == 0 {
		return
	}
	changed := out.updates[:0]
	for _, o := range out.updates {
		if o.row != 0 && !o.spent { // it may have been lost meanwhile, or delivered
			changed = append(changed, o)
		}
	}
	n, _ := b.journal.Update(out.encode(changed)) // why it would not take the rest makes no difference
	for _, o := range changed[n:] {
		b.refused[o] = true
		b.retryUpdates = out.now.Add(tryStoreAgain)
		b.wakeAt(out, b.retryUpdates)
	}
}

func (b *Bridge) do(w *work) {
	if len(w.notes) > 0 && b.history != nil {
		b.history.Put(w.notes)
	}
	if len(w.events) > 0 {
		b.journal.PutTrail(w.details())
	}
	if len(w.seen) > 0 {
		b.journal.PutSeen(w.seen)
	}
	if len(w.contacts) > 0 && b.contacts.book != nil {
		b.contacts.book.PutContacts(w.contacts)
	}
	if len(w.presences) > 0 && b.presence != nil {
		b.presence.FromXMPP(w.presences)
	}
	if len(w.requests) > 0 {
		b.sip.Deliver(w.requests)
	}
	if len(w.stanzas) > 0 {
		b.xmpp.Deliver(w.stanzas)
	}
	if len(w.answers) > 0 {
		b.sip.Answer(w.answers)
	}
}
