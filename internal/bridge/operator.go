package bridge

import (
	"errors"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// What an operator may see of the queue, and do to it. The text of a message is
// never part of it.

// Waiting describes a row of the journal.
type Waiting struct {
	ID       uint64
	Stanza   string // the stanza's id, as its sender chose it
	From, To mapping.JID
	CallID   string
	Lane     string // where it goes: the canonical address of record
	Read     time.Time
	Expire   time.Time
	Attempts int          // requests that were sent, of this part
	Part     int          // which of Parts is next, counted from 1
	Parts    int          // requests that the text goes in, if that is more than one; else 0
	Size     int          // octets of the row
	State    WaitingState //
	Next     time.Time    // Backoff: when it is tried again
	Problem  string       // what the last attempt came to, or why it is given up; "" if nothing yet
}

// WaitingState says what a row waits for.
type WaitingState string

// The states of a row. Of a daemon that is not running Sent says that a request may
// have left.
const (
	Queued    WaitingState = "queued"    // it has never been sent, or the last attempt has failed for certain
	Sent      WaitingState = "sent"      // a request is under way
	Backoff   WaitingState = "back-off"  // it is tried again at Next
	Reporting WaitingState = "reporting" // given up: the error has not reached its sender yet
)

// Why RetryNow and Drop do nothing.
var (
	ErrNoRow     = errors.New("no such message in the queue")
	ErrUnderWay  = errors.New("the message is under way at this moment")
	ErrReporting = errors.New("the message is given up already, and its sender is being told")
	ErrArrived   = errors.New("the message has arrived, and its sender knows: its row goes with the next start")
)

// ReadRow describes a row as it is on the disk.
func ReadRow(r Row) (Waiting, error) {
	o, err := decode(r)
	if err != nil {
		return Waiting{ID: r.ID, Lane: r.Lane, Read: r.Read, Expire: r.Expire, Size: len(r.Data)}, err
	}
	w := Waiting{ID: r.ID, Stanza: o.id, From: o.from, To: o.to, CallID: o.callID(), Lane: r.Lane,
		Read: r.Read, Expire: r.Expire, Attempts: o.attempts, Size: len(r.Data), State: Queued}
	if o.total() > 1 {
		w.Part, w.Parts = o.arrived+1, o.total()
	}
	f := o.problem
	switch {
	case o.reported != nil:
		w.State, f = Reporting, o.reported
	case o.sent:
		w.State = Sent
	case !o.notBefore.IsZero():
		w.State, w.Next = Backoff, o.notBefore
	}
	if f != nil {
		w.Problem = f.Text
	}
	return w, nil
}

// Look completes a description of ReadRow by what the running bridge knows.
func (b *Bridge) Look(w *Waiting) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.lanes.byKey[w.Lane]
	if w.State == Reporting || l == nil {
		return
	}
	if l.open != nil && l.open.row == w.ID {
		w.State, w.Next = Sent, time.Time{}
		return
	}
	// It is not under way, whatever was written ahead of its turn.
	sent := w.State == Sent
	at := w.Next
	if l.until.After(at) {
		at = l.until
	}
	w.State, w.Next = Queued, time.Time{}
	if o := b.rows[w.ID]; o != nil {
		w.Attempts = o.attempts
		if o.problem != nil {
			w.Problem = o.problem.Text
		}
	}
	if sent && w.Attempts > 0 {
		w.Attempts-- // counted ahead
	}
	if at.After(time.Now()) {
		w.State, w.Next = Backoff, at
	}
}

// RetryNow ends the back-off of a row, and of its destination. ahead is how many
// messages of the same sender are before it, and are tried first. It returns ErrNoRow,
// ErrUnderWay, ErrReporting if its error is under way, or why the row cannot be read.
func (b *Bridge) RetryNow(id uint64) (ahead int, err error) {
	err = b.operate(id, func(out *work, o *outbound, f *fifo, i int) error {
		if f == nil {
			if !b.hurryReport(out, id) {
				return ErrReporting
			}
			return nil
		}
		ahead = i
		e := &f.queue[0]
		e.hurry = true
		if e.o != nil {
			e.o.notBefore = time.Time{}
		}
		f.lane.failures, f.lane.until = 0, time.Time{}
		for _, f := range f.lane.fifos {
			b.stir(out, f)
		}
		return nil
	})
	return ahead, err
}

// Drop gives a row up: its sender is told that the operator dropped it. If it was given
// up before, it is gone then, and its sender not told. It returns ErrNoRow, ErrUnderWay,
// or why the row cannot be read.
func (b *Bridge) Drop(id uint64) error {
	return b.operate(id, func(out *work, o *outbound, f *fifo, i int) error {
		if f == nil {
			b.dropReport(out, o)
			return nil
		}
		mayHaveLeft := o.ambiguous > 0 || f.queue[i].restored && o.sent
		b.lanes.remove(f, i)
		b.rows[id] = o
		b.giveUp(out, o, dropped(mayHaveLeft))
		b.stir(out, f)
		b.serve(out, f.lane)
		return nil
	})
}

// dropped is what the sender of a dropped message is told.
func dropped(mayHaveLeft bool) *mapping.Failure {
	f := mapping.FailDropped()
	if mayHaveLeft {
		f.Text = mapping.MayHaveArrived(f.Text)
	}
	return f
}

// operate finds the message of a row and calls do with b.mu held: with its place,
// or with no FIFO if it is being reported.
func (b *Bridge) operate(id uint64, do func(out *work, o *outbound, f *fifo, i int) error) error {
	// Most of what an operator is interested in is in the store only.
	rows, err := b.journal.Get([]uint64{id})
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return ErrNoRow
	}
	o, err := decode(rows[0])
	if err != nil {
		return err
	}
	out := work{now: time.Now()}
	b.mu.Lock()
	defer b.unlock(&out)
	if known := b.rows[id]; known != nil {
		o = known
	}
	if o.reported != nil {
		return do(&out, o, nil, 0)
	}
	l := b.lanes.byKey[o.lane]
	if l == nil {
		return ErrNoRow
	}
	if l.open != nil && l.open.row == id {
		return ErrUnderWay
	}
	if f := l.of(o.sender); f != nil {
		for i := range f.queue {
			if f.queue[i].row == id {
				return do(&out, o, f, i)
			}
		}
	}
	return ErrNoRow
}

// RetryRow returns the row of a stopped daemon as it has to be for the next start
// to try it at once, with the time until expiry counted anew from now.
func RetryRow(r Row, now time.Time, expire time.Duration) (Row, error) {
	o, err := decode(r)
	if err != nil {
		return r, err
	}
	if o.reported != nil {
		return r, ErrReporting
	}
	o.notBefore, o.expire = time.Time{}, now.Add(expire)
	if o.sent || o.ambiguous > 0 { // whoever asks for it gets one more attempt
		o.restart, o.sent, o.ambiguous = true, false, 1
	}
	o.rev = r.Rev + 1
	return o.encode(), nil
}

// DropRow returns the row of a stopped daemon as it has to be for the next start
// to tell its sender that it was dropped.
func DropRow(r Row, now time.Time) (Row, error) {
	o, err := decode(r)
	if err != nil {
		return r, err
	}
	if o.reported != nil {
		return r, ErrReporting
	}
	if o.confirmed { // which the next start sees: its sender knows
		return r, ErrArrived
	}
	o.giveUp(o.failure(dropped(o.sent || o.ambiguous > 0)))
	o.rev = r.Rev + 1
	return o.encode(), nil
}
