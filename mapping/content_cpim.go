package mapping

import "strings"

// maxSubjects is how many subjects a message may have, each in its own language.
const maxSubjects = 16

// cpim reads a message/cpim (RFC 3862, CT-06). Its From and To are nobody's identity:
// the request has come from whom the SIP side says (CT-11, M-032).
func (d *reading) cpim(b []byte, _ *mediaType, depth int) (content, *Failure) {
	m, err := ParseCPIM(b)
	if err != nil {
		return content{}, asFailure(err)
	}
	if len(m.Refused()) > 0 { // CT-15; RFC 3862 names no status
		return content{}, FailUnsupportedType()
	}
	e := entity{
		typ:         m.ContentHeader("content-type"),
		encoding:    m.ContentHeader("content-encoding"),
		transfer:    m.ContentHeader("content-transfer-encoding"),
		disposition: m.ContentHeader("content-disposition"),
		lang:        m.ContentHeader("content-language"),
		data:        m.Body,
	}
	// Some clients name the type once more in a block of its own before the headers: that
	// is one message, in an envelope that says nothing.
	d.inCPIM = len(m.Headers) > 0
	c, f := d.entity(e, depth+1)
	d.inCPIM = false
	if f != nil {
		return content{}, f
	}
	c.subjects = m.Subjects()
	c.date, _ = m.DateTime()
	if c.notice == nil { // IM-45: no notification of a notification
		c.asks = m.imdnRequest()
	}
	return c, nil
}

// subjectsOf makes the subjects of a stanza in the language lang: one line each, one for
// each language (RFC 6121 §5.2.4).
func subjectsOf(all []Text, lang string) (out []Text) {
	for _, t := range all {
		t = Text{Lang: LanguageTag(t.Lang), Value: lineXML(t.Value)}
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
