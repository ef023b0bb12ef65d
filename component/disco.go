package component

import (
	"encoding/xml"

	"gosrc.io/xmpp/stanza"

	"github.com/stoxgw/stox/mapping"
)

// featureEscaping must be announced by whoever uses XEP-0106.
const featureEscaping = `jid\20escaping`

// addDisco serves XEP-0030. Announced is only what is true now; gateway/simple
// is the registered identity of a gateway to SIP (GW-13). There are no items and
// no nodes (GW-14).
func (s *services) addDisco(name string) error {
	info := stanza.DiscoInfo{XMLName: xml.Name{Space: stanza.NSDiscoInfo, Local: "query"}}
	info.AddIdentity(name, "gateway", "simple")
	info.AddFeatures(stanza.NSDiscoInfo, stanza.NSDiscoItems, nsVersion, featureEscaping, nsPing)
	infoText, err := marshal(&info)
	if err != nil {
		return err
	}
	items := stanza.DiscoItems{XMLName: xml.Name{Space: stanza.NSDiscoItems, Local: "query"}}
	itemsText, err := marshal(&items)
	if err != nil {
		return err
	}
	s.get[info.XMLName] = withoutNode(infoText)
	s.get[items.XMLName] = withoutNode(itemsText)
	return nil
}

func withoutNode(result []byte) service {
	return func(q *element) ([]byte, *stanzaError) {
		if q.attr("node") != "" {
			return nil, &stanzaError{cond: mapping.CondItemNotFound, text: "There is no such node."}
		}
		return result, nil
	}
}
