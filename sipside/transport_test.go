package sipside

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

var linkKinds = []locate.Transport{locate.TLS, locate.WS, locate.WSS}

// listening is a UA that listens with one transport, with a certificate of ca for this
// machine. It takes what comes as example.com, and answers 200.
func listening(t testing.TB, ca *siptest.CA, kind locate.Transport, host string) (*UA, *bridge) {
	t.Helper()
	b := newBridge(processed)
	cfg := testConfig()
	cfg.Listen = []string{kind.String() + "://" + net.JoinHostPort(host, "0")}
	cfg.SIPDomain, cfg.XMPPDomains = "example.com", []string{"example.org"}
	cfg.TLS = tlsOf(t, ca, ca.Issue(nil, "127.0.0.1", "::1", "gw.example.com"))
	return start(t, cfg, b), b
}

// routed is the configuration of a UA that sends everything to one place.
func routedTo(to netip.AddrPort, kind locate.Transport, tl *TLS) Config {
	cfg := testConfig()
	cfg.TLS = tl
	cfg.Routes = []Route{{Domain: "*", Via: mapping.URI{Scheme: "sip", Host: to.Addr().String(), Port: to.Port(), Transport: kind.String()}}}
	return cfg
}

// TestTransports: messages of all lengths go over each transport and both families, all over
// one connection.
func TestTransports(t *testing.T) {
	ca := siptest.NewCA(t, "Test CA")
	for _, kind := range append(linkKinds, locate.TCP) {
		for _, host := range []string{"127.0.0.1", "::1"} {
			t.Run(kind.String()+" "+host, func(t *testing.T) {
				far, got := listening(t, ca, kind, host)
				b := newBridge(nil)
				u := start(t, routedTo(far.bound[0], kind, tlsOf(t, ca, siptest.Cert{})), b)
				var bodies []string
				for i := range 30 {
					m := toExample(i)
					m.Body = bytes.Repeat([]byte{"x\xff"[i%2]}, 1+(i*i*i)%40000)
					if i%2 > 0 {
						m.ContentType = "application/octet-stream"
					}
					bodies = append(bodies, string(m.Body))
					u.Deliver(parcel(i, m))
				}
				for i := range 30 {
					if o := b.outcome(i); o.Kind != mapping.Answered || o.Status != 200 {
						t.Fatalf("%d: %+v", i, o)
					}
				}
				for _, m := range got.requests {
					if want := bodies[m.CSeq-1]; string(m.Body) != want {
						t.Errorf("%d: %d bytes, want %d", m.CSeq, len(m.Body), len(want))
					}
				}
				far.conns.mu.Lock()
				defer far.conns.mu.Unlock()
				if far.conns.accepted != 1 || len(got.requests) != 30 {
					t.Errorf("%d connections, %d requests", far.conns.accepted, len(got.requests))
				}
			})
		}
	}
}

func toExample(n int) *mapping.SIPMessage {
	return &mapping.SIPMessage{
		RequestURI: mapping.URI{Scheme: "sip", User: "romeo", Host: "example.org"}, To: mapping.URI{Scheme: "sip", User: "romeo", Host: "example.org"},
		From:   mapping.URI{Scheme: "sip", User: "juliet", Host: "example.com"},
		CallID: fmt.Sprintf("call-%d", n), FromTag: "tag", CSeq: uint32(n + 1), ContentType: "text/plain;charset=utf-8", Body: []byte("hi"),
	}
}

