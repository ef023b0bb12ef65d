package component

// nsVersion is the namespace of XEP-0092.
const nsVersion = "jabber:iq:version"

// addVersion serves XEP-0092. The operating system is nobody's business (GW-16).
func (s *services) addVersion(version string) {
	b := append([]byte(nil), "<query xmlns='"+nsVersion+"'>"...)
	b = appendTextElement(b, "name", "", "stox")
	b = appendTextElement(b, "version", "", version)
	b = append(b, "</query>"...)
	s.gateway[get(nsVersion, "query")] = func(*asked) ([]byte, *stanzaError) { return b, nil }
}
