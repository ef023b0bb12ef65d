package app

import (
	"github.com/stoxgw/stox/internal/blocks"
	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/presence"
	"github.com/stoxgw/stox/internal/store"
	"github.com/stoxgw/stox/mapping"
)

// What is blocked is one table, which everybody asks: the bridge and the presence engine about
// contacts, all who look at access.allow about users. The SIP side has the sources handed to
// it when they change. What users have sent to telephones is the bridge's.

var (
	_ bridge.Blocks    = (*blocks.Table)(nil)
	_ presence.Blocks  = (*blocks.Table)(nil)
	_ blocks.Book      = (*journal)(nil)
	_ bridge.UsageBook = (*journal)(nil)
)

// newBlocks makes the table of this daemon. It asks for the rules in force when it has to.
func (a *App) newBlocks() *blocks.Table {
	o := blocks.Options{Rules: func() *mapping.Rules { return a.presence.Rules() }, Changed: a.blocksChanged}
	if a.config().Store.Path != "" {
		o.Book = a.journal
	}
	return blocks.New(o)
}

// minded is the policy with what is blocked.
func (a *App) minded(p bridge.Policy) bridge.Policy {
	p.Blocks = a.blocks
	p.Access = p.Access.Except(a.blocks.BlockedUser)
	return p
}

// presencePolicy is what the presence engine goes by, with what is blocked.
func (a *App) presencePolicy(cfg *config.Config, p bridge.Policy) presence.Policy {
	out := presencePolicy(cfg, p)
	out.Blocks = a.blocks
	return out
}

// blocksChanged has an entry take effect at once.
func (a *App) blocksChanged(e blocks.Entry, blocked bool) {
	if e.Owner.IsZero() {
		a.log.Info("an admin has changed what is blocked", "what", e.What, "blocked", blocked)
	} else {
		a.log.Debug("a user has changed what he has blocked", "from", e.Owner, "what", e.What, "blocked", blocked)
	}
	switch e.Kind() {
	case blocks.Source:
		a.sip.SetBlocked(a.blocks.Sources())
		return
	case blocks.User: // whose account sleeps meanwhile
		a.accounts.Reconsider()
	}
	a.presence.BlocksChanged(e.Owner)
}

// restoreBlocks takes what is blocked from the store, and what users have sent to telephones.
func (a *App) restoreBlocks() error {
	err := a.journal.store.LoadBlocks(func(batch []store.Block) error {
		a.blocks.Restore(entriesOf(batch))
		return nil
	})
	if err != nil {
		return err
	}
	a.sip.SetBlocked(a.blocks.Sources())
	if admins, users := a.blocks.Count(); admins+users > 0 {
		a.log.Info("read what is blocked", "by_admins", admins, "by_users", users)
	}
	for _, day := range a.bridge.UsageDays() {
		err := a.journal.store.LoadUsage(day, func(batch []store.Usage) error {
			a.bridge.RestoreUsage(usesOf(batch))
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// PutBlocks makes the journal the Book of what is blocked.
func (j *journal) PutBlocks(batch []blocks.Entry) {
	out := make([]store.Block, len(batch))
	for i, e := range batch {
		out[i] = store.Block{Owner: e.Owner.String(), What: e.What, Since: e.Since}
	}
	j.store.PutBlocks(out)
}

// PutUsage makes the journal the bridge's UsageBook.
func (j *journal) PutUsage(batch []bridge.Use) {
	out := make([]store.Usage, len(batch))
	for i, u := range batch {
		out[i] = store.Usage{Day: u.Day, User: u.User.String(), Sent: u.Sent}
	}
	j.store.PutUsage(out)
}

// entriesOf leaves out those whose owner is no JID: the file may have been written to by others.
func entriesOf(batch []store.Block) []blocks.Entry {
	out := make([]blocks.Entry, 0, len(batch))
	for _, b := range batch {
		e := blocks.Entry{What: b.What, Since: b.Since}
		if b.Owner != "" {
			owner, err := mapping.ParseJID(b.Owner)
			if err != nil {
				continue
			}
			e.Owner = owner.Bare()
		}
		out = append(out, e)
	}
	return out
}

// usesOf leaves out those whose user is no JID.
func usesOf(batch []store.Usage) []bridge.Use {
	out := make([]bridge.Use, 0, len(batch))
	for _, u := range batch {
		if user, err := mapping.ParseJID(u.User); err == nil {
			out = append(out, bridge.Use{User: user.Bare(), Day: u.Day, Sent: u.Sent})
		}
	}
	return out
}
