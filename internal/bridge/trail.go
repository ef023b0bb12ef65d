package bridge

import (
	"errors"
	"strconv"
	"sync"
	"time"

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
	w.add(Event{ID: o.id, Other: o.callID(), At: w.now, Kind: kind, Detail: detail})
}

func (w *work) delivered(o *outbound, res mapping.Outcome) {
	w.events = append(w.events, event{
		Event: Event{ID: o.id, Other: o.callID(), At: w.now, Kind: eventDelivered},
		dir:   dirFromXMPP, from: o.from.String(), to: o.to.String(), part: o.part(),
		status: res.Status, took: w.now.Sub(o.read), requests: o.attempts,
	})
}

// event is an Event whose Detail may still have to be written. There is one for every
// message, so that is left to details, which has no lock held.
type event struct {
	Event

	// What Detail is made of; dir is "" if it is there already.
	dir       string // dirFromSIP or dirFromXMPP
	from, to  string
	part      string // which of several requests, "" if there is but one
	status    int
	condition mapping.Condition
	took      time.Duration
	requests  int // that were needed
	end       int // of Detail, in those of a batch
}

// maxDetailBuf is how big a buffer for the Details of a batch may be that is kept.
const maxDetailBuf = 64 << 10

var detailBufs = sync.Pool{New: func() any { return new([]byte) }}

// detail appends the Detail.
func (e *event) detail(b []byte) []byte {
	b = append(append(b, e.dir...), ' ')
	b = append(append(append(b, e.from...), " -> "...), e.to...)
	b = append(b, ' ')
	if e.dir == dirFromSIP {
		b = strconv.AppendInt(b, int64(e.status), 10)
		if e.condition != "" {
			b = append(append(b, ' '), e.condition...)
		}
		b = strconv.AppendInt(append(b, ' '), e.took.Milliseconds(), 10)
		return append(b, " ms"...)
	}
	if e.part != "" {
		b = append(append(b, e.part...), ": "...)
	}
	return appendAnswer(b, e.status, e.took, e.requests)
}

// details are the events with their Details, which share one string: they are written
// together, and go together.
func (w *work) details() []Event {
	buf := detailBufs.Get().(*[]byte)
	b := (*buf)[:0]
	for i := range w.events {
		if e := &w.events[i]; e.dir != "" {
			b = e.detail(b)
			e.end = len(b)
		}
	}
	all, from := string(b), 0
	if *buf = b; cap(b) <= maxDetailBuf {
		detailBufs.Put(buf)
	}
	for i := range w.events {
		e := &w.events[i]
		if e.dir != "" {
			e.Detail, from = all[from:e.end], e.end
		}
		w.kept = append(w.kept, e.Event)
	}
	return w.kept
}

// add notes an event whose Detail is there.
func (w *work) add(e Event) { w.events = append(w.events, event{Event: e}) }

// answer is what SIP said to the request of o that was accepted, and when.
func answer(w *work, o *outbound, res mapping.Outcome) string {
	return string(appendAnswer(nil, res.Status, w.now.Sub(o.read), o.attempts))
}

func appendAnswer(b []byte, status int, took time.Duration, requests int) []byte {
	b = append(strconv.AppendInt(b, int64(status), 10), " after "...)
	b = append(strconv.AppendInt(b, took.Milliseconds(), 10), " ms"...)
	if requests > 1 {
		b = strconv.AppendInt(append(b, ", request "...), int64(requests), 10)
	}
	return b
}

func (w *work) failed(o *outbound, f *mapping.Failure) { w.trail(o, eventFailed, f) }

// reported: the error has reached the server of the sender.
func (w *work) reported(o *outbound) {
	w.add(Event{ID: o.id, Other: o.callID(), At: w.now, Kind: eventReported, Detail: o.way()})
}

// untold: the error could not be told.
func (w *work) untold(o *outbound) {
	w.add(Event{ID: o.id, Other: o.callID(), At: w.now, Kind: eventUntold, Detail: o.way()})
}

// way says whose message it is and where it goes.
func (o *outbound) way() string {
	return "xmpp-sip " + o.from.String() + " -> " + o.to.String()
}
