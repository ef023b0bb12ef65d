package mapping

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// FailureToSIP returns f as a SIP peer may be told it. Where XMPP gave a new
// address (gone, redirect) and the rules know it in SIP, that is a 301 or 302
// with the SIP URI in Alternate; otherwise it stays 410 or 480 without an address
// (ERR-07). toward is the SIP domain of the peer, since a user's SIP address may
// depend on who asks. f itself is left alone.
func (r *Rules) FailureToSIP(f *Failure, toward string) *Failure {
	if f == nil || f.Alternate == "" {
		return f
	}
	told := *f
	told.Alternate = ""
	if j, ok := parseIRI(f.Alternate); ok && (f.Condition == CondGone || f.Condition == CondRedirect) {
		if u, ok := r.alternateToSIP(j, toward); ok {
			told.Alternate = u.String()
		}
	}
	told.Status = Default.Status(f.Condition, false, told.Alternate != "")
	return &told
}

// FailureToXMPP returns f as an XMPP user may be told it: a new address that SIP
// gave becomes the XMPP IRI under which that user can write to it (ERR-12). What
// the rules do not know stays a SIP URI, which RFC 6120 §8.3.3 allows. f itself
// is left alone.
func (r *Rules) FailureToXMPP(f *Failure) *Failure {
	if f == nil || f.Alternate == "" {
		return f
	}
	u, err := ParseURI(f.Alternate)
	if err != nil {
		return f // an IRI already
	}
	j, ok := r.alternateToXMPP(u)
	if !ok {
		return f
	}
	told := *f
	told.Alternate = iri(j)
	return &told
}

// alternateToSIP maps the address of a contact of ours or of an XMPP user.
func (r *Rules) alternateToSIP(j JID, toward string) (URI, bool) {
	if u, err := r.SIPAddress(j); err == nil {
		return u, true
	}
	var u URI
	f := r.userAddress(&u, j, toward, nil) // whose account is which is nobody's business
	return u, f == nil
}

// alternateToXMPP maps the address of an XMPP user or of a SIP account.
func (r *Rules) alternateToXMPP(u URI) (JID, bool) {
	if j, err := r.Recipient(u); err == nil {
		return j, true
	}
	j, err := r.Sender(u)
	return j, err == nil
}

// bestContact picks of Contact header values the usable one with the highest q
// (RFC 3261 §20.10), the first of equals. Usable is what ParseURI takes; "*" and
// foreign schemes are not. Parameters and headers of the URI are gone: headers in
// a Contact would be injection.
func bestContact(values []string) (URI, bool) {
	var best URI
	bestQ := -1.0
	for _, v := range values {
		addr, params := v, ""
		if i := strings.LastIndexByte(v, '<'); i >= 0 {
			addr, params, _ = strings.Cut(v[i+1:], ">")
		} else {
			addr, params, _ = strings.Cut(v, ";") // without <> they are the header's
		}
		u, err := ParseURI(strings.TrimSpace(addr))
		if err != nil {
			continue
		}
		if q := qValue(params); q > bestQ {
			best, bestQ = u, q
		}
	}
	return best, bestQ >= 0
}

// qValue reads the q parameter; it is 1 if there is none.
func qValue(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		name, val, _ := strings.Cut(p, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(val), 64)
		if err != nil || q < 0 || q > 1 {
			return 0
		}
		return q
	}
	return 1
}

// parseIRI reads an xmpp: IRI or URI (RFC 5122): the address in it; an authority
// part, query and fragment are dropped.
func parseIRI(s string) (JID, bool) {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(s), ":")
	if !ok || !strings.EqualFold(scheme, "xmpp") {
		return JID{}, false
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		if _, rest, ok = strings.Cut(after, "/"); !ok {
			return JID{}, false
		}
	}
	addr, ok := unescapeIRI(rest)
	if !ok {
		return JID{}, false
	}
	j, err := ParseJID(addr)
	return j, err == nil
}

func unescapeIRI(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, utf8.ValidString(s)
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b = append(b, byte(c))
		i += 2
	}
	return string(b), utf8.Valid(b)
}

// iri is the XMPP IRI of j: every ASCII character that RFC 5122 §2.2 does not have
// raw in the part where it stands is percent-encoded, such as the backslash of
// XEP-0106. Other characters stay.
func iri(j JID) string {
	var b strings.Builder
	b.WriteString("xmpp:")
	if j.Local() != "" {
		escapeIRI(&b, j.Local(), "!$()*+,;=")
		b.WriteByte('@')
	}
	escapeIRI(&b, j.Domain(), "[:]") // brackets and colons of an IPv6 address
	if j.Resource() != "" {
		b.WriteByte('/')
		escapeIRI(&b, j.Resource(), "!$&'()*+,:;=")
	}
	return b.String()
}

func escapeIRI(b *strings.Builder, s, raw string) {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			strings.IndexByte("-._~", c) >= 0 || strings.IndexByte(raw, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
}
