// Package trunk runs the daemon against a simulated SMS trunk (siptest.Trunk), in memory
// and with a clock of its own.
package trunk

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/stoxgw/stox/internal/app"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	gatewayAddr = "192.0.2.1:5060"
	trunkHost   = "192.0.2.4" // what all host names lead to
	component   = "sip.example.com"
	secret      = "the-secret" // both as in docs/trunks.md
	password    = "the-password-of-the-account"
)

var trunkAddr = netip.MustParseAddrPort(trunkHost + ":5060")

// setting is a trunk, and what the admin has written.
type setting struct {
	trunk     siptest.TrunkOptions
	network   string // udp or tcp
	advertise string // "" leaves it out
	route     string // the domain of the route; trunk.example if ""
	size      string // split if ""
	aliases   [][2]string
	wrong     bool   // the password is another one
	text      string // the whole file, instead of what makes one
}

// config is the file as an admin writes it.
func (s setting) config() string {
	if s.text != "" {
		return s.text
	}
	var b strings.Builder
	put := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	put("[xmpp]")
	put("domain = %q", component)
	put("secret = %q", secret)
	put("user_domains = [%q]", "example.com")
	put("[sip]")
	put("listen = [%q, %q]", "udp://"+gatewayAddr, "tcp://"+gatewayAddr)
	if s.advertise != "" {
		put("advertise = %q", s.advertise)
	}
	if s.route == "*" {
		put("domain = %q", "trunk.example")
	} else {
		put("domain = %q", "pbx.example.net")
		put("phone_domain = %q", "trunk.example")
	}
	put("[[sip.route]]")
	put("domain = %q", s.route)
	put("via = %q", "sip:trunk.example;transport="+s.network)
	if s.trunk.Static == "" {
		put("username = %q", s.trunk.Account)
		if s.wrong {
			put("password = %q", "another password")
		} else {
			put("password = %q", s.trunk.Password)
		}
		put("register = true")
	}
	put("size = %q", s.size)
	put("numbers = %q", "nanp10")
	put("country = %q", "US")
	put("from = %q", "alias")
	for _, a := range s.aliases {
		put("[[alias]]")
		put("sip = %q", a[0])
		put("xmpp = %q", a[1])
	}
	return b.String()
}

// world is a daemon in a bubble, its XMPP server and its trunk.
type world struct {
	*testing.T
	network string
	trunk   *siptest.Trunk
	sip     *siptest.Memory
	xmpp    *xmpptest.Conn
	log     *siptest.Buffer
	stop    func() // stops the daemon, and waits for its end

	mu      sync.Mutex // guards the following
	finals  map[string]*siptest.Message
	wire    []string      // what the gateway has sent to the trunk
	flow    *siptest.Wire // the last REGISTER
	methods map[string]int
}

// play runs the daemon with a setting until f returns.
func play(t *testing.T, s setting, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s.trunk.Domain, s.trunk.Account, s.trunk.Password = "trunk.example", "100000_stox", password
		if s.network == "" {
			s.network = "udp"
		}
		if s.route == "" {
			s.route = "trunk.example"
		}
		if s.size == "" {
			s.size = "split"
		}
		if s.aliases == nil {
			s.aliases = [][2]string{{"sip:5550001111@trunk.example", "juliet@example.com"}}
		}
		for _, a := range s.aliases {
			number, _, _ := strings.Cut(strings.TrimPrefix(a[0], "sip:"), "@")
			s.trunk.Numbers = append(s.trunk.Numbers, number)
		}
		w := &world{T: t, network: s.network, trunk: siptest.NewTrunk(s.trunk), log: &siptest.Buffer{}, finals: make(map[string]*siptest.Message), methods: make(map[string]int)}
		server := xmpptest.NewMemory(t, xmpptest.Options{Domain: component, Secret: secret, OnStanza: introduction})
		came := make(chan *siptest.Wire, 1024)
		w.sip = siptest.NewMemory(t, netip.MustParseAddr(trunkHost), func(m *siptest.Wire) { came <- m })
		cfg, err := config.Parse("stox.toml", []byte(s.config()), []string{"STOX_STORE_PATH=", "STOX_ADMIN_LISTEN=", "STOX_LOG_LEVEL=debug"})
		if err != nil {
			t.Fatal(err)
		}
		a, err := app.NewOn(app.Network{DialXMPP: server.Dial, SIP: w.sip, Locator: w.sip}, cfg,
			slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if err := a.Run(ctx); err != nil {
				t.Errorf("stop: %v", err)
			}
		}()
		w.stop = func() { cancel(); <-ended }
		var wg sync.WaitGroup
		wg.Go(func() {
			for m := range came {
				w.take(m)
			}
		})
		w.xmpp = server.Accept()
		w.xmpp.Echoed(xmpptest.LinkCheck)
		synctest.Wait()
		defer func() {
			w.stop()
			server.Close()
			w.sip.Close()
			close(came)
			wg.Wait()
			w.secrets()
			if t.Failed() {
				t.Logf("%s\n%s\nrefused by the trunk: %q", w.log, strings.Join(w.wire, "\n"), w.trunk.Refused())
			}
		}()
		f(w)
	})
}

