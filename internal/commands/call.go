package commands

import (
	"context"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// call is one thing that a user has asked for: a step of a command, a command in a chat, or a
// registration. It ends with finish, once; whoever comes later has no effect.
type call struct {
	d    *Desk
	from mapping.JID // who asks, as he has written
	to   mapping.JID // the name of the gateway that he asks
	user mapping.JID // who asks, bare
	said string      // the language that his client has said
	t    *words

	run    func(context.Context, *call)  // what a worker does
	write  func(*outcome) []mapping.XMPP // the stanzas that answer
	settle func(*outcome)                // what else ends with it; d.mu is held. May be nil
	over   bool                          // it has been answered; d.mu guards it

	// Of a command.
	command *command
	chat    bool
	form    *mapping.Form // of a step: what was filled in
	words   []string      // of a chat: what stands behind the command
	session *session      // of a step that is not the first
}

// outcome is what a call comes to: a failure, a question, or an answer.
type outcome struct {
	failure   *mapping.Failure
	condition string // beside it, of XEP-0050 §4.4

	stage    string // of the question
	depth    int    // so many questions it is, with those before it
	question *question
	page     *page // the answer, nil where nothing is to be said
	canceled bool

	form *mapping.Form // of a registration: what it asks for
	also []mapping.XMPP
}

// carryOut does what was asked for. It need not be answered when that returns.
func (c *call) carryOut(ctx context.Context) {
	if ctx.Err() != nil {
		c.stop()
		return
	}
	c.run(ctx, c)
}

// stop answers that the gateway stops.
func (c *call) stop() {
	c.finish(&outcome{failure: c.stopping()})
}

func (c *call) stopping() *mapping.Failure {
	f := mapping.FailShutdown()
	f.Text = c.t.Session.Stopping
	return f
}

// finish answers the call, unless that was done.
func (c *call) finish(o *outcome) {
	d := c.d
	d.mu.Lock()
	if c.over {
		d.mu.Unlock()
		return
	}
	c.over = true
	d.forgetLocked(c)
	if c.settle != nil {
		c.settle(o)
	}
	d.mu.Unlock()
	c.answer(o)
}

func (c *call) answer(o *outcome) { c.d.say(append(c.write(o), o.also...)...) }

// done answers with a page.
func (c *call) done(p *page, also ...mapping.XMPP) { c.finish(&outcome{page: p, also: also}) }

// note answers with a sentence.
func (c *call) note(text string) { c.done(&page{note: text}) }

// problem answers that it did not work.
func (c *call) problem(text string) { c.done(&page{note: text, kind: noteError}) }

// ask asks for what stage takes.
func (c *call) ask(stage string, q *question) { c.finish(&outcome{stage: stage, question: q}) }

// fail answers with a stanza error.
func (c *call) fail(cond mapping.Condition, condition, text string) {
	c.finish(&outcome{failure: failure(cond, text), condition: condition})
}

func failure(cond mapping.Condition, text string) *mapping.Failure {
	return mapping.FailureFromStanza(cond, cond.DefaultType(), text, "")
}

func (c *call) busy(text string) *mapping.Failure {
	return failure(mapping.CondResourceConstraint, text)
}

func (c *call) tooFast(wait time.Duration) *mapping.Failure {
	return c.busy(sprintf(c.t.Session.TooFast, int((wait+time.Second-1)/time.Second)))
}
