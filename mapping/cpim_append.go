package mapping

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Append appends c to b as it stands on the wire (CT-07), so that ParseCPIM makes the same of it
// again. NS headers come right before the first header that needs them, the prefix of
// SpaceIMDN is imdn. No value, whatever is in it, can end its line.
//
// A header is left out if its name or namespace breaks the syntax, and NS too. Without a
// Content-Type the content is text/plain in UTF-8.
func (c *CPIM) Append(b []byte) []byte {
	w := cpimWriter{b: b}
	for _, h := range c.Headers {
		w.header(h)
	}
	w.b = append(w.b, "\r\n"...)
	typed := false
	for _, a := range c.Content {
		name, value := lower(a.Name), HeaderText(a.Value)
		if !isToken(name) || value == "" || typed && name == "content-type" {
			continue
		}
		typed = typed || name == "content-type"
		w.content(name, value)
	}
	if !typed {
		w.content("content-type", plainUTF8)
	}
	return append(append(w.b, "\r\n"...), c.Body...)
}

type cpimWriter struct {
	b      []byte
	spaces []string // those that have a prefix, in the order of their NS headers
}

func (w *cpimWriter) header(h CPIMHeader) {
	space, value := coreSpace(h.Space), h.Value
	if !isCPIMName(h.Name) || space != "" && !isSpace(space) {
		return
	}
	if space == "" {
		switch {
		case h.Name == "NS" || isContentName(h.Name):
			return
		case h.Name == "Require":
			if value = w.require(value); value == "" {
				return
			}
		}
	}
	prefix := w.prefix(space)
	w.b = append(append(append(w.b, prefix...), h.Name...), ':')
	if h.Lang != "" && LanguageTag(h.Lang) == h.Lang {
		w.b = append(append(w.b, ";lang="...), h.Lang...)
	}
	w.b = append(w.b, ' ')
	// Quotes are escaped only inside of a String, which a formal name may be (RFC 3862 §2.3.1).
	open, end := 0, 0
	if strings.HasPrefix(value, `"`) && space == "" && (h.Name == "From" || h.Name == "To" || h.Name == "cc") {
		open, end = 1, strings.LastIndexByte(value, '"')
	}
	if end > open {
		w.b = appendCPIM(w.b, value[:open], false)
		w.b = appendCPIM(w.b, value[open:end], true)
		w.b = appendCPIM(w.b, value[end:], false)
	} else {
		w.b = appendCPIM(w.b, value, false)
	}
	w.b = append(w.b, "\r\n"...)
}

// prefix is the prefix for a namespace, with its dot; if need be it is declared first.
func (w *cpimWriter) prefix(space string) string {
	if space == "" {
		return ""
	}
	i := slices.Index(w.spaces, space)
	fresh := i < 0
	if fresh {
		i = len(w.spaces)
		w.spaces = append(w.spaces, space)
	}
	prefix := "imdn"
	if space != SpaceIMDN {
		prefix = "ns" + strconv.Itoa(i+1)
	}
	if fresh {
		w.b = append(append(append(w.b, "NS: "...), prefix...), " <"...)
		w.b = append(appendCPIM(w.b, space, false), ">\r\n"...)
	}
	return prefix + "."
}

// require puts prefixes into the value of a Require header.
func (w *cpimWriter) require(value string) string {
	var names []string
	for value != "" {
		var one, space string
		one, value = cutRequired(value)
		name := strings.Trim(one, " \t")
		if s, found := strings.CutPrefix(name, "<"); found {
			space, name, _ = strings.Cut(s, ">")
		}
		space = coreSpace(space)
		if isCPIMName(name) && (space == "" || isSpace(space)) {
			names = append(names, w.prefix(space)+name)
		}
	}
	return strings.Join(names, ",")
}

// content writes a MIME header; the name is in lower case.
func (w *cpimWriter) content(name, value string) {
	first := true
	for i := range len(name) {
		c := name[i]
		if first && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		first = c == '-'
		w.b = append(w.b, c)
	}
	w.b = append(append(append(w.b, ": "...), value...), "\r\n"...)
}

// appendCPIM appends s with the escapes of RFC 3862 §2.3: backslashes and controls, and
// quotes if s is inside of a pair of them. What is not UTF-8 becomes U+FFFD.
func appendCPIM(b []byte, s string, quoted bool) []byte {
	const hex = "0123456789abcdef"
	for _, r := range s {
		switch {
		case r == '\\' || quoted && r == '"':
			b = append(b, '\\', byte(r))
		case r == '\b':
			b = append(b, `\b`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r < 0x20 || r >= 0x7f && r <= 0x9f:
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}
