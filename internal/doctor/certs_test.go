package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/dnstest"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-1000 * 24 * time.Hour), NotAfter: time.Now().Add(1000 * 24 * time.Hour),
	}
	a := &authority{t: t}
	a.cert, a.key = a.make(c, c, nil)
	return a
}

func (a *authority) make(c, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return out, key
}

// sign makes a certificate that is valid for so many days before and after now.
func (a *authority) sign(before, after int, edit func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "of no meaning"}, DNSNames: []string{"pbx.example.net"},
		NotBefore: time.Now().AddDate(0, 0, -before), NotAfter: time.Now().AddDate(0, 0, after),
	}
	if edit != nil {
		edit(c)
	}
	cert, key := a.make(c, a.cert, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// file writes the authority's certificate for sip.tls_ca.
func (a *authority) file(dir string) string {
	a.t.Helper()
	path := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// secureWorld has a SIP server over TLS at pbx.example.net.
func secureWorld(t *testing.T, server *tls.Config) *world {
	t.Helper()
	w := bareWorld(t)
	addr := w.listen("PEER", func(c net.Conn) {
		if server == nil {
			fmt.Fprint(c, "SSH-2.0-OpenSSH_9.2p1\r\n")
			return
		}
		s := tls.Server(c, server)
		buf := make([]byte, 10000)
		n, err := s.Read(buf)
		if err != nil {
			return // the doctor has turned away
		}
		m, _, err := siptest.Parse(buf[:n])
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(s, m.Reply(200, "OK"))
	})
	port := netip.MustParseAddrPort(addr.String()).Port()
	w.o.Config.SIP.Routes = []config.Route{{Domain: "pbx.example.net", Via: fmt.Sprintf("sip:pbx.example.net:%d;transport=tls", port)}}
	w.dns(dnstest.Zone{"pbx.example.net": {"300 A 127.0.0.1"}, "example.com": {"300 A 192.0.2.7"}})
	return w
}

// A certificate has to be of somebody whom we trust, valid, and for the domain of the
// route (RFC 5922).
func TestCertificates(t *testing.T) {
	ca, other := newAuthority(t, "our CA"), newAuthority(t, "some CA")
	day := func(days int) string { return time.Now().AddDate(0, 0, days).UTC().Format(time.DateOnly) }
	uri := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	const alive = "ok route: tls PEER answers OPTIONS with 200 OK in TIME"
	const otherName = " -> the server needs a certificate with that very name (RFC 5922: no wildcard); or write a name that it has into sip.route.via"
	for name, e := range map[string]struct {
		cert tls.Certificate
		want []string
	}{
		"good": {ca.sign(10, 100, nil), []string{"ok route: tls PEER: the certificate for pbx.example.net is good until " + day(100), alive}},
		"good by URI": {ca.sign(10, 100, func(c *x509.Certificate) {
			c.URIs, c.DNSNames = []*url.URL{uri("sip:pbx.example.net")}, []string{"host7.example.net"}
		}), []string{"ok route: tls PEER: the certificate for pbx.example.net is good until " + day(100), alive}},
		"soon over":  {ca.sign(10, 13, nil), []string{"warn route: tls PEER: the certificate for pbx.example.net is good until " + day(13) + " -> renew it on the SIP server: afterwards no message gets there", alive}},
		"expired":    {ca.sign(100, -2, nil), []string{"fail route: tls PEER: the certificate has expired on " + day(-2) + " -> renew it on the SIP server, and have the server read it again"}},
		"not yet":    {ca.sign(-2, 100, nil), []string{"fail route: tls PEER: the certificate is valid from " + day(2) + " on only -> is our clock right? timedatectl shows it"}},
		"another CA": {other.sign(10, 100, nil), []string{"fail route: tls PEER: the certificate is signed by some CA, whom we do not trust -> put the certificate of that CA into the file of sip.tls_ca; if it is a public one, the server has to send the whole chain"}},
		"wrong name": {ca.sign(10, 100, func(c *x509.Certificate) { c.DNSNames = []string{"a.example", "b.example"} }), []string{"fail route: tls PEER: the certificate is for a.example, b.example, not for pbx.example.net" + otherName}},
		"wildcard":   {ca.sign(10, 100, func(c *x509.Certificate) { c.DNSNames = []string{"*.example.net"} }), []string{"fail route: tls PEER: the certificate is for *.example.net, not for pbx.example.net" + otherName}},
		"for a user": {ca.sign(10, 100, func(c *x509.Certificate) { c.DNSNames, c.URIs = nil, []*url.URL{uri("sip:romeo@pbx.example.net")} }), []string{"fail route: tls PEER: the certificate is for sip:romeo@pbx.example.net, not for pbx.example.net" + otherName}},
		"for nobody": {ca.sign(10, 100, func(c *x509.Certificate) { c.DNSNames, c.Subject.CommonName = nil, "" }), []string{"fail route: tls PEER: the certificate is for nobody, not for pbx.example.net" + otherName}},
		"for SIP": {ca.sign(10, 100, func(c *x509.Certificate) {
			c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 20}}
		}), []string{"ok route: tls PEER: the certificate for pbx.example.net is good until " + day(100), alive}},
		"for clients": {ca.sign(10, 100, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), []string{"fail route: tls PEER: the certificate is not valid: certificate specifies an incompatible key usage -> have the SIP server send another certificate; sip.tls_ca says who may sign it"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := secureWorld(t, &tls.Config{Certificates: []tls.Certificate{e.cert}})
			w.o.Config.SIP.TLSCA = ca.file(w.dir)
			w.want([]string{checkRoute}, append([]string{"ok route: sip.route[0] (pbx.example.net) leads to tls PEER"}, e.want...)...)
		})
	}
}

