package component

import (
	"encoding/xml"

	"gosrc.io/xmpp/stanza"
)

// nsVersion is the namespace of XEP-0092.
const nsVersion = "jabber:iq:version"

// addVersion serves XEP-0092. The operating system is nobody's business (GW-16).
func (s *services) addVersion(version string) error {
	v := stanza.Version{XMLName: xml.Name{Space: nsVersion, Local: "query"}, Name: "stox", Version: version}
	text, err := marshal(&v)
	if err != nil {
		return err
	}
	s.get[v.XMLName] = func(*element) ([]byte, *stanzaError) { return text, nil }
	return nil
}
