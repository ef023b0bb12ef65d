//go:build soak

package soak

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/test/stage"
)

var rest = flag.Duration("rest", time.Minute, "how long the daemon is looked at while nothing happens")

// As many users and contacts know each other that none comes near a limit: each user has
// half of the contacts, and each contact half of the users. In each pair either watches the
// other.
const (
	people   = 100
	friends  = 50
	pairs    = people * friends
	dialogs  = 2 * pairs
	rebuilt  = 20 * time.Minute // a daemon that needs more does not come to an end
	watchers = 100              // SUBSCRIBE requests of contacts without an answer
)

// TestPresenceLoad has 10,000 subscriptions begun, leaves the daemon alone with them, has it
// start again, and has it killed while the presence server forgets everything. After each the
// daemon has to show every contact to every user and the other way round; what it took is
// reported.
func TestPresenceLoad(t *testing.T) {
	w := newPresenceWorld(t)
	w.run("start")
	empty := w.idle("without subscriptions")

	before := w.look()
	began := time.Now()
	w.befriend()
	w.complete("begun", began, before)
	full := w.idle("with 10,000 subscriptions")
	t.Logf("memory (Pss): %d KiB without, %d KiB with them: %d bytes a subscription", empty.memory, full.memory, (full.memory-empty.memory)*1024/dialogs)

	if code, err := w.stop(); err != nil || code != 0 {
		t.Fatalf("the daemon ended with status %d, %v\n%s", code, err, w.proc.Tail(20))
	}
	w.nobodySeen()
	began = time.Now()
	w.run("start again")
	w.complete("gone on with after a restart", began, sample{})
	again := w.idle("after a restart")
	t.Logf("memory (Pss) after a restart: %d KiB", again.memory)

	w.proc.Kill()
	w.nobodySeen()
	w.forget()
	began = time.Now()
	w.run("start after it was killed")
	w.complete("gone on with, those of users begun anew", began, sample{})
	w.idle("after that")

	if code, err := w.stop(); err != nil || code != 0 {
		t.Errorf("the daemon ended with status %d, %v\n%s", code, err, w.proc.Tail(20))
	}
	if size, err := os.Stat(filepath.Join(w.dir, "stox.db")); err == nil {
		t.Logf("store: %d KiB; %s, %d CPUs", size.Size()>>10, runtime.Version(), runtime.NumCPU())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.faults {
		t.Error(f)
	}
}

// presenceWorld is the daemon with an XMPP server whose users are all there, and a SIP
// server that has the presence of all contacts.
type presenceWorld struct {
	t      *testing.T
	dir    string
	bin    string
	stage  *stage.Stage
	proc   *stage.Proc
	server *xmpptest.Server
	conn   *xmpptest.Conn
	sip    netip.AddrPort // of the daemon
	socket *net.UDPConn   // of the SIP server
	wg     sync.WaitGroup

	mu      sync.Mutex // guards the following
	faults  []string
	shown   map[[2]int]bool       // user and contact: he sees it
	told    map[[2]int]bool       // ... and it sees him
	ours    map[string]*sipDialog // of users who watch, by Call-ID
	open    map[string]*sipOpen   // requests without an answer, by branch
	count   int                   // of requests of ours
	waiting [][2]int              // contacts that have not asked yet
}

// sipDialog is the server's end of a dialog that the daemon has begun.
type sipDialog struct {
	branch string // of the last SUBSCRIBE
	reply  string // to it
	cseq   int
}

// sipOpen is a request of the server on its way.
type sipOpen struct {
	text        string
	subscribe   bool
	began, next time.Time
	step        int
}

func (w *presenceWorld) user(i int) string { return fmt.Sprintf("u%d@example.com", i) }

func (w *presenceWorld) contact(i int) string { return fmt.Sprintf("p%d@%s", i, component) }

// friend is the n-th contact of a user.
func friend(user, n int) int { return (user + n) % people }

func newPresenceWorld(t *testing.T) *presenceWorld {
	w := &presenceWorld{t: t, dir: t.TempDir(), ours: make(map[string]*sipDialog), open: make(map[string]*sipOpen)}
	w.nobodySeen()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var err error
	if w.bin, err = stage.BuildStox(ctx, w.dir, false); err != nil {
		t.Fatal(err)
	}
	w.server = xmpptest.New(t, xmpptest.Options{Domain: component, Secret: secret, OnStanza: w.stanza})
	w.socket = socket(t)
	w.sip = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(freePort(t)))
	text := fmt.Sprintf(`
[xmpp]
domain = %[1]q
secret = %[2]q
server = %[3]q
[sip]
domain = "pbx.example.net"
listen = ["udp://%[4]s", "tcp://%[4]s"]
[[sip.route]]
domain = "*"
via = "sip:%[5]s;transport=udp"
[limits]
peer_rate = 0
user_rate = 0
[store]
path = %[6]q
[admin]
socket = %[7]q
listen = ""
`, component, secret, w.server.Addr(), w.sip, w.socket.LocalAddr(), filepath.Join(w.dir, "stox.db"), filepath.Join(w.dir, "stox.sock"))
	if err := os.WriteFile(filepath.Join(w.dir, "stox.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if w.stage, err = stage.New(w.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.stage.Close)
	stop := make(chan struct{})
	w.wg.Go(w.read)
	w.wg.Go(func() { w.repeat(stop) })
	t.Cleanup(func() {
		close(stop)
		w.socket.Close()
		w.wg.Wait()
	})
	return w
}

// run starts the daemon, and waits for its link.
func (w *presenceWorld) run(what string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Minute)
	defer cancel()
	began := time.Now()
	var err error
	if w.proc, err = w.stage.Start(exec.Command(w.bin, "run", "-c", filepath.Join(w.dir, "stox.toml")), "stox"); err != nil {
		w.t.Fatal(err)
	}
	if _, _, err := w.proc.WaitLine(ctx, 0, "msg=ready"); err != nil {
		w.t.Fatalf("%v\n%s", err, w.proc.Tail(20))
	}
	ready := time.Since(began)
	conn := w.server.Accept()
	w.mu.Lock()
	w.conn = conn
	w.mu.Unlock()
	if !conn.Echoed(xmpptest.LinkCheck) {
		w.t.Fatal("the link did not come up")
	}
	w.t.Logf("%s: ready in %v, link up in %v", what, ready.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}

func (w *presenceWorld) stop() (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return w.proc.Stop(ctx)
}

func (w *presenceWorld) look() sample {
	w.t.Helper()
	s, err := look(w.proc.PID())
	if err != nil {
		w.t.Fatalf("the daemon is gone: %v\n%s", err, w.proc.Tail(20))
	}
	return s
}

// idle leaves the daemon alone and tells what it uses meanwhile.
func (w *presenceWorld) idle(what string) sample {
	w.t.Helper()
	before, began := w.look(), time.Now()
	end := time.NewTimer(*rest)
	defer end.Stop()
	<-end.C
	after := w.look()
	took, cpu := time.Since(began), after.cpu-before.cpu
	w.t.Logf("at rest %s, %.0f s: CPU %v, %.2f %%; %d KiB, %d threads, %d files", what, took.Seconds(), cpu,
		100*cpu.Seconds()/took.Seconds(), after.memory, after.threads, after.files)
	return after
}

// nobodySeen forgets who sees whom.
func (w *presenceWorld) nobodySeen() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shown, w.told = make(map[[2]int]bool), make(map[[2]int]bool)
}

// forget has the SIP server lose the dialogs of users.
func (w *presenceWorld) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ours = make(map[string]*sipDialog)
}

