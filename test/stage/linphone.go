package stage

import (
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
	in io.Writer
}

// LinphoneAt starts a Linphone of a user of a Kamailio and waits until it is
// registered there. It sends texts to contact, a SIP URI.
func (r *Stage) LinphoneAt(ctx context.Context, k *Kamailio, user, transport, contact string) (*Linphone, error) {
	l := &Linphone{Phone: newPhone(user, k.Domain)}
	var err error
	if l.Port, err = Port(); err != nil {
		return nil, err
	}
	dir := "linphone-" + user
	home := filepath.Join(r.Dir, dir)
	// Without the first of these it dies at the first message: that is where its
	// database goes.
	for _, d := range []string{".local/share/linphone", ".config"} {
		if err := os.MkdirAll(filepath.Join(home, d), 0o755); err != nil {
			return nil, err
		}
	}
	proxy := fmt.Sprintf("<sip:127.0.0.1:%d;transport=%s>", k.Port, transport)
	rc, err := r.file(dir+"/rc", fmt.Sprintf(`[sip]
sip_port=%[1]d
sip_tcp_port=%[1]d
sip_tls_port=-1
bind_address=127.0.0.1
guess_hostname=0
contact=sip:%[2]s@127.0.0.1:%[1]d
use_ipv6=0
default_proxy=0

[net]
firewall_policy=0

[rtp]
audio_rtp_port=-1

[auth_info_0]
username=%[2]s
passwd=%[3]s
realm=%[4]s
domain=%[4]s

[proxy_0]
reg_proxy=%[5]s
reg_route=%[5]s
reg_identity=sip:%[2]s@%[4]s
reg_sendregister=1
reg_expires=600
publish=0
`, l.Port, user, k.passwords[user], k.Domain, proxy), 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("linphone-daemon", "--config", rc, "--log", filepath.Join(home, "log"), "--disable-stats-events")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_DATA_HOME=", "XDG_CONFIG_HOME=")
	if l.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if l.Proc, err = r.Start(cmd, "linphone "+user); err != nil {
		return nil, err
	}
	l.Name = "Linphone " + packageVersion("linphone-cli")
	l.OnLine(l.events())
	l.send = func(text string) error { return l.MessageTo(contact, text) }
	return l, poll(ctx, l.Name+" does not register", func() bool {
		return l.command("register-status ALL") == nil && slices.Contains(l.Lines(), "State: LinphoneRegistrationOk")
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
