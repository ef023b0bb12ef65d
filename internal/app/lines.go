package app

import (
	"github.com/stoxgw/stox/internal/accounts"
	"github.com/stoxgw/stox/mapping"
)

// lines is the SIP side as the accounts engine asks for it.
type lines struct{ app *App }

var _ accounts.Lines = lines{}

func (lines) SetAccounts([]accounts.Line) {}

func (lines) TryAccount(l accounts.Line, done func(accounts.LineState)) {
	done(accounts.LineState{AOR: l.AOR, Busy: true})
}

func (lines) DropAccount(_ mapping.URI, done func()) { done() }
