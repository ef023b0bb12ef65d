package sipside

import (
	"strconv"
	"strings"
)

// This file reads what header values are made of, and the values of From, To, Contact and CSeq.

// unquoted walks over s and calls f for each byte that is in no quoted string,
// until f says false. It gives the index where it stopped, -1 at the end.
func unquoted(s string, f func(c byte) bool) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && !f(c):
			return i
		}
	}
	return -1
}

// openQuote reports whether s ends within a quoted string.
func openQuote(s string) bool {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		}
	}
	return quoted
}

// cutList splits off the first element of a comma list; commas in quotes and in
// angle brackets do not count.
func cutList(s string) (first, rest string) {
	angle := false
	i := unquoted(s, func(c byte) bool {
		switch c {
		case '<':
			angle = true
		case '>':
			angle = false
		}
		return c != ',' || angle
	})
	if i < 0 {
		return strings.TrimSpace(s), ""
	}
	return strings.TrimSpace(s[:i]), s[i+1:]
}

// cutParam splits off the first parameter of ";a=b;c", without its semicolon.
func cutParam(s string) (name, value string, has bool, rest string) {
	s = strings.TrimPrefix(strings.TrimLeft(s, " \t"), ";")
	i := unquoted(s, func(c byte) bool { return c != ';' })
	if i >= 0 {
		s, rest = s[:i], s[i:]
	}
	name, value, has = strings.Cut(s, "=")
	return strings.TrimSpace(name), strings.TrimSpace(value), has, rest
}

// param finds a parameter in ";a=b;c"; names are case-insensitive (RFC 3261 §7.3.1).
func param(s, name string) (string, bool) {
	for s != "" {
		n, v, _, rest := cutParam(s)
		if strings.EqualFold(n, name) {
			return v, true
		}
		s = rest
	}
	return "", false
}

// strayParam reports whether ";a=b;;c" has a semicolon without a parameter. One at the
// very end is let pass.
func strayParam(s string) bool {
	for s != "" {
		name, _, has, rest := cutParam(s)
		if name == "" && !has && rest != "" {
			return true
		}
		s = rest
	}
	return false
}

// valueChar are the characters of a plain value of a parameter.
var valueChar = func() (t [256]bool) {
	for c := range t {
		t[c] = tokenChar[c]
	}
	for _, c := range "=:[]/@$&?" {
		t[c] = true
	}
	return t
}()

// nameAddr is the value of From, To or Contact.
type nameAddr struct {
	name   string // display name, unquoted
	uri    string
	params string
	tag    string
}

// parseNameAddr reads name-addr or addr-spec with its header parameters. Without
// angle brackets all parameters are the header's (RFC 3261 §20).
func parseNameAddr(s string) (n nameAddr, ok bool) {
	ok = n.parse(s)
	return n, ok
}

// parse is parseNameAddr into n, which is zero.
func (n *nameAddr) parse(s string) (ok bool) {
	if ok = n.plain(s); !ok {
		*n, ok = parseAnyAddr(s)
	}
	return ok
}

// plain reads the usual form of it: an address in angle brackets, without a name, and no
// parameter but a tag. It says false of all others; then some of n may not be zero.
func (n *nameAddr) plain(s string) bool {
	if len(s) < 3 || s[0] != '<' {
		return false
	}
	shut := 1
	for shut < len(s) && (valueChar[s[shut]] || s[shut] == ';') {
		shut++
	}
	if shut < 2 || shut == len(s) || s[shut] != '>' {
		return false
	}
	n.uri, n.params = s[1:shut], s[shut+1:]
	if n.params == "" {
		return true
	}
	const tag = ";tag="
	if !strings.HasPrefix(n.params, tag) {
		return false
	}
	n.tag = n.params[len(tag):]
	return isToken(n.tag)
}

func parseAnyAddr(s string) (n nameAddr, ok bool) {
	s = strings.TrimSpace(s)
	if openQuote(s) {
		return n, false
	}
	open := unquoted(s, func(c byte) bool { return c != '<' })
	if open < 0 {
		n.uri = s
		if i := strings.IndexByte(s, ';'); i >= 0 {
			n.uri, n.params = strings.TrimSpace(s[:i]), s[i:]
		}
		if strings.ContainsAny(n.uri, " \t\",<>?") { // addr-spec with these needs brackets
			return n, false
		}
	} else {
		n.name = strings.TrimSpace(s[:open])
		shut := strings.IndexByte(s[open:], '>')
		if shut < 0 {
			return n, false
		}
		n.uri = strings.TrimSpace(s[open+1 : open+shut])
		n.params = strings.TrimSpace(s[open+shut+1:])
		if n.params != "" && n.params[0] != ';' {
			return n, false
		}
		if n.name != "" && n.name[0] == '"' {
			if len(n.name) < 2 || n.name[len(n.name)-1] != '"' {
				return n, false
			}
			n.name = unquote(n.name)
		}
	}
	n.tag, _ = param(n.params, "tag")
	return n, n.uri != ""
}

// unquote takes the quotes off a quoted-string and resolves its escapes.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// parseCSeq reads "number METHOD"; numbers are below 2^31 (RFC 3261 §8.1.1.5).
func parseCSeq(s string) (n uint32, method string, ok bool) {
	if n, method, ok = plainCSeq(s); ok {
		return n, method, true
	}
	return parseAnyCSeq(s)
}

func parseAnyCSeq(s string) (n uint32, method string, ok bool) {
	number, method, found := strings.Cut(strings.ReplaceAll(s, "\t", " "), " ")
	v, err := strconv.ParseUint(number, 10, 31)
	method = strings.TrimSpace(method)
	return uint32(v), method, found && err == nil && isToken(method) && number[0] != '+'
}

// plainCSeq reads the usual form of it: few digits, a space, a method. It says false of all
// others.
func plainCSeq(s string) (n uint32, method string, ok bool) {
	i := 0
	for ; i < len(s) && i < 9 && s[i] >= '0' && s[i] <= '9'; i++ {
		n = n*10 + uint32(s[i]-'0')
	}
	if i == 0 || i == len(s) || s[i] != ' ' {
		return 0, "", false
	}
	method = s[i+1:]
	return n, method, isToken(method)
}
