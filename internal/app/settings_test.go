package app

import (
	"slices"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside"
)

// xmpp.html and sip.expired reach the translation, and their defaults are those of
// docs/config.md.
func TestSettingsOfTheTranslation(t *testing.T) {
	received := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	request := &mapping.SIPMessage{
		RequestURI: mapping.MustParseURI("sip:juliet@example.com"), From: mapping.MustParseURI("sip:romeo@pbx.example.net"),
		ContentType: "text/html", Body: []byte("<p>late <b>news</b></p>"),
	}
	for _, c := range []struct {
		xmpp, sip string
		markup    bool
		late      bool
	}{
		{"", "", true, false},
		{`, html = "plain"`, `, expired = "deliver"`, false, false},
		{`, html = "xhtml-im"`, `, expired = "refuse"`, true, true},
	} {
		cfg, err := config.Parse("stox.toml", []byte(`
xmpp = {domain = "sip.example.com", secret = "component secret"`+c.xmpp+`}
sip = {domain = "pbx.example.net"`+c.sip+`}
`), nil)
		if err != nil {
			t.Fatal(err)
		}
		rules, err := BuildRules(cfg)
		if err != nil {
			t.Fatal(err)
		}
		out, err := rules.ToXMPP(request)
		if err != nil || len(out) != 1 || (out[0].(*mapping.XMPPMessage).Markup != nil) != c.markup {
			t.Errorf("%q: %+v, %v", c.xmpp, out, err)
		}
		late := *request
		late.Date, late.Received, late.Expires = received.Add(-time.Hour), received, time.Minute
		if out, err = rules.ToXMPP(&late); (err != nil) != c.late {
			t.Errorf("%q: %+v, %v", c.sip, out, err)
		}
	}
}

// sip.composing and limits.user_rate reach the bridge, and so do their defaults.
func TestSettingsOfTyping(t *testing.T) {
	for more, want := range map[string]bridge.Policy{
		"": {Composing: bridge.ComposingReplyOnly, UserRate: 5},
		"sip.composing = 'always'\nlimits.user_rate = 7\n": {Composing: bridge.ComposingAlways, UserRate: 7},
		"sip.composing = 'never'\nlimits.user_rate = 0\n":  {Composing: bridge.ComposingNever},
	} {
		cfg, err := config.Parse("stox.toml", []byte("xmpp.domain = 'sip.example.com'\nxmpp.secret = 'component secret'\nsip.domain = 'pbx.example.net'\n"+more), nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := BuildPolicy(cfg)
		if err != nil || p.Composing != want.Composing || p.UserRate != want.UserRate {
			t.Errorf("%q: %q, %d, %v", more, p.Composing, p.UserRate, err)
		}
	}
}

// The SIP side knows which domains a registrar of accounts may not speak for.
func TestSettingsOfOwnDomains(t *testing.T) {
	cfg, err := config.Parse("stox.toml", []byte(`
xmpp = {domain = "sip.example.com", secret = "component secret"}
sip.domain = "pbx.example.net"
[[domain]]
xmpp = "branch.example.com"
sip = "branch.example"
secret = "component secret"
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := sipsideConfig(cfg)
	if err != nil || !slices.Equal(c.OwnDomains, []string{"branch.example"}) {
		t.Errorf("%q, %v", c.OwnDomains, err)
	}
}

// sip.route.size and max_message_bytes reach the SIP side, with via and without.
func TestSettingsOfSizes(t *testing.T) {
	cfg, err := config.Parse("stox.toml", []byte(`
xmpp = {domain = "sip.example.com", secret = "component secret"}
[sip]
domain = "pbx.example.net"
[[sip.route]]
domain = "pbx.example.net"
via = "sip:192.0.2.10"
size = "split"
max_message_bytes = 2000
[[sip.route]]
domain = "example.org"
size = "reject"
max_message_bytes = 1000
[[sip.route]]
domain = "*"
via = "sip:192.0.2.10"
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := sipsideConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []sipside.Route{{Size: sipside.SizeSplit, MaxBytes: 2000}, {Size: sipside.SizeReject, MaxBytes: 1000}, {Size: sipside.SizeTCP}} {
		if got := c.Routes[i]; got.Size != want.Size || got.MaxBytes != want.MaxBytes {
			t.Errorf("route %d: size %q, %d bytes; want %q, %d", i, got.Size, got.MaxBytes, want.Size, want.MaxBytes)
		}
	}
}

// sip.udp_gso is on unless somebody says otherwise.
func TestSettingsOfGSO(t *testing.T) {
	for more, no := range map[string]bool{"": false, "sip.udp_gso = true": false, "sip.udp_gso = false": true} {
		cfg, err := config.Parse("stox.toml", []byte("xmpp.domain = 'sip.example.com'\nxmpp.secret = 'component secret'\nsip.domain = 'pbx.example.net'\n"+more), nil)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := sipsideConfig(cfg); err != nil || c.NoGSO != no {
			t.Errorf("%q: %t, %v", more, c.NoGSO, err)
		}
	}
}
