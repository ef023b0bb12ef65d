package sipside

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// RFC 3261 §10.2: what a REGISTER says, that a binding is made anew before it ends, with the
// same Call-ID and a higher CSeq, and that it is taken back in the end.
func TestRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, nil)
		const contact = "sip:stox@gw.example.org"
		if b := o.Bindings(); len(b) != 1 || b[0] != contact {
			t.Fatalf("bindings: %q", b)
		}
		s := o.route()
		if s.Domain != "trunk.example" || !s.Register || !s.Registered || s.State != "registered" || s.LastStatus != 200 || s.Reason != "" ||
			s.Server != "udp 192.0.2.9:5060" || time.Until(s.Until) != 10*time.Minute || !s.Since.Equal(time.Now()) {
			t.Errorf("%+v", s)
		}
		after(time.Hour)
		all := o.Requests()
		for i, m := range all {
			if m.First != "REGISTER sip:trunk.example SIP/2.0" || m.Get("CSeq") != fmt.Sprintf("%d REGISTER", i+1) || m.Get("Expires") != "600" ||
				m.Get("To") != "<sip:stox@trunk.example>" || !strings.HasPrefix(m.Get("From"), "<sip:stox@trunk.example>;tag=") ||
				m.Get("From") != all[0].Get("From") || m.Get("Call-ID") != all[0].Get("Call-ID") || m.Get("Supported") != "path, outbound" ||
				m.Get("Contact") != "<"+contact+`>;expires=600;+sip.instance="<urn:uuid:f81d4fae-7dec-51d0-a765-00a0c91e6bf6>";reg-id=1` {
				t.Errorf("%d: %+v", i, m)
			}
		}
		for _, d := range o.gaps() {
			between(t, "refresh", d, 8*time.Minute, 9*time.Minute)
		}
		if n := len(all); n < 7 || n > 8 {
			t.Errorf("%d requests in an hour", n)
		}
		if n := o.logged("msg=\"registered:"); n != 1 {
			t.Errorf("%d lines say that it is registered", n)
		}
		o.stop()
		last := o.Requests()
		end := last[len(last)-1]
		if len(last) != len(all)+1 || len(o.Bindings()) != 0 || end.Get("Expires") != "0" || !strings.Contains(end.Get("Contact"), ";expires=0") || end.Get("Call-ID") != all[0].Get("Call-ID") {
			t.Errorf("at the end: %d requests, bindings %q, %+v", len(last)-len(all), o.Bindings(), end)
		}
		if strings.Contains(o.log.String(), "hunter2") {
			t.Error("the password is in the log")
		}
	})
}

// A route for all domains registers at the default SIP domain, and without an instance there
// is nothing that outbound needs.
func TestRegisterDefaultDomain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, func(_ *office, c *Config) { c.Routes[0].Domain, c.Instance = "*", "" })
		m := o.Requests()[0]
		if m.First != "REGISTER sip:example.net SIP/2.0" || m.Get("Contact") != "<sip:stox@gw.example.org>;expires=600" {
			t.Errorf("%+v", m)
		}
	})
}

// TestShortGrant: what the registrar grants counts, and a short binding is made anew at half
// its time.
func TestShortGrant(t *testing.T) {
	for grant, want := range map[int][2]time.Duration{
		60:   {30 * time.Second, 30 * time.Second},
		3600: {48 * time.Minute, 54 * time.Minute},
		1:    {leastRefresh, leastRefresh},
	} {
		t.Run(fmt.Sprint(grant), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, func(o *office, _ *Config) { o.Grant = grant })
				after(3 * want[1])
				gaps := o.gaps()
				if len(gaps) < 2 {
					t.Fatalf("refreshed %d times", len(gaps))
				}
				for _, d := range gaps {
					between(t, "refresh", d, want[0], want[1])
				}
			})
		})
	}
}

// RFC 3261 §10.2.8: 423 says how long a binding has to be. It is asked for once.
func TestIntervalTooBrief(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, func(o *office, _ *Config) {
			o.Script(func(_ int, m *siptest.Message) string {
				if m.Get("Expires") == "600" {
					return m.Reply(423, "Interval Too Brief", "Min-Expires: 1800")
				}
				return ""
			})
		})
		if all := o.Requests(); len(all) != 2 || all[1].Get("Expires") != "1800" || !o.route().Registered {
			t.Errorf("%d requests, %+v", len(all), o.route())
		}
		after(30 * time.Minute)
		if all := o.Requests(); len(all) != 3 || all[2].Get("Expires") != "1800" {
			t.Errorf("%d requests: the answer is not remembered", len(all))
		}
	})
	for _, least := range []string{"", "x", "0", "600", "99999999999999999999"} {
		t.Run("again and again "+least, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, func(o *office, _ *Config) {
					o.Script(func(_ int, m *siptest.Message) string {
						return m.Reply(423, "Interval Too Brief", "Min-Expires: "+least)
					})
				})
				after(5 * time.Minute)
				all := o.Requests()
				if n := len(all); n > 2 || o.route().State != "refused" || o.route().LastStatus != 423 {
					t.Errorf("%d requests, %+v", n, o.route())
				}
				if last := all[len(all)-1].Get("Expires"); last != "600" && last != "86400" {
					t.Errorf("asked for %s", last)
				}
			})
		})
	}
}

