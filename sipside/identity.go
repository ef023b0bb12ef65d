package sipside

import (
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// identity says whom a MESSAGE is from: the URI, its display name, and in written what
// From says if that is another. It gives the refusal if the peer may not speak for them.
//
// What the peer asserts (P-Asserted-Identity, RFC 3325) counts before From, which may then
// be anybody's but that of a served XMPP domain (SEC-28). It does not count if the peer may
// not speak for it (SEC-29), or if its user wants it kept from others.
func (u *UA) identity(r *request) (uri mapping.URI, name string, written mapping.URI, f *mapping.Failure) {
	from, err := mapping.ParseURI(r.from.uri)
	if err != nil {
		if f = asFailure(err); f.Status == 480 { // sips (SEC-02)
			return uri, "", written, f
		}
		return uri, "", written, mapping.FailBadRequest("From")
	}
	if len(r.f.asserted) == 0 && r.maySpeak(from) { // for a served domain nobody may
		return from, r.from.name, written, nil
	}
	if r.set.peers.served[from.Host] {
		f = mapping.FailForbidden()
		f.Remedy = "nobody in SIP may speak for " + from.Host + ", which is in xmpp.user_domains: have the sender use its SIP domain"
		return uri, "", written, f
	}
	if len(r.f.asserted) > 0 && !private(r.f.privacy) {
		if id, name, ok := asserted(r.f.asserted); ok && r.maySpeak(id) {
			if id != from {
				written = from
			}
			return id, name, written, nil
		}
	}
	if !r.maySpeak(from) {
		f = mapping.FailForbidden()
		f.Remedy = "peer " + r.peer.name + " may not speak for " + from.Host + ": sip.peer.domains lists for whom it may"
		return uri, "", written, f
	}
	return from, r.from.name, written, nil
}

// asserted reads the rows of P-Asserted-Identity: one value, or a SIP URI and a telephone
// number (RFC 3325 §9.1), of which the SIP URI is taken. More, or what cannot be read, says
// nothing.
func asserted(rows []string) (uri mapping.URI, name string, ok bool) {
	seen := make(map[string]bool, 2)
	for _, row := range rows {
		for {
			var value string
			value, row = cutList(row)
			n, ok := parseNameAddr(value)
			if !ok {
				return mapping.URI{}, "", false
			}
			id, err := mapping.ParseURI(n.uri)
			if err != nil || id.User == "" || id.Scheme != "sip" && id.Scheme != "tel" || seen[id.Scheme] {
				return mapping.URI{}, "", false
			}
			if len(seen) == 0 || id.Scheme == "sip" {
				uri, name = id, n.name
			}
			seen[id.Scheme] = true
			if row == "" {
				break
			}
		}
	}
	return uri, name, len(seen) > 0
}

// private reports whether a user wants to stay unknown to whom it writes (RFC 3323 §4.2,
// RFC 3325 §9.3). Who asks for the privacy of the headers or of the user means that, too.
func private(rows []string) bool {
	for _, row := range rows {
		for _, v := range strings.FieldsFunc(row, func(c rune) bool { return c == ';' || c == ',' || c == ' ' || c == '\t' }) {
			if strings.EqualFold(v, "id") || strings.EqualFold(v, "user") || strings.EqualFold(v, "header") {
				return true
			}
		}
	}
	return false
}
