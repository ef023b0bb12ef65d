// Package app wires the daemon: it is the only place that knows both sides, the
// bridge between them, the store and the configuration. It can run inside a test.
package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/internal/accounts"
	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/blocks"
	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/commands"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/history"
	"github.com/stoxgw/stox/internal/presence"
	"github.com/stoxgw/stox/internal/statuspage"
	"github.com/stoxgw/stox/internal/store"
	"github.com/stoxgw/stox/internal/wire"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside"
)

// App is the daemon, put together and not yet running.
type App struct {
	cfg    atomic.Pointer[config.Config] // in force: see Reload
	source Source
	log    *slog.Logger

	xmpp     *links
	sip      *sipside.UA
	tls      *sipside.TLS
	bridge   *bridge.Bridge
	presence *presence.Engine
	wire     *wire.Room
	spans    *wire.Spans // nil: nobody wants them
	accounts *accounts.Engine
	blocks   *blocks.Table
	journal  *journal // has its store once Run has opened it
	history  *history.Book
	options  store.Options
	door     *admin.Server     // of the operator, once Run has opened it
	web      *admin.Web        // of programs that watch, once Run has opened it
	pages    *statuspage.Pages // the same
	watch    *watch            // the same
	run      services
	reloads  reloads

	desk    *commands.Desk
	admins  atomic.Pointer[admins]
	level   *logLevel // nil: nobody is told how to log
	started time.Time // set by Run

	languages *languages
}

// Network is how the daemon reaches others. What is nil is the system's.
type Network struct {
	// DialXMPP connects to the component port of an XMPP server.
	DialXMPP func(ctx context.Context, network, address string) (net.Conn, error)
	SIP      sipside.Network
	Locator  sipside.Locator // of the SIP side
	// Collector reaches the collector of spans (log.otlp).
	Collector http.RoundTripper
}

// New puts the daemon together. It opens nothing; an error is a fault of the
// configuration (*config.Error), each with the path of its key.
func New(cfg *config.Config, log *slog.Logger) (*App, error) { return NewOn(Network{}, cfg, log) }

// NewOn is New on a network that need not be the machine's.
func NewOn(n Network, cfg *config.Config, log *slog.Logger) (*App, error) {
	return NewFrom(Source{}, n, cfg, log)
}

// NewFrom is NewOn with a configuration that can be read again.
func NewFrom(from Source, n Network, cfg *config.Config, log *slog.Logger) (*App, error) {
	a := &App{source: from, log: log, journal: &journal{}, options: storeOptions(cfg), reloads: newReloads()}
	a.cfg.Store(cfg)
	a.accounts = accounts.New(lines{a}, a.journal, log)
	policy, err := buildPolicy(cfg, a.accounts)
	if err != nil {
		return nil, err
	}
	a.blocks = a.newBlocks()
	policy = a.minded(policy)
	a.wire = newWire(func() *mapping.Rules { return a.presence.Rules() }, a)
	accountsPolicy, err := accountsPolicy(cfg, policy)
	if err != nil {
		return nil, err
	}
	a.accounts.SetPolicy(accountsPolicy)
	who, err := buildAdmins(cfg)
	if err != nil {
		return nil, err
	}
	a.admins.Store(&who)
	a.xmpp, err = newLinks(cfg, policy, n.DialXMPP, a.equip, log)
	if err != nil {
		return nil, faults(err)
	}
	sipConfig, err := sipsideConfig(cfg)
	if err != nil {
		return nil, err
	}
	sipConfig.Network, sipConfig.OnAccount = n.SIP, lines{a}.onAccount
	if n.Locator != nil {
		sipConfig.Locator = n.Locator
	}
	sipConfig.Tap = a.wire.SIP()
	a.tls = sipConfig.TLS
	a.sip, err = sipside.New(sipConfig, log.With("side", "sip"))
	if err != nil {
		return nil, faults(err)
	}
	a.presence = presence.New(a.xmpp, a.sip, presence.Options{Policy: a.presencePolicy(cfg, policy), Book: a.book()}, log)
	a.languages = newLanguages(a.keepLanguage)
	a.history = history.NewBook(time.Now())
	a.desk = commands.New(a.xmpp, a.deskOptions(), log)
	options := bridgeOptions(cfg, policy, a.journal)
	options.Presence, options.Desk = a.presence, bridgeDesk(a.desk)
	if cfg.Store.Path != "" {
		options.Usage = a.journal
	}
	a.spans = newSpans(cfg, n.Collector, log)
	options.History = withSpans(recorder{a.history}, a.spans)
	a.bridge = bridge.New(a.xmpp, a.sip, a.journal, options, log)
	return a, nil
}

// config is the configuration in force.
func (a *App) config() *config.Config { return a.cfg.Load() }

// book is where presence is kept, nil where nothing outlives the process.
func (a *App) book() presence.Book {
	if a.config().Store.Path == "" {
		return nil
	}
	return a.journal
}

