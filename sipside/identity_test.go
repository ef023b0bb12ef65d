package sipside

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/stoxgw/stox/mapping"
)

// TestIdentity: who a message is from, where a peer asserts it (RFC 3325).
func TestIdentity(t *testing.T) {
	const (
		pai  = "P-Asserted-Identity: "
		anon = `From: "Anonymous" <sip:anonymous@anonymous.invalid>;tag=1`
		user = `From: "Romeo" <sip:romeo@a.example>;tag=1`
	)
	for name, tt := range map[string]struct {
		edits []string
		want  string // the URI, "" for a refusal
		name  string
		same  bool // From says the same
	}{
		"none":                    {edits: []string{user}, want: "sip:romeo@a.example", name: "Romeo", same: true},
		"anonymous, none":         {edits: []string{anon}},
		"anonymous":               {edits: []string{anon, pai + `"Romeo M" <sip:romeo@a.example>`}, want: "sip:romeo@a.example", name: "Romeo M"},
		"another user":            {edits: []string{user, pai + `<sip:mercutio@a.example>`}, want: "sip:mercutio@a.example"},
		"the same":                {edits: []string{user, pai + `<sip:romeo@A.example>`}, want: "sip:romeo@a.example", same: true},
		"From of another domain":  {edits: []string{"From: <sip:x@other.example>;tag=1", pai + `<sip:romeo@a.example>`}, want: "sip:romeo@a.example"},
		"addr-spec":               {edits: []string{anon, pai + `sip:romeo@a.example`}, want: "sip:romeo@a.example"},
		"two":                     {edits: []string{anon, pai + `"R" <sip:romeo@a.example>, <tel:+15551234567>`}, want: "sip:romeo@a.example", name: "R"},
		"two, the number first":   {edits: []string{anon, pai + `<tel:+15551234567>, "R" <sip:romeo@a.example>`}, want: "sip:romeo@a.example", name: "R"},
		"two rows":                {edits: []string{anon, pai + "<tel:+15551234567>\r\n" + pai + "<sip:romeo@a.example>"}, want: "sip:romeo@a.example"},
		"a comma in the name":     {edits: []string{anon, pai + `"M, <R>" <sip:romeo@a.example>`}, want: "sip:romeo@a.example", name: "M, <R>"},
		"a number":                {edits: []string{anon, pai + `<tel:+1-555-123-4567>`}, want: "tel:+15551234567"},
		"in other letters":        {edits: []string{anon, "p-asserted-IDENTITY: <sip:romeo@a.example>"}, want: "sip:romeo@a.example"},
		"privacy none":            {edits: []string{anon, pai + `<sip:romeo@a.example>`, "Privacy: none"}, want: "sip:romeo@a.example"},
		"privacy critical":        {edits: []string{anon, pai + `<sip:romeo@a.example>`, "Privacy: critical"}, want: "sip:romeo@a.example"},
		"privacy id":              {edits: []string{user, pai + `<sip:mercutio@a.example>`, "Privacy: id"}, want: "sip:romeo@a.example", name: "Romeo", same: true},
		"privacy ID and more":     {edits: []string{user, pai + `<sip:mercutio@a.example>`, "Privacy: critical ; ID"}, want: "sip:romeo@a.example", name: "Romeo", same: true},
		"privacy in two rows":     {edits: []string{user, pai + `<sip:mercutio@a.example>`, "Privacy: critical\r\nPrivacy: user;header"}, want: "sip:romeo@a.example", name: "Romeo", same: true},
		"privacy id, anonymous":   {edits: []string{anon, pai + `<sip:romeo@a.example>`, "Privacy: id"}},
		"may not speak for it":    {edits: []string{user, pai + `<sip:x@other.example>`}, want: "sip:romeo@a.example", name: "Romeo", same: true},
		"for neither":             {edits: []string{anon, pai + `<sip:x@other.example>`}},
		"a served domain":         {edits: []string{user, pai + `<sip:juliet@example.com>`}, want: "sip:romeo@a.example", name: "Romeo", same: true},
		"From in a served domain": {edits: []string{"From: <sip:juliet@example.com>;tag=1", pai + `<sip:romeo@a.example>`}},
		"From cannot be read":     {edits: []string{"From: <mailto:x@a.example>;tag=1", pai + `<sip:romeo@a.example>`}},
		"two SIP URIs":            {edits: []string{user, pai + `<sip:mercutio@a.example>, <sip:tybalt@a.example>`}, want: "sip:romeo@a.example", name: "Romeo", same: true},
		"three":                   {edits: []string{user, pai + `<sip:mercutio@a.example>, <tel:+15551234567>, <tel:+15551234568>`}, want: "sip:romeo@a.example", name: "Romeo", same: true},
		"sips":                    {edits: []string{user, pai + `<sips:mercutio@a.example>`}, want: "sip:romeo@a.example", name: "Romeo", same: true},
		"another scheme":          {edits: []string{user, pai + `<im:mercutio@a.example>`}, want: "sip:romeo@a.example", name: "Romeo", same: true},
		"no user":                 {edits: []string{user, pai + `<sip:a.example>`}, want: "sip:romeo@a.example", name: "Romeo", same: true},
		"half":                    {edits: []string{user, pai + `<sip:mercutio@a.example`}, want: "sip:romeo@a.example", name: "Romeo", same: true},
		"half a name":             {edits: []string{user, pai + `"M <sip:mercutio@a.example>`}, want: "sip:romeo@a.example", name: "Romeo", same: true},
		"empty":                   {edits: []string{user, pai}, want: "sip:romeo@a.example", name: "Romeo", same: true},
		"one is empty":            {edits: []string{user, pai + `,<sip:mercutio@a.example>`}, want: "sip:romeo@a.example", name: "Romeo", same: true},
		"preferred":               {edits: []string{user, "P-Preferred-Identity: <sip:mercutio@a.example>"}, want: "sip:romeo@a.example", name: "Romeo", same: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig()
				cfg.Routes = []Route{{Domain: "a.example", Via: mapping.MustParseURI("sip:192.0.2.7")}}
				cfg.Peers = []Peer{{Name: "a", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.8/32")}, Domains: []string{"a.example", "example.net"}}}
				b := newBridge(processed)
				_, m := memUA(t, cfg, b)
				want, n := 403, 0
				if strings.Contains(tt.edits[0], "mailto") {
					want = 400
				}
				// From a peer that is listed, the host of a route, and this machine.
				for _, source := range []string{"192.0.2.8:5060", "192.0.2.7:5060", "127.0.0.1:5060"} {
					if tt.want != "" {
						want = 200
						n++
					}
					if got := m.status(t, from(netip.MustParseAddrPort(source), tt.edits...)); got != want || b.count() != n {
						t.Fatalf("%s: %d, %d messages, want %d", source, got, b.count(), want)
					}
					if tt.want == "" {
						continue
					}
					got := b.requests[n-1]
					if got.From != mapping.MustParseURI(tt.want) || got.Name != tt.name {
						t.Errorf("%s: from %v, name %q, want %s, %q", source, got.From, got.Name, tt.want, tt.name)
					}
					if wrote, _ := parseNameAddr(strings.TrimPrefix(tt.edits[0], "From: ")); tt.same != (got.Written == nil) || !tt.same && *got.Written != mapping.MustParseURI(wrote.uri) {
						t.Errorf("%s: From says %v", source, got.Written)
					}
				}
			})
		})
	}
}

