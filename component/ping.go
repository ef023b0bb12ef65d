package component

import (
	"strconv"
	"strings"
	"time"

	"gosrc.io/xmpp/stanza"

	"github.com/stoxgw/stox/mapping"
)

// nsPing is the namespace of XEP-0199.
const nsPing = "urn:xmpp:ping"

// addPing serves XEP-0199: the answer is an empty result (GW-15). A contact has no
// resources that would be known to be there.
func (s *services) addPing() {
	here := func(*asked) ([]byte, *stanzaError) { return nil, nil }
	ping := get(nsPing, "ping")
	s.gateway[ping], s.resource[ping] = here, here
	s.contact[ping] = func(q *asked) ([]byte, *stanzaError) {
		if !q.to.IsBare() {
			return nil, &stanzaError{cond: mapping.CondServiceUnavailable}
		}
		return nil, nil
	}
}

// versionID ends the id of the question what a server is, and identityID that of the one
// who it is, for those that do not say what.
const (
	versionID  = "-v"
	identityID = "-vi"
)

// ours handles the pings of this link that have come home through the server, and
// the answers to its questions; nothing is said to them. It reports whether the
// iq was one. An error ends the link.
func (r *reader) ours(st *element) (bool, error) {
	id, ok := strings.CutPrefix(st.attr("id"), r.pings)
	if !ok || id == "" {
		return false, nil
	}
	from, err := mapping.ParseJID(st.attr("from"))
	if err != nil || from != from.DomainJID() || st.attr("to") != r.l.q.from {
		return false, nil
	}
	typ := stanza.StanzaType(st.attr("type"))
	answer := typ == stanza.IQTypeResult || typ == stanza.IQTypeError
	switch kind := id[0]; {
	case kind == 'b' && from == r.l.q.domain && typ == stanza.IQTypeGet:
		n, err := strconv.ParseUint(id[1:], 10, 64)
		if err != nil {
			return false, nil
		}
		up, err := r.l.q.homecoming(n, time.Now())
		if up {
			r.l.isUp()
			r.hand(&mapping.XMPPReady{Name: r.l.q.domain})
		}
		return true, err
	case kind == 'd' && answer:
		n, err := strconv.ParseUint(id[1:], 10, 64)
		if err != nil {
			return false, nil
		}
		var f *mapping.Failure
		if typ == stanza.IQTypeError {
			f = readStanzaError(st)
		}
		r.l.q.answered(from.Domain(), n, f, time.Now())
		return true, nil
	case kind == 'v' && answer && r.l.q.hasAsked(from.Domain()):
		r.software(from.Domain(), st)
		return true, nil
	}
	// The idle check: that it was read is enough.
	return from == r.l.q.domain && typ == stanza.IQTypeGet, nil
}

// software reads what the server of a domain says it is. One that keeps that to itself is
// asked for its identity, which Prosody names after itself unless it is told otherwise.
func (r *reader) software(domain string, st *element) {
	var name string
	for _, c := range st.children {
		for _, v := range c.children {
			switch {
			case c.name.Space == nsVersion && v.name.Local == "name":
				name = string(v.text)
			case c.name.Space == stanza.NSDiscoInfo && v.name.Local == "identity" && v.attr("category") == "server":
				name = v.attr("name")
			}
		}
	}
	if name == "" && st.attr("id") == r.l.pingID+versionID {
		r.l.q.askIdentity(domain)
		return
	}
	prosody := strings.EqualFold(strings.TrimSpace(name), "Prosody")
	r.l.log.Debug("an XMPP server says what it is", "domain", domain, "name", name, "prosody", prosody)
	r.l.q.software(domain, prosody, time.Now())
}

// appendVersionQuery appends the question what another entity is (XEP-0092).
func appendVersionQuery(b []byte, from, to, id string) []byte {
	b = appendOpen(b, "iq", from, to, id, string(stanza.IQTypeGet))
	b = append(b, "><query"...)
	b = appendAttr(b, "xmlns", nsVersion)
	return append(b, "/></iq>"...)
}
