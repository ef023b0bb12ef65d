package locate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	questionTimeout = 8 * time.Second // one question, all servers and tries
	payload         = 1232            // EDNS0: what fits through any path unfragmented
	avoidServer     = 30 * time.Second
)

// servers is the part of a Locator that asks name servers.
type servers struct {
	conf     func(now time.Time) resolver
	now      func() time.Time
	exchange func(ctx context.Context, server netip.AddrPort, network string, query *dns.Msg) (*dns.Msg, error)

	mu     sync.Mutex                   // guards the following
	silent map[netip.AddrPort]time.Time // when a server did not answer
}

// ordered is the servers as configured, those last that did not answer of late.
func (s *servers) ordered(list []netip.AddrPort) []netip.AddrPort {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	late := func(a netip.AddrPort) int {
		if at, ok := s.silent[a]; ok && now.Sub(at) < avoidServer {
			return 1
		}
		return 0
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b netip.AddrPort) int { return late(a) - late(b) })
	return list
}

func (s *servers) note(server netip.AddrPort, answered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if answered {
		delete(s.silent, server)
		return
	}
	if len(s.silent) > 4*maxServers { // of earlier configurations
		clear(s.silent)
	}
	s.silent[server] = s.now()
}

// fetch answers a question, following aliases. It always returns something.
func (s *servers) fetch(ctx context.Context, q question) *records {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	const longest = 254 // of a name that DNS can hold, with the dot at its end
	if len(q.name) > longest {
		return failed(NotFound, maxNegativeTTL, "too long a name to exist")
	}
	name, links, ttl := q.name, 0, maxTTL
	for {
		m, err := s.query(ctx, question{name, q.typ})
		if err != nil {
			r := failed(Temporary, failureTTL, err.Error())
			r.err = err
			return r
		}
		r, next, n := read(question{name, q.typ}, m, links)
		if r != nil {
			r.ttl = min(r.ttl, ttl)
			return r
		}
		// The server has left the rest of the chain to us. What it says about the
		// first part must not be believed for longer than its records say.
		for _, rr := range m.Answer {
			if rr.Header().Rrtype == dns.TypeCNAME {
				ttl = min(ttl, max(seconds(bounded(rr.Header().Ttl)), minTTL))
			}
		}
		name, links = next, n
	}
}

// query asks the servers, each some times, until one gives a response that is an
// answer. A server that refuses or fails is not asked again.
func (s *servers) query(ctx context.Context, q question) (*dns.Msg, error) {
	conf := s.conf(s.now())
	list := s.ordered(conf.servers)
	var last error
	for range conf.tries {
		for i, server := range list {
			if !server.IsValid() {
				continue
			}
			m, err := s.ask(ctx, server, q, conf.timeout)
			if err == nil {
				return m, nil
			}
			if e := ctx.Err(); e != nil {
				return nil, cmpErr(last, e)
			}
			last = fmt.Errorf("%s: %w", server, err)
			if errors.As(err, new(rcodeError)) {
				list[i] = netip.AddrPort{}
			}
		}
	}
	return nil, last
}

// cmpErr tells of the end of the time, and of what went wrong before.
func cmpErr(last, end error) error {
	if last == nil {
		return end
	}
	return fmt.Errorf("%w: %w", last, end)
}

// rcodeError is a response that says no more than that there is no answer here.
type rcodeError string

func (e rcodeError) Error() string { return string(e) }

// ask puts a question to one server: over UDP, over TCP if the answer is too long, and
// without EDNS0 if the server does not know that.
func (s *servers) ask(ctx context.Context, server netip.AddrPort, q question, timeout time.Duration) (*dns.Msg, error) {
	query := new(dns.Msg).SetQuestion(q.name, q.typ)
	query.SetEdns0(payload, false)
	m, err := s.once(ctx, server, "udp", query, timeout)
	if err == nil && !m.Truncated && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented || m.Rcode == dns.RcodeBadVers) {
		query.Id, query.Extra = dns.Id(), nil
		m, err = s.once(ctx, server, "udp", query, timeout)
	}
	if err == nil && m.Truncated {
		query.Id = dns.Id()
		if m, err = s.once(ctx, server, "tcp", query, timeout); err == nil && m.Truncated {
			err = errors.New("truncated over TCP")
		}
	}
	switch {
	case err != nil:
		return nil, err
	case m.Rcode == dns.RcodeNameError:
		return m, nil
	case m.Rcode != dns.RcodeSuccess:
		return nil, rcodeError(dns.RcodeToString[m.Rcode])
	case lame(m):
		return nil, rcodeError("refers to other servers")
	}
	return m, nil
}

func (s *servers) once(ctx context.Context, server netip.AddrPort, network string, query *dns.Msg, timeout time.Duration) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	m, err := s.exchange(ctx, server, network, query)
	if err == nil || ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		s.note(server, err == nil)
	}
	return m, err
}

// lame reports whether a response is from a server that neither has the zone nor looks
// elsewhere: it says who has it.
func lame(m *dns.Msg) bool {
	if m.Authoritative || m.RecursionAvailable || len(m.Answer) > 0 || findSOA(m.Ns) != nil {
		return false
	}
	return slices.ContainsFunc(m.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeNS })
}
