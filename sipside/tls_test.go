package sipside

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// tlsOf is a TLS that trusts ca and shows cert.
func tlsOf(t testing.TB, ca *siptest.CA, cert siptest.Cert) *TLS {
	t.Helper()
	files := TLSFiles{CA: siptest.WriteFile(t, "ca.pem", ca.PEM)}
	if cert.PEM != nil {
		files.Cert, files.Key = siptest.WriteFile(t, "cert.pem", cert.PEM), siptest.WriteFile(t, "key.pem", cert.KeyPEM)
	}
	tl, err := LoadTLS(files)
	if err != nil {
		t.Fatal(err)
	}
	return tl
}

// dialerOf is a UA that only dials.
func dialerOf(t testing.TB, tl *TLS) *UA {
	t.Helper()
	cfg := testConfig()
	cfg.TLS = tl
	u, err := New(cfg, testLog(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// serve accepts connections on loopback until the test ends; each is handed to f and closed.
func serve(t testing.TB, f func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return addrPortOf(l.Addr())
}

// TestLoadTLS: what is wrong with a file is said with its key, and all of it at once.
func TestLoadTLS(t *testing.T) {
	ca := siptest.NewCA(t, "Test CA")
	a, b := ca.Issue(nil, "a.example"), ca.Issue(nil, "b.example")
	file := func(text []byte) string { return siptest.WriteFile(t, "file.pem", text) }
	none := filepath.Join(t.TempDir(), "none.pem")
	damaged := slices.Clone(a.PEM)
	copy(damaged[60:], "AAAAAAAAAAAAAAAA")
	for name, tt := range map[string]struct {
		files TLSFiles
		want  []string // beginnings of the lines
	}{
		"good":         {files: TLSFiles{Cert: file(a.PEM), Key: file(a.KeyPEM), CA: file(ca.PEM)}},
		"both in one":  {files: TLSFiles{Cert: file(append(slices.Clone(a.KeyPEM), a.PEM...)), Key: file(append(slices.Clone(a.PEM), a.KeyPEM...))}},
		"nothing":      {},
		"no files":     {TLSFiles{Cert: none, Key: none, CA: none}, []string{"sip.tls_cert: open ", "sip.tls_key: open ", "sip.tls_ca: open "}},
		"no key named": {TLSFiles{Cert: file(a.PEM)}, []string{"sip.tls_key: open "}},
		"other key":    {TLSFiles{Cert: file(a.PEM), Key: file(b.KeyPEM)}, []string{"sip.tls_key: "}},
		"swapped":      {TLSFiles{Cert: file(a.KeyPEM), Key: file(a.PEM)}, []string{"sip.tls_cert: "}},
		"no PEM":       {TLSFiles{Cert: file([]byte("hello")), Key: file(a.KeyPEM), CA: file(nil)}, []string{"sip.tls_cert: ", "sip.tls_ca: "}},
		"damaged":      {TLSFiles{Cert: file(damaged), Key: file(a.KeyPEM)}, []string{"sip.tls_cert: certificate 1 in "}},
		"a directory":  {TLSFiles{CA: t.TempDir()}, []string{"sip.tls_ca: read "}},
		"no end":       {TLSFiles{CA: "/dev/zero"}, []string{`sip.tls_ca: "/dev/zero" is too long`}},
	} {
		t.Run(name, func(t *testing.T) {
			tl, err := LoadTLS(tt.files)
			if tt.want == nil {
				if err != nil || tl == nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || tl != nil {
				t.Fatalf("loaded, want %q", tt.want)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("%q, want %q", lines, tt.want)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("%q, want %q", lines[i], want)
				}
			}
			if strings.Contains(err.Error(), "BEGIN") || strings.Contains(err.Error(), string(a.KeyPEM[40:60])) {
				t.Errorf("shows what is in the file: %v", err)
			}
		})
	}
}

// TestVerifyServer: which servers are talked to, and what is said of the others (SEC-03).
func TestVerifyServer(t *testing.T) {
	ca, other := siptest.NewCA(t, "Test CA"), siptest.NewCA(t, "Other CA")
	past := func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Unix(1e9, 0), time.Now().Add(-time.Minute) }
	future := func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }
	usage := func(u ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = u }
	}
	sipOnly := func(c *x509.Certificate) {
		c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 20}}
	}
	const wrongName, distrusted = mapping.CondRemoteServerNotFound, mapping.CondRemoteServerTimeout
	for name, tt := range map[string]struct {
		cert   siptest.Cert
		want   string // whom we look for, example.net if empty
		cond   mapping.Condition
		remedy string // a part of it
	}{
		"DNS name":              {cert: ca.Issue(nil, "example.net")},
		"one of several":        {cert: ca.Issue(nil, "a.example", "EXAMPLE.net")},
		"URI":                   {cert: ca.Issue(nil, "sip:example.net")},
		"chain":                 {cert: ca.Intermediate("Below").Issue(nil, "example.net")},
		"common name":           {cert: ca.Issue(nil), want: "common.example"},
		"address":               {cert: ca.Issue(nil, "192.0.2.4"), want: "192.0.2.4"},
		"IPv6 address":          {cert: ca.Issue(nil, "2001:db8::4"), want: "2001:db8::4"},
		"for SIP domains":       {cert: ca.Issue(sipOnly, "example.net")},
		"for anything":          {cert: ca.Issue(usage(x509.ExtKeyUsageAny), "example.net")},
		"purpose not said":      {cert: ca.Issue(usage(), "example.net")},
		"other name":            {cert: ca.Issue(nil, "b.example", "sip:c.example"), cond: wrongName, remedy: `has to show a certificate for "example.net", and shows one for "sip:c.example", "b.example"`},
		"only below":            {cert: ca.Issue(nil, "sip.example.net"), cond: wrongName},
		"wildcard":              {cert: ca.Issue(nil, "*.example.net"), want: "sip.example.net", cond: wrongName, remedy: `"*.example.net"`},
		"URI before DNS name":   {cert: ca.Issue(nil, "sip:b.example", "example.net"), cond: wrongName},
		"common name, and SANs": {cert: ca.Issue(nil, "b.example"), want: "common.example", cond: wrongName},
		"name for an address":   {cert: ca.Issue(nil, "example.net"), want: "192.0.2.4", cond: wrongName},
		"other address":         {cert: ca.Issue(nil, "192.0.2.5"), want: "192.0.2.4", cond: wrongName},
		"expired":               {cert: ca.Issue(past, "example.net"), cond: distrusted, remedy: "was valid from 2001-09-09 to "},
		"not yet":               {cert: ca.Issue(future, "example.net"), cond: distrusted, remedy: "is the clock of this machine right?"},
		"other CA":              {cert: other.Issue(nil, "example.net"), cond: distrusted, remedy: `put the authority "CN=Other CA" into sip.tls_ca`},
		"other CA, other name":  {cert: other.Issue(nil, "b.example"), cond: distrusted, remedy: "sip.tls_ca"},
		"not for a server":      {cert: ca.Issue(usage(x509.ExtKeyUsageClientAuth), "example.net"), cond: distrusted, remedy: "extended key usage"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.want == "" {
				tt.want = "example.net"
			}
			const more = "SIP/2.0 200 OK"
			asked, seen := make(chan string, 1), make(chan string, 1)
			at := serve(t, func(c net.Conn) {
				s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{tt.cert.Certificate}, MaxVersion: tls.VersionTLS12})
				err := s.Handshake()
				asked <- s.ConnectionState().ServerName
				if err == nil {
					io.WriteString(s, more)
				}
				b, _ := io.ReadAll(s) // until the client has closed
				seen <- string(b)
			})
			u := dialerOf(t, tlsOf(t, ca, siptest.Cert{}))
			c, err := u.dialTransport(t.Context(), locate.Target{Transport: locate.TLS, Addr: at, Name: tt.want})
			if tt.cond == "" {
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				b := make([]byte, len(more))
				if _, err := io.ReadFull(c, b); err != nil || string(b) != more {
					t.Errorf("read %q, %v", b, err)
				}
				if _, err := netip.ParseAddr(tt.want); (err != nil) != (<-asked == tt.want) {
					t.Errorf("the server was not asked for %s", tt.want)
				}
				return
			}
			if err == nil {
				t.Fatal("connected")
			}
			f := unconnected(false, err)
			if f.Condition != tt.cond || !strings.Contains(f.Remedy, tt.remedy) || f.Err == nil {
				t.Errorf("%s, err %v, remedy %q\nwant %s, %q", f.Condition, f.Err, f.Remedy, tt.cond, tt.remedy)
			}
			if b := <-seen; b != "" {
				t.Errorf("the server was told %q", b)
			}
		})
	}
}

