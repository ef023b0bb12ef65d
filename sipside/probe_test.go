package sipside

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// asking is an office whose route does not register.
func asking(t *testing.T, edit func(o *office, c *Config)) *office {
	return newOffice(t, func(o *office, c *Config) {
		c.Routes[0].Register, c.Routes[0].Login = false, Login{}
		if edit != nil {
			edit(o, c)
		}
	})
}

func (o *office) questions() (to []string, at []time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.asked {
		to = append(to, a.String())
	}
	return to, append(at, o.askAt...)
}

func (o *office) set(mute bool, deny func(*siptest.Wire) string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mute, o.deny = mute, deny
}

var (
	firstServer  = locate.Target{Transport: locate.UDP, Addr: netip.MustParseAddrPort("192.0.2.9:5060"), Name: "trunk.example"}
	secondServer = locate.Target{Transport: locate.UDP, Addr: netip.MustParseAddrPort("192.0.2.10:5060"), Name: "trunk.example"}
)

// TestProbe: a route is asked every 45 to 60 s, what the request says, and what any answer is
// taken for.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last *siptest.Wire
		o := asking(t, func(o *office, _ *Config) {
			o.deny = func(w *siptest.Wire) string { last = w; return w.Reply(404, "Not Found") }
		})
		if s := o.route(); s.Probe != Unsure || s.Register {
			t.Errorf("%+v", s)
		}
		after(time.Hour)
		_, at := o.questions()
		if len(at) < 60 || len(at) > 80 {
			t.Errorf("%d questions in an hour", len(at))
		}
		for i := 1; i < len(at); i++ {
			between(t, "pause", at[i].Sub(at[i-1]), probeAtLeast, probeAtMost)
		}
		if s := o.route(); s.Probe != Alive {
			t.Errorf("%+v", s)
		}
		if last.First != "OPTIONS sip:192.0.2.9 SIP/2.0" || last.Get("To") != "<sip:192.0.2.9>" || !strings.HasPrefix(last.Get("From"), "<sip:gw.example.org>;tag=") {
			t.Errorf("%s", last.Raw)
		}
		o.set(false, func(w *siptest.Wire) string { return w.Reply(503, "Service Unavailable") })
		after(time.Minute)
		if s := o.route(); s.Probe != Dead || s.ProbeReason != "answered 503" {
			t.Errorf("%+v", s)
		}
		o.set(false, nil)
		after(time.Minute)
		if s := o.route(); s.Probe != Alive || s.ProbeReason != "" {
			t.Errorf("%+v", s)
		}
		if n, m := o.logged("does not answer"), o.logged("answers again"); n != 1 || m != 1 {
			t.Errorf("%d and %d lines:\n%s", n, m, o.log)
		}
		for range 4 { // is told seldom, though it goes on
			o.set(true, nil)
			after(2 * time.Minute)
			o.set(false, nil)
			after(2 * time.Minute)
		}
		if n := o.logged("does not answer"); n != 2 {
			t.Errorf("%d lines in 16 minutes:\n%s", n, o.log)
		}
	})
}

// TestProbeNotNeeded: while requests are answered nothing is asked.
func TestProbeNotNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := asking(t, nil)
		for i := range 60 {
			v := toMem(i + 1)
			v.RequestURI.Host = "trunk.example"
			o.ua.Deliver(parcel(i, v))
			after(20 * time.Second)
		}
		if to, _ := o.questions(); len(to) != 0 {
			t.Errorf("%d questions", len(to))
		}
		if s := o.route(); s.Probe != Alive {
			t.Errorf("%+v", s)
		}
	})
}

// TestNoProbeWithoutVia: nobody asks where DNS leads, nor a server twice that two routes have.
func TestNoProbeWithoutVia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := asking(t, func(_ *office, c *Config) { c.Routes[0].Via = mapping.URI{} })
		after(time.Hour)
		if to, _ := o.questions(); len(to) != 0 || len(o.ua.Routes()) != 0 {
			t.Errorf("%d questions, %+v", len(to), o.ua.Routes())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		o := asking(t, func(_ *office, c *Config) {
			c.Routes = append(c.Routes, Route{Domain: "*", Via: c.Routes[0].Via})
		})
		after(time.Minute)
		if to, _ := o.questions(); len(to) != 1 || len(o.ua.Routes()) != 2 {
			t.Errorf("%d questions, %+v", len(to), o.ua.Routes())
		}
	})
}

// TestProbeFailover: a server that falls silent is behind the others before a message meets
// it, and in its place again when it answers.
func TestProbeFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := asking(t, twoServers)
		after(time.Minute)
		o.set(false, func(w *siptest.Wire) string {
			if w.Source == firstServer.Addr {
				return "-"
			}
			return ""
		})
		after(2 * time.Minute)
		if _, avoided := o.ua.client.health.Avoided(firstServer, time.Now()); !avoided || o.route().Probe != Alive || o.logged("does not answer") != 0 {
			t.Errorf("avoided %v, %+v\n%s", avoided, o.route(), o.log)
		}
		for range 20 { // and it stays so
			after(30 * time.Second)
			if _, avoided := o.ua.client.health.Avoided(firstServer, time.Now()); !avoided {
				t.Fatal("not avoided any more")
			}
		}
		o.set(false, nil)
		after(2 * time.Minute)
		if _, avoided := o.ua.client.health.Avoided(firstServer, time.Now()); avoided {
			t.Error("avoided although it answers")
		}
	})
}

