package doctor

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"testing"

	"github.com/stoxgw/stox/internal/admin"
)

type adminLink = admin.Link

// fakeDaemon is what answers on the socket of a daemon.
type fakeDaemon struct {
	waiting int
	links   []admin.Link
	err     string
	old     bool // it knows no links
}

var errNotAsked = errors.New("the doctor asks for more than it has to")

func (f *fakeDaemon) List(context.Context, uint64, int) (admin.Page, error) {
	return admin.Page{Total: f.waiting}, nil
}

func (f *fakeDaemon) Links(context.Context) ([]admin.Link, error) {
	if f.err != "" {
		return nil, errors.New(f.err)
	}
	return f.links, nil
}

func (f *fakeDaemon) Show(context.Context, string) (admin.Message, error) {
	return admin.Message{}, errNotAsked
}

func (f *fakeDaemon) Retry(context.Context, string) (admin.Message, error) {
	return admin.Message{}, errNotAsked
}

func (f *fakeDaemon) Drop(context.Context, string) (admin.Message, error) {
	return admin.Message{}, errNotAsked
}

func (f *fakeDaemon) Trail(context.Context, string) ([]admin.Step, error) { return nil, errNotAsked }

// daemon answers on admin.socket until the test ends.
func (w *world) daemon(f *fakeDaemon) {
	w.t.Helper()
	if f.old {
		w.oldDaemon()
		return
	}
	s := admin.NewServer(w.o.Config.Admin.Socket, f, slog.New(slog.DiscardHandler))
	if err := s.Listen(); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- s.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			w.t.Error(err)
		}
	})
}

// oldDaemon knows the queue only.
func (w *world) oldDaemon() {
	w.t.Helper()
	l, err := net.Listen("unix", w.o.Config.Admin.Socket)
	if err != nil {
		w.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/queue/list", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"total":0,"messages":null}`))
	})
	h := &http.Server{Handler: mux}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = h.Serve(l)
	}()
	w.t.Cleanup(func() { h.Close(); <-over })
}

// hold takes the socket of sip.listen.
func (w *world) hold() net.PacketConn {
	w.t.Helper()
	s, _ := parseSocket(w.o.Config.SIP.Listen[0])
	c, err := net.ListenPacket("udp4", s.addr.String())
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestWaiting(t *testing.T) {
	for n, want := range map[int]string{0: "its queue is empty", 1: "1 message waits in its queue", 20: "20 messages wait in its queue"} {
		if got := waiting(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

// What binding came to, with and without a daemon.
func TestSockets(t *testing.T) {
	const restart = " -> if sip.listen has been changed, restart the daemon: systemctl restart stox; else its log says more: journalctl -u stox"
	s, known := parseSocket("udp://192.0.2.20:5060")
	if !known {
		t.Fatal("not parsed")
	}
	for name, e := range map[string]struct {
		running bool
		process int
		err     error
		pid     int
		holder  string
		want    string
	}{
		"free":                         {want: "ok listen: SOCKET is free"},
		"taken by a program":           {err: syscall.EADDRINUSE, pid: 7, holder: "asterisk, process 7", want: "fail listen: SOCKET is taken by another program: asterisk, process 7 -> stop that program, or change sip.listen"},
		"taken by somebody":            {err: syscall.EADDRINUSE, want: "fail listen: SOCKET is taken by another program -> ss -lnptu 'sport = :5060' shows which: stop it, or change sip.listen"},
		"a privileged port":            {err: syscall.EACCES, want: "fail listen: SOCKET is not allowed for this user -> give stox the capability (systemctl edit stox: [Service] AmbientCapabilities=CAP_NET_BIND_SERVICE and CapabilityBoundingSet= the same), or take a port above 1023 in sip.listen"},
		"no address of ours":           {err: syscall.EADDRNOTAVAIL, want: "fail listen: SOCKET: 192.0.2.20 is no address of this machine -> ip address shows those it has: correct sip.listen"},
		"something else":               {err: syscall.EAFNOSUPPORT, want: "fail listen: SOCKET cannot be had: address family not supported by protocol -> correct sip.listen"},
		"the daemon's":                 {running: true, process: 7, err: syscall.EADDRINUSE, pid: 7, holder: "stox, process 7", want: "ok listen: SOCKET is the daemon's"},
		"another's beside the daemon":  {running: true, process: 7, err: syscall.EADDRINUSE, pid: 8, holder: "asterisk, process 8", want: "fail listen: SOCKET is taken by another program: asterisk, process 8 -> stop that program, or change sip.listen"},
		"somebody's beside the daemon": {running: true, process: 7, err: syscall.EADDRINUSE, want: "ok listen: SOCKET is in use, by the daemon if by nobody else (ss -lnptu 'sport = :5060' shows which)"},
		"free beside the daemon":       {running: true, process: 7, want: "fail listen: a daemon runs, but SOCKET is free" + restart},
		"free beside something":        {running: true, want: "ok listen: SOCKET is free"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoctor(bareWorld(t).o)
			d.running, d.process = e.running, e.process
			f := d.bound("SOCKET", s, e.err, e.pid, e.holder)
			got := string(f.Level) + " " + f.Check + ": " + f.Text
			if f.Remedy != "" {
				got += " -> " + f.Remedy
			}
			if got != e.want {
				t.Errorf("got\n%s\nwant\n%s", got, e.want)
			}
		})
	}
}
