package locate

import "strings"

// Transport is one that SIP runs over.
type Transport uint8

// The transports. Any is what a URI without a transport parameter says.
const (
	Any Transport = iota
	UDP
	TCP
	TLS
	WS
	WSS
)

// transports has what is to be known of each. srv is where its SRV records are, naptr
// the service field of RFC 3263 §8 or RFC 7118 §10.
var transports = [...]struct {
	name, srv, naptr string
	port             uint16
	secure           Transport // what it is with a sips: URI
}{
	Any: {name: "any", secure: Any},
	UDP: {name: "udp", srv: "_sip._udp.", naptr: "SIP+D2U", port: 5060},
	TCP: {name: "tcp", srv: "_sip._tcp.", naptr: "SIP+D2T", port: 5060, secure: TLS},
	TLS: {name: "tls", srv: "_sips._tcp.", naptr: "SIPS+D2T", port: 5061, secure: TLS},
	WS:  {name: "ws", naptr: "SIP+D2W", port: 80, secure: WSS},
	WSS: {name: "wss", naptr: "SIPS+D2W", port: 443, secure: WSS},
}

// ParseTransport reads the value of a transport parameter; "" is Any. The deprecated
// "tls" is TLS over TCP (RFC 3261 §26.2.2).
func ParseTransport(s string) (Transport, bool) {
	if s == "" {
		return Any, true
	}
	for t := UDP; t <= WSS; t++ {
		if strings.EqualFold(s, transports[t].name) {
			return t, true
		}
	}
	return Any, false
}

// String is the value of the transport parameter, or "any".
func (t Transport) String() string {
	if int(t) >= len(transports) {
		return "?"
	}
	return transports[t].name
}

// Secure reports whether the server has to show a certificate.
func (t Transport) Secure() bool { return t == TLS || t == WSS }

// DefaultPort is the port of a URI that names none.
func (t Transport) DefaultPort() uint16 {
	if int(t) >= len(transports) {
		return 0
	}
	return transports[t].port
}

// Set is a set of transports.
type Set uint8

// SetOf makes one.
func SetOf(ts ...Transport) (s Set) {
	for _, t := range ts {
		s |= 1 << t
	}
	return s
}

// Has reports whether t is in s.
func (s Set) Has(t Transport) bool { return t != Any && s&(1<<t) != 0 }

// ofService finds the transport of the service field of a NAPTR record. sip is true for
// any service of SIP, also one over a transport that is not known here.
func ofService(service string) (t Transport, sip bool) {
	for t := UDP; t <= WSS; t++ {
		if strings.EqualFold(service, transports[t].naptr) {
			return t, true
		}
	}
	s := strings.ToUpper(service)
	return Any, strings.HasPrefix(s, "SIP+D2") || strings.HasPrefix(s, "SIPS+D2")
}
