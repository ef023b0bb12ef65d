package mapping

// Parcel is a value on its way across one of the walls (component|bridge,
// bridge|sipside). Ref is chosen by the giver and comes back unchanged in the
// Result; the taker never looks into it.
//
// Parcels and Results cross in slices: what was read in one go is handed over
// in one go. The taker of a slice may keep the values but not the slice.
type Parcel[V any] struct {
	Ref   any
	Value V
}

// Result says what became of the value that came with Ref. Every Parcel that
// was handed over gets exactly one.
type Result struct {
	Ref     any
	Outcome Outcome
}

// OutcomeKind is the closed list of ends that a value can come to.
type OutcomeKind uint8

const (
	// Processed: the XMPP server has handled the stanza and no bounce came (XMPP side only).
	Processed OutcomeKind = iota + 1
	// Bounced: the XMPP server answered with an error stanza (XMPP side only). Failure is set.
	Bounced
	// NotWritten: nothing has left. Definite on either side.
	NotWritten
	// Unknown: it was written and its fate is not known. XMPP side: no confirmation
	// within the deadline although the link is alive. SIP side: no final answer, or
	// the transport broke after writing. It may have arrived.
	Unknown
	// Uncertain: the XMPP link was lost after the stanza had been written.
	Uncertain
	// Answered: the SIP side gave a final answer (SIP side only). Status is set, and
	// Failure too unless Status is 2xx.
	Answered
	// Refused: we ourselves would not have it. Failure is set.
	Refused
)

// Outcome is what became of a value. The zero Outcome is invalid.
type Outcome struct {
	Kind    OutcomeKind
	Status  int      // Answered: the SIP status, 200-699
	Failure *Failure // Bounced, Refused, Answered with a status of 300 or more; may explain NotWritten and Unknown

	// More: the next hop has a target that this request has not been tried at (SIP side
	// only). The value goes there if it is handed over again with Target one higher.
	More bool
	// CSeq is the number of the request that this is the outcome of, if it is another one
	// than was handed over: whoever proves who he is sends the request again, under the next
	// number (RFC 3261 §22.2; SIP side only). 0: the one that was handed over.
	CSeq uint32
	// Accept is the value of the Accept header of an answer: of a 415, or of a 2xx to a
	// SIPQuery (SIP side only). "": there was none. See Accepts.
	Accept string
	// Room is set where the request is too long and its text may be sent in parts: so many
	// bytes of body are left for each (SIP side, NotWritten only). 0: it may not.
	Room int
	// Chars is how many characters each part may have besides, 0 any number: an SMS trunk
	// takes so many (SIP side, with Room).
	Chars int
	// Agent is what the user agent that gave the answer calls itself: the value of Server
	// or User-Agent (SIP side only). "": it does not say.
	Agent string
	// Event is what an answer to a request about events says besides; nil if it is another
	// request, or says nothing (SIP side, both ways).
	Event *EventAnswer
	// Doubtful: this is the outcome of a second copy; the link was lost after the first
	// one had been written, which may have arrived as well (XMPP side only).
	Doubtful bool
}

// Delivered reports whether the value is known to have reached the other side:
// processed by the XMPP server, or a 200 (never 202, RFC 3428 §4) from SIP.
func (o Outcome) Delivered() bool {
	return o.Kind == Processed || o.Kind == Answered && o.Status/100 == 2 && o.Status != 202
}

// Accepted reports whether nothing is left to be reported to the sender: the
// value was delivered, or the other side took it over with any 2xx.
func (o Outcome) Accepted() bool {
	return o.Kind == Processed || o.Kind == Answered && o.Status/100 == 2
}
