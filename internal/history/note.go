package history

import "time"

// Note is one step in the life of a message, as whoever takes it tells it. All notes of a
// message have its Key and say whose it is.
type Note struct {
	Key     uint64 // the same in all notes of a message, and of no other one
	FromSIP bool   // whether it goes to XMPP; else it comes from there

	Read time.Time // when the message was read; zero: that is not known
	At   time.Time // of this step
	Kind string    // one of the kinds below; "": there is no step, only an Outcome

	User    string // the XMPP user, a JID
	Contact string // the SIP contact as XMPP has it, a JID; "" if there is none
	SIP     string // the same as a SIP URI
	ID      string // of the stanza
	CallID  string

	Status    int    // SIP status; 0: there is none
	N         int    // which request of the message, or which part of so many (Of); 0: it makes no difference
	Of        int    // see N
	Condition string // of the stanza error
	Text      string // why; for Receipt, what was told
	Remedy    string // what an admin may do about it

	Outcome string // what has become of the message with this step; "": nothing is decided

	// Of Read and Sent.

	Type string // of the content, as in Content-Type
	Size int    // octets of the content
	Body string // the text; "" unless texts are to be shown
}

// The kinds of steps.
const (
	Read    = "read"    // stox has it
	Refused = "refused" // it is not taken
	Sent    = "sent"    // a request, or a stanza, has left

	// From XMPP.
	Early     = "early"     // Sent, before the journal had it
	Journaled = "journaled" // the journal has it: from now on a crash does not lose it
	Loaded    = "loaded"    // it was read from the journal again
	Answer    = "answer"    // SIP has answered with Status
	NoAnswer  = "no-answer" // SIP has not answered in time, or the connection broke: it may have arrived
	NotSent   = "not-sent"  // nothing has left
	Retry     = "retry"     // it is going to be tried again
	Split     = "split"     // its text goes in several requests
	Told      = "told"      // the error has been written for its sender
	Reported  = "reported"  // the XMPP server has taken that error
	Untold    = "untold"    // the error could not be told

	// From SIP.
	Processed = "processed" // the barrier behind it came back: the XMPP server has handled it
	Bounced   = "bounced"   // the XMPP server gave it back
	Unwritten = "unwritten" // no link took it
	Unproved  = "unproved"  // the barrier did not come back in time
	LinkLost  = "link-lost" // the link was lost behind it
	Answered  = "answered"  // SIP was given its final answer, Status
	Joined    = "joined"    // it came again while it was under way
	Repeated  = "repeated"  // it came again and got the same answer
	Late      = "late"      // an error came after the answer

	// Either way.
	Receipt = "receipt" // its sender was told what became of it: Text
	Event   = "event"   // something else that the trail has: Text
)

// The outcomes of a message.
const (
	Open      = "open"      // it is under way
	Delivered = "delivered" // processed by the XMPP server, or accepted by SIP
	Failed    = "failed"    // its sender is told that it did not arrive
	Denied    = "refused"   // it was not taken, and its sender is told so
	Unknown   = "unknown"   // it was handed over; nothing confirmed it in time
	Uncertain = "uncertain" // it may have arrived twice, or once although its sender was told that it failed
)

// Outcomes are all of them, in the order in which people look for them.
func Outcomes() []string { return []string{Open, Delivered, Failed, Denied, Unknown, Uncertain} }
