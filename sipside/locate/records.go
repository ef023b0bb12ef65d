package locate

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// How long an answer is used.
const (
	minTTL         = time.Second
	maxTTL         = time.Hour
	minNegativeTTL = 5 * time.Second
	maxNegativeTTL = 5 * time.Minute
	failureTTL     = 5 * time.Second
)

// What is taken of an answer, which may have 64 KiB.
const (
	maxRecords = 32 // SRV or NAPTR
	maxAddrs   = 16 // of one host
	maxLinks   = 8  // aliases in a row
	maxText    = 400
)

// question is what DNS is asked. The name is in lower case with a dot at the end.
type question struct {
	name string
	typ  uint16
}

func (q question) String() string {
	return dns.TypeToString[q.typ] + " " + strings.TrimSuffix(q.name, ".")
}

// records is what is known of a question: records, or a reason why there are none.
// It is not changed once others can see it.
type records struct {
	srv   []srvRecord
	naptr []naptrRecord
	addrs []netip.Addr

	reason Reason // 0: there are records
	err    error  // of Temporary
	text   string // for the operator
	ttl    time.Duration
}

type srvRecord struct {
	priority, weight, port uint16
	target                 string       // with a dot at the end; "." refuses
	addrs                  []netip.Addr // from the additional section, if it has both kinds
}

type naptrRecord struct {
	order, preference   uint16
	flags, service      string
	regexp, replacement string
}

// refused reports whether the records are the one that says that there is no such
// service (RFC 2782).
func (r *records) refused() bool { return len(r.srv) == 1 && r.srv[0].target == "." }

func failed(reason Reason, ttl time.Duration, text string) *records {
	return &records{reason: reason, ttl: ttl, text: text}
}

// read takes from a response what belongs to the question: the chain of aliases from
// its name, and the records at its end. Anything else in it is left alone. Responses
// are successful or NXDOMAIN. If the chain leaves the response, next is the name to go
// on with. links is how many aliases led here.
func read(q question, m *dns.Msg, links int) (r *records, next string, newLinks int) {
	name, ttl := q.name, uint32(math.MaxInt32)
	for {
		if r := collect(question{name, q.typ}, m, ttl); r != nil {
			return r, "", links
		}
		alias := find(m.Answer, name, dns.TypeCNAME)
		if alias == nil {
			break
		}
		if links++; links > maxLinks {
			return failed(Malformed, maxNegativeTTL, "too many aliases, or a loop of them"), "", links
		}
		ttl = min(ttl, bounded(alias.Header().Ttl))
		name = canonical(alias.(*dns.CNAME).Target)
	}
	soa := findSOA(m.Ns)
	if name != q.name && m.Rcode == dns.RcodeSuccess && soa == nil {
		return nil, name, links
	}
	text := "none"
	if m.Rcode == dns.RcodeNameError {
		text = "does not exist"
	}
	if name != q.name {
		text += fmt.Sprintf(" (alias of %s)", strings.TrimSuffix(name, "."))
	}
	return failed(NotFound, negativeTTL(soa), text), "", links
}

// negativeTTL is how long it is believed that there is nothing (RFC 2308 §5).
func negativeTTL(soa *dns.SOA) time.Duration {
	if soa == nil {
		return minNegativeTTL
	}
	ttl := seconds(min(bounded(soa.Hdr.Ttl), bounded(soa.Minttl)))
	return min(max(ttl, minNegativeTTL), maxNegativeTTL)
}

