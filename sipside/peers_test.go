package sipside

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

var stranger = netip.MustParseAddrPort("198.51.100.1:5060")

// from is a MESSAGE over UDP from an address, with a branch of its own.
func from(source netip.AddrPort, edits ...string) packet {
	edits = append([]string{"Via: SIP/2.0/UDP " + source.String() + ";rport;branch=" + fresh()}, edits...)
	return packet{b: []byte(siptest.Text("hi", lines("udp", "", edits...)...)), to: source}
}

// ask gives a packet to the UA and the answers that follow from it. Only in a bubble.
func (m *memNet) ask(p packet) (answers []*siptest.Message) {
	before := len(m.all())
	m.in <- p
	synctest.Wait()
	for _, sent := range m.all()[before:] {
		if res, _, err := siptest.Parse(sent.data); err == nil && sent.to == p.to {
			answers = append(answers, res)
		}
	}
	return answers
}

// one is the one answer to a packet.
func (m *memNet) one(t testing.TB, p packet) *siptest.Message {
	t.Helper()
	answers := m.ask(p)
	if len(answers) != 1 {
		t.Fatalf("%d answers, want one", len(answers))
	}
	return answers[0]
}

// status is that of the one answer to a packet, 0 if there is none.
func (m *memNet) status(t testing.TB, p packet) int {
	t.Helper()
	switch answers := m.ask(p); len(answers) {
	case 0:
		return 0
	case 1:
		return answers[0].Status()
	default:
		t.Fatalf("%d answers to one request", len(answers))
		return -1
	}
}

// secured is a UA that listens for TLS in memory, with peers.
func secured(t testing.TB, kind locate.Transport, cfg Config, ca *siptest.CA, b *bridge, log *siptest.Buffer) (*UA, *memListener) {
	t.Helper()
	cfg.Listen = []string{kind.String() + "://192.0.2.1:5061"}
	cfg.TLS = tlsOf(t, ca, ca.Issue(nil, "gw.example.com"))
	u, err := New(cfg, testLog(t, log))
	if err != nil {
		t.Fatal(err)
	}
	l := &memListener{conns: make(chan any, 10), done: make(chan struct{})}
	u.listenTCP = func(string) (net.Listener, error) { return l, nil }
	return run(t, u, b), l
}

