package mapping

import (
	"strings"
	"unicode"
)

// maxNick is how many characters of a display name are kept.
const maxNick = 100

// nameEnds are the characters that nick takes from neither end of a name.
var nameEnds = newCharset(alphanum)

// nick is the display name of From for XEP-0172: one line without the quotes around it
// and without what XML forbids. It is "" where the name says no more than the address:
// many devices show the number as the name.
func nick(name string, from *URI) string {
	name = lineXML(name)
	if name == "" || len(name) > maxNick || !nameEnds[name[0]] || !nameEnds[name[len(name)-1]] {
		return trimNick(name, from)
	}
	if isAddress(name, from) { // nothing to trim, nearly always
		return ""
	}
	return name
}

// trimNick is nick for a line of any kind.
func trimNick(name string, from *URI) string {
	name = strings.TrimFunc(name, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune("\"'`“”„‘’«»", r)
	})
	if !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) }) || isAddress(name, from) {
		return ""
	}
	n := 0
	for i := range name {
		if n++; n > maxNick {
			return strings.TrimRightFunc(name[:i], unicode.IsSpace)
		}
	}
	return name
}

// isAddress reports whether s is u in some way of writing: user, user@host, or the URI.
func isAddress(s string, u *URI) bool {
	if strings.EqualFold(s, u.User) {
		return true
	}
	s = strings.Trim(s, "<>")
	for _, scheme := range [...]string{"sip:", "sips:", "tel:", "im:"} {
		if len(s) > len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) {
			s = s[len(scheme):]
			break
		}
	}
	if strings.EqualFold(s, u.User) {
		return true
	}
	user, host, at := strings.Cut(s, "@")
	return at && strings.EqualFold(user, u.User) && strings.EqualFold(host, u.Host)
}
