// Package app wires the daemon: it is the only place that knows both sides, the
// bridge between them and the configuration. It can run inside a test.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/stoxgw/stox/component"
	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside"
)

// App is the daemon, put together and not yet running.
type App struct {
	cfg   *config.Config
	log   *slog.Logger
	rules *mapping.Rules

	xmpp   *component.Component
	sip    *sipside.UA
	bridge *bridge.Bridge
}

// New puts the daemon together. It opens nothing; an error is a fault of the
// configuration (*config.Error), each with the path of its key.
func New(cfg *config.Config, log *slog.Logger) (*App, error) {
	policy, err := BuildPolicy(cfg)
	if err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, log: log, rules: policy.Rules}
	a.xmpp, err = component.New(componentConfig(cfg, policy.Access), log.With("side", "xmpp"))
	if err != nil {
		return nil, faults(err)
	}
	sipConfig, err := sipsideConfig(cfg)
	if err != nil {
		return nil, err
	}
	a.sip, err = sipside.New(sipConfig, log.With("side", "sip"))
	if err != nil {
		return nil, faults(err)
	}
	a.bridge = bridge.New(allLinks{a.xmpp}, a.sip, nil, bridge.Options{
		Policy: policy,
		Secret: []byte(cfg.XMPP.Secret.Reveal()),
	}, log)
	return a, nil
}

// Rules are the address rules in force.
func (a *App) Rules() *mapping.Rules { return a.rules }

// Run opens the sockets, runs both sides until ctx is done, and stops in
// reverse: refuse and finish what is open while both exits still work, then the
// SIP side, then our stream. It returns nil after an orderly stop.
func (a *App) Run(ctx context.Context) error {
	if err := a.sip.Listen(); err != nil {
		return err
	}
	// The sides outlive ctx by the time it takes to drain.
	run, stopAll := context.WithCancelCause(context.Background())
	defer stopAll(nil)
	sip := start(run, stopAll, "sip side", func(ctx context.Context) error { return a.sip.Run(ctx, a.bridge) })
	xmpp := start(run, stopAll, "xmpp side", func(ctx context.Context) error { return a.xmpp.Run(ctx, a.bridge) })
	notify("READY=1")
	watchdog, stopWatchdog := context.WithCancel(run)
	defer stopWatchdog()
	var wg sync.WaitGroup
	wg.Go(func() { runWatchdog(watchdog) })
	defer wg.Wait()
	defer stopWatchdog()
	a.log.Info("ready", "xmpp", a.cfg.XMPP.Domain, "server", a.cfg.XMPP.Server, "sip", a.sip.Addrs())

	var err error
	select {
	case <-ctx.Done():
	case <-run.Done(): // a side gave up
		err = context.Cause(run)
	}
	notify("STOPPING=1")
	if err == nil {
		a.drain()
	}
	err = errors.Join(err, a.stop("sip side", sip), a.stop("xmpp side", xmpp))
	if err == nil {
		a.log.Info("stopped")
	}
	return err
}

// drain lets the bridge finish what is open within shutdown_timeout.
func (a *App) drain() {
	a.log.Debug("finishing what is open", "within", a.cfg.ShutdownTimeout)
	ctx, cancel := context.WithTimeout(context.Background(), a.cfg.ShutdownTimeout)
	defer cancel()
	if err := a.bridge.Drain(ctx); err != nil {
		a.log.Warn("stopping before everything was finished", "err", err)
	}
}

// stopGrace bounds each step of the stop after the drain; it is longer than the
// sides' own bounds and only catches a side that hangs.
const stopGrace = 20 * time.Second

func (a *App) stop(name string, s *service) error {
	s.cancel()
	select {
	case <-s.done:
		a.log.Debug("stopped", "step", name)
		return nil
	case <-time.After(stopGrace):
		return fmt.Errorf("%s did not stop within %v", name, stopGrace)
	}
}

// service is a Run that has been started.
type service struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// start runs f in a goroutine of its own. A Run that ends by itself takes the
// whole daemon with it.
func start(parent context.Context, fail context.CancelCauseFunc, name string, f func(context.Context) error) *service {
	ctx, cancel := context.WithCancel(parent)
	s := &service{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		err := f(ctx)
		if ctx.Err() == nil {
			if err == nil {
				err = errors.New("ended by itself")
			}
			fail(fmt.Errorf("%s: %w", name, err))
		}
	}()
	return s
}

// allLinks is the XMPP side of the bridge.
type allLinks struct{ *component.Component }

// Up reports whether the link takes messages.
func (l allLinks) Up() bool { return l.Status().State == component.StateUp }