// TestTLSVersions: nothing below 1.2, from either side (SEC-25).
func TestTLSVersions(t *testing.T) {
	ca := siptest.NewCA(t, "Test CA")
	cert := ca.Issue(nil, "example.net")
	tl := tlsOf(t, ca, cert)
	cfg := testConfig()
	cfg.Listen, cfg.TLS = []string{"tls://127.0.0.1:0"}, tl
	u := start(t, cfg, newBridge(processed))
	for version, good := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			c, err := tls.Dial("tcp", u.bound[0].String(), &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version, RootCAs: ca.Pool(), ServerName: "example.net"})
			if err == nil {
				c.Close()
			}
			if (err == nil) != good {
				t.Errorf("as a server: %v", err)
			}
			at := serve(t, func(c net.Conn) {
				tls.Server(c, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version, Certificates: []tls.Certificate{cert.Certificate}}).Handshake()
			})
			out, err := dialerOf(t, tl).dialTransport(t.Context(), locate.Target{Transport: locate.TLS, Addr: at, Name: "example.net"})
			if err == nil {
				out.Close()
			}
			if (err == nil) != good {
				t.Errorf("as a client: %v", err)
			}
		})
	}
}

// TestNoTLSThere: what else may answer where TLS was to be, each with its remedy.
func TestNoTLSThere(t *testing.T) {
	ca := siptest.NewCA(t, "Test CA")
	good := ca.Issue(nil, "example.net")
	for name, tt := range map[string]struct {
		server func(c net.Conn)
		err    string
		remedy string
	}{
		"plain SIP": {func(c net.Conn) { io.WriteString(c, "SIP/2.0 400 Bad Request\r\n\r\n"); io.ReadAll(c) },
			"what answers there is not TLS: ", "does the server take TLS on this port, and not plain TCP?"},
		"nobody":  {func(c net.Conn) {}, "TLS handshake: ", "sip.route.via"},
		"half":    {func(c net.Conn) { c.Write([]byte{22, 3, 3, 0, 100, 2}); c.(*net.TCPConn).CloseWrite(); io.ReadAll(c) }, "TLS handshake: ", "sip.route.via"},
		"refusal": {func(c net.Conn) { c.Write([]byte{21, 3, 3, 0, 2, 2, 40}); io.ReadAll(c) }, "the server refuses the TLS handshake: ", "its log says why"},
	} {
		t.Run(name, func(t *testing.T) {
			u := dialerOf(t, tlsOf(t, ca, good))
			_, err := u.dialTransport(t.Context(), locate.Target{Transport: locate.TLS, Addr: serve(t, tt.server), Name: "example.net"})
			var setup *setupError
			if !errors.As(err, &setup) || !strings.HasPrefix(err.Error(), tt.err) {
				t.Fatalf("%v, want %q", err, tt.err)
			}
			if f := unconnected(false, err); f.Condition != mapping.CondRemoteServerTimeout || !strings.Contains(f.Remedy, tt.remedy) {
				t.Errorf("%s, remedy %q", f.Condition, f.Remedy)
			}
		})
	}
}

