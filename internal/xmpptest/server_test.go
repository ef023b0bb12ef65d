package xmpptest

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const opening = `<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='sip.example.com'>`

// connect shakes hands by the vector of XEP-0114 and RFC 3174: id 3BF96D32, secret test.
func connect(t *testing.T, s *Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	nc, err := s.Dial(context.Background(), "tcp", "x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	r := bufio.NewReader(nc)
	io.WriteString(nc, opening)
	expect(t, r, "id='3BF96D32'>")
	io.WriteString(nc, "<handshake>aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e</handshake>")
	expect(t, r, "<handshake/>")
	return nc, r
}

func expect(t *testing.T, r *bufio.Reader, suffix string) string {
	t.Helper()
	var b strings.Builder
	for !strings.HasSuffix(b.String(), suffix) {
		c, err := r.ReadByte()
		if err != nil {
			t.Fatalf("read %q, then %v; want ...%q", b.String(), err, suffix)
		}
		b.WriteByte(c)
	}
	return b.String()
}

func TestServer(t *testing.T) {
	for name, make := range map[string]func(testing.TB, Options) *Server{"loopback": New, "memory": NewMemory} {
		t.Run(name, func(t *testing.T) {
			s := make(t, Options{Domain: "sip.example.com", Secret: "test"})
			nc, r := connect(t, s)
			c := s.Accept()
			const msg = `<message from='a@sip.example.com' to='b@example.com' id='1'><body>a &lt; b</body></message>`
			io.WriteString(nc, msg+" \n")
			st := c.Next()
			if st.Name != "message" || st.Body != "a < b" || st.ID != "1" || st.Raw != msg {
				t.Errorf("got %+v", st)
			}
			go c.Bounce(st, "service-unavailable")
			if got := expect(t, r, "</message>"); !strings.Contains(got, "<service-unavailable ") || !strings.Contains(got, "to='a@sip.example.com'") {
				t.Errorf("bounce is %s", got)
			}
			const ping = `<iq type='get' from='sip.example.com' to='sip.example.com' id='p'><ping xmlns='urn:xmpp:ping'/></iq>`
			io.WriteString(nc, ping)
			expect(t, r, ping)
			go io.WriteString(nc, "</stream:stream>")
			expect(t, r, "</stream:stream>")
			if !c.WaitEnd() {
				t.Error("not a clean end")
			}
		})
	}
}

func TestWrongSecretAndUnknownHost(t *testing.T) {
	for _, tt := range []struct{ domain, secret, want string }{
		{"sip.example.com", "other", "not-authorized"},
		{"other.example.com", "test", "host-unknown"},
	} {
		s := New(t, Options{Domain: tt.domain, Secret: tt.secret})
		nc, err := s.Dial(context.Background(), "tcp", "")
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		io.WriteString(nc, opening+"<handshake>aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e</handshake>")
		b, _ := io.ReadAll(nc)
		if !strings.Contains(string(b), "<"+tt.want+" ") {
			t.Errorf("got %q, want %s", b, tt.want)
		}
	}
}

// TestStall also shows that the in-memory server works in a bubble.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewMemory(t, Options{Domain: "sip.example.com", Secret: "test"})
		nc, _ := connect(t, s)
		c := s.Accept()
		synctest.Wait() // it reads
		c.Stall()
		io.WriteString(nc, "<message/>") // taken by the read under way
		done := false
		go func() {
			io.WriteString(nc, "<presence/>")
			done = true
		}()
		synctest.Wait()
		if done {
			t.Error("a stalled server reads")
		}
		c.Resume()
		if a, b := c.Next(), c.Next(); a.Name != "message" || b.Name != "presence" {
			t.Errorf("got %v, %v", a, b)
		}
		c.Stall()
		s.Close()
	})
}
