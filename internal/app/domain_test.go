package app

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stoxgw/stox/component"
	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// startTwo starts a daemon with a further component name, lab.example.com for
// lab.example, at a server of its own.
func startTwo(t *testing.T, network string) (g *gateway, server *xmpptest.Server, second *xmpptest.Conn) {
	t.Helper()
	server = newServer(t, "lab.example.com")
	g = newGateway(t, network, func(cfg *config.Config) {
		cfg.Domains = []config.Domain{{XMPP: "lab.example.com", SIP: "lab.example", Server: server.Addr(), Secret: "component secret"}}
	})
	g.run()
	return g, server, linked(t, server, "lab.example.com")
}

// ADDR-14, ADDR-20: whoever is written to under a further component name is a user
// of its SIP domain, and answers, and fails, under that name, by that link.
func TestTwoDomains(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		g, _, second := startTwo(t, network)
		g.peer.Answer(func(m *siptest.Message) string {
			if strings.Contains(m.Get("To"), "nobody") {
				return m.Reply(404, "Not Found")
			}
			return m.Reply(200, "OK")
		})
		for i, c := range []struct {
			conn *xmpptest.Conn
			to   string
			uri  string
		}{
			{g.xmpp, "romeo@sip.example.com", "sip:romeo@pbx.example.net"},
			{second, "romeo@lab.example.com", "sip:romeo@lab.example"},
		} {
			send := func(id, to string) {
				t.Helper()
				if err := c.conn.Send(fmt.Sprintf("<message from='juliet@example.com/balcony' to='%s' id='%s' type='chat'><body>hello</body></message>", to, id)); err != nil {
					t.Fatal(err)
				}
			}
			send("there", c.to)
			if got := g.peer.Await(2*i + 1)[2*i].First; got != "MESSAGE "+c.uri+" SIP/2.0" {
				t.Errorf("%s became %q", c.to, got)
			}
			domain := c.to[strings.IndexByte(c.to, '@'):]
			send("failed", "nobody"+domain)
			if st := c.conn.Next(); st.Type != "error" || st.From != "nobody"+domain || st.ID != "failed" || st.Condition != "item-not-found" {
				t.Errorf("the error of nobody%s: %s", domain, st.Raw)
			}
			branch, raw := g.requestFrom(c.uri, i, "sip:juliet@example.com", "hello back")
			g.peer.Send(g.sip, raw)
			if st := c.conn.Next(); st.From != c.to || st.Body != "hello back" {
				t.Errorf("%s came as %s", c.uri, st.Raw)
			}
			if got := g.peer.Final(branch).Status(); got != handedOver {
				t.Errorf("%s was answered %d, want %d", c.uri, got, handedOver)
			}
		}
	})
}

// Links fail independently: one that is gone takes its own users with it and
// nobody else.
func TestOneLinkDown(t *testing.T) {
	for _, gone := range []string{"sip.example.com", "lab.example.com"} {
		t.Run(gone, func(t *testing.T) {
			g, server, second := startTwo(t, "udp")
			uris := map[string]string{"sip.example.com": "sip:romeo@pbx.example.net", "lab.example.com": "sip:romeo@lab.example"}
			left, conn := "lab.example.com", second
			if gone == "lab.example.com" {
				left, conn = "sip.example.com", g.xmpp
				server.Close()
				<-second.Closed
			} else {
				g.server.Close()
				<-g.xmpp.Closed
			}
			g.log.await("side=xmpp", "component="+gone, "retry_in=")
			n := 0
			answer := func(domain string) int {
				n++
				branch, raw := g.requestFrom(uris[domain], n, "sip:juliet@example.com", "hello")
				g.peer.Send(g.sip, raw)
				return g.peer.Final(branch).Status()
			}
			if got := answer(gone); got != 503 {
				t.Errorf("for %s, which has no link: %d, want 503", gone, got)
			}
			if got := answer(left); got != handedOver {
				t.Errorf("for %s, which has one: %d, want %d", left, got, handedOver)
			}
			if st := conn.Next(); st.From != "romeo@"+left {
				t.Errorf("arrived: %s", st.Raw)
			}
			q := liveQueue{links: g.app.xmpp}
			all, err := q.Links(t.Context())
			if err != nil || len(all) != 2 || all[0].Component != "sip.example.com" || all[0].Server != g.server.Addr() || all[1].Component != "lab.example.com" || all[1].Server != server.Addr() {
				t.Errorf("%+v, %v", all, err)
			}
			for _, l := range all {
				if l.Component == left && (l.State != "up" || l.Since.IsZero() || l.Text != "") {
					t.Errorf("%+v", l)
				}
			}
			if !g.app.xmpp.Up() {
				t.Error("one link is up, and the XMPP side says that none is")
			}
		})
	}
}

