// Command demo shows stox at work on this machine: a Prosody, two XMPP users, a
// SIP phone and stox between them, all private and on loopback. It sends a
// message each way and then stays up for a person to join in. With ONCE=1 in the
// environment it ends by itself, with status 0 only if both messages arrived.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stoxgw/stox/test/stage"
)

// Names that mean this machine wherever they are looked up (RFC 6761).
const (
	xmppDomain = "xmpp.localhost"
	component  = "sip.xmpp.localhost"
	sipDomain  = "phone.localhost"
	yourDomain = "you.localhost" // of the phone that a person may bring
)

var (
	juliet = stage.Account{Local: "juliet", Password: "juliet-demo"}
	romeo  = stage.Account{Local: "romeo", Password: "romeo-demo"}
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	once := os.Getenv("ONCE") != "" && os.Getenv("ONCE") != "0"
	if err := demo(ctx, once); err != nil {
		if ctx.Err() != nil {
			fmt.Println("\nStopped.")
			return
		}
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		stop()
		os.Exit(1)
	}
}

func demo(ctx context.Context, once bool) (err error) {
	if err := stage.Install(stage.Missing("prosody", "python3-slixmpp", "baresip-core"), os.Stdout); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "stox-demo-")
	if err != nil {
		return err
	}
	r, err := stage.New(dir)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && ctx.Err() == nil {
			fmt.Fprint(os.Stderr, "\n", r.Logs())
			err = fmt.Errorf("%w\nthe files are kept in %s", err, dir)
			r.Close()
			return
		}
		r.Close()
		_ = os.RemoveAll(dir)
	}()

	fmt.Println("Building stox and starting everything in", dir)
	p, err := start(ctx, r)
	if err != nil {
		return err
	}
	fmt.Println()
	for _, row := range [][2]string{
		{"juliet@" + xmppDomain + ", romeo@" + xmppDomain, "XMPP users at " + p.server.Name},
		{"sip:bob@" + sipDomain, "a SIP phone, " + p.phone.Name},
		{"stox", "between them, as " + component},
	} {
		fmt.Printf("  %-44s %s\n", row[0], row[1])
	}
	fmt.Println()
	if err := p.exchange(ctx); err != nil {
		return err
	}
	fmt.Println("\nBoth messages arrived.")
	if once {
		return nil
	}
	p.invite()
	<-ctx.Done()
	return ctx.Err()
}

// party is everybody who takes part.
type party struct {
	stox          *stage.Stox
	server        *stage.XMPPServer
	juliet, romeo *stage.XMPPClient
	phone         *stage.Phone
	yourPort      int // where a person's phone is expected
	out           *transcript
}

func start(ctx context.Context, r *stage.Stage) (*party, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	p := &party{out: &transcript{}}
	bin, err := stage.BuildStox(ctx, r.Dir, false)
	if err != nil {
		return nil, err
	}
	if p.stox, err = r.InitStox(ctx, bin, "prosody", component, sipDomain); err != nil {
		return nil, err
	}
	p.server, err = r.NewProsody(ctx, stage.ServerOptions{Domain: xmppDomain, Snippet: p.stox.Snippet, Users: []stage.Account{juliet, romeo}, TLS: true})
	if err != nil {
		return nil, err
	}
	if p.phone, err = r.Baresip(ctx, "bob", sipDomain, p.stox.SIP, "udp", "sip:"+romeo.Local+"@"+xmppDomain); err != nil {
		return nil, err
	}
	if p.yourPort, err = stage.Port(); err != nil {
		return nil, err
	}
	routes := []stage.Route{
		{Domain: sipDomain, Via: fmt.Sprintf("sip:127.0.0.1:%d", p.phone.Port)},
		{Domain: yourDomain, Via: fmt.Sprintf("sip:127.0.0.1:%d", p.yourPort)},
	}
	if err := p.stox.Configure(p.server.Component, routes, ""); err != nil {
		return nil, err
	}
	if err := errors.Join(p.server.Boot(ctx), p.stox.Run(ctx)); err != nil {
		return nil, err
	}
	if _, err := p.stox.WaitLink(ctx, 0); err != nil {
		return nil, err
	}
	if p.juliet, err = r.Login(ctx, p.server, juliet); err != nil {
		return nil, err
	}
	p.romeo, err = r.Login(ctx, p.server, romeo)
	return p, err
}

// exchange sends a message each way and waits until both are seen.
func (p *party) exchange(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, c := range []*stage.XMPPClient{p.juliet, p.romeo} {
		c.OnLine(func(line string) { p.received(c, line) })
	}
	p.phone.OnShow(p.shown)

	const toPhone, toRomeo = "But soft, what light through yonder handset breaks?", "Hello from the phone!"
	bob := "bob@" + component
	p.out.say("juliet", "->", bob, toPhone)
	if err := p.juliet.Message("demo-1", bob, toPhone); err != nil {
		return err
	}
	if _, err := p.phone.Await(ctx, toPhone); err != nil {
		return err
	}
	p.out.say("phone", "->", "sip:"+romeo.Local+"@"+xmppDomain, toRomeo)
	if err := p.phone.Message(toRomeo); err != nil {
		return err
	}
	_, err := p.romeo.Await(ctx, "the phone's message", stage.WithBody(toRomeo))
	return err
}

// received shows a message that one of the XMPP users got.
func (p *party) received(c *stage.XMPPClient, line string) {
	var st stage.Stanza
	if json.Unmarshal([]byte(line), &st) != nil || st.Kind != "message" {
		return
	}
	me, _, _ := strings.Cut(c.JID, "@")
	switch {
	case st.Type == "error":
		p.out.say(me, "<-", st.From, "error: "+st.ErrorText)
	case st.Body != "":
		p.out.say(me, "<-", st.From, st.Body)
	}
}

// shown shows a message on the phone's display.
func (p *party) shown(line string) {
	from, text, ok := strings.Cut(strings.TrimSpace(line), ": ")
	if ok && strings.HasPrefix(from, "sip:") {
		p.out.say("phone", "<-", from, strings.Trim(text, `"`))
	}
}

// invite says how a person joins in.
func (p *party) invite() {
	fmt.Printf(`
Join in with your own clients, on this machine; messages are shown as they pass:

  XMPP client   juliet@%[1]s, password %[2]s
                romeo@%[1]s, password %[3]s
                server 127.0.0.1, port %[4]d; its certificate is self-signed
                write to bob@%[5]s (the phone here)
                or to you\40%[6]s@%[5]s (a phone of yours)
  SIP phone     sip:you@%[6]s, without registration, listening on UDP port %[7]d
                outbound proxy sip:127.0.0.1:%[8]d
                write to sip:juliet@%[1]s
  stox          %[9]s

Ctrl-C ends it all.
`, xmppDomain, juliet.Password, romeo.Password, p.server.C2S, component, yourDomain, p.yourPort, p.stox.SIP, p.stox.Config)
}

// transcript prints what passes, in colour on a terminal.
type transcript struct{ mu sync.Mutex }

func (t *transcript) say(who, arrow, whom, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	format := "  %s  %-6s %s %-34s %s\n"
	if info, err := os.Stdout.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		format = "  \x1b[2m%s\x1b[0m  \x1b[1m%-6s\x1b[0m %s \x1b[36m%-34s\x1b[0m %s\n"
	}
	arrow = map[string]string{"->": "──>", "<-": "<──"}[arrow]
	whom, _, _ = strings.Cut(whom, "/") // without the resource, ...
	whom, _, _ = strings.Cut(whom, ";") // ... in either form
	fmt.Printf(format, time.Now().Format("15:04:05.000"), who, arrow, whom, text)
}