// tlsClient is a connection with a certificate, its handshake done.
func tlsClient(t testing.TB, l *memListener, source netip.AddrPort, show ...tls.Certificate) net.Conn {
	t.Helper()
	c := tls.Client(l.dial(source), &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if len(show) == 0 {
			return &tls.Certificate{}, nil
		}
		return &show[0], nil // also if the server does not know who has signed it
	}})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCertificates: a name in a certificate makes a peer, whatever the address (SEC-03,
// SEC-04, SEC-29), and nothing less does.
func TestCertificates(t *testing.T) {
	for name, tt := range map[string]struct {
		cert   func(ca, other *siptest.CA) siptest.Cert // nil: none
		source netip.AddrPort
		from   string
		want   string
	}{
		"the name":               {cert: func(ca, _ *siptest.CA) siptest.Cert { return ca.Issue(nil, "pbx.example") }, want: "200"},
		"in other letters":       {cert: func(ca, _ *siptest.CA) siptest.Cert { return ca.Issue(nil, "PBX.Example") }, want: "200"},
		"as a URI":               {cert: func(ca, _ *siptest.CA) siptest.Cert { return ca.Issue(nil, "sip:pbx.example") }, want: "200"},
		"the second table":       {cert: func(ca, _ *siptest.CA) siptest.Cert { return ca.Issue(nil, "b.example") }, from: "sip:x@b.example", want: "200"},
		"by an intermediate":     {cert: func(ca, _ *siptest.CA) siptest.Cert { return ca.Intermediate("Below").Issue(nil, "pbx.example") }, want: "200"},
		"none":                   {want: "403"},
		"another name":           {cert: func(ca, _ *siptest.CA) siptest.Cert { return ca.Issue(nil, "evil.example") }, want: "403"},
		"a name below":           {cert: func(ca, _ *siptest.CA) siptest.Cert { return ca.Issue(nil, "a.pbx.example") }, want: "403"},
		"a wildcard":             {cert: func(ca, _ *siptest.CA) siptest.Cert { return ca.Issue(nil, "*.example", "*") }, want: "403"},
		"the name of a user":     {cert: func(ca, _ *siptest.CA) siptest.Cert { return ca.Issue(nil, "sip:a@pbx.example") }, want: "403"},
		"another authority":      {cert: func(_, other *siptest.CA) siptest.Cert { return other.Issue(nil, "pbx.example") }, want: "403"},
		"expired":                {cert: func(ca, _ *siptest.CA) siptest.Cert { return ca.Issue(expired, "pbx.example") }, want: "403"},
		"not yet":                {cert: func(ca, _ *siptest.CA) siptest.Cert { return ca.Issue(validLater, "pbx.example") }, want: "403"},
		"only for servers":       {cert: func(ca, _ *siptest.CA) siptest.Cert { return ca.Issue(serverOnly, "pbx.example") }, want: "403"},
		"not its domain":         {cert: func(ca, _ *siptest.CA) siptest.Cert { return ca.Issue(nil, "pbx.example") }, from: "sip:x@b.example", want: "403"},
		"a served domain":        {cert: func(ca, _ *siptest.CA) siptest.Cert { return ca.Issue(nil, "pbx.example") }, from: "sip:juliet@example.com", want: "403"},
		"its route's domain":     {cert: func(ca, _ *siptest.CA) siptest.Cert { return ca.Issue(nil, "pbx.example") }, from: "sip:x@routed.example", want: "200"},
		"before a route":         {cert: func(ca, _ *siptest.CA) siptest.Cert { return ca.Issue(nil, "b.example") }, source: memPeer, from: "sip:x@b.example", want: "200"},
		"a route's, none":        {source: memPeer, want: "200"},
		"an address first":       {cert: func(ca, _ *siptest.CA) siptest.Cert { return ca.Issue(nil, "b.example") }, source: netip.MustParseAddrPort("203.0.113.5:5060"), from: "sip:x@b.example", want: "403"},
		"an address, and a name": {source: netip.MustParseAddrPort("203.0.113.5:5060"), from: "sip:x@first.example", want: "200"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca, other := siptest.NewCA(t, "Test CA"), siptest.NewCA(t, "Other CA")
				b := newBridge(processed)
				cfg := testConfig()
				cfg.Peers = []Peer{
					{Name: "first", Addresses: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, TLSNames: []string{"first.example"}, Domains: []string{"first.example"}},
					{Name: "pbx", TLSNames: []string{"Pbx.example"}},
					{Name: "b", TLSNames: []string{"c.example", "b.example"}, Domains: []string{"b.example"}},
				}
				cfg.Routes = []Route{{Domain: "x.example", Via: mapping.MustParseURI("sip:192.0.2.9")},
					{Domain: "routed.example", Via: mapping.MustParseURI("sip:pbx.example;transport=tls")}}
				cfg.Locator = &fakeDNS{}
				u, l := secured(t, locate.TLS, cfg, ca, b, nil)
				if !tt.source.IsValid() {
					tt.source = stranger
				}
				if tt.from == "" {
					tt.from = "sip:romeo@example.net"
				}
				var show []tls.Certificate
				if tt.cert != nil {
					show = append(show, tt.cert(ca, other).Certificate)
				}
				c := tlsClient(t, l, tt.source, show...)
				defer c.Close()
				got := readAll(c)
				io.WriteString(c, message("tls", "From: <"+tt.from+">;tag=1"))
				synctest.Wait()
				if s := got(); !strings.HasPrefix(s, "SIP/2.0 "+tt.want+" ") || (b.count() == 1) != (tt.want == "200") {
					t.Errorf("%q, %d messages, want %s", s, b.count(), tt.want)
				}
				u.conns.mu.Lock()
				strange := u.conns.strange
				u.conns.mu.Unlock()
				if strange != 0 { // it is a peer's, or closed
					t.Errorf("%d connections count as strange", strange)
				}
			})
		})
	}
}

func expired(c *x509.Certificate)    { c.NotAfter = time.Now().Add(-time.Minute) }
func validLater(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }
func serverOnly(c *x509.Certificate) {
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
}

// TestCertificateStays: a peer with a certificate has all that a peer has: its connection may
// be silent for long, and does not count among those of strangers.
func TestCertificateStays(t *testing.T) {
	for _, kind := range []locate.Transport{locate.TLS, locate.WSS} {
		t.Run(kind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := siptest.NewCA(t, "Test CA")
				cfg := testConfig()
				cfg.MaxConnections = 4 // one of them a stranger's
				cfg.Peers = []Peer{{Name: "pbx", TLSNames: []string{"pbx.example"}}}
				u, l := secured(t, kind, cfg, ca, newBridge(processed), nil)
				cert := ca.Issue(nil, "pbx.example").Certificate
				var all []func() string
				for range 3 {
					c := tlsClient(t, l, stranger, cert)
					defer c.Close()
					if kind == locate.WSS {
						if _, _, err := (ws.Dialer{Protocols: []string{"sip"}}).Upgrade(c, &url.URL{Host: "gw.example.com", Path: "/"}); err != nil {
							t.Fatal(err)
						}
					}
					all = append(all, readAll(c))
					synctest.Wait()
				}
				time.Sleep(idleTimeout - time.Second)
				synctest.Wait()
				for i, got := range all {
					if s := got(); s != "" {
						t.Errorf("%d: %q", i, s)
					}
				}
				u.conns.mu.Lock()
				if u.conns.accepted != 3 || u.conns.strange != 0 {
					t.Errorf("%d connections, %d of strangers", u.conns.accepted, u.conns.strange)
				}
				u.conns.mu.Unlock()
				time.Sleep(2 * time.Second)
				synctest.Wait()
				u.conns.mu.Lock()
				defer u.conns.mu.Unlock()
				if u.conns.accepted != 0 || u.conns.strange != 0 {
					t.Errorf("at the end %d connections, %d of strangers", u.conns.accepted, u.conns.strange)
				}
			})
		})
	}
}

