package history

import (
	"math"
	"strings"
	"unicode/utf8"
)

// entry is a message, unpacked to be looked at or changed.
type entry struct {
	key     uint64
	read    int64 // when it was read, in nanoseconds since 1970 ...
	mono    int64 // ... and since the book was made, by a clock that nobody sets
	size    int32
	status  int16
	omitted uint16 // steps
	outcome uint8  // index of outcomeNames
	fromSIP bool
	known   bool // it has its Read
	clipped bool // the user is not whole
	fields  [fieldCount]span
	text    []byte // what fields and steps refer to
	steps   []step
}

// span is a part of the text of an entry.
type span struct{ from, to uint16 }

// usualKinds are the first of kindNames.
const usualKinds = 7

const (
	fieldUser = iota
	fieldContact
	fieldSIP
	fieldID
	fieldCallID
	fieldType
	plainCount // those before it are in the first note of a message
)

const (
	fieldReason = plainCount + iota
	fieldCondition
	fieldRemedy
	fieldBody
	fieldCount
)

type step struct {
	after           int64 // nanoseconds since the message was read
	said, condition span
	status          int16
	kind            uint8 // index of kindNames
	n, of           uint8
}

var (
	kindNames = []string{Read, Sent, Early, Journaled, Answer, Processed, Answered, // the usual ones, of all messages that arrive at once
		Event, Refused, Loaded, NoAnswer, NotSent, Retry, Split, Told, Reported, Untold, Bounced, Unwritten, Unproved, LinkLost, Joined, Repeated, Late, Receipt}
	outcomeNames = Outcomes()

	kindIndex, outcomeIndex = indexOf(kindNames), indexOf(outcomeNames)
)

func indexOf(names []string) map[string]uint8 {
	m := make(map[string]uint8, len(names))
	for i, name := range names {
		m[name] = uint8(i)
	}
	return m
}

// begin is for the first note of a message, whose place is p.
func (e *entry) begin(p *place, n *Note) {
	*e = entry{key: p.key, read: p.read, mono: p.mono, fromSIP: p.fromSIP, text: e.text[:0], steps: e.steps[:0]}
	e.clipped = len(n.User) > maxField
	for i, s := range [...]string{fieldUser: n.User, fieldContact: n.Contact, fieldSIP: n.SIP, fieldID: n.ID, fieldCallID: n.CallID} {
		e.fields[i] = e.keep(clip(s, maxField))
	}
}

// take adds what n says, which was at mono.
func (e *entry) take(n *Note, mono int64) {
	if n.Type != "" {
		e.set(fieldType, n.Type)
	}
	if n.Size > 0 {
		e.size = int32(min(n.Size, math.MaxInt32))
	}
	if n.Body != "" && e.fields[fieldBody] == (span{}) {
		e.fields[fieldBody] = e.append(clip(n.Body, MaxBody))
	}
	if n.Outcome != "" {
		e.decide(outcomeIndex[n.Outcome], n.Text, n.Condition, n.Remedy) // of an unknown one nothing is decided
	}
	if n.Status != 0 {
		e.status = int16(n.Status)
	}
	if n.Kind == "" {
		return
	}
	s := step{after: mono - e.mono, status: int16(n.Status), n: uint8(min(n.N, math.MaxUint8)), of: uint8(min(n.Of, math.MaxUint8))}
	text, known := n.Text, false
	if s.kind, known = kindIndex[n.Kind]; !known {
		s.kind, text = kindIndex[Event], n.Kind+": "+n.Text
	}
	if text != "" {
		s.said = e.keep(clip(text, maxSaid))
	}
	if n.Condition != "" {
		s.condition = e.keep(clip(n.Condition, maxSaid))
	}
	e.add(s)
}

// decide says what has become of the message, and why.
func (e *entry) decide(outcome uint8, text, condition, remedy string) {
	e.outcome = outcome
	e.set(fieldReason, clip(text, maxSaid))
	e.set(fieldCondition, condition)
	e.set(fieldRemedy, remedy)
}

// add adds a step. In the place of those in the middle there are in the end the latest.
func (e *entry) add(s step) {
	if kind := kindNames[s.kind]; kind == Read || kind == Refused {
		e.known = true
	}
	if len(e.steps) == MaxSteps {
		copy(e.steps[MaxSteps/2:], e.steps[MaxSteps/2+1:])
		e.steps = e.steps[:MaxSteps-1]
		e.omitted++
	}
	e.steps = append(e.steps, s)
}

// set has a field say s, if that is something else.
func (e *entry) set(field int, s string) {
	if s == "" && e.fields[field] == (span{}) {
		return
	}
	s = clip(s, maxField)
	if string(e.get(e.fields[field])) != s {
		e.fields[field] = e.keep(s)
	}
}

// keep copies s, if there is room. What is there already is not copied again.
func (e *entry) keep(s string) span {
	said := len(e.text) - int(e.fields[fieldBody].to-e.fields[fieldBody].from)
	if s == "" || said+len(s) > maxText {
		return span{}
	}
	if r := e.fields[fieldReason]; r != (span{}) && string(e.get(r)) == s {
		return r
	}
	return e.append(s)
}

func (e *entry) append(s string) span {
	if s == "" {
		return span{} // as it is once it has been packed
	}
	from := len(e.text)
	e.text = append(e.text, s...)
	return span{uint16(from), uint16(len(e.text))}
}

func (e *entry) get(s span) []byte { return e.text[s.from:s.to] }

// clip is s without what is beyond n octets and what is no UTF-8.
func clip(s string, n int) string {
	if len(s) <= n && utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s[:min(len(s), n)], "")
}
