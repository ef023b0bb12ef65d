package digest

import (
	"strings"
	"unicode/utf8"
)

const (
	maxValue  = 2048 // bytes of a header value
	maxParams = 40
)

// cutScheme gives what follows the name of our scheme; false if the value is of another one.
func cutScheme(s string) (rest string, ok bool) {
	if len(s) > maxValue || !utf8.ValidString(s) {
		return "", false
	}
	s = strings.Trim(s, " \t")
	const scheme = "Digest"
	if len(s) <= len(scheme) || !strings.EqualFold(s[:len(scheme)], scheme) || s[len(scheme)] != ' ' && s[len(scheme)] != '\t' {
		return "", false
	}
	return s[len(scheme):], true
}

// params reads a list of name=value and calls f for each, with the name in lower case and
// the value without its quotes. It reports whether all of it is well-formed and no name
// stands twice.
func params(s string, f func(name, value string)) bool {
	if len(s) > maxValue || !utf8.ValidString(s) {
		return false
	}
	var seen [maxParams]string
	n := 0
	for {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			return true
		}
		end := 0
		for end < len(s) && isToken(s[end]) {
			end++
		}
		name := strings.ToLower(s[:end])
		s = strings.TrimLeft(s[end:], " \t")
		if name == "" || s == "" || s[0] != '=' || n == maxParams {
			return false
		}
		for _, before := range seen[:n] {
			if before == name {
				return false
			}
		}
		seen[n] = name
		n++
		value, rest, ok := cutValue(strings.TrimLeft(s[1:], " \t"))
		if !ok {
			return false
		}
		if s = strings.TrimLeft(rest, " \t"); s != "" && s[0] != ',' {
			return false
		}
		f(name, value)
	}
}

// cutValue takes a token or a quoted string off s. Nonces stand without quotes at times, so
// a token may have whatever ends nothing.
func cutValue(s string) (value, rest string, ok bool) {
	if s == "" {
		return "", "", false
	}
	if s[0] != '"' {
		end := 0
		for end < len(s) && s[end] > ' ' && s[end] != 0x7f && s[end] != ',' {
			if s[end] == '"' {
				return "", "", false
			}
			end++
		}
		return s[:end], s[end:], end > 0
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		c := s[i]
		if c == '"' {
			return b.String(), s[i+1:], true
		}
		if c == '\\' {
			if i++; i == len(s) {
				return "", "", false
			}
			c = s[i]
		}
		if c < ' ' || c == 0x7f {
			return "", "", false
		}
		b.WriteByte(c)
	}
	return "", "", false
}

func isToken(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-.!%*_+`'~", c) >= 0
}

// quote makes a quoted string.
func quote(s string) string {
	if !strings.ContainsAny(s, `"\`) {
		return `"` + s + `"`
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
