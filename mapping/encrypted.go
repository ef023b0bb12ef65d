package mapping

import "strings"

// isCiphertext reports whether a text is one that only the right program can read,
// though nothing beside it in the stanza says so (CT-14): a message of OTR, or the link
// of an encrypted file (XEP-0454), which carries its key and which no phone can open.
// A text that only mentions such a thing further on is none.
func isCiphertext(s string) bool {
	if len(s) == 0 || s[0] != '?' && s[0]|0x20 != 'a' { // nearly always
		return false
	}
	rest, otr := strings.CutPrefix(s, "?OTR")
	return otr && isOTR(rest) || hasScheme(s, "aesgcm")
}

// isOTR reports whether what follows "?OTR" makes it a message of the protocol (OTR
// version 3, "Query Messages", "Encoded messages" and "Fragmentation"). A person may
// well begin a question with these four characters.
func isOTR(s string) bool {
	if s == "" {
		return false
	}
	switch s[0] {
	case ':', ',', '|': // encoded; a fragment of version 2; a fragment of version 3
		return true
	case '?': // a query for version 1, and perhaps for later ones
		if s = s[1:]; s == "" || s[0] == '\n' || s[0] == '\r' {
			return true
		}
	}
	versions, found := strings.CutPrefix(s, "v")
	if !found {
		return false
	}
	return strings.HasPrefix(strings.TrimLeft(versions, "0123456789x"), "?")
}
