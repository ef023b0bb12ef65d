package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// Level says what a finding means.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn" // it works, or may not concern you
	Fail Level = "fail" // it does not work; there is a Remedy
	Skip Level = "skip" // it could not be looked at; Text says why
)

// Finding is the result of one check. The names in its JSON are a promise to scripts.
type Finding struct {
	Level  Level    `json:"level"`
	Check  string   `json:"check"` // config, daemon, xmpp, listen, dns, route, clock, files or disk
	Text   string   `json:"text"`
	Remedy string   `json:"remedy,omitempty"` // how to mend it, naming a key or a command
	Steps  []string `json:"steps,omitempty"`  // of DNS, how it was found
}

// The checks, by the names that a Finding has for them.
const (
	checkConfig = "config"
	checkDaemon = "daemon"
	checkXMPP   = "xmpp"
	checkListen = "listen"
	checkDNS    = "dns"
	checkRoute  = "route"
	checkClock  = "clock"
	checkFiles  = "files"
	checkDisk   = "disk"
)

// Options say what to look at.
type Options struct {
	Config *config.Config
	File   string // the name of the configuration, for texts
	// Store is what is wrong with store.path as far as it can be seen without opening
	// it, nil if nothing is.
	Store *config.Fault

	// NextHop reads the via of a route; nil takes any that mapping takes.
	NextHop func(via string) (mapping.URI, error)

	// Patience is how long one step of a check waits; 5 s. The XMPP server has twice that
	// for the handshake. Limit is when all of them end; 50 s.
	Patience, Limit time.Duration

	// Locate is how DNS is asked. Resolve finds the addresses of sip.advertise.
	// Machine answers about this machine. Their zero values are the system's.
	Locate  locate.Config
	Resolve func(ctx context.Context, network, host string) ([]netip.Addr, error)
	Machine Machine
}

// Run makes all checks and hands over each finding, from one goroutine and in the order
// of a message's way: the configuration, the daemon, the XMPP server, our own sockets,
// the routes, the machine. It returns when all have been reported, or ctx ends.
func Run(ctx context.Context, o Options, report func(Finding)) {
	d := newDoctor(o)
	ctx, cancel := context.WithTimeout(ctx, d.Limit)
	defer cancel()
	for _, f := range d.config() {
		report(f)
	}
	for _, f := range d.daemon(ctx) {
		report(f)
	}
	var sections []chan []Finding
	var all sync.WaitGroup
	start := func(check func(context.Context) []Finding) {
		done := make(chan []Finding, 1)
		sections = append(sections, done)
		all.Go(func() { done <- check(ctx) })
	}
	for i := range d.names {
		start(func(ctx context.Context) []Finding { return d.xmpp(ctx, i) })
	}
	for i := range d.Config.SIP.Listen {
		start(func(context.Context) []Finding { return d.listen(i) })
	}
	start(d.advertise)
	start(d.dns)
	for _, w := range d.ways() {
		start(func(ctx context.Context) []Finding { return d.way(ctx, w) })
	}
	start(func(context.Context) []Finding { return d.files() })
	start(func(context.Context) []Finding { return d.disk() })
	for _, done := range sections {
		for _, f := range <-done {
			report(f)
		}
	}
	all.Wait()
	for _, f := range d.clock() { // which the others have read
		report(f)
	}
}

// doctor is one Run.
type doctor struct {
	Options
	names   []name // of components
	locator *locate.Locator
	room    chan struct{} // a place for each target that is looked at, at once

	running bool // a daemon runs; set before the checks start
	process int  // its process id, 0 if not known

	mu     sync.Mutex // guards clocks
	clocks []reading
}

// atOnce is how many targets of SIP are looked at at the same time.
const atOnce = 16

func newDoctor(o Options) *doctor {
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	if o.Limit == 0 {
		o.Limit = 50 * time.Second
	}
	o.Machine = o.Machine.orSystem()
	if o.NextHop == nil {
		o.NextHop = mapping.ParseURI
	}
	if o.Resolve == nil {
		o.Resolve = resolveSystem
	}
	if a, err := netip.ParseAddrPort(o.Config.SIP.Resolver); err == nil && len(o.Locate.Servers) == 0 {
		o.Locate.Servers = []netip.AddrPort{a}
	}
	return &doctor{Options: o, names: namesOf(o.Config), locator: locate.New(o.Locate), room: make(chan struct{}, atOnce)}
}

// config tells what the check of the file has warned of.
func (d *doctor) config() []Finding {
	out := []Finding{ok(checkConfig, "%s has no faults", d.File)}
	for _, w := range d.Config.Warnings {
		out = append(out, Finding{Level: Warn, Check: checkConfig, Text: w.Path + ": " + w.Text, Remedy: w.Hint})
	}
	return out
}

func ok(check, format string, a ...any) Finding {
	return Finding{Level: OK, Check: check, Text: fmt.Sprintf(format, a...)}
}

func skip(check, format string, a ...any) Finding {
	return Finding{Level: Skip, Check: check, Text: fmt.Sprintf(format, a...)}
}

// bad is a finding with a remedy.
func bad(level Level, check, remedy, format string, a ...any) Finding {
	return Finding{Level: level, Check: check, Text: fmt.Sprintf(format, a...), Remedy: remedy}
}

// ended is the error of ctx if it is over, also in the moment before it says so itself:
// what it gave its deadline to may be quicker.
func ended(ctx context.Context) error {
	if end, has := ctx.Deadline(); ctx.Err() == nil && has && !time.Now().Before(end) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// said is what a server says of itself, at a length that fits into a line.
func said(s string) string {
	const most = 80
	if s = strings.TrimSpace(s); len(s) <= most {
		return s
	}
	s = s[:most]
	for !utf8.ValidString(s[max(0, len(s)-utf8.UTFMax):]) && len(s) > most-utf8.UTFMax {
		s = s[:len(s)-1]
	}
	return s + "…"
}

// short is a time for a person.
func short(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < 10*time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