// A batch goes to the links by sender, in order, and costs nothing where there is
// one link.
func TestLinksSplit(t *testing.T) {
	parcel := func(from string) mapping.Parcel[mapping.XMPP] {
		return mapping.Parcel[mapping.XMPP]{Ref: from, Value: &mapping.XMPPMessage{From: mapping.MustParseJID(from), To: mapping.MustParseJID("juliet@example.com")}}
	}
	one := testLinks(t)
	two := testLinks(t, config.Domain{XMPP: "xn--bcher-kva.example", SIP: "lab.example", Server: "127.0.0.1:1", Secret: "component secret"})
	for from, want := range map[string]int{"a@sip.example.com": 0, "a@bücher.example": 1, "bücher.example": 1, "a@elsewhere.example": 0, "a@lab.example": 0} {
		for _, v := range []mapping.XMPP{parcel(from).Value, &mapping.XMPPError{From: mapping.MustParseJID(from)},
			&mapping.XMPPCommandReply{From: mapping.MustParseJID(from)}, &mapping.XMPPRegisterReply{From: mapping.MustParseJID(from)}} {
			if got := two.of(v); got != want {
				t.Errorf("%T from %s goes to %s", v, from, two.names[got])
			}
			if got := one.of(v); got != 0 {
				t.Errorf("%T from %s goes to link %d of one", v, from, got)
			}
		}
	}
	if all, err := (&liveQueue{links: two}).Links(t.Context()); err != nil || len(all) != 2 || all[1].State != "idle" {
		t.Errorf("before they run: %+v, %v", all, err)
	}
	if two.Up() {
		t.Error("up before it runs")
	}
	batch := make([]mapping.Parcel[mapping.XMPP], 100)
	for i := range batch {
		batch[i] = parcel("a@sip.example.com")
	}
	for name, l := range map[string]*links{"one": one, "two": two} {
		alone := l.all[0]
		direct := testing.AllocsPerRun(50, func() { alone.Deliver(batch) })
		if routed := testing.AllocsPerRun(50, func() { l.Deliver(batch) }); routed > direct+1 { // what it has in store grows
			t.Errorf("%s: %v allocations, %v without a router", name, routed, direct)
		}
	}
}

func testLinks(t *testing.T, domains ...config.Domain) *links {
	t.Helper()
	cfg := &config.Config{Domains: domains}
	cfg.XMPP = config.XMPP{Domain: "sip.example.com", Server: "127.0.0.1:1", Secret: "component secret", Barrier: string(component.BarrierAuto)}
	rules, err := mapping.NewRules(mapping.RulesConfig{GatewayDomain: cfg.XMPP.Domain, UserDomains: []string{"example.com"}, DefaultSIPDomain: "pbx.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLinks(cfg, bridge.Policy{Rules: rules}, nil, func(*component.Config, *config.Config) {}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// What mapping finds about domains, which only it can compare in all their
// spellings, comes with the paths of both.
func TestFaultsOfDomains(t *testing.T) {
	const table = "[[domain]]\nsecret='component secret'\nxmpp=%q\nsip=%q\n"
	for _, c := range []struct{ name, toml, path, text string }{
		{"SIP domain in two spellings", fmt.Sprintf(table+table, "a.example.com", "bücher.example", "b.example.com", "xn--bcher-kva.example"), "domain[1].sip", "domain[0].sip"},
		{"component in two spellings", fmt.Sprintf(table+table, "bücher.example", "a.example", "xn--bcher-kva.example", "b.example"), "domain[1].xmpp", "domain[0].xmpp"},
		{"the default domain", fmt.Sprintf(table, "a.example.com", "PBX.example.net."), "domain[0].sip", "sip.domain"},
		{"a domain of users", fmt.Sprintf(table, "Example.com", "a.example"), "domain[0].xmpp", "xmpp.user_domains"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := config.Parse("stox.toml", []byte("[xmpp]\ndomain=\"sip.example.com\"\nsecret=\"component secret\"\n[sip]\ndomain=\"pbx.example.net\"\n"+c.toml), nil)
			if err == nil {
				_, err = New(cfg, slog.New(slog.DiscardHandler))
			}
			var faults *config.Error
			if !errors.As(err, &faults) || len(faults.Faults) != 1 || faults.Faults[0].Path != c.path || !strings.Contains(faults.Faults[0].Text, c.text) {
				t.Errorf("got %v, want a fault of %s that names %s", err, c.path, c.text)
			}
		})
	}
}
