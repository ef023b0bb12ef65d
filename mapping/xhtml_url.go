package mapping

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// linkTarget is the target of a link as it may stand in the markup, "" if it may not.
func linkTarget(s string) string {
	return cleanURL(s, "http", "https", "mailto", "xmpp", "sip", "tel", "cid")
}

// imageSource is the same for the source of an image.
func imageSource(s string) string { return cleanURL(s, "https", "cid") }

// cleanURL returns the absolute URL s if its scheme is one of those. As a browser does it
// looks past white space and controls around it and line ends anywhere in it; what has no
// place in a URL, or does not show, is percent-encoded, but for other scripts.
func cleanURL(s string, schemes ...string) string {
	s = strings.TrimFunc(s, func(r rune) bool { return r <= ' ' || r == 0xFEFF || unicode.IsSpace(r) })
	if strings.ContainsAny(s, "\t\r\n") {
		s = strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(s)
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || rest == "" || !utf8.ValidString(rest) {
		return ""
	}
	scheme = lower(scheme)
	ok = false
	for _, one := range schemes {
		ok = ok || scheme == one
	}
	if !ok {
		return ""
	}
	if scheme == "http" || scheme == "https" {
		host, two := strings.CutPrefix(rest, "//")
		if i := strings.IndexAny(host, "/?#"); i >= 0 {
			host = host[:i]
		}
		if !two || host == "" || strings.ContainsAny(host, `\ `) {
			return ""
		}
	}
	var b strings.Builder
	b.Grow(len(s))
	b.WriteString(scheme)
	b.WriteByte(':')
	for i, r := range rest {
		switch n := utf8.RuneLen(r); {
		case !legalXML(r), r == utf8.RuneError:
			return ""
		case r <= ' ', strings.ContainsRune("\"<>\\^`{|}", r), !unicode.IsPrint(r):
			for _, c := range []byte(rest[i : i+n]) {
				const hex = "0123456789ABCDEF"
				b.WriteByte('%')
				b.WriteByte(hex[c>>4])
				b.WriteByte(hex[c&15])
			}
		default:
			b.WriteString(rest[i : i+n])
		}
	}
	return b.String()
}

// frontPage reports whether a URL names a site and nothing on it.
func frontPage(url string) bool {
	scheme, rest, _ := strings.Cut(url, "://")
	return (scheme == "http" || scheme == "https") && !strings.ContainsAny(strings.TrimSuffix(rest, "/"), "/?#")
}

// namesPlace reports whether a text looks like the name of a place, which need not be the
// one that a link leads to.
func namesPlace(text string) bool {
	dot := strings.IndexByte(text, '.')
	return strings.Contains(text, "://") || dot >= 0 && dot+1 < len(text) && !isHTMLSpace(text[dot+1])
}

// sameTarget reports whether a text says what the target of a link is.
func sameTarget(text, url string) bool {
	scheme, rest, _ := strings.Cut(url, ":")
	switch scheme {
	case "http", "https":
		rest = strings.TrimSuffix(strings.TrimPrefix(rest, "//"), "/")
		for _, s := range []string{"http://", "https://"} {
			if len(text) >= len(s) && strings.EqualFold(text[:len(s)], s) {
				if s != scheme+"://" {
					return false
				}
				text = text[len(s):]
			}
		}
		return strings.EqualFold(strings.TrimSuffix(text, "/"), rest)
	case "tel":
		return telDigits(text) == telDigits(rest)
	case "mailto", "xmpp":
		rest, _, _ = strings.Cut(rest, "?") // a subject is no address
	}
	if len(text) > len(scheme) && strings.EqualFold(text[:len(scheme)], scheme) && text[len(scheme)] == ':' {
		text = text[len(scheme)+1:]
	}
	return strings.EqualFold(text, rest)
}

// telDigits is a number without what people group digits with, and without parameters.
func telDigits(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-.()/", r) || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

// linkType is a media type as it may stand in the markup, "" if it may not.
func linkType(s string) string {
	m, ok := parseMedia(strings.Trim(s, " \t\r\n"))
	if !ok || len(m.name) > 100 || !strings.Contains(m.name, "/") {
		return ""
	}
	return m.name
}

// imageLength is a width or height: pixels, or a percentage. "" if it is anything else.
func imageLength(s string) string {
	s = strings.TrimSuffix(lower(strings.Trim(s, " \t\r\n")), "px")
	digits := strings.TrimSuffix(s, "%")
	if digits == "" || len(digits) > 5 {
		return ""
	}
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return ""
		}
	}
	return s
}
