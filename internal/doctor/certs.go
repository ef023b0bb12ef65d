package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stoxgw/stox/sipside/locate"
)

// soon is when the end of a certificate is worth a warning.
const soon = 14 * 24 * time.Hour

// secure shakes hands over conn, until the deadline of that, and judges the certificate. The
// connection is nil if requests may not go there. ctx is that of all checks.
func (d *doctor) secure(ctx context.Context, w way, t locate.Target, conn net.Conn) (*tls.Conn, []Finding) {
	roots, err := d.roots()
	if err != nil {
		return nil, []Finding{bad(Fail, checkRoute, "correct sip.tls_ca", "%s: the file of sip.tls_ca cannot be used: %s", t, reasonOf(err))}
	}
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: t.Name,
		// Judged below: the verifier of the standard library knows the names of web
		// servers and not those of SIP (RFC 5922), and stops at the first fault.
		InsecureSkipVerify: true,
	}
	if c := d.Config.SIP; c.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return nil, []Finding{bad(Fail, checkRoute, "correct sip.tls_cert and sip.tls_key", "%s: our own certificate cannot be used: %v", t, err)}
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	secure := tls.Client(conn, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, []Finding{d.noHandshake(ctx, w, t, err)}
	}
	f := judge(secure.ConnectionState().PeerCertificates, roots, t, time.Now())
	if f.Level == Fail {
		return nil, []Finding{f}
	}
	return secure, []Finding{f}
}

// roots are who may sign; nil is the system's.
func (d *doctor) roots() (*x509.CertPool, error) {
	file := d.Config.SIP.TLSCA
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, errors.New("there is no certificate in it")
	}
	return pool, nil
}

// noHandshake says why there is no TLS.
func (d *doctor) noHandshake(ctx context.Context, w way, t locate.Target, err error) Finding {
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record):
		return bad(Fail, checkRoute, "5061 is the usual port for TLS: "+w.mend(), "%s takes connections, but does not speak TLS", t)
	}
	return d.unreachable(ctx, w, t, err)
}

// alert is what a TLS server has said before it hung up. One that wants a certificate of
// ours says so after the handshake (TLS 1.3).
func alert(err error) (text string, is bool) {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return strings.TrimPrefix(op.Err.Error(), "tls: "), true
	}
	return "", false
}

// judge says whether a chain is good for a target.
func judge(chain []*x509.Certificate, roots *x509.CertPool, t locate.Target, now time.Time) Finding {
	leaf := chain[0]
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	// By the clock of the certificate itself: whether it is of a CA that we trust is one
	// question, whether it is valid now another.
	o := x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2)}
	if now.Before(leaf.NotAfter) && now.After(leaf.NotBefore) {
		o.CurrentTime = now
	}
	o.KeyUsages = locate.KeyUsages(leaf, x509.ExtKeyUsageServerAuth)
	chains, err := leaf.Verify(o)
	day := func(t time.Time) string { return t.UTC().Format(time.DateOnly) }
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case !now.Before(leaf.NotAfter):
		return bad(Fail, checkRoute, "renew it on the SIP server, and have the server read it again", "%s: the certificate has expired on %s", t, day(leaf.NotAfter))
	case !now.After(leaf.NotBefore):
		return bad(Fail, checkRoute, "is our clock right? timedatectl shows it", "%s: the certificate is valid from %s on only", t, day(leaf.NotBefore))
	case errors.As(err, &unknown):
		return bad(Fail, checkRoute, "put the certificate of that CA into the file of sip.tls_ca; if it is a public one, the server has to send the whole chain", "%s: the certificate is signed by %s, whom we do not trust", t, issuer(leaf))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return bad(Fail, checkRoute, "have the SIP server send a chain that is valid", "%s: a certificate in the chain has expired", t)
	case err != nil:
		return bad(Fail, checkRoute, "have the SIP server send another certificate; sip.tls_ca says who may sign it", "%s: the certificate is not valid: %s", t, strings.TrimPrefix(err.Error(), "x509: "))
	case !locate.Proves(leaf, t.Name):
		return bad(Fail, checkRoute, "the server needs a certificate with that very name (RFC 5922: no wildcard); or write a name that it has into sip.route.via", "%s: the certificate is for %s, not for %s", t, names(leaf), t.Name)
	}
	end := leaf.NotAfter
	for _, c := range chains[0] {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	text := fmt.Sprintf("%s: the certificate for %s is good until %s", t, t.Name, day(end))
	if end.Sub(now) < soon {
		return bad(Warn, checkRoute, "renew it on the SIP server: afterwards no message gets there", "%s", text)
	}
	return Finding{Level: OK, Check: checkRoute, Text: text}
}

// names are those that a certificate is for.
func names(c *x509.Certificate) string {
	all := locate.Names(c)
	if len(all) == 0 {
		return "nobody"
	}
	return said(strings.Join(slices.Compact(all), ", "))
}

func issuer(c *x509.Certificate) string {
	if n := c.Issuer.CommonName; n != "" {
		return said(n)
	}
	return said(c.Issuer.String())
}
