package sipside

import "sync/atomic"

// Methods are what requests and responses are counted by; the last one stands for all that
// are not among them, whatever a peer may call them.
var Methods = [...]string{methodMessage, methodOptions, methodRegister, "CANCEL", "INVITE", "SUBSCRIBE", "NOTIFY", "PUBLISH", "other"}

// Stats are counters since the start.
type Stats struct {
	Malformed atomic.Uint64 // messages that are no SIP, or bad SIP
	Refused   atomic.Uint64 // requests answered by the SIP side itself
	Strangers atomic.Uint64 // requests from sources that are no peers, answered or not
	Blocked   atomic.Uint64 // of these, from sources that an admin has blocked
	Limited   atomic.Uint64 // requests beyond the rate of their source, which got 503
	Unmatched atomic.Uint64 // responses to nothing that is open
	Dropped   atomic.Uint64 // packets and connections for which there was no room
	Panics    atomic.Uint64
	Guesses   atomic.Uint64 // wrong passwords

	sent, received [len(Methods)]classes       // responses
	unanswered     [len(Methods)]atomic.Uint64 // requests that left and had no final response in time
	unsent         [len(Methods)]atomic.Uint64 // requests that did not leave
}

// classes are responses by the first digit of their status, less one.
type classes [6]atomic.Uint64

// add counts a response. Whoever has none to count with counts nothing.
func (c *classes) add(status int) {
	if i := status/100 - 1; c != nil && i >= 0 && i < len(c) {
		c[i].Add(1)
	}
}

// methodIndex is the place of a method in Methods.
func methodIndex(method string) int {
	for i, m := range Methods {
		if m == method {
			return i
		}
	}
	return len(Methods) - 1
}

// Traffic is what was counted of one method.
type Traffic struct {
	Method         string
	Sent, Received [6]uint64 // responses, by the first digit of their status: 1xx first; also those that a peer would not take
	Unanswered     uint64    // requests of ours that left and had no final response
	Unsent         uint64    // requests of ours that did not leave
}

// Traffic gives what was counted by method, in the order of Methods.
func (s *Stats) Traffic() []Traffic {
	out := make([]Traffic, len(Methods))
	for i := range out {
		t := &out[i]
		t.Method = Methods[i]
		for class := range t.Sent {
			t.Sent[class], t.Received[class] = s.sent[i][class].Load(), s.received[i][class].Load()
		}
		t.Unanswered, t.Unsent = s.unanswered[i].Load(), s.unsent[i].Load()
	}
	return out
}

// Load is what the SIP side has in hand.
type Load struct {
	Incoming int // requests that wait for our answer
	Outgoing int // requests of ours that wait for an answer
	Accepted int // connections that others have opened
	Dialled  int // connections that we have opened
}

// Load gives what there is at this moment.
func (u *UA) Load() (l Load) {
	u.server.mu.Lock()
	l.Incoming = len(u.server.pending)
	u.server.mu.Unlock()
	u.client.mu.Lock()
	l.Outgoing = u.client.open.count
	u.client.mu.Unlock()
	u.conns.mu.Lock()
	defer u.conns.mu.Unlock()
	l.Accepted, l.Dialled = u.conns.accepted, len(u.conns.streams)-u.conns.accepted
	return l
}

// Stats gives the counters.
func (u *UA) Stats() *Stats { return &u.stats }
