package component

import (
	"slices"

	"gosrc.io/xmpp/stanza"

	"github.com/stoxgw/stox/mapping"
)

// featureEscaping must be announced by whoever uses XEP-0106.
const featureEscaping = `jid\20escaping`

// discoIdentity is what an entity says it is (XEP-0030).
type discoIdentity struct{ category, typ, lang, name string }

// discoInfo is the answer to a question what an entity is and can do.
type discoInfo struct {
	identities []discoIdentity
	features   []string
}

// append appends d as the answer about a node, or about the entity itself.
func (d discoInfo) append(b []byte, node string) []byte {
	b = append(b, "<query xmlns='"+stanza.NSDiscoInfo+"'"...)
	b = appendOptAttr(b, "node", node)
	b = append(b, '>')
	for _, i := range d.identities {
		b = append(b, "<identity"...)
		b = appendAttr(b, "category", i.category)
		b = appendAttr(b, "type", i.typ)
		b = appendOptAttr(b, "xml:lang", i.lang)
		b = appendOptAttr(b, "name", i.name)
		b = append(b, "/>"...)
	}
	for _, f := range d.features {
		b = append(b, "<feature"...)
		b = appendAttr(b, "var", f)
		b = append(b, "/>"...)
	}
	return append(b, "</query>"...)
}

// addDisco serves XEP-0030 and, for what it says, XEP-0115. Announced is only what is true
// now (GW-13, GW-27).
func (s *services) addDisco(cfg Config) {
	info := get(stanza.NSDiscoInfo, "query")
	own := gatewayInfo(cfg)
	s.gatewayVer = own.ver()
	gateway := withNodes(func(node string, q *asked) ([]byte, bool) {
		if node == "" || node == capsNode+"#"+s.gatewayVer {
			return own.append(nil, node), true
		}
		if cfg.Commands == nil {
			return nil, false
		}
		d, known := commandInfo(cfg.Commands(q.from, q.lang), node)
		return d.append(nil, node), known
	})
	s.gateway[info], s.resource[info] = gateway, gateway

	// The gateway has no items but commands, which not everybody has.
	items := withNodes(func(node string, q *asked) ([]byte, bool) {
		if cfg.Commands == nil {
			return []byte("<query xmlns='" + stanza.NSDiscoItems + "'/>"), node == ""
		}
		return commandList(cfg.Commands(q.from, q.lang), q.to.Bare().String(), node), node == "" || node == nsCommands
	})
	s.gateway[get(stanza.NSDiscoItems, "query")], s.resource[get(stanza.NSDiscoItems, "query")] = items, items

	account, client := contactInfo(cfg)
	s.contact[info] = withNodes(func(node string, q *asked) ([]byte, bool) {
		if node != "" || !q.to.IsBare() {
			return client.append(nil, node), node == ""
		}
		account := account
		account.identities = []discoIdentity{{category: "account", typ: "registered", name: q.uri.String()}}
		return account.append(nil, ""), true
	})
}

// withNodes refuses the nodes that there are not (GW-14).
func withNodes(answer func(node string, q *asked) (result []byte, known bool)) service {
	return func(q *asked) ([]byte, *stanzaError) {
		result, known := answer(q.payload.attr("node"), q)
		if !known {
			return nil, &stanzaError{cond: mapping.CondItemNotFound, text: "There is no such node."}
		}
		return result, nil
	}
}

// gatewayInfo is what the gateway is: gateway/simple is the registered identity of one to
// SIP. Clients that see gateway/sms write to telephone numbers, so it needs a way to them;
// gateway/pstn would promise calls.
func gatewayInfo(cfg Config) discoInfo {
	d := discoInfo{
		identities: []discoIdentity{{category: "gateway", typ: "simple", name: cfg.Name}},
		features: []string{
			nsCaps, stanza.NSDiscoInfo, stanza.NSDiscoItems,
			nsLast, nsVersion, featureEscaping, nsVCard4, nsPing, nsVCard,
		},
	}
	if cfg.Numbers {
		d.identities = append(d.identities, discoIdentity{category: "gateway", typ: "sms", name: cfg.Name})
	}
	if cfg.Prompt != nil {
		d.features = append(d.features, nsGateway)
	}
	if cfg.Commands != nil {
		d.features = append(d.features, nsCommands)
	}
	if cfg.Register {
		d.features = append(d.features, nsRegister)
	}
	return d.sorted()
}

// contactInfo is what a contact is: under its bare JID an account, which is named for
// each, and under a resource a telephone. That is the same for all, so that clients need
// to ask only once about what capabilities stand for.
func contactInfo(cfg Config) (account, client discoInfo) {
	common := append([]string{stanza.NSDiscoInfo, nsVCard, nsVCard4}, cfg.ContactFeatures...)
	account = discoInfo{features: append(slices.Clone(common), nsPing)}.sorted()
	client = discoInfo{identities: []discoIdentity{{category: "client", typ: "phone"}}, features: common}.sorted()
	return account, client
}

// sorted is d with its features in order, each once.
func (d discoInfo) sorted() discoInfo {
	d.features = slices.Clone(d.features)
	slices.Sort(d.features)
	d.features = slices.Compact(d.features)
	return d
}
