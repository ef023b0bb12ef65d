package locate

import (
	"crypto/x509"
	"encoding/asn1"
	"net/url"
	"strings"
)

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// MatchesDomain reports whether a certificate is for a SIP domain (RFC 5922 §7). The
// domain is that of the URI, not a name that DNS led to. Its identities are the hosts
// of the URIs of scheme sip without a user part among the subject's alternative names;
// if there are none, the DNS names among them; if the certificate has no alternative
// names at all, the common name. They are compared whole and without regard to case: no
// wildcard, no suffix. An address has no such identity.
//
// That the certificate is valid and of a CA that is trusted is not looked at here.
func MatchesDomain(cert *x509.Certificate, domain string) bool {
	domain, ok := hostName(domain)
	if !ok {
		return false
	}
	hosts := 0
	for _, u := range cert.URIs {
		host, ok := sipDomain(u)
		if !ok {
			continue
		}
		if hosts++; strings.EqualFold(host, domain) {
			return true
		}
	}
	if hosts > 0 {
		return false
	}
	for _, name := range cert.DNSNames {
		if strings.EqualFold(name, domain) {
			return true
		}
	}
	for _, e := range cert.Extensions {
		if e.Id.Equal(subjectAltName) {
			return false
		}
	}
	return strings.EqualFold(cert.Subject.CommonName, domain)
}

// sipDomain is the host of a sip: URI without a user part; a port and parameters do not
// belong to it.
func sipDomain(u *url.URL) (host string, ok bool) {
	if !strings.EqualFold(u.Scheme, "sip") || u.Opaque == "" || strings.Contains(u.Opaque, "@") {
		return "", false
	}
	host = u.Opaque
	if i := strings.IndexAny(host, ":;?"); i >= 0 {
		host = host[:i]
	}
	return host, host != ""
}
