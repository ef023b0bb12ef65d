package siptest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stoxgw/stox/sipside/locate"
)

// A message goes both ways over either transport, in a bubble.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		hosts, self, client := netip.MustParseAddr("192.0.2.4"), "192.0.2.1:5060", netip.MustParseAddrPort("192.0.2.9:5060")
		var got []*Wire
		m := NewMemory(t, hosts, func(w *Wire) { got = append(got, w) })
		if err := m.Send("udp", client, request(0)); err == nil {
			t.Error("sent to a socket that is not there")
		}
		udp, err1 := m.ListenPacket("udp4", self)
		tcp, err2 := m.Listen("tcp4", self)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		defer udp.Close()
		defer tcp.Close()
		if a, err := m.Locate(ctx, locate.Query{Host: "example.net"}); err != nil || fmt.Sprint(a.Targets) != "[udp "+hosts.String()+":5060]" {
			t.Errorf("found %v, %v", a, err)
		}

		// In: a datagram, and a connection that the test makes.
		if err := m.Send("udp", client, request(1)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		n, from, err := udp.ReadFrom(buf)
		if err != nil || string(buf[:n]) != request(1) || from.String() != client.String() {
			t.Errorf("read %q from %v, %v", buf[:n], from, err)
		}
		sent := make(chan error)
		go func() { sent <- m.Send("tcp", client, request(2)) }()
		conn, err := tcp.Accept()
		if err != nil || conn.RemoteAddr().String() != client.String() {
			t.Fatal(err, conn.RemoteAddr())
		}
		n, err = conn.Read(buf)
		if err := errors.Join(err, <-sent); err != nil || string(buf[:n]) != request(2) {
			t.Errorf("read %q, %v", buf[:n], err)
		}

		// Out: a datagram, the answer over that connection, and a connection of the user
		// agent's own, over which the test answers.
		if _, err := udp.WriteTo([]byte(request(3)), net.UDPAddrFromAddrPort(client)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(request(4) + "\r\n\r\n" + request(5))); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		own, err := m.DialContext(ctx, "tcp", "192.0.2.4:5060")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := own.Write([]byte(request(6))); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var all []string
		for _, w := range got {
			all = append(all, w.Network+" "+w.Branch()+" "+w.Source.Addr().String())
		}
		if want := "udp z9hG4bK3 192.0.2.9, tcp z9hG4bK4 192.0.2.1, tcp z9hG4bK5 192.0.2.1, tcp z9hG4bK6 192.0.2.1"; strings.Join(all, ", ") != want {
			t.Fatalf("the test has got %s", strings.Join(all, ", "))
		}
		go func() { sent <- m.Answer(got[3], got[3].Reply(200, "OK")) }()
		n, err = own.Read(buf)
		if err := errors.Join(err, <-sent); err != nil || !strings.HasPrefix(string(buf[:n]), "SIP/2.0 200 OK") {
			t.Errorf("read %q, %v", buf[:n], err)
		}
		if err := m.Answer(got[0], got[0].Reply(200, "OK")); err != nil {
			t.Fatal(err)
		}
		if n, from, err = udp.ReadFrom(buf); err != nil || from.String() != client.String() || !strings.HasPrefix(string(buf[:n]), "SIP/2.0 200 OK") {
			t.Errorf("read %q from %v, %v", buf[:n], from, err)
		}

		m.Fail(syscall.ECONNREFUSED, &locate.Error{Reason: locate.NotFound})
		if _, err := m.DialContext(ctx, "tcp", "192.0.2.4:5060"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a connection was made, %v", err)
		}
		if _, err := m.Locate(ctx, locate.Query{Host: "example.net"}); err == nil {
			t.Error("a host was found")
		}
		m.Close()
		if _, err := own.Read(buf); err == nil {
			t.Error("a connection outlives the network")
		}
	})
}
