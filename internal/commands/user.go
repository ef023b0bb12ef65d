package commands

import (
	"context"
	"errors"
	"strings"

	"github.com/stoxgw/stox/internal/texts"
	"github.com/stoxgw/stox/mapping"
)

// shownMessages is how many of the last messages a user is shown.
const shownMessages = 10

func messagesCommand() *command {
	return &command{node: "messages", offered: func(o *Options) bool { return o.Recent != nil }, first: func(_ context.Context, c *call) {
		l := &c.t.Labels
		p := &page{title: c.t.Messages.Title, columns: []column{{"time", l.Time}, {"direction", l.Direction}, {"contact", l.Contact}, {"outcome", l.Outcome}, {"reason", l.Reason}}}
		for _, m := range c.d.o.Recent.OfUser(c.user, shownMessages) {
			direction := c.t.Messages.In
			if m.Sent {
				direction = c.t.Messages.Out
			}
			p.rows = append(p.rows, []string{c.t.at(m.At), direction, m.Contact, c.t.State(m.Outcome), clip(m.Reason)})
		}
		if len(p.rows) == 0 {
			p.note = c.t.Messages.None
		}
		c.done(p)
	}}
}

// stageOne is the stage of a command that asks once.
const stageOne = "ask"

// maxTyped is longer than any address that somebody may type, in octets.
const maxTyped = 4096

// asksOnce is a command with one question, of which ask says how it is put. answer is given
// the value of the field of that name, in a chat all words behind the command; ask may answer itself.
func asksOnce(c command, field string, ask func(*call) *question, answer func(context.Context, *call, string)) *command {
	put := func(_ context.Context, c *call) {
		if q := ask(c); q != nil {
			q.last = true
			c.ask(stageOne, q)
		}
	}
	c.first = put
	c.stages = map[string]stage{stageOne: {ask: put, take: func(ctx context.Context, c *call) {
		v := strings.TrimSpace(c.form.Value(field))
		if v == "" || len(v) > maxTyped {
			c.fail(mapping.CondBadRequest, badPayload, c.t.Session.BadForm)
			return
		}
		answer(ctx, c, v)
	}}}
	c.inChat = func(ctx context.Context, c *call) {
		if v := strings.Join(c.words, " "); v != "" && len(v) <= maxTyped {
			answer(ctx, c, v)
		} else {
			c.usage()
		}
	}
	return &c
}

func addressQuestion(c *call, title, above, hint string) *question {
	return &question{title: title, above: []string{above},
		fields: []mapping.Field{{Var: fieldAddress, Type: mapping.FieldText, Label: c.t.Labels.Address, Desc: hint, Required: true}}}
}

func lookupCommand() *command {
	return asksOnce(command{node: "lookup", offered: func(o *Options) bool { return o.Rules != nil }}, fieldAddress,
		func(c *call) *question {
			return addressQuestion(c, c.t.Lookup.Title, c.t.Lookup.Ask, c.t.Lookup.Hint)
		},
		func(_ context.Context, c *call, typed string) {
			e, why := c.lookUp(typed)
			if why != "" {
				c.done(&page{note: c.t.Lookup.None + " " + why, kind: noteError})
				return
			}
			l := &c.t.Labels
			p := &page{title: c.t.Lookup.Title}
			if j, err := mapping.ParseJID(e.Input); err == nil {
				p.add("jid", l.JID, j.String())
				p.add("sip", l.SIP, e.Result)
			} else {
				p.add("sip", l.SIP, e.Input)
				p.add("jid", l.JID, e.Result)
			}
			if len(e.Steps) > 0 {
				p.pairs = append(p.pairs, pair{name: "why", label: l.Why, values: e.Steps, typ: mapping.FieldLines})
			}
			c.done(p)
		})
}

// lookUp is what an address is on the other side, or why it is none. Users are told of
// contacts, and of themselves; of other users, whom an alias may hide, only admins are
// (SEC-14).
func (c *call) lookUp(typed string) (mapping.Explanation, string) {
	rules := c.d.o.Rules()
	if j, err := mapping.ParseJID(typed); err == nil && j.Bare() == c.user {
		if e := rules.Explain(typed); e.Err == nil {
			return e, ""
		}
	}
	j, err := rules.Prompt(typed)
	if err != nil {
		if e := rules.Explain(typed); e.Err == nil && c.d.isAdmin(c.user) {
			return e, ""
		}
		var f *mapping.Failure
		if errors.As(err, &f) {
			return mapping.Explanation{}, f.Text
		}
		return mapping.Explanation{}, c.t.Session.Failed
	}
	e := rules.Explain(j.String())
	if e.Err != nil {
		return e, e.Steps[len(e.Steps)-1]
	}
	return e, ""
}

const (
	fieldLanguage = "language"
	automatic     = "auto"
)

