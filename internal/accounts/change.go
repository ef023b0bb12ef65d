package accounts

import (
	"crypto/rand"
	"math"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// change is what a user has asked for and what is not done yet. There is one of a user at most.
type change struct {
	user  mapping.JID
	entry *entry // what is to be; nil if the account is to be removed
	old   *entry // what there was when it began
	key   mapping.URI
	step  step
	sets  uint64 // Engine.sets when it began
	done  func(error)
}

type step int

const (
	trying  step = iota // the registrar is asked
	writing             // it is registered, and on its way to the disk
)

// Waiting times that are told with KindBusy.
const (
	waitForOwn    = 10 // another change of the same user
	waitForOthers = 5  // too many others
)

// Set gives the user an account, in the place of the one that he has. It is tried at the
// registrar first: if that fails, what there was stays. done is called exactly once, at once
// or later, with a *Problem or nil.
func (e *Engine) Set(user mapping.JID, d Details, done func(error)) {
	c, p := e.begin(user.Bare(), d, done)
	if p != nil {
		done(p)
		return
	}
	e.log.Debug("trying the SIP account of a user", "user", c.user, "aor", c.entry.aor)
	e.lines.TryAccount(c.entry.line(), func(s LineState) { e.tried(c, s) })
}

// begin judges what a user wants, and reserves the address for him.
func (e *Engine) begin(user mapping.JID, d Details, done func(error)) (*change, *Problem) {
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.readyLocked(user); p != nil {
		return nil, p
	}
	if !e.policy.Access.Allows(user) || user.Local() == "" {
		return nil, &Problem{Kind: KindNotAllowed}
	}
	want, kind := e.policy.check(d)
	if kind != "" {
		return nil, &Problem{Kind: kind}
	}
	if wait := e.tries.wait(user, now); wait > 0 {
		return nil, &Problem{Kind: KindBusy, Seconds: int(math.Ceil(wait.Seconds()))}
	}
	old := e.byUser[user]
	other, reserved := e.wanted[want.key]
	switch has := e.byKey[want.key]; {
	case has != nil && has.user != user, reserved && other != user:
		e.tries.failed(user, now) // nobody asks in this way for all who have an account
		return nil, &Problem{Kind: KindTaken}
	case old == nil && len(e.byUser)+len(e.changes) >= MaxAccounts:
		return nil, &Problem{Kind: KindFull}
	}
	en := &entry{user: user, aor: want.aor, key: want.key, text: want.aor.String(), secret: want.secret, opened: true, since: now}
	if old != nil && old.aor == en.aor && old.opened {
		en.secret.Token = old.secret.Token // the same binding
	} else {
		en.secret.Token = rand.Text()
	}
	c := &change{user: user, entry: en, old: old, key: en.key, sets: e.sets, done: done}
	e.changes[user], e.wanted[c.key] = c, user
	return c, nil
}

// readyLocked says why nothing can be changed at present.
func (e *Engine) readyLocked(user mapping.JID) *Problem {
	switch {
	case e.policy.off():
		return &Problem{Kind: KindOff}
	case e.closing || !e.started || len(e.changes) >= maxChanges:
		return &Problem{Kind: KindBusy, Seconds: waitForOthers}
	case e.changes[user] != nil:
		return &Problem{Kind: KindBusy, Seconds: waitForOwn}
	}
	return nil
}

// end forgets a change. e.mu is held.
func (e *Engine) end(c *change) {
	delete(e.changes, c.user)
	delete(e.wanted, c.key)
}

// overtaken reports whether a list of lines without the change was made since it began, or
// may come to the SIP side yet. e.mu is held.
func (e *Engine) overtaken(c *change) bool { return e.sets != c.sets || e.telling }

// tried takes what came of a trial.
func (e *Engine) tried(c *change, s LineState) {
	now := time.Now()
	e.mu.Lock()
	if !s.Registered {
		e.end(c)
		p := problemOf(s)
		if s.Busy {
			p = &Problem{Kind: KindBusy, Seconds: waitForOthers}
		} else {
			e.tries.failed(c.user, now)
		}
		e.mu.Unlock()
		e.log.Debug("the SIP account of a user was not taken", "user", c.user, "aor", c.entry.aor, "problem", p.Kind, "status", p.Status)
		c.done(p)
		return
	}
	if e.policy.off() { // meanwhile
		e.end(c)
		e.mu.Unlock()
		e.sync()
		c.done(&Problem{Kind: KindOff})
		return
	}
	c.step = writing
	c.entry.state = s
	err := e.writeLocked(c)
	e.mu.Unlock()
	if err != nil {
		e.kept(c, err)
	}
}

// writeLocked seals the account that is to be, and has it written.
func (e *Engine) writeLocked(c *change) (err error) {
	c.entry.sealed, err = e.policy.Keys.seal(c.user.String(), c.entry.text, c.entry.secret)
	if err != nil {
		return err
	}
	return e.book.PutAccounts([]Record{c.entry.record()}, func(err error) { e.kept(c, err) })
}

func (en *entry) record() Record {
	return Record{User: en.user, AOR: en.text, Since: en.since, Sealed: en.sealed}
}

// kept takes that an account is on the disk, or may not be.
func (e *Engine) kept(c *change, err error) {
	e.mu.Lock()
	e.end(c)
	en, old := c.entry, c.old
	if err != nil {
		e.restoreLocked(c)
		e.mu.Unlock()
		e.log.Error("the SIP account of a user cannot be kept, and is taken back", "user", c.user, "aor", en.aor, "err", err, "remedy", "see what else the log says about the store")
		e.sync() // without this line, or with the one that it has replaced
		c.done(&Problem{Kind: KindNotKept})
		return
	}
	if old != nil && e.byKey[old.key] == old {
		delete(e.byKey, old.key)
	}
	e.byUser[c.user] = en
	if key, ok := e.keyOf(en.aor); ok { // by the rules that there are now
		en.key = key
	}
	if e.byKey[en.key] == nil {
		e.byKey[en.key] = en
	}
	en.asleep = e.judge(en)
	e.point(old, en)
	e.resealLocked([]*entry{en})
	// A list that was made meanwhile does not have it; the address of old may be another
	// spelling of the same.
	resync := e.overtaken(c) || en.asleep != "" || old != nil && old.key == en.key && old.aor != en.aor
	e.mu.Unlock()
	e.log.Info("a user has a SIP account", "user", c.user, "aor", en.aor)
	switch {
	case resync:
		e.sync()
	case old != nil && old.aor != en.aor:
		e.lines.DropAccount(old.line().AOR, func() {})
	}
	c.done(nil)
}

// restoreLocked has the disk say again what was so before a change that was not kept. If it
// does not even take that, nothing that was tried has reached it.
func (e *Engine) restoreLocked(c *change) {
	r := Record{User: c.user}
	if c.old != nil {
		r = c.old.record()
	}
	if err := e.book.PutAccounts([]Record{r}, nil); err != nil {
		e.log.Debug("nothing is written of SIP accounts", "err", err)
	}
	if c.old != nil {
		e.resealLocked([]*entry{c.old})
	}
}

// Remove ends the account of a user: it is forgotten, and the registration taken back. done is
// called exactly once, at once or later, with a *Problem or nil.
func (e *Engine) Remove(user mapping.JID, done func(error)) {
	user = user.Bare()
	e.mu.Lock()
	p := e.readyLocked(user)
	old := e.byUser[user]
	if p == nil && old == nil {
		p = &Problem{Kind: KindUnknown}
	}
	if p != nil {
		e.mu.Unlock()
		done(p)
		return
	}
	c := &change{user: user, old: old, key: old.key, step: writing, sets: e.sets, done: done}
	e.changes[user], e.wanted[c.key] = c, user
	err := e.book.PutAccounts([]Record{{User: user}}, func(err error) { e.removed(c, err) })
	e.mu.Unlock()
	if err != nil {
		e.removed(c, err)
	}
}

// removed takes that an account is gone from the disk, or may not be.
func (e *Engine) removed(c *change, err error) {
	e.mu.Lock()
	e.end(c)
	if err != nil {
		e.restoreLocked(c)
		e.mu.Unlock()
		e.log.Error("the SIP account of a user cannot be removed", "user", c.user, "aor", c.old.aor, "err", err, "remedy", "see what else the log says about the store")
		c.done(&Problem{Kind: KindNotKept})
		return
	}
	delete(e.byUser, c.user)
	if e.byKey[c.old.key] == c.old {
		delete(e.byKey, c.old.key)
	}
	e.point(c.old, nil)
	resync := e.overtaken(c)
	e.mu.Unlock()
	e.log.Info("a user has no SIP account any more", "user", c.user, "aor", c.old.aor)
	e.lines.DropAccount(c.old.line().AOR, func() {})
	if resync {
		e.sync()
	}
	c.done(nil)
}
