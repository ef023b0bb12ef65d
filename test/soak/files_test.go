//go:build soak

package soak

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/xmpptest"
)

// TestFewFiles: the daemon may have 64 files open, and 200 connections come. What has no
// file has to wait; what has one goes on: UDP, the connections that are there, and the link.
// When the connections are gone everything is as it was, also if the link was lost meanwhile.
func TestFewFiles(t *testing.T) {
	const rounds = 20
	w := start(t, "ulimit -n 64")
	early := dial(t, w)
	defer early.Close()
	n := 0
	overTCP := func(c net.Conn) {
		t.Helper()
		c.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(c, messageOverTCP(n)); err != nil {
			t.Fatal(err)
		}
		n++
		b := make([]byte, 4096)
		size, err := c.Read(b)
		if m, _, parsed := siptest.Parse(b[:size]); err != nil || parsed != nil || m.Status() != 200 {
			t.Fatalf("%q, %v", b[:size], err)
		}
	}
	// Messages over TCP have numbers of their own, which the book does not know.
	w.others.Store(true)
	overTCP(early)
	var many []net.Conn
	for range 200 {
		many = append(many, dial(t, w)) // by the kernel, whether the daemon takes it or not
	}
	short, _, err := w.proc.WaitLine(t.Context(), 0, "cannot accept SIP connections")
	if err != nil {
		t.Fatalf("there was no shortage: %v", err)
	}
	if !strings.Contains(short, "too many open files") || !strings.Contains(short, "LimitNOFILE") {
		t.Errorf("the log does not say what is missing: %s", short)
	}
	for range rounds {
		overTCP(early)
		w.request(w.in.add(time.Now()))
		w.sendOne()
		w.drain()
	}
	w.conn.Drop() // its file may go to one of those who wait
	for _, c := range many {
		c.Close()
	}
	w.conn = w.server.Accept()
	if !w.conn.Echoed(xmpptest.LinkCheck) {
		t.Fatal("the link did not come back")
	}
	w.waitUp()
	w.request(w.in.add(time.Now()))
	w.sendOne()
	w.drain()
	late := dial(t, w)
	defer late.Close()
	overTCP(late)
	if told := strings.Count(strings.Join(w.proc.Lines(), "\n"), "cannot accept"); told > 1 {
		t.Errorf("the log was told %d times", told)
	}
	code, err := w.stop()
	if err != nil || code != 0 {
		t.Errorf("the daemon ended with status %d, %v\n%s", code, err, w.proc.Tail(20))
	}
	for _, f := range append(w.in.verdict(true), w.out.verdict(false)...) {
		t.Error(f)
	}
}

func dial(t *testing.T, w *world) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", w.sip.String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func messageOverTCP(n int) string {
	return siptest.Text("over TCP",
		"MESSAGE sip:u1@example.com SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKtcp%d;rport", n),
		"Max-Forwards: 70",
		fmt.Sprintf("From: <sip:p1@pbx.example.net>;tag=t%d", n),
		"To: <sip:u1@example.com>",
		fmt.Sprintf("Call-ID: tcp-%d@pbx.example.net", n),
		"CSeq: 1 MESSAGE",
		"Content-Type: text/plain;charset=UTF-8")
}