// TestDialBrokenOff: a server that takes the connection and says nothing holds up nobody for
// longer than it may, and a stop not at all.
func TestDialBrokenOff(t *testing.T) {
	ca := siptest.NewCA(t, "Test CA")
	for _, kind := range []locate.Transport{locate.TLS, locate.WS, locate.WSS} {
		t.Run(kind.String(), func(t *testing.T) {
			began := make(chan struct{}, 2)
			at := serve(t, func(c net.Conn) {
				c.Read(make([]byte, 1))
				began <- struct{}{}
				io.Copy(io.Discard, c)
			})
			u := dialerOf(t, tlsOf(t, ca, siptest.Cert{}))
			target := locate.Target{Transport: kind, Addr: at, Name: "example.net"}

			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-began; cancel() }()
			if c, err := u.dialTransport(ctx, target); !errors.Is(err, context.Canceled) {
				t.Errorf("%v, %v", c, err)
			}
			ctx, cancel = context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
			defer cancel()
			u.dial = func(context.Context, string, string) (net.Conn, error) { return net.Dial("tcp", at.String()) }
			_, err := u.dialTransport(ctx, target)
			if f := unconnected(false, err); f.Condition != mapping.CondRemoteServerTimeout || !strings.Contains(err.Error(), "timeout") {
				t.Errorf("%v, %s", err, f.Condition)
			}
		})
	}
}

