package component

import "errors"

// errTooBig ends the link: a stanza passed the hard limit.
var errTooBig = errors.New("stanza over the hard limit")

// hardLimit is how many octets of one stanza end the link. Whatever a user of
// the server or of another one can send must cost only the stanza (the soft
// limit), so it is far above: servers take 512 KiB from each other, and a quote
// in it is six octets when it is written to us.
func hardLimit(soft int) int { return max(8*soft, 4<<20) }

// readSize is how much is read from the connection at most in one go.
const readSize = 64 << 10

// source is what the scanner reads from: one buffer, which is filled by big reads.
// It counts the octets of the current stanza and shows none of them beyond a limit,
// whatever the scanner is in the middle of. What has been taken is never looked at
// again.
type source struct {
	fill  func([]byte) (int, error) // reads at least one octet or fails; may block
	buf   []byte
	r, w  int // what has been read and not been taken
	end   int // what may be looked at: up to w, or to where the limit is
	begun int // where counting began; below 0 once that has left the buffer
	limit int
	err   error // what fill or the limit said
	tape  tape
}

// begin starts counting anew.
func (s *source) begin(limit int) {
	s.begun, s.limit = s.r, limit
	s.tape.rewind(s.r)
	s.clip()
}

func (s *source) clip() {
	s.end = s.w
	if s.w-s.begun > s.limit {
		s.end = s.begun + s.limit
	}
}

// taken is how many octets have been taken since begin.
func (s *source) taken() int { return s.r - s.begun }

// more makes more octets visible. What is visible already moves to the front of
// the buffer: it must not be more than a few octets, or reading would be quadratic
// in what a stanza has, and nobody may have kept a slice of it.
func (s *source) more() error {
	if s.err != nil {
		return s.err
	}
	if s.end-s.begun >= s.limit {
		s.err = errTooBig
		return s.err
	}
	s.tape.roll(s.buf, s.r)
	s.w = copy(s.buf, s.buf[s.r:s.w])
	s.begun -= s.r
	s.r = 0
	n, err := s.fill(s.buf[s.w:])
	if err != nil {
		s.err = err
		return err
	}
	s.w += n
	s.clip()
	return nil
}

// peek returns the next octet without taking it.
func (s *source) peek() (byte, error) {
	if s.r == s.end {
		if err := s.more(); err != nil {
			return 0, err
		}
	}
	return s.buf[s.r], nil
}

// next takes an octet.
func (s *source) next() (byte, error) {
	c, err := s.peek()
	if err == nil {
		s.r++
	}
	return c, err
}

// space takes white space, reports whether there was any, and returns what is behind it
// without taking it.
func (s *source) space() (any bool, c byte, err error) {
	for {
		for s.r < s.end {
			if c = s.buf[s.r]; !isSpace(c) {
				return any, c, nil
			}
			s.r++
			any = true
		}
		if err = s.more(); err != nil {
			return any, 0, err
		}
	}
}

// skipSpace takes the white space between stanzas (keep-alives, RFC 6120 §4.6.1).
// No stanza is charged with it.
func (s *source) skipSpace() error {
	for {
		for s.r < s.w {
			if !isSpace(s.buf[s.r]) {
				return nil
			}
			s.r++
		}
		s.begin(len(s.buf))
		if err := s.more(); err != nil {
			return err
		}
	}
}

func isSpace(c byte) bool { return c <= ' ' && (c == ' ' || c == '\n' || c == '\t' || c == '\r') }
