package component

import (
	"slices"

	"gosrc.io/xmpp/stanza"

	"github.com/stoxgw/stox/mapping"
)

// nsCommands is the namespace of XEP-0050, and the node under which the commands are.
const nsCommands = "http://jabber.org/protocol/commands"

// What is wrong with a command beside the condition (XEP-0050 §4.4).
const (
	malformedAction = "malformed-action"
	badPayload      = "bad-payload"
)

// commandConditions are all of them; no other is ever written.
var commandConditions = []string{"bad-action", "bad-locale", badPayload, "bad-sessionid", malformedAction, "session-expired"}

// commandActions are what somebody may want of a command (XEP-0050 §4.1).
var commandActions = []string{"execute", "cancel", "prev", "next", "complete"}

// addCommands takes commands for the handler (GW-24). Which node and which session there is,
// and who may do what, is its business.
func (s *services) addCommands() {
	s.gateway[set(nsCommands, "command")] = func(q *asked) ([]byte, *stanzaError) {
		c := q.payload
		v := &mapping.XMPPCommand{
			From: q.from, To: q.to, ID: q.id, Lang: q.lang,
			Node: c.attr("node"), Session: c.attr("sessionid"), Action: c.attr("action"),
		}
		if v.Node == "" {
			return nil, &stanzaError{cond: mapping.CondBadRequest, text: "The command has no node."}
		}
		if v.Action == "" {
			v.Action = "execute"
		}
		if !slices.Contains(commandActions, v.Action) {
			return nil, &stanzaError{cond: mapping.CondBadRequest, text: "There is no such action.", app: malformedAction}
		}
		var ok bool
		if v.Form, ok = formIn(c); !ok {
			return nil, &stanzaError{cond: mapping.CondBadRequest, text: "The form cannot be read.", app: badPayload}
		}
		q.inquiry = v
		return nil, nil
	}
	s.gateway[get(nsCommands, "command")] = func(*asked) ([]byte, *stanzaError) {
		return nil, &stanzaError{cond: mapping.CondBadRequest, text: "A command is an iq of type set."}
	}
}

// commandList answers what items the gateway has for somebody, all of which are commands
// (XEP-0050 §2.2): by itself the node of the list, if there is any for him.
func commandList(items []mapping.CommandItem, gateway, node string) []byte {
	b := append([]byte(nil), "<query xmlns='"+stanza.NSDiscoItems+"'"...)
	b = appendOptAttr(b, "node", node)
	b = append(b, '>')
	item := func(node, name string) {
		b = append(b, "<item"...)
		b = appendAttr(b, "jid", gateway)
		b = appendAttr(b, "node", node)
		b = appendOptAttr(b, "name", name)
		b = append(b, "/>"...)
	}
	switch {
	case node == nsCommands:
		for _, i := range items {
			item(i.Node, i.Name)
		}
	case len(items) > 0:
		item(nsCommands, "")
	}
	return append(b, "</query>"...)
}

// commandInfo says what the node of the list is, or that of a command in it. What is not in
// the list of somebody does not exist for him (GW-14, GW-25).
func commandInfo(items []mapping.CommandItem, node string) (d discoInfo, known bool) {
	one := discoIdentity{category: "automation", typ: "command-list"}
	if node != nsCommands {
		at := slices.IndexFunc(items, func(i mapping.CommandItem) bool { return i.Node == node })
		if at < 0 {
			return d, false
		}
		one.typ, one.name = "command-node", items[at].Name
	}
	return discoInfo{identities: []discoIdentity{one}, features: []string{nsCommands, nsForm}}, true
}
