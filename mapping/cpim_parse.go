package mapping

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The limits of what is read. Real messages have some ten headers.
const (
	maxCPIMHeaders = 64   // lines, message headers and MIME headers each
	maxCPIMName    = 256  // bytes
	maxCPIMSpace   = 1024 // bytes of a namespace URI
	maxCPIMValue   = 8192 // bytes, without escapes and with the names of a Require at full length
)

// ParseCPIM reads a message/cpim. The error is a *Failure for the sender. Body shares the
// memory of b.
//
// It takes the syntax of RFC 3862 §3 and, beyond that, what user agents are known to send:
//   - lines that end with LF alone;
//   - no empty line between the headers of the message and those of the content, as in
//     all examples of RFC 5438: what is named Content-… begins the latter;
//   - no space after the colon, or several, which become part of the Value;
//   - the prefix imdn without an NS header;
//   - a content without a Content-Type, or without any header at all, which then is
//     text/plain in UTF-8.
//
// Headers with a prefix that nobody has declared are left out, and so are parameters but
// lang. A Require with such a prefix is an error: nobody can tell what is required.
func ParseCPIM(b []byte) (*CPIM, error) {
	var p cpimParser
	rest, f := p.messageHeaders(b)
	if f == nil {
		rest, f = p.contentHeaders(rest)
	}
	if f != nil {
		return nil, f
	}
	p.c.Body = rest
	return &p.c, nil
}

type cpimParser struct {
	c        CPIM
	lines    int
	fallback string // the namespace of names without prefix
	prefixes []Attr // the others, with their namespaces
}

// badCPIM refuses a message. What is wrong with it goes to the log; it has no word of the
// message.
func badCPIM(why string) *Failure {
	f := FailBadRequest(TypeCPIM)
	f.Err = errors.New("mapping: " + TypeCPIM + ": " + why)
	return f
}

// messageHeaders reads the first block. What is left begins with the second.
func (p *cpimParser) messageHeaders(b []byte) ([]byte, *Failure) {
	for {
		if isContentName(b) {
			return b, nil
		}
		line, rest, ended := cutLine(b)
		switch {
		case !ended:
			return nil, badCPIM("the headers have no end")
		case len(line) == 0:
			return rest, nil
		}
		if f := p.count(); f != nil {
			return nil, f
		}
		if f := p.header(line); f != nil {
			return nil, f
		}
		b = rest
	}
}

func (p *cpimParser) count() *Failure {
	if p.lines++; p.lines > maxCPIMHeaders {
		return badCPIM("too many headers")
	}
	return nil
}

// cutLine takes the first line, which has no CR or LF in the end. ended is false if
// nothing ends it but the end of b.
func cutLine(b []byte) (line, rest []byte, ended bool) {
	line, rest, ended = bytes.Cut(b, []byte("\n"))
	if ended {
		line = bytes.TrimSuffix(line, []byte("\r"))
	}
	return line, rest, ended
}

// header reads Header-name ":" *( ";" Parameter ) SP Header-value.
func (p *cpimParser) header(line []byte) *Failure {
	if !utf8.Valid(line) {
		return FailBadText()
	}
	name, rest, ok := strings.Cut(string(line), ":")
	if !ok {
		return badCPIM("a line is no header")
	}
	prefix, name, ok := splitCPIMName(name)
	if !ok {
		return badCPIM("a name is not one")
	}
	h := CPIMHeader{Name: name}
	if h.Lang, rest, ok = cutCPIMParams(rest); !ok {
		return badCPIM("a parameter is not one")
	}
	rest = strings.TrimPrefix(rest, " ")
	if strings.ContainsFunc(rest, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return badCPIM("a control character in a header")
	}
	if h.Value = unescapeCPIM(rest); len(h.Value) > maxCPIMValue {
		return badCPIM("a header is too long")
	}
	// These two are syntax: they are what they are, whatever other names may mean.
	if prefix != "" || name != "NS" && name != "Require" {
		var f *Failure
		if h.Space, ok, f = p.space(prefix); f != nil || !ok {
			return f
		}
	}
	if h.Space == "" {
		switch name {
		case "NS":
			return p.declare(h.Value)
		case "Require":
			var f *Failure
			if h.Value, f = p.expand(h.Value); f != nil || h.Value == "" {
				return f
			}
		}
	}
	p.c.Headers = append(p.c.Headers, h)
	return nil
}

// splitCPIMName reads Header-name = [ Name-prefix "." ] Name.
func splitCPIMName(s string) (prefix, name string, ok bool) {
	prefix, name, dot := strings.Cut(s, ".")
	if !dot {
		return "", s, isCPIMName(s)
	}
	return prefix, name, isCPIMName(prefix) && isCPIMName(name)
}

// cutCPIMParams takes the parameters away, which begin right behind the colon.
func cutCPIMParams(s string) (lang, rest string, ok bool) {
	for strings.HasPrefix(s, ";") {
		name, value, found := strings.Cut(s[1:], "=")
		if !found || !isCPIMName(name) {
			return "", "", false
		}
		end := strings.IndexAny(value, "; ")
		if strings.HasPrefix(value, `"`) {
			if end = quotedEnd(value); end < 0 {
				return "", "", false
			}
		} else if end < 0 {
			end = len(value)
		}
		value, s = value[:end], value[end:]
		if name == "lang" {
			lang = LanguageTag(strings.Trim(value, `"`))
		}
	}
	return lang, s, true
}