// TestRegisterRefused: 403 is not asked again for long, is told once and with a remedy, and
// is forgotten as soon as there is a binding.
func TestRegisterRefused(t *testing.T) {
	for _, status := range []int{401, 403, 404, 405, 302} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, func(o *office, _ *Config) {
					o.Script(func(n int, m *siptest.Message) string {
						if n < 7 {
							return m.Reply(status, "No", "Contact: <sip:elsewhere.example>")
						}
						return ""
					})
				})
				if s := o.route(); s.State != "refused" || s.Registered || s.LastStatus != status || s.Reason != fmt.Sprintf("answered %d", status) || !s.Until.IsZero() {
					t.Errorf("%+v", s)
				}
				after(12 * time.Hour)
				want := 10 * time.Minute
				for i, d := range o.gaps()[:7] {
					between(t, fmt.Sprint("pause ", i), d, want, want+want/10)
					want = min(2*want, 2*time.Hour)
				}
				if s := o.route(); !s.Registered || s.Reason != "" {
					t.Errorf("%+v", s)
				}
				remedies := 1
				if status == 401 { // and one that it was no challenge to be answered
					remedies = 2
				}
				if n := o.logged("refuses the registration"); n != 1 || o.logged("remedy=") != remedies || o.logged("msg=\"registered:") != 1 {
					t.Errorf("%d lines:\n%s", n, o.log)
				}
			})
		})
	}
}

// TestRegisterFails: what may be over soon is tried again soon, then less and less often
// (RFC 5626 §4.5), and is told once.
func TestRegisterFails(t *testing.T) {
	for _, how := range []string{"silence", "500", "408", "no binding", "nobody there"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, func(o *office, c *Config) {
					if how == "nobody there" {
						c.Routes[0].Via.Transport = "tcp"
						o.net.Fail(fmt.Errorf("refused"), nil)
					}
					o.Script(func(_ int, m *siptest.Message) string {
						switch how {
						case "silence":
							return "-"
						case "no binding":
							return m.Reply(200, "OK", "Contact: <sip:other@203.0.113.7>;expires=600", "Contact: <sip:stox@203.0.113.8>;expires=600")
						}
						return m.Reply(map[string]int{"500": 500, "408": 408}[how], "No")
					})
				})
				after(12 * time.Hour)
				s := o.route()
				if s.State != "lost" || s.Registered || s.Reason == "" {
					t.Errorf("%+v", s)
				}
				if n := o.logged("is not registered"); n != 1 || o.logged("remedy=") > 2 { // the other one is of the probe
					t.Errorf("%d lines:\n%s", n, o.log)
				}
				if how == "nobody there" {
					return
				}
				extra := time.Duration(0)
				var gaps []time.Duration
				for i, d := range o.gaps() {
					if how == "silence" && d < 10*time.Second {
						continue // a retransmission
					}
					if how == "silence" {
						extra = 500 * time.Millisecond // from the last one to Timer F
					}
					gaps = append(gaps, d)
					_ = i
				}
				want := 30 * time.Second
				for i, d := range gaps {
					between(t, fmt.Sprint("pause ", i), d, want/2, want+extra)
					want = min(2*want, 30*time.Minute)
				}
				if len(gaps) < 25 {
					t.Errorf("%d attempts in twelve hours", len(gaps))
				}
				o.stop()
				for _, m := range o.Requests() {
					if m.Get("Expires") == "0" {
						t.Error("a binding was taken back that there never was")
					}
				}
			})
		})
	}
}

// TestRegisterLater: Retry-After of a 503 is kept to, for an hour at most.
func TestRegisterLater(t *testing.T) {
	for asked, want := range map[string]time.Duration{"900": 15 * time.Minute, "80000": time.Hour} {
		t.Run(asked, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, func(o *office, _ *Config) {
					o.Script(func(n int, m *siptest.Message) string {
						if n == 0 {
							return m.Reply(503, "Service Unavailable", "Retry-After: "+asked)
						}
						return ""
					})
				})
				after(2 * time.Hour)
				between(t, "pause", o.gaps()[0], want, want)
				if !o.route().Registered {
					t.Errorf("%+v", o.route())
				}
			})
		})
	}
}

