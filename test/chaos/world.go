package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stoxgw/stox/test/stage"
)

const (
	xmppDomain = "xmpp.test"
	component  = "sip." + xmppDomain
	sipDomain  = "sip.test" // reached over UDP
	tcpDomain  = "tcp.test" // reached over TCP
)

// accounts: the first two are online, the third only at the end.
var accounts = []stage.Account{{Local: "juliet", Password: "juliet-secret"}, {Local: "romeo", Password: "romeo-secret"}, {Local: "nurse", Password: "nurse-secret"}}

// world is a scenario's own stox with an XMPP server, XMPP clients and a SIP peer.
type world struct {
	*stage.Stage
	ctx     context.Context // of what is waited for
	life    context.Context // of what runs beside the scenario
	name    string
	form    form
	disk    *stalls
	rnd     *rand.Rand // of the scenario's own goroutine
	server  *stage.XMPPServer
	stox    *stage.Stox
	tap     *tap
	peer    *peer
	book    *ledger
	clients []*client
	traffic *traffic
	say     func(format string, args ...any)

	procs     []*stage.Proc   // every run of stox
	uncertain map[string]bool // ids that the trail calls so
	wg        sync.WaitGroup

	mu     sync.Mutex // guards the following
	faults []string
}

func newWorld(ctx context.Context, dir, bin, name, server string, f form, disk *stalls, seed uint64, env []string) (*world, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	st, err := stage.New(dir)
	if err != nil {
		return nil, err
	}
	w := &world{Stage: st, ctx: ctx, name: name, form: f, disk: disk, rnd: rand.New(rand.NewPCG(seed, 1)), book: newLedger()}
	began := time.Now()
	w.say = func(format string, args ...any) {
		if f.verbose {
			fmt.Printf("%-22s %6.2fs  %s\n", name, time.Since(began).Seconds(), fmt.Sprintf(format, args...))
		}
	}
	if w.stox, err = st.InitStox(ctx, bin, server, component, sipDomain); err != nil {
		return nil, err
	}
	w.server, err = st.NewServer(ctx, server, stage.ServerOptions{Domain: xmppDomain, Snippet: w.stox.Snippet, Users: accounts})
	if err != nil {
		return nil, err
	}
	w.tap, err = newTap(fmt.Sprintf("127.0.0.1:%d", w.server.Component), tapped{w.handed, w.passed, w.wrote, func(err error) { w.fault("the link: %v", err) }})
	if err != nil {
		return nil, err
	}
	if w.peer, err = newPeer(w.book, w.stox.SIP); err != nil {
		return nil, err
	}
	w.stox.Env = []string{"STOX_STORE_PATH=" + filepath.Join(dir, "stox.db"), "STOX_QUEUE_EXPIRE=20s",
		"STOX_LIMITS_USER_RATE=0"} // two users send for all
	w.stox.Env = append(w.stox.Env, env...)
	err = w.stox.Configure(w.tap.port(), []stage.Route{
		{Domain: tcpDomain, Via: fmt.Sprintf("sip:127.0.0.1:%d;transport=tcp", w.peer.port)},
		{Domain: "*", Via: fmt.Sprintf("sip:127.0.0.1:%d;transport=udp", w.peer.port)},
	}, "")
	if err != nil {
		return nil, err
	}
	w.traffic = newTraffic(w, seed)
	for _, a := range accounts {
		w.clients = append(w.clients, newClient(w.server, a, w.took(a.Local)))
	}
	return w, nil
}

// start starts everything but the traffic.
func (w *world) start(ctx context.Context) error {
	w.life = ctx
	w.wg.Go(func() { w.tap.Run(ctx) })
	w.wg.Go(func() { w.peer.Run(ctx) })
	if err := w.server.Boot(w.ctx); err != nil {
		return err
	}
	if err := w.startStox(); err != nil {
		return err
	}
	for _, c := range w.clients[:2] {
		w.wg.Go(func() { c.Run(ctx) })
		if err := c.wait(w.ctx); err != nil {
			return err
		}
	}
	return nil
}

