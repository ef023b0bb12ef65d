package mapping

import (
	"slices"
	"strings"
	"time"
)

// TypeCPIM is the media type of a CPIM.
const TypeCPIM = "message/cpim"

// Namespaces of message headers (RFC 3862 §3.4).
const (
	// SpaceIMDN has the headers that ask for receipts (RFC 5438 §6).
	SpaceIMDN = "urn:ietf:params:imdn"

	// The core headers, in case somebody declares a prefix for them; a CPIMHeader has
	// "" instead.
	spaceCore = "urn:ietf:params:cpim-headers:"
)

// CPIM is a message/cpim object (RFC 3862): a message with headers of its own around the
// content, from end to end. Who its From and To name is nobody's identity (CT-11).
type CPIM struct {
	Headers []CPIMHeader // in their order; NS is syntax and never among them
	Content []Attr       // MIME headers of the content, names in lower case; Content-Type is among them
	Body    []byte
}

// CPIMHeader is a message header (RFC 3862 §3.1).
type CPIMHeader struct {
	Space string // the namespace URI that the name's prefix stands for, "" for the core headers
	Name  string // without prefix; case matters
	Lang  string // the lang parameter, "" if none

	// Value is without escapes, so it may have any character, line ends too. In a Require
	// header, names from another namespace stand as "<uri>name", since prefixes mean
	// nothing outside of the message that declares them; a comma joins them.
	Value string
}

// NewDateTime is the DateTime header for t (RFC 3862 §4.4), in UTC and whole seconds.
func NewDateTime(t time.Time) CPIMHeader {
	return CPIMHeader{Name: "DateTime", Value: t.UTC().Format("2006-01-02T15:04:05Z")}
}

// Header is the value of the first header of that name, without spaces around it.
func (c *CPIM) Header(space, name string) (string, bool) {
	for _, h := range c.Headers {
		if h.Name == name && h.Space == space {
			return strings.Trim(h.Value, " \t"), true
		}
	}
	return "", false
}

// ContentHeader is the value of a MIME header of the content, its name in lower case; ""
// if it is not there. Several rows are joined by commas.
func (c *CPIM) ContentHeader(name string) string {
	var value string
	for _, a := range c.Content {
		switch {
		case a.Name != name:
		case value == "":
			value = a.Value
		default:
			value += ", " + a.Value
		}
	}
	return value
}

// Subjects are the subjects in their order (RFC 3862 §4.5), each in one line (IM-03) and
// none of them empty.
func (c *CPIM) Subjects() []Text {
	var out []Text
	for _, h := range c.Headers {
		if h.Space != "" || h.Name != "Subject" {
			continue
		}
		if s := HeaderText(h.Value); s != "" {
			out = append(out, Text{Lang: h.Lang, Value: s})
		}
	}
	return out
}

// DateTime is when the message was written (RFC 3862 §4.4); false if it does not say so,
// or not in the form of RFC 3339.
func (c *CPIM) DateTime() (time.Time, bool) {
	s, ok := c.Header("", "DateTime")
	if !ok {
		return time.Time{}, false
	}
	// T and Z may be in lower case (RFC 3339 §5.6).
	t, err := time.Parse(time.RFC3339, strings.ToUpper(s))
	return t, err == nil
}

// Required are the names that Require headers list (RFC 3862 §3.5): core ones as they
// are, others as "<uri>name".
func (c *CPIM) Required() []string {
	var out []string
	for _, h := range c.Headers {
		if h.Space != "" || h.Name != "Require" {
			continue
		}
		for rest := h.Value; rest != ""; {
			var one string
			one, rest = cutRequired(rest)
			out = append(out, one)
		}
	}
	return out
}

// understood are the names that a Require header may have: the core headers, and those
// that ask for notifications.
var understood = []string{"From", "To", "cc", "DateTime", "Subject", "NS", "Require",
	"<" + SpaceIMDN + ">Message-ID", "<" + SpaceIMDN + ">Disposition-Notification", "<" + SpaceIMDN + ">Original-To",
	"<" + SpaceIMDN + ">IMDN-Record-Route", "<" + SpaceIMDN + ">IMDN-Route"}

// Refused are the names among Required that are not understood: if there is one, the
// message must not be passed on as if it were (CT-15).
func (c *CPIM) Refused() []string {
	return slices.DeleteFunc(c.Required(), func(name string) bool { return slices.Contains(understood, name) })
}

// Address splits the value of From, To or cc into formal name and URI (RFC 3862 §4.1);
// the name is without its quotes. The URI is as it came; false if there is none.
func (h CPIMHeader) Address() (name, uri string, ok bool) {
	v := strings.Trim(h.Value, " \t")
	i := strings.LastIndexByte(v, '<')
	if i < 0 || !strings.HasSuffix(v, ">") {
		return "", "", false
	}
	name, uri = strings.Trim(v[:i], " \t"), strings.Trim(v[i+1:len(v)-1], " \t")
	if len(name) > 1 && name[0] == '"' && name[len(name)-1] == '"' {
		name = name[1 : len(name)-1]
	}
	return name, uri, uri != ""
}

// cutRequired takes the first of the names of a Require header's Value. The comma of a
// URI does not end it.
func cutRequired(s string) (name, rest string) {
	from := 0
	if strings.HasPrefix(s, "<") {
		from = max(strings.IndexByte(s, '>'), 0)
	}
	if i := strings.IndexByte(s[from:], ','); i >= 0 {
		return s[:from+i], s[from+i+1:]
	}
	return s, ""
}

// RFC 3862 §3.6: NAMECHAR.
var cpimName = newCharset(alphanum + "!#$%&'*+-^_`|~")

// isCPIMName reports whether s may be the name of a message header or a prefix.
func isCPIMName(s string) bool { return s != "" && len(s) <= maxCPIMName && cpimName.all(s) }

// isSpace reports whether s may stand between the angle brackets of an NS header.
func isSpace(s string) bool {
	return s != "" && len(s) <= maxCPIMSpace && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == '<' || r == '>' || breaksLine(r) || r == 0xFFFD
	})
}

// coreSpace is space as a CPIMHeader has it.
func coreSpace(space string) string {
	if space == spaceCore {
		return ""
	}
	return space
}

// isContentName reports whether s begins as the headers of a content do (RFC 2045 §9),
// and so no message header.
func isContentName[T string | []byte](s T) bool {
	const content = "content-"
	return len(s) >= len(content) && strings.EqualFold(string(s[:len(content)]), content)
}
