package component

import (
	"errors"
	"fmt"

	"gosrc.io/xmpp/stanza"

	"github.com/stoxgw/stox/mapping"
)

// address fills a, which is empty, with what the pending table needs. The error says why
// the value cannot be a stanza of ours; what was known before it was found is there.
func address(v mapping.XMPP, a *addressed) error {
	switch v := v.(type) {
	case *mapping.XMPPMessage:
		if v == nil {
			return errors.New("nil message")
		}
		a.id, a.from, a.to, a.bounces = v.ID, v.From, v.To, true
		switch stanza.StanzaType(v.Type) {
		case "", stanza.MessageTypeNormal, stanza.MessageTypeChat, stanza.MessageTypeHeadline:
		default:
			return fmt.Errorf("message of type %q", v.Type)
		}
	case *mapping.XMPPError:
		if v == nil || v.Failure == nil {
			return errors.New("error stanza without a failure")
		}
		a.id, a.from, a.to = v.ID, v.From, v.To
	case *mapping.XMPPReceipt:
		if v == nil || v.About == "" {
			return errors.New("receipt of nothing")
		}
		a.id, a.from, a.to, a.bounces = v.ID, v.From, v.To, true
	case *mapping.XMPPState:
		if v == nil || !v.State.Known() {
			return errors.New("no chat state")
		}
		a.id, a.from, a.to, a.bounces = v.ID, v.From, v.To, true
	case *mapping.XMPPPresence:
		if v == nil || !v.Type.Known() || (v.Type == mapping.PresenceError) != (v.Failure != nil) {
			return errors.New("no presence")
		}
		a.id, a.from, a.to = v.ID, v.From, v.To
	case *mapping.XMPPIntroduction:
		if v == nil {
			return errors.New("nil introduction")
		}
		a.from, a.to = v.From, v.To
	case *mapping.XMPPCommandReply:
		if v == nil {
			return errors.New("nil reply")
		}
		a.id, a.from, a.to, a.answers = v.ID, v.From, v.To, true
		if v.Failure == nil && (v.Node == "" || !commandStatus(v.Status) || !writable(v.Form)) {
			return errors.New("no reply to a command")
		}
	case *mapping.XMPPRegisterReply:
		if v == nil {
			return errors.New("nil reply")
		}
		a.id, a.from, a.to, a.answers = v.ID, v.From, v.To, true
		if !writable(v.Form) {
			return errors.New("no reply to a registration")
		}
	default:
		return fmt.Errorf("no stanza for a %T", v)
	}
	if a.to.IsZero() {
		return errors.New("stanza without an addressee")
	}
	return nil
}

// append appends the stanza of a value that address has passed. q.mu is held.
func (q *queue) append(b []byte, v mapping.XMPP) []byte {
	switch v := v.(type) {
	case *mapping.XMPPPresence:
		return q.appendPresence(b, v)
	case *mapping.XMPPIntroduction:
		return q.appendIntroduction(b, v)
	}
	return appendValue(b, v, q.by, q.maxStanza)
}

// appendValue appends a value that needs nothing of the queue. by is who says so in an
// error; limit is how big a stanza may be, for what can be done about it here.
func appendValue(b []byte, v mapping.XMPP, by string, limit int) []byte {
	switch v := v.(type) {
	case *mapping.XMPPMessage:
		b = appendMessage(b, v, limit)
	case *mapping.XMPPReceipt:
		b = appendReceipt(b, v)
	case *mapping.XMPPState:
		b = appendState(b, v)
	case *mapping.XMPPError:
		b = appendOpen(b, "message", v.From.String(), v.To.String(), v.ID, string(stanza.MessageTypeError))
		b = append(b, '>')
		e := errorOf(v.Failure)
		e.lang = v.Lang
		b = appendStanzaError(b, by, e)
		b = append(b, "</message>"...)
	case *mapping.XMPPCommandReply:
		b = appendCommandReply(b, v, by)
	case *mapping.XMPPRegisterReply:
		b = appendRegisterReply(b, v, by)
	}
	return b
}