// What goes wrong before there is a certificate to judge.
func TestNoTLS(t *testing.T) {
	ca := newAuthority(t, "our CA")
	for name, e := range map[string]struct {
		server *tls.Config
		plant  func(w *world)
		want   string
	}{
		"no TLS there":         {nil, nil, "fail route: tls PEER takes connections, but does not speak TLS -> 5061 is the usual port for TLS: correct sip.route.via"},
		"it is too old":        {&tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10, Certificates: []tls.Certificate{ca.sign(1, 100, nil)}}, nil, "fail route: tls PEER refuses TLS with us: protocol version not supported -> the SIP server's log says what it misses; if it wants a certificate of ours, set sip.tls_cert and sip.tls_key"},
		"it wants one of ours": {&tls.Config{ClientAuth: tls.RequireAnyClientCert, Certificates: []tls.Certificate{ca.sign(1, 100, nil)}}, nil, "fail route: tls PEER refuses TLS with us: certificate required -> the SIP server's log says what it misses; if it wants a certificate of ours, set sip.tls_cert and sip.tls_key"},
		"no file of the CA":    {&tls.Config{}, func(w *world) { w.o.Config.SIP.TLSCA = filepath.Join(w.dir, "none.pem") }, "fail route: tls PEER: the file of sip.tls_ca cannot be used: no such file or directory -> correct sip.tls_ca"},
		"no CA in the file":    {&tls.Config{}, func(w *world) { w.o.Config.SIP.TLSCA = filepath.Join(w.dir, "stox.toml") }, "fail route: tls PEER: the file of sip.tls_ca cannot be used: there is no certificate in it -> correct sip.tls_ca"},
		"ours is unreadable":   {&tls.Config{}, func(w *world) { w.o.Config.SIP.TLSCert = filepath.Join(w.dir, "none.pem") }, "fail route: tls PEER: our own certificate cannot be used: open DIR/none.pem: no such file or directory -> correct sip.tls_cert and sip.tls_key"},
	} {
		t.Run(name, func(t *testing.T) {
			w := secureWorld(t, e.server)
			w.o.Config.SIP.TLSCA = ca.file(w.dir)
			if e.plant != nil {
				e.plant(w)
			}
			got := w.lines(checkRoute)
			if last := got[len(got)-1]; last != e.want {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), e.want)
			}
		})
	}
}