// twoServers lets the route lead to two of them.
func twoServers(_ *office, c *Config) {
	c.Routes[0].Via.Host = "trunk.example"
	c.Locator = located(func(q locate.Query) (all []locate.Target) {
		for _, a := range []string{"192.0.2.9:5060", "192.0.2.10:5060"} {
			all = append(all, locate.Target{Transport: max(q.Transport, locate.UDP), Addr: netip.MustParseAddrPort(a), Name: q.Host})
		}
		return all
	})
}

// TestRegisterFailover: the next server is asked at once, and the binding stays where it is
// as long as that server takes it.
func TestRegisterFailover(t *testing.T) {
	for _, how := range []string{"503", "silence"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, func(self *office, c *Config) {
					twoServers(self, c)
					self.Script(func(n int, m *siptest.Message) string {
						switch {
						case m.Source.Addr().String() != "192.0.2.9":
							return ""
						case how == "silence":
							return "-"
						}
						return m.Reply(503, "Service Unavailable")
					})
				})
				if how == "silence" {
					after(timerF)
				}
				if s := o.route(); !s.Registered || s.Server != "udp 192.0.2.10:5060" {
					t.Errorf("%+v, asked %q", s, o.went())
				}
				before := len(o.went())
				after(25 * time.Minute)
				for _, to := range o.went()[before:] {
					if to != "192.0.2.10:5060" {
						t.Errorf("refreshed at %s", to)
					}
				}
				if len(o.went()) < before+2 {
					t.Errorf("refreshed %d times", len(o.went())-before)
				}
				o.stop()
				if to := o.went(); to[len(to)-1] != "192.0.2.10:5060" || len(o.Bindings()) != 0 {
					t.Errorf("taken back at %s, left %q", to[len(to)-1], o.Bindings())
				}
			})
		})
	}
}

// RFC 5626 §4.4: what is registered over a connection is registered again when that breaks,
// at once; but not at once each time.
func TestRegisterFlowLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, func(_ *office, c *Config) { c.Routes[0].Via.Transport = "tcp" })
		if b := o.Bindings(); len(b) != 1 || b[0] != "sip:stox@gw.example.org;transport=tcp" {
			t.Fatalf("bindings: %q", b)
		}
		hangUp := func() {
			o.ua.conns.mu.Lock()
			defer o.ua.conns.mu.Unlock()
			for _, s := range o.ua.conns.streams {
				s.conn.Close()
			}
		}
		after(time.Minute)
		hangUp()
		after(2 * time.Second)
		gaps := o.gaps()
		if len(gaps) != 1 || !o.route().Registered {
			t.Fatalf("%v, %+v", gaps, o.route())
		}
		between(t, "again", gaps[0]-time.Minute, 100*time.Millisecond, 2*time.Second)
		for range 3 {
			hangUp()
			after(time.Hour / 4)
		}
		if n := o.logged("is not registered"); n != 1 { // and it was, again, in between
			t.Errorf("%d lines:\n%s", n, o.log)
		}
	})
	t.Run("each time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t, func(_ *office, c *Config) { c.Routes[0].Via.Transport = "tcp" })
			began := time.Now()
			for time.Since(began) < time.Hour {
				o.ua.conns.mu.Lock()
				for _, s := range o.ua.conns.streams {
					s.conn.Close()
				}
				o.ua.conns.mu.Unlock()
				after(time.Second)
			}
			if n := len(o.gaps()); n < 5 || n > 12 {
				t.Errorf("%d registrations in an hour at a server that hangs up each time", n)
			}
		})
	})
}

// A registrar that does not know outbound is registered at without (RFC 3261 §8.2.2.3).
func TestRegisterWithoutOutbound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, func(o *office, _ *Config) {
			o.Script(func(_ int, m *siptest.Message) string {
				if m.Get("Supported") != "" {
					return m.Reply(420, "Bad Extension", "Unsupported: path,outbound")
				}
				return ""
			})
		})
		if all := o.Requests(); len(all) != 2 || all[1].Get("Contact") != "<sip:stox@gw.example.org>;expires=600" || !o.route().Registered {
			t.Errorf("%d requests, %+v", len(all), o.route())
		}
	})
}

// A stop waits for the answer, and no longer than for anything else.
func TestUnregisterSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, func(o *office, _ *Config) {
			o.Script(func(n int, _ *siptest.Message) string {
				if n > 0 {
					return "-"
				}
				return ""
			})
		})
		began := time.Now()
		o.stop()
		between(t, "the stop", time.Since(began), 5*time.Second, 5*time.Second)
		if o.logged("was not taken back") != 1 {
			t.Errorf("%s", o.log)
		}
	})
}

