package siptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// CA is a certificate authority for one test.
type CA struct {
	Leaf *x509.Certificate
	PEM  []byte
	t    testing.TB
	key  *ecdsa.PrivateKey
	n    int64
}

// Cert is a certificate with its chain and key.
type Cert struct {
	tls.Certificate
	PEM, KeyPEM []byte
}

// NewCA makes an authority that begins an hour ago and ends in a year, by the clock of the
// caller.
func NewCA(t testing.TB, name string) *CA {
	t.Helper()
	ca := &CA{t: t, key: newKey(t)}
	ca.Leaf, ca.PEM = ca.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}, nil, &ca.key.PublicKey, ca.key)
	return ca
}

// Intermediate makes an authority below this one; its certificates carry it in their chain.
func (ca *CA) Intermediate(name string) *CA {
	ca.t.Helper()
	below := &CA{t: ca.t, key: newKey(ca.t)}
	below.Leaf, below.PEM = ca.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}, ca.Leaf, &below.key.PublicKey, ca.key)
	return below
}

// Issue makes a certificate for names: IP addresses, URIs and domains, as which they stand
// in it. edit, which may be nil, changes what is in it before it is signed.
func (ca *CA) Issue(edit func(*x509.Certificate), names ...string) Cert {
	ca.t.Helper()
	c := &x509.Certificate{Subject: pkix.Name{CommonName: "common.example"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else if u, err := url.Parse(name); err == nil && u.Scheme != "" && strings.Contains(name, ":") {
			c.URIs = append(c.URIs, u)
		} else {
			c.DNSNames = append(c.DNSNames, name)
		}
	}
	if edit != nil {
		edit(c)
	}
	key := newKey(ca.t)
	leaf, text := ca.sign(c, ca.Leaf, &key.PublicKey, ca.key)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		ca.t.Fatal(err)
	}
	out := Cert{PEM: text, KeyPEM: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})}
	out.Certificate = tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
	if ca.Leaf.CheckSignatureFrom(ca.Leaf) != nil { // it is not a root
		out.Certificate.Certificate = append(out.Certificate.Certificate, ca.Leaf.Raw)
		out.PEM = append(out.PEM, ca.PEM...)
	}
	return out
}

// Pool is what trusts this authority alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	return pool
}

func (ca *CA) sign(c, parent *x509.Certificate, public *ecdsa.PublicKey, by *ecdsa.PrivateKey) (*x509.Certificate, []byte) {
	ca.t.Helper()
	ca.n++
	c.SerialNumber, c.BasicConstraintsValid = big.NewInt(ca.n), true
	if c.NotBefore.IsZero() {
		c.NotBefore = time.Now().Add(-time.Hour)
	}
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(365 * 24 * time.Hour)
	}
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, by)
	if err != nil {
		ca.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		ca.t.Fatal(err)
	}
	return leaf, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// WriteFile puts text into a file of the test's own and gives its path.
func WriteFile(t testing.TB, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