// A server that has never answered OPTIONS is not avoided for that, and not called dead as
// long as it takes messages.
func TestProbeMute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := asking(t, func(o *office, c *Config) { twoServers(o, c); o.mute = true })
		v := toMem(1)
		v.RequestURI.Host = "trunk.example"
		o.ua.Deliver(parcel(1, v))
		after(time.Hour)
		for _, s := range []locate.Target{firstServer, secondServer} {
			if _, avoided := o.ua.client.health.Avoided(s, time.Now()); avoided {
				t.Errorf("%s is avoided", s)
			}
		}
		if s := o.route(); s.Probe != Unsure || s.ProbeReason == "" || o.logged("does not answer") != 0 {
			t.Errorf("%+v\n%s", s, o.log)
		}
	})
	t.Run("nor anything else", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := asking(t, func(o *office, c *Config) { o.mute = true })
			after(time.Hour)
			if s := o.route(); s.Probe != Dead || o.logged("does not answer") != 1 {
				t.Errorf("%+v\n%s", s, o.log)
			}
			to, _ := o.questions()
			if n := len(to); n > 45*11 {
				t.Errorf("%d packets in an hour", n)
			}
		})
	})
}

// RFC 5626 §4.4.2: over UDP a flow with a binding is kept open for NAT, as often as the
// registrar wants it; one that is silent is given up for another server.
func TestFlowOverUDP(t *testing.T) {
	for timer, want := range map[string]time.Duration{"": natFlow, "Flow-Timer: 120": 2 * time.Minute} {
		t.Run(timer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, func(o *office, c *Config) {
					twoServers(o, c)
					o.Grant = 3600 // nothing else is sent meanwhile
					if timer != "" {
						o.Script(func(_ int, m *siptest.Message) string {
							contact := strings.Replace(m.Get("Contact"), "=600", "=3600", 1)
							return m.Reply(200, "OK", "Contact: "+contact, timer, "Require: outbound")
						})
					}
				})
				after(7 * time.Minute)
				to, at := o.questions()
				if len(at) < 3 || to[0] != firstServer.Addr.String() {
					t.Fatalf("%d questions, %q", len(at), to)
				}
				for i := 1; i < len(at); i++ {
					between(t, "pause", at[i].Sub(at[i-1]), want*8/10, want)
				}
				o.set(false, func(w *siptest.Wire) string {
					if w.Source == firstServer.Addr {
						return "-"
					}
					return ""
				})
				after(want + timerF + 3*time.Second)
				if s := o.route(); s.Server != secondServer.String() || !s.Registered {
					t.Errorf("%+v, registered at %q", s, o.went())
				}
			})
		})
	}
}

// TestFlowTimerOfStream: over a connection pings come as often as the registrar wants them.
func TestFlowTimerOfStream(t *testing.T) {
	for _, within := range []time.Duration{20 * time.Second, 30 * time.Minute} {
		k := keeper{every: pingAtMost, within: within}
		for now := time.Duration(0); now < 5*within; {
			_, _, wait := k.next(now, now) // something comes all the time
			if wait > within {
				t.Fatalf("%v: silent for %v", within, wait)
			}
			if now += wait; now > 2*within && wait < within*8/10 {
				t.Errorf("%v: a ping after %v", within, wait)
			}
			k.every = 0
		}
	}
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, func(o *office, c *Config) {
			c.Routes[0].Via.Transport = "tcp"
			o.Script(func(_ int, m *siptest.Message) string {
				return m.Reply(200, "OK", "Contact: "+m.Get("Contact"), "Flow-Timer: 20")
			})
		})
		o.ua.conns.mu.Lock()
		defer o.ua.conns.mu.Unlock()
		for _, s := range o.ua.conns.streams {
			if d := time.Duration(s.timer.Load()); d != 20*time.Second {
				t.Errorf("the connection is told %v", d)
			}
		}
	})
}

// TestProbeChallenged: that a server asks who we are, to a question, says no more of it than any
// other answer: one that fails messages has its rest.
func TestProbeChallenged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := asking(t, func(o *office, c *Config) {
			twoServers(o, c)
			c.Routes[0].Login = Login{"stox", "hunter2"}
			n := 0
			o.deny = func(w *siptest.Wire) string {
				if strings.Contains(w.Get("Authorization"), "nc=00000001") { // it takes a nonce once
					return ""
				}
				n++
				return w.Reply(401, "Unauthorized", fmt.Sprintf(`WWW-Authenticate: Digest realm="x", nonce="%d", qop="auth"`, n))
			}
		})
		after(time.Minute)
		o.ua.client.health.Unavailable(firstServer, 5*time.Minute, time.Now()) // as it fails messages
		before, _ := o.questions()
		after(4 * time.Minute)
		if to, _ := o.questions(); len(to) == len(before) {
			t.Error("nothing was asked meanwhile")
		}
		if _, avoided := o.ua.client.health.Avoided(firstServer, time.Now()); !avoided {
			t.Error("its rest is over, as it answers questions")
		}
	})
}
