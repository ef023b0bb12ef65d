package stage

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Linphone is a Linphone without a screen.
type Linphone struct {
	*Phone
	in  io.Writer
	log string // a file
}

// LinphoneAt starts a Linphone of a user of a Kamailio and waits until it is
// registered there. It sends texts to contact, a SIP URI.
func (r *Stage) LinphoneAt(ctx context.Context, k *Kamailio, user, transport, contact string) (*Linphone, error) {
	o := k.at(user, transport, contact)
	if transport == "tls" {
		o.Proxy = fmt.Sprintf("localhost:%d", k.PortOf(transport)) // it finds no IP address in a certificate
	}
	l, err := r.linphone(o, true)
	if err != nil {
		return nil, err
	}
	return l, poll(ctx, l.Name+" does not register", func() bool {
		return l.command("register-status ALL") == nil && slices.Contains(l.Lines(), "State: LinphoneRegistrationOk")
	})
}

// LinphoneWith starts a Linphone that does not register.
func (r *Stage) LinphoneWith(ctx context.Context, o PhoneOptions) (*Linphone, error) {
	l, err := r.linphone(o, false)
	if err != nil {
		return nil, err
	}
	return l, poll(ctx, l.Name+" does not start", func() bool {
		return l.command("register-status ALL") == nil && slices.Contains(l.Lines(), "State: LinphoneRegistrationNone")
	})
}

// linphone starts a Linphone and does not wait for anything.
func (r *Stage) linphone(o PhoneOptions, register bool) (*Linphone, error) {
	l := &Linphone{Phone: newPhone(o.User, o.Domain)}
	var err error
	if l.Port, err = Port(); err != nil {
		return nil, err
	}
	host, sendRegister := cmp.Or(o.Host, "127.0.0.1"), 0
	if register {
		sendRegister = 1
	}
	dir := "linphone-" + o.User
	home := filepath.Join(r.Dir, dir)
	// Without the first of these it dies at the first message: that is where its
	// database goes.
	for _, d := range []string{".local/share/linphone", ".config"} {
		if err := os.MkdirAll(filepath.Join(home, d), 0o755); err != nil {
			return nil, err
		}
	}
	security := "verify_server_certs=0\nverify_server_cn=0\n"
	if o.TLS != nil {
		security = fmt.Sprintf("root_ca=%s\nverify_server_certs=1\nverify_server_cn=1\nclient_cert_chain=%s\nclient_cert_key=%s\n", o.TLS.CA, o.TLS.Cert, o.TLS.Key)
	}
	auth := ""
	if o.Password != "" {
		auth = fmt.Sprintf("[auth_info_0]\nusername=%s\npasswd=%s\nrealm=%[3]s\ndomain=%[3]s\n\n", o.User, o.Password, o.Domain)
	}
	rc, err := r.file(dir+"/rc", fmt.Sprintf(`[sip]
sip_port=%[1]d
sip_tcp_port=%[1]d
sip_tls_port=-1
bind_address=%[5]s
guess_hostname=0
contact=sip:%[2]s@%[5]s:%[1]d
use_ipv6=0
default_proxy=0
%[6]s
[net]
firewall_policy=0

[rtp]
audio_rtp_port=-1

%[7]s[proxy_0]
reg_proxy=<%[4]s>
reg_route=<%[4]s>
reg_identity=sip:%[2]s@%[3]s
reg_sendregister=%[8]d
reg_expires=600
publish=0
`, l.Port, o.User, o.Domain, o.proxy(), host, security, auth, sendRegister), 0o600)
	if err != nil {
		return nil, err
	}
	l.log = filepath.Join(home, "log")
	cmd := exec.Command("linphone-daemon", "--config", rc, "--log", l.log, "--disable-stats-events")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME=", "XDG_CONFIG_HOME=")
	if l.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if l.Proc, err = r.Start(cmd, "linphone "+o.User); err != nil {
		return nil, err
	}
	l.Name = "Linphone " + packageVersion("linphone-cli")
	l.OnLine(l.events())
	l.send = func(text string) error { return l.MessageTo(o.Contact, text) }
	return l, nil
}

// Wire is what the phone has logged so far, with every SIP message that it has sent or got.
func (l *Linphone) Wire() (string, error) {
	b, err := os.ReadFile(l.log)
	return string(b), err
}

// AwaitLog waits until the phone has logged a text.
func (l *Linphone) AwaitLog(ctx context.Context, text string) error {
	return poll(ctx, fmt.Sprintf("%s does not log %q", l.Name, text), func() bool {
		log, err := l.Wire()
		return err == nil && strings.Contains(log, text)
	})
}

// command gives the daemon a line; the answer is among its lines.
func (l *Linphone) command(line string) error {
	_, err := fmt.Fprintln(l.in, line)
	return err
}

// MessageTo sends a text to a SIP URI.
func (l *Linphone) MessageTo(uri, text string) error { return l.command("message " + uri + " " + text) }

// AwaitAnswer waits until the phone knows whether a message that it has sent was
// accepted: it looks at its lines from the from-th on.
func (l *Linphone) AwaitAnswer(ctx context.Context, from int) (accepted bool, next int, err error) {
	line, next, err := l.WaitLine(ctx, from, "State: LinphoneChatMessageState", "Delivered")
	return strings.HasSuffix(line, "StateDelivered"), next, err // or StateNotDelivered
}

// events reads the daemon's output and displays the messages that it tells of.
func (l *Linphone) events() func(line string) {
	var event, from string
	var text []string
	return func(line string) {
		if kind, ok := strings.CutPrefix(line, "Event-type: "); ok {
			event, from, text = kind, "", nil
			return
		}
		if event != "message-received" {
			return
		}
		if sender, ok := strings.CutPrefix(line, "From: "); ok && text == nil {
			from = sender
			return
		}
		// The text is in quotes and may have several lines.
		if first, ok := strings.CutPrefix(line, `Content: "`); ok && text == nil {
			text = append(text, first)
		} else if text != nil {
			text = append(text, line)
		}
		if n := len(text); n > 0 && strings.HasSuffix(text[n-1], `"`) {
			text[n-1] = strings.TrimSuffix(text[n-1], `"`)
			text[0] = from + ": " + text[0]
			l.display(text...)
			event = ""
		}
	}
}