// A server that takes connections and stays silent is at fault, not the time that there was.
func TestSilentTLS(t *testing.T) {
	w := bareWorld(t)
	addr := w.listen("PEER", func(net.Conn) {})
	w.o.Patience = 100 * time.Millisecond
	w.o.Config.SIP.Routes = []config.Route{{Domain: "pbx.example.net", Via: fmt.Sprintf("sip:%s;transport=tls", addr)}}
	w.want([]string{checkRoute}, "ok route: sip.route[0] (pbx.example.net) leads to tls PEER",
		"fail route: tls PEER does not answer -> is it the right address, and does a firewall let us through? Else correct sip.route.via")
}

// Ours is shown to who asks for it.
func TestOwnCertificate(t *testing.T) {
	ca := newAuthority(t, "our CA")
	own := ca.sign(1, 100, nil)
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	w := secureWorld(t, &tls.Config{
		Certificates: []tls.Certificate{ca.sign(1, 100, nil)}, ClientAuth: tls.RequireAnyClientCert,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) != 1 || string(raw[0]) != string(own.Certificate[0]) {
				return fmt.Errorf("another certificate")
			}
			return nil
		},
	})
	der, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	sip := &w.o.Config.SIP
	sip.TLSCA, sip.TLSCert, sip.TLSKey = ca.file(w.dir), filepath.Join(w.dir, "cert.pem"), filepath.Join(w.dir, "key.pem")
	for path, block := range map[string]*pem.Block{sip.TLSCert: {Type: "CERTIFICATE", Bytes: own.Certificate[0]}, sip.TLSKey: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := w.lines(checkRoute)
	if len(got) != 3 || got[2] != "ok route: tls PEER answers OPTIONS with 200 OK in TIME" {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// A server whose host is a number has to show the name of each domain that goes there.
func TestNameForANumber(t *testing.T) {
	ca := newAuthority(t, "our CA")
	w := secureWorld(t, &tls.Config{Certificates: []tls.Certificate{ca.sign(1, 100, nil)}})
	sip := &w.o.Config.SIP
	sip.TLSCA = ca.file(w.dir)
	via := strings.Replace(sip.Routes[0].Via, "pbx.example.net", "127.0.0.1", 1)
	sip.Routes = []config.Route{{Domain: "pbx.example.net", Via: via}, {Domain: "lab.example", Via: via}, {Domain: "*", Via: via}}
	got := w.lines(checkRoute)
	if len(got) != 7 || got[2] != "ok route: tls PEER answers OPTIONS with 200 OK in TIME" || !strings.HasPrefix(got[4], "fail route: tls PEER: the certificate is for pbx.example.net, not for lab.example -> ") || !strings.HasPrefix(got[6], "fail route: tls PEER: the certificate is for pbx.example.net, not for 127.0.0.1 -> ") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// A route for all domains to a number needs a certificate with that number.
func TestNumberInCertificate(t *testing.T) {
	ca := newAuthority(t, "our CA")
	w := secureWorld(t, &tls.Config{Certificates: []tls.Certificate{ca.sign(1, 100, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })}})
	sip := &w.o.Config.SIP
	sip.TLSCA = ca.file(w.dir)
	// As the via is read by who gives one to read it.
	sip.Routes = []config.Route{{Domain: "*", Via: strings.TrimSuffix(strings.Replace(sip.Routes[0].Via, "sip:pbx.example.net", "sips:127.0.0.1", 1), ";transport=tls")}}
	w.o.NextHop = func(via string) (mapping.URI, error) {
		return mapping.ParseURI("sip:" + strings.TrimPrefix(via, "sips:") + ";transport=tls")
	}
	got := w.lines(checkRoute)
	if len(got) != 3 || got[2] != "ok route: tls PEER answers OPTIONS with 200 OK in TIME" {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}
