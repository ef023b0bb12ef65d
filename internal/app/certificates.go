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

// ReloadCertificates reads the files of sip.tls_cert, sip.tls_key and sip.tls_ca again, for
// connections that are made from now on. With a fault in one of them all stays as it was.
// What came of it is in the log. Without such files nothing is done.
func (a *App) ReloadCertificates() {
	if a.cfg.SIP.TLSCert == "" && a.cfg.SIP.TLSCA == "" {
		return
	}
	sip, err := sipsideConfig(a.cfg)
	if err == nil {
		err = a.sip.Reload(sip)
	}
	if err != nil {
		a.log.Error("the certificate stays as it was, since a file cannot be used", "err", strings.ReplaceAll(err.Error(), "\n", "; "), "remedy", "correct it, and send SIGHUP again")
		return
	}
	a.logCertificate()
}

// logCertificate says which certificate is in use.
func (a *App) logCertificate() {
	names, expires, ok := a.tls.Certificate()
	switch {
	case ok:
		a.log.Info("certificate for SIP", "names", strings.Join(names, ", "), "expires", expires.UTC())
	case a.cfg.SIP.TLSCA != "":
		a.log.Info("authorities for SIP", "file", a.cfg.SIP.TLSCA)
	}
	for _, w := range certificateWarnings(a.cfg, a.tls) {
		a.log.Warn(w.Text, "key", w.Path, "remedy", w.Hint)
	}
}
