package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
)

var ejabberdNodes atomic.Int64

// NewEjabberd makes an ejabberd; Boot starts it. It runs as the user of the test
// and as an Erlang node of its own name, without epmd, so that nothing stays
// behind: hence by erl, as ejabberdctl does it, and not by ejabberdctl.
func (r *Stage) NewEjabberd(ctx context.Context, o ServerOptions) (*XMPPServer, error) {
	libraries, err := filepath.Glob("/usr/lib/*/ejabberd-*/ebin/ejabberd.app")
	if err != nil || len(libraries) == 0 {
		return nil, errors.New("ejabberd's programs are not in /usr/lib: is the package installed?")
	}
	s := &XMPPServer{Domain: o.Domain, Name: "ejabberd " + packageVersion("ejabberd")}
	var api, node int
	for _, port := range []*int{&s.C2S, &s.Component, &api, &node} {
		if *port, err = Port(); err != nil {
			return nil, err
		}
	}
	dir := filepath.Join(r.Dir, "ejabberd")
	tls := ""
	if o.TLS {
		cert, key, err := r.selfSigned("ejabberd", o.Domain)
		if err != nil {
			return nil, err
		}
		tls = fmt.Sprintf("certfiles: [%q, %q]\n", cert, key)
	}
	rosters := ""
	if o.Rosters {
		rosters = fmt.Sprintf("  mod_privilege:\n    roster:\n      both:\n        allow:\n          server: %q", "sip."+o.Domain)
	}
	listener, err := ejabberdListener(o, s.Component)
	if err != nil {
		return nil, err
	}
	cfg, err := r.file("ejabberd/ejabberd.yml", fmt.Sprintf(ejabberdConfig,
		strings.Join(o.domains(), ", "), tls, listener, s.C2S, o.TLS, api, rosters), 0o600)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("stage%d-%d@localhost", os.Getpid(), ejabberdNodes.Add(1)) // its database can be read under this name only
	s.start = func() (*Proc, error) {
		cmd := exec.Command("erl", "-noinput", "-sname", name,
			"-setcookie", "stage", "-start_epmd", "false", "-erl_epmd_port", fmt.Sprint(node), "-kernel", "inet_dist_use_interface", "{127,0,0,1}",
			"+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none", // many share few cores: do not spin
			"-mnesia", "dir", fmt.Sprintf("%q", filepath.Join(dir, "db")), "-s", "ejabberd")
		cmd.Env = append(os.Environ(), "HOME="+dir, "ERL_LIBS="+filepath.Join(filepath.Dir(libraries[0]), "../.."), "ERL_CRASH_DUMP_BYTES=0",
			"EJABBERD_CONFIG_PATH="+cfg, "EJABBERD_LOG_PATH="+filepath.Join(dir, "ejabberd.log"))
		return r.Start(cmd, "ejabberd")
	}
	s.booted = func(ctx context.Context) error {
		addr := fmt.Sprintf("127.0.0.1:%d", api)
		if err := WaitTCP(ctx, addr); err != nil {
			return err
		}
		for _, domain := range o.domains() {
			for _, u := range o.Users {
				if err := ejabberdRegister(ctx, addr, domain, u); err != nil {
					return err
				}
			}
		}
		s.booted = nil // they stay in its database
		return nil
	}
	return s, nil
}

// ejabberdListener is the listener for components: the first snippet as it is
// but for the port, without the "listen:" that the configuration has already, and
// of further ones the host, which is added to it.
func ejabberdListener(o ServerOptions, port int) (string, error) {
	var text string
	for i, snippet := range o.snippets() {
		_, item, ok := strings.Cut(snippet, "\nlisten:\n")
		if i > 0 && ok {
			_, item, ok = strings.Cut(item, "    hosts:\n")
		}
		if !ok {
			return "", fmt.Errorf("this does not go into ejabberd's configuration:\n%s", snippet)
		}
		text += strings.TrimRight(item, "\n") + "\n"
	}
	return strings.Replace(text, "port: 5347", fmt.Sprint("port: ", port), 1), nil
}

// ejabberdRegister makes a user, by the server's HTTP interface.
func ejabberdRegister(ctx context.Context, addr, domain string, u Account) error {
	b, err := json.Marshal(map[string]string{"user": u.Local, "host": domain, "password": u.Password})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/api/register", bytes.NewReader(b))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("registering %s@%s: %s: %s", u.Local, domain, resp.Status, said)
	}
	return err
}

const ejabberdConfig = `
hosts: [%[1]s]
loglevel: info
log_rotate_count: 0
%[2]s
listen:
%[3]s
  -
    port: %[4]d
    ip: "127.0.0.1"
    module: ejabberd_c2s
    starttls: %[5]t
  -
    port: %[6]d
    ip: "127.0.0.1"
    module: ejabberd_http
    request_handlers:
      /api: mod_http_api

api_permissions:
  "the test":
    who:
      ip: 127.0.0.1/8
    what: "register"

auth_password_format: scram
disable_sasl_mechanisms: "X-OAUTH2"

acl:
  local:
    user_regexp: ""
access_rules:
  local:
    allow: local

modules:
  mod_adhoc: {}
  mod_blocking: {}
  mod_caps: {}
  mod_carboncopy: {}
  mod_disco: {}
  mod_http_api: {}
  mod_offline: {}
  mod_ping: {}
  mod_time: {}
  mod_version: {}
  mod_privacy: {}
  mod_pubsub:
    plugins:
      - flat
      - pep
  mod_roster: {}
%[7]s
  mod_stream_mgmt:
    resend_on_timeout: if_offline
`
