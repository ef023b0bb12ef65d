package component

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// examine runs f in a bubble, with a server and a Component that is not running.
func examine(t *testing.T, o xmpptest.Options, f func(t *testing.T, srv *xmpptest.Server, c *Component)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Domain = testDomain
		if o.Secret == "" {
			o.Secret = testSecret
		}
		srv := xmpptest.NewMemory(t, o)
		c, err := New(Config{Server: srv.Addr(), Domain: testDomain, Secret: testSecret, Dial: srv.Dial}, nil)
		if err != nil {
			t.Fatal(err)
		}
		f(t, srv, c)
		srv.Close()
	})
}

func TestExamine(t *testing.T) {
	const answers = "example.com"
	server := xmpptest.Options{OnIQ: func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
		switch {
		case st.To == "Example.ORG":
			c.Bounce(st, "remote-server-not-found")
		case st.To == "example.net" && strings.Contains(st.Raw, nsVersion):
			c.Bounce(st, "service-unavailable")
		case st.To == "example.net" && strings.Contains(st.Raw, "disco#info"):
			c.Send("<iq type='result' from='example.net' to='" + testDomain + "' id='" + st.ID + "'><query xmlns='http://jabber.org/protocol/disco#info'>" +
				"<identity category='pubsub' type='pep' name='no server'/><identity category='server' type='im' name='Prosody'/></query></iq>")
		case st.To == answers && strings.Contains(st.Raw, nsTime):
			c.Send(fmt.Sprintf("<iq type='result' from='%s' to='%s' id='%s'><time xmlns='urn:xmpp:time'><tzo>+01:00</tzo><utc>%s</utc></time></iq>",
				answers, testDomain, st.ID, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
		default:
			return false
		}
		return true
	}}
	examine(t, server, func(t *testing.T, srv *xmpptest.Server, c *Component) {
		ended := make(chan bool, 1)
		go func() { ended <- srv.Accept().WaitEnd() }()
		x, err := c.Examine(t.Context(), []string{answers, "Example.ORG", "example.net"})
		if err != nil {
			t.Fatal(err)
		}
		if len(x.Barriers) != roundTrips || len(x.Domains) != 3 {
			t.Fatalf("%+v", x)
		}
		if d := x.Domains[0]; d.Domain != answers || !d.Reached || d.Failure != nil || d.Name != "Prosody" || d.Version != "1" || !d.HasTime || d.Clock != time.Hour {
			t.Errorf("%+v", d)
		}
		if d := x.Domains[1]; !d.Reached || d.Failure == nil || d.Failure.Condition != mapping.CondRemoteServerNotFound || d.HasTime || d.Name != "" {
			t.Errorf("%+v, %+v", d, d.Failure)
		}
		if d := x.Domains[2]; d.Name != "Prosody" || d.Version != "" || d.Failure != nil { // by its identity
			t.Errorf("%+v, %+v", d, d.Failure)
		}
		if !<-ended {
			t.Error("the stream was not ended")
		}
	})
}

// While somebody is only looking, the gateway is not there for anybody: what comes is
// answered as the server would answer without us. Never is an error answered (SEC-10).
func TestExamineRefusesWhatComes(t *testing.T) {
	got := make(chan xmpptest.Stanza, 10)
	var sent atomic.Bool
	server := xmpptest.Options{
		OnIQ: func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
			if sent.CompareAndSwap(false, true) {
				c.Send(`<message from='juliet@example.com/balcony' to='romeo@sip.example.com' id='m1' type='chat'><body>hi</body></message>` +
					`<message from='juliet@example.com' to='romeo@sip.example.com' id='m2' type='error'><body>hi</body></message>` +
					`<presence from='juliet@example.com' to='romeo@sip.example.com'/>` +
					`<iq from='juliet@example.com/balcony' to='sip.example.com' id='q1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>` +
					`<iq from='juliet@example.com/balcony' to='sip.example.com' id='q2' type='result'/>`)
			}
			return false
		},
		OnStanza: func(_ *xmpptest.Conn, st xmpptest.Stanza) bool { got <- st; return true },
	}
	server.Domain, server.Secret = testDomain, testSecret
	srv := xmpptest.New(t, server) // a connection with room: both sides write at once
	c, err := New(Config{Server: srv.Addr(), Domain: testDomain, Secret: testSecret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Examine(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	srv.Accept().WaitEnd()
	close(got)
	var ids []string
	for st := range got {
		if st.Condition != "service-unavailable" || st.ErrorType != "wait" || st.To != "juliet@example.com/balcony" || strings.Contains(st.Raw, "hi") {
			t.Errorf("%s", st.Raw)
		}
		ids = append(ids, st.Name+" "+st.ID+" from "+st.From)
	}
	if want := "message m1 from romeo@sip.example.com, iq q1 from sip.example.com"; strings.Join(ids, ", ") != want {
		t.Errorf("answered %q, want %s", ids, want)
	}
}

// A domain without an answer is a finding, not the end of it.
func TestExamineSilentDomain(t *testing.T) {
	server := xmpptest.Options{OnIQ: func(_ *xmpptest.Conn, st xmpptest.Stanza) bool { return st.To == "example.com" }}
	examine(t, server, func(t *testing.T, _ *xmpptest.Server, c *Component) {
		x, err := c.Examine(t.Context(), []string{"example.com"})
		if err != nil || len(x.Domains) != 1 || x.Domains[0].Reached || len(x.Barriers) != roundTrips {
			t.Errorf("%+v, %v", x, err)
		}
	})
}

func TestExamineFaults(t *testing.T) {
	nth := func(n int, then func(*xmpptest.Conn, xmpptest.Stanza)) func(*xmpptest.Conn, xmpptest.Stanza) bool {
		var seen atomic.Int32
		return func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
			if int(seen.Add(1)) != n {
				return false
			}
			then(c, st)
			return true
		}
	}
	lost := func(*xmpptest.Conn, xmpptest.Stanza) {}
	var kept xmpptest.Stanza
	var order atomic.Int32
	for name, e := range map[string]struct {
		server xmpptest.Options
		refuse error
		reason string
		text   string
	}{
		"wrong secret":                 {server: xmpptest.Options{Secret: "other"}, reason: "not-authorized", text: "xmpp.secret"},
		"no server":                    {refuse: errors.New("nothing"), reason: "connect", text: "xmpp.server"},
		"a ping that does not return":  {server: xmpptest.Options{OnIQ: nth(7, lost)}, reason: "split", text: "another program is connected as this component: "},
		"a later one does not":         {server: xmpptest.Options{OnIQ: nth(linkCheck+3, lost)}, reason: "unanswered", text: "has not given back a ping of ours"},
		"the server ends the stream":   {server: xmpptest.Options{OnIQ: nth(2, func(c *xmpptest.Conn, _ xmpptest.Stanza) { c.StreamError("system-shutdown") })}, reason: "system-shutdown", text: "is being stopped"},
		"the server is gone":           {server: xmpptest.Options{OnIQ: nth(linkCheck+1, func(c *xmpptest.Conn, _ xmpptest.Stanza) { c.Drop() })}, reason: "dropped", text: "dropped the connection"},
		"silence after the connection": {server: xmpptest.Options{Handshake: func(c net.Conn) bool { _, _ = c.Read(make([]byte, 4096)); _, _ = c.Read(make([]byte, 1)); return false }}, reason: "handshake-timeout", text: "component port"},
		"pings in another order": {reason: "split", text: "another program is connected", server: xmpptest.Options{OnIQ: func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
			switch order.Add(1) {
			case 4:
				kept = st
				return true
			case 5:
				c.Echo(st)
				c.Echo(kept)
				return true
			}
			return false
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			examine(t, e.server, func(t *testing.T, srv *xmpptest.Server, c *Component) {
				if e.refuse != nil {
					srv.Refuse(e.refuse)
				}
				_, err := c.Examine(t.Context(), nil)
				f, is := errors.AsType[*Fault](err)
				if !is || f.Reason != e.reason || !strings.Contains(f.Text, e.text) || f.Err == nil {
					t.Errorf("%#v", err)
				}
				if strings.Contains(fmt.Sprint(err, f), testSecret) { // SEC-14
					t.Error("the secret is in the error")
				}
			})
		})
	}
}

// The end of the context is the end of it, wherever it is.
func TestExamineStops(t *testing.T) {
	for _, at := range []int32{1, linkCheck + 5, linkCheck + roundTrips + 1} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var seen atomic.Int32
			srv := xmpptest.NewMemory(t, xmpptest.Options{Domain: testDomain, Secret: testSecret, OnIQ: func(*xmpptest.Conn, xmpptest.Stanza) bool {
				n := seen.Add(1)
				if n == at {
					cancel()
				}
				return n >= at
			}})
			c, err := New(Config{Server: srv.Addr(), Domain: testDomain, Secret: testSecret, Dial: srv.Dial}, nil)
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			if _, err := c.Examine(ctx, []string{"example.com"}); !errors.Is(err, context.Canceled) || time.Since(begin) != 0 {
				t.Errorf("stopped at %d: %v after %v", at, err, time.Since(begin))
			}
			srv.Close()
		})
	}
}

// So is its deadline, which the connection has, too.
func TestExamineDeadline(t *testing.T) {
	server := xmpptest.Options{Handshake: func(c net.Conn) bool { _, _ = c.Read(make([]byte, 4096)); _, _ = c.Read(make([]byte, 1)); return false }}
	examine(t, server, func(t *testing.T, _ *xmpptest.Server, c *Component) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Examine(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}
