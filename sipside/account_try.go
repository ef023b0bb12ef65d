package sipside

import "context"

// trial is an account that somebody has just entered: it is registered, and then it is the
// account, or it is not and is forgotten.
type trial struct {
	*line
	done func(AccountState)
}

// try is UA.TryAccount.
func (ls *accountLines) try(a Account, done func(AccountState)) {
	k := aorOf(a.AOR)
	refused := AccountState{AOR: a.AOR, State: string(isLost)}
	ls.mu.Lock()
	other := ls.byToken[a.Token]
	switch {
	case ls.ctx == nil || ls.ctx.Err() != nil:
		refused.Reason = ReasonStopping
		ls.mu.Unlock()
		done(refused)
		return
	case a.check() != "":
		refused.State, refused.Reason = string(wasRefused), a.check()
	case other != nil && other.key != k:
		refused.State, refused.Reason = string(wasRefused), ReasonTwice
	case ls.trials[k] != nil, len(ls.trials) >= maxTrials, ls.byAOR[k] == nil && len(ls.byAOR)+len(ls.trials) >= maxAccounts:
		refused.Reason = ReasonBusy
	}
	defer ls.mu.Unlock()
	if refused.Reason != "" {
		ls.running.Go(func() { done(refused) })
		return
	}
	t := &trial{line: ls.newLine(a), done: done}
	t.trying = true
	if other == nil {
		ls.byToken[a.Token] = t.line // what has waited for the user may come right behind the answer
	}
	ls.trials[k] = t
	before := ls.leaving[k]
	if before != nil && before.account.Token != a.Token {
		before = nil // what that takes back is another binding
	}
	ctx, end := context.WithCancel(ls.ctx)
	t.end = end
	inner := ls.inner
	ls.running.Go(func() { t.run(ctx, inner, before) })
}

// run registers, and then goes on as the account's line.
func (t *trial) run(ctx, inner context.Context, before *line) {
	l := t.line
	soon, cancel := context.WithTimeout(ctx, tryTimeout)
	if before != nil {
		select {
		case <-before.ended:
		case <-soon.Done():
		}
	}
	wait := l.reg.guarded(soon, soon)
	cancel()
	s := l.describe()
	if !t.settle(ctx, &s) {
		t.done(s)
		l.quit(inner)
		return
	}
	t.done(s)
	l.trying, l.reg.patience = false, 0
	l.lines.note(isBound, l.reg.aor, "")
	l.tell()
	l.reg.keepUp(ctx, inner, wait)
	l.quit(inner)
}

// settle makes the line the account's if it is registered. Otherwise s says why it is not.
func (t *trial) settle(ctx context.Context, s *AccountState) bool {
	l := t.line
	ls := l.lines
	ls.mu.Lock()
	defer ls.mu.Unlock()
	dropped := ls.trials[l.key] != t
	if !dropped {
		delete(ls.trials, l.key)
	}
	if s.State == string(isBound) && !dropped && ctx.Err() == nil {
		if old := ls.byAOR[l.key]; old != nil {
			// What is the same binding to the registrar is the new line's now.
			old.abandoned.Store(old.account.Token == l.account.Token && old.reg.registrar == l.reg.registrar)
			ls.retire(old)
		}
		ls.byAOR[l.key], ls.byToken[l.account.Token] = l, l
		if s := l.reg.madeOver(); s != nil && s.gone() { // while nobody would have been told
			l.reg.parted(s)
		}
		ls.refit(l) // there may be other settings since
		return true
	}
	if ls.byToken[l.account.Token] == l {
		delete(ls.byToken, l.account.Token)
	}
	switch {
	case dropped:
		s.Reason = ReasonDropped
	case ctx.Err() != nil:
		s.Reason = ReasonStopping
	case s.Reason == "":
		s.Reason = ReasonNoAnswer
	}
	if s.State != string(wasRefused) {
		s.State = string(isLost)
	}
	s.Registered, s.Server = false, ""
	return false
}
