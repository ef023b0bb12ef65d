package app

import (
	"log/slog"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside"
)

// What the operator sees of a route says all that the SIP side knows.
func TestDescribeRoute(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	got := describeRoute(sipside.RouteState{
		Domain: "*", Via: "sip:192.0.2.9", Register: true, Registered: true, State: "registered", Server: "udp 192.0.2.9:5060", Until: at.Add(time.Hour), Since: at,
		LastStatus: 200, Reason: "no answer", Probe: sipside.Dead, ProbeSince: at.Add(time.Minute), ProbeReason: "answered 503", RTT: 1500 * time.Microsecond,
	})
	want := admin.Route{
		Domain: "*", Via: "sip:192.0.2.9", Registration: "registered", Registered: true, Server: "udp 192.0.2.9:5060", Until: at.Add(time.Hour), Since: at,
		Status: 200, Reason: "no answer", Answers: "dead", AnswersSince: at.Add(time.Minute), Problem: "answered 503", RTT: 1.5,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if r := describeRoute(sipside.RouteState{Register: true}); r.Registration != "trying" {
		t.Errorf("%+v", r)
	}
	if r := describeRoute(sipside.RouteState{}); r.Registration != "" {
		t.Errorf("%+v", r)
	}
}

// The daemon tells of its routes with a next hop, in the order of its configuration.
func TestRoutesOfTheDaemon(t *testing.T) {
	via := func(host string) mapping.URI { return mapping.URI{Scheme: "sip", Host: host} }
	u, err := sipside.New(sipside.Config{Listen: []string{"udp://127.0.0.1:0"}, SIPDomain: "pbx.example", Routes: []sipside.Route{
		{Domain: "b.example", Via: via("192.0.2.9"), Register: true, Login: sipside.Login{Username: "u", Password: "p"}},
		{Domain: "dns.example"}, {Domain: "a.example", Via: via("192.0.2.8")},
	}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	all, err := (&liveQueue{sip: u}).Routes(t.Context())
	if err != nil || len(all) != 2 || all[0].Domain != "b.example" || all[0].Registration != "trying" || all[1].Domain != "a.example" || all[1].Registration != "" || all[1].Answers != "unknown" {
		t.Errorf("%+v %v", all, err)
	}
}

// RFC 5626 §4.1: the instance is a UUID, the same each time, and each gateway's own.
func TestInstance(t *testing.T) {
	of := func(secret config.Secret, domain string) string {
		cfg := &config.Config{}
		cfg.XMPP.Secret, cfg.XMPP.Domain = secret, domain
		return instance(cfg)
	}
	one := of("secret", "sip.example.com")
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(one) {
		t.Error(one)
	}
	if one != of("secret", "sip.example.com") || one == of("secret", "sip.example.org") || one == of("other", "sip.example.com") {
		t.Error("not the same, or not its own")
	}
}
