package history

import "encoding/binary"

// An entry is at rest as a sequence of octets, without pointers and without room to spare:
//
//	flags, outcome, the numbers of the message but for those in its place
//	each field: its length and, if it has one, where it begins
//	the number of steps; each: its kind, what it has (hasStatus ...), that
//	the text
//
// Numbers are varints. It is never read by anybody but the process that wrote it.

const (
	isKnown = 1 << iota
	isClipped
)

const (
	hasStatus = 1 << iota
	hasSaid
	hasCondition
	hasNumbers
)

// pack appends what is to be kept of e to p, but for what its place has.
func (e *entry) pack(p []byte) []byte {
	p = append(p, bit(e.known, isKnown)|bit(e.clipped, isClipped), e.outcome)
	p = binary.AppendVarint(p, int64(e.size))
	p = binary.AppendVarint(p, int64(e.status))
	p = binary.AppendUvarint(p, uint64(e.omitted))
	for _, s := range e.fields {
		p = s.pack(p)
	}
	p = append(p, byte(len(e.steps)))
	for i := range e.steps {
		s := &e.steps[i]
		p = append(p, s.kind, bit(s.status != 0, hasStatus)|bit(s.said != span{}, hasSaid)|bit(s.condition != span{}, hasCondition)|bit(s.n|s.of != 0, hasNumbers))
		p = binary.AppendVarint(p, s.after)
		if s.status != 0 {
			p = binary.AppendVarint(p, int64(s.status))
		}
		if s.said != (span{}) {
			p = s.said.pack(p)
		}
		if s.condition != (span{}) {
			p = s.condition.pack(p)
		}
		if s.n|s.of != 0 {
			p = append(p, s.n, s.of)
		}
	}
	return append(p, e.text...)
}

func (s span) pack(p []byte) []byte {
	p = binary.AppendUvarint(p, uint64(s.to-s.from))
	if s.to != s.from {
		p = binary.AppendUvarint(p, uint64(s.from))
	}
	return p
}

func bit(is bool, b byte) byte {
	if is {
		return b
	}
	return 0
}

// unpack makes e what pack was given, but for what its place has. The memory that e has is used
// again.
func (e *entry) unpack(p []byte) {
	r := unpacker(p)
	flags := r.octet()
	*e = entry{known: flags&isKnown != 0, clipped: flags&isClipped != 0, outcome: r.octet(), text: e.text[:0], steps: e.steps[:0]}
	e.size, e.status, e.omitted = int32(r.varint()), int16(r.varint()), uint16(r.uvarint())
	for i := range e.fields {
		e.fields[i] = r.span()
	}
	for range r.octet() {
		s := step{kind: r.octet()}
		has := r.octet()
		s.after = r.varint()
		if has&hasStatus != 0 {
			s.status = int16(r.varint())
		}
		if has&hasSaid != 0 {
			s.said = r.span()
		}
		if has&hasCondition != 0 {
			s.condition = r.span()
		}
		if has&hasNumbers != 0 {
			s.n, s.of = r.octet(), r.octet()
		}
		e.steps = append(e.steps, s)
	}
	e.text = append(e.text, r...)
}

// unpacker is what is still to be read.
type unpacker []byte

func (r *unpacker) octet() byte {
	b := (*r)[0]
	*r = (*r)[1:]
	return b
}

func (r *unpacker) varint() int64 {
	v, n := binary.Varint(*r)
	*r = (*r)[n:]
	return v
}

func (r *unpacker) uvarint() uint64 {
	v, n := binary.Uvarint(*r)
	*r = (*r)[n:]
	return v
}

func (r *unpacker) span() span {
	n := r.uvarint()
	if n == 0 {
		return span{}
	}
	from := r.uvarint()
	return span{uint16(from), uint16(from + n)}
}
