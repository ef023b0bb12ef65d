package stage

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// XMPPServer is a private XMPP server.
type XMPPServer struct {
	*Proc
	Name      string // "Prosody 0.12.3"
	Domain    string // of its users
	C2S       int    // client port, without TLS
	Component int    // component port

	start func() (*Proc, error)
}

// Account is a user of an XMPP server.
type Account struct{ Local, Password string }

// ServerOptions say what an XMPP server is to be.
type ServerOptions struct {
	Domain  string
	Snippet string // what stox init printed
	Users   []Account
	TLS     bool // offer TLS to clients, with a certificate of its own making
}

// NewProsody makes a Prosody; Boot starts it.
func (r *Stage) NewProsody(ctx context.Context, o ServerOptions) (*XMPPServer, error) {
	s := &XMPPServer{Domain: o.Domain}
	tls := `modules_disabled = { "s2s", "tls" }`
	if o.TLS {
		cert, key, err := r.selfSigned("prosody", o.Domain)
		if err != nil {
			return nil, err
		}
		tls = fmt.Sprintf("modules_disabled = { \"s2s\" }\nssl = { certificate = %q, key = %q }", cert, key)
	}
	var err error
	if s.C2S, err = Port(); err != nil {
		return nil, err
	}
	if s.Component, err = Port(); err != nil {
		return nil, err
	}
	dir := filepath.Join(r.Dir, "prosody")
	cfg, err := r.file("prosody/prosody.cfg.lua", fmt.Sprintf(`
run_as_root = true
data_path = %[1]q
pidfile = %[2]q
log = { info = "*console" }
interfaces = { "127.0.0.1" }
c2s_ports = { %[3]d }
component_ports = { %[4]d }
component_interfaces = { "127.0.0.1" }
%[7]s
modules_enabled = { "roster", "saslauth", "disco", "ping", "blocklist", "carbons", "smacks", "pep" }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
VirtualHost %[5]q

%[6]s`, dir, filepath.Join(dir, "pid"), s.C2S, s.Component, o.Domain, o.Snippet, tls), 0o600)
	if err != nil {
		return nil, err
	}
	for _, u := range o.Users {
		out, err := exec.CommandContext(ctx, "prosodyctl", "--config", cfg, "register", u.Local, o.Domain, u.Password).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("prosodyctl register: %w\n%s", err, out)
		}
	}
	s.Name = "Prosody " + packageVersion("prosody")
	s.start = func() (*Proc, error) {
		return r.Start(exec.Command("prosody", "-F", "--config", cfg), "prosody")
	}
	return s, nil
}

// Boot starts the server and waits until it takes clients and components.
func (s *XMPPServer) Boot(ctx context.Context) error {
	p, err := s.start()
	if err != nil {
		return err
	}
	s.Proc = p
	for _, port := range []int{s.C2S, s.Component} {
		if err := WaitTCP(ctx, fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}
