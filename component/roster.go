package component

import (
	"slices"
	"strconv"
	"strings"

	"gosrc.io/xmpp/stanza"

	"github.com/stoxgw/stox/mapping"
)

// A contact that writes to a user for the first time is made known to him, since his
// client says more about it, and more to it, if it is in the roster. Where the server lets
// us (XEP-0356) it is put there: first the roster is looked at, since what the user has
// written there himself must stay. It gets no subscription, which is for both of them to
// give (GW-23). Everywhere else, and where that fails, the contact asks for one.

// The namespaces of XEP-0356; what it says of rosters is the same in both versions.
const (
	nsPrivilege  = "urn:xmpp:privilege:2"
	nsPrivilege1 = "urn:xmpp:privilege:1"
	nsRoster     = "jabber:iq:roster"
)

const (
	maxGranted = 64   // domains
	maxAsked   = 1024 // questions without an answer; the oldest goes
	rosterID   = "-r" // in the ids of our questions, behind the link's own
)

// asking is a question to a roster.
type asking struct {
	id    string
	write bool // the contact is to be put there; else: what is in it?
	who   *mapping.XMPPIntroduction
}

// privilege takes the news that a server lets us, or does not let us any more, into the
// rosters of its users. It is believed of its own users only, and only if it is the server
// that we are connected to, or one whose users may all use the gateway.
func (r *reader) privilege(st *element) bool {
	var found *element
	for _, c := range st.children {
		if c.name.Local == "privilege" && (c.name.Space == nsPrivilege || c.name.Space == nsPrivilege1) {
			found = c
		}
	}
	if found == nil || st.attr("type") == string(stanza.MessageTypeError) {
		return false
	}
	from, err := mapping.ParseJID(st.attr("from"))
	if err != nil || from != from.DomainJID() || st.attr("to") != r.l.q.from {
		return false
	}
	both := false
	for _, c := range found.children {
		if c.name.Local == "perm" && c.attr("access") == "roster" {
			both = c.attr("type") == "both"
		}
	}
	if r.l.q.grant(from, both) {
		r.l.log.Info("the XMPP server says whether contacts may be put into rosters", "of", from.Domain(), "may", both)
	}
	return true
}

// grant notes it, and reports whether that was news.
func (q *queue) grant(server mapping.JID, both bool) bool {
	domain := server.Domain()
	q.mu.Lock()
	defer q.mu.Unlock()
	if domain != q.parent && !q.allow(server) || q.granted[domain] == both ||
		both && len(q.granted) >= maxGranted && domain != q.parent {
		return false
	}
	if q.granted == nil {
		q.granted = make(map[string]bool)
	}
	if both {
		q.granted[domain] = true
	} else {
		delete(q.granted, domain)
	}
	return true
}

// appendIntroduction appends the first stanza of an introduction. q.mu is held.
func (q *queue) appendIntroduction(b []byte, v *mapping.XMPPIntroduction) []byte {
	if !q.granted[v.To.Domain()] || v.To.Local() == "" {
		return q.appendPresence(b, requestOf(v))
	}
	a := q.ask(v, false)
	b = appendOpen(b, "iq", q.from, v.To.Bare().String(), a.id, string(stanza.IQTypeGet))
	return append(b, "><query xmlns='"+nsRoster+"'/></iq>"...)
}

// requestOf is the subscription request that stands for an introduction.
func requestOf(v *mapping.XMPPIntroduction) *mapping.XMPPPresence {
	return &mapping.XMPPPresence{From: v.From, To: v.To, Type: mapping.Subscribe, Nick: v.Nick}
}

// ask notes a question. q.mu is held.
func (q *queue) ask(v *mapping.XMPPIntroduction, write bool) *asking {
	if len(q.asked) >= maxAsked {
		q.asked = slices.Delete(q.asked, 0, 1)
	}
	q.askings++
	a := &asking{id: q.pingID + rosterID + strconv.FormatUint(q.askings, 10), write: write, who: v}
	q.asked = append(q.asked, a)
	return a
}

// rosterAnswer takes the answer to a question to a roster. over says that it was too
// much to be read.
func (r *reader) rosterAnswer(st *element, over string) bool {
	typ, id := stanza.StanzaType(st.attr("type")), st.attr("id")
	if typ != stanza.IQTypeResult && typ != stanza.IQTypeError || !strings.HasPrefix(id, r.l.pingID+rosterID) {
		return false
	}
	from, err := mapping.ParseJID(st.attr("from"))
	if err != nil || st.attr("to") != r.l.q.from {
		return false
	}
	ok := typ == stanza.IQTypeResult && over == ""
	if why := r.l.q.rosterAnswered(id, from, ok, st); why != "" {
		r.l.log.Debug("a contact is not put into a roster: it asks for a subscription", "to", from.String(), "reason", why)
	}
	return true
}

// rosterAnswered does what follows from an answer, which counts only if it comes from the
// one that was asked. It returns why the contact has to ask the user himself, "" if it
// has not.
func (q *queue) rosterAnswered(id string, from mapping.JID, ok bool, st *element) (why string) {
	q.mu.Lock()
	i := slices.IndexFunc(q.asked, func(a *asking) bool { return a.id == id && a.who.To.Bare() == from })
	if i < 0 {
		q.mu.Unlock()
		return ""
	}
	a := q.asked[i]
	q.asked = slices.Delete(q.asked, i, i+1)
	var next []byte
	switch {
	case !ok:
		why = "error"
		next = q.appendPresence(nil, requestOf(a.who))
	case !a.write && !inRoster(st, a.who.From):
		w := q.ask(a.who, true)
		next = appendRosterSet(nil, q.from, w)
	}
	q.mu.Unlock()
	if next != nil {
		q.control(next)
	}
	return why
}

// inRoster reports whether a roster has an entry for that contact.
func inRoster(st *element, contact mapping.JID) bool {
	for _, query := range st.children {
		if query.name.Space != nsRoster || query.name.Local != "query" {
			continue
		}
		for _, item := range query.children {
			if j, err := mapping.ParseJID(item.attr("jid")); err == nil && j.Bare() == contact.Bare() {
				return true
			}
		}
	}
	return false
}

// appendRosterSet appends the wish that a contact be in the roster of a user. What it
// says of subscriptions is what was there: none.
func appendRosterSet(b []byte, from string, a *asking) []byte {
	b = appendOpen(b, "iq", from, a.who.To.Bare().String(), a.id, string(stanza.IQTypeSet))
	b = append(b, "><query xmlns='"+nsRoster+"'><item"...)
	b = appendAttr(b, "jid", a.who.From.Bare().String())
	b = appendOptAttr(b, "name", a.who.Nick)
	return append(b, " subscription='none'/></query></iq>"...)
}