// startStox starts the daemon and waits for its link.
func (w *world) startStox() error {
	if err := w.stox.Run(w.ctx); err != nil {
		return err
	}
	w.procs = append(w.procs, w.stox.Proc)
	if _, err := w.stox.WaitLink(w.ctx, 0); err != nil {
		return err
	}
	w.healed()
	return nil
}

// linked waits until the daemon says once more that it has a link, in the lines
// from the from-th on.
func (w *world) linked(from int) error {
	_, err := w.stox.WaitLink(w.ctx, from)
	w.healed()
	return err
}

// healed notes that stox has its link again.
func (w *world) healed() {
	w.book.heal()
	w.book.slowed(w.disk)
}

// kill ends stox with SIGKILL and starts it again on the same store.
func (w *world) kill() error {
	if err := w.stox.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	w.book.broke("kill")
	if _, err := w.stox.Wait(w.ctx); err != nil {
		return err
	}
	return w.startStox()
}

// fault notes what must not be.
func (w *world) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// handed, passed and wrote are told by the tap.
func (w *world) handed(st stanza, at time.Time) {
	if st.XMLName.Local != "message" {
		return
	}
	if st.Type == "error" {
		w.book.note(func() {
			if m := w.book.byID[st.ID]; m != nil && m.refused.IsZero() {
				m.refused = at
			}
		})
	} else if n, ok := number(st.ID, "m"); ok {
		w.book.out(n, func(m *outbound) { m.handed = at })
	}
}

func (w *world) passed(st stanza, at time.Time) {
	if n, ok := number(st.ID, "m"); ok && st.XMLName.Local == "message" && st.Type != "error" {
		w.book.out(n, func(m *outbound) { m.passed = at })
	}
}

func (w *world) wrote(st stanza, at time.Time) {
	if st.XMLName.Local != "message" {
		return
	}
	if n, ok := number(st.ID, "m"); ok && st.Type == "error" {
		w.book.out(n, func(m *outbound) { m.told = at })
	} else if n, ok := number(st.Body, "to-xmpp"); ok {
		w.book.in(n, func(m *inbound) {
			m.written++
			if m.id == "" {
				m.id, m.put = st.ID, at
				w.book.byID[st.ID] = m
			} else if m.id != st.ID {
				w.book.strays = append(w.book.strays, fmt.Sprintf("call-%d was written with the ids %s and %s", n, m.id, st.ID))
			}
		})
	}
}

// took handles what a client gets.
func (w *world) took(local string) func(stanza) {
	return func(st stanza) {
		if st.XMLName.Local != "message" {
			return
		}
		if st.Type == "error" {
			if n, ok := number(st.ID, "m"); ok {
				condition, text := st.fault()
				w.book.out(n, func(m *outbound) { m.errors = append(m.errors, condition+": "+text) })
			}
			return
		}
		n, ok := number(st.Body, "to-xmpp")
		if !ok {
			w.book.note(func() { w.book.notes[st.From]++ })
			return
		}
		w.book.in(n, func(m *inbound) {
			m.arrived++
			if m.to != local {
				w.book.strays = append(w.book.strays, fmt.Sprintf("call-%d for %s came to %s", n, m.to, local))
			}
		})
	}
}

// lines are what stox has said in all its runs.
func (w *world) lines() (all []string) {
	for _, p := range w.procs {
		all = append(all, p.Lines()...)
	}
	return all
}

// listed are the ids that stox has called uncertain in its log, which names so many
// and counts the rest.
func listed(log []string) (ids map[string]bool, hidden int) {
	ids = make(map[string]bool)
	for _, line := range log {
		if !strings.Contains(line, "uncertain") {
			continue
		}
		if id := attr(line, "id"); id != "" {
			ids[id] = true
		}
		named := strings.Fields(strings.Trim(attr(line, "ids"), "[]"))
		for _, id := range named {
			ids[id] = true
		}
		if count, err := strconv.Atoi(attr(line, "count")); err == nil {
			hidden += count - len(named)
		}
	}
	return ids, hidden
}

// attr is an attribute of a log line.
func attr(line, name string) string {
	_, v, _ := strings.Cut(line, " "+name+"=")
	if v, ok := strings.CutPrefix(v, `"`); ok {
		v, _, _ = strings.Cut(v, `"`)
		return v
	}
	if strings.HasPrefix(v, "[") {
		v, _, _ = strings.Cut(v, "]")
		return v
	}
	v, _, _ = strings.Cut(v, " ")
	return v
}