// appendOpen appends a start tag without its final ">".
func appendOpen(b []byte, name, from, to, id, typ string) []byte {
	b = append(b, '<')
	b = append(b, name...)
	b = append(b, " from='"...)
	b = appendEscaped(b, from, true)
	b = append(b, "' to='"...)
	b = appendEscaped(b, to, true)
	if id != "" {
		b = append(b, "' id='"...)
		b = appendEscaped(b, id, true)
	}
	if typ != "" {
		b = append(b, "' type='"...)
		b = appendEscaped(b, typ, true)
	}
	return append(b, '\'')
}

// bounce matches an error stanza with what it answers. One that matches nothing
// is late, forged, or the answer to an error of ours: the handler has to know
// (IM-61).
func (r *reader) bounce(st *element) {
	id := st.attr("id")
	from, err1 := mapping.ParseJID(st.attr("from"))
	to, err2 := mapping.ParseJID(st.attr("to"))
	if err := errors.Join(err1, err2); err != nil {
		r.l.log.Debug("error stanza dropped", "id", id, "err", err)
		return
	}
	f := readStanzaError(st)
	if r.l.q.bounced(id, from, to, f) {
		return
	}
	r.l.log.Debug("an error stanza answers nothing that is pending",
		"from", from.String(), "to", to.String(), "id", id, "reason", string(f.Condition))
	if id != "" && to.Domain() == r.l.q.domain.Domain() {
		r.hand(&mapping.XMPPError{From: from, To: to, ID: id, Failure: f})
	}
}

// routed is where a stanza comes from and goes to. The raw texts are for the
// answer to a stanza whose addresses do not parse.
type routed struct {
	from, to mapping.JID
	replyAs  string // our address in the answer
	replyTo  string // "": nobody to answer
}

// route reads the addresses of a stanza. bad is the answer if they will not do.
func (r *reader) route(h *head) (rt routed, bad *stanzaError) {
	rt.replyAs, rt.replyTo = r.l.q.from, h.from
	to, errTo := mapping.ParseJID(h.to)
	if errTo == nil && to.Domain() == r.l.q.domain.Domain() {
		rt.to, rt.replyAs = to, to.String()
	}
	var err error
	if rt.from, err = mapping.ParseJID(rt.replyTo); err != nil {
		return rt, &stanzaError{cond: mapping.CondJIDMalformed, text: "The address of the sender is malformed."}
	}
	switch {
	case h.to == "":
		return rt, &stanzaError{cond: mapping.CondBadRequest, text: "The stanza has no addressee."}
	case errTo != nil:
		return rt, &stanzaError{cond: mapping.CondJIDMalformed, text: "The address is malformed."}
	case rt.to.IsZero():
		r.foreign(to)
		return rt, &stanzaError{cond: mapping.CondItemNotFound, text: "The gateway does not serve this domain."}
	}
	return rt, nil
}

func tooBig(over string) stanzaError {
	return stanzaError{cond: mapping.CondPolicyViolation, typ: mapping.TypeModify, text: "The stanza is too big: " + over + "."}
}

// refuse answers a message or an IQ with an error. Who may not ask us anything
// learns no more than that (SEC-13).
func (r *reader) refuse(st *element, rt routed, e stanzaError) {
	if rt.replyTo == "" {
		r.l.log.Debug("stanza without a sender dropped", "id", st.attr("id"), "reason", string(e.cond))
		return
	}
	if !rt.from.IsZero() && !r.l.srv.Load().allow(rt.from) {
		e = stanzaError{cond: mapping.CondForbidden, typ: mapping.TypeAuth, text: "You may not use this gateway."}
	}
	r.l.log.Debug("stanza refused", "from", rt.replyTo, "to", rt.replyAs, "id", st.attr("id"), "reason", string(e.cond))
	r.answer(st, func(b []byte) []byte {
		b = appendOpen(b, st.name.Local, rt.replyAs, rt.replyTo, st.attr("id"), string(stanza.MessageTypeError))
		b = append(b, '>')
		b = appendStanzaError(b, r.l.q.by, e)
		b = append(b, "</"...)
		b = append(b, st.name.Local...)
		return append(b, '>')
	})
}

// answer writes the one answer to a stanza.
func (r *reader) answer(st *element, build func([]byte) []byte) {
	if !r.l.q.reply(build) {
		r.l.log.Debug("a stanza is not answered: the answer would be too big", "name", st.name.Local, "from", st.attr("from"))
	}
}
