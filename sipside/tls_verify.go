package sipside

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// client is the configuration for a connection to a server that has to be name.
//
// InsecureSkipVerify turns off Go's own verification, which takes wildcards and knows no
// URIs, and is not what SIP wants (RFC 5922 §7). verifyServer does all of it instead, on
// every connection.
func (t *TLS) client(name string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, // SEC-25, RFC 8996
		Time:       t.now,
		ServerName: strings.Trim(name, "[]"), // the domain, not what DNS led to; an address is not sent
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if c := t.in.Load().cert; c != nil {
				return c, nil
			}
			return &tls.Certificate{}, nil
		},
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			return t.verifyServer(cs, name)
		},
	}
}

// verifyServer accepts a server whose certificate is from an authority that we trust, valid
// now, meant for a server, and for name (SEC-03).
func (t *TLS) verifyServer(cs tls.ConnectionState, name string) error {
	if len(cs.PeerCertificates) == 0 {
		return &setupError{insecure: true, err: errors.New("the server shows no certificate")}
	}
	leaf := cs.PeerCertificates[0]
	if err := t.verifyChain(cs.PeerCertificates, x509.ExtKeyUsageServerAuth); err != nil {
		return untrusted(leaf, err)
	}
	if !locate.Proves(leaf, name) {
		have := listed(locate.Names(leaf))
		return &setupError{wrongName: true, err: fmt.Errorf("the certificate of the server is for %s, not for %q", have, name),
			remedy: fmt.Sprintf("the server has to show a certificate for %q, and shows one for %s; is the address the right one? (sip.route.via)", name, have)}
	}
	return nil
}

// verifyChain verifies everything but the name.
func (t *TLS) verifyChain(chain []*x509.Certificate, usual x509.ExtKeyUsage) error {
	o := x509.VerifyOptions{Roots: t.in.Load().roots, Intermediates: x509.NewCertPool(), CurrentTime: t.now(), KeyUsages: locate.KeyUsages(chain[0], usual)}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(o)
	return err
}

// verifiedClient is the certificate that a client has shown, if it is to be believed: what
// may be done in its names is for others to say. nil: it has shown none, or none that counts.
func (t *TLS) verifiedClient(cs tls.ConnectionState) *x509.Certificate {
	if len(cs.PeerCertificates) == 0 || t.verifyChain(cs.PeerCertificates, x509.ExtKeyUsageClientAuth) != nil {
		return nil
	}
	return cs.PeerCertificates[0]
}

// tlsName is the name that the server of a route must prove: the host of its next hop, which
// is what was asked for (RFC 5922 §4). An address has no such name; then it is the domain
// of the route, and for a route for all domains the address itself, which has to be in
// the certificate.
func tlsName(domain, viaHost string) string {
	if _, err := netip.ParseAddr(strings.Trim(viaHost, "[]")); err == nil && domain != "*" {
		return domain
	}
	return viaHost
}

// setupError is why a server that takes TCP connections is not one to be talked to.
type setupError struct {
	wrongName bool
	insecure  bool // it was to be a secure connection
	err       error
	remedy    string // "" is the usual one
}

func (e *setupError) Error() string { return e.err.Error() }
func (e *setupError) Unwrap() error { return e.err }

// failure is what the sender is told: EL-004 for a server that proves to be another one.
// All else may be mended at any time, and is tried again.
func (e *setupError) failure() *mapping.Failure {
	var f *mapping.Failure
	switch {
	case e.wrongName:
		f = mapping.FailWrongName()
	case e.insecure:
		f = mapping.FailInsecure()
	default:
		f = mapping.FailUnreachable()
	}
	if e.remedy != "" {
		f.Remedy = e.remedy
	}
	f.Err = e.err
	return f
}

// untrusted explains why a certificate does not count.
func untrusted(leaf *x509.Certificate, err error) error {
	e := &setupError{insecure: true, err: fmt.Errorf("the certificate of the server is not to be trusted: %w", err)}
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		e.remedy = fmt.Sprintf("nobody we trust has signed the certificate of the server; if it is the right one, put the authority %.100q into sip.tls_ca", leaf.Issuer.String())
	case !errors.As(err, &invalid):
	case invalid.Reason == x509.Expired:
		e.remedy = fmt.Sprintf("a certificate of the server was valid from %s to %s: has it been renewed there, and is the clock of this machine right?",
			invalid.Cert.NotBefore.UTC().Format(time.DateOnly), invalid.Cert.NotAfter.UTC().Format(time.DateOnly))
	case invalid.Reason == x509.IncompatibleUsage:
		e.remedy = "the certificate of the server is not meant for a server (extended key usage)"
	}
	return e
}

// handshakeFailed explains why there is no TLS with a server. What the reason is not known
// of stays as it is.
func handshakeFailed(err error) error {
	var already *setupError
	var record tls.RecordHeaderError
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, &already):
		return err
	case errors.As(err, &record):
		return &setupError{insecure: true, err: fmt.Errorf("what answers there is not TLS: %w", err), remedy: "does the server take TLS on this port, and not plain TCP? (sip.route.via)"}
	case errors.As(err, &op) && op.Op == "remote error": // an alert, as crypto/tls has it
		return &setupError{insecure: true, err: fmt.Errorf("the server refuses the TLS handshake: %w", err),
			remedy: "its log says why; it may want a certificate of ours (sip.tls_cert), or another version than TLS 1.2 and 1.3"}
	case errors.As(err, &timeout) && timeout.Timeout():
		return &setupError{insecure: true, err: fmt.Errorf("no answer to the TLS handshake in time: %w", err), remedy: "does the server take TLS on this port? (sip.route.via)"}
	}
	return &setupError{insecure: true, err: fmt.Errorf("TLS handshake: %w", err)}
}
