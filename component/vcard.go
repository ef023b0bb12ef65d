package component

import (
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// The namespaces of XEP-0054 and XEP-0292.
const (
	nsVCard  = "vcard-temp"
	nsVCard4 = "urn:ietf:params:xml:ns:vcard-4.0"
)

// addVCard serves vCards in both forms. They say nothing but what the address says:
// whoever knows it learns nothing new.
func (s *services) addVCard(name string) {
	old := append([]byte(nil), "<vCard xmlns='"+nsVCard+"'>"...)
	old = append(appendTextElement(old, "FN", "", name), "</vCard>"...)
	s.gateway[get(nsVCard, "vCard")] = func(*asked) ([]byte, *stanzaError) { return old, nil }

	v4 := append([]byte(nil), "<vcard xmlns='"+nsVCard4+"'>"...)
	v4 = append(appendProperty(v4, "fn", "text", name), "</vcard>"...)
	s.gateway[get(nsVCard4, "vcard")] = func(*asked) ([]byte, *stanzaError) { return v4, nil }

	s.contact[get(nsVCard, "vCard")] = contactVCard
	s.contact[get(nsVCard4, "vcard")] = contactVCard4

	for _, table := range []map[request]service{s.gateway, s.contact} {
		table[set(nsVCard, "vCard")], table[set(nsVCard4, "vcard")] = notYours, notYours
	}
}

// notYours refuses to change a vCard (XEP-0054).
func notYours(*asked) ([]byte, *stanzaError) {
	return nil, &stanzaError{cond: mapping.CondNotAllowed, text: "This is not your own vCard."}
}

func contactVCard(q *asked) ([]byte, *stanzaError) {
	b := append([]byte(nil), "<vCard xmlns='"+nsVCard+"'>"...)
	b = appendTextElement(b, "FN", "", q.displayed())
	if number := q.number(); number != "" {
		b = append(b, "<TEL>"...)
		b = append(appendTextElement(b, "NUMBER", "", number), "</TEL>"...)
	}
	b = appendTextElement(b, "JABBERID", "", q.to.Bare().String())
	b = appendTextElement(b, "URL", "", q.uri.String())
	return append(b, "</vCard>"...), nil
}

func contactVCard4(q *asked) ([]byte, *stanzaError) {
	b := append([]byte(nil), "<vcard xmlns='"+nsVCard4+"'>"...)
	b = appendProperty(b, "fn", "text", q.displayed())
	if number := q.number(); number != "" {
		b = appendProperty(b, "tel", "uri", "tel:"+number)
	}
	b = appendProperty(b, "impp", "uri", q.uri.String())
	return append(b, "</vcard>"...), nil
}

// appendProperty appends a property of a vCard in XML (RFC 6351).
func appendProperty(b []byte, name, typ, value string) []byte {
	b = append(append(append(b, '<'), name...), '>')
	b = appendTextElement(b, typ, "", value)
	return append(append(append(b, "</"...), name...), '>')
}

// number is the telephone number that the contact is, in full, "" if it is none. What is
// in uri may be a form of it that only the next hop understands.
func (q *asked) number() string {
	digits, full := strings.CutPrefix(q.to.Local(), "+")
	if !full || !q.uri.Phone || strings.Trim(digits, "0123456789") != "" {
		return ""
	}
	return q.to.Local()
}

// displayed is the address of the contact as people write it.
func (q *asked) displayed() string {
	if number := q.number(); number != "" {
		return number
	}
	host := mapping.URI{Scheme: "sip", Host: q.uri.Host, Port: q.uri.Port}.String()
	return q.uri.User + "@" + strings.TrimPrefix(host, "sip:")
}
