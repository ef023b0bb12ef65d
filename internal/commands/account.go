package commands

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/stoxgw/stox/internal/texts"
	"github.com/stoxgw/stox/mapping"
)

// The stages of the command, and the names of the fields of its forms.
const (
	stageChoose = "choose"
	stageSet    = "set"
	stageRemove = "remove"

	fieldDo       = "do"
	fieldConfirm  = "confirm"
	fieldAddress  = "address"
	fieldUsername = "username"
	fieldPassword = "password"
	fieldRegister = "registrar"
	fieldDisplay  = "name"

	doKeep, doChange, doRemove = "keep", "change", "remove"

	stateRegistered = "registered" // of an account
)

func accountCommand() *command {
	return &command{
		node: "account", offered: hasAccounts,
		first: func(ctx context.Context, c *call) {
			if _, has := c.d.o.Accounts.Of(c.user); has {
				askChoose(ctx, c)
			} else {
				c.askAccount("", Details{})
			}
		},
		stages: map[string]stage{
			stageChoose: {ask: askChoose, take: takeChoose},
			stageSet:    {ask: func(_ context.Context, c *call) { c.askAccount("", c.details()) }, take: takeAccount},
			stageRemove: {ask: askRemove, take: takeRemove},
		},
		inChat: accountInChat,
	}
}

// askChoose shows the account, and asks what is to be done with it.
func askChoose(_ context.Context, c *call) {
	a, has := c.d.o.Accounts.Of(c.user)
	if !has {
		c.note(c.t.Account.None)
		return
	}
	p := accountPage(c.t, a)
	t := &c.t.Account
	q := &question{title: t.Title}
	for _, one := range p.pairs { // as fields: of several instructions some clients show the first only
		q.fields = append(q.fields, mapping.Field{Type: mapping.FieldFixed, Values: []string{one.label + ": " + strings.Join(one.values, ", ")}})
	}
	q.fields = append(q.fields, mapping.Field{Var: fieldDo, Type: mapping.FieldList, Label: t.Choose, Required: true, Values: []string{doKeep},
		Options: []mapping.Option{{Label: t.Keep, Value: doKeep}, {Label: t.Change, Value: doChange}, {Label: t.Remove, Value: doRemove}}})
	c.ask(stageChoose, q)
}

func takeChoose(ctx context.Context, c *call) {
	switch c.form.Value(fieldDo) {
	case doKeep:
		c.note(c.t.Account.Kept)
	case doChange:
		a, _ := c.d.o.Accounts.Of(c.user)
		c.askAccount("", Details{Address: a.Address, Username: a.Username, Registrar: a.Registrar, Name: a.Name})
	case doRemove:
		askRemove(ctx, c)
	default:
		c.fail(mapping.CondBadRequest, badPayload, c.t.Session.BadForm)
	}
}

// askAccount asks for an account. Of what has been typed the password is not shown again.
func (c *call) askAccount(problem string, d Details) {
	t, l := &c.t.Account, &c.t.Labels
	c.ask(stageSet, &question{title: t.Title, above: []string{t.Ask}, problem: problem, last: true, fields: []mapping.Field{
		{Var: fieldAddress, Type: mapping.FieldText, Label: l.Address, Desc: t.AddressHint, Required: true, Values: value(clip(d.Address))},
		{Var: fieldPassword, Type: mapping.FieldSecret, Label: l.Password, Required: true},
		{Var: fieldUsername, Type: mapping.FieldText, Label: l.Username, Desc: t.UsernameHint, Values: value(clip(d.Username))},
		{Var: fieldRegister, Type: mapping.FieldText, Label: l.Registrar, Desc: t.RegistrarHint, Values: value(clip(d.Registrar))},
		{Var: fieldDisplay, Type: mapping.FieldText, Label: l.Display, Desc: t.DisplayHint, Values: value(clip(d.Name))},
	}})
}

// details are what was filled in.
func (c *call) details() Details {
	at := func(name string) string { return strings.TrimSpace(c.form.Value(name)) }
	return Details{Address: at(fieldAddress), Username: at(fieldUsername), Password: c.form.Value(fieldPassword), Registrar: at(fieldRegister), Name: at(fieldDisplay)}
}

func takeAccount(_ context.Context, c *call) {
	d := c.details()
	c.set(d, func(_ Account, err error) {
		c.askAccount(c.t.problem(err), d)
	}, c.stored)
}

// stored says that the account is the user's now.
func (c *call) stored(a Account, also []mapping.XMPP) {
	p := accountPage(c.t, a)
	p.note = sprintf(c.t.Account.Stored, a.Address)
	c.done(p, also...)
}

// set has an account checked and kept. One of no, if it cannot be, and yes is called, later or
// at once; yes with what is to be said besides.
func (c *call) set(d Details, no func(Account, error), yes func(Account, []mapping.XMPP)) {
	had, has := c.d.o.Accounts.Of(c.user)
	if d.Address == "" || d.Password == "" {
		no(had, &Problem{Kind: "incomplete"})
		return
	}
	c.d.o.Accounts.Set(c.user, d, func(err error) {
		if err != nil {
			no(had, err)
			return
		}
		var also []mapping.XMPP
		if !has { // the gateway wants to be among the contacts of who has an account (XEP-0100)
			also = append(also, c.presence(mapping.Subscribe))
		}
		a, _ := c.d.o.Accounts.Of(c.user)
		yes(a, also)
	})
}

