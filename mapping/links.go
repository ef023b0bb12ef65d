package mapping

import (
	"strings"
	"unicode"
)

// maxLinks is how many links beside a text are carried. Clients send one.
const maxLinks = 16

// linkSchemes are those of the links that may be of use to somebody with a phone. Others
// name what only the sender's program has, or hold the content itself.
var linkSchemes = [...]string{"https", "http", "xmpp", "mailto", "sip", "sips", "tel", "geo", "ftp"}

// withLinks returns text with each of the links that it does not have on a line of its
// own (CT-16), or the links alone if it says nothing. A link that is of no use is left out
// where there is a text, and refused where there is none: its sender believes it sent.
func withLinks(text string, links []string) (string, *Failure) {
	if len(links) == 0 {
		return text, nil
	}
	if len(links) > maxLinks {
		return "", FailTooLarge(0)
	}
	if strings.TrimSpace(text) == "" {
		text = ""
	}
	for _, link := range links {
		link = cleanLink(link)
		if hasScheme(link, "aesgcm") {
			return "", FailEncrypted()
		}
		if !isLink(link) || hasLink(text, link) {
			continue
		}
		if text != "" {
			text += "\n"
		}
		text += link
	}
	if text == "" {
		return "", FailLink()
	}
	return text, nil
}

// cleanLink makes s fit for a line: no controls, and spaces as a URI writes them.
func cleanLink(s string) string {
	s = strings.Map(func(r rune) rune {
		if breaksLine(r) {
			return -1
		}
		return r
	}, strings.TrimSpace(s))
	return strings.ReplaceAll(s, " ", "%20")
}

func isLink(s string) bool {
	for _, scheme := range linkSchemes {
		if hasScheme(s, scheme) {
			return true
		}
	}
	return false
}

// hasScheme reports whether s is a URI of the scheme, which is in lower case.
func hasScheme(s, scheme string) bool {
	n := len(scheme)
	return len(s) > n+1 && s[n] == ':' && lower(s[:n]) == scheme
}

// hasLink reports whether link stands in text, and not only as the beginning of a
// longer one.
func hasLink(text, link string) bool {
	for {
		i := strings.Index(text, link)
		if i < 0 {
			return false
		}
		text = text[i+len(link):]
		rest := text
		if end := strings.IndexFunc(rest, endsLink); end >= 0 {
			rest = rest[:end]
		}
		if strings.Trim(rest, `.,;:!?)]}'`) == "" {
			return true
		}
		text = text[len(rest):]
	}
}

func endsLink(r rune) bool { return unicode.IsSpace(r) || r == '<' || r == '>' || r == '"' }
