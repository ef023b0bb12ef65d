package sipside

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// Config says what the SIP side listens on, whom it believes and where it sends.
type Config struct {
	// Listen are the sockets: "udp://0.0.0.0:5060", "tcp://[::]:5060"; also tls, ws and wss.
	Listen []string
	// Advertise is the host[:port] that goes into Via: what peers answer to.
	// "" takes the address of the socket. Without a port it is the socket's.
	Advertise string
	// Accept is the answer for a processed message: 200 (also if 0) or 202.
	Accept int
	// NoGSO has every datagram handed to the system by itself, also those that could leave as
	// one piece (UDP_SEGMENT, udp(7)).
	NoGSO bool
	// Peers may send to us. Loopback addresses and the hosts of routes may too.
	Peers []Peer
	// Routes say where requests go. The first whose domain matches is taken;
	// without one a request goes to the host of its Request-URI.
	Routes []Route
	// SIPDomain is the default SIP domain; every peer without Domains may speak
	// for it.
	SIPDomain string
	// PhoneDomain is the domain that telephone numbers belong to (tel: in From);
	// "" is SIPDomain.
	PhoneDomain string
	// XMPPDomains are the domains that are served by XMPP: nobody may send as one
	// of them from the SIP side (SEC-28).
	XMPPDomains []string
	// OwnDomains are SIP domains that a registrar of accounts may not speak for unless DNS
	// leads there, besides SIPDomain and those of Routes and Peers.
	OwnDomains []string
	// OnAccount is told of each change of an account's state. It is called by goroutines that
	// hold no lock, of different accounts at the same time, and must not block for long. nil: nobody.
	OnAccount func(AccountState)
	// Local lets requests go to this machine itself, or to its link, by whatever address a
	// user writes. Otherwise only a route or SIPDomain leads there: an address is a
	// stranger's word, and so is what DNS says about it, and behind them are programs
	// that take this machine for safe.
	Local bool
	// Instance is a URN that is ours alone and the same after every start, by which a
	// registrar knows our bindings (RFC 5626 §4.1): "urn:uuid:...". "" has none.
	Instance string
	// UserAgent is the value of User-Agent in requests; "" leaves it out.
	UserAgent string

	// MaxPending bounds the unanswered requests each way, 4096. A quarter of it is the
	// most that one peer may hold of those that came in, and one next hop (a route, or
	// the host of requests without one) of those that went out. What goes beyond is
	// refused as busy, for a moment only: a single trunk that takes all messages and
	// answers within 20 ms does 50,000 a second with its 1024, and where it answers
	// slowly or not at all the rest waits instead of crowding out everybody else. Of those
	// that go out a quarter as many more may be about events, and a quarter of these to one
	// next hop.
	MaxPending     int
	MaxHeaderBytes int // start line and headers of a message, 16 KiB
	MaxBodyBytes   int // body of a message, 64 KiB
	PeerRate       int // requests a second from one source, beyond which it gets 503; 0: any number
	MaxConnections int // accepted, 1000; a quarter may be of hosts that are no peers, and an eighth of that of one of them. As many are dialled without a route

	// DrainTimeout is how long Run waits for pending answers when it ends, 5 s.
	DrainTimeout time.Duration
	// Locator finds the servers of routes and Request-URIs; nil asks the system's DNS.
	Locator Locator
	// TLS has our certificate, and says whom we trust; nil has none, and trusts the
	// system's authorities.
	TLS *TLS
	// Network makes the sockets; nil is the system's.
	Network Network
	// Tap is shown all messages while somebody looks; nil: nobody does.
	Tap Tap
}

// Peer is a SIP system that may send requests to us.
type Peer struct {
	Name string
	// By one of these it is known: where it sends from, a name in the certificate that it
	// shows (RFC 5922), and who it proves to be by digest.
	Addresses []netip.Prefix
	TLSNames  []string
	Login     Login
	// Domains are the domains its users may have in From, "*" for any that is not
	// served by XMPP. Empty: SIPDomain, and the domains of the routes that lead to
	// one of its addresses or TLSNames.
	Domains []string
}

// identity is a text that only this peer has, and always.
func (p *Peer) identity() string {
	if p.Name != "" {
		return "peer " + p.Name
	}
	return fmt.Sprintf("peer %q %q %q", p.Addresses, p.TLSNames, p.Login.Username)
}

// Route is the next hop for a domain.
type Route struct {
	Domain string      // "*" for all
	Via    mapping.URI // zero: the host of the Request-URI, as without a route
	// Loose says that Via had the lr parameter: requests then carry it in a Route
	// header (RFC 3261 §8.1.2). Without it they are just sent there.
	Loose bool
	// Size says what becomes of a request of more than 1300 bytes that would go over UDP:
	// SizeTCP (also if ""), SizeSplit or SizeReject.
	Size string
	// MaxBytes is the longest request, headers included: 0 is 65536 over TCP. Over UDP, and
	// where Via is zero, it is never more than 1300.
	MaxBytes int
	// Login is who we are when a server on this route asks (digest); zero: nobody.
	Login Login
	// Register says that a registration is to be kept at Via, so that it sends to us. It
	// wants a Login.
	Register bool
}

// Login is a user name and its password. It does not print the password.
type Login struct{ Username, Password string }

// String gives the user name.
func (l Login) String() string { return l.Username }

// GoString gives the user name.
func (l Login) GoString() string { return fmt.Sprintf("Login(%q)", l.Username) }

// IsZero reports whether there is no user name.
func (l Login) IsZero() bool { return l.Username == "" }

// The values of Route.Size. With SizeSplit a request that is longer than MaxBytes may go
// in parts over TCP, too.
const (
	SizeTCP    = "tcp"
	SizeSplit  = "split"
	SizeReject = "reject"
)