// FuzzIdentity: whatever stands in these headers, what is taken for an identity is one that
// the peer may speak for, or nothing is.
func FuzzIdentity(f *testing.F) {
	f.Add("<sip:a@a.example>", "", "id", "<sip:b@a.example>;tag=1")
	f.Add(`"A, <b>" <sip:a@a.example>, <tel:+15551234567>`, "", "none", "sip:b@a.example;tag=1")
	f.Add("<tel:+15551234567>", "<sip:a@example.com>", "critical;header", `"Anonymous" <sip:anonymous@anonymous.invalid>;tag=x`)
	f.Add(`"\"`, `<`, ";;,", "<sip:juliet@example.com>;tag=1")
	f.Add("sip:a@a.example;x=\",\"", ", ,", " ", "<sips:a@a.example>;tag=1")
	cfg := testConfig()
	cfg.Peers = []Peer{{Name: "a", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.8/32")}, Domains: []string{"a.example"}}}
	u, err := New(cfg, testLog(f, nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, first, second, privacy, from string) {
		r := request{set: u.current(), peer: u.current().peers.configured[0], source: netip.MustParseAddrPort("192.0.2.8:5060")}
		r.f.asserted, r.f.privacy = []string{first, second}, []string{privacy}
		var ok bool
		if r.from, ok = parseNameAddr(from); !ok {
			return
		}
		uri, name, written, failure := u.identity(&r)
		if failure != nil {
			if !uri.IsZero() || name != "" || !written.IsZero() || failure.Status < 400 {
				t.Errorf("%v, %q, %v with %v", uri, name, written, failure)
			}
			return
		}
		if uri.Host != "a.example" { // tel: belongs to example.net
			t.Errorf("speaks for %v", uri)
		}
		wrote, err := mapping.ParseURI(r.from.uri)
		if err != nil || wrote.Host == "example.com" {
			t.Errorf("From %q was taken", r.from.uri)
		}
		if written.IsZero() != (uri == wrote) || !written.IsZero() && written != wrote {
			t.Errorf("written %v, From %v, identity %v", written, wrote, uri)
		}
		if uri != wrote && private(r.f.privacy) {
			t.Errorf("%v is shown against the wish of %q", uri, privacy)
		}
		if text := mapping.HeaderText(name); !utf8.ValidString(text) || !headerSafe(text) {
			t.Errorf("display name %q", text)
		}
	})
}
