package mapping

import "strings"

// Accepts reports whether media, a media type in lower case without parameters, is one of
// those that the value of an Accept header takes (RFC 3261 §20.1). Ranges count,
// parameters do not, but a type with q=0 is refused.
func Accepts(accept, media string) bool {
	major, _, _ := strings.Cut(media, "/")
	best, found := 0, false
	for one := range strings.SplitSeq(accept, ",") {
		m, ok := parseMedia(strings.Trim(one, " \t"))
		if !ok {
			continue
		}
		rank := 0
		switch m.name {
		case media:
			rank = 3
		case major + "/*":
			rank = 2
		case "*/*":
			rank = 1
		}
		if rank > best {
			best, found = rank, strings.Trim(m.param("q"), "0.") != "" || m.param("q") == ""
		}
	}
	return found
}
