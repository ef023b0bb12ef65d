package app

import (
	"strings"

	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/sipside"
)

// loadTLS reads the certificate, its key and the authorities of the configuration.
func loadTLS(cfg *config.Config) (*sipside.TLS, error) {
	return sipside.LoadTLS(sipside.TLSFiles{Cert: cfg.SIP.TLSCert, Key: cfg.SIP.TLSKey, CA: cfg.SIP.TLSCA})
}

// CertificateWarnings tells what SIP peers may not like about the certificate: that it is
// not for the name by which they reach us, or about to end.
func CertificateWarnings(cfg *config.Config) []config.Fault {
	tls, err := loadTLS(cfg)
	if err != nil {
		return nil // a fault, which New tells
	}
	return certificateWarnings(cfg, tls)
}

func certificateWarnings(cfg *config.Config, tls *sipside.TLS) (all []config.Fault) {
	advertised := cfg.SIP.Advertise
	if strings.HasPrefix(cfg.Origin("sip.advertise"), "derived") { // nobody has said so
		advertised = ""
	}
	for _, w := range tls.Warnings(advertised) {
		all = append(all, config.Fault{Path: w.Key, Text: w.Text, Hint: w.Remedy})
	}
	return all
}

// logCertificate says which certificate is in use.
func (a *App) logCertificate() {
	names, expires, ok := a.tls.Certificate()
	switch {
	case ok:
		a.log.Info("certificate for SIP", "names", strings.Join(names, ", "), "expires", expires.UTC())
	case a.config().SIP.TLSCA != "":
		a.log.Info("authorities for SIP", "file", a.config().SIP.TLSCA)
	}
	for _, w := range certificateWarnings(a.config(), a.tls) {
		a.log.Warn(w.Text, "key", w.Path, "remedy", w.Hint)
	}
}
