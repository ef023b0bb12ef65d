package app

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside"
)

// Source is where the configuration was read from, so that it can be read again.
type Source struct {
	File    string   // "": it cannot be
	Environ []string // as of os.Environ
	// Logging is told what is logged from now on, and how. It may be nil.
	Logging func(config.Log)
}

var (
	errNoSource = errors.New("the configuration of this daemon is in no file")
	errStopping = errors.New("stox is stopping")
)

// reloads has the requests to read the configuration again, which Run serves one after the
// other, so that none meets a start, a stop or another one.
type reloads struct {
	signal chan struct{}             // one slot: somebody wants it who does not wait
	asked  chan chan<- reloadOutcome // somebody waits
	over   chan struct{}             // closed: Run serves none any more
}

type reloadOutcome struct {
	admin.Reloaded
	err error
}

func newReloads() reloads {
	return reloads{signal: make(chan struct{}, 1), asked: make(chan chan<- reloadOutcome), over: make(chan struct{})}
}

// RequestReload has the configuration read again, and returns at once. What comes of it is in
// the log. Before Run is ready it waits for that; after Run nothing comes of it.
func (a *App) RequestReload() {
	select {
	case a.reloads.signal <- struct{}{}:
	default: // it is going to be read anyhow
	}
}

// Reload reads the configuration again and says what came of it, as the log does. With faults
// all is as it was.
func (a *App) Reload(ctx context.Context) (admin.Reloaded, error) {
	done := make(chan reloadOutcome, 1)
	select {
	case a.reloads.asked <- done:
	case <-a.reloads.over:
		return admin.Reloaded{}, errStopping
	case <-ctx.Done():
		return admin.Reloaded{}, ctx.Err()
	}
	out := <-done
	return out.Reloaded, out.err
}

// serve runs until ctx is done, or a part of the daemon has ended, which is returned.
func (a *App) serve(ctx context.Context, failed <-chan error) error {
	defer close(a.reloads.over)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-a.reloads.signal:
			_, _ = a.reload()
		case done := <-a.reloads.asked:
			out, err := a.reload()
			done <- reloadOutcome{out, err}
		}
	}
}

// reload reads the configuration again, and goes by it if it has no faults.
func (a *App) reload() (admin.Reloaded, error) {
	notifyReloading()
	defer notify("READY=1")
	out := admin.Reloaded{File: a.source.File}
	if path, err := filepath.Abs(out.File); err == nil && out.File != "" {
		out.File = path
	}
	if a.source.File == "" {
		a.log.Error("the configuration cannot be read again", "err", errNoSource)
		return out, errNoSource
	}
	change, err := a.config().Reload(a.source.File, a.source.Environ, judge)
	if err == nil {
		out.Changed, err = a.apply(change)
	}
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			out.Faults = append(out.Faults, strings.TrimRight(line, "\r\n"))
		}
		a.log.Error("the configuration stays as it was, since the new one has faults", "err", strings.Join(out.Faults, "; "), "remedy", "correct it, and reload again")
		return out, nil
	}
	out.Applied, out.Waiting = true, change.Waiting
	for _, w := range change.Next.Warnings {
		a.log.Warn("configuration: "+w.Text, "key", w.Path, "remedy", w.Hint)
	}
	if len(out.Changed) > 0 {
		a.log.Info("the configuration is another one from now on", "changed", strings.Join(out.Changed, ", "))
	} else {
		a.log.Info("the configuration was read again: nothing has changed that takes effect now")
	}
	if len(out.Waiting) > 0 {
		a.log.Warn("some of the configuration takes effect at the next start", "keys", strings.Join(out.Waiting, ", "), "remedy", "restart stox")
	}
	return out, nil
}

// judge asks the sides what they think of a configuration, which they say when they are put
// together.
func judge(cfg *config.Config) error {
	_, err := New(cfg, slog.New(slog.DiscardHandler))
	return err
}

// apply makes what each side goes by of the new configuration, and when all of it is there
// hands it to them. It names the keys that have changed. With an error nothing is changed.
func (a *App) apply(change *config.Change) (changed []string, err error) {
	next := change.Next
	policy, err := buildPolicy(next, a.accounts)
	if err != nil {
		return nil, err
	}
	policy = a.minded(policy)
	sip, err := sipsideConfig(next)
	if err != nil {
		return nil, err
	}
	who, err := buildAdmins(next)
	if err != nil {
		return nil, err
	}
	of, err := accountsPolicy(next, policy)
	if err != nil {
		return nil, err
	}
	changed = withFiles(change.Changed, a.tls, sip.TLS)
	if err := a.sip.Reload(sip); err != nil {
		return nil, faults(err)
	}
	a.accounts.SetPolicy(of)
	a.bridge.SetPolicy(policy)
	if !policy.Texts {
		a.history.ForgetTexts() // a message that is being taken may keep its own: see bridge.Policy
	}
	a.presence.SetPolicy(a.presencePolicy(next, policy))
	a.bridge.SetLimits(bridgeLimits(next))
	a.bridge.Announce(a.xmpp.change(next, policy)...)
	a.journal.store.SetLimits(next.Queue.MaxMessages, next.Store.Trail)
	a.wire.Change(wireSettings(next))
	a.admins.Store(&who)
	if a.level != nil {
		a.level.reset(next.Log)
	}
	a.cfg.Store(next)
	a.logCertificate()
	return changed, nil
}

// withFiles adds the keys of files that have another content, if they are not there yet.
func withFiles(keys []string, before, after *sipside.TLS) []string {
	cert, ca := before.Same(after)
	for _, f := range []struct {
		same       bool
		key, other string
	}{{cert, "sip.tls_cert", "sip.tls_key"}, {ca, "sip.tls_ca", ""}} {
		if all := " " + strings.Join(keys, " ") + " "; !f.same && !strings.Contains(all, " "+f.key+" ") && !strings.Contains(all, " "+f.other+" ") {
			keys = append(keys, f.key)
		}
	}
	return keys
}

// change gives each component what it goes by from now on. It returns the names of those
// that are something else than they were to those who see them.
func (l *links) change(cfg *config.Config, policy bridge.Policy) (announce []mapping.JID) {
	for i, c := range l.all {
		one := componentConfig(cfg, "", "", "", policy)
		one.Numbers = policy.Rules.Numbers(l.jids[i])
		l.offer(&one, cfg)
		if c.Change(one) {
			announce = append(announce, l.jids[i])
		}
	}
	return announce
}
