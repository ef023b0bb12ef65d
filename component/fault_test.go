package component

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/xmpptest"
)

// TestConnectFaults: what goes wrong is told apart, said with its remedy, and
// retried at its own pace (GW-06).
func TestConnectFaults(t *testing.T) {
	header := `<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' from='sip.example.com' id='x'>`
	script := func(out string) func(net.Conn) bool {
		return func(c net.Conn) bool {
			go io.Copy(io.Discard, c)
			io.WriteString(c, out)
			return false
		}
	}
	streamErr := func(cond string) string {
		return header + `<stream:error><` + cond + ` xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>`
	}
	refused := os.NewSyscallError("connect", syscall.ECONNREFUSED)
	for _, tt := range []struct {
		name      string
		dial      error
		handshake func(net.Conn) bool
		reason    string
		hint      string
		retry     []time.Duration // the first waits
	}{
		{"no server", refused, nil, "refused", "is it running", []time.Duration{1e9, 2e9, 4e9, 8e9, 16e9, 32e9, 60e9, 60e9}},
		{"no such name", &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}, nil, "dns", "does not exist in DNS", []time.Duration{1e9, 2e9}},
		{"dead resolver", &net.DNSError{Err: "timeout", Name: "x", IsTimeout: true}, nil, "dns", "resolver", []time.Duration{1e9}},
		{"no route", os.NewSyscallError("connect", syscall.EHOSTUNREACH), nil, "unreachable", "network", []time.Duration{1e9}},
		{"slow connect", context.DeadlineExceeded, nil, "timeout", "firewall", []time.Duration{1e9}},
		{"wrong secret", nil, script(streamErr("not-authorized")), "not-authorized", "xmpp.secret", []time.Duration{60e9, 60e9}},
		{"unknown host", nil, script(streamErr("host-unknown")), "host-unknown", `Component "sip.example.com"`, []time.Duration{60e9}},
		{"unknown host, header without id", nil, script(strings.Replace(streamErr("host-unknown"), " id='x'", "", 1)), "host-unknown", "xmpp.domain", []time.Duration{60e9}},
		{"conflict", nil, script(streamErr("conflict")), "conflict", "kick_old", []time.Duration{66e9}},
		{"client port that does not know us", nil, script(strings.Replace(streamErr("host-unknown"), "jabber:component:accept", "jabber:client", 1)), "not-a-component-port", "component port", []time.Duration{60e9}},
		{"client port", nil, script(streamErr("invalid-namespace")), "invalid-namespace", "component port", []time.Duration{60e9}},
		{"other stream error", nil, script(streamErr("internal-server-error")), "internal-server-error", "ended the stream", []time.Duration{1e9, 2e9}},
		{"not XMPP", nil, script("HTTP/1.1 400 Bad Request\r\n\r\n"), "not-a-component-port", "component port", []time.Duration{60e9}},
		{"not XMPP but XML", nil, script("<html></html>"), "not-a-component-port", "component port", []time.Duration{60e9}},
		{"no id", nil, script(strings.Replace(header, " id='x'", "", 1) + "<handshake/>"), "not-a-component-port", "component port", []time.Duration{60e9}},
		{"something else than a handshake", nil, script(header + "<message/>"), "not-a-component-port", "component port", []time.Duration{60e9}},
		{"endless header", nil, script("<stream:stream a='" + strings.Repeat("x", 20000)), "not-a-component-port", "component port", []time.Duration{60e9}},
		{"closes at once", nil, func(net.Conn) bool { return false }, "handshake-dropped", "sip.example.com", []time.Duration{1e9}},
		{"silent port", nil, func(c net.Conn) bool { io.Copy(io.Discard, c); return false }, "handshake-timeout", "component port", []time.Duration{1e9}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := xmpptest.NewMemory(t, xmpptest.Options{Handshake: tt.handshake})
				srv.Refuse(tt.dial)
				r := start(t, srv, nil)
				for i, want := range tt.retry {
					for r.Status().State != StateDown || srv.Dials() != i+1 {
						time.Sleep(time.Millisecond) // fake time
					}
					st := r.Status()
					if st.Reason != tt.reason || !strings.Contains(st.Text, tt.hint) {
						t.Errorf("status is %q: %q, want %q with %q", st.Reason, st.Text, tt.reason, tt.hint)
					}
					if got := st.RetryAt.Sub(st.Since); got != want {
						t.Errorf("wait %d is %v, want %v", i, got, want)
					}
				}
				if got := len(r.log.lines("reason=" + tt.reason)); got < 1 || got > 3 {
					t.Errorf("%d lines for %d failures:\n%s", got, len(tt.retry), r.log)
				}
				if strings.Contains(r.log.String(), testSecret) {
					t.Error("the secret is in the log (SEC-15)")
				}
				r.stop()
				if r.Status().State != StateStopped {
					t.Errorf("state is %v", r.Status().State)
				}
			})
		})
	}
}

