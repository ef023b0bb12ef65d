package app

import (
	"fmt"
	"os"

	"github.com/stoxgw/stox/internal/accounts"
	"github.com/stoxgw/stox/internal/bridge"
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
