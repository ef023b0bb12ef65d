package component

import (
	"cmp"
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"
)

const (
	nsCaps = "http://jabber.org/protocol/caps" // XEP-0115
	// capsNode names the software, whichever version: what it can do is in the hash.
	capsNode = "https://github.com/stoxgw/stox"
)

// caps appends what belongs into available presence of the gateway: the hash of what
// disco#info says of it (XEP-0115).
func (s *services) caps(b []byte) []byte {
	b = append(b, "<c xmlns='"+nsCaps+"' hash='sha-1' node='"+capsNode+"'"...)
	b = appendAttr(b, "ver", s.gatewayVer)
	return append(b, "/>"...)
}

// ver is the verification string of d (XEP-0115 §5.1).
func (d discoInfo) ver() string { return capsHash(d.capsInput()) }

// capsInput is what the verification string is the hash of. There are no forms
// (XEP-0128) in what we announce.
func (d discoInfo) capsInput() string {
	identities := slices.SortedFunc(slices.Values(d.identities), func(a, b discoIdentity) int {
		return cmp.Or(strings.Compare(a.category, b.category), strings.Compare(a.typ, b.typ), strings.Compare(a.lang, b.lang))
	})
	var b strings.Builder
	for _, i := range identities {
		b.WriteString(i.category + "/" + i.typ + "/" + i.lang + "/" + i.name + "<")
	}
	for _, f := range slices.Sorted(slices.Values(d.features)) {
		b.WriteString(f + "<")
	}
	return b.String()
}

func capsHash(input string) string {
	sum := sha1.Sum([]byte(input))
	return base64.StdEncoding.EncodeToString(sum[:])
}