// quotedEnd is where the String that s begins with is over, -1 if it never is.
func quotedEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// space is the namespace that a prefix stands for; false if it has not been declared.
func (p *cpimParser) space(prefix string) (string, bool, *Failure) {
	if prefix == "" {
		return p.fallback, true, nil
	}
	for i := len(p.prefixes) - 1; i >= 0; i-- { // the last word counts
		if p.prefixes[i].Name == prefix {
			return p.prefixes[i].Value, true, nil
		}
	}
	if prefix != "imdn" {
		return "", false, nil
	}
	p.prefixes = append(p.prefixes, Attr{prefix, SpaceIMDN})
	return SpaceIMDN, true, p.count() // as if there had been an NS header
}

// declare reads the value of an NS header: [ Name-prefix ] "<" URI ">".
func (p *cpimParser) declare(value string) *Failure {
	prefix, uri, ok := strings.Cut(strings.Trim(value, " \t"), "<")
	prefix = strings.Trim(prefix, " \t")
	uri, closed := strings.CutSuffix(uri, ">")
	if !ok || !closed || prefix != "" && !isCPIMName(prefix) || !isSpace(uri) {
		return badCPIM("an NS header is not one")
	}
	if uri = coreSpace(uri); prefix == "" {
		p.fallback = uri
	} else {
		p.prefixes = append(p.prefixes, Attr{prefix, uri})
	}
	return nil
}

// expand brings the value of a Require header into the form that needs no prefixes. It
// is "" if there is no name in it.
func (p *cpimParser) expand(value string) (string, *Failure) {
	var b strings.Builder
	for one := range strings.SplitSeq(value, ",") {
		if one = strings.Trim(one, " \t"); one == "" {
			continue
		}
		prefix, name, ok := splitCPIMName(one)
		var space string
		if ok {
			var f *Failure
			if space, ok, f = p.space(prefix); f != nil {
				return "", f
			}
		}
		if !ok {
			return "", badCPIM("a Require header names what is nowhere declared")
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		if space != "" {
			b.WriteString("<" + space + ">")
		}
		b.WriteString(name)
		if b.Len() > maxCPIMValue {
			return "", badCPIM("a header is too long")
		}
	}
	return b.String(), nil
}

// contentHeaders reads the second block, the headers of the content (RFC 2045), and sees
// to it that there is a Content-Type.
func (p *cpimParser) contentHeaders(b []byte) ([]byte, *Failure) {
	typed, named := false, hasContentHeaders(b)
	for lines := 0; named; lines++ {
		line, rest, _ := cutLine(b)
		if b = rest; len(line) == 0 {
			break
		}
		line = slices.Clip(line)                          // what is appended must not go over b
		for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') { // folded (RFC 5322 §2.2.3)
			var more []byte
			more, b, _ = cutLine(b)
			line = append(line, more...)
			if len(line) > maxCPIMValue {
				return nil, badCPIM("a header is too long")
			}
		}
		if !utf8.Valid(line) {
			return nil, FailBadText()
		}
		name, value, ok := strings.Cut(string(line), ":")
		name, value = lower(name), HeaderText(value)
		switch {
		case !ok || !isToken(name) || len(name) > maxCPIMName:
			return nil, badCPIM("a line is no header of the content")
		case len(value) > maxCPIMValue || lines == maxCPIMHeaders:
			return nil, badCPIM("a header is too long, or there are too many")
		case value == "":
			continue
		case name == "content-type" && typed:
			return nil, badCPIM("the content has two types")
		}
		typed = typed || name == "content-type"
		p.c.Content = append(p.c.Content, Attr{name, value})
	}
	if !typed {
		if len(p.c.Content) == maxCPIMHeaders {
			return nil, badCPIM("too many headers")
		}
		p.c.Content = append(p.c.Content, Attr{"content-type", plainUTF8})
	}
	return b, nil
}

// hasContentHeaders reports whether b begins with headers of a content, or with the empty
// line that ends them; else it is the content already. A text that looks like headers is
// not mistaken for them unless one of the names is Content-…
func hasContentHeaders(b []byte) bool {
	for first := true; ; first = false {
		line, rest, ended := cutLine(b)
		if len(line) == 0 {
			return first && ended
		}
		if isContentName(line) {
			return true
		}
		folded := !first && (line[0] == ' ' || line[0] == '\t')
		if name, _, ok := bytes.Cut(line, []byte(":")); !folded && (!ok || !isToken(string(name))) {
			return false
		}
		b = rest
	}
}

// unescapeCPIM undoes the escapes of a header's value (RFC 3862 §2.3). What is no escape
// stands for the character behind the backslash; half of a surrogate pair for nothing
// that there is, U+FFFD.
func unescapeCPIM(s string) string {
	i := strings.IndexByte(s, '\\')
	if i < 0 {
		return s
	}
	b := append(make([]byte, 0, len(s)), s[:i]...)
	for ; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		i++
		switch s[i] {
		case 'b':
			b = append(b, '\b')
		case 't':
			b = append(b, '\t')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 'u':
			r, ok := hex4(s[i+1:])
			if !ok {
				b = append(b, 'u')
				continue
			}
			i += 4
			if next, ok := strings.CutPrefix(s[i+1:], `\u`); ok && 0xd800 <= r && r < 0xdc00 {
				if low, ok := hex4(next); ok && 0xdc00 <= low && low < 0xe000 {
					r, i = 0x10000+(r-0xd800)<<10+(low-0xdc00), i+6
				}
			}
			b = utf8.AppendRune(b, r) // U+FFFD if it is a surrogate
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

// hex4 reads the four hex digits that s begins with.
func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:4], 16, 16)
	return rune(n), err == nil
}
