package app

import (
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/siptest"
)

// withTLS is a configuration with a certificate.
func withTLS(t *testing.T, ca *siptest.CA, cert siptest.Cert, sip string) (*config.Config, error) {
	t.Helper()
	return config.Parse("stox.toml", []byte(`
[xmpp]
domain = "sip.example.com"
secret = "component secret"
[store]
path = ""
[sip]
domain = "example.net"
tls_cert = "`+siptest.WriteFile(t, "cert.pem", cert.PEM)+`"
tls_key = "`+siptest.WriteFile(t, "key.pem", cert.KeyPEM)+`"
tls_ca = "`+siptest.WriteFile(t, "ca.pem", ca.PEM)+`"
`+sip), nil)
}

// TestCertificateFaults: files that can be read and make no sense are faults of their keys.
func TestCertificateFaults(t *testing.T) {
	ca := siptest.NewCA(t, "Test CA")
	a, b := ca.Issue(nil, "a.example"), ca.Issue(nil, "b.example")
	for name, tt := range map[string]struct {
		cert siptest.Cert
		ca   *siptest.CA
		want []string
	}{
		"good":        {a, ca, nil},
		"another key": {siptest.Cert{PEM: a.PEM, KeyPEM: b.KeyPEM}, ca, []string{"sip.tls_key"}},
		"no sense":    {siptest.Cert{PEM: []byte("x"), KeyPEM: b.KeyPEM}, &siptest.CA{PEM: []byte("x")}, []string{"sip.tls_cert", "sip.tls_ca"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := withTLS(t, tt.ca, tt.cert, `listen = ["tls://127.0.0.1:0"]`)
			if err != nil {
				t.Fatal(err)
			}
			_, err = New(cfg, slog.New(slog.DiscardHandler))
			var e *config.Error
			var got []string
			if errors.As(err, &e) {
				for _, f := range e.Faults {
					got = append(got, f.Path)
				}
			}
			if strings.Join(got, " ") != strings.Join(tt.want, " ") || (err == nil) != (tt.want == nil) {
				t.Errorf("%v, want faults of %q", err, tt.want)
			}
		})
	}
}

// TestCertificateWarnings: the name is looked at only if somebody has said which it is.
func TestCertificateWarnings(t *testing.T) {
	ca := siptest.NewCA(t, "Test CA")
	ends := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(13 * 24 * time.Hour) }
	for name, tt := range map[string]struct {
		cert siptest.Cert
		sip  string
		want string
	}{
		"its name":        {ca.Issue(nil, "gw.example.com"), `advertise = "gw.example.com:5060"`, ""},
		"another name":    {ca.Issue(nil, "a.example.com"), `advertise = "gw.example.com"`, "is for"},
		"no name said":    {ca.Issue(nil, "a.example.com"), `listen = ["tls://192.0.2.1:5061"]`, ""},
		"thirteen days":   {ca.Issue(ends, "gw.example.com"), `advertise = "gw.example.com"`, "expires soon"},
		"nobody is asked": {ca.Issue(nil, "a.example.com"), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := withTLS(t, ca, tt.cert, tt.sip)
			if err != nil {
				t.Fatal(err)
			}
			got := CertificateWarnings(cfg)
			if (len(got) > 0) != (tt.want != "") || len(got) > 0 && (!strings.Contains(got[0].Text, tt.want) || got[0].Path != "sip.tls_cert" || got[0].Hint == "") {
				t.Errorf("%v, want %q", got, tt.want)
			}
		})
	}
}

// TestSecureRoutes: sips: to a next hop is its transport over TLS.
func TestSecureRoutes(t *testing.T) {
	for via, want := range map[string]string{
		"sips:pbx.example":                  "tls",
		"SIPS:pbx.example:5071":             "tls",
		"sips:pbx.example;transport=tcp":    "tls",
		"sips:pbx.example;transport=ws;lr":  "wss",
		"sip:pbx.example;transport=tls":     "tls",
		"sip:pbx.example;transport=wss":     "wss",
		"sip:[2001:db8::1];transport=tls":   "tls",
		"sip:pbx.example;transport=udp":     "udp",
		"sip:pbx.example":                   "",
		"sips:192.0.2.4:5061;transport=tls": "tls",
	} {
		cfg, err := config.Parse("stox.toml", []byte("xmpp={domain='sip.example.com',secret='component secret'}\nsip={domain='example.net',route=[{domain='*',via='"+via+"'}]}\n"), nil)
		if err != nil {
			t.Errorf("%s: %v", via, err)
			continue
		}
		c, err := sipsideConfig(cfg)
		if err != nil || c.Routes[0].Via.Scheme != "sip" || c.Routes[0].Via.Transport != want {
			t.Errorf("%s: %+v, %v", via, c.Routes, err)
		}
		if _, err := New(cfg, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("%s: %v", via, err)
		}
	}
}