// bounded reads a TTL: with the highest bit set it is none (RFC 2181 §8).
func bounded(ttl uint32) uint32 {
	if ttl > math.MaxInt32 {
		return 0
	}
	return ttl
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

func canonical(name string) string { return dns.CanonicalName(name) }

func isOf(rr dns.RR, name string, typ uint16) bool {
	h := rr.Header()
	return h.Class == dns.ClassINET && h.Rrtype == typ && len(h.Name) == len(name) && canonical(h.Name) == name
}

func find(rrs []dns.RR, name string, typ uint16) dns.RR {
	for _, rr := range rrs {
		if isOf(rr, name, typ) {
			return rr
		}
	}
	return nil
}

func findSOA(rrs []dns.RR) *dns.SOA {
	for _, rr := range rrs {
		if soa, ok := rr.(*dns.SOA); ok && soa.Hdr.Class == dns.ClassINET {
			return soa
		}
	}
	return nil
}

// collect takes the records of exactly that name, nil if there are none. A set of which
// nothing can be used is one that leads nowhere.
func collect(q question, m *dns.Msg, ttl uint32) *records {
	r := &records{}
	var texts []string
	found := false
	for _, rr := range m.Answer {
		if !isOf(rr, q.name, q.typ) {
			continue
		}
		found = true
		ttl = min(ttl, bounded(rr.Header().Ttl))
		switch rr := rr.(type) {
		case *dns.A:
			if a, ok := netip.AddrFromSlice(rr.A); ok {
				r.addrs = appendAddr(r.addrs, a)
			}
		case *dns.AAAA:
			if a, ok := netip.AddrFromSlice(rr.AAAA); ok {
				r.addrs = appendAddr(r.addrs, a)
			}
		case *dns.SRV:
			s := srvRecord{priority: rr.Priority, weight: rr.Weight, port: rr.Port, target: canonical(rr.Target)}
			if !slices.ContainsFunc(r.srv, s.same) {
				r.srv = append(r.srv, s)
			}
		case *dns.NAPTR:
			n := naptrRecord{order: rr.Order, preference: rr.Preference, flags: rr.Flags, service: rr.Service,
				regexp: rr.Regexp, replacement: canonical(rr.Replacement)}
			if !slices.Contains(r.naptr, n) {
				r.naptr = append(r.naptr, n)
			}
		}
		if len(r.addrs) >= maxAddrs || len(r.srv) >= 8*maxRecords || len(r.naptr) >= 8*maxRecords {
			break
		}
	}
	if !found {
		return nil
	}
	slices.SortStableFunc(r.naptr, func(a, b naptrRecord) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.preference, b.preference))
	})
	slices.SortStableFunc(r.srv, func(a, b srvRecord) int { return cmp.Compare(a.priority, b.priority) })
	r.naptr = r.naptr[:min(len(r.naptr), maxRecords)]
	r.srv = r.srv[:min(len(r.srv), maxRecords)]
	for i := range r.srv {
		ttl = r.srv[i].additional(m.Extra, ttl)
		texts = append(texts, r.srv[i].String())
	}
	for _, n := range r.naptr {
		texts = append(texts, n.String())
	}
	for _, a := range r.addrs {
		texts = append(texts, a.String())
	}
	r.text = clip(strings.Join(texts, ", "))
	r.ttl = min(max(seconds(ttl), minTTL), maxTTL)
	if len(texts) == 0 {
		r.reason, r.text = Malformed, "none that can be used"
	}
	return r
}

func appendAddr(list []netip.Addr, a netip.Addr) []netip.Addr {
	if a = a.Unmap(); !Sendable(a) || slices.Contains(list, a) {
		return list
	}
	return append(list, a)
}

// additional takes the addresses of the target if both kinds are there: of one kind
// alone it is not known whether the other was left out.
func (s *srvRecord) additional(extra []dns.RR, ttl uint32) uint32 {
	var v4, v6 []netip.Addr
	least := ttl
	for _, rr := range extra {
		switch rr := rr.(type) {
		case *dns.A:
			if a, ok := netip.AddrFromSlice(rr.A); ok && isOf(rr, s.target, dns.TypeA) && len(v4) < maxAddrs {
				v4, least = appendAddr(v4, a), min(least, bounded(rr.Hdr.Ttl))
			}
		case *dns.AAAA:
			if a, ok := netip.AddrFromSlice(rr.AAAA); ok && isOf(rr, s.target, dns.TypeAAAA) && len(v6) < maxAddrs {
				v6, least = appendAddr(v6, a), min(least, bounded(rr.Hdr.Ttl))
			}
		}
	}
	if len(v4) == 0 || len(v6) == 0 {
		return ttl
	}
	s.addrs = append(v6, v4...)
	return least
}

// same compares what a domain says in a record.
func (s srvRecord) same(o srvRecord) bool {
	return s.priority == o.priority && s.weight == o.weight && s.port == o.port && s.target == o.target
}

func (s srvRecord) String() string {
	return fmt.Sprintf("%d %d %d %s", s.priority, s.weight, s.port, printable(s.target))
}

func (n naptrRecord) String() string {
	s := fmt.Sprintf("%d %d %q %q", n.order, n.preference, n.flags, n.service)
	if n.regexp != "" {
		s += fmt.Sprintf(" %q", n.regexp)
	}
	return s + " " + printable(n.replacement)
}

// printable is a name for an operator. What is odd in it is escaped by the parser.
func printable(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}

func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return s[:maxText] + " ..."
}