// TestRegisterBesideMessages: messages that wait for their answers leave room for a binding
// to be made anew.
func TestRegisterBesideMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, func(o *office, c *Config) {
			c.MaxPending, o.Grant = 4, 60
			o.hold = true
		})
		for i := range 3 {
			v := toMem(i + 1)
			v.RequestURI.Host = "trunk.example"
			o.ua.Deliver(parcel(i, v))
		}
		after(31 * time.Second) // less than Timer F
		if out := o.bridge.told(); len(out) != 2 || len(o.Requests()) != 2 || !o.route().Registered {
			t.Errorf("%d messages refused, %d registrations, %+v", len(out), len(o.Requests()), o.route())
		}
	})
}

// What a request says of the socket that it was sent from is where it can be answered.
func TestContactURI(t *testing.T) {
	for _, tt := range []struct{ transport, sentBy, want string }{
		{"UDP", "gw.example.org", "sip:st%20ox@gw.example.org"},
		{"UDP", "GW.example.org:5060", "sip:st%20ox@gw.example.org"},
		{"TCP", "[2001:db8::1]:5070", "sip:st%20ox@[2001:db8::1]:5070;transport=tcp"},
		{"TLS", "gw.example.org:5061", "sip:st%20ox@gw.example.org:5061;transport=tls"},
		{"WS", "gw.example.org:80", "sip:st%20ox@gw.example.org:80;transport=ws"},
		{"WSS", "gw.example.org:443", "sip:st%20ox@gw.example.org:443;transport=ws"},
	} {
		if got := contactURI("st ox", tt.transport, tt.sentBy).String(); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.transport, tt.sentBy, got, tt.want)
		}
	}
}

// TestRegisterConfig: what a registration needs.
func TestRegisterConfig(t *testing.T) {
	for want, edit := range map[string]func(c *Config){
		"sip.route[0].username": func(c *Config) { c.Routes[0].Login = Login{} },
		"sip.route[0].via":      func(c *Config) { c.Routes[0].Via = mapping.URI{} },
		"instance":              func(c *Config) { c.Instance = "urn:uuid:\r\nX: y" },
	} {
		c := testConfig()
		c.Routes = []Route{{Domain: "*", Via: mapping.URI{Scheme: "sip", Host: officeVia}, Login: Login{"stox", "hunter2"}, Register: true}}
		edit(&c)
		if _, err := New(c, testLog(t, nil)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestStopWhileRegistering: a request that is open when the end comes is waited for: the binding
// that it may have made is taken back, under a number that it has not used (RFC 3261 §10.2).
func TestStopWhileRegistering(t *testing.T) {
	for name, challenge := range map[string]bool{"its answer was lost": false, "it is challenged": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				bound, used := false, make(map[string]string) // CSeq -> Expires
				o := newOffice(t, func(o *office, _ *Config) {
					o.Script(func(n int, m *siptest.Message) string {
						mu.Lock()
						defer mu.Unlock()
						if before, ok := used[m.Get("CSeq")]; ok && before != m.Get("Expires") {
							t.Errorf("CSeq %s stands for Expires %s and %s", m.Get("CSeq"), before, m.Get("Expires"))
						}
						used[m.Get("CSeq")] = m.Get("Expires")
						if challenge && m.Get("Authorization") == "" {
							if n == 0 {
								return "-"
							}
							return m.Reply(401, "Unauthorized", `WWW-Authenticate: Digest realm="trunk.example", nonce="n", qop="auth"`)
						}
						bound = m.Get("Expires") != "0"
						if n == 0 {
							return "-"
						}
						return m.Reply(200, "OK", "Contact: "+m.Get("Contact"))
					})
				})
				o.stop()
				mu.Lock()
				defer mu.Unlock()
				if last := o.Requests(); bound || last[len(last)-1].Get("Expires") != "0" {
					t.Errorf("a binding is left; %d requests, the last with Expires %s", len(last), last[len(last)-1].Get("Expires"))
				}
			})
		})
	}
}

// TestStopWithoutRegistrar: a registrar that says nothing does not hold up the end for long.
func TestStopWithoutRegistrar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, func(o *office, _ *Config) {
			o.Script(func(int, *siptest.Message) string { return "-" })
		})
		began := time.Now()
		o.stop()
		between(t, "the stop", time.Since(began), 0, 5*time.Second)
	})
}

// TestPanicInRegistration: a fault of ours in an attempt costs this attempt.
func TestPanicInRegistration(t *testing.T) {
	cfg := testConfig()
	cfg.Routes = []Route{{Domain: "trunk.example", Via: mapping.URI{Scheme: "sip", Host: officeVia}, Login: Login{"stox", "hunter2"}, Register: true}}
	u, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := u.current().registrations[u.current().routes[0]]
	r.newest.Store(&target{route: r.route(), fault: mapping.FailTransport()})
	r.of = nil // whom it has to tell
	between(t, "the pause", r.guarded(t.Context(), t.Context()), shortestPause/2, shortestPause)
	if n := u.stats.Panics.Load(); n != 1 {
		t.Errorf("%d panics", n)
	}
}
