package commands

import (
	"context"
	"slices"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// The actions (XEP-0050 §3.4), the states (§4.2), and the conditions of errors (§4.4).
const (
	actExecute  = "execute"
	actNext     = "next"
	actComplete = "complete"
	actPrev     = "prev"
	actCancel   = "cancel"

	stateExecuting = "executing"
	stateCompleted = "completed"
	stateCanceled  = "canceled"

	badAction      = "bad-action"
	badPayload     = "bad-payload"
	badSession     = "bad-sessionid"
	sessionExpired = "session-expired"
)

// command is one of those that the desk has.
type command struct {
	node     string
	admin    bool
	onlyChat bool                // it is no ad-hoc command
	offered  func(*Options) bool // nil: always
	// first is what is done when it begins: it answers, or asks for the first of stages.
	first  func(context.Context, *call)
	stages map[string]stage
	// inChat is first for a command in a chat, nil if that does it.
	inChat func(context.Context, *call)
}

// stage is a question of a command.
type stage struct {
	ask  func(context.Context, *call) // asks it again
	take func(context.Context, *call) // takes the answer, which is in the form
}

// find is the command of that node that somebody may give. Without one it says why not.
func (d *Desk) find(who mapping.JID, node string) (*command, mapping.Condition) {
	i := slices.IndexFunc(d.all, func(c *command) bool { return c.node == node })
	switch {
	case i < 0 || d.all[i].offered != nil && !d.all[i].offered(&d.o):
		return nil, mapping.CondItemNotFound
	case d.all[i].admin && !d.isAdmin(who):
		return nil, mapping.CondForbidden
	}
	return d.all[i], ""
}

// Items are the commands that somebody may give, in his language.
func (d *Desk) Items(from mapping.JID, lang string) (items []mapping.CommandItem) {
	t := d.texts(from, lang)
	for _, c := range d.all {
		if got, _ := d.find(from, c.node); got != nil && !c.onlyChat {
			items = append(items, mapping.CommandItem{Node: c.node, Name: t.Commands[c.node].Title})
		}
	}
	return items
}

// Command takes a step of a command. It is answered once, by a XMPPCommandReply.
func (d *Desk) Command(m *mapping.XMPPCommand) {
	c := &call{d: d, from: m.From, to: m.To, user: m.From.Bare(), said: m.Lang, t: d.texts(m.From, m.Lang), form: m.Form}
	c.write = func(o *outcome) []mapping.XMPP { return []mapping.XMPP{c.reply(m, o)} }
	c.settle = func(o *outcome) { c.advanceLocked(o) }
	c.run = func(ctx context.Context, c *call) { c.step(ctx, m) }
	d.take(c, &d.stats.Commands)
}

// reply is the answer to a step.
func (c *call) reply(m *mapping.XMPPCommand, o *outcome) *mapping.XMPPCommandReply {
	r := &mapping.XMPPCommandReply{From: m.To, To: m.From, ID: m.ID, Lang: c.t.Lang, Node: m.Node, Session: m.Session,
		Failure: o.failure, Condition: o.condition}
	if r.Failure != nil {
		return r
	}
	if c.session != nil {
		r.Session = c.session.id
	}
	switch {
	case o.question != nil:
		r.Status, r.Notes, r.Form = stateExecuting, o.question.notes(), o.question.form()
		r.Default = actNext
		if o.question.last {
			r.Default = actComplete
		}
		if o.back() {
			r.Actions = append(r.Actions, actPrev)
		}
		r.Actions = append(r.Actions, r.Default)
	case o.canceled:
		r.Status = stateCanceled
	default:
		r.Status = stateCompleted
		if o.page != nil {
			r.Notes, r.Form = o.page.notes(), o.page.form()
		}
	}
	return r
}

// step does what a step asks for.
func (c *call) step(ctx context.Context, m *mapping.XMPPCommand) {
	cmd, cond := c.d.find(c.from, m.Node)
	if cmd != nil && cmd.onlyChat {
		cond = mapping.CondItemNotFound
	}
	switch cond {
	case mapping.CondForbidden:
		c.fail(cond, "", c.t.Session.Forbidden)
		return
	case mapping.CondItemNotFound:
		c.fail(cond, "", c.t.Session.Unknown)
		return
	}
	c.command = cmd
	if cmd.admin && m.Session == "" {
		c.d.log.Info("an admin has given an order", "admin", c.user, "command", cmd.node)
	}
	action := m.Action
	if action == "" {
		action = actExecute
	}
	if m.Form != nil && m.Form.Type == mapping.FormCancel {
		action = actCancel
	}
	if m.Session == "" {
		switch action {
		case actExecute, actNext, actComplete: // there are no arguments that could come with it
			cmd.first(ctx, c)
		case actCancel:
			c.finish(&outcome{canceled: true})
		default:
			c.fail(mapping.CondBadRequest, badAction, c.t.Session.BadAction)
		}
		return
	}
	if c.resume(m.Session); c.session == nil {
		return // and it has been answered
	}
	switch at := c.session.path[len(c.session.path)-1]; action {
	case actCancel:
		c.finish(&outcome{canceled: true})
	case actPrev:
		if len(c.session.path) < 2 {
			c.fail(mapping.CondBadRequest, badAction, c.t.Session.NoBack)
			return
		}
		back := c.session.path[len(c.session.path)-2]
		cmd.stages[back].ask(ctx, c)
	case actExecute, actNext, actComplete:
		switch {
		case action == actNext && c.session.last, action == actComplete && !c.session.last:
			c.fail(mapping.CondBadRequest, badAction, c.t.Session.BadAction)
		case c.form == nil || c.form.Type != mapping.FormSubmit:
			c.fail(mapping.CondBadRequest, badPayload, c.t.Session.BadForm)
		default:
			cmd.stages[at].take(ctx, c)
		}
	default:
		c.fail(mapping.CondBadRequest, badAction, c.t.Session.BadAction)
	}
}

// resume has the call go on with the session of its device. If there is none it answers so.
func (c *call) resume(id string) {
	d := c.d
	d.mu.Lock()
	s := d.sessions.find(c.from, id, time.Now())
	expired, busy := s != nil && s.command == nil, s != nil && s.busy
	if s != nil && !expired && !busy && s.command == c.command {
		s.busy = true
		c.session = s
	}
	d.mu.Unlock()
	switch {
	case c.session != nil:
	case expired:
		c.fail(mapping.CondNotAllowed, sessionExpired, c.t.Session.Expired)
	case busy:
		c.finish(&outcome{failure: c.busy(c.t.Session.TooMany)})
	default:
		c.fail(mapping.CondBadRequest, badSession, c.t.Session.BadSession)
	}
}

// advanceLocked has the session follow what a step has come to. d.mu is held.
func (c *call) advanceLocked(o *outcome) {
	s, now := c.session, time.Now()
	if s != nil {
		s.busy = false
	}
	switch {
	case o.failure != nil: // all is as it was
		if s != nil {
			s.until = now.Add(sessionTime)
		}
	case o.question == nil:
		if s != nil {
			c.d.sessions.end(s)
		}
	default:
		if s == nil {
			if s = c.d.sessions.begin(c.from, c.command, now); s == nil {
				*o = outcome{failure: c.busy(c.t.Session.Busy)}
				return
			}
			c.session = s
		}
		if i := slices.Index(s.path, o.stage); i >= 0 {
			s.path = s.path[:i]
		}
		s.path = append(s.path, o.stage)
		s.last, s.shown, s.until = o.question.last, o.question.shown, now.Add(sessionTime)
		o.depth = len(s.path)
	}
}

// back reports whether there is a question before the one that is asked.
func (o *outcome) back() bool { return o.depth > 1 }