// TestReloadOfCertificates: a new certificate is shown to those who come after it, a bad one
// to nobody.
func TestReloadOfCertificates(t *testing.T) {
	ca := siptest.NewCA(t, "Test CA")
	first, second := ca.Issue(nil, "first.example"), ca.Issue(nil, "second.example", "more.example")
	files := TLSFiles{CA: siptest.WriteFile(t, "ca.pem", ca.PEM), Cert: siptest.WriteFile(t, "cert.pem", first.PEM), Key: siptest.WriteFile(t, "key.pem", first.KeyPEM)}
	cfg := testConfig()
	cfg.Listen = []string{"tls://127.0.0.1:0"}
	var err error
	if cfg.TLS, err = LoadTLS(files); err != nil {
		t.Fatal(err)
	}
	u, err := New(cfg, testLog(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	tl := u.cfg.TLS
	reload := func(files TLSFiles) error {
		next := cfg
		var err error
		if next.TLS, err = LoadTLS(files); err != nil {
			return err
		}
		return u.Reload(next)
	}
	shown := func() string {
		t.Helper()
		here, there := net.Pipe()
		defer here.Close()
		done := make(chan struct{})
		go func() { defer close(done); defer there.Close(); tls.Server(there, tl.server).Handshake() }()
		c := tls.Client(here, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		<-done
		return c.ConnectionState().PeerCertificates[0].DNSNames[0]
	}
	write := func(path string, text []byte) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(files.Cert, second.PEM) // and not yet its key
	if err := reload(files); err == nil || shown() != "first.example" {
		t.Errorf("half a change: %v, shows %s", err, shown())
	}
	write(files.Key, second.KeyPEM)
	write(files.CA, []byte("garbage"))
	if err := reload(files); err == nil || shown() != "first.example" {
		t.Errorf("bad CA: %v, shows %s", err, shown())
	}
	write(files.CA, ca.PEM)
	if err := reload(TLSFiles{CA: files.CA}); err == nil || !strings.Contains(err.Error(), "sip.tls_cert") || shown() != "first.example" {
		t.Errorf("no certificate for a socket: %v, shows %s", err, shown())
	}
	if err := reload(files); err != nil || shown() != "second.example" {
		t.Errorf("%v, shows %s", err, shown())
	}
	names, expires, ok := tl.Certificate()
	if !ok || strings.Join(names, " ") != "second.example more.example" || !expires.Equal(second.Leaf.NotAfter) {
		t.Errorf("%q %v %v", names, expires, ok)
	}
}

// TestCertificateWarnings: what peers will not like is said beforehand.
func TestCertificateWarnings(t *testing.T) {
	ca := siptest.NewCA(t, "Test CA")
	cert := ca.Issue(nil, "gw.example.com", "*.example.net", "192.0.2.4")
	end := cert.Leaf.NotAfter
	for _, tt := range []struct {
		now       time.Time
		advertise string
		want      string // beginnings, in order
	}{
		{now: time.Now(), advertise: "gw.example.com"},
		{now: time.Now(), advertise: "GW.example.com:5060"},
		{now: time.Now(), advertise: "192.0.2.4"},
		{now: time.Now()},
		{time.Now(), "other.example.net", `the certificate is for "gw.example.com", "*.example.net", "192.0.2.4", not for other.example.net`},
		{time.Now(), "192.0.2.5:5061", "the certificate is for "},
		{end.Add(-14*24*time.Hour - time.Second), "", ""},
		{end.Add(-14*24*time.Hour + time.Second), "", "the certificate expires soon"},
		{end.Add(time.Second), "x.example", "the certificate has expired|the certificate is for "},
		{time.Unix(1e9, 0), "", "the certificate is not valid before "},
	} {
		tl := tlsOf(t, ca, cert)
		tl.now = func() time.Time { return tt.now }
		var got []string
		for _, w := range tl.Warnings(tt.advertise) {
			if w.Key != "sip.tls_cert" || w.Remedy == "" {
				t.Errorf("%+v", w)
			}
			got = append(got, w.Text)
		}
		want := strings.Split(tt.want, "|")
		if tt.want == "" {
			want = nil
		}
		if len(got) != len(want) {
			t.Errorf("%s %v: %q, want %q", tt.advertise, tt.now, got, want)
			continue
		}
		for i := range want {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("%s %v: %q, want %q", tt.advertise, tt.now, got[i], want[i])
			}
		}
	}
	if w := tlsOf(t, ca, siptest.Cert{}).Warnings("gw.example.com"); w != nil {
		t.Errorf("without a certificate: %v", w)
	}
}

// TestTLSName: whose certificate a route wants.
func TestTLSName(t *testing.T) {
	for _, tt := range []struct{ domain, via, want string }{
		{"example.net", "sip.provider.example", "sip.provider.example"},
		{"*", "sip.provider.example", "sip.provider.example"},
		{"example.net", "192.0.2.4", "example.net"},
		{"example.net", "2001:db8::4", "example.net"},
		{"*", "192.0.2.4", "192.0.2.4"},
	} {
		if got := tlsName(tt.domain, tt.via); got != tt.want {
			t.Errorf("route %s by %s: %s, want %s", tt.domain, tt.via, got, tt.want)
		}
	}
}

// TestVerifiedClient: a certificate that a client shows counts if we trust who signed it, and
// the connection is good either way.
func TestVerifiedClient(t *testing.T) {
	ca, other := siptest.NewCA(t, "Test CA"), siptest.NewCA(t, "Other CA")
	ours := tlsOf(t, ca, ca.Issue(nil, "gw.example.com"))
	u := dialerOf(t, ours)
	for name, tt := range map[string]struct {
		cert *siptest.Cert
		want string
	}{
		"none":         {},
		"good":         {new(ca.Issue(nil, "peer.example")), "peer.example"},
		"of another":   {cert: new(other.Issue(nil, "peer.example"))},
		"for a server": {cert: new(ca.Issue(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, "peer.example"))},
	} {
		t.Run(name, func(t *testing.T) {
			here, there := net.Pipe()
			defer here.Close()
			cfg := &tls.Config{ServerName: "gw.example.com", RootCAs: ca.Pool()}
			if tt.cert != nil {
				cfg.Certificates = []tls.Certificate{tt.cert.Certificate}
			}
			done := make(chan error, 1)
			go func() {
				c := tls.Client(here, cfg)
				err := c.Handshake()
				if err == nil {
					_, err = c.Read(make([]byte, 1)) // tickets
				}
				done <- err
			}()
			c, cert, err := u.accepted(there, locate.TLS)
			if err != nil {
				t.Fatal(err)
			}
			if io.WriteString(c, "x"); (cert != nil) != (tt.want != "") || cert != nil && cert.DNSNames[0] != tt.want {
				t.Errorf("%v", cert)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			there.Close()
		})
	}
}
