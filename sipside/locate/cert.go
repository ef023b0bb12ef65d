package locate

import (
	"crypto/x509"
	"encoding/asn1"
	"net/netip"
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

// Proves reports whether a certificate is for the name of a server: a domain, as
// MatchesDomain has it, or an address that is among the certificate's.
func Proves(cert *x509.Certificate, name string) bool {
	a, isAddr := numeric(name)
	if !isAddr {
		return MatchesDomain(cert, name)
	}
	for _, ip := range cert.IPAddresses {
		if have, ok := netip.AddrFromSlice(ip); ok && have.Unmap() == a {
			return true
		}
	}
	return false
}

// sipDomainUsage is id-kp-sipDomain, the purpose of a certificate for a SIP domain (RFC 5924).
var sipDomainUsage = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 20}

// KeyUsages are the purposes of which a certificate has to have one. RFC 5924 §4 asks for
// id-kp-sipDomain or any; none said, or the usual one of its side, will do as well, since
// nearly all certificates are made for the web.
func KeyUsages(cert *x509.Certificate, usual x509.ExtKeyUsage) []x509.ExtKeyUsage {
	for _, oid := range cert.UnknownExtKeyUsage {
		if oid.Equal(sipDomainUsage) {
			return []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
		}
	}
	return []x509.ExtKeyUsage{usual}
}

// Names are the names in a certificate, as many as are good to read. They are what
// somebody else wrote.
func Names(cert *x509.Certificate) (names []string) {
	for _, u := range cert.URIs {
		names = append(names, u.String())
	}
	names = append(names, cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 && cert.Subject.CommonName != "" {
		names = append(names, cert.Subject.CommonName)
	}
	return names[:min(len(names), 8)]
}
