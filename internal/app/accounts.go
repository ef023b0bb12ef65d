package app

import (
	"fmt"
	"os"
	"strings"

	"github.com/stoxgw/stox/internal/accounts"
	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/commands"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/store"
	"github.com/stoxgw/stox/mapping"
)

// This file brings the accounts of users together with the store, which keeps them, and with
// the configuration. The SIP side registers them (lines.go).

var _ accounts.Book = (*journal)(nil)

// PutAccounts makes the journal the engine's Book.
func (j *journal) PutAccounts(batch []accounts.Record, done func(error)) error {
	out := make([]store.Account, len(batch))
	for i, r := range batch {
		out[i] = store.Account{User: r.User.String(), AOR: r.AOR, Since: r.Since, Data: r.Sealed}
	}
	return j.store.PutAccounts(out, done)
}

// accountsPolicy is what the engine goes by. It reads the key file.
func accountsPolicy(cfg *config.Config, p bridge.Policy) (accounts.Policy, error) {
	keys, err := accountKeys(cfg)
	return accounts.Policy{Mode: accounts.Mode(cfg.Accounts.Mode), Rules: p.Rules, Access: p.Access, Via: hasVia(cfg), Keys: keys}, err
}

// accountKeys reads accounts.key_file, if users may have accounts.
func accountKeys(cfg *config.Config) (accounts.Keys, error) {
	if !cfg.Accounts.Has() {
		return nil, nil
	}
	fault := func(text string) error {
		return &config.Error{Faults: []config.Fault{{Path: "accounts.key_file", Text: text,
			Hint: "each line is a key: head -c32 /dev/urandom | base64"}}}
	}
	text, err := os.ReadFile(cfg.Accounts.KeyFile)
	if err != nil {
		return nil, fault(config.Quote(cfg.Accounts.KeyFile) + " cannot be read: " + reason(err))
	}
	keys, err := accounts.ReadKeys(text)
	if err != nil {
		return nil, fault(fmt.Sprintf("%s: %v", config.Quote(cfg.Accounts.KeyFile), err))
	}
	return keys, nil
}

// hasVia tells whether the route to a SIP domain says the next hop.
func hasVia(cfg *config.Config) func(string) bool {
	type route struct {
		domain string
		via    bool
	}
	routes := make([]route, 0, len(cfg.SIP.Routes))
	for _, r := range cfg.SIP.Routes {
		routes = append(routes, route{canonicalDomain(r.Domain), r.Via != ""})
	}
	return func(domain string) bool {
		for _, r := range routes {
			if r.domain == "*" || r.domain == domain {
				return r.via
			}
		}
		return false
	}
}

// deskAccounts are the accounts as the desk asks for them.
type deskAccounts struct{ *accounts.Engine }

var _ commands.Accounts = deskAccounts{}

func (d deskAccounts) Of(user mapping.JID) (commands.Account, bool) {
	a, has := d.Engine.Of(user)
	return deskAccount(a), has
}

func (d deskAccounts) All() []commands.Account {
	all := d.Engine.All()
	out := make([]commands.Account, len(all))
	for i, a := range all {
		out[i] = deskAccount(a)
	}
	return out
}

func (d deskAccounts) Set(user mapping.JID, typed commands.Details, done func(error)) {
	d.Engine.Set(user, accounts.Details{AOR: typed.Address, Username: typed.Username, Password: typed.Password, Registrar: typed.Registrar, Name: typed.Name},
		func(err error) { done(deskProblem(err)) })
}

func (d deskAccounts) Remove(user mapping.JID, done func(error)) {
	d.Engine.Remove(user, func(err error) { done(deskProblem(err)) })
}

func deskAccount(a accounts.Account) commands.Account {
	out := commands.Account{User: a.User, Username: a.Username, Registrar: a.Registrar, Name: a.Name, State: a.State, Reason: a.Reason,
		Server: a.Server, Status: a.Status, Since: a.Since, Until: a.Until}
	if !a.AOR.IsZero() {
		u := mapping.URI{Scheme: a.AOR.Scheme, User: a.AOR.User, Host: a.AOR.Host}
		out.Address = strings.TrimPrefix(u.String(), "sip:") // as people type it
	}
	return out
}

// deskProblem is a problem of accounts as the desk words it.
func deskProblem(err error) error {
	if p, ok := err.(*accounts.Problem); ok {
		return &commands.Problem{Kind: string(p.Kind), Status: p.Status, Seconds: p.Seconds}
	}
	return err
}

// restoreAccounts hands over the accounts that are in the store. One that is of nobody stays
// where it is: it may be of a newer version.
func (a *App) restoreAccounts() error {
	return a.journal.store.LoadAccounts(func(batch []store.Account) error {
		records := make([]accounts.Record, 0, len(batch))
		for _, r := range batch {
			user, err := mapping.ParseJID(r.User)
			if err != nil {
				a.log.Error("the SIP account of a user cannot be read; it is kept as it is", "user", r.User, "err", err, "remedy", "if a newer version of stox has run here, run that one")
				continue
			}
			records = append(records, accounts.Record{User: user, AOR: r.AOR, Since: r.Since, Sealed: r.Data})
		}
		a.accounts.Restore(records)
		return nil
	})
}
