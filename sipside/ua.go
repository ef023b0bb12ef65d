package sipside

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// Handler is who the SIP side talks to.
type Handler interface {
	// FromSIP takes requests that were read in one go, in order. Each wants one
	// Result through Answer, with the Ref it came with; Answer may be called from
	// within. It runs on a read loop and must not block. Loops of different sockets
	// and connections call at the same time.
	FromSIP(batch []mapping.Parcel[mapping.SIP])
	// SIPOutcomes tells what became of what was handed to Deliver: Answered,
	// NotWritten or Unknown. It is never called from within Deliver, which it may
	// call itself, and by one goroutine at a time: for answers that is the read loop that
	// has read them, so it must not block.
	SIPOutcomes(batch []mapping.Result)
}

// UA is the SIP side. Make it with New; then Listen, then Run.
type UA struct {
	cfg           Config // without what settings has
	limits        limits
	listen        []listenAddr
	supported     locate.Set
	sipDomain     string // as URI.Host has it
	log           *slog.Logger
	quiet         *slog.Logger // for sipgo
	parser        *sip.Parser  // of what is larger than its buffers
	alarm         *alarm
	server        *server
	client        *client
	conns         *conns
	names         *names
	outbox        *outbox
	rates         *rates
	unproved      *rates // the same, of requests that prove nothing, where peers have logged in
	authenticator *authenticator
	strangers     strangers
	stats         Stats

	set      atomic.Pointer[settings]
	blocked  atomic.Pointer[sources] // see SetBlocked; nil: nobody
	changing sync.Mutex              // serialises what changes set, and guards askers
	askers   askers
	lines    *accountLines

	// Set by Listen, constant afterwards.
	udp       []*udpSocket
	tcp       []*tcpSocket
	bound     []netip.AddrPort
	local     map[netip.Addr]bool
	sentBys   []sentBy
	tcpSentBy string
	maxSentBy int                    // octets of the longest
	sentByOf  [locate.WSS + 1]string // of the first socket of each transport, "" if none

	handler Handler // set by Run
	stop    chan struct{}
	wg      sync.WaitGroup // all that Run waits for

	// Ways to the network; tests put their own.
	listenUDP func(addr string) (datagrams, netip.AddrPort, error)
	listenTCP func(addr string) (net.Listener, error)
	dial      func(ctx context.Context, network, addr string) (net.Conn, error)
}

type sentBy struct {
	host string
	port uint16
}

// New checks cfg. It binds nothing. All faults are reported together.
func New(cfg Config, log *slog.Logger) (*UA, error) {
	cfg.setDefaults()
	listen, err := cfg.check()
	if err != nil {
		return nil, err
	}
	u := &UA{cfg: cfg, listen: listen, log: log, limits: limits{header: cfg.MaxHeaderBytes, body: cfg.MaxBodyBytes},
		alarm: newAlarm(), outbox: newOutbox(), stop: make(chan struct{})}
	u.parser = newParser(&cfg)
	u.rates, u.unproved, u.authenticator = newRates(cfg.PeerRate), newRates(cfg.PeerRate), newAuthenticator(u)
	u.quiet = slog.New(quietHandler{to: log.Handler(), failed: &u.stats.Malformed})
	u.supported = cfg.supports()
	u.sipDomain = canonicalHost(cfg.SIPDomain)
	u.server = newServer(&cfg, u.alarm, u.rates)
	u.client = newClient(u)
	u.conns = newConns(u)
	u.names = newNames(&cfg)
	u.lines = newLines(u)
	u.set.Store(u.settle(&cfg, nil))
	u.strangers.expect(u.current().logsIn())
	u.cfg.Routes, u.cfg.Peers, u.cfg.XMPPDomains, u.cfg.OwnDomains, u.cfg.PhoneDomain, u.cfg.Accept, u.cfg.PeerRate = nil, nil, nil, nil, "", 0, 0
	u.listenUDP = func(addr string) (datagrams, netip.AddrPort, error) {
		return bindUDP(cfg.Network, addr, u.client.refused)
	}
	u.listenTCP = func(addr string) (net.Listener, error) { return cfg.Network.Listen("tcp"+family(addr), addr) }
	u.dial = cfg.Network.DialContext
	return u, nil
}

