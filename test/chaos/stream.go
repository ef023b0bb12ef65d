package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
)

// splitter cuts an XMPP stream into its stanzas, whatever the pieces in which it
// comes. XMPP forbids comments and processing instructions (RFC 6120 §11.1), and
// no server writes CDATA.
type splitter struct {
	buf   []byte
	scan  int // buf is understood up to here
	depth int
	begin int // of the stanza in buf, at depth 2 and below
}

// feed takes the next piece and calls f with each stanza that is whole, and with
// the header of the stream.
func (s *splitter) feed(piece []byte, f func(stanza []byte)) error {
	s.buf = append(s.buf, piece...)
	for {
		at := bytes.IndexByte(s.buf[s.scan:], '<')
		if at < 0 {
			break
		}
		at += s.scan
		end := tagEnd(s.buf, at)
		if end < 0 {
			s.scan = at
			break
		}
		tag := s.buf[at:end]
		s.scan = end
		switch {
		case tag[1] == '?':
		case tag[1] == '/':
			if s.depth--; s.depth == 1 {
				f(s.buf[s.begin:end])
			}
		case tag[len(tag)-2] == '/':
			if s.depth == 1 {
				f(tag)
			}
		default:
			if s.depth == 0 {
				f(tag)
			} else if s.depth == 1 {
				s.begin = at
			}
			s.depth++
		}
		if s.depth < 0 {
			return fmt.Errorf("more tags end than begin in %q", s.buf)
		}
	}
	if s.depth <= 1 { // between stanzas: forget what was read
		keep := len(s.buf)
		if i := bytes.IndexByte(s.buf[s.scan:], '<'); i >= 0 {
			keep = s.scan + i
		}
		s.buf = append(s.buf[:0], s.buf[keep:]...)
		s.scan = 0
	}
	return nil
}

// tagEnd is where the tag that begins at b[at] ends, or -1.
func tagEnd(b []byte, at int) int {
	var quote byte
	for i := at; i < len(b); i++ {
		switch c := b[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '>':
			return i + 1
		}
	}
	return -1
}

// stanza is what the proof needs to know of one.
type stanza struct {
	XMLName xml.Name
	ID      string `xml:"id,attr"`
	From    string `xml:"from,attr"`
	To      string `xml:"to,attr"`
	Type    string `xml:"type,attr"`
	Body    string `xml:"body"`
	Error   struct {
		Any []struct {
			XMLName xml.Name
			Text    string `xml:",chardata"`
		} `xml:",any"`
	} `xml:"error"`
	Bind string `xml:"bind>jid"`
}

func parseStanza(raw []byte) (stanza, error) {
	var st stanza
	err := xml.Unmarshal(raw, &st)
	return st, err
}

// fault is the condition and the text of an error stanza.
func (st stanza) fault() (condition, text string) {
	for _, e := range st.Error.Any {
		switch {
		case e.XMLName.Local == "text":
			text = e.Text
		case condition == "":
			condition = e.XMLName.Local
		}
	}
	return condition, text
}