// TestSpeakers: for whom each kind of peer may speak (SEC-28, SEC-29).
func TestSpeakers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		cfg := testConfig()
		cfg.PhoneDomain = "phone.example"
		cfg.Peers = []Peer{
			{Name: "listed", Addresses: []netip.Prefix{netip.MustParsePrefix("203.0.113.1/32")}, Domains: []string{"A.example", "phone.example"}},
			{Name: "any", Addresses: []netip.Prefix{netip.MustParsePrefix("203.0.113.2/32")}, Domains: []string{"*"}},
			{Name: "by the rule", Addresses: []netip.Prefix{netip.MustParsePrefix("203.0.113.3/32"), netip.MustParsePrefix("192.0.2.8/32")}},
		}
		cfg.Routes = []Route{{Domain: "r.example", Via: mapping.MustParseURI("sip:192.0.2.8")}, {Domain: "s.example", Via: mapping.MustParseURI("sip:192.0.2.7")}}
		_, m := memUA(t, cfg, b)
		for _, tt := range []struct {
			source, from string
			want         int
		}{
			{"203.0.113.1", "sip:x@a.example", 200},
			{"203.0.113.1", "sip:x@A.EXAMPLE.", 200},
			{"203.0.113.1", "tel:+15551234567", 200},
			{"203.0.113.1", "sip:x@sub.a.example", 403},
			{"203.0.113.1", "sip:x@example.net", 403},
			{"203.0.113.1", "sip:juliet@example.com", 403},
			{"203.0.113.2", "sip:x@anything.example", 200},
			{"203.0.113.2", "sip:juliet@EXAMPLE.com", 403},
			{"203.0.113.2", "sip:juliet@example.com:5099", 403},
			{"203.0.113.2", "sip:juliet@example.com.", 403},
			{"203.0.113.2", "sip:juliet%40example.com@anything.example", 200}, // the address of a SIP user
			{"203.0.113.3", "sip:x@example.net", 200},
			{"203.0.113.3", "sip:x@r.example", 200},
			{"203.0.113.3", "sip:x@s.example", 403},
			{"203.0.113.3", "tel:+15551234567", 403},
			{"192.0.2.7", "sip:x@s.example", 200},
			{"192.0.2.7", "sip:x@example.net", 200},
			{"192.0.2.7", "sip:x@r.example", 403},
			{"127.0.0.1", "sip:x@r.example", 200},
			{"127.0.0.1", "sip:x@a.example", 403},
			{"127.0.0.1", "sip:juliet@example.com", 403},
		} {
			source := netip.AddrPortFrom(netip.MustParseAddr(tt.source), 5060)
			if got := m.status(t, from(source, "From: <"+tt.from+">;tag=1")); got != tt.want {
				t.Errorf("%s as %s: %d, want %d", tt.source, tt.from, got, tt.want)
			}
		}
	})
}

// TestCertificateResumed: a session of TLS that goes on has the certificate with which it
// began, as long as that is good.
func TestCertificateResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := siptest.NewCA(t, "Test CA")
		cfg := testConfig()
		cfg.Peers = []Peer{{Name: "pbx", TLSNames: []string{"pbx.example"}}}
		_, l := secured(t, locate.TLS, cfg, ca, newBridge(processed), nil)
		cert := ca.Issue(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(time.Hour) }, "pbx.example").Certificate
		// TLS 1.3 has both ends write at once, which a pipe does not take.
		client := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, ServerName: "gw.example.com", ClientSessionCache: tls.NewLRUClientSessionCache(1), Certificates: []tls.Certificate{cert}}
		for i, want := range []string{"SIP/2.0 200 ", "SIP/2.0 200 ", "SIP/2.0 403 "} {
			if i == 2 {
				time.Sleep(2 * time.Hour)
			}
			c := tls.Client(l.dial(stranger), client)
			if err := c.Handshake(); err != nil {
				t.Fatal(err)
			}
			if resumed := c.ConnectionState().DidResume; i == 1 && !resumed {
				t.Fatal("the session was not resumed")
			}
			got := readAll(c)
			io.WriteString(c, message("tls"))
			synctest.Wait()
			if s := got(); !strings.HasPrefix(s, want) {
				t.Errorf("%d: %q, want %s", i, s, want)
			}
			c.Close()
		}
	})
}
