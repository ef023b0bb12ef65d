package stage

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Baresip starts a baresip that sends everything to the outbound proxy at port
// proxy, and texts to contact, a SIP URI. It does not register.
func (r *Stage) Baresip(ctx context.Context, user, domain string, proxy int, transport, contact string) (*Phone, error) {
	return r.BaresipWith(ctx, PhoneOptions{User: user, Domain: domain, Contact: contact, Transport: transport, Proxy: fmt.Sprintf("127.0.0.1:%d", proxy)})
}

// BaresipWith starts a baresip that does not register.
func (r *Stage) BaresipWith(ctx context.Context, o PhoneOptions) (*Phone, error) {
	return r.baresip(ctx, o, 0)
}

// BaresipAt starts a baresip of a user of a Kamailio and waits until it is
// registered there. It sends texts to contact, a SIP URI.
func (r *Stage) BaresipAt(ctx context.Context, k *Kamailio, user, transport, contact string) (*Phone, error) {
	p, err := r.baresip(ctx, k.at(user, transport, contact), 600)
	if err != nil {
		return nil, err
	}
	if _, _, err := p.WaitLine(ctx, 0, user+"@"+k.Domain, "200 OK", "[1 binding]"); err != nil {
		return nil, err
	}
	return p, nil
}

// baresip starts a baresip that registers for so many seconds. Its display is read through
// its console port, since no event of its control port tells of a message.
func (r *Stage) baresip(ctx context.Context, o PhoneOptions, register int) (*Phone, error) {
	p := newPhone(o.User, o.Domain)
	var err error
	var port [3]int
	for i := range port {
		if port[i], err = Port(); err != nil {
			return nil, err
		}
	}
	control := fmt.Sprintf("127.0.0.1:%d", port[1])
	p.Port = cmp.Or(o.Port, port[0])
	p.send = func(text string) error { return baresipCommand(control, "message", text) }
	p.online = func(yes bool) error {
		if yes {
			return baresipCommand(control, "presence_online", "")
		}
		return baresipCommand(control, "presence_offline", "")
	}
	p.contacts = func() (string, error) { return baresipAsk(control, "contacts", "") }
	dir := "baresip-" + o.User
	var security string
	if o.TLS != nil {
		both, err := r.joined(dir+"/tls.pem", o.TLS.Key, o.TLS.Cert)
		if err != nil {
			return nil, err
		}
		security = "sip_certificate " + both + "\nsip_cafile " + o.TLS.CA + "\n"
	}
	presence, watched := "", ""
	if o.Presence {
		presence = "module_app presence.so\n"
	}
	if o.Watches {
		watched = ";presence=p2p"
	}
	if _, err := r.file(dir+"/config", fmt.Sprintf(`module_path /usr/lib/baresip/modules
sip_listen %s:%d
%smodule cons.so
cons_listen 127.0.0.1:%d
module ctrl_tcp.so
ctrl_tcp_listen %s
module_tmp account.so
module_app menu.so
module_app contact.so
module_app debug_cmd.so
%s`, cmp.Or(o.Host, "127.0.0.1"), p.Port, security, port[2], control, presence), 0o644); err != nil {
		return nil, err
	}
	account := fmt.Sprintf("<%s>;regint=%d;outbound=\"%s\"", p.URI, register, o.proxy())
	if o.Password != "" {
		account += fmt.Sprintf(";auth_user=%s;auth_pass=%s", o.User, o.Password)
	}
	if _, err := r.file(dir+"/accounts", account+"\n", 0o600); err != nil {
		return nil, err
	}
	if _, err := r.file(dir+"/contacts", fmt.Sprintf("\"Contact\" <%s>%s\n", o.Contact, watched), 0o644); err != nil {
		return nil, err
	}
	if p.Proc, err = r.Start(exec.Command("baresip", "-f", filepath.Join(r.Dir, dir)), "baresip "+o.User); err != nil {
		return nil, err
	}
	if err := WaitTCP(ctx, control); err != nil {
		return nil, err
	}
	p.Name = "baresip " + packageVersion("baresip-core")
	return p, p.watchConsole(ctx, fmt.Sprintf("127.0.0.1:%d", port[2]))
}

// watchConsole reads the display: the console sends it to whoever wrote to it last.
func (p *Phone) watchConsole(ctx context.Context, addr string) error {
	c, err := net.Dial("udp", addr)
	if err != nil {
		return err
	}
	go func() {
		<-p.done
		c.Close()
	}()
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := c.Read(buf)
			if err != nil {
				select {
				case <-p.done:
					return
				default:
					continue // refused, while it is starting
				}
			}
			var lines []string
			for line := range strings.Lines(string(buf[:n])) {
				lines = append(lines, strings.Trim(line, "\r\n"))
			}
			p.display(lines...)
		}
	}()
	// The console answers a line with its prompt or help: then it knows us.
	return poll(ctx, "baresip's console does not answer", func() bool {
		_, _ = c.Write([]byte("\n"))
		return len(p.Shown()) > 0
	})
}

// baresipCommand runs a command through the control port (netstrings of JSON).
func baresipCommand(control, name, params string) error {
	_, err := baresipAsk(control, name, params)
	return err
}

// baresipAsk is baresipCommand with the answer, a JSON object.
func baresipAsk(control, name, params string) (string, error) {
	c, err := net.DialTimeout("tcp", control, 3*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	j, err := json.Marshal(map[string]string{"command": name, "params": params, "token": "t"})
	if err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(c, "%d:%s,", len(j), j); err != nil {
		return "", err
	}
	if err := c.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
		return "", err
	}
	// The answer is a netstring too; events may come before it.
	rd := bufio.NewReader(c)
	for {
		var n int
		if _, err := fmt.Fscanf(rd, "%d:", &n); err != nil {
			return "", fmt.Errorf("baresip: %s: %w", name, err)
		}
		b := make([]byte, n+1)
		for got := 0; got < len(b); {
			k, err := rd.Read(b[got:])
			if err != nil {
				return "", err
			}
			got += k
		}
		if bytes.Contains(b, []byte(`"response":true`)) {
			if !bytes.Contains(b, []byte(`"ok":true`)) {
				return "", fmt.Errorf("baresip: %s: %s", name, b[:n])
			}
			return string(b[:n]), nil
		}
	}
}
