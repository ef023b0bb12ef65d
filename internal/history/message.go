package history

import (
	"strconv"
	"time"
)

// Message is what a Book knows of a message. It is a copy.
type Message struct {
	Key     string // names it as long as this process runs
	FromSIP bool   // to XMPP; else from there
	User    string // the XMPP user, a JID
	Contact string // the SIP contact as a JID, "" if there is none
	SIP     string // the same as a URI
	ID      string // of the stanza
	CallID  string
	Read    time.Time
	Known   bool // it is known from its beginning
	Outcome string
	Status  int    // the last that SIP has said, or was told; 0: none
	Reason  string // why it did not arrive
	Remedy  string // what an admin may do about that

	Condition string
	Type      string // of the content
	Size      int    // octets of it
	Body      string // "" unless it is to be shown
	Steps     []Step // in the order of time
	Omitted   int    // steps that are not among them
}

// Step is one of a message.
type Step struct {
	After     time.Duration // since it was read
	Kind      string
	Status    int
	N, Of     int
	Condition string
	Text      string
}

// Took is the time from reading a message to its last step.
func (m *Message) Took() time.Duration {
	if len(m.Steps) == 0 {
		return 0
	}
	return m.Steps[len(m.Steps)-1].After
}

// Peer is the address on the SIP side, as far as it is known.
func (m *Message) Peer() string {
	if m.SIP != "" {
		return m.SIP
	}
	return m.Contact
}

// keyOf is how a key is written.
func keyOf(key uint64) string { return strconv.FormatUint(key, 36) }

func (e *entry) message() Message {
	m := Message{
		Key: keyOf(e.key), FromSIP: e.fromSIP, Read: e.readAt(), Known: e.known, Outcome: outcomeNames[e.outcome],
		Status: int(e.status), Size: int(e.size), Body: e.field(fieldBody), Omitted: int(e.omitted),
		User: e.field(fieldUser), Contact: e.field(fieldContact), SIP: e.field(fieldSIP), ID: e.field(fieldID), CallID: e.field(fieldCallID),
		Type: e.field(fieldType), Reason: e.field(fieldReason), Condition: e.field(fieldCondition), Remedy: e.field(fieldRemedy),
	}
	for _, s := range e.steps {
		m.Steps = append(m.Steps, Step{After: time.Duration(s.after), Kind: kindNames[s.kind], Status: int(s.status), N: int(s.n), Of: int(s.of), Condition: string(e.get(s.condition)), Text: string(e.get(s.said))})
	}
	sortSteps(m.Steps)
	return m
}

func (e *entry) readAt() time.Time { return time.Unix(0, e.read) }

func (e *entry) field(i int) string { return string(e.get(e.fields[i])) }