// Run opens the store and the sockets, runs everything until ctx is done, and
// stops in reverse: refuse and finish what is open while both exits still work,
// then the SIP side, then our streams, then the bridge, and last the store, so
// that whatever the others had to say is on the disk. It returns nil after an
// orderly stop; a store or a socket that cannot be used as it is configured is a
// *config.Error.
func (a *App) Run(ctx context.Context) (err error) {
	if err := a.openStore(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.journal.store.Close()) }()
	a.started = time.Now()
	a.watch = newWatch(a)
	if err := a.openDoor(); err != nil {
		return err
	}
	defer a.door.Close()
	if err := a.openWeb(); err != nil {
		return err
	}
	defer a.web.Close()
	if err := a.sip.Listen(); err != nil {
		return err
	}
	a.accounts.Start()

	run := &a.run
	a.wire.Change(wireSettings(a.config()))
	traces := []*service{run.start("wire", a.wire.Run)}
	if a.spans != nil {
		traces = append(traces, run.start("spans", a.spans.Run))
	}
	journal := run.start("store", func(ctx context.Context) error { return a.journal.store.Run(ctx, a.storeEvents()) })
	handler := middle{bridge: a.bridge, presence: a.presence, desk: a.desk}
	messages := run.start("bridge", a.bridge.Run)
	watching := run.start("presence", a.presence.Run)
	asked := run.start("desk", a.desk.Run)
	var xmpp []*service
	for i, c := range a.xmpp.all {
		xmpp = append(xmpp, run.start("xmpp side "+a.xmpp.names[i], func(ctx context.Context) error { return c.Run(ctx, handler) }))
	}
	sip := run.start("sip side", func(ctx context.Context) error { return a.sip.Run(ctx, handler) })
	operator := run.start("admin", a.answerOperator)
	web := run.start("web", a.answerWeb)
	pages := run.start("pages", a.keepPages)
	pulse := run.start("pulse", a.watch.feelPulse)
	disk := run.start("disk", a.watch.lookAtDisk)

	stopWatchdog := startWatchdog(a.watch.alive)
	defer stopWatchdog()
	notify("READY=1\n" + statusReady)
	a.logCertificate()
	a.log.Info("ready", "xmpp", strings.Join(a.xmpp.names, ", "), "server", a.config().XMPP.Server, "sip", a.sip.Addrs(), "store", a.config().Store.Path)

	failed := a.serve(ctx, run.failed())
	a.watch.stopping.Store(true)
	notify("STOPPING=1")
	patience := a.config().ShutdownTimeout
	if failed != nil { // what is open may need the one that is gone
		a.log.Error("stopping, since a part of stox has ended", "err", failed)
		patience = min(patience, failedDrain)
	}
	a.drain(patience)
	errs := []error{failed, a.stop(operator, web, pages, pulse, disk, asked), a.stop(sip)}
	// From here on nobody can be told anything: what the servers still write until
	// their streams are closed is for the next start.
	a.bridge.Seal()
	errs = append(errs, a.stop(xmpp...), a.stop(messages, watching), a.stop(journal), a.stop(traces...))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	a.log.Info("stopped")
	return nil
}

// failedDrain is shutdown_timeout if the daemon ends because one of its Runs has.
const failedDrain = time.Second

// openDoor opens the operator's socket, if there is one.
func (a *App) openDoor() error {
	a.door = admin.NewServer(a.config().Admin.Socket, a.operator(), a.log)
	err := a.door.Listen()
	if errors.Is(err, admin.ErrPlace) { // starting again cannot mend it
		err = &config.Error{Faults: []config.Fault{{Path: "admin.socket", Text: strings.TrimPrefix(err.Error(), "admin.socket: ")}}}
	}
	return err
}

// operator is what may be asked of this daemon, once Run has opened the store.
func (a *App) operator() *liveQueue {
	return &liveQueue{store: a.journal.store, history: a.history, bridge: a.bridge, links: a.xmpp, sip: a.sip, blocks: a.blocks, usage: a.bridge.Usage, presence: a.presence, rules: a.presence.Rules, watch: a.watch, log: a.log, again: a.Reload, wire: a.wire, config: a.config}
}

// answerOperator runs the operator's socket. Its end is not that of the daemon:
// messages do not need it.
func (a *App) answerOperator(ctx context.Context) error {
	err := a.door.Run(ctx)
	if ctx.Err() == nil {
		a.log.Error("stox queue, trail and presence are not answered any more", "socket", a.config().Admin.Socket, "err", err, "remedy", "restart stox")
		<-ctx.Done()
	}
	return nil
}

// drain refuses what is new and lets the bridge finish what is open within that time.
func (a *App) drain(within time.Duration) {
	a.log.Debug("finishing what is open", "within", within)
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	a.presence.Drain()
	a.accounts.Drain()
	if err := a.bridge.Drain(ctx); err != nil {
		a.log.Warn("stopping before everything was finished", "err", err)
	}
}

// startWatchdog tells the service manager that the process is alive, while it is, until the
// returned function is called.
func startWatchdog(alive func() bool) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { runWatchdog(ctx, alive) })
	return func() { cancel(); wg.Wait() }
}
