// Package dnstest is a DNS server for tests: zones as Go tables, and the faults that
// name servers have.
package dnstest

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Fault is what a server does instead of answering.
type Fault int

// The faults. Each is of one name, or of the whole server (name "").
const (
	None       Fault = iota
	Silent           // no answer at all
	ServFail         // SERVFAIL
	Refused          // REFUSED, in twelve bytes
	FormErr          // FORMERR to a query with EDNS0
	Garbage          // the right id, then nonsense
	WrongID          // an answer with another id only
	WrongFirst       // over UDP: forged answers first, then the right one
	Truncated        // over UDP: truncated; over TCP all of it
	TruncatedAlways
	Lame     // a referral to other servers, without recursion
	NoFollow // aliases are not followed
	Huge     // thousands of records of others in front of the answer
)

// Zone is what a server knows: names without the dot at the end, each with its records
// in the text form of a zone file, without owner and class: "300 A 192.0.2.1". A name
// that is not in it does not exist. The name "soa" has the SOA record of negative
// answers; without it that has a minimum of 60 s. A record that begins with "+" and a
// name is an additional one, of that name, beside the others.
type Zone map[string][]string

// Server answers from a zone. Its methods are safe for concurrent use.
type Server struct {
	Addr netip.AddrPort // where it listens, over UDP and TCP

	mu      sync.Mutex // guards the following
	zone    Zone
	faults  map[string]Fault
	asked   []string
	held    chan struct{}
	arrived chan struct{}
}

// New makes a server that does not listen: it is asked with Exchange.
func New(zone Zone) *Server {
	return &Server{zone: zone, faults: make(map[string]Fault)}
}

// Listen makes a server on a loopback port of its own. It ends with the test.
func Listen(t testing.TB, zone Zone) *Server {
	t.Helper()
	s := New(zone)
	var pc net.PacketConn
	var l net.Listener
	for range 20 { // both need the same port
		var err error
		if pc, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatalf("dnstest: %v", err)
		}
		if l, err = net.Listen("tcp", pc.LocalAddr().String()); err == nil {
			break
		}
		pc.Close()
	}
	if l == nil {
		t.Fatal("dnstest: no port that is free for UDP and TCP")
	}
	s.Addr = pc.LocalAddr().(*net.UDPAddr).AddrPort()
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	ready := make(chan struct{}, 2)
	for _, srv := range []*dns.Server{
		{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { s.serve(w, "udp", q) })},
		{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { s.serve(w, "tcp", q) })},
	} {
		srv.NotifyStartedFunc = func() { ready <- struct{}{} }
		wg.Go(func() { srv.ActivateAndServe() })
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			srv.ShutdownContext(ctx)
		})
	}
	<-ready
	<-ready
	t.Cleanup(func() { s.Release() })
	return s
}

// Set replaces the zone.
func (s *Server) Set(zone Zone) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone = zone
}

// Fault makes a name behave badly from now on; "" is all names.
func (s *Server) Fault(name string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[name] = f
}

// Hold lets every query wait until Release. The channel tells that one does.
func (s *Server) Hold() (arrived <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.arrived = make(chan struct{}), make(chan struct{}, 1)
	return s.arrived
}

// Release lets the held queries go on.
func (s *Server) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != nil {
		close(s.held)
		s.held = nil
	}
}

// Asked returns what was asked since the last call, in order: "udp SRV example.net".
func (s *Server) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

func (s *Server) serve(w dns.ResponseWriter, network string, q *dns.Msg) {
	for _, b := range s.Respond(network, q) {
		w.Write(b)
	}
}

