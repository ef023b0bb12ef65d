package admin

import (
	"context"
	"errors"
	"time"
)

// Queue is what an operator may ask of the messages that are not done, and of what
// became of others. Client is one, too. An id is a row's number, or the id of a
// stanza or a Call-ID as long as it means one message only.
type Queue interface {
	// List returns the first n rows with a number over after, or fewer; none at the end.
	List(ctx context.Context, after uint64, n int) (Page, error)
	// Show returns one row. Errors: ErrNotFound, ErrAmbiguous.
	Show(ctx context.Context, id string) (Message, error)
	// Retry has a row tried again at once. Errors: those of Show and ErrUnderWay.
	Retry(ctx context.Context, id string) (Message, error)
	// Drop gives a row up, and its sender is told so. Errors: those of Retry.
	Drop(ctx context.Context, id string) (Message, error)
	// Trail returns what is known of a message, in the order of time; nothing if
	// nothing is.
	Trail(ctx context.Context, id string) ([]Step, error)
}

// Page is a part of the queue.
type Page struct {
	Total    int       `json:"total"` // rows in the whole queue at this moment
	Messages []Message `json:"messages"`
}

// Message describes a row of the queue. The names in its JSON are a promise to
// scripts. The number is a string there: it may be beyond what a reader with
// floating point keeps.
type Message struct {
	ID       uint64    `json:"id,string"`
	Stanza   string    `json:"stanza"` // the stanza's id, as its sender chose it
	CallID   string    `json:"call_id"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	Lane     string    `json:"lane"` // where it goes, the canonical address of record
	Read     time.Time `json:"read"`
	Expire   time.Time `json:"expire"`
	State    string    `json:"state"` // queued, sent, back-off, reporting; Damaged
	Attempts int       `json:"attempts"`
	Part     int       `json:"part,omitempty"`    // which of Parts is next, counted from 1
	Parts    int       `json:"parts,omitempty"`   // so many requests the text goes in, if that is more than one
	Next     time.Time `json:"next,omitzero"`     // back-off: when it is tried again
	Problem  string    `json:"problem,omitempty"` // what the last attempt came to, or why it is given up
	Size     int       `json:"size"`              // octets of the row
	Ahead    int       `json:"ahead,omitempty"`   // from Retry only: so many messages of its sender are tried before it
}

// Damaged is the state of a row that cannot be read; Problem says why.
const Damaged = "damaged"

// Step is an event in the life of a message.
type Step struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"` // one word
	Detail string    `json:"detail,omitempty"`
	Stanza string    `json:"stanza,omitempty"`
	CallID string    `json:"call_id,omitempty"`
}

// Error is an error of a Queue that is meant for the operator, and crosses the
// socket as it is. errors.Is compares the Code, so that it is ErrNotFound and the
// like on either side.
type Error struct {
	Code string `json:"error"` // one of the codes below
	Text string `json:"text"`
}

func (e *Error) Error() string { return e.Text }

// Is reports whether target is an Error of the same code.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code
}

// The errors that a Queue tells apart.
var (
	ErrNotFound  = &Error{"not-found", "no such message in the queue"}
	ErrAmbiguous = &Error{"ambiguous", "the id means several messages"}
	ErrUnderWay  = &Error{"under-way", "the message is under way at this moment"}
	ErrRequest   = &Error{"bad-request", "the request cannot be understood"}
	ErrFailed    = &Error{"failed", "it failed"} // everything else; the text says what
)

// With is e with another text.
func (e *Error) With(text string) *Error { return &Error{e.Code, text} }
