package sipside

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// outEvent is what a request about events has and no other.
type outEvent struct {
	uri    string      // Request-URI
	next   mapping.URI // whom it goes to: what the first route names, else the Request-URI, or the domain of a route
	routes []string    // values of Route
	toTag  string
	within bool   // it is in a dialog
	flow   uint64 // that it prefers

	contact    mapping.URI
	hasContact bool

	fault *mapping.Failure // why it cannot be sent: a fault of ours
}

// eventRequestOf is requestOf for requests about events.
func eventRequestOf(v mapping.SIP) (r outRequest, ok bool) {
	var lines eventLines
	switch v := v.(type) {
	case *mapping.SIPSubscribe:
		r = newEventRequest(methodSubscribe, &v.SIPEvent, &lines)
		r.accept = mapping.TypePIDF
		if v.ToTag == "" {
			lines.add(allowEventsLine)
		}
		lines.expires(v.Expires)
	case *mapping.SIPNotify:
		r = newEventRequest(methodNotify, &v.SIPEvent, &lines)
		r.ContentType, r.Lang, r.Body = v.ContentType, v.Lang, v.Body
		lines.state(v)
	case *mapping.SIPPublish:
		r = newEventRequest(methodPublish, &v.SIPEvent, &lines)
		r.event.hasContact = false
		if v.Toward != "" {
			r.event.next = mapping.URI{Scheme: "sip", Host: v.Toward}
		}
		r.ContentType, r.Lang, r.Body = v.ContentType, v.Lang, v.Body
		lines.expires(v.Expires)
		if v.IfMatch != "" {
			lines.add("SIP-If-Match: ", lines.token("SIP-If-Match", v.IfMatch), "\r\n")
		}
	default:
		return r, false
	}
	r.extra = lines.b.String()
	if r.event.fault == nil && lines.bad != "" {
		r.event.fault = mapping.FailInternal(fmt.Errorf("sipside: %s cannot be written", lines.bad))
	}
	return r, true
}

// newEventRequest makes of e what the three have in common.
func newEventRequest(method string, e *mapping.SIPEvent, lines *eventLines) outRequest {
	m := &mapping.SIPMessage{RequestURI: e.RequestURI, From: e.From, To: e.To, Name: e.Name, CallID: e.CallID, FromTag: e.FromTag, CSeq: e.CSeq}
	o := &outEvent{toTag: e.ToTag, within: e.ToTag != "", flow: e.Flow, contact: e.Contact, hasContact: true}
	if e.RemoteTarget != "" {
		var err error
		if m.RequestURI, err = mapping.ParseURI(e.RemoteTarget); err != nil || !plainURI(e.RemoteTarget) {
			lines.fault("the remote target")
		}
	}
	o.address(m.RequestURI, e.RemoteTarget, e.Routes, lines)
	if e.ToTag != "" {
		lines.token("To", e.ToTag)
	}
	if e.Contact.Host != "" && !plainURI(e.Contact.String()) {
		lines.fault("Contact")
	}
	lines.add("Event: ", lines.token("Event", e.Package))
	if e.EventID != "" {
		lines.add(";id=", lines.token("Event", e.EventID))
	}
	lines.add("\r\n")
	return outRequest{SIPMessage: m, method: method, event: o}
}

// address sets Request-URI and Route (RFC 3261 §12.2.1.1). Where the first of the routes does
// not know loose routing the request is addressed to it, and the target stands at the end.
func (o *outEvent) address(target mapping.URI, literal string, routes []string, lines *eventLines) {
	if literal == "" {
		literal = target.String()
	}
	o.uri, o.next = literal, target
	if len(routes) == 0 {
		return
	}
	for _, r := range routes {
		if !isRoute(r) {
			lines.fault("Route")
			return
		}
	}
	o.next, _ = mapping.ParseURI(routes[0])
	if isLoose(routes[0]) {
		o.routes = routes
		return
	}
	o.uri = withoutHeaders(routes[0])
	o.routes = append(slices.Clone(routes[1:]), literal)
}

// eventLines collects header lines. mapping and who keeps the dialogs have checked what is in
// them, so what cannot stand there is a fault of ours, which is named and not mended.
type eventLines struct {
	b   strings.Builder
	bad string // "" if all is well
}

func (l *eventLines) add(parts ...string) {
	for _, p := range parts {
		l.b.WriteString(p)
	}
}

func (l *eventLines) fault(what string) {
	if l.bad == "" {
		l.bad = what
	}
}

// token is s, which has to be one to stand in the header name.
func (l *eventLines) token(name, s string) string {
	if !isToken(s) {
		l.fault(name)
		return ""
	}
	return s
}

func (l *eventLines) expires(seconds int) {
	if seconds >= 0 {
		l.add("Expires: ", strconv.Itoa(seconds), "\r\n")
	}
}

// state adds Subscription-State. Only a terminated one has a reason, and no time that is left
// (RFC 6665 §8.2.3).
func (l *eventLines) state(v *mapping.SIPNotify) {
	l.add("Subscription-State: ", l.token("Subscription-State", string(v.State)))
	switch {
	case v.State != mapping.StateTerminated:
		if v.Expires >= 0 {
			l.add(";expires=", strconv.Itoa(v.Expires))
		}
	default:
		if v.Reason != "" {
			l.add(";reason=", l.token("Subscription-State", v.Reason))
		}
		if v.RetryAfter > 0 {
			l.add(";retry-after=", strconv.Itoa(v.RetryAfter))
		}
	}
	l.add("\r\n")
}
