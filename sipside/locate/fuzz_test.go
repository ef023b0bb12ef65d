package locate

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/miekg/dns"
)

// wireOf is what follows the question in a message with these records. Their owner is
// the name asked for, unless it is another.
func wireOf(tb testing.TB, flags byte, rcode byte, answer, authority, additional []string) []byte {
	tb.Helper()
	const owner = "q."
	m := new(dns.Msg).SetQuestion(owner, dns.TypeA)
	head, err := m.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	for _, section := range []struct {
		texts []string
		to    *[]dns.RR
	}{{answer, &m.Answer}, {authority, &m.Ns}, {additional, &m.Extra}} {
		for _, text := range section.texts {
			rr, err := dns.NewRR(text)
			if err != nil {
				tb.Fatal(err)
			}
			*section.to = append(*section.to, rr)
		}
	}
	b, err := m.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	// The owner "q." becomes a pointer to the question, whatever that is.
	body := strings.ReplaceAll(string(b[len(head):]), "\x01q\x00", "\xc0\x0c")
	return append([]byte{flags, rcode, byte(len(answer)), byte(len(authority)), byte(len(additional))}, body...)
}

// Whatever a server says to every question, a walk ends, in bounds, with targets that
// can be sent to and steps that an operator's terminal can show.
func FuzzLocate(f *testing.F) {
	for _, s := range []struct {
		flags, rcode                  byte
		answer, authority, additional []string
	}{
		{0x81, 0x80, []string{"q. 60 A 192.0.2.1", "q. 60 AAAA 2001:db8::1"}, nil, nil},
		{0x81, 0x80, []string{"q. 60 SRV 0 5 5060 h.", "q. 60 SRV 0 0 5061 q.", "q. 60 SRV 1 0 0 ."}, nil, []string{"h. 60 A 192.0.2.1", "h. 60 AAAA ::1"}},
		{0x81, 0x80, []string{"q. 0 SRV 0 0 0 ."}, nil, nil},
		{0x81, 0x80, []string{`q. 60 NAPTR 1 1 "s" "SIP+D2U" "" q.`, `q. 60 NAPTR 1 1 "s" "SIPS+D2T" "" r.`, `q. 60 NAPTR 1 2 "u" "E2U+sip" "!.*!sip:a@b!" .`, "q. 60 SRV 0 0 5060 q.", "q. 60 A 192.0.2.1"}, nil, nil},
		{0x81, 0x80, []string{"q. 60 CNAME r.", "r. 60 CNAME q."}, nil, nil},
		{0x81, 0x80, []string{"q. 60 CNAME r."}, nil, nil},
		{0x81, 0x83, nil, []string{"x. 60 SOA a. b. 1 2 3 4 5"}, nil},
		{0x81, 0x82, nil, nil, nil}, {0x83, 0x80, nil, nil, nil},
		{0x80, 0x00, nil, []string{"q. 60 NS ns."}, nil},
		{0x81, 0x80, []string{`q. 60 SRV 0 0 5060 a\027[31mb\.c.`, "q. 60 A 0.0.0.0", "q. 60 TXT x"}, nil, nil},
	} {
		for scheme := range byte(4) {
			f.Add(wireOf(f, s.flags, s.rcode, s.answer, s.authority, s.additional), byte(0), scheme)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, transport, scheme byte) {
		if len(data) < 5 {
			return
		}
		questions := 0
		l := New(testConfig(newClock(), nowhere))
		l.servers.exchange = func(_ context.Context, _ netip.AddrPort, _ string, q *dns.Msg) (*dns.Msg, error) {
			l.mu.Lock()
			questions++
			l.mu.Unlock()
			bare := new(dns.Msg).SetQuestion(q.Question[0].Name, q.Question[0].Qtype)
			b, err := bare.Pack()
			if err != nil {
				t.Errorf("asked for %q: %v", q.Question[0].Name, err)
				return nil, err
			}
			binary.BigEndian.PutUint16(b, q.Id)
			b[2], b[3] = data[0]|0x80, data[1]
			b[7], b[9], b[11] = data[2], data[3], data[4]
			return match(q, append(b, data[5:]...))
		}
		q := Query{Host: example, Transport: Transport(transport), Scheme: Scheme(scheme % 4), Supports: all}
		a, err := l.Locate(t.Context(), q)
		if (err == nil) != (len(a.Targets) > 0) || len(a.Targets) > maxTargets || questions > 1000 {
			t.Errorf("%d targets, %v, %d questions", len(a.Targets), err, questions)
		}
		if r := reasonOf(t, err); int(r) >= len(reasons) {
			t.Errorf("reason %d", r)
		}
		for i, target := range a.Targets {
			if !Sendable(target.Addr.Addr()) || target.Addr.Port() == 0 || target.Name != example || !all.Has(target.Transport) {
				t.Errorf("target %v, %q", target, target.Name)
			}
			if len(appendNew(a.Targets[:i:i], target)) == i {
				t.Errorf("%v twice", target)
			}
		}
		now := l.now()
		if a.Until.Before(now.Add(minTTL)) || a.Until.After(now.Add(maxTTL)) {
			t.Errorf("for %v", a.Until.Sub(now))
		}
		for _, s := range a.Steps {
			if strings.ContainsFunc(s.String(), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("step %q", s)
			}
		}
		again, err2 := l.Locate(t.Context(), q)
		if list(again.Targets) != list(a.Targets) || (err == nil) != (err2 == nil) {
			t.Errorf("%v, %v; then %v, %v", list(a.Targets), err, list(again.Targets), err2)
		}
	})
}

