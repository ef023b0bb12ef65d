package locate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/dnstest"
)

type vectors struct {
	Resolve []struct {
		ID, URI      string
		Supports     []string
		RequestBytes int `json:"request_bytes"`
		DNS          map[string]map[string][]any
		Targets      [][]any
	}
	CertMatch []struct {
		ID, Domain string
		SAN        []string
		CN         *string
		Match      bool
		Note       string
	} `json:"cert_match"`
}

func loadVectors(t *testing.T) (v vectors) {
	b, err := os.ReadFile("testdata/transport.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// zoneOf writes the records of a vector as those of a zone.
func zoneOf(records map[string]map[string][]any) zone {
	z := zone{}
	for name, byType := range records {
		for typ, list := range byType {
			for _, r := range list {
				text := "60 " + typ
				fields, ok := r.([]any)
				if !ok {
					fields = []any{r}
				}
				for i, f := range fields {
					switch {
					case typ == "NAPTR" && i >= 2 && i <= 4:
						text += fmt.Sprintf(" %q", f)
					case typ != "A" && typ != "AAAA" && i == len(fields)-1:
						text += fmt.Sprintf(" %v.", f)
					default:
						text += fmt.Sprintf(" %v", f)
					}
				}
				z[name] = append(z[name], text)
			}
		}
	}
	return z
}

// The vectors for RFC 3263 (SIP-04..SIP-07).
func TestResolveVectors(t *testing.T) {
	v := loadVectors(t)
	if len(v.Resolve) != 9 {
		t.Fatalf("%d vectors", len(v.Resolve))
	}
	for _, c := range v.Resolve {
		s := dnstest.Listen(t, zoneOf(c.DNS))
		q := Query{}
		_, rest, _ := strings.Cut(c.URI, "@")
		params := strings.Split(rest, ";")
		q.Host = params[0]
		if host, port, ok := strings.Cut(params[0], ":"); ok {
			q.Host = host
			fmt.Sscan(port, &q.Port)
		}
		for _, p := range params[1:] {
			switch name, value, _ := strings.Cut(p, "="); name {
			case "transport":
				q.Transport, _ = ParseTransport(value)
			case "maddr":
				q.Host = value
			}
		}
		for _, name := range c.Supports {
			transport, ok := ParseTransport(name)
			if !ok {
				t.Fatalf("%s: transport %s", c.ID, name)
			}
			q.Supports |= SetOf(transport)
		}
		a, err := newOn(newClock(), s.Addr).Locate(t.Context(), q)
		if err != nil {
			t.Errorf("%s: %v", c.ID, err)
			continue
		}
		got := a.Targets
		if c.RequestBytes > 1300 {
			got = OverTCP(got)
		}
		var want []string
		for _, target := range c.Targets {
			want = append(want, fmt.Sprintf("%s %v:%v", strings.ToLower(target[0].(string)), target[1], target[2]))
		}
		if list(got) != strings.Join(want, ", ") {
			t.Errorf("%s: got %v, want %v\n%s", c.ID, list(got), want, steps(a))
		}
	}
}

// certificate makes one as a server would show it.
func certificate(t *testing.T, cn string, san ...string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: cn},
		NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(4e9, 0)}
	for _, s := range san {
		switch kind, value, _ := strings.Cut(s, ":"); kind {
		case "DNS":
			template.DNSNames = append(template.DNSNames, value)
		case "IP":
			template.IPAddresses = append(template.IPAddresses, net.ParseIP(value))
		case "email":
			template.EmailAddresses = append(template.EmailAddresses, value)
		case "URI":
			u, err := url.Parse(value)
			if err != nil {
				t.Fatal(err)
			}
			template.URIs = append(template.URIs, u)
		default:
			t.Fatalf("alternative name %q", s)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// The vectors for RFC 5922 §7.
func TestCertVectors(t *testing.T) {
	v := loadVectors(t)
	if len(v.CertMatch) != 14 {
		t.Fatalf("%d vectors", len(v.CertMatch))
	}
	for _, c := range v.CertMatch {
		cn := ""
		if c.CN != nil {
			cn = *c.CN
		}
		if got := MatchesDomain(certificate(t, cn, c.SAN...), c.Domain); got != c.Match {
			t.Errorf("%s: %s for %v, CN %q: %v (%s)", c.ID, c.Domain, c.SAN, cn, got, c.Note)
		}
	}
}

func TestMatchesDomain(t *testing.T) {
	for _, c := range []struct {
		domain, cn string
		san        []string
		want       bool
	}{
		{"Example.NET.", "", []string{"DNS:example.net"}, true},
		{"example.net", "", []string{"DNS:EXAMPLE.net"}, true},
		{"example.net", "", []string{"DNS:other.example", "DNS:example.net"}, true},
		{"example.net", "", []string{"URI:sip:other.example", "URI:sip:example.net"}, true},
		{"example.net", "", []string{"URI:sip:example.net:5061"}, true},
		{"example.net", "", []string{"URI:sip:example.net;transport=tls"}, true},
		{"example.net", "", []string{"URI:sip://example.net", "DNS:other.example"}, false},
		{"example.net", "", []string{"URI:sip:other.example;x=example.net"}, false},
		{"example.net", "EXAMPLE.net", nil, true},
		{"example.net", "example.net", []string{"email:a@b.example"}, false},
		{"example.net", "", nil, false},
		{"", "", nil, false},
		{"", "", []string{"DNS:example.net"}, false},
		{"*.example.net", "", []string{"DNS:*.example.net"}, false},
		{"a.example.net", "*.example.net", nil, false},
		{"192.0.2.4", "192.0.2.4", nil, false},
		{"192.0.2.4", "", []string{"DNS:192.0.2.4"}, false},
		{"192.0.2.4", "", []string{"URI:sip:192.0.2.4"}, false},
	} {
		if got := MatchesDomain(certificate(t, c.cn, c.san...), c.domain); got != c.want {
			t.Errorf("%q for %v, CN %q: %v", c.domain, c.san, c.cn, got)
		}
	}
}

func TestOverTCP(t *testing.T) {
	a, b := netip.MustParseAddrPort("192.0.2.1:5060"), netip.MustParseAddrPort("192.0.2.2:5060")
	in := []Target{{TLS, a, example}, {TCP, a, example}, {UDP, a, example}, {UDP, b, example}}
	if got := list(OverTCP(in)); got != "tls 192.0.2.1:5060, tcp 192.0.2.1:5060, tcp 192.0.2.2:5060" {
		t.Error(got)
	}
	if in[2].Transport != UDP {
		t.Error("the list itself was changed")
	}
}

func TestTransports(t *testing.T) {
	for s, want := range map[string]Transport{"": Any, "udp": UDP, "UDP": UDP, "Tcp": TCP, "tls": TLS, "ws": WS, "wss": WSS} {
		got, ok := ParseTransport(s)
		if !ok || got != want {
			t.Errorf("%q is %v, %v", s, got, ok)
		}
		if want != Any && got.String() != strings.ToLower(s) {
			t.Errorf("%q is written %q", s, got)
		}
	}
	for _, s := range []string{"any", "sctp", "tls-sctp", " udp"} {
		if got, ok := ParseTransport(s); ok {
			t.Errorf("%q is %v", s, got)
		}
	}
	if s := SetOf(UDP, WSS); !s.Has(UDP) || !s.Has(WSS) || s.Has(TCP) || s.Has(Any) || SetOf(Any).Has(Any) {
		t.Error("the set is wrong")
	}
	if Transport(77).String() != "?" || Transport(77).DefaultPort() != 0 || Transport(77).Secure() || Reason(77).String() != "reason 77" || Reason(0).String() != "reason 0" {
		t.Error("what is no transport or reason")
	}
}