func languageCommand() *command {
	return asksOnce(command{node: "language", offered: func(o *Options) bool { return o.Languages != nil }}, fieldLanguage,
		func(c *call) *question {
			f := mapping.Field{Var: fieldLanguage, Type: mapping.FieldList, Label: c.t.Labels.Language, Required: true, Values: []string{automatic},
				Options: []mapping.Option{{Label: c.t.Language.Automatic, Value: automatic}}}
			if lang := c.d.o.Languages.Language(c.user); lang != "" {
				f.Values = []string{lang}
			}
			for _, t := range texts.Languages() {
				f.Options = append(f.Options, mapping.Option{Label: t.Name, Value: t.Lang})
			}
			return &question{title: c.t.Language.Title, above: []string{c.t.Language.Ask}, fields: []mapping.Field{f}}
		},
		func(_ context.Context, c *call, typed string) {
			t := texts.Named(typed)
			switch {
			case t != nil:
				c.d.o.Languages.SetLanguage(c.user, t.Lang)
			case texts.Means(typed, func(w *texts.Words) []string { return w.Automatic }):
				c.d.o.Languages.SetLanguage(c.user, "")
				t = texts.For(c.said)
			default:
				var names []string
				for _, t := range texts.Languages() {
					names = append(names, t.Name)
				}
				c.problem(sprintf(c.t.Language.Unknown, strings.Join(names, ", ")))
				return
			}
			c.t = &words{t}
			c.note(t.Language.Done)
		})
}

func blockCommand() *command {
	return asksOnce(command{node: "block", offered: hasBlocks}, fieldAddress,
		func(c *call) *question {
			return addressQuestion(c, c.t.Commands["block"].Title, c.t.Blocks.Ask, c.t.Blocks.Hint)
		},
		func(_ context.Context, c *call, typed string) { c.block(c.user, typed) })
}

func unblockCommand() *command {
	return asksOnce(command{node: "unblock", offered: hasBlocks}, fieldAddress,
		func(c *call) *question {
			list := c.d.o.Blocks.List(c.user)
			if len(list) == 0 {
				c.note(c.t.Blocks.None)
				return nil
			}
			f := mapping.Field{Var: fieldAddress, Type: mapping.FieldList, Label: c.t.Labels.Address, Required: true}
			for _, what := range list {
				f.Options = append(f.Options, mapping.Option{Label: what, Value: what})
			}
			return &question{title: c.t.Commands["unblock"].Title, above: []string{c.t.Blocks.UnblockAsk}, fields: []mapping.Field{f}}
		},
		func(_ context.Context, c *call, typed string) { c.unblock(c.user, typed) })
}

func blockedCommand() *command {
	return &command{node: "blocked", offered: hasBlocks, first: func(_ context.Context, c *call) { c.listBlocks(c.user, c.t.Blocks.Title) }}
}

// block blocks something for a user, or of the zero JID for all.
func (c *call) block(owner mapping.JID, typed string) {
	what, err := c.d.o.Blocks.Block(owner, typed)
	if err != nil {
		c.problem(c.t.problem(err))
		return
	}
	c.note(sprintf(c.t.Blocks.Done, clip(what)))
}

func (c *call) unblock(owner mapping.JID, typed string) {
	what, err := c.d.o.Blocks.Unblock(owner, typed)
	if err != nil {
		c.problem(c.t.problem(err))
		return
	}
	text := c.t.Blocks.Undone
	if owner.IsZero() {
		text = c.t.Blocks.UndoneForAll
	}
	c.note(sprintf(text, clip(what)))
}

// maxListed is how many rows an answer has.
const maxListed = 200

func (c *call) listBlocks(owner mapping.JID, title string) {
	list := c.d.o.Blocks.List(owner)
	p := &page{title: title}
	shown := list[:min(len(list), maxListed)]
	if len(shown) > 0 { // no table: some clients show none, and it would be as if nobody were blocked
		p.pairs = []pair{{name: "entry", label: c.t.Labels.Entry, values: shown, typ: mapping.FieldLines}}
	}
	p.more = more(c.t.Admin.QueueMore, len(list)-len(shown))
	if len(list) == 0 {
		p.note = c.t.Blocks.None
		if owner.IsZero() {
			p.note = c.t.Blocks.NoneForAll
		}
	}
	c.done(p)
}

// more says how many rows are not shown, "" for none.
func more(text string, n int) string {
	if n <= 0 {
		return ""
	}
	return sprintf(text, n)
}

const nodeHelp = "help"

func helpCommand() *command {
	return &command{node: nodeHelp, offered: func(o *Options) bool { return o.Rules != nil }, first: func(_ context.Context, c *call) {
		c.note(c.d.help(c.t, c.from, c.to))
	}}
}

// help is how the gateway is used, for one user.
func (d *Desk) help(t *words, user, name mapping.JID) string {
	var examples []texts.Example
	for _, e := range d.o.Rules().Examples(name) {
		examples = append(examples, texts.Example{Contact: e.Contact.String(), Means: e.Means, Number: e.Number, Others: e.Others})
	}
	return t.Helping(name.Domain(), examples, d.spoken(t, user))
}

// spoken are the words of the commands that somebody may give in a chat.
func (d *Desk) spoken(t *words, user mapping.JID) string {
	var all []string
	for _, c := range d.all {
		if may, _ := d.find(user, c.node); may != nil && c.node != nodeHelp && len(t.Commands[c.node].Words) > 0 {
			all = append(all, t.Commands[c.node].Words[0])
		}
	}
	return strings.Join(all, ", ")
}

// Help are the words of the commands that a user may give in a chat, in his language.
func (d *Desk) Help(user mapping.JID, said string) string { return d.spoken(d.texts(user, said), user) }

// commandsCommand says in a chat what each command does; elsewhere there is a list of them.
func commandsCommand() *command {
	return &command{node: "commands", onlyChat: true, first: func(_ context.Context, c *call) {
		var b strings.Builder
		for _, one := range c.d.all {
			if may, _ := c.d.find(c.from, one.node); may != nil {
				b.WriteString(c.t.CommandLine(one.node))
			}
		}
		c.note(c.t.Help.These + "\n" + b.String() + "\n" + c.t.Help.Forms)
	}}
}
