package mapping

import (
	"strings"
	"time"
)

// maxSubjects is how many subjects a message may have, each in its own language.
const maxSubjects = 16

// cpim reads a message/cpim (RFC 3862, CT-06). Its From and To are nobody's identity:
// the request has come from whom the SIP side says (CT-11, M-032).
func (d *reading) cpim(b []byte, _ *mediaType, depth int) (content, *Failure) {
	m, err := ParseCPIM(b)
	if err != nil {
		return content{}, asFailure(err)
	}
	if !understandsAll(m) {
		return content{}, FailUnsupportedType()
	}
	var e entity
	for _, h := range m.Content {
		if v := e.header(lower(h.Name)); v != nil && *v == "" {
			*v = h.Value
		}
	}
	e.data = m.Body
	d.inCPIM = true
	c, f := d.entity(e, depth+1)
	d.inCPIM = false
	if f != nil {
		return content{}, f
	}
	for _, h := range m.Headers {
		if h.Space != "" {
			continue
		}
		switch h.Name {
		case "Subject":
			c.subjects = append(c.subjects, Text{Lang: h.Lang, Value: h.Value})
		case "DateTime":
			if t, err := time.Parse(time.RFC3339, h.Value); err == nil {
				c.date = t
			}
		}
	}
	return c, nil
}

// understandsAll reports whether the headers that a message/cpim requires to be
// understood are (RFC 3862 §4.6, CT-15).
func understandsAll(m *CPIM) bool {
	for _, h := range m.Headers {
		if h.Space != "" || h.Name != "Require" {
			continue
		}
		for name := range strings.SplitSeq(h.Value, ",") {
			switch strings.Trim(name, " ") {
			case "", "From", "To", "cc", "DateTime", "Subject", "NS", "Require":
			default:
				return false
			}
		}
	}
	return true
}

// subjectsOf makes the subjects of a stanza in the language lang: one line each, one for
// each language (RFC 6121 §5.2.4).
func subjectsOf(all []Text, lang string) (out []Text) {
	for _, t := range all {
		t = Text{Lang: LanguageTag(t.Lang), Value: XMLText(HeaderText(t.Value))}
		if strings.EqualFold(t.Lang, lang) {
			t.Lang = "" // that of the stanza
		}
		if t.Value == "" || len(out) == maxSubjects || hasLang(out, t.Lang) {
			continue
		}
		out = append(out, t)
	}
	return out
}

func hasLang(texts []Text, lang string) bool {
	for _, t := range texts {
		if strings.EqualFold(t.Lang, lang) {
			return true
		}
	}
	return false
}
