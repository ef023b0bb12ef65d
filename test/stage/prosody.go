package stage

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// XMPPServer is a private XMPP server.
type XMPPServer struct {
	*Proc
	Name      string // "Prosody 0.12.3"
	Domain    string // of its users
	Host      string // where its clients find it, unless that is 127.0.0.1
	C2S       int    // client port, without TLS
	Component int    // component port

	start  func() (*Proc, error)
	booted func(context.Context) error // what is to be done when it runs, or nil
}

// Account is a user of a server.
type Account struct{ Local, Password string }

// ServerOptions say what an XMPP server is to be.
type ServerOptions struct {
	Domain  string
	Snippet string    // what stox init printed
	Users   []Account // of each domain
	TLS     bool      // offer TLS to clients, with a certificate of its own making
	Rosters bool      // let the component sip.Domain into the rosters of its users (ejabberd)
	More    []Host    // further domains
}

// Host is a further domain of an XMPP server, with a component of its own.
type Host struct{ Domain, Snippet string }

func (o ServerOptions) domains() []string {
	all := []string{o.Domain}
	for _, h := range o.More {
		all = append(all, h.Domain)
	}
	return all
}

func (o ServerOptions) snippets() []string {
	all := []string{o.Snippet}
	for _, h := range o.More {
		all = append(all, h.Snippet)
	}
	return all
}

// NewServer makes a "prosody" or an "ejabberd"; Boot starts it.
func (r *Stage) NewServer(ctx context.Context, kind string, o ServerOptions) (*XMPPServer, error) {
	switch kind {
	case "prosody":
		return r.NewProsody(ctx, o)
	case "ejabberd":
		return r.NewEjabberd(ctx, o)
	}
	return nil, fmt.Errorf("%q is no XMPP server that can be started", kind)
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
	var hosts strings.Builder
	for _, domain := range o.domains() {
		fmt.Fprintf(&hosts, "VirtualHost %q\n", domain)
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
modules_enabled = { "roster", "saslauth", "disco", "ping", "blocklist", "carbons", "smacks", "pep", "time", "version" }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
%[5]s
%[6]s`, dir, filepath.Join(dir, "pid"), s.C2S, s.Component, hosts.String(), strings.Join(o.snippets(), "\n"), tls), 0o600)
	if err != nil {
		return nil, err
	}
	for _, domain := range o.domains() {
		for _, u := range o.Users {
			out, err := exec.CommandContext(ctx, "prosodyctl", "--config", cfg, "register", u.Local, domain, u.Password).CombinedOutput()
			if err != nil {
				return nil, fmt.Errorf("prosodyctl register: %w\n%s", err, out)
			}
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
			return fmt.Errorf("%s: %w\n%s", s.Name, err, s.Tail(10))
		}
	}
	if s.booted == nil {
		return nil
	}
	if err := s.booted(ctx); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	return nil
}
