package history

import (
	"math"
	"slices"
	"unicode/utf8"
)

// place is where a message is at rest: what is said of it in blocks, and besides the last notes
// about it if they say nothing but what a brief has room for, which is so with nearly all. So
// most notes cost a few octets here, and a message is put together when somebody looks, or when
// something is said of it that is not of that kind.
type place struct {
	key     uint64
	read    int64  // when it was read, in nanoseconds since 1970 ...
	mono    int64  // ... and since the book was made, by a clock that nobody sets
	first   uint32 // of its blocks
	next    uint32 // see index
	size    uint16 // octets in the blocks
	plain   bool   // these are the strings of its first note one behind the other, as they came; else they are what pack makes
	fromSIP bool
	lens    [plainCount]uint8 // if plain: of these strings
	n       uint8             // briefs
	octets  int32             // if plain: of the content
	briefs  [maxBriefs]brief
}

const placeBytes = 96 // of each

// maxBriefs are enough for a message that arrives at once.
const maxBriefs = 4

// brief is a Note of which most is empty.
type brief struct {
	after   uint32 // nanoseconds since the message was read
	status  int16
	kind    uint8 // index of kindNames, or noStep
	outcome uint8 // index of outcomeNames, or noOutcome
	n, of   uint8
}

const (
	noStep    = math.MaxUint8
	noOutcome = math.MaxUint8
)

// briefly is n, if a brief has room for it; the content does not count, which take sees to.
func (p *place) briefly(n *Note, mono int64) (s brief, ok bool) {
	after := mono - p.mono
	if len(n.Text)|len(n.Condition)|len(n.Remedy)|len(n.Body) != 0 ||
		after < 0 || after > math.MaxUint32 || uint(n.Status) > math.MaxInt16 || uint(n.N) > math.MaxUint8 || uint(n.Of) > math.MaxUint8 {
		return s, false
	}
	s = brief{after: uint32(after), status: int16(n.Status), kind: noStep, outcome: noOutcome, n: uint8(n.N), of: uint8(n.Of)}
	if n.Kind != "" {
		kind := slices.Index(kindNames[:usualKinds], n.Kind)
		if kind < 0 {
			return s, false
		}
		s.kind = uint8(kind)
	}
	if n.Outcome != "" {
		outcome := slices.Index(outcomeNames, n.Outcome)
		if outcome < 0 {
			return s, false
		}
		s.outcome = uint8(outcome)
	}
	return s, true
}

// jot adds n to the briefs, if it is one and there is room.
func (p *place) jot(n *Note, mono int64) bool {
	if n.Type != "" || n.Size > 0 {
		return false
	}
	s, ok := p.briefly(n, mono)
	if !ok {
		return false
	}
	if s.kind == noStep && s.status == 0 && p.n > 0 {
		if s.outcome != noOutcome {
			p.briefs[p.n-1].outcome = s.outcome
		}
		return true
	}
	if p.n == maxBriefs {
		return false
	}
	p.briefs[p.n] = s
	p.n++
	return true
}

// jotFirst is jot for the first note of a message, whose strings it appends to text.
func (p *place) jotFirst(n *Note, mono int64, text []byte) ([]byte, bool) {
	s, ok := p.briefly(n, mono)
	if !ok {
		return text, false
	}
	all := [plainCount]string{fieldUser: n.User, fieldContact: n.Contact, fieldSIP: n.SIP, fieldID: n.ID, fieldCallID: n.CallID, fieldType: n.Type}
	for i, part := range all {
		if len(part) > maxField {
			return text, false
		}
		p.lens[i] = uint8(len(part))
		text = append(text, part...)
	}
	p.plain, p.octets = true, int32(min(max(n.Size, 0), math.MaxInt32))
	p.briefs[0], p.n = s, 1
	return text, true
}

// rest gives the entry what it has of the place, whose blocks have text.
func (e *entry) rest(p *place, text []byte) {
	if p.plain {
		e.plain(p, text)
	} else {
		e.unpack(text)
	}
	e.key, e.read, e.mono, e.fromSIP = p.key, p.read, p.mono, p.fromSIP
	for _, s := range p.briefs[:p.n] {
		if s.outcome != noOutcome {
			e.decide(s.outcome, "", "", "")
		}
		if s.status != 0 {
			e.status = s.status
		}
		if s.kind != noStep {
			e.add(step{after: int64(s.after), status: s.status, kind: s.kind, n: s.n, of: s.of})
		}
	}
}

// plain is begin, and the Type and Size of take, for strings that were kept as they came.
func (e *entry) plain(p *place, text []byte) {
	*e = entry{size: p.octets, text: e.text[:0], steps: e.steps[:0]}
	for i, n := range p.lens {
		part := text[:n]
		text = text[n:]
		if !utf8.Valid(part) {
			e.fields[i] = e.keep(clip(string(part), maxField))
		} else if n > 0 {
			from := len(e.text)
			e.text = append(e.text, part...)
			e.fields[i] = span{uint16(from), uint16(len(e.text))}
		}
	}
}