// family is what to add to a network's name so that 0.0.0.0 means IPv4 only, as
// it does everywhere else: Go takes it for [::], which is both.
func family(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	if a, err := netip.ParseAddr(host); err == nil && a.Is4() {
		return "4"
	}
	return ""
}

var bindCauses = []struct {
	err          error
	text, remedy string
}{
	{syscall.EADDRINUSE, "is taken by another program", "ss -lnptu shows which: stop it, or change sip.listen"},
	{syscall.EACCES, "is not allowed for this user", "give stox the capability CAP_NET_BIND_SERVICE, or take a port above 1023 in sip.listen"},
	{syscall.EADDRNOTAVAIL, "is no address of this machine", "ip address shows those it has: correct sip.listen"},
}

// Listen binds the sockets. If one cannot be bound none is, and the error says
// which and why. Run calls it unless it has been called.
func (u *UA) Listen() (err error) {
	if u.bound != nil {
		return nil
	}
	u.local = localAddrs()
	for _, a := range u.listen {
		var bound netip.AddrPort
		switch a.network {
		case "udp":
			var io datagrams
			if io, bound, err = u.listenUDP(a.addr); err == nil {
				u.udp = append(u.udp, newUDPSocket(u, io, bound))
			}
		default:
			var l net.Listener
			if l, err = u.listenTransport(a.network, a.addr); err == nil {
				bound = addrPortOf(l.Addr())
				u.tcp = append(u.tcp, newTCPSocket(u, l))
			}
		}
		if err != nil {
			u.closeSockets()
			u.udp, u.tcp, u.bound, u.sentBys = nil, nil, nil, nil
			u.tcpSentBy, u.maxSentBy, u.sentByOf = "", 0, [locate.WSS + 1]string{}
			return bindError(a, err)
		}
		u.bound = append(u.bound, bound)
		name := u.sentByFor(bound)
		if a.network != "udp" && a.network != "tcp" {
			name = u.ownSentBy(bound)
		}
		if kind, ok := locate.ParseTransport(a.network); ok && u.sentByOf[kind] == "" {
			u.sentByOf[kind] = name
		}
		if u.tcpSentBy == "" || a.network == "tcp" && u.sentByOf[locate.TCP] == name {
			u.tcpSentBy = name
		}
		u.maxSentBy = max(u.maxSentBy, len(name))
		host, port, _ := splitSentBy(name)
		if port == 0 {
			port = 5060
		}
		u.sentBys = append(u.sentBys, sentBy{host, port})
	}
	return nil
}

// Addrs are the bound addresses, in the order of Config.Listen.
func (u *UA) Addrs() []net.Addr {
	var all []net.Addr
	for i, b := range u.bound {
		if u.listen[i].network == "udp" {
			all = append(all, net.UDPAddrFromAddrPort(b))
		} else {
			all = append(all, net.TCPAddrFromAddrPort(b))
		}
	}
	return all
}

