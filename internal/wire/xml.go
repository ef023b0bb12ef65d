package wire

import (
	"bytes"
	"html"
	"strings"
)

// token is a piece of XML.
type token struct {
	kind  tokenKind
	from  int // it is b[from:to]
	to    int
	name  string // of an element, with its prefix
	attrs []attribute
}

type tokenKind uint8

const (
	tokenText tokenKind = iota
	tokenOpen
	tokenEmpty
	tokenClose
	tokenOther // a declaration, a comment
)

// attribute is one of a tag: its value is b[from:to].
type attribute struct {
	name     string
	from, to int
}

// maxAttributes is how many attributes of an element are read. A stanza with more is not shown.
const maxAttributes = 256

// nextToken reads what begins at b[i]. ok is false if that has no end, or is no XML.
func nextToken(b []byte, i int) (t token, ok bool) {
	rest := b[i:]
	t.from = i
	end := func(mark string, kind tokenKind) (token, bool) {
		n := bytes.Index(rest, []byte(mark))
		t.kind, t.to = kind, i+n+len(mark)
		return t, n >= 0
	}
	switch {
	case rest[0] != '<':
		if n := bytes.IndexByte(rest, '<'); n >= 0 {
			t.to = i + n
		} else {
			t.to = len(b)
		}
		return t, true
	case bytes.HasPrefix(rest, []byte("<![CDATA[")):
		return end("]]>", tokenText)
	case bytes.HasPrefix(rest, []byte("<!--")):
		return end("-->", tokenOther)
	case bytes.HasPrefix(rest, []byte("<?")):
		return end("?>", tokenOther)
	case bytes.HasPrefix(rest, []byte("<!")):
		return t, false
	case bytes.HasPrefix(rest, []byte("</")):
		t, ok = end(">", tokenClose)
		if ok {
			t.name = strings.TrimRight(string(b[i+2:t.to-1]), " \t\r\n")
		}
		return t, ok && isName(t.name)
	}
	return tag(b, t)
}

// tag reads a start tag.
func tag(b []byte, t token) (token, bool) {
	i := t.from + 1
	t.name, i = name(b, i)
	if t.name == "" {
		return t, false
	}
	for {
		spaced := i
		i = space(b, i)
		switch {
		case i >= len(b):
			return t, false
		case b[i] == '>':
			t.kind, t.to = tokenOpen, i+1
			return t, true
		case b[i] == '/':
			t.kind, t.to = tokenEmpty, i+2
			return t, i+1 < len(b) && b[i+1] == '>'
		case spaced == i || len(t.attrs) == maxAttributes:
			return t, false
		}
		var a attribute
		a.name, i = name(b, i)
		i = space(b, i)
		if a.name == "" || i >= len(b) || b[i] != '=' {
			return t, false
		}
		i = space(b, i+1)
		if i >= len(b) || b[i] != '"' && b[i] != '\'' {
			return t, false
		}
		n := bytes.IndexByte(b[i+1:], b[i])
		if n < 0 {
			return t, false
		}
		a.from, a.to = i+1, i+1+n
		t.attrs = append(t.attrs, a)
		i = a.to + 1
	}
}

func name(b []byte, i int) (string, int) {
	from := i
	for i < len(b) && isNameByte(b[i]) {
		i++
	}
	return string(b[from:i]), i
}

func space(b []byte, i int) int {
	for i < len(b) && strings.IndexByte(" \t\r\n", b[i]) >= 0 {
		i++
	}
	return i
}

func isName(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isNameByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isNameByte(c byte) bool { return c > ' ' && c != 0x7f && strings.IndexByte("<>/='\"&!?", c) < 0 }

// local is a name without its prefix, in lower case.
func local(name string) string { return strings.ToLower(name[strings.LastIndexByte(name, ':')+1:]) }

// value is that of the attribute with this name, "" if there is none. Where it is
// there twice, as no server writes it, the last one counts.
func (t *token) value(b []byte, name string) (v string) {
	for _, a := range t.attrs {
		if a.name == name {
			v = html.UnescapeString(string(b[a.from:a.to]))
		}
	}
	return v
}

// declares reports whether the element declares a namespace, with whatever prefix.
func (t *token) declares(b []byte, space string) bool {
	for _, a := range t.attrs {
		if strings.HasPrefix(a.name, "xmlns") && html.UnescapeString(string(b[a.from:a.to])) == space {
			return true
		}
	}
	return false
}

// stanza is one child of a stream, or the beginning or end of that.
type stanza struct {
	raw      []byte
	name     string
	from, to string // its attributes
	whole    bool   // false: it cannot be understood, or is not all of it
}

const streamName = "stream:stream"

// stanzas takes apart what was read or written in one go. What cannot be understood is the last
// one, up to the end.
func stanzas(b []byte) (all []stanza) {
	for i := space(b, 0); i < len(b); i = space(b, i) {
		s, n := firstStanza(b[i:])
		all = append(all, s)
		i += n
	}
	return all
}

// firstStanza is the one that b begins with, and its length.
func firstStanza(b []byte) (s stanza, n int) {
	var open []string
	for n < len(b) {
		t, ok := nextToken(b, n)
		if !ok || t.kind == tokenText && len(open) == 0 {
			break
		}
		if n = t.to; len(open) == 0 {
			if s = (stanza{name: t.name, from: t.value(b, "from"), to: t.value(b, "to")}); t.name == streamName {
				return stanza{raw: b[:n], name: t.name, from: s.from, to: s.to, whole: true}, n
			}
		}
		switch t.kind {
		case tokenOpen:
			open = append(open, t.name)
		case tokenClose:
			if len(open) == 0 || open[len(open)-1] != t.name {
				return stanza{raw: b}, len(b)
			}
			open = open[:len(open)-1]
		}
		if len(open) == 0 {
			s.raw, s.whole = b[:n], true
			return s, n
		}
	}
	return stanza{raw: b}, len(b)
}
