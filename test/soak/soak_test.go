//go:build soak

package soak

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/test/stage"
)

var (
	duration = flag.Duration("for", time.Minute, "how long the load is kept up")
	fromSIP  = flag.Int("sip", 2000, "messages a second from SIP to XMPP")
	fromXMPP = flag.Int("xmpp", 200, "messages a second from XMPP to SIP")
)

const (
	tick       = 5 * time.Millisecond
	window     = 1000 // transactions that may be open: the share of one peer is 1024
	copyEvery  = 100  // of so many answered requests one is sent once more
	users      = 200  // on each side
	patience   = timerF + 10*time.Second
	branchMark = "branch=z9hG4bKsoak"
	textMark   = "number "
	secret     = "component secret"
	component  = "sip.example.com"
)

// world is the daemon with all that is around it.
type world struct {
	t      *testing.T
	dir    string
	proc   *stage.Proc
	server *xmpptest.Server
	conn   *xmpptest.Conn
	sip    netip.AddrPort // of the daemon
	caller *net.UDPConn   // sends requests
	phone  *net.UDPConn   // gets requests; the route leads there
	in     *book          // SIP to XMPP
	out    *book          // XMPP to SIP
	seen   map[int]string // branches that brought the messages of out; of the phone's reader
	wg     sync.WaitGroup
	late   atomic.Int64 // the longest time that the test itself did not get to run
	silent atomic.Int64 // the longest time between two answers
	others atomic.Bool  // there are messages without a number
}

func TestSoak(t *testing.T) {
	w := start(t, "")
	stop := make(chan struct{})
	var load sync.WaitGroup
	began := time.Now()
	load.Go(func() { w.every(stop, func(d time.Duration) { w.sendFromSIP(d) }) })
	load.Go(func() { w.every(stop, func(d time.Duration) { w.sendFromXMPP(d) }) })
	samples := w.watch(began, *duration)
	close(stop)
	load.Wait()
	took := time.Since(began)
	w.in.stopCopies()
	w.drain()
	code, err := w.stop()
	if err != nil || code != 0 {
		t.Errorf("the daemon ended with status %d, %v\n%s", code, err, w.proc.Tail(20))
	}
	for _, f := range append(append(w.in.verdict(true), w.out.verdict(false)...), growth(samples)...) {
		t.Error(f)
	}
	w.report(samples, took)
}