// finish ends the traffic, waits for what is on its way, and stops stox.
func (w *world) finish(settle time.Duration) error {
	w.traffic.stop()
	w.say("the traffic has stopped")
	for i, c := range w.clients[:2] {
		if err := w.through(c, fmt.Sprintf("through-%d", i)); err != nil {
			return err
		}
	}
	settled := w.book.await(settle, func() bool {
		open, _ := w.book.unsettled()
		return open == 0
	})
	if !settled { // the verdict says what it was
		w.say("not everything has come to an end")
	}
	if err := w.queueEmpty(settle); err != nil {
		w.fault("%v", err)
	}
	nurse := w.clients[2]
	w.wg.Go(func() { nurse.Run(w.life) })
	if err := nurse.wait(w.ctx); err != nil {
		return err
	}
	w.fence()
	// What came while its receiver was logging in may lie in the server's store for
	// those who are offline until the next time.
	for _, c := range w.clients {
		if err := c.send("<presence type='unavailable'/><presence/>"); err != nil {
			return err
		}
	}
	w.book.await(patience, func() bool { return w.book.missing() == 0 })
	w.uncertain = w.trails()
	return nil
}

// through returns when the server has handed to stox what the client has sent: it
// keeps the order, and stox answers a ping.
func (w *world) through(c *client, id string) error {
	answered := make(chan struct{}, 1)
	c.await(id, func(kind string) {
		if kind == "result" { // else it comes from the server, which had no stox just then
			select {
			case answered <- struct{}{}:
			default:
			}
		}
	})
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		if err := c.wait(w.ctx); err != nil {
			return err
		}
		c.send(fmt.Sprintf("<iq type='get' to='%s' id='%s'><ping xmlns='urn:xmpp:ping'/></iq>", component, id))
		select {
		case <-answered:
			return nil
		case <-again.C: // the client or stox has lost its connection meanwhile
		case <-w.ctx.Done():
			return fmt.Errorf("stox does not answer %s: %w", c.bare(), w.ctx.Err())
		}
	}
}

// missing counts messages to XMPP that were answered 200 and have not arrived.
// l.mu is held.
func (l *ledger) missing() (n int) {
	for _, m := range l.toXMPP {
		if status, _ := m.final(); status == 200 && m.arrived == 0 {
			n++
		}
	}
	return n
}

// fence sends a last message to every user and waits for it: what stox has written
// before has come before.
func (w *world) fence() {
	w.peer.follow(func(request) act { return accept })
	var all sync.WaitGroup
	for _, c := range w.clients {
		all.Go(func() {
			n := w.book.newInbound("fence", c.account.Local)
			w.peer.message(w.ctx, n, "fence", c.account.Local, false, 1)
			arrived := w.book.await(patience, func() bool { return w.book.toXMPP[n].arrived > 0 })
			if !arrived {
				w.fault("the last message to %s did not arrive", c.account.Local)
			}
		})
	}
	all.Wait()
}

// stopStox ends stox as its service manager does.
func (w *world) stopStox() error {
	status, err := w.stox.Stop(w.ctx)
	if err == nil && status != 0 {
		err = fmt.Errorf("SIGTERM ended stox with status %d", status)
	}
	return err
}

// evidence is what is known beside the ledger.
func (w *world) evidence() evidence {
	ids, hidden := listed(w.lines())
	maps.Copy(ids, w.uncertain)
	return evidence{listed: ids, hidden: hidden, lastUp: func(n int) time.Time { return w.traffic.senders[n].lastUp() }}
}

// inspect looks for what no run may have in its log.
func (w *world) inspect() error {
	var errs []error
	for _, line := range w.lines() {
		for _, bad := range []string{secret, "DATA RACE", "panic", "level=ERROR msg=\"stanza with a foreign sender"} {
			if strings.Contains(line, bad) {
				errs = append(errs, fmt.Errorf("in stox's log: %s", line))
			}
		}
	}
	return errors.Join(errs...)
}