// listenAddr is one entry of Config.Listen.
type listenAddr struct{ network, addr string }

func (c *Config) setDefaults() {
	for _, d := range []struct {
		v   *int
		def int
	}{
		{&c.Accept, 200}, {&c.MaxPending, 4096}, {&c.MaxHeaderBytes, 16 << 10},
		{&c.MaxBodyBytes, 64 << 10}, {&c.MaxConnections, 1000},
	} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	if c.PhoneDomain == "" {
		c.PhoneDomain = c.SIPDomain
	}
	if c.DrainTimeout == 0 {
		c.DrainTimeout = 5 * time.Second
	}
	if c.Locator == nil {
		c.Locator = locate.New(locate.Config{})
	}
	if c.TLS == nil {
		c.TLS, _ = LoadTLS(TLSFiles{}) // reads no file
	}
	if c.Network == nil {
		c.Network = newSystemNetwork()
	}
}

// check reports all faults together, each with the key it is about.
func (c *Config) check() ([]listenAddr, error) {
	var errs []error
	fault := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	var listen []listenAddr
	for i, s := range c.Listen {
		network, addr, ok := strings.Cut(s, "://")
		_, port, err := net.SplitHostPort(addr)
		if _, perr := strconv.ParseUint(port, 10, 16); !ok || err != nil || perr != nil {
			fault("sip.listen[%d]: %q is not like udp://0.0.0.0:5060", i, s)
			continue
		}
		kind, known := locate.ParseTransport(network)
		if !known || kind == locate.Any {
			fault("sip.listen[%d]: %q: only udp://, tcp://, tls://, ws:// and wss:// can be listened on", i, s)
			continue
		}
		if _, _, ok := c.TLS.Certificate(); kind.Secure() && !ok {
			fault("sip.tls_cert: is missing, and sip.listen[%d] (%s) needs it", i, s)
			continue
		}
		listen = append(listen, listenAddr{network, addr})
	}
	if len(c.Listen) == 0 {
		fault("sip.listen: is empty")
	}
	if c.Advertise != "" {
		if _, _, ok := splitSentBy(c.Advertise); !ok {
			fault("sip.advertise: %q is not host[:port]", c.Advertise)
		}
	}
	if !headerSafe(c.Instance) || strings.ContainsAny(c.Instance, `<>"\`) {
		fault("the instance %q cannot stand in a header", c.Instance)
	}
	if !headerSafe(c.UserAgent) {
		fault("User-Agent: %q cannot stand in a header", c.UserAgent)
	}
	if c.Accept != 200 && c.Accept != 202 {
		fault("sip.accept_status: %d is neither 200 nor 202", c.Accept)
	}
	for i, r := range c.Routes {
		if !slices.Contains([]string{"", SizeTCP, SizeSplit, SizeReject}, r.Size) {
			fault("sip.route[%d].size: %q is none of tcp, split and reject", i, r.Size)
		}
		if r.MaxBytes < 0 {
			fault("sip.route[%d].max_message_bytes: is negative", i)
		}
		switch {
		case r.Domain == "":
			fault("sip.route[%d].domain: is empty", i)
		case r.Register && r.Login.IsZero():
			fault("sip.route[%d].username: is missing, and register needs to say who registers", i)
		case r.Register && r.Via.IsZero():
			fault("sip.route[%d].via: is missing, and register needs to say where", i)
		case r.Via.IsZero():
		case r.Via.Host == "":
			fault("sip.route[%d].via: has no host", i)
		case !slices.Contains([]string{"sip", "im", "pres"}, r.Via.Scheme):
			fault("sip.route[%d].via: only sip:, im: and pres: can be sent to, not %s:", i, r.Via.Scheme)
		case !slices.Contains([]string{"", "udp", "tcp", "tls", "ws", "wss"}, r.Via.Transport):
			fault("sip.route[%d].via: transport=%s is not in this version", i, r.Via.Transport)
		}
	}
	for i, p := range c.Peers {
		if len(p.Addresses) == 0 && len(p.TLSNames) == 0 && p.Login.IsZero() {
			fault("sip.peer[%d]: nothing says how it is known", i)
		}
	}
	for _, n := range []struct {
		name string
		v    int
	}{
		{"max_pending", c.MaxPending}, {"max_header_bytes", c.MaxHeaderBytes},
		{"max_body_bytes", c.MaxBodyBytes}, {"max_connections", c.MaxConnections}, {"peer_rate", c.PeerRate},
	} {
		if n.v < 0 {
			fault("limits.%s: is negative", n.name)
		}
	}
	// sipgo reads at most 64 KiB at once, and a folded header must not be cut in two.
	if c.MaxHeaderBytes > 48<<10 {
		fault("limits.max_header_bytes: is above 49152")
	}
	return listen, errors.Join(errs...)
}

// supports is what requests can be sent over: all that is made of connections always, UDP
// only from a socket that we listen on, where the answers come.
func (c *Config) supports() locate.Set {
	for _, s := range c.Listen {
		if strings.HasPrefix(s, "udp:") {
			return locate.SetOf(locate.UDP, locate.TCP, locate.TLS, locate.WS, locate.WSS)
		}
	}
	return locate.SetOf(locate.TCP, locate.TLS, locate.WS, locate.WSS)
}

// canonicalHost is the form in which hosts are compared: as mapping.URI has them.
func canonicalHost(s string) string {
	if u, err := mapping.ParseURI("sip:" + s); err == nil && u.Host != "" {
		return u.Host
	}
	return strings.ToLower(strings.TrimSuffix(s, "."))
}
