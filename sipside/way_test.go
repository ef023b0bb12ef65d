package sipside

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/dnstest"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// dnsOf is a Locator that asks a name server with this zone.
func dnsOf(t *testing.T, zone dnstest.Zone) (*dnstest.Server, Locator) {
	t.Helper()
	s := dnstest.Listen(t, zone)
	return s, locate.New(locate.Config{Servers: []netip.AddrPort{s.Addr}})
}

// The way that is told is the way that is gone: route, DNS, targets.
func TestWay(t *testing.T) {
	cfg := testConfig()
	_, cfg.Locator = dnsOf(t, dnstest.Zone{
		"example.net":           {`60 NAPTR 50 50 "s" "SIP+D2T" "" _sip._tcp.example.net.`},
		"_sip._tcp.example.net": {"60 SRV 0 1 5062 a.example.net.", "60 SRV 10 1 5063 b.example.net."},
		"a.example.net":         {"60 A 192.0.2.10"},
		"b.example.net":         {"60 A 192.0.2.11"},
		"_im._sip.im.example":   {"60 SRV 0 1 5070 a.example.net."},
	})
	cfg.Routes = []Route{{Domain: "routed.example", Via: mapping.MustParseURI("sip:192.0.2.4;transport=tcp")},
		{Domain: "im.routed.example", Via: mapping.MustParseURI("im:im.example")}}
	u, err := New(cfg, testLog(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	for uri, want := range map[string]string{
		"sip:romeo@example.net":       "no route|NAPTR example.net: |SRV _sip._tcp.example.net: |1. tcp 192.0.2.10:5062|2. tcp 192.0.2.11:5063",
		"sip:romeo@routed.example":    "the route for routed.example leads to sip:192.0.2.4;transport=tcp|1. tcp 192.0.2.4:5060",
		"sip:romeo@192.0.2.5":         "no route|1. udp 192.0.2.5:5060",
		"im:romeo@im.example":         "no route|SRV _im._sip.im.example: |1. udp 192.0.2.10:5070",
		"sip:romeo@im.routed.example": "leads to im:im.example|SRV _im._sip.im.example: |1. udp 192.0.2.10:5070",
	} {
		steps, err := u.Way(t.Context(), mapping.MustParseURI(uri))
		got := strings.Join(steps, "\n")
		for part := range strings.SplitSeq(want, "|") {
			i := strings.Index(got, part)
			if i < 0 || err != nil {
				t.Errorf("%s: %q is not in its place, %v:\n%s", uri, part, err, strings.Join(steps, "\n"))
				break
			}
			got = got[i:]
		}
	}
	for _, uri := range []string{"sip:romeo@nowhere.example", "sip:romeo@192.0.2.4;transport=sctp", "tel:+15551234567"} {
		if steps, err := u.Way(t.Context(), mapping.MustParseURI(uri)); err == nil {
			t.Errorf("%s: %q", uri, steps)
		}
	}
}

// SIP-04, SIP-05: the next target is tried when the first one refuses, and what has failed
// comes last for the next message; an im: address without a server gets 502.
func TestNextTargetByDNS(t *testing.T) {
	cfg := testConfig()
	p := siptest.Listen(t, "tcp")
	p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	closed := siptest.Listen(t, "tcp")
	closed.Close()
	srv := func(prio string, to *siptest.Peer) string {
		return "60 SRV " + prio + " 1 " + strconv.Itoa(int(to.Addr().Port())) + " here.example.net."
	}
	_, cfg.Locator = dnsOf(t, dnstest.Zone{
		"_sip._tcp.example.net": {srv("0", closed), srv("10", p)},
		"here.example.net":      {"60 A 127.0.0.1"},
	})
	b := newBridge(nil)
	u := start(t, cfg, b)
	send := func(ref string, target int) mapping.Outcome {
		m := outgoing(p, 1)
		m.RequestURI, m.Target = mapping.MustParseURI("sip:romeo@example.net"), target
		u.Deliver(parcel(ref, m))
		return b.outcome(ref)
	}
	if o := send("first", 0); o.Kind != mapping.NotWritten || !o.More {
		t.Errorf("%+v", o)
	}
	if o := send("again", 1); o.Status != 200 {
		t.Errorf("%+v", o)
	}
	if o := send("next", 0); o.Status != 200 {
		t.Errorf("a server that has just failed was tried first: %+v", o)
	}
	m := outgoing(p, 1)
	m.RequestURI = mapping.URI{Scheme: "im", User: "romeo", Host: "nowhere.example"}
	u.Deliver(parcel("im", m))
	if o := b.outcome("im"); o.Kind != mapping.NotWritten || o.Failure.Status != 502 || o.Failure.Condition != mapping.CondRemoteServerNotFound {
		t.Errorf("%+v %v", o, o.Failure)
	}
}
