package component

import (
	"cmp"
	"encoding/xml"
	"errors"
	"time"

	"gosrc.io/xmpp/stanza"

	"github.com/stoxgw/stox/mapping"
)

// asked is an IQ get or set of somebody who may use the gateway.
type asked struct {
	payload  *element
	from     mapping.JID // who asks
	id, lang string
	to       mapping.JID // ours: the gateway, or a contact
	uri      mapping.URI // what SIP calls the contact; zero for the gateway

	inquiry mapping.XMPP // set by a service that leaves the answer to the handler
}

// service answers with a result, whose payload may be empty, or with an error. It may set
// inquiry instead, which the handler answers later.
type service func(q *asked) (result []byte, bad *stanzaError)

// request is what a service is known by: "get" or "set", and the payload.
type request struct {
	typ  stanza.StanzaType
	name xml.Name
}

func get(space, local string) request {
	return request{stanza.IQTypeGet, xml.Name{Space: space, Local: local}}
}

func set(space, local string) request {
	return request{stanza.IQTypeSet, xml.Name{Space: space, Local: local}}
}

// services knows who answers what (GW-01, GW-26), and whom. It is not changed but swapped
// whole (Component.Change), so it needs no lock. What is not in its tables is answered service-unavailable (GW-12).
type services struct {
	gateway  map[request]service // of the component's own name
	resource map[request]service // of its resources, of which there are none
	contact  map[request]service // of contacts

	allow     func(mapping.JID) bool
	contactOf func(mapping.JID) (mapping.URI, error)

	gatewayVer string // see caps
}

// newServices makes the services that cfg, whose defaults are set, asks for; since is
// when the component came to be.
func newServices(cfg Config, since time.Time) *services {
	s := &services{
		gateway:  make(map[request]service),
		resource: make(map[request]service),
		contact:  make(map[request]service),
		allow:    cfg.Allow, contactOf: cfg.Contact,
	}
	s.addDisco(cfg)
	s.addPing()
	s.addVersion(cfg.Version)
	s.addLast(since)
	s.addVCard(cfg.Name)
	if cfg.Prompt != nil {
		s.addPrompt(cfg.Prompt, cfg.PromptTexts)
	}
	if cfg.Commands != nil {
		s.addCommands()
	}
	if cfg.Register {
		s.addRegister()
	}
	return s
}

// iq handles an iq stanza: every get and set gets exactly one answer, a result
// or an error none (RFC 6120 §8.2.3; GW-11, GW-12).
func (r *reader) iq(st *element, over string) {
	h := st.head()
	typ := stanza.StanzaType(h.typ)
	if typ == stanza.IQTypeResult || typ == stanza.IQTypeError {
		return // ours took the answers that we wait for
	}
	srv := r.l.srv.Load()
	rt, bad := r.route(&h)
	switch {
	case bad != nil:
	case over != "":
		e := tooBig(over)
		bad = &e
	case typ != stanza.IQTypeGet && typ != stanza.IQTypeSet:
		bad = &stanzaError{cond: mapping.CondBadRequest, text: "The type of an iq is get, set, result or error."}
	case h.id == "":
		bad = &stanzaError{cond: mapping.CondBadRequest, text: "The iq has no id."}
	case len(st.children) != 1:
		bad = &stanzaError{cond: mapping.CondBadRequest, text: "The iq must have exactly one child."}
	case !srv.allow(rt.from):
		bad = &stanzaError{cond: mapping.CondServiceUnavailable} // refuse makes it forbidden
	}
	var result []byte
	if bad == nil {
		payload := st.children[0]
		q := &asked{payload: payload, from: rt.from, id: h.id, lang: cmp.Or(payload.lang(), h.lang), to: rt.to}
		if result, bad = srv.serve(request{typ, payload.name}, q); bad == nil && q.inquiry != nil {
			if bad = r.inquire(q); bad == nil {
				return
			}
		}
	}
	if bad != nil {
		r.refuse(st, rt, *bad)
		return
	}
	r.answer(st, func(b []byte) []byte {
		b = appendOpen(b, "iq", rt.replyAs, rt.replyTo, h.id, string(stanza.IQTypeResult))
		b = append(b, '>')
		b = append(b, result...)
		return append(b, "</iq>"...)
	})
}

// serve finds who answers q, and lets him.
func (s *services) serve(what request, q *asked) ([]byte, *stanzaError) {
	table := s.gateway
	switch {
	case q.to.Local() != "":
		var err error
		if q.uri, err = s.contactOf(q.to); err != nil {
			return nil, failed(err)
		}
		table = s.contact
	case !q.to.IsBare():
		table = s.resource
	}
	if one := table[what]; one != nil {
		return one(q)
	}
	return nil, &stanzaError{cond: mapping.CondServiceUnavailable}
}

// failed is the answer for an error of the mapping.
func failed(err error) *stanzaError {
	var f *mapping.Failure
	if !errors.As(err, &f) {
		return &stanzaError{cond: mapping.CondInternalServerError}
	}
	e := errorOf(f)
	e.alternate = ""
	return &e
}
