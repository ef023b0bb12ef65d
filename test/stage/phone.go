package stage

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// Phone is a SIP phone that runs, with one contact to whom it writes.
type Phone struct {
	*Proc
	Name string // "baresip 1.0.0"
	URI  string // its address of record
	Port int    // UDP and TCP; a baresip that has a certificate takes TLS at the port above

	send     func(text string) error
	online   func(yes bool) error   // nil if it cannot say that
	contacts func() (string, error) // the list as the phone shows it; nil if it has none

	mu   sync.Mutex // guards the following
	cond *sync.Cond
	got  []string // lines of its display
	show func(line string)
}

// PhoneOptions say what a phone without a registrar is to be.
type PhoneOptions struct {
	User, Domain string // its address of record
	Contact      string // a SIP URI: to whom it writes
	Transport    string // "udp", "tcp" or "tls"
	Proxy        string // host:port of its outbound proxy
	Host         string // where it listens; "" is 127.0.0.1
	Port         int    // where it listens (baresip); 0 is any
	Presence     bool   // it lets itself be watched (baresip) ...
	Watches      bool   // ... and watches its contact
	// Password is what it proves that it is the user with, if it is asked.
	Password string
	// TLS is what it shows and trusts; nil shows nothing and trusts everybody.
	TLS *KamailioTLS
}

// proxy is the URI of the outbound proxy.
func (o PhoneOptions) proxy() string { return "sip:" + o.Proxy + ";transport=" + o.Transport }

// at are the options of a phone of a user of a Kamailio.
func (k *Kamailio) at(user, transport, contact string) PhoneOptions {
	return PhoneOptions{
		User: user, Domain: k.Domain, Contact: contact, Transport: transport, Proxy: fmt.Sprintf("%s:%d", k.Host, k.PortOf(transport)), Host: k.Host,
		Password: k.passwords[user], TLS: k.tls,
	}
}

func newPhone(user, domain string) *Phone {
	p := &Phone{URI: "sip:" + user + "@" + domain}
	p.cond = sync.NewCond(&p.mu)
	return p
}

// Message sends a text to the phone's contact.
func (p *Phone) Message(text string) error { return p.send(text) }

// Online has the phone say that its user is there, or not.
func (p *Phone) Online(yes bool) error { return p.online(yes) }

// AwaitContact waits until the phone's list of contacts has a text in it.
func (p *Phone) AwaitContact(ctx context.Context, text string) error {
	var all string
	err := poll(ctx, p.Name+" does not show "+text, func() bool {
		var err error
		all, err = p.contacts()
		return err == nil && strings.Contains(all, text)
	})
	if err != nil {
		return fmt.Errorf("%w; its contacts: %s", err, all)
	}
	return nil
}

// OnShow calls f with every further line of the phone's display.
func (p *Phone) OnShow(f func(line string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.show = f
}

// Shown are the lines that the phone has shown so far: texts with their senders,
// and what else a phone shows.
func (p *Phone) Shown() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.got...)
}

// display adds lines to what the phone shows.
func (p *Phone) display(lines ...string) {
	p.mu.Lock()
	p.got = append(p.got, lines...)
	show := p.show
	p.cond.Broadcast()
	p.mu.Unlock()
	if show == nil {
		return
	}
	for _, line := range lines {
		show(line)
	}
}

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