// A URI in a certificate speaks for nobody but its whole host.
func FuzzSIPDomain(f *testing.F) {
	for _, s := range []string{"sip:example.net", "SIP:Example.NET:5061;x=y?z", "sip:a@example.net", "sips:example.net", "sip://example.net", "sip:", "sip:%65xample.net",
		"sip:[2001:db8::1]", "sip:other.example;example.net", "sip:example.net%00.other.example", "urn:sip:example.net"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.Parse(s)
		if err != nil {
			return
		}
		if !MatchesDomain(&x509.Certificate{URIs: []*url.URL{u}}, example) {
			return
		}
		if len(s) < 4 || !strings.EqualFold(s[:4], "sip:") || strings.Contains(s, "@") && !strings.Contains(s, "#") {
			t.Errorf("%q is for %s", s, example)
		}
		rest := strings.ToLower(s[4:])
		if after, ok := strings.CutPrefix(rest, example); !ok || after != "" && !strings.ContainsRune(":;?#", rune(after[0])) {
			t.Errorf("%q is for %s", s, example)
		}
	})
}

// Files of the system are read whatever is in them.
func FuzzFiles(f *testing.F) {
	f.Add("127.0.0.1 localhost a.b # c\n::1 x\nnameserver 192.0.2.1\noptions timeout:9 attempts:0 ndots:99")
	f.Add("0.0.0.0 blocked\n192.0.2.1\nnameserver fe80::1%lo\nnameserver x")
	f.Fuzz(func(t *testing.T, s string) {
		for name, addrs := range parseHosts(strings.NewReader(s)) {
			if n, ok := hostName(name); !ok || n != name || len(addrs) == 0 || len(addrs) > maxAddrs {
				t.Errorf("%q: %v", name, addrs)
			}
			for _, a := range addrs {
				if !Sendable(a) {
					t.Errorf("%q: %v", name, a)
				}
			}
		}
		conf := parseResolvConf(strings.NewReader(s))
		if n := len(conf.servers); n < 1 || n > maxServers || conf.tries < 1 || conf.tries > maxTries || conf.timeout < 1 || conf.timeout > tryTimeout {
			t.Errorf("%+v", conf)
		}
	})
}
