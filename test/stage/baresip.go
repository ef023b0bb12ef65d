package stage

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Phone is a SIP phone.
type Phone struct {
	*Proc
	Name string // "baresip 1.0.0"
	URI  string // its address of record
	Port int    // UDP and TCP
	ctl  string // address of its control port

	mu   sync.Mutex // guards the following
	cond *sync.Cond
	got  []string // lines of its display
	show func(line string)
}

// OnShow calls f with every further line of the phone's display.
func (p *Phone) OnShow(f func(line string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.show = f
}

// Baresip starts a baresip that sends everything to the outbound proxy at port
// proxy, and texts to contact, a SIP URI. Its display is read through its console port, since no event of its
// control port tells of a message.
func (r *Stage) Baresip(ctx context.Context, user, domain string, proxy int, transport, contact string) (*Phone, error) {
	p := &Phone{URI: "sip:" + user + "@" + domain}
	p.cond = sync.NewCond(&p.mu)
	var port [3]int
	for i := range port {
		n, err := Port()
		if err != nil {
			return nil, err
		}
		port[i] = n
	}
	p.Port, p.ctl = port[0], fmt.Sprintf("127.0.0.1:%d", port[1])
	dir := "baresip-" + user
	if _, err := r.file(dir+"/config", fmt.Sprintf(`module_path /usr/lib/baresip/modules
sip_listen 127.0.0.1:%d
module cons.so
cons_listen 127.0.0.1:%d
module ctrl_tcp.so
ctrl_tcp_listen %s
module_tmp account.so
module_app menu.so
module_app contact.so
module_app debug_cmd.so
`, p.Port, port[2], p.ctl), 0o644); err != nil {
		return nil, err
	}
	account := fmt.Sprintf("<%s>;regint=0;outbound=\"sip:127.0.0.1:%d;transport=%s\"\n", p.URI, proxy, transport)
	if _, err := r.file(dir+"/accounts", account, 0o644); err != nil {
		return nil, err
	}
	if _, err := r.file(dir+"/contacts", fmt.Sprintf("\"Contact\" <%s>\n", contact), 0o644); err != nil {
		return nil, err
	}
	var err error
	if p.Proc, err = r.Start(exec.Command("baresip", "-f", filepath.Join(r.Dir, dir)), "baresip "+user); err != nil {
		return nil, err
	}
	if err := WaitTCP(ctx, p.ctl); err != nil {
		return nil, err
	}
	p.Name = "baresip " + packageVersion("baresip-core")
	return p, p.watch(ctx, fmt.Sprintf("127.0.0.1:%d", port[2]))
}

// watch reads the display: the console sends it to whoever wrote to it last.
func (p *Phone) watch(ctx context.Context, addr string) error {
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
			p.mu.Lock()
			show, first := p.show, len(p.got)
			for line := range strings.Lines(string(buf[:n])) {
				p.got = append(p.got, strings.Trim(line, "\r\n"))
			}
			lines := p.got[first:]
			p.cond.Broadcast()
			p.mu.Unlock()
			for _, line := range lines {
				if show != nil {
					show(line)
				}
			}
		}
	}()
	// The console answers a line with its prompt or help: then it knows us.
	return poll(ctx, "baresip's console does not answer", func() bool {
		_, _ = c.Write([]byte("\n"))
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.got) > 0
	})
}

// command runs a command through the control port (netstrings of JSON).
func (p *Phone) command(name, params string) error {
	c, err := net.DialTimeout("tcp", p.ctl, 3*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	j, err := json.Marshal(map[string]string{"command": name, "params": params, "token": "t"})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "%d:%s,", len(j), j); err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
		return err
	}
	// The answer is a netstring too; events may come before it.
	rd := bufio.NewReader(c)
	for {
		var n int
		if _, err := fmt.Fscanf(rd, "%d:", &n); err != nil {
			return fmt.Errorf("baresip: %s: %w", name, err)
		}
		b := make([]byte, n+1)
		for got := 0; got < len(b); {
			k, err := rd.Read(b[got:])
			if err != nil {
				return err
			}
			got += k
		}
		if bytes.Contains(b, []byte(`"response":true`)) {
			if !bytes.Contains(b, []byte(`"ok":true`)) {
				return fmt.Errorf("baresip: %s: %s", name, b[:n])
			}
			return nil
		}
	}
}

// Message sends a text to the phone's contact.
func (p *Phone) Message(text string) error { return p.command("message", text) }

// Await waits until the phone shows a text, and returns the line it is in.
func (p *Phone) Await(ctx context.Context, text string) (string, error) {
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.cond.Broadcast()
	})
	defer stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := 0; ; i++ {
		for i >= len(p.got) {
			if ctx.Err() != nil {
				return "", fmt.Errorf("%s does not show the message: %w", p.Name, ctx.Err())
			}
			p.cond.Wait()
		}
		if strings.Contains(p.got[i], text) {
			return p.got[i], nil
		}
	}
}
