package mapping

// In a message/cpim the type of a text is written as the examples of RFC 3862 and 5438
// write it.
const plainUTF8InCPIM = "text/plain; charset=utf-8"

// maxWrapped is how many subjects go into a message/cpim: so many that its reader, and
// Unwrap, are not over what they read of one.
const maxWrapped = maxCPIMHeaders / 2

// Wrap is m with its content in a message/cpim (CT-07), for a peer that takes one. The headers of
// m go into it: From and To as im: URIs (RFC 3922 §4.1), Date as DateTime, all subjects with
// their languages, as far as a message/cpim of ParseCPIM may have them; more come after them.
//
// The Subject of the request stays, although the message/cpim says it again and better:
// a phone that shows subjects at all shows that one, and Unwrap has it still.
func (m *SIPMessage) Wrap(more ...CPIMHeader) *SIPMessage {
	c := CPIM{
		Headers: make([]CPIMHeader, 0, 4+len(m.Subjects)+len(more)),
		Content: make([]Attr, 0, 3),
		Body:    m.Body,
	}
	c.Headers = append(c.Headers, CPIMHeader{Name: "From", Value: cpimAddress(m.From)}, CPIMHeader{Name: "To", Value: cpimAddress(m.To)})
	if !m.Date.IsZero() {
		c.Headers = append(c.Headers, NewDateTime(m.Date))
	}
	subjects := m.Subjects
	if len(subjects) == 0 {
		subjects = []Text{{Value: m.Subject}}
	}
	for _, s := range subjects[:min(len(subjects), maxWrapped)] {
		if value := HeaderText(s.Value); value != "" && len(value) <= maxCPIMValue {
			c.Headers = append(c.Headers, CPIMHeader{Name: "Subject", Lang: s.Lang, Value: value})
		}
	}
	c.Headers = append(c.Headers, more...)

	typ := m.ContentType
	if typ == plainUTF8 {
		typ = plainUTF8InCPIM
	}
	c.Content = append(c.Content, Attr{"content-type", typ})
	for _, a := range [...]Attr{{"content-encoding", m.Encoding}, {"content-disposition", m.Disposition}} {
		if a.Value != "" {
			c.Content = append(c.Content, a)
		}
	}

	out := *m
	out.ContentType, out.Encoding, out.Disposition = TypeCPIM, "", ""
	out.Body = c.Append(make([]byte, 0, 512+len(m.Body)))
	return &out
}

// Unwrap undoes Wrap, for a peer that turns out not to take a message/cpim (415): the
// same message, but without the headers that only a message/cpim has. It is false if m is
// no message/cpim.
func (m *SIPMessage) Unwrap() (*SIPMessage, bool) {
	if typ, ok := parseMedia(m.ContentType); !ok || typ.name != TypeCPIM || m.Encoding != "" {
		return nil, false
	}
	c, err := ParseCPIM(m.Body)
	if err != nil {
		return nil, false
	}
	out := *m
	out.ContentType = c.ContentHeader("content-type")
	if out.ContentType == plainUTF8InCPIM {
		out.ContentType = plainUTF8
	}
	out.Encoding, out.Disposition = c.ContentHeader("content-encoding"), c.ContentHeader("content-disposition")
	out.Body = c.Body
	return &out, true
}

// cpimAddress is the value of From and To for u: the im: URI of its user and domain. Port,
// gr and transport have no place in one (RFC 3860 §3); they are in the request around it.
// An address without a user, the gateway's own, has no im: form and stays a SIP URI.
func cpimAddress(u URI) string {
	if im := u.WithScheme("im"); im.User != "" {
		return "<" + im.String() + ">"
	}
	return "<" + u.AOR() + ">"
}
