package app

import (
	"github.com/stoxgw/stox/internal/accounts"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside"
)

// lines is the SIP side as the accounts engine asks for it. The engine is made before it.
type lines struct{ app *App }

var _ accounts.Lines = lines{}

func (l lines) SetAccounts(all []accounts.Line) {
	out := make([]sipside.Account, len(all))
	for i, a := range all {
		out[i] = sipside.Account(a)
	}
	l.app.sip.SetAccounts(out)
}

func (l lines) TryAccount(a accounts.Line, done func(accounts.LineState)) {
	l.app.sip.TryAccount(sipside.Account(a), func(s sipside.AccountState) { done(lineState(s)) })
}

func (l lines) DropAccount(aor mapping.URI, done func()) { l.app.sip.DropAccount(aor, done) }

// onAccount is sipside.Config.OnAccount.
func (l lines) onAccount(s sipside.AccountState) { l.app.accounts.LineState(lineState(s)) }

func lineState(s sipside.AccountState) accounts.LineState {
	return accounts.LineState{AOR: s.AOR, State: s.State, Registered: s.Registered, Since: s.Since, Until: s.Until,
		Status: s.Status, Reason: s.Reason, Server: s.Server, Busy: !s.Registered && notBegun(s.Reason)}
}

// notBegun reports whether a trial was not, and may be later.
func notBegun(reason string) bool {
	switch reason {
	case sipside.ReasonBusy, sipside.ReasonStopping, sipside.ReasonDropped, sipside.ReasonTwice:
		return true
	}
	return false
}