func TestRealRefusal(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	c, err := New(Config{Server: addr, Domain: testDomain, Secret: testSecret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.connect(context.Background(), newSink())
	if f := c.classify(err); f.reason != "refused" || !strings.Contains(f.text, addr) {
		t.Errorf("got %q: %s (%v)", f.reason, f.text, err)
	}
}

// A fault that goes on is logged at the 1st, 4th, 8th ... time; a new one at once.
func TestReporter(t *testing.T) {
	var r reporter
	now := time.Unix(0, 0)
	var lines []int
	for i := 1; i <= 40; i++ {
		if n, _, worth := r.note("refused", now); worth {
			lines = append(lines, n)
		}
	}
	want := []int{1, 4, 8, 16, 32}
	if len(lines) != len(want) {
		t.Fatalf("lines at %v, want %v", lines, want)
	}
	for i := range want {
		if lines[i] != want[i] {
			t.Fatalf("lines at %v, want %v", lines, want)
		}
	}
	if n, _, worth := r.note("dns", now); n != 1 || !worth {
		t.Errorf("a new fault: %d, %v", n, worth)
	}
}

func TestBackoff(t *testing.T) {
	for _, tt := range []struct {
		p        pace
		r        float64
		min, max time.Duration
	}{
		{paceNormal, 0, 800 * time.Millisecond, 800 * time.Millisecond},
		{paceNormal, 0.999, 1190 * time.Millisecond, 1200 * time.Millisecond},
		{paceSlow, 0, 48 * time.Second, 48 * time.Second},
		{paceConflict, 0, time.Minute, time.Minute},
		{paceConflict, 0.999, 71 * time.Second, 72 * time.Second},
	} {
		var b backoff
		if got := b.next(tt.p, tt.r); got < tt.min || got > tt.max {
			t.Errorf("pace %d, %v: %v", tt.p, tt.r, got)
		}
	}
	var b backoff
	for range 80 { // no overflow
		b.next(paceNormal, 0.5)
	}
	if got := b.next(paceNormal, 0.5); got != time.Minute {
		t.Errorf("after long: %v", got)
	}
}

// A link that lived for a minute starts the back-off anew, a shorter one does not.
func TestGoodLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, nil)
		for _, tt := range []struct{ live, wait time.Duration }{
			{time.Second, 1e9}, {time.Second, 2e9}, {59 * time.Second, 4e9}, {61 * time.Second, 1e9}, {time.Second, 2e9},
		} {
			time.Sleep(tt.live)
			conn.Drop()
			synctest.Wait()
			st := r.Status()
			if st.State != StateDown || st.Reason != "dropped" {
				t.Fatalf("status %+v", st)
			}
			if got := st.RetryAt.Sub(st.Since); got != tt.wait {
				t.Errorf("after %v: wait of %v, want %v", tt.live, got, tt.wait)
			}
			conn = r.srv.Accept()
		}
		r.stop()
	})
}

// Stream errors on a link that is up (kick_old gives conflict).
func TestStreamErrorWhenUp(t *testing.T) {
	for _, tt := range []struct {
		cond string
		wait time.Duration
	}{{"conflict", 66e9}, {"system-shutdown", 1e9}, {"invalid-from", 1e9}, {"see-other-host", 60e9}, {"policy-violation", 1e9}} {
		t.Run(tt.cond, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, conn := memory(t, xmpptest.Options{}, nil)
				if r.Status().State != StateUp {
					t.Fatalf("status %+v", r.Status())
				}
				conn.StreamError(tt.cond)
				synctest.Wait()
				st := r.Status()
				if st.State != StateDown || st.Reason != tt.cond || st.RetryAt.Sub(st.Since) != tt.wait {
					t.Errorf("status %+v", st)
				}
				r.stop()
			})
		})
	}
}