func askRemove(_ context.Context, c *call) {
	a, has := c.d.o.Accounts.Of(c.user)
	if !has {
		c.note(c.t.Account.None)
		return
	}
	t := &c.t.Account
	c.ask(stageRemove, &question{title: t.Title, above: []string{sprintf(t.RemoveAsk, a.Address)}, last: true,
		fields: []mapping.Field{{Var: fieldConfirm, Type: mapping.FieldBoolean, Label: t.RemoveConfirm, Values: []string{"false"}}}})
}

func takeRemove(_ context.Context, c *call) {
	switch c.form.Value(fieldConfirm) {
	case "true", "1":
		c.remove()
	default:
		c.note(c.t.Account.Kept)
	}
}

// remove ends the account, and says so.
func (c *call) remove() {
	c.d.o.Accounts.Remove(c.user, func(err error) {
		if err != nil {
			c.problem(c.t.problem(err))
			return
		}
		c.done(&page{note: c.t.Account.Removed}, c.farewell()...)
	})
}

// presence is a stanza from the gateway to a user.
func (c *call) presence(typ mapping.PresenceType) mapping.XMPP {
	p := &mapping.XMPPPresence{From: c.to.DomainJID(), To: c.user, Type: typ}
	if typ == mapping.Subscribe {
		p.Nick = c.t.Help.Nick
	}
	return p
}

// farewell is what a user is told who has no account any more (XEP-0100 §Unregister): the
// gateway is no contact of his.
func (c *call) farewell() []mapping.XMPP {
	if c.d.o.Left != nil {
		c.d.o.Left(c.user, c.to.DomainJID())
	}
	return []mapping.XMPP{c.presence(mapping.Unsubscribe), c.presence(mapping.Unsubscribed), c.presence(mapping.Unavailable)}
}

// accountInChat shows the account, sets it or removes it, as the words say.
func accountInChat(_ context.Context, c *call) {
	word := func(i int) string {
		if i < len(c.words) {
			return c.words[i]
		}
		return ""
	}
	a, has := c.d.o.Accounts.Of(c.user)
	t := &c.t.Account
	name := c.t.Commands["account"].Words[0]
	set, remove := name+" "+c.t.Words.Set[0], name+" "+c.t.Words.Remove[0]
	switch {
	case word(0) == "" && has:
		p := accountPage(c.t, a)
		p.title = t.Title
		c.done(p)
	case word(0) == "":
		c.note(t.None)
	case texts.Means(word(0), func(w *texts.Words) []string { return w.Set }):
		d := Details{Address: word(1), Password: word(2), Username: word(3), Registrar: word(4)}
		if d.Password == "" || len(c.words) > 5 {
			c.note(sprintf(t.SetUsage, set+" "+t.SetArguments))
			return
		}
		c.set(d, func(_ Account, err error) {
			c.done(&page{note: c.t.problem(err), kind: noteError, warning: t.Archived})
		}, func(a Account, also []mapping.XMPP) {
			p := accountPage(c.t, a)
			p.note, p.warning = sprintf(t.Stored, a.Address), t.Archived
			c.done(p, also...)
		})
	case texts.Means(word(0), func(w *texts.Words) []string { return w.Remove }):
		switch {
		case !has:
			c.note(t.None)
		case texts.Means(word(1), func(w *texts.Words) []string { return w.Yes }):
			c.remove()
		default:
			c.note(sprintf(t.RemoveAsk, a.Address) + " " + sprintf(t.RemoveChat, remove+" "+c.t.Words.Yes[0]))
		}
	default:
		c.usage()
	}
}

// accountPage describes an account.
func accountPage(t *words, a Account) *page {
	l := &t.Labels
	p := &page{title: t.Account.Title}
	p.add(fieldAddress, l.Address, a.Address)
	p.add(fieldUsername, l.Username, clip(a.Username))
	p.add(fieldRegister, l.Registrar, clip(a.Registrar))
	p.add(fieldDisplay, l.Display, clip(a.Name))
	p.add("state", l.State, t.State(a.State))
	p.add("reason", l.Reason, t.whyAsleep(a))
	p.add("server", l.Server, a.Server)
	p.add("since", l.Since, t.at(a.Since))
	p.add("until", l.Until, t.at(a.Until))
	return p
}

// whyAsleep is why the account is not registered, if it is not: in the words of the registrar,
// or ours for what we ourselves know.
func (t *words) whyAsleep(a Account) string {
	if a.State == stateRegistered {
		return ""
	}
	if text, ok := t.Problems[a.Reason]; ok && a.Reason != "" {
		return text
	}
	return reason(a.Status, a.Reason)
}

// reason puts status and reason of an answer together.
func reason(status int, text string) string {
	text = clip(text)
	if status == 0 || strings.HasPrefix(text, strconv.Itoa(status)) {
		return text
	}
	return strings.TrimSpace(strconv.Itoa(status) + " " + text)
}

// problem says an error in words. Of one that is neither a *Problem nor a *mapping.Failure,
// which has a sentence for people, it says nothing.
func (t *words) problem(err error) string {
	var p *Problem
	var f *mapping.Failure
	if errors.As(err, &f) && f.Text != "" {
		return f.Text
	}
	if !errors.As(err, &p) {
		return t.Problem("")
	}
	text := t.Problem(p.Kind)
	if p.Status != 0 {
		text += " (" + strconv.Itoa(p.Status) + ")"
	}
	if p.Seconds > 0 {
		text += " " + sprintf(t.Session.Seconds, p.Seconds)
	}
	return text
}

// words are the texts of a call, and how values are put into words with them.
type words struct{ *texts.Texts }

// at is a time, "" for the zero one.
func (t *words) at(when time.Time) string {
	if when.IsZero() {
		return ""
	}
	return when.Local().Format(t.Labels.Layout)
}