// befriend has each user let his contacts see him and ask for theirs, and the contacts ask.
func (w *presenceWorld) befriend() {
	for u := range people {
		for n := range friends {
			c := friend(u, n)
			w.send(fmt.Sprintf("<presence type='subscribed' from='%s' to='%s'/>", w.user(u), w.contact(c)))
			w.available(u, c)
			w.send(fmt.Sprintf("<presence type='subscribe' from='%s' to='%s'/>", w.user(u), w.contact(c)))
		}
	}
	// The daemon has read all that when it answers: a contact that asked before would have its
	// user asked.
	w.send("<iq type='get' from='u0@example.com/phone' to='" + component + "' id='read'><ping xmlns='urn:xmpp:ping'/></iq>")
	w.conn.Next()
	w.mu.Lock()
	defer w.mu.Unlock()
	for u := range people {
		for n := range friends {
			w.waiting = append(w.waiting, [2]int{u, friend(u, n)})
		}
	}
}

func (w *presenceWorld) available(u, c int) {
	w.send(fmt.Sprintf("<presence from='%s/phone' to='%s'><show>away</show><status>in the garden</status></presence>", w.user(u), w.contact(c)))
}

// complete waits until everybody sees everybody.
func (w *presenceWorld) complete(what string, began time.Time, before sample) {
	w.t.Helper()
	ticker := time.NewTicker(20 * tick)
	defer ticker.Stop()
	var usersAt, contactsAt time.Duration
	for range ticker.C {
		w.mu.Lock()
		shown, told, faults := len(w.shown), len(w.told), len(w.faults)
		w.mu.Unlock()
		passed := time.Since(began)
		if shown == pairs && usersAt == 0 {
			usersAt = passed
		}
		if told == pairs && contactsAt == 0 {
			contactsAt = passed
		}
		if usersAt > 0 && contactsAt > 0 {
			break
		}
		if passed > rebuilt || faults > 0 {
			w.t.Fatalf("%s: after %v users see %d contacts, contacts %d users, of %d\n%v\n%s", what, passed, shown, told, pairs, w.faults, w.proc.Tail(20))
		}
	}
	after := w.look()
	w.t.Logf("%s: users see contacts after %.1f s, contacts users after %.1f s; CPU %v, %d µs a subscription; %d KiB", what,
		usersAt.Seconds(), contactsAt.Seconds(), after.cpu-before.cpu, (after.cpu-before.cpu).Microseconds()/dialogs, after.memory)
}

