package mapping

import "strings"

// maxWarnings is how many of the warnings of an answer a sender is shown.
const maxWarnings = 2

// noisyFeedback is the code under which Kamailio and OpenSIPS tell their own admin about
// the request that they answer, with addresses of their network. No RFC has it.
const noisyFeedback = "392"

// withWarnings puts what the warnings of an answer say behind the text of its failure, in
// brackets, as far as there is room: the first few that say something new. values are those
// of Warning headers (RFC 3261 §20.43), each with any number of warnings; malformed ones
// are passed over.
func withWarnings(text string, values []string) string {
	said := ""
	for n := 0; len(values) > 0 && n < maxWarnings; values = values[1:] {
		for v := values[0]; v != "" && n < maxWarnings; {
			var one string
			one, v = cutWarning(v)
			code, t, ok := parseWarning(one)
			if t = sentence(t); !ok || t == "" || code == noisyFeedback || strings.Contains(text, t) || t == said {
				continue
			}
			if n++; n > 1 {
				said += "; "
			}
			said += t
		}
	}
	const brackets, least = len(" ()"), 12 // less than that says nothing
	room := maxSentence - len(text) - brackets
	if said == "" || room < least {
		return text
	}
	return text + " (" + cut(said, room) + ")"
}

// cutWarning splits off the first element of a comma list; commas in quotes do not count.
func cutWarning(s string) (first, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// parseWarning reads warn-code SP warn-agent SP warn-text.
func parseWarning(s string) (code, text string, ok bool) {
	code, s, _ = strings.Cut(strings.Trim(s, " \t"), " ")
	agent, s, _ := strings.Cut(strings.TrimLeft(s, " \t"), " ")
	s = strings.TrimLeft(s, " \t")
	if len(code) != 3 || strings.Trim(code, "0123456789") != "" || agent == "" || strings.Contains(agent, `"`) || !strings.HasPrefix(s, `"`) {
		return "", "", false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return code, b.String(), i == len(s)-1
		case c == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false // the quote is never closed
}
