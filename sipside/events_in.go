package sipside

import (
	"strconv"
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// checkEvent goes on with what only concerns SUBSCRIBE, NOTIFY and PUBLISH.
func (u *UA) checkEvent(r *request, target mapping.URI) (mapping.SIP, *reply) {
	from, name, written, f := u.identity(r)
	if f != nil {
		return refuse(f)
	}
	to, err := mapping.ParseURI(r.to.uri)
	if err != nil {
		to = target // To only informs
	}
	e := mapping.SIPEvent{
		RequestURI: target, From: from, Written: written, To: to, Name: mapping.HeaderText(name),
		CallID: r.f.callID, FromTag: r.from.tag, ToTag: r.to.tag, CSeq: r.cseq,
		Agent: r.f.agent, Accept: mapping.HeaderText(r.f.accept), Peer: r.peer.id,
	}
	e.Account = r.account
	e.Here, e.Ways = u.reached(target, r)
	h := r.f.event
	if h == nil {
		h = new(eventFields)
	}
	if refused := r.event(&e, h); refused != nil {
		return nil, refused
	}
	expires := mapping.NoExpires
	if r.f.expires != "" {
		var ok bool
		if expires, ok = parseDelta(r.f.expires); !ok {
			return refuse(mapping.FailBadRequest("Expires"))
		}
	}
	lang, _ := cutList(mapping.HeaderText(r.f.language))
	switch r.method {
	case methodNotify:
		n := &mapping.SIPNotify{SIPEvent: e, ContentType: r.f.contentType, Encoding: r.f.encoding, Lang: lang, Body: r.body}
		if !readState(n, h.state) {
			return refuse(mapping.FailBadRequest("Subscription-State"))
		}
		return n, nil
	case methodPublish:
		p := &mapping.SIPPublish{SIPEvent: e, Expires: expires, ContentType: r.f.contentType, Encoding: r.f.encoding, Lang: lang, Body: r.body}
		if len(h.ifMatch) > 1 || len(h.ifMatch) == 1 && !smallToken(strings.TrimSpace(h.ifMatch[0])) {
			return refuse(mapping.FailBadRequest("SIP-If-Match"))
		}
		for _, v := range h.ifMatch {
			p.IfMatch = strings.TrimSpace(v)
		}
		return p, nil
	}
	return &mapping.SIPSubscribe{SIPEvent: e, Expires: expires}, nil
}

// event reads into e what the three methods have in common, and gives the refusal if it is
// not right.
func (r *request) event(e *mapping.SIPEvent, h *eventFields) *reply {
	refused := func(f *mapping.Failure, extra ...string) *reply {
		answer := refusal(f, extra...)
		return &answer
	}
	if e.ToTag != "" && !smallToken(e.ToTag) {
		return refused(mapping.FailBadRequest("To"))
	}
	if len(h.event) > 0 { // without one it is of a package that is not named (RFC 6665 §7.2.2)
		var ok bool
		if e.Package, e.EventID, ok = parseEvent(h.event); !ok {
			return refused(mapping.FailBadRequest("Event"))
		}
	}
	if e.Package != presencePackage { // the case of letters counts (RFC 6665 §8.2.1)
		return refused(mapping.FailEvent(), allowEventsLine)
	}
	if tooMany(r.f.accept, maxParams) {
		return refused(mapping.FailBadRequest("Accept"))
	}
	if r.method != methodPublish { // which is in no dialog, and needs no Contact
		var f *mapping.Failure
		if e.Contact, e.RemoteTarget, f = readTarget(r.f.contacts); f != nil {
			return refused(f)
		}
		var ok bool
		if e.Routes, ok = readRoutes(h.recordRoute); !ok {
			return refused(mapping.FailBadRequest("Record-Route"))
		}
		if len(e.Routes) == 0 && len(r.f.vias) == 1 && r.via.rest == "" {
			e.Flow = r.flow
		}
	}
	if f := r.content(); f != nil {
		return refused(f)
	}
	return nil
}

// parseEvent reads the value of an Event header: the package, and the id.
func parseEvent(rows []string) (name, id string, ok bool) {
	if len(rows) != 1 || openQuote(rows[0]) || tooMany(rows[0], maxParams) {
		return "", "", false
	}
	name, params, _ := strings.Cut(rows[0], ";")
	if name = strings.TrimSpace(name); !smallToken(name) {
		return "", "", false
	}
	id, has := param(params, "id")
	return name, id, !has || smallToken(id)
}

// readState reads the value of Subscription-State. Of its parameters those that cannot be
// read say nothing, as that would be no reason to lose a state (RFC 6665 §4.1.3).
func readState(n *mapping.SIPNotify, rows []string) bool {
	if len(rows) != 1 || openQuote(rows[0]) || tooMany(rows[0], maxParams) {
		return false
	}
	state, params, _ := strings.Cut(rows[0], ";")
	state = strings.ToLower(strings.TrimSpace(state))
	if !smallToken(state) {
		return false
	}
	n.State, n.Expires = mapping.SubscriptionState(state), mapping.NoExpires
	if v, has := param(params, "expires"); has {
		if s, ok := parseDelta(v); ok {
			n.Expires = s
		}
	}
	if v, has := param(params, "retry-after"); has {
		n.RetryAfter, _ = parseDelta(v)
	}
	if v, has := param(params, "reason"); has && smallToken(v) {
		n.Reason = strings.ToLower(v)
	}
	return true
}

// parseDelta reads delta-seconds (RFC 3261 §25.1). More than can be said is the most that
// can.
func parseDelta(s string) (seconds int, ok bool) {
	s = strings.Trim(s, " \t")
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		n = maxDelta
	}
	return int(min(n, maxDelta)), true
}

// maxDelta fits into an int anywhere.
const maxDelta = 1<<31 - 1
