package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stoxgw/stox/component"
	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/commands"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/metrics"
	"github.com/stoxgw/stox/internal/texts"
	"github.com/stoxgw/stox/internal/version"
	"github.com/stoxgw/stox/mapping"
)

// This file gives the desk, where users and admins ask the gateway itself for something, what
// it needs of the daemon, and the sides what they need of the desk.

var _ desk = (*commands.Desk)(nil)

// deskOptions is what the desk has to work with: what is not set is not offered.
func (a *App) deskOptions() commands.Options {
	o := commands.Options{
		Admin:     a.isAdmin,
		Rate:      func() int { return a.config().Limits.UserRate },
		Rules:     a.presence.Rules,
		Recent:    deskRecent{a.history},
		Operator:  deskOperator{a},
		Left:      func(user, name mapping.JID) { a.bridge.Left(user, name) },
		Blocks:    deskBlocks{a.blocks},
		Usage:     a.deskUsage,
		Languages: a.languages,
	}
	if a.accountsOffered() {
		o.Accounts = deskAccounts{a.accounts}
	}
	if a.source.Logging != nil {
		a.level = &logLevel{to: func(c config.Log) { a.source.Logging(c) }, now: a.config().Log}
		o.Log = a.level
	}
	return o
}

// bridgeDesk is what the bridge asks of the desk.
func bridgeDesk(d *commands.Desk) bridge.Desk {
	return bridge.Desk{Chat: d.Chat, Language: d.Language, Commands: d.Help}
}

// announceDesk has a component say what the desk offers.
func (a *App) announceDesk(c *component.Config, cfg *config.Config) {
	c.Commands = func(from mapping.JID, lang string) []mapping.CommandItem { return a.desk.Items(from, lang) }
	c.Register = a.accountsOffered()
	c.PromptTexts = func(lang string) (desc, prompt string) {
		t := texts.For(lang)
		return t.Help.PromptDesc, t.Help.Prompt
	}
}

// accountsOffered reports whether users may have SIP accounts of their own.
func (a *App) accountsOffered() bool { return a.config().Accounts.Has() }

// admins are the JIDs that may give orders to the gateway.
type admins map[mapping.JID]bool

func buildAdmins(cfg *config.Config) (admins, error) {
	all := make(admins)
	for i, s := range cfg.XMPP.Admins {
		j, err := mapping.ParseJID(s)
		if err == nil && (j.Local() == "" || !j.IsBare()) {
			err = fmt.Errorf("%s is not the address of a user", config.Quote(s))
		}
		if err != nil {
			return nil, faults(fmt.Errorf("xmpp.admins[%d]: %w", i, plain(err)))
		}
		all[j] = true
	}
	return all, nil
}

// isAdmin reports whether a bare JID may give orders.
func (a *App) isAdmin(who mapping.JID) bool { return (*a.admins.Load())[who] }

// deskOperator is what admins see of the daemon and do to it by commands. It is used while Run
// is under way.
type deskOperator struct{ a *App }

func (o deskOperator) Status() commands.Status {
	s := commands.Status{Version: version.String(), Since: o.a.started, Queue: o.a.journal.store.State().Entries}
	links, _ := o.a.operator().Links(context.Background())
	for _, l := range links {
		s.Links = append(s.Links, commands.Link{Name: l.Component, Server: l.Server, State: l.State, Reason: l.Text, Since: l.Since})
	}
	return s
}

func (o deskOperator) Routes(ctx context.Context) ([]commands.Route, error) {
	all, err := o.a.operator().Routes(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]commands.Route, 0, len(all))
	for _, r := range all {
		reason := r.Reason
		if reason == "" {
			reason = r.Problem
		}
		out = append(out, commands.Route{Domain: r.Domain, Via: r.Via, Registration: r.Registration, Server: r.Server, Answers: r.Answers, Reason: reason,
			RoundTrip: time.Duration(r.RTT * float64(time.Millisecond))})
	}
	return out, nil
}

func (o deskOperator) Queue(ctx context.Context, n int) (int, []commands.Waiting, error) {
	page, err := o.a.operator().List(ctx, 0, n)
	if err != nil {
		return 0, nil, err
	}
	out := make([]commands.Waiting, 0, len(page.Messages))
	for _, m := range page.Messages {
		out = append(out, commands.Waiting{ID: m.ID, From: m.From, To: m.To, State: m.State, Attempts: m.Attempts, Next: m.Next, Problem: m.Problem})
	}
	return page.Total, out, nil
}

func (o deskOperator) Reload(ctx context.Context) (commands.Reloaded, error) {
	r, err := o.a.Reload(ctx)
	return commands.Reloaded{Applied: r.Applied, Changed: r.Changed, Waiting: r.Waiting, Faults: r.Faults}, err
}

// keepLanguage has the bridge keep which language a user has chosen.
func (a *App) keepLanguage(user mapping.JID, set, clear bridge.ContactMarks) {
	a.bridge.Remember(user, a.xmpp.jids[0], set, clear)
}

// gatherDesk puts down what the desk has counted.
func gatherDesk(b *metrics.Batch, s commands.Stats) {
	b.Put(metrics.Commands, float64(s.Commands), "form")
	b.Put(metrics.Commands, float64(s.Chats), "chat")
	b.Put(metrics.Commands, float64(s.Registrations), "registration")
	b.Put(metrics.CommandsRefused, float64(s.Refused))
	b.Put(metrics.CommandsOpen, float64(s.Open))
	b.Put(metrics.CommandSessions, float64(s.Sessions))
}

// logLevel changes how much is logged, until the configuration is read again.
type logLevel struct {
	to func(config.Log)

	mu  sync.Mutex // held while to is called, so that the last one to say something counts
	now config.Log
}

func (l *logLevel) Level() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now.Level
}

// Levels are all of them, from most to least.
func (*logLevel) Levels() []string { return []string{"debug", "info", "warn", "error"} }

func (l *logLevel) SetLevel(level string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.Level = level
	l.to(l.now)
}

// reset has the log go by the configuration.
func (l *logLevel) reset(c config.Log) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = c
	l.to(c)
}