// Respond gives the datagrams, or the messages over TCP, with which a query is answered.
func (s *Server) Respond(network string, q *dns.Msg) [][]byte {
	name := strings.ToLower(strings.TrimSuffix(q.Question[0].Name, "."))
	s.mu.Lock()
	s.asked = append(s.asked, network+" "+dns.TypeToString[q.Question[0].Qtype]+" "+name)
	fault, held, arrived := s.faults[name], s.held, s.arrived
	if fault == None {
		fault = s.faults[""]
	}
	m := s.answer(q, name, fault == NoFollow)
	s.mu.Unlock()
	if held != nil {
		select {
		case arrived <- struct{}{}:
		default:
		}
		<-held
	}
	switch fault {
	case Silent:
		return nil
	case ServFail:
		m = new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
	case Refused:
		b := binary.BigEndian.AppendUint16(nil, q.Id)
		return [][]byte{append(b, 0x80, dns.RcodeRefused, 0, 0, 0, 0, 0, 0, 0, 0)}
	case FormErr:
		if q.IsEdns0() != nil {
			m = new(dns.Msg).SetRcode(q, dns.RcodeFormatError)
		}
	case Garbage:
		return [][]byte{append(binary.BigEndian.AppendUint16(nil, q.Id), "\x81\x80\x00\x01\x00\x01\xff\xff\xff\xff and so on"...)}
	case WrongID:
		m.Id++
	case WrongFirst:
		return s.forged(network, q, m)
	case Truncated, TruncatedAlways:
		if network == "udp" || fault == TruncatedAlways {
			m.Truncated, m.Answer, m.Extra = true, nil, nil
		}
	case Lame:
		m = new(dns.Msg).SetReply(q)
		m.Ns = []dns.RR{record(q.Question[0].Name, "60 NS ns.elsewhere.example.")}
	case Huge:
		var noise []dns.RR
		for len(noise) < 2000 {
			noise = append(noise, record("other.example.", "60 A 203.0.113.1"))
		}
		m.Answer = append(noise, m.Answer...)
	}
	return [][]byte{s.pack(network, q, m)}
}

// forged are answers that are not the one: to another query, another question, and the
// query itself, sent back.
func (s *Server) forged(network string, q, m *dns.Msg) [][]byte {
	evil := record(q.Question[0].Name, "60 A 203.0.113.66")
	id, name, echo := m.Copy(), m.Copy(), q.Copy()
	id.Id++
	id.Answer = []dns.RR{evil}
	name.Question[0].Name = "evil.example."
	name.Answer = []dns.RR{evil}
	var out [][]byte
	if network == "udp" {
		out = [][]byte{{1, 2, 3}, s.pack(network, q, id), s.pack(network, q, name), s.pack(network, q, echo)}
	}
	return append(out, s.pack(network, q, m))
}

// pack fits an answer into what the client takes, truncated if it must be.
func (s *Server) pack(network string, q, m *dns.Msg) []byte {
	if network == "udp" {
		size := dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			size = int(opt.UDPSize())
		}
		m.Truncate(size)
	}
	m.Compress = true
	b, err := m.Pack()
	if err != nil {
		panic("dnstest: " + err.Error())
	}
	return b
}

// answer is what a server that recurses says.
func (s *Server) answer(q *dns.Msg, name string, noFollow bool) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	typ := q.Question[0].Qtype
	owner := q.Question[0].Name // as it was asked
	for range 12 {              // a loop is broken off at some length
		texts, exists := s.zone[name]
		if !exists {
			m.Rcode = dns.RcodeNameError
			break
		}
		var alias string
		var extra []dns.RR
		found := false
		for _, text := range texts {
			rr := record(owner, text)
			switch {
			case text[0] == '+': // see record
				extra = append(extra, rr)
			case rr.Header().Rrtype == typ:
				m.Answer = append(m.Answer, rr)
				found = true
			case rr.Header().Rrtype == dns.TypeCNAME:
				m.Answer = append(m.Answer, rr)
				alias = rr.(*dns.CNAME).Target
			}
		}
		if found {
			m.Extra = extra
			return m
		}
		if alias == "" {
			break
		}
		if owner, name = alias, strings.ToLower(strings.TrimSuffix(alias, ".")); noFollow {
			return m
		}
	}
	if soa := s.zone["soa"]; soa != nil {
		m.Ns = append(m.Ns, record("example.", soa[0]))
	} else {
		m.Ns = append(m.Ns, record("example.", "60 SOA ns.example. admin.example. 1 2 3 4 60"))
	}
	return m
}

// record reads the text form. "+name 60 A ..." is an additional record of that name.
func record(owner, text string) dns.RR {
	if rest, ok := strings.CutPrefix(text, "+"); ok {
		owner, text, _ = strings.Cut(rest, " ")
	}
	rr, err := dns.NewRR(dns.Fqdn(owner) + " " + text)
	if err != nil || rr == nil {
		panic("dnstest: record " + text)
	}
	return rr
}

// Only gives the names of the questions asked that have that type, sorted.
func Only(asked []string, typ string) (out []string) {
	for _, a := range asked {
		if f := strings.Fields(a); f[1] == typ {
			out = append(out, f[2])
		}
	}
	slices.Sort(out)
	return out
}