// start runs the daemon behind what a shell is told first, such as a limit.
func start(t *testing.T, before string) *world {
	w := &world{t: t, dir: t.TempDir(), in: newBook("SIP to XMPP"), out: newBook("XMPP to SIP"), seen: make(map[int]string)}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	bin, err := stage.BuildStox(ctx, w.dir, false)
	if err != nil {
		t.Fatal(err)
	}
	w.server = xmpptest.New(t, xmpptest.Options{Domain: component, Secret: secret, OnStanza: w.stanza})
	w.caller, w.phone = socket(t), socket(t)
	w.sip = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(freePort(t)))
	path := filepath.Join(w.dir, "stox.toml")
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
listen = ""
socket = %[7]q
`, component, secret, w.server.Addr(), w.sip, w.phone.LocalAddr(), filepath.Join(w.dir, "stox.db"), filepath.Join(w.dir, "stox.sock"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	st, err := stage.New(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	cmd := exec.Command("sh", "-c", before+`
exec "$0" run -c "$1"`, bin, path)
	if w.proc, err = st.Start(cmd, "stox"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.proc.WaitLine(ctx, 0, "msg=ready"); err != nil {
		t.Fatalf("%v\n%s", err, w.proc.Tail(20))
	}
	w.conn = w.server.Accept()
	if !w.conn.Echoed(xmpptest.LinkCheck) {
		t.Fatal("the link did not come up")
	}
	w.waitUp()
	w.wg.Go(w.readAnswers)
	w.wg.Go(w.readRequests)
	t.Cleanup(func() {
		w.caller.Close()
		w.phone.Close()
		w.wg.Wait()
	})
	return w
}

// waitUp waits until the link is up for the daemon too.
func (w *world) waitUp() {
	if err := w.conn.Send("<iq type='get' from='u0@example.com/x' to='" + component + "' id='up'><ping xmlns='urn:xmpp:ping'/></iq>"); err != nil {
		w.t.Fatal(err)
	}
	w.conn.Next()
}

func socket(t *testing.T) *net.UDPConn {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadBuffer(4 << 20)
	return c
}

func freePort(t *testing.T) int {
	n, err := stage.Port()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// every calls f with the time that has passed, until stop. A schedule that cannot be kept
// is put off: nobody catches up.
func (w *world) every(stop <-chan struct{}, f func(time.Duration)) {
	t := time.NewTicker(tick)
	defer t.Stop()
	began, last := time.Now(), time.Now()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			now := time.Now()
			late := now.Sub(last)
			w.late.Store(max(w.late.Load(), int64(late)))
			if late > time.Second {
				began = began.Add(late)
			}
			last = now
			f(now.Sub(began))
		}
	}
}

func (w *world) sendFromSIP(passed time.Duration) {
	w.repeat()
	want := int(passed.Seconds() * float64(*fromSIP))
	for {
		all, open := w.in.counts()
		if all >= want || open >= window {
			return
		}
		w.request(w.in.add(time.Now()))
	}
}

// repeat transmits what is due once more.
func (w *world) repeat() {
	for _, n := range w.in.due(time.Now()) {
		w.request(n)
	}
}

func (w *world) request(n int) {
	to := fmt.Sprintf("sip:u%d@example.com", n%users)
	text := siptest.Text(fmt.Sprintf("Art thou not Romeo, and a Montague? Neither, fair saint, if either thee dislike: %s%d", textMark, n),
		"MESSAGE "+to+" SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/UDP %s;%s%d;rport", w.caller.LocalAddr(), branchMark, n),
		"Max-Forwards: 70",
		fmt.Sprintf("From: <sip:p%d@pbx.example.net>;tag=t%d", n%users, n),
		"To: <"+to+">",
		fmt.Sprintf("Call-ID: soak-%d@pbx.example.net", n),
		"CSeq: 1 MESSAGE",
		"Content-Type: text/plain;charset=UTF-8")
	// What cannot be sent is as good as lost: it is sent again.
	_, _ = w.caller.WriteToUDPAddrPort([]byte(text), w.sip)
}

func (w *world) readAnswers() {
	b := make([]byte, 65536)
	last := time.Now()
	for {
		n, err := w.caller.Read(b)
		if err != nil {
			return
		}
		now := time.Now()
		w.silent.Store(max(w.silent.Load(), int64(now.Sub(last))))
		last = now
		status, branch := 0, numberAfter(b[:n], branchMark)
		if fields := bytes.Fields(b[:n]); len(fields) > 1 {
			status, _ = strconv.Atoi(string(fields[1]))
		}
		if status >= 200 {
			w.in.answer(branch, status, now, copyEvery)
		}
	}
}

// stanza takes what the daemon writes to the XMPP server.
func (w *world) stanza(_ *xmpptest.Conn, st xmpptest.Stanza) bool {
	if st.Name != "message" {
		return false
	}
	if st.Type == "error" {
		w.out.mu.Lock()
		w.out.fault("%s: an error came, %s", st.ID, st.Condition)
		w.out.mu.Unlock()
		return true
	}
	if st.From == component { // each user is told once how the gateway is used
		return true
	}
	if n := numberAfter([]byte(st.Body), textMark); n >= 0 || !w.others.Load() {
		w.in.arrive(n)
	}
	return true
}

func (w *world) sendFromXMPP(passed time.Duration) {
	want := int(passed.Seconds() * float64(*fromXMPP))
	for {
		all, open := w.out.counts()
		if all >= want || open >= window {
			return
		}
		if !w.sendOne() {
			return
		}
	}
}

// sendOne sends a message from XMPP; false if there is no link.
func (w *world) sendOne() bool {
	n := w.out.add(time.Now())
	err := w.conn.Send(fmt.Sprintf("<message from='u%d@example.com/phone' to='p%d@%s' id='soak%d' type='chat'><body>What's in a name? That which we call a rose: %s%d</body></message>",
		n%users, n%users, component, n, textMark, n))
	if err != nil {
		w.t.Errorf("the link: %v", err)
	}
	return err == nil
}

// readRequests is the phone: it answers 200, and takes a message for a second one if it
// comes in another transaction.
func (w *world) readRequests() {
	b := make([]byte, 65536)
	for {
		n, from, err := w.phone.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		m, _, err := siptest.Parse(b[:n])
		if err != nil {
			w.t.Errorf("the daemon sends %v", err)
			continue
		}
		if m.Method() == "MESSAGE" { // a phone that gets none is asked now and then whether it is there
			number := numberAfter(m.Body, textMark)
			if branch := m.Branch(); w.seen[number] != branch {
				w.seen[number] = branch
				w.out.arrive(number)
			}
			w.out.close(number)
		}
		_, _ = w.phone.WriteToUDPAddrPort([]byte(m.Reply(200, "OK")), from)
	}
}

// numberAfter is the number behind a mark, -1 if there is none.
func numberAfter(b []byte, mark string) int {
	i := bytes.Index(b, []byte(mark))
	if i < 0 {
		return -1
	}
	b = b[i+len(mark):]
	end := 0
	for end < len(b) && b[end] >= '0' && b[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(string(b[:end]))
	if err != nil {
		return -1
	}
	return n
}

// watch takes a sample each second, for that long at least.
func (w *world) watch(began time.Time, d time.Duration) (all []sample) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for range t.C {
		passed := time.Since(began)
		s, err := look(w.proc.PID())
		if err != nil {
			w.t.Fatalf("the daemon is gone: %v\n%s", err, w.proc.Tail(20))
		}
		in, open := w.in.counts()
		s.messages = in
		all = append(all, s)
		if len(all)%30 == 0 {
			w.t.Logf("%4.0f s: %d messages from SIP, %d open, %d KiB, %d threads, %d files, CPU %v", passed.Seconds(), in, open, s.memory, s.threads, s.files, s.cpu)
		}
		if _, _, ok := judged(all); ok && passed >= d {
			return all
		}
	}
	return all
}

// drain waits until nothing is open.
func (w *world) drain() {
	t := time.NewTicker(tick)
	defer t.Stop()
	end := time.Now().Add(patience)
	for range t.C {
		w.repeat()
		_, in := w.in.counts()
		_, out := w.out.counts()
		if in+out == 0 || time.Now().After(end) {
			return
		}
	}
}

func (w *world) stop() (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return w.proc.Stop(ctx)
}

func (w *world) report(all []sample, took time.Duration) {
	in, _ := w.in.counts()
	out, _ := w.out.counts()
	peak := 0
	for _, s := range all {
		peak = max(peak, s.memory)
	}
	memory := func(s sample) int { return s.memory }
	third, last := len(all)/3, all[len(all)-1]
	size := int64(0)
	if f, err := os.Stat(filepath.Join(w.dir, "stox.db")); err == nil {
		size = f.Size()
	}
	w.t.Log(strings.TrimSpace(fmt.Sprintf(`
%d messages from SIP (%.0f/s, goal %d), %d from XMPP (%.0f/s, goal %d) in %.0f s
transmitted again: %d unanswered, %d answered before; longest without an answer %v, without the test %v
memory (Pss): first third %d KiB, middle %d, last %d; peak %d; threads %d, files %d
CPU of the daemon: %.1f s, %.0f µs a message; store: %d MiB; %s, %d CPUs`,
		in, float64(in)/took.Seconds(), *fromSIP, out, float64(out)/took.Seconds(), *fromXMPP, took.Seconds(),
		w.in.resent, w.in.copies, time.Duration(w.silent.Load()).Round(time.Millisecond), time.Duration(w.late.Load()).Round(time.Millisecond),
		median(all[:third], memory), median(all[third:2*third], memory), median(all[2*third:], memory), peak, last.threads, last.files,
		last.cpu.Seconds(), float64(last.cpu.Microseconds())/float64(in+out), size>>20, runtime.Version(), runtime.NumCPU())))
}
