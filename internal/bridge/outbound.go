package bridge

import (
	"time"

	"github.com/stoxgw/stox/mapping"
)

// outbound is a message on its way from XMPP to SIP. From takeXMPP on the bridge's
// mutex guards it.
type outbound struct {
	from, to mapping.JID // as in the stanza: where an error goes to, and whom it comes from
	id       string
	sender   mapping.JID   // bare: whose FIFO
	number   uint64        // of it in its notes
	text     string        // until History is told of it; "" unless that is told texts
	slot     *lane         // of lane, if it has that
	waits    *fifo         // of lane, if it waits there
	lane     string        // canonical address of record of the Request-URI
	parts    []mapping.SIP // without those that have arrived
	arrived  int           // so many before them have; see parts.go
	size     int           // octets in memory, about
	silent   bool          // of the gateway itself: see sendSilent
	read     time.Time
	expire   time.Time // from then on it is not tried again

	// What becomes of the request; see retry.go. All of it is in the row.
	sent      bool // the first of parts may have left as it now is
	left      bool // the first of parts has left, or may have, in whatever form
	attempts  int  // requests of it that may have left
	ambiguous int  // of these, how many had no clear end
	nextTried bool // a further target has been tried after a 500 or 504
	reshaped  bool // it has been given its other form after a 415
	restart   bool // it may have left before the process was started
	notBefore time.Time
	problem   *mapping.Failure // what the last attempt came to
	reported  *mapping.Failure // it is given up: what its sender is told
	lastCall  string           // given up: the Call-ID of the last request
	dropped   bool             // given up: the operator does not want its sender told any more

	// What its sender wants to be told; see receipts_xmpp.go. All but wished is in the row.
	wants     mapping.Notice
	typ       string // of the stanza
	messageID string // with which notifications are asked for; "" if they are not to be
	confirmed bool   // a notification has said that it has arrived; see hasArrived
	unsure    bool   // a part of it was accepted with something else than a 200
	wished    *wish  // once it has left

	// The row. rev is the version that the store was given last, kept the version
	// that is on the disk, counted from 1; 0 is none.
	row       uint64 // 0: there is none (any more)
	rev, kept uint32
	partNext  bool // it has the slot, and its next part waits for the row
	over      bool // done or given up: nothing about it counts any more
	unkept    bool // in Bridge.unjournaled
	spent     bool // its record is used again once it is not there; see records.go
}

// message is the request that is next.
func (o *outbound) message() *mapping.SIPMessage { return o.parts[0].(*mapping.SIPMessage) }

// change is the request that is next, as a copy: the SIP side may still read the one
// that it was given.
func (o *outbound) change() *mapping.SIPMessage {
	m := *o.message()
	o.parts[0] = &m
	return &m
}

// giveUp leaves of o what its sender is told, and nothing of its text. f is what failure
// has made of it.
func (o *outbound) giveUp(f *mapping.Failure) {
	o.lastCall = o.callID()
	o.reported, o.problem, o.parts, o.arrived = f, nil, nil, 0
}

// safe reports whether the row is on the disk as it is in memory.
func (o *outbound) safe() bool { return o.kept >= o.rev }

// callID is that of the next request, or of the last one of a message that is given up.
func (o *outbound) callID() string {
	if len(o.parts) == 0 {
		return o.lastCall
	}
	return o.message().CallID
}

// measure sets what depends on the requests: the lane and the size.
func (o *outbound) measure() {
	o.size = 512 + len(o.id)
	for _, part := range o.parts {
		s := part.(*mapping.SIPMessage)
		o.lane = s.RequestURI.AOR()
		size := len(s.Body) + len(s.Subject) + len(s.CallID)
		for _, t := range s.Subjects {
			size += 32 + len(t.Lang) + len(t.Value)
		}
		o.size += 2 * size // and once more in the row
	}
}
