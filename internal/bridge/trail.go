package bridge

import (
	"errors"
	"strconv"

	"github.com/stoxgw/stox/mapping"
)

// The kinds of an Event.
const (
	eventDelivered = "delivered" // it has been processed by the XMPP server, or accepted by SIP
	eventFailed    = "failed"    // its sender is told that it did not arrive
	eventUncertain = "uncertain" // it may have arrived twice, or once although its sender was told that it failed

	// From SIP only.
	eventUnknown  = "unknown"  // it was handed over; nothing confirmed it in time
	eventRepeated = "repeated" // it came again, and was answered as before
	eventLate     = "late"     // an error came after the answer

	// From XMPP only.
	eventRefused  = "refused"  // it was not taken
	eventRetry    = "retry"    // an attempt failed, and another one follows
	eventSplit    = "split"    // it goes in several requests
	eventPart     = "part"     // one of these was accepted, and another one follows
	eventReported = "reported" // the error is confirmed by its sender's server
	eventUntold   = "untold"   // the error could not be told, or was not to be
)

// What is kept of a message from XMPP once it has ended, and on its way there if
// that takes more than one request. The text is never part of it.

var mayHaveLeft = &mapping.Failure{Text: "It may have left before the gateway was restarted; it is sent once more.", Err: errors.New("restart")}

// trail notes what happened to o, and why.
func (w *work) trail(o *outbound, kind string, f *mapping.Failure) {
	detail := o.way()
	if f != nil {
		if f.Condition != "" {
			detail += " " + string(f.Condition)
		}
		detail += ": " + f.Text
	}
	w.events = append(w.events, Event{ID: o.id, Other: o.callID(), At: w.now, Kind: kind, Detail: detail})
}

func (w *work) delivered(o *outbound, res mapping.Outcome) {
	detail := o.way() + " "
	if part := o.part(); part != "" {
		detail += part + ": "
	}
	detail += answer(w, o, res)
	w.events = append(w.events, Event{ID: o.id, Other: o.callID(), At: w.now, Kind: eventDelivered, Detail: detail})
}

// answer is what SIP said to the request of o that was accepted, and when.
func answer(w *work, o *outbound, res mapping.Outcome) string {
	s := strconv.Itoa(res.Status) + " after " + strconv.FormatInt(w.now.Sub(o.read).Milliseconds(), 10) + " ms"
	if o.attempts > 1 {
		s += ", request " + strconv.Itoa(o.attempts)
	}
	return s
}

func (w *work) failed(o *outbound, f *mapping.Failure) { w.trail(o, eventFailed, f) }

// reported: the error has reached the server of the sender.
func (w *work) reported(o *outbound) {
	w.events = append(w.events, Event{ID: o.id, Other: o.callID(), At: w.now, Kind: eventReported, Detail: o.way()})
}

// untold: the error could not be told.
func (w *work) untold(o *outbound) {
	w.events = append(w.events, Event{ID: o.id, Other: o.callID(), At: w.now, Kind: eventUntold, Detail: o.way()})
}

// way says whose message it is and where it goes.
func (o *outbound) way() string {
	return "xmpp-sip " + o.from.String() + " -> " + o.to.String()
}
