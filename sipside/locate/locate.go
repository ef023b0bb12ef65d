package locate

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// locateTimeout is the most that one Locate takes.
const locateTimeout = 20 * time.Second

// Config of a Locator. The zero value is the system's.
type Config struct {
	// Servers are asked instead of those of /etc/resolv.conf, three at most.
	Servers []netip.AddrPort
	// ResolvConf and Hosts are files to read instead of /etc/resolv.conf and /etc/hosts.
	ResolvConf, Hosts string
	// Now is the clock, by which answers grow old; nil is time.Now.
	Now func() time.Time
	// Intn gives a random number from 0 to n-1, for the draw among SRV weights; nil is
	// that of math/rand. Source tells which address the machine sends from to another,
	// the zero one if it has no way there; nil asks the system. Both have to be safe
	// for concurrent use.
	Intn   func(n int) int
	Source func(to netip.Addr) netip.Addr
}

// Locator finds targets. It is safe for concurrent use, and nothing has to be closed.
type Locator struct {
	servers servers
	hosts   file[map[string][]netip.Addr]
	now     func() time.Time
	intn    func(int) int
	source  func(netip.Addr) netip.Addr
	atOnce  chan struct{}

	mu      sync.Mutex // guards the following
	entries map[question]*entry
	flights map[question]*flight
}

// New makes a Locator. No file is read and nothing is asked before it is used.
func New(cfg Config) *Locator {
	l := &Locator{
		now: cfg.Now, intn: cfg.Intn, source: cfg.Source,
		atOnce:  make(chan struct{}, maxAtOnce),
		entries: make(map[question]*entry),
		flights: make(map[question]*flight),
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.intn == nil {
		l.intn = rand.IntN
	}
	if l.source == nil {
		l.source = sourceOf
	}
	if l.hosts.path = cfg.Hosts; cfg.Hosts == "" {
		l.hosts.path = hostsFile
	}
	l.hosts.parse = parseHosts
	l.servers.now, l.servers.exchange = l.now, exchange
	l.servers.silent = make(map[netip.AddrPort]time.Time)
	if n := min(len(cfg.Servers), maxServers); n > 0 {
		conf := resolver{servers: cfg.Servers[:n:n], timeout: tryTimeout, tries: 2}
		l.servers.conf = func(time.Time) resolver { return conf }
	} else {
		f := &file[resolver]{path: cfg.ResolvConf, parse: parseResolvConf}
		if f.path == "" {
			f.path = resolvConf
		}
		l.servers.conf = f.get
	}
	return l
}

// Locate finds the targets of a query, in the order in which they are to be tried. It
// blocks until they are known, at most until ctx is done. The order stays the same
// while the answers that it comes from are remembered, and two minutes at least unless
// there are new records.
//
// The error is an *Error. With it the answer has the steps, and when to ask again.
func (l *Locator) Locate(ctx context.Context, q Query) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, locateTimeout)
	defer cancel()
	w := &walk{l: l, ctx: ctx, q: q, may: q.Supports, now: l.now()}
	w.answer.Until = w.now.Add(maxTTL)
	w.run()
	return w.end()
}
