package presence

import "encoding/binary"

// restoreDialog takes a dialog that an earlier run has kept: the first byte of its Data says
// which role's it is. e.mu is held.
func (e *Engine) restoreDialog(out *work, d Dialog) {
	if len(d.Data) == 0 {
		return
	}
	switch d.Data[0] {
	case dialogOfSubscriber:
		e.restoreSubscription(out, d)
	case dialogOfNotifier:
		e.restoreWatcher(out, d)
	case dialogOfPublisher:
		e.restorePublication(out, d)
	}
}

// The roles, as the first byte of Dialog.Data.
const (
	dialogOfSubscriber = 's'
	dialogOfNotifier   = 'n'
	dialogOfPublisher  = 'p' // a publication
)

// A row is made of numbers and texts, one after the other, a text with its length in front.

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// rowReader reads a row. What is wrong makes all of it bad.
type rowReader struct {
	rest []byte
	bad  bool
}

func (r *rowReader) byte() byte {
	if len(r.rest) == 0 {
		r.bad = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

// number reads one up to limit; 0 if it is bad.
func (r *rowReader) number(limit uint64) uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || n > limit {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *rowReader) text() string {
	n := int(r.number(uint64(len(r.rest))))
	if n > len(r.rest) { // the number itself had its bytes
		r.bad, r.rest = true, nil
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

func (r *rowReader) unmarshal(v interface{ UnmarshalText([]byte) error }) {
	if v.UnmarshalText([]byte(r.text())) != nil {
		r.bad = true
	}
}