// send writes to the daemon as the XMPP server. While there is no link it is lost, as it is
// with a server.
func (w *presenceWorld) send(text string) {
	w.mu.Lock()
	conn := w.conn
	w.mu.Unlock()
	_ = conn.Send(text)
}

// stanza takes what the daemon writes to the XMPP server.
func (w *presenceWorld) stanza(_ *xmpptest.Conn, st xmpptest.Stanza) bool {
	if st.Name != "presence" {
		return st.Name == "message" // each user is told once how the gateway is used
	}
	u, c := numberAfter([]byte(" "+st.To), " u"), numberAfter([]byte(" "+st.From), " p")
	if u < 0 || c < 0 {
		return true
	}
	switch st.Type {
	case "probe":
		w.available(u, c)
	case "", "unavailable":
		w.mu.Lock()
		if st.Type == "" {
			w.shown[[2]int{u, c}] = true
		} else {
			delete(w.shown, [2]int{u, c})
		}
		w.mu.Unlock()
	case "subscribed":
	default:
		w.fault("the daemon writes %s", st.Raw)
	}
	return true
}

func (w *presenceWorld) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.faults) < 10 {
		w.faults = append(w.faults, fmt.Sprintf(format, args...))
	}
}

// repeat sends requests again that have no answer, and lets contacts ask that have not yet.
func (w *presenceWorld) repeat(stop <-chan struct{}) {
	ticker := time.NewTicker(2 * tick)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-ticker.C:
			w.mu.Lock()
			for len(w.waiting) > 0 && len(w.open) < watchers {
				w.ask(now, w.waiting[0])
				w.waiting = w.waiting[1:]
			}
			for branch, o := range w.open {
				switch {
				case now.Sub(o.began) >= timerF:
					delete(w.open, branch) // the daemon was not there
				case !now.Before(o.next):
					o.step = min(o.step+1, len(timerE)-1)
					o.next = now.Add(timerE[o.step])
					w.write(o.text)
				}
			}
			w.mu.Unlock()
		}
	}
}

// write sends to the daemon. What is lost is sent again.
func (w *presenceWorld) write(text string) { _, _ = w.socket.WriteToUDPAddrPort([]byte(text), w.sip) }

// request sends a request, until it is answered. The lock is held.
func (w *presenceWorld) request(now time.Time, body, first string, subscribe bool, lines ...string) {
	w.count++
	branch := fmt.Sprintf("z9hG4bKwatch%d", w.count)
	all := append([]string{first, fmt.Sprintf("Via: SIP/2.0/UDP %s;branch=%s;rport", w.socket.LocalAddr(), branch), "Max-Forwards: 70"}, lines...)
	o := &sipOpen{text: siptest.Text(body, all...), subscribe: subscribe, began: now, next: now.Add(timerE[0])}
	w.open[branch] = o
	w.write(o.text)
}

