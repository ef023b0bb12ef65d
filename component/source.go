package component

import "errors"

// errTooBig ends the link: a stanza passed the hard limit.
var errTooBig = errors.New("stanza over the hard limit")

// hardLimit is how many octets of one stanza end the link. Whatever a user of
// the server or of another one can send must cost only the stanza (the soft
// limit), so it is far above: servers take 512 KiB from each other, and a quote
// in it is six octets when it is written to us.
func hardLimit(soft int) int { return max(8*soft, 4<<20) }

// source is the reader under the XML decoder. It counts the octets of the
// current stanza and stops at a limit, whatever the decoder is in the middle
// of. It is an io.ByteReader, so the decoder puts no buffer of its own on top:
// what is buffered is known, and with it the end of what was read in one go.
type source struct {
	fill  func([]byte) (int, error) // reads at least one octet or fails; may block
	buf   []byte
	r, w  int
	n     int // octets taken since begin
	limit int
	err   error // what fill or the limit said; the decoder wraps it beyond recognition
}

// begin starts counting anew.
func (s *source) begin(limit int) { s.n, s.limit = 0, limit }

func (s *source) more() error {
	if s.err != nil {
		return s.err
	}
	n, err := s.fill(s.buf)
	if err != nil {
		s.err = err
		return err
	}
	s.r, s.w = 0, n
	return nil
}

// ReadByte implements io.ByteReader.
func (s *source) ReadByte() (byte, error) {
	if s.r == s.w {
		if err := s.more(); err != nil {
			return 0, err
		}
	}
	if s.n >= s.limit {
		s.err = errTooBig
		return 0, s.err
	}
	b := s.buf[s.r]
	s.r++
	s.n++
	return b, nil
}

// Read implements io.Reader; the decoder prefers ReadByte.
func (s *source) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := s.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

// skipSpace takes the white space between stanzas (keep-alives, RFC 6120
// §4.6.1) away from the decoder, which would gather it for ever.
func (s *source) skipSpace() error {
	for {
		for s.r < s.w {
			switch s.buf[s.r] {
			case ' ', '\t', '\r', '\n':
				s.r++
			default:
				return nil
			}
		}
		if err := s.more(); err != nil {
			return err
		}
	}
}
