package locate

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// What belongs to a question, and what else may be in a response.
func TestRead(t *testing.T) {
	for _, c := range []struct {
		name              string
		typ               uint16
		rcode             int
		answer, authority []string
		want              string // the records as the operator sees them
		reason            Reason
		ttl               time.Duration
		next              string
	}{
		{name: "records", typ: dns.TypeA, answer: []string{"q. 60 A 192.0.2.1", "Q. 50 A 192.0.2.2"}, want: "192.0.2.1, 192.0.2.2", ttl: 50 * time.Second},
		{name: "of another class", typ: dns.TypeA, answer: []string{"q. 60 CH A 192.0.2.1"}, want: "none", reason: NotFound, ttl: minNegativeTTL},
		{name: "of another name", typ: dns.TypeA, answer: []string{"r. 60 A 192.0.2.1"}, want: "none", reason: NotFound, ttl: minNegativeTTL},
		{name: "of another type", typ: dns.TypeAAAA, answer: []string{"q. 60 A 192.0.2.1"}, want: "none", reason: NotFound, ttl: minNegativeTTL},
		{name: "twice", typ: dns.TypeA, answer: []string{"q. 60 A 192.0.2.1", "q. 60 A 192.0.2.1"}, want: "192.0.2.1", ttl: time.Minute},
		{name: "records and an alias", typ: dns.TypeA, answer: []string{"q. 60 CNAME r.", "q. 60 A 192.0.2.1", "r. 60 A 192.0.2.2"}, want: "192.0.2.1", ttl: time.Minute},
		{name: "alias behind its target", typ: dns.TypeA, answer: []string{"r. 60 A 192.0.2.2", "q. 30 CNAME R."}, want: "192.0.2.2", ttl: 30 * time.Second},
		{name: "alias and no more", typ: dns.TypeA, answer: []string{"q. 60 CNAME r."}, next: "r."},
		{name: "alias of what has none", typ: dns.TypeA, answer: []string{"q. 60 CNAME r."}, authority: []string{"r. 90 SOA a. b. 1 2 3 4 90"},
			want: "none (alias of r)", reason: NotFound, ttl: 90 * time.Second},
		{name: "alias of what is not there", typ: dns.TypeA, rcode: dns.RcodeNameError, answer: []string{"q. 60 CNAME r."},
			want: "does not exist (alias of r)", reason: NotFound, ttl: minNegativeTTL},
		{name: "records in spite of NXDOMAIN", typ: dns.TypeA, rcode: dns.RcodeNameError, answer: []string{"q. 60 A 192.0.2.1"}, want: "192.0.2.1", ttl: time.Minute},
		{name: "SOA of another class", typ: dns.TypeA, authority: []string{"r. 90 CH SOA a. b. 1 2 3 4 90"}, want: "none", reason: NotFound, ttl: minNegativeTTL},
		{name: "SRV by priority", typ: dns.TypeSRV, answer: []string{"q. 60 SRV 2 0 1 b.", "q. 60 SRV 1 0 1 A."}, want: "1 0 1 a, 2 0 1 b", ttl: time.Minute},
		{name: "odd characters", typ: dns.TypeSRV, answer: []string{`q. 60 SRV 2 0 1 b\027[1m\.x.`}, want: `2 0 1 b\027[1m\.x`, ttl: time.Minute},
		{name: "odd strings", typ: dns.TypeNAPTR, answer: []string{`q. 60 NAPTR 1 2 "s" "SIP\010" "!\"!\\\\1!" x.`}, want: `1 2 "s" "SIP\\010" "!\\\"!\\\\\\\\1!" x`, ttl: time.Minute},
	} {
		m := &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: c.rcode}}
		for _, text := range c.answer {
			m.Answer = append(m.Answer, mustRR(t, text))
		}
		for _, text := range c.authority {
			m.Ns = append(m.Ns, mustRR(t, text))
		}
		r, next, _ := read(question{"q.", c.typ}, m, 0)
		if next != c.next || (r == nil) != (c.next != "") {
			t.Errorf("%s: %+v, next %q", c.name, r, next)
			continue
		}
		if r == nil {
			continue
		}
		if got := fmt.Sprint(r.text, " ", int(r.reason), " ", r.ttl); got != fmt.Sprint(c.want, " ", int(c.reason), " ", c.ttl) {
			t.Errorf("%s: got %s; want %s, %v, %v", c.name, got, c.want, c.reason, c.ttl)
		}
	}
}

func mustRR(t *testing.T, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil || rr == nil {
		t.Fatalf("%s: %v", text, err)
	}
	return rr
}

// A set of thousands of records is cut, the lowest priorities stay.
func TestReadIsBounded(t *testing.T) {
	m := new(dns.Msg)
	for i := range 200 {
		m.Answer = append(m.Answer, mustRR(t, fmt.Sprintf("q. 60 SRV %d 0 5060 h%d.", 1000-i, i)))
	}
	r, _, _ := read(question{"q.", dns.TypeSRV}, m, 0)
	if len(r.srv) != maxRecords || r.srv[0].priority != 801 || len(r.text) > maxText+10 {
		t.Errorf("%d records from %d on, %d bytes", len(r.srv), r.srv[0].priority, len(r.text))
	}
	for i := range 5000 {
		m.Answer = append(m.Answer, mustRR(t, fmt.Sprintf("q. 60 SRV 0 0 5060 n%d.", i)))
	}
	if r, _, _ = read(question{"q.", dns.TypeSRV}, m, 0); len(r.srv) != maxRecords {
		t.Errorf("%d records", len(r.srv))
	}
}
