package mapping

import "strings"

// mediaType is the value of a Content-Type, Content-Disposition or similar header: a
// word and its parameters (RFC 3261 §25.1). Word and names are in lower case, values are
// unquoted and as they came.
type mediaType struct {
	name   string
	params []Attr
}

// maxMediaParams is how many parameters a value may have: real ones have a few.
const maxMediaParams = 32

// parseMedia reads such a value; false if it breaks the grammar.
func parseMedia(s string) (m mediaType, ok bool) {
	name, rest, _ := strings.Cut(s, ";")
	major, minor, slash := strings.Cut(name, "/")
	major, minor = strings.Trim(major, " \t"), strings.Trim(minor, " \t")
	if !isToken(major) || slash && !isToken(minor) {
		return m, false
	}
	if m.name = lower(major); slash {
		m.name = lower(major + "/" + minor)
	}
	for rest = strings.Trim(rest, " \t"); rest != ""; {
		var p Attr
		if p, rest, ok = cutMediaParam(rest); !ok || len(m.params) == maxMediaParams {
			return m, false
		}
		if p.Name != "" {
			m.params = append(m.params, p)
		}
	}
	return m, true
}

// cutMediaParam takes the first of `name=value; name="value"`. An empty one, as after a
// trailing semicolon, has no name.
func cutMediaParam(s string) (p Attr, rest string, ok bool) {
	end := strings.IndexAny(s, "=;")
	if end < 0 {
		end = len(s)
	}
	name := strings.Trim(s[:end], " \t")
	if s = s[end:]; s == "" || s[0] == ';' {
		p.Name = lower(name)
		return p, strings.Trim(strings.TrimPrefix(s, ";"), " \t"), name == "" || isToken(name)
	}
	if !isToken(name) {
		return p, "", false
	}
	p.Name = lower(name)
	s = strings.TrimLeft(s[1:], " \t")
	if strings.HasPrefix(s, `"`) {
		var b strings.Builder
		i := 1
		for ; i < len(s) && s[i] != '"'; i++ {
			if s[i] == '\\' && i+1 < len(s) {
				i++
			}
			b.WriteByte(s[i])
		}
		if i == len(s) {
			return p, "", false
		}
		p.Value, s = b.String(), s[i+1:]
	} else {
		i := strings.IndexByte(s, ';')
		if i < 0 {
			i = len(s)
		}
		if p.Value = strings.Trim(s[:i], " \t"); p.Value == "" || strings.ContainsAny(p.Value, "\" \t") {
			return p, "", false
		}
		s = s[i:]
	}
	s = strings.TrimLeft(s, " \t")
	if s != "" && s[0] != ';' {
		return p, "", false
	}
	return p, strings.Trim(strings.TrimPrefix(s, ";"), " \t"), true
}

// param is the value of a parameter, "" if it is not there.
func (m *mediaType) param(name string) string {
	for _, p := range m.params {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

var tokenChars = newCharset(alphanum + "-.!%*_+`'~")

// isToken reports whether s is a token (RFC 3261 §25.1).
func isToken(s string) bool { return s != "" && tokenChars.all(s) }