// introduction passes over what a contact says who writes for the first time: it is no part
// of a conversation.
func introduction(_ *xmpptest.Conn, st xmpptest.Stanza) bool {
	return st.Name == "presence" && st.Type == "subscribe"
}

// take is the trunk's end of the wire.
func (w *world) take(m *siptest.Wire) {
	w.mu.Lock()
	w.wire = append(w.wire, m.Raw)
	switch {
	case m.Status() >= 200:
		w.finals[m.Branch()] = m.Message
	case m.Status() == 0:
		w.methods[m.Method()]++
		if m.Method() == "REGISTER" {
			w.flow = m
		}
	}
	w.mu.Unlock()
	if m.Status() == 0 {
		if err := w.sip.Answer(m, w.trunk.Answer(m.Message)); err != nil {
			w.Logf("an answer did not get through: %v", err)
		}
	}
}

// secrets looks for what may be in no log: the password, and what the trunk was shown.
func (w *world) secrets() {
	w.mu.Lock()
	defer w.mu.Unlock()
	log := w.log.String()
	if strings.Contains(log, password) {
		w.Error("the password is in the log")
	}
	for _, raw := range w.wire {
		for _, m := range shown.FindAllStringSubmatch(raw, -1) {
			if strings.Contains(log, m[1]) {
				w.Errorf("in the log: %s", m[0])
			}
		}
	}
}

var shown = regexp.MustCompile(`\b(?:nonce|response|cnonce)="([^"]+)"`)

// registered waits until the daemon is registered; a trunk that asks for no registration
// has one.
func (w *world) registered() {
	w.Helper()
	for range 60 {
		if _, ok := w.trunk.Binding(); ok {
			synctest.Wait()
			return
		}
		time.Sleep(time.Second)
	}
	w.Fatal("no registration within a minute")
}

// write sends a message of an XMPP user, and waits until nothing more happens.
func (w *world) write(from, to, body string) {
	w.Helper()
	if err := w.xmpp.Send(fmt.Sprintf("<message from='%s/phone' to='%s' id='m1' type='chat'>%s</message>", from, to, body)); err != nil {
		w.Fatal(err)
	}
	time.Sleep(time.Second)
	synctest.Wait()
}

// text is write with a body alone; what it takes is what has come to the trunk since.
func (w *world) text(from, to, body string) []siptest.TrunkText {
	w.Helper()
	before := len(w.trunk.Texts())
	w.write(from, to, "<body>"+body+"</body>")
	return w.trunk.Texts()[before:]
}

// receive brings a text from the telephone network, and gives the final answer and the
// stanza that came of it, if one did.
func (w *world) receive(from, to, body string) (status int, st xmpptest.Stanza) {
	w.Helper()
	raw, err := w.trunk.Text(w.network, from, to, body)
	if err != nil {
		w.Fatal(err)
	}
	w.mu.Lock()
	flow := w.flow
	w.mu.Unlock()
	if flow != nil {
		err = w.sip.Answer(flow, raw) // over the way that the registration came
	} else {
		err = w.sip.Send(w.network, trunkAddr, raw)
	}
	if err != nil {
		w.Fatal(err)
	}
	time.Sleep(time.Second)
	synctest.Wait()
	m, _, _ := siptest.Parse([]byte(raw))
	w.mu.Lock()
	defer w.mu.Unlock()
	final := w.finals[m.Branch()]
	if final == nil {
		w.Fatalf("no answer to %s", raw)
	}
	return final.Status(), w.next()
}

// next is a stanza that has come, or none.
func (w *world) next() (st xmpptest.Stanza) {
	if w.xmpp.Waiting() > 0 {
		st = w.xmpp.Next()
	}
	return st
}
