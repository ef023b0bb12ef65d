package commands

import (
	"context"
	"errors"
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// Registration with the gateway (XEP-0077) is having a SIP account there. The fields of its
// form, of which those that the registry does not know begin with x- (XEP-0068); the plain
// elements are the first three.
const (
	nsRegister = "jabber:iq:register"

	regAddress   = "username" // the SIP address
	regPassword  = "password"
	regName      = "name"
	regUsername  = "x-username"
	regRegistrar = "x-registrar"
)

// Register takes a request about a registration. It is answered once, by a
// XMPPRegisterReply.
func (d *Desk) Register(m *mapping.XMPPRegister) {
	c := &call{d: d, from: m.From, to: m.To, user: m.From.Bare(), said: m.Lang, t: d.texts(m.From, m.Lang)}
	c.write = func(o *outcome) []mapping.XMPP { return []mapping.XMPP{c.registered(m, o)} }
	c.run = func(_ context.Context, c *call) {
		switch {
		case d.o.Accounts == nil:
			c.fail(mapping.CondServiceUnavailable, "", c.t.Problem("off"))
		case !m.Set:
			c.askRegister()
		case m.Remove && m.More:
			c.fail(mapping.CondBadRequest, "", c.t.Session.BadForm)
		case m.Remove:
			c.unregister()
		case m.Form != nil && m.Form.Type == mapping.FormCancel:
			c.finish(&outcome{})
		default:
			c.register(m)
		}
	}
	d.take(c, &d.stats.Registrations)
}

// registered is the answer.
func (c *call) registered(m *mapping.XMPPRegister, o *outcome) *mapping.XMPPRegisterReply {
	r := &mapping.XMPPRegisterReply{From: m.To, To: m.From, ID: m.ID, Lang: c.t.Lang, Failure: o.failure}
	if o.failure != nil || o.form == nil {
		return r
	}
	_, r.Registered = c.d.o.Accounts.Of(c.user)
	r.Asked, r.Form, r.Instructions = true, o.form, c.t.Register.Instructions
	for _, name := range []string{regAddress, regPassword, regName} {
		r.Fields = append(r.Fields, mapping.Field{Var: name, Values: o.form.All(name)})
	}
	return r
}

// askRegister answers with what is to be filled in. The password is never in it.
func (c *call) askRegister() {
	a, _ := c.d.o.Accounts.Of(c.user)
	t, l := c.t.Register, &c.t.Labels
	c.finish(&outcome{form: &mapping.Form{Type: mapping.FormToFill, Title: t.Title, Instructions: []string{t.Instructions}, Fields: []mapping.Field{
		hidden(nsRegister),
		{Var: regAddress, Type: mapping.FieldText, Label: l.Address, Desc: c.t.Account.AddressHint, Required: true, Values: value(a.Address)},
		{Var: regPassword, Type: mapping.FieldSecret, Label: l.Password, Required: true},
		{Var: regUsername, Type: mapping.FieldText, Label: l.Username, Desc: c.t.Account.UsernameHint, Values: value(a.Username)},
		{Var: regRegistrar, Type: mapping.FieldText, Label: l.Registrar, Desc: c.t.Account.RegistrarHint, Values: value(a.Registrar)},
		{Var: regName, Type: mapping.FieldText, Label: l.Display, Desc: c.t.Account.DisplayHint, Values: value(a.Name)},
	}}})
}

// register makes an account the user's.
func (c *call) register(m *mapping.XMPPRegister) {
	form := m.Form
	if form == nil {
		form = &mapping.Form{Fields: m.Fields}
	}
	at := func(name string) string { return strings.TrimSpace(form.Value(name)) }
	d := Details{Address: at(regAddress), Password: form.Value(regPassword), Name: at(regName), Username: at(regUsername), Registrar: at(regRegistrar)}
	c.set(d, func(_ Account, err error) { c.refuse(err) },
		func(_ Account, also []mapping.XMPP) { c.finish(&outcome{also: also}) })
}

// unregister ends the account of who asks.
func (c *call) unregister() {
	if _, has := c.d.o.Accounts.Of(c.user); !has {
		c.fail(mapping.CondRegistrationRequired, "", c.t.Account.None)
		return
	}
	c.d.o.Accounts.Remove(c.user, func(err error) {
		if err != nil {
			c.refuse(err)
			return
		}
		c.finish(&outcome{also: c.farewell()})
	})
}

// conditions are those of spec XEP-0077 §3.1 and §3.2, by the kind of the problem.
var conditions = map[string]mapping.Condition{
	"taken":          mapping.CondConflict,
	"wrong-password": mapping.CondNotAuthorized,
	"no-answer":      mapping.CondRemoteServerTimeout,
	"busy":           mapping.CondResourceConstraint,
	"full":           mapping.CondResourceConstraint,
	"not-allowed":    mapping.CondForbidden,
	"unknown":        mapping.CondRegistrationRequired,
	"off":            mapping.CondServiceUnavailable,
	"not-kept":       mapping.CondInternalServerError,
}

// refuse answers that the registration was not changed.
func (c *call) refuse(err error) {
	var p *Problem
	if !errors.As(err, &p) {
		c.fail(mapping.CondInternalServerError, "", c.t.Problem(""))
		return
	}
	cond, ok := conditions[p.Kind]
	if !ok {
		cond = mapping.CondNotAcceptable
	}
	c.fail(cond, "", c.t.problem(err))
}