// Run serves until ctx is done; then it refuses new requests, takes registrations back,
// waits for the answers of the pending ones for at most Config.DrainTimeout, and ends. Whatever
// was delivered and is still open then is told as Unknown or NotWritten before
// Run returns. The error is that of Listen. Call it once.
func (u *UA) Run(ctx context.Context, h Handler) error {
	if err := u.Listen(); err != nil {
		return err
	}
	u.handler = h
	// Not derived from ctx: all this goes on while pending requests are drained.
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var workers, writers, outcomes sync.WaitGroup
	outcomes.Go(func() { u.outbox.run(u) })
	workers.Go(func() {
		u.alarm.run(inner, func(now time.Time) time.Time {
			return earliest(u.server.tick(now), u.client.tick(now))
		})
	})
	for range dialers {
		workers.Go(func() { u.conns.dial(inner, u.conns.jobs) })
	}
	for range toRoutes {
		workers.Go(func() { u.conns.dial(inner, u.conns.first) })
	}
	for range resolvers {
		workers.Go(func() { u.names.run(inner) })
	}
	workers.Go(func() { u.names.watchRoutes(inner, func() *peers { return u.current().peers }) })
	for _, s := range u.udp {
		writers.Go(s.write)
	}
	// Readers last: once a message has come in, everything is there.
	u.wg.Go(func() { u.conns.layer.ServeTCP(u.conns.made) })
	for _, s := range u.tcp {
		u.wg.Go(s.serve)
	}
	for _, s := range u.udp {
		u.wg.Go(s.serve)
	}

	// Those who ask on their own account. Registrations are taken back while the rest runs.
	u.changing.Lock()
	u.askers.begin(ctx, inner, u.current())
	u.changing.Unlock()
	workers.Go(func() { u.lines.run(inner) })
	u.lines.begin(ctx, inner)

	<-ctx.Done()
	u.changing.Lock()
	u.askers.finish()
	u.changing.Unlock()
	u.lines.finish()
	left := make(chan struct{})
	workers.Go(func() {
		u.askers.running.Wait()
		u.lines.running.Wait()
		close(left)
	})
	u.finish(u.server.drain(), left)
	cancel()
	workers.Wait()
	u.lines.tellEnd()
	u.client.close()
	for _, s := range u.udp {
		s.closeWriter()
	}
	writers.Wait()
	stopWaiting := u.conns.close()
	defer stopWaiting()
	close(u.stop)
	u.closeSockets()
	u.wg.Wait()
	u.outbox.close()
	outcomes.Wait()
	return nil
}

// finish waits for the end of the pending requests, and of those of our own, for
// Config.DrainTimeout.
func (u *UA) finish(drained, left <-chan struct{}) {
	end := time.NewTimer(u.cfg.DrainTimeout)
	defer end.Stop()
	for drained != nil || left != nil {
		select {
		case <-drained:
			drained = nil
		case <-left:
			left = nil
		case <-end.C:
			if drained != nil {
				u.log.Warn("SIP requests are left without an answer")
			}
			return
		}
	}
}

func (u *UA) closeSockets() {
	for _, s := range u.udp {
		s.io.close()
	}
	for _, s := range u.tcp {
		s.Listener.Close()
	}
}

// pause waits a little; false if the UA stops meanwhile.
func (u *UA) pause(d time.Duration) bool {
	select {
	case <-u.stop:
		return false
	case <-time.After(d):
		return true
	}
}

// Deliver takes requests to be sent and returns at once; Listen must have been
// called. Each gets exactly one Result through Handler.SIPOutcomes, as long as Run
// has not returned. The values may not be changed afterwards.
//
// NotWritten with the condition resource-constraint says that the lack was ours: a
// table, a queue or a share of them was full, the system was short of something, or
// Run is ending. It says nothing about the next hop. No fault of a next hop, of the
// way there, or of a name server comes as NotWritten with that condition.
func (u *UA) Deliver(batch []mapping.Parcel[mapping.SIP]) { u.client.deliver(batch) }

// Answer ends requests that came through FromSIP. What was answered before, or
// has been given up by its client, is ignored.
func (u *UA) Answer(batch []mapping.Result) { u.server.answer(batch) }

// udpFor gives the socket that requests to addr leave from, nil if there is none.
func (u *UA) udpFor(addr netip.Addr) *udpSocket {
	var second *udpSocket
	for _, s := range u.udp {
		l := s.bound.Addr()
		switch {
		case l.IsUnspecified() && (l.Is6() || addr.Is4()), // [::] takes both
			!l.IsUnspecified() && l.Is4() == addr.Is4() && l.IsLoopback() == addr.IsLoopback():
			return s
		case l.Is4() == addr.Is4() && second == nil:
			second = s
		}
	}
	return second
}

// String names the sockets, for the log.
func (u *UA) String() string { return fmt.Sprint(u.Addrs()) }
