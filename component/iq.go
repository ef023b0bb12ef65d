package component

import (
	"encoding/xml"
	"fmt"

	"gosrc.io/xmpp/stanza"

	"github.com/stoxgw/stox/mapping"
)

// service answers an IQ get that is addressed to the gateway itself: with a
// result, whose payload may be empty, or with an error.
type service func(payload *element) (result []byte, bad *stanzaError)

// services knows who answers which payload (GW-01). It is made once and not
// changed, so it needs no lock.
type services struct {
	get map[xml.Name]service
}

func newServices(name, version string) (*services, error) {
	s := &services{get: make(map[xml.Name]service)}
	for _, add := range []func() error{
		func() error { return s.addDisco(name) },
		func() error { return s.addVersion(version) },
	} {
		if err := add(); err != nil {
			return nil, err
		}
	}
	s.addPing()
	return s, nil
}

// marshal makes the text of a result. It happens at start only.
func marshal(p stanza.IQPayload) ([]byte, error) {
	b, err := xml.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("marshal %s: %w", p.Namespace(), err)
	}
	return b, nil
}

// iq handles an iq stanza: every get and set gets exactly one answer, a result
// or an error none (RFC 6120 §8.2.3; GW-11, GW-12).
func (r *reader) iq(st *element, over string) {
	typ := stanza.StanzaType(st.attr("type"))
	if typ == stanza.IQTypeResult || typ == stanza.IQTypeError {
		return // ours took the answers that we wait for
	}
	rt, bad := r.route(st)
	unavailable := stanzaError{cond: mapping.CondServiceUnavailable}
	switch {
	case bad != nil:
		r.refuse(st, rt, *bad)
	case over != "":
		r.refuse(st, rt, tooBig(over))
	case typ != stanza.IQTypeGet && typ != stanza.IQTypeSet:
		r.refuse(st, rt, stanzaError{cond: mapping.CondBadRequest, text: "The type of an iq is get, set, result or error."})
	case st.attr("id") == "":
		r.refuse(st, rt, stanzaError{cond: mapping.CondBadRequest, text: "The iq has no id."})
	case len(st.children) != 1:
		r.refuse(st, rt, stanzaError{cond: mapping.CondBadRequest, text: "The iq must have exactly one child."})
	case rt.to.Local() != "" || typ == stanza.IQTypeSet:
		r.refuse(st, rt, unavailable)
	case !r.l.cfg.Allow(rt.from):
		r.refuse(st, rt, unavailable) // refuse makes it forbidden
	default:
		serve := r.l.srv.get[st.children[0].name]
		if serve == nil {
			r.refuse(st, rt, unavailable)
			return
		}
		result, bad := serve(st.children[0])
		if bad != nil {
			r.refuse(st, rt, *bad)
			return
		}
		r.answer(st, func(b []byte) []byte {
			b = appendOpen(b, "iq", rt.replyAs, rt.replyTo, st.attr("id"), string(stanza.IQTypeResult))
			b = append(b, '>')
			b = append(b, result...)
			return append(b, "</iq>"...)
		})
	}
}