// ask has a contact subscribe to a user. The lock is held.
func (w *presenceWorld) ask(now time.Time, who [2]int) {
	to := fmt.Sprintf("sip:u%d@example.com", who[0])
	w.request(now, "", "SUBSCRIBE "+to+" SIP/2.0", true,
		fmt.Sprintf("From: <sip:p%d@pbx.example.net>;tag=w%d", who[1], who[0]), "To: <"+to+">",
		fmt.Sprintf("Call-ID: watch-%d-%d@pbx.example.net", who[0], who[1]), "CSeq: 1 SUBSCRIBE",
		fmt.Sprintf("Contact: <sip:p%d@%s>", who[1], w.socket.LocalAddr()),
		"Event: presence", "Accept: application/pidf+xml", "Expires: 3600")
}

// read is the SIP server.
func (w *presenceWorld) read() {
	b := make([]byte, 65536)
	for {
		n, err := w.socket.Read(b)
		if err != nil {
			return
		}
		m, _, err := siptest.Parse(b[:n])
		if err != nil {
			w.fault("the daemon sends %v", err)
			continue
		}
		switch {
		case m.Status() >= 200:
			w.answered(m)
		case m.Status() > 0:
		case m.Method() == "SUBSCRIBE":
			w.subscribe(m)
		case m.Method() == "NOTIFY":
			w.notify(m)
		case m.Method() == "OPTIONS": // whether it is there
			w.write(reply(m, "200 OK", m.Get("To")+";tag=server"))
		default:
			w.fault("the daemon sends %s", m.First)
		}
	}
}

func (w *presenceWorld) answered(m *siptest.Message) {
	w.mu.Lock()
	o := w.open[m.Branch()]
	delete(w.open, m.Branch())
	w.mu.Unlock()
	// A NOTIFY that has crossed with the end of the daemon belongs to nothing any more.
	if o != nil && m.Status() != 200 && (o.subscribe || m.Status() != 481) {
		w.fault("answered %s", m.First)
	}
}

// subscribe takes a SUBSCRIBE of the daemon: the contact is there, and says so.
func (w *presenceWorld) subscribe(m *siptest.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id, to := m.Get("Call-ID"), m.Get("To")
	d := w.ours[id]
	tagged := numberAfter([]byte(to), ";tag=p") >= 0
	switch {
	case d != nil && d.branch == m.Branch(): // once more
		w.write(d.reply)
		return
	case d == nil && tagged:
		w.write(reply(m, "481 Subscription Does Not Exist", to))
		return
	case d == nil:
		d = &sipDialog{}
		w.ours[id] = d
	}
	c := numberAfter([]byte(to), "<sip:p")
	if !tagged {
		to = fmt.Sprintf("%s;tag=p%d", to, c)
	}
	contact := fmt.Sprintf("Contact: <sip:p%d@%s>", c, w.socket.LocalAddr())
	d.branch, d.reply = m.Branch(), reply(m, "200 OK", to, contact, "Expires: "+m.Get("Expires"))
	d.cseq++
	w.write(d.reply)
	target := m.Get("Contact")
	w.request(time.Now(), fmt.Sprintf(watchedDocument, c, c), "NOTIFY "+target[1:len(target)-1]+" SIP/2.0", false,
		"From: "+to, "To: "+m.Get("From"), "Call-ID: "+id, fmt.Sprintf("CSeq: %d NOTIFY", d.cseq), contact,
		"Event: presence", "Subscription-State: active;expires="+m.Get("Expires"), "Content-Type: application/pidf+xml")
}

const watchedDocument = `<?xml version="1.0" encoding="UTF-8"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:p%d@pbx.example.net"><tuple id="ID-p%d"><status><basic>open</basic><show xmlns="jabber:client">away</show></status><note xml:lang="en">in the garden</note></tuple></presence>`

// notify takes a NOTIFY of the daemon: a contact sees a user once there is a document.
func (w *presenceWorld) notify(m *siptest.Message) {
	w.write(reply(m, "200 OK", m.Get("To")))
	if len(m.Body) == 0 {
		return
	}
	u, c := numberAfter([]byte(m.Get("From")), "sip:u"), numberAfter([]byte(m.Get("To")), "sip:p")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told[[2]int{u, c}] = true
}

// reply makes an answer. to is what stands in To.
func reply(m *siptest.Message, status, to string, lines ...string) string {
	all := []string{"SIP/2.0 " + status}
	for _, via := range m.All("Via") {
		all = append(all, "Via: "+via)
	}
	all = append(all, "From: "+m.Get("From"), "To: "+to, "Call-ID: "+m.Get("Call-ID"), "CSeq: "+m.Get("CSeq"))
	return siptest.Text("", append(all, lines...)...)
}