// TestOnTheWire: what a server sees that is not ours: Via, and one message in each frame.
func TestOnTheWire(t *testing.T) {
	ca := siptest.NewCA(t, "Test CA")
	cert := ca.Issue(nil, "127.0.0.1")
	const messages = 5
	for _, kind := range linkKinds {
		t.Run(kind.String(), func(t *testing.T) {
			got := make(chan string, messages)
			at := serve(t, func(c net.Conn) {
				var rw io.ReadWriter = c
				if kind.Secure() {
					rw = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert.Certificate}})
				}
				if kind == locate.TLS {
					r := bufio.NewReader(rw)
					for b := []byte(nil); ; {
						m, n, err := siptest.Parse(b)
						if err == nil {
							got <- string(b[:n])
							b = b[n:]
							fmt.Fprintf(rw, "%s", m.Reply(200, "OK"))
							continue
						}
						x, err := r.ReadByte()
						if err != nil {
							return
						}
						b = append(b, x)
					}
				}
				var asked string
				up := ws.Upgrader{Protocol: func(p []byte) bool { return string(p) == "sip" },
					OnHost:    func(h []byte) error { asked += string(h); return nil },
					OnRequest: func(uri []byte) error { asked = string(uri) + " "; return nil }}
				if _, err := up.Upgrade(rw); err != nil || asked != "/ "+c.LocalAddr().String() {
					got <- fmt.Sprint(asked, err)
					return
				}
				for {
					b, op, err := wsutil.ReadClientData(rw)
					if err != nil {
						return
					}
					if op != ws.OpText { // which the scripts of web pages like best
						b = nil
					}
					got <- string(b)
					if m, _, err := siptest.Parse(b); err == nil {
						wsutil.WriteServerText(rw, []byte(m.Reply(200, "OK")))
					}
				}
			})
			b := newBridge(nil)
			cfg := routedTo(at, kind, tlsOf(t, ca, cert))
			cfg.Listen = append(cfg.Listen, kind.String()+"://127.0.0.1:0")
			u := start(t, cfg, b)
			for i := range messages {
				u.Deliver(parcel(i, toExample(i)))
			}
			for i := range messages {
				if o := b.outcome(i); o.Status != 200 {
					t.Errorf("%d: %+v", i, o)
				}
				raw := <-got
				m, n, err := siptest.Parse([]byte(raw))
				if err != nil || n != len(raw) {
					t.Fatalf("%q: %v", raw, err)
				}
				want := fmt.Sprintf("SIP/2.0/%s %s;", strings.ToUpper(kind.String()), u.bound[2])
				if via := m.Get("Via"); !strings.HasPrefix(via, want) {
					t.Errorf("Via: %s, want %s", via, want)
				}
			}
		})
	}
}

// TestAnotherName: a server that is not the one that was asked for gets nothing, and the
// sender EL-004. What is behind the same address under its own name is not harmed.
func TestAnotherName(t *testing.T) {
	ca := siptest.NewCA(t, "Test CA")
	far, got := listening(t, ca, locate.TLS, "127.0.0.1")
	b := newBridge(nil)
	cfg := routedTo(far.bound[0], locate.TLS, tlsOf(t, ca, siptest.Cert{}))
	wrong := cfg.Routes[0]
	wrong.Domain = "wrong.example" // which is what its server has to prove, as its next hop has no name
	cfg.Routes = []Route{wrong, cfg.Routes[0]}
	var log siptest.Buffer
	u, err := New(cfg, testLog(t, &log))
	if err != nil {
		t.Fatal(err)
	}
	run(t, u, b)
	m := toExample(1)
	m.RequestURI.Host = "wrong.example"
	u.Deliver(parcel("wrong", m))
	u.Deliver(parcel("right", toExample(2)))
	if o := b.outcome("right"); o.Status != 200 {
		t.Errorf("%+v", o)
	}
	o := b.outcome("wrong")
	if o.Kind != mapping.NotWritten || o.Failure.Condition != mapping.CondRemoteServerNotFound || !strings.Contains(o.Failure.Remedy, `for "wrong.example", and shows one for "gw.example.com"`) {
		t.Errorf("%+v", o)
	}
	u.Deliver(parcel("again", toExample(3)))
	if o := b.outcome("again"); o.Status != 200 || got.count() != 2 {
		t.Errorf("%+v, %d requests", o, got.count())
	}
	// Its admin hears of it once, with the remedy.
	m = toExample(4)
	m.RequestURI.Host = "wrong.example"
	u.Deliver(parcel("wrong again", m))
	b.outcome("wrong again")
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "gw.example.com") {
		t.Errorf("%d warnings:\n%s", n, log.String())
	}
}
