package sipside

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/sipside/locate"
)

// expiresSoon is how long before its end a certificate of ours is worth a warning.
const expiresSoon = 14 * 24 * time.Hour

// TLSFiles are the paths of what TLS needs, PEM. Cert, with its chain, and Key are both
// there or both missing; without them nothing can be listened on with TLS. Without CA the
// system's authorities are those that are trusted.
type TLSFiles struct{ Cert, Key, CA string }

// TLS has our certificate and the authorities that we trust. It is safe for concurrent use.
type TLS struct {
	now    func() time.Time
	in     atomic.Pointer[material]
	server *tls.Config
}

// material is what was in the files when they were last read.
type material struct {
	cert  *tls.Certificate // with its Leaf; nil: none
	roots *x509.CertPool   // nil: the system's

	pair, ca [sha256.Size]byte // of what was in the files
}

// LoadTLS reads the files. Faults begin with the key of the configuration that they are
// about, and are reported together.
func LoadTLS(files TLSFiles) (*TLS, error) { return loadTLS(files, time.Now) }

func loadTLS(files TLSFiles, now func() time.Time) (*TLS, error) {
	m, err := readMaterial(files)
	if err != nil {
		return nil, err
	}
	t := &TLS{now: now}
	t.in.Store(m)
	// One for all connections, so that sessions can be resumed.
	t.server = &tls.Config{
		MinVersion: tls.VersionTLS12, // SEC-25, RFC 8996
		Time:       now,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return t.in.Load().cert, nil
		},
		// Asked for and not demanded: what it is worth is found out by verifiedClient.
		ClientAuth: tls.RequestClientCert,
	}
	return t, nil
}

// adopt takes over what other has read. Connections that are made from now on use it; those
// that there are stay.
func (t *TLS) adopt(other *TLS) { t.in.Store(other.in.Load()) }

// Same reports whether other has read the same certificate and key, and whether the
// authorities are the same.
func (t *TLS) Same(other *TLS) (cert, ca bool) {
	a, b := t.in.Load(), other.in.Load()
	return a.pair == b.pair, a.ca == b.ca
}

func readMaterial(files TLSFiles) (*material, error) {
	m := &material{}
	var errs []error
	if files.Cert != "" || files.Key != "" {
		m.cert, m.pair, errs = loadKeyPair(files.Cert, files.Key)
	}
	if files.CA != "" {
		text, err := readPEM(files.CA)
		if err == nil {
			m.ca, m.roots = sha256.Sum256(text), x509.NewCertPool()
			if !m.roots.AppendCertsFromPEM(text) {
				err = fmt.Errorf("%q has no certificate in PEM", files.CA)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("sip.tls_ca: %w", err))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return m, nil
}

func loadKeyPair(certFile, keyFile string) (pair *tls.Certificate, sum [sha256.Size]byte, errs []error) {
	cert, err := readPEM(certFile)
	if err == nil {
		err = onlyCertificates(certFile, cert)
	}
	if err != nil {
		errs = append(errs, fmt.Errorf("sip.tls_cert: %w", err))
	}
	key, err := readPEM(keyFile)
	if err != nil {
		errs = append(errs, fmt.Errorf("sip.tls_key: %w", err))
	}
	if len(errs) > 0 {
		return nil, sum, errs
	}
	both, err := tls.X509KeyPair(cert, key) // says nothing of what is in the key
	if err != nil {
		return nil, sum, []error{fmt.Errorf("sip.tls_key: %q is not the key of the certificate in %q: %w", keyFile, certFile, err)}
	}
	return &both, sha256.Sum256(slices.Concat(cert, key)), nil
}

// onlyCertificates reports what is wrong with a file of certificates. A key in it is none
// of its business, but many keep both in one file.
func onlyCertificates(path string, text []byte) error {
	n := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		n++
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("certificate %d in %q cannot be read: %w", n, path, err)
		}
	}
	if n == 0 {
		return fmt.Errorf("%q has no certificate in PEM", path)
	}
	return nil
}

// readPEM reads a file that should not be big.
func readPEM(path string) ([]byte, error) {
	const most = 1 << 20
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(text) > most {
		err = fmt.Errorf("%q is too long for a certificate or a key", path)
	}
	return text, err
}

// Certificate tells about our certificate, for the log: the names in it and when it ends.
// ok is false if there is none.
func (t *TLS) Certificate() (names []string, expires time.Time, ok bool) {
	if t == nil || t.in.Load().cert == nil {
		return nil, time.Time{}, false
	}
	leaf := t.in.Load().cert.Leaf
	return locate.Names(leaf), leaf.NotAfter, true
}

// CertificateWarning is something about our certificate that peers may stumble over.
type CertificateWarning struct{ Key, Text, Remedy string }

// Warnings tells what peers may not like about our certificate. advertise is the host[:port]
// by which they reach us, "" if that is not said.
func (t *TLS) Warnings(advertise string) (all []CertificateWarning) {
	if t == nil || t.in.Load().cert == nil {
		return nil
	}
	const key = "sip.tls_cert"
	leaf, now := t.in.Load().cert.Leaf, t.now()
	switch day := leaf.NotAfter.UTC().Format(time.DateOnly); {
	case now.After(leaf.NotAfter):
		all = append(all, CertificateWarning{key, "the certificate has expired, on " + day, "renew it; SIGHUP makes stox read it again"})
	case now.Add(expiresSoon).After(leaf.NotAfter):
		all = append(all, CertificateWarning{key, "the certificate expires soon, on " + day, "renew it; SIGHUP makes stox read it again"})
	case now.Before(leaf.NotBefore):
		all = append(all, CertificateWarning{key, "the certificate is not valid before " + leaf.NotBefore.UTC().Format(time.RFC3339), "is the clock of this machine right?"})
	}
	if host, _, ok := splitSentBy(advertise); ok && !locate.Proves(leaf, host) {
		all = append(all, CertificateWarning{key, fmt.Sprintf("the certificate is for %s, not for %s (sip.advertise)", listed(locate.Names(leaf)), host),
			"peers that look for that name refuse it; a wildcard does not count in SIP (RFC 5922)"})
	}
	return all
}

// listed is a list of names in quotes, none of them long.
func listed(names []string) string {
	if len(names) == 0 {
		return "no name at all"
	}
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%.100q", n)
	}
	return strings.Join(quoted, ", ")
}
