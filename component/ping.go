package component

import (
	"encoding/xml"
	"strings"
)

// nsPing is the namespace of XEP-0199.
const nsPing = "urn:xmpp:ping"

// addPing serves XEP-0199: the answer is an empty result (GW-15).
func (s *services) addPing() {
	s.get[xml.Name{Space: nsPing, Local: "ping"}] = func(*element) ([]byte, *stanzaError) { return nil, nil }
}

// ownPing reports whether an iq is a ping of this link that has come home
// through the server. Nobody waits for an answer: that it was read is enough.
func (r *reader) ownPing(st *element, rt routed) bool {
	return rt.from == r.l.q.domain && rt.to == r.l.q.domain && strings.HasPrefix(st.attr("id"), r.l.pingID+"-")
}
