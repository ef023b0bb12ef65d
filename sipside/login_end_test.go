package sipside

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// What becomes of the request that answers a challenge: it has timers of its own, ends once,
// and says which number was the last.
func TestEndAfterChallenge(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(u *UA, m *memNet, p memPacket)
		kind mapping.OutcomeKind
		sent int // transmissions of it
	}{
		{"silence", func(*UA, *memNet, memPacket) { time.Sleep(timerF) }, mapping.Unknown, 11},
		{"silence, not yet", func(*UA, *memNet, memPacket) { time.Sleep(timerF - time.Millisecond) }, 0, 11},
		{"100", func(_ *UA, m *memNet, p memPacket) {
			m.in <- packet{b: []byte(answerTo(p, 100)), to: memPeer}
			time.Sleep(timerF)
		}, mapping.Unknown, 8},
		{"nobody listens", func(u *UA, _ *memNet, p memPacket) { u.client.refused(memPeer, p.data, errors.New("x")) }, mapping.NotWritten, 1},
		{"the first one again", func(u *UA, m *memNet, p memPacket) {
			first := m.all()[0]
			u.client.refused(memPeer, first.data, errors.New("x"))
			m.in <- packet{b: []byte(answerTo(first, 401)), to: memPeer}
			m.in <- packet{b: []byte(answerTo(first, 200)), to: memPeer}
		}, 0, 1},
		{"stop", func(u *UA, _ *memNet, _ memPacket) { u.client.close() }, mapping.Unknown, 1},
		{"503", func(_ *UA, m *memNet, p memPacket) { m.in <- packet{b: []byte(answerTo(p, 503)), to: memPeer} }, mapping.Answered, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(nil)
				cfg := testConfig()
				cfg.Routes = []Route{{Domain: "*", Via: mapping.MustParseURI("sip:192.0.2.9"), Login: Login{"stox", passphrase}}}
				u, m := memUA(t, cfg, b)
				u.Deliver(parcel("x", toExample(0)))
				synctest.Wait()
				time.Sleep(timerT1 + time.Millisecond) // it is sent twice
				m.in <- packet{b: []byte(answerTo(m.all()[0], 401, `WWW-Authenticate: Digest realm="x", nonce="n", qop="auth"`)), to: memPeer}
				synctest.Wait()
				if n := len(m.all()); n != 3 {
					t.Fatalf("%d packets", n)
				}
				tt.then(u, m, m.all()[2])
				synctest.Wait()
				told := b.told()
				if o, ok := told["x"]; ok != (tt.kind != 0) || ok && (o.Kind != tt.kind || o.CSeq != 2) {
					t.Errorf("%+v", told)
				}
				if n := len(m.all()) - 2; n != tt.sent {
					t.Errorf("sent %d times, want %d", n, tt.sent)
				}
			})
		})
	}
}

// replyTo makes the answer to a request that the UA has sent.
func answerTo(p memPacket, status int, lines ...string) string {
	m, _, err := siptest.Parse(p.data)
	if err != nil {
		panic(err)
	}
	return m.Reply(status, "x", lines...)
}

// A connection that breaks between the challenge and what is said to it, and after that.
func TestConnectionLostAfterChallenge(t *testing.T) {
	for _, tt := range []struct {
		name string
		hang func(m *siptest.Message) bool // instead of an answer
		kind mapping.OutcomeKind
	}{
		{"after the credentials", func(m *siptest.Message) bool { return m.Get("Authorization") != "" }, mapping.Unknown},
		{"before the challenge", func(m *siptest.Message) bool { return true }, mapping.Unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := siptest.Listen(t, "tcp")
			a := newAsker(401, "x")
			hung := make(chan struct{}, 10)
			p.Answer(func(m *siptest.Message) string {
				if tt.hang(m) {
					hung <- struct{}{}
					return ""
				}
				return a.ask(m, time.Now())
			})
			u, b, _ := startLogin(t, loginRoute(p))
			u.Deliver(parcel("x", toExample(0)))
			<-hung
			p.Hangup()
			if o := b.outcome("x"); o.Kind != tt.kind {
				t.Errorf("%+v", o)
			}
		})
	}
}

// A fault of ours while a challenge is answered ends the request, too: nothing else would.
func TestPanicInAnswer(t *testing.T) {
	p := siptest.Listen(t, "udp")
	p.Answer(func(m *siptest.Message) string { return m.Reply(401, "No", `WWW-Authenticate: Basic realm="x"`) })
	u, b, _ := startLogin(t, loginRoute(p))
	u.current().logins[u.current().routes[0]].log = nil // there is something to be said there
	u.Deliver(parcel("x", toExample(0)))
	if o := b.outcome("x"); o.Status != 401 {
		t.Errorf("%+v", o)
	}
	// The panic is counted after that is told, but before the next answer is read.
	u.Deliver(parcel("y", toExample(1)))
	if o := b.outcome("y"); o.Status != 401 || u.stats.Panics.Load() == 0 {
		t.Errorf("%+v, %d panics", o, u.stats.Panics.Load())
	}
}
