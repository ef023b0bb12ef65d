package mapping

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// trunks has a trunk with an account for two numbers, one with an account for one, and a PBX
// that registers nobody; an extension of the PBX is a number of a further trunk, too.
func trunks(t testing.TB) *Rules {
	t.Helper()
	alias := func(sip, xmpp string) Alias { return Alias{MustParseURI(sip), MustParseJID(xmpp)} }
	r, err := NewRules(RulesConfig{
		GatewayDomain: "sip.example.com", SIPHost: "gw.example.com", UserDomains: []string{"example.com"},
		DefaultSIPDomain: "pbx.example.net", PhoneDomain: "trunk.example",
		Domains: []DomainPair{{"branch.example.com", "branch.example.net"}},
		Routes: []RouteRule{
			{Domain: "trunk.example", Country: "US", Numbers: "nanp10", From: "alias", Account: "100000_Stox"},
			{Domain: "single.example", Account: "lone"},
			{Domain: "empty.example", Account: "nobody"},
			{Domain: "pbx.example.net"},
			{Domain: "*", Account: "rest"},
		},
		Aliases: []Alias{
			alias("sip:5550001111@trunk.example", "juliet@example.com"),
			alias("sip:+15550002222@trunk.example", "nurse@example.com"),
			alias("sip:7001@single.example", "romeo@example.com"),
			alias("sip:7001@pbx.example.net", "tybalt@example.com"),
			alias("sip:7002@pbx.example.net", "juliet@example.com"),
			alias("sip:7002@other.example", "juliet@example.com"),
			alias("sip:Front-Desk@other.example:5070", "peter@example.com"),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ADDR-25, IM-16: for whom a request is that comes to the contact of a registration, or to
// an address of ours. To decides nothing but which number of an account was meant, and its
// host not even that.
func TestRecipientOf(t *testing.T) {
	r := trunks(t)
	const (
		nat     = "198.51.100.7:61234" // what a registrar takes for our address
		garbage = "sip:s@asterisk"
	)
	trunk, single, pbx, rest := "trunk.example", "single.example", "pbx.example.net", "*"
	for _, c := range []struct {
		name, uri, to string
		here          bool
		routes        []string
		want          string // a JID, or a word of the remedy
	}{
		{"the number, ten digits", "sip:5550001111@gw.example.com", garbage, false, []string{trunk}, "juliet@example.com"},
		{"the number, with the country", "sip:15550001111@gw.example.com", garbage, false, []string{trunk}, "juliet@example.com"},
		{"the number, in full", "sip:+15550002222@gw.example.com;user=phone", garbage, false, []string{trunk}, "nurse@example.com"},
		{"another spelling of it", "sip:(555)000-2222@gw.example.com", garbage, false, []string{trunk}, "nurse@example.com"},
		{"of a sender that no route leads to", "sip:5550001111@gw.example.com", garbage, false, nil, "juliet@example.com"},
		{"at an address of ours that has no name", "sip:5550001111@192.0.2.1:5060", garbage, true, nil, "juliet@example.com"},
		{"at the component's name", "sip:5550001111@sip.example.com", garbage, false, nil, "juliet@example.com"},
		{"at what a NAT makes of us", "sip:5550001111@" + nat, garbage, false, []string{trunk}, "juliet@example.com"},
		{"the same, of somebody without a registration", "sip:5550001111@" + nat, garbage, false, []string{pbx}, "user_domains"},
		{"the same, of nobody", "sip:5550001111@" + nat, garbage, false, nil, "user_domains"},
		{"a number that is nobody's", "sip:5550003333@gw.example.com", garbage, false, []string{trunk}, "has this user part"},
		{"To is not looked at for a number", "sip:5550001111@gw.example.com", "sip:5550002222@trunk.example", false, []string{trunk}, "juliet@example.com"},
		{"nor for one that is nobody's", "sip:5550003333@gw.example.com", "sip:5550002222@trunk.example", false, []string{trunk}, "has this user part"},
		{"the number at the trunk itself", "sip:5550001111@trunk.example", garbage, false, []string{trunk}, "juliet@example.com"},
		{"the number, user@domain at our host", "sip:juliet%40example.com@gw.example.com", garbage, false, []string{trunk}, "juliet@example.com"},

		{"the account, the number in To", "sip:100000_stox@gw.example.com", "sip:5550002222@trunk.example", false, []string{trunk}, "nurse@example.com"},
		{"the account, whatever the host of To", "sip:100000_stox@gw.example.com", "sip:15550001111@example.invalid", false, []string{trunk}, "juliet@example.com"},
		{"the account, tel: in To", "sip:100000_stox@gw.example.com", "tel:+15550001111", false, []string{trunk}, "juliet@example.com"},
		{"the account, case", "sip:100000_STOX@gw.example.com", "sip:5550002222@trunk.example", false, []string{trunk}, "nurse@example.com"},
		{"the account behind a NAT", "sip:100000_stox@" + nat, "sip:5550002222@trunk.example", false, []string{trunk}, "nurse@example.com"},
		{"the account at the trunk itself", "sip:100000_stox@trunk.example", "sip:5550002222@trunk.example", false, []string{trunk}, "nurse@example.com"},
		{"the account there, of a stranger", "sip:100000_stox@trunk.example", "sip:5550002222@trunk.example", true, nil, "user_domains"},
		{"the account, of a sender that no route leads to", "sip:100000_stox@gw.example.com", "sip:5550002222@trunk.example", false, nil, "nurse@example.com"},
		{"the account, nothing in To", "sip:100000_stox@gw.example.com", garbage, false, []string{trunk}, "several users"},
		{"the account, itself in To", "sip:100000_stox@gw.example.com", "sip:100000_stox@trunk.example", false, []string{trunk}, "several users"},
		{"the account, an extension of the PBX in To", "sip:100000_stox@gw.example.com", "sip:7002@pbx.example.net", false, []string{trunk}, "several users"},
		{"an account with one number", "sip:lone@gw.example.com", garbage, false, []string{single}, "romeo@example.com"},
		{"an account without one", "sip:nobody@gw.example.com", garbage, false, []string{"empty.example"}, "an [[alias]] in the domain"},
		{"the account of a route for all", "sip:rest@gw.example.com", "sip:front-desk@asterisk", false, []string{rest}, "peter@example.com"},
		{"the same, several users", "sip:rest@gw.example.com", garbage, false, []string{rest}, "several users"},

		{"one number of two users, by the route", "sip:7001@gw.example.com", garbage, false, []string{single}, "romeo@example.com"},
		{"the same, by the other route", "sip:7001@gw.example.com", garbage, false, []string{pbx}, "tybalt@example.com"},
		{"the same, by both", "sip:7001@gw.example.com", garbage, false, []string{pbx, single}, "the routes do not say"},
		{"the same, by neither", "sip:7001@gw.example.com", garbage, false, nil, "the routes do not say"},
		{"the same, by one without such a number", "sip:7001@gw.example.com", garbage, false, []string{trunk}, "the routes do not say"},
		{"two numbers of one user", "sip:7002@gw.example.com", garbage, false, nil, "juliet@example.com"},
		{"an alias with a port", "sip:front-desk@gw.example.com", garbage, false, nil, "peter@example.com"},

		{"a served domain", "sip:mercutio@example.com", "sip:5550002222@trunk.example", false, []string{trunk}, "mercutio@example.com"},
		{"a SIP domain that is another's", "sip:5550001111@pbx.example.net", garbage, true, []string{trunk}, "user_domains"},
		{"a mapped one", "sip:5550001111@branch.example.net", garbage, true, []string{trunk}, "user_domains"},
		{"the gateway itself", "sip:gw.example.com", garbage, false, []string{trunk}, ""},
		{"a host of the registrar without a user", "sip:" + nat, garbage, false, []string{trunk}, "user_domains"},
	} {
		m := &SIPMessage{RequestURI: MustParseURI(c.uri), To: MustParseURI(c.to), Here: c.here, Routes: c.routes}
		j, err := r.RecipientOf(m)
		if strings.Contains(c.want, "@") {
			if err != nil || j.String() != c.want {
				t.Errorf("%s: %s, %v; want %s", c.name, j, err, c.want)
			}
			continue
		}
		f := asFailure(err)
		if err == nil || f.Status != 404 || f.Condition != CondItemNotFound || !strings.Contains(f.Remedy, c.want) || !j.IsZero() {
			t.Errorf("%s: %s, %v (%s); want 404 and %q", c.name, j, err, f.Remedy, c.want)
		}
	}
	_, err := r.RecipientOf(&SIPMessage{RequestURI: URI{Scheme: "sips", User: "5550001111", Host: "gw.example.com"}})
	if ReasonOf(err) != ReasonSIPS {
		t.Errorf("sips: %v", err)
	}
}

// Who asks for such an address is told of both its meanings.
func TestExplainRegistered(t *testing.T) {
	r := trunks(t)
	for uri, user := range map[string]string{
		"sip:5550001111@gw.example.com":     "juliet@example.com",
		"sip:lone@sip.example.com":          "romeo@example.com",
		"sip:100000_stox@gw.example.com":    "", // of two
		"sip:5550003333@gw.example.com":     "",
		"sip:5550001111@pbx.example.net":    "",
		"sip:5550001111@198.51.100.7:61234": "",
	} {
		e := r.Explain(uri)
		last := e.Steps[len(e.Steps)-1]
		if told := strings.Contains(last, " is for the XMPP user "+user+":"); e.Err != nil || told != (user != "") {
			t.Errorf("%s: %s, %v; %s", uri, e.Result, e.Err, last)
		}
	}
}

// Without aliases and registrations an address of ours is nobody's, as it always was.
func TestRecipientOfWithoutAliases(t *testing.T) {
	r, err := NewRules(baseConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{"sip:7001@gw.example.com:5070", "sip:+15550001111@gw.example.com", "sip:x@198.51.100.7"} {
		m := &SIPMessage{RequestURI: MustParseURI(uri), To: MustParseURI("sip:juliet@example.com"), Here: true, Routes: []string{"*"}}
		if j, err := r.RecipientOf(m); ReasonOf(err) != ReasonNotServed {
			t.Errorf("%s: %s, %v", uri, j, err)
		}
	}
}

// RecipientOf only ever adds to Recipient, and gives nobody but users who have an alias.
func TestRecipientOfProperties(t *testing.T) {
	r := trunks(t)
	users := []string{"5550001111", "+15550002222", "7001", "7002", "100000_stox", "lone", "rest", "nobody", "juliet", "juliet%40example.com", "front-desk", ""}
	hosts := []string{"gw.example.com", "sip.example.com", "trunk.example", "single.example", "pbx.example.net", "branch.example.net", "example.com", "198.51.100.7", "other.example:5070"}
	uri := rapid.Custom(func(t *rapid.T) URI {
		user := rapid.SampledFrom(users).Draw(t, "user")
		if user != "" {
			user += "@"
		}
		return MustParseURI("sip:" + user + rapid.SampledFrom(hosts).Draw(t, "host"))
	})
	rapid.Check(t, func(t *rapid.T) {
		m := &SIPMessage{RequestURI: uri.Draw(t, "uri"), To: uri.Draw(t, "to"), Here: rapid.Bool().Draw(t, "here"),
			Routes: rapid.SliceOfDistinct(rapid.SampledFrom([]string{"trunk.example", "single.example", "empty.example", "pbx.example.net", "*"}), rapid.ID[string]).Draw(t, "routes")}
		plain, err := r.Recipient(m.RequestURI)
		got, errOf := r.RecipientOf(m)
		switch {
		case err == nil:
			if errOf != nil || got != plain {
				t.Fatalf("%s is for %s, then for %s, %v", m.RequestURI, plain, got, errOf)
			}
		case errOf == nil:
			if _, ok := r.known[got]; !ok || !got.IsBare() {
				t.Fatalf("%s is for %s, who has no alias", m.RequestURI, got)
			}
		case ReasonOf(err) != ReasonOf(errOf):
			t.Fatalf("%s: %v, then %v", m.RequestURI, err, errOf)
		}
	})
}
