package mapping

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// book is an Accounts of what a test says.
type book struct {
	of    map[JID]URI
	users map[URI]JID
}

func (b *book) AccountOf(user JID) (URI, bool) { u, ok := b.of[user]; return u, ok }
func (b *book) UserOf(aor URI) (JID, bool)     { j, ok := b.users[aor]; return j, ok }

// add gives the user an account, if it can be one.
func (b *book) add(r *Rules, user JID, address URI) AccountFault {
	aor, key, fault := r.AccountAddress(address)
	if fault == "" && b.users[key].IsZero() {
		if _, has := b.of[user]; !has {
			b.of[user], b.users[key] = aor, user
		}
	}
	return fault
}

func (b *book) NameOf(user JID) string {
	return map[string]string{"juliet@example.com": "Juliet \"J\"\r\nVia: x"}[user.String()]
}

func newBook() *book { return &book{map[JID]URI{}, map[URI]JID{}} }

// accountsConfig has a PBX whose users register themselves, one whose users are numbers, and
// routes of all other kinds.
func accountsConfig() RulesConfig {
	return RulesConfig{
		GatewayDomain: "sip.example.com", SIPHost: "gw.example.com", UserDomains: []string{"example.com"},
		DefaultSIPDomain: "pbx.example.net", PhoneDomain: "tel.example.net",
		Routes: []RouteRule{
			{Domain: "pbx.example.net", From: "account", Account: "stox"},
			{Domain: "tel.example.net", From: "account", Country: "DE", Numbers: "national"},
			{Domain: "trunk.example", From: "alias"},
			{Domain: "other.example"},
			{Domain: "*", From: "account"},
		},
		Aliases: []Alias{
			{MustParseURI("sip:7001@pbx.example.net"), MustParseJID("nurse@example.com")},
			{MustParseURI("sip:+15550001111@trunk.example"), MustParseJID("juliet@example.com")},
		},
	}
}

func accountRules(t fataler, required bool) (*Rules, *book) {
	b := newBook()
	c := accountsConfig()
	c.Accounts, c.AccountsRequired = b, required
	r, err := NewRules(c)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return r, b
}

// What can be the address of an account.
func TestAccountAddress(t *testing.T) {
	r, _ := accountRules(t, false)
	for _, c := range []struct {
		in, aor, key string
		fault        AccountFault
	}{
		{in: "sip:juliet@pbx.example.net", aor: "sip:juliet@pbx.example.net", key: "sip:juliet@pbx.example.net"},
		{in: "sip:Juliet@PBX.example.net", aor: "sip:Juliet@pbx.example.net", key: "sip:juliet@pbx.example.net"},
		{in: "sip:030-1234@tel.example.net", aor: "sip:030-1234@tel.example.net;user=phone", key: "sip:+49301234@tel.example.net"},
		{in: "sip:juliet@far.example", aor: "sip:juliet@far.example", key: "sip:juliet@far.example"},
		{in: "sip:juliet@other.example", fault: AccountNotAllowed},
		{in: "sip:juliet@trunk.example", fault: AccountNotAllowed},
		{in: "sip:juliet@example.com", fault: AccountNotAllowed},
		{in: "sip:juliet@gw.example.com", fault: AccountNotAllowed},
		{in: "sip:juliet@sip.example.com", fault: AccountNotAllowed},
		{in: "sip:7001@pbx.example.net", fault: AccountTaken},
		{in: "sip:STOX@pbx.example.net", fault: AccountTaken},
		{in: "sip:stox@far.example", aor: "sip:stox@far.example", key: "sip:stox@far.example"},
		{in: "sip:juliet@pbx.example.net:5070", fault: AccountBadAddress},
		{in: "sip:pbx.example.net", fault: AccountBadAddress},
		{in: "tel:+49301234", fault: AccountBadAddress},
		{in: "sip:%20@pbx.example.net", fault: AccountBadAddress},
	} {
		u, err := ParseURI(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		aor, key, fault := r.AccountAddress(u)
		if fault != c.fault || fault == "" && (aor.String() != c.aor || key.String() != c.key) {
			t.Errorf("%s: %s, %s, %q; want %s, %s, %q", c.in, aor, key, fault, c.aor, c.key, c.fault)
		}
	}
}

// Who a user is toward whom, and for whom a request is.
func TestAccounts(t *testing.T) {
	r, b := accountRules(t, false)
	juliet, romeo := MustParseJID("juliet@example.com"), MustParseJID("romeo@example.com/phone")
	b.add(r, juliet, MustParseURI("sip:Juliet.C@pbx.example.net"))
	for _, c := range []struct{ user, toward, want string }{
		{"juliet@example.com/balcony", "pbx.example.net", "sip:Juliet.C@pbx.example.net"},
		{"juliet@example.com", "PBX.example.net", "sip:Juliet.C@pbx.example.net"},
		{"juliet@example.com", "far.example", "sip:Juliet.C@pbx.example.net"},
		{"juliet@example.com", "2001:db8::9", "sip:Juliet.C@pbx.example.net"},
		{"juliet@example.com/balcony", "other.example", "sip:juliet@example.com;gr=balcony"},
		{"juliet@example.com", "trunk.example", "sip:+15550001111@trunk.example"},
		{"juliet@example.com/balcony", "", "sip:juliet@example.com;gr=balcony"},
		{"romeo@example.com/phone", "pbx.example.net", "sip:romeo@example.com;gr=phone"},
		{"nurse@example.com", "pbx.example.net", "sip:7001@pbx.example.net"},
	} {
		if u, err := r.SIPIdentity(MustParseJID(c.user), c.toward); err != nil || u.String() != c.want {
			t.Errorf("%s toward %s: %s, %v; want %s", c.user, c.toward, u, err, c.want)
		}
	}
	account, ended := MustParseURI("sip:Juliet.C@pbx.example.net"), MustParseURI("sip:romeo@pbx.example.net")
	for _, c := range []struct {
		name    string
		m       SIPMessage
		want    string // "" is not-served
		contact string // of From
	}{
		{"under its address", SIPMessage{RequestURI: MustParseURI("sip:juliet.c@pbx.example.net")}, "juliet@example.com", ""},
		{"at its contact", SIPMessage{RequestURI: MustParseURI("sip:x7f3a@192.0.2.4:5060"), Account: &account}, "juliet@example.com", ""},
		{"at its contact, whatever else the user part is", SIPMessage{RequestURI: MustParseURI("sip:7001@192.0.2.4"), Account: &account, Here: true}, "juliet@example.com", ""},
		{"at the contact of one that has ended", SIPMessage{RequestURI: MustParseURI("sip:romeo@example.com"), Account: &ended}, "", ""},
		{"of nobody", SIPMessage{RequestURI: MustParseURI("sip:romeo@pbx.example.net")}, "", ""},
		{"under its address with a port", SIPMessage{RequestURI: MustParseURI("sip:juliet.c@pbx.example.net:5070")}, "", ""},
		{"his own address", SIPMessage{RequestURI: MustParseURI("sip:juliet@example.com")}, "juliet@example.com", ""},
		{"the phone beside it writes to somebody", SIPMessage{RequestURI: MustParseURI("sip:romeo@example.com"), From: account}, "romeo@example.com", "juliet.c@sip.example.com"},
	} {
		j, err := r.RecipientOf(&c.m)
		if c.want == "" && ReasonOf(err) != ReasonNotServed || c.want != "" && (err != nil || j.String() != c.want) {
			t.Errorf("%s: %s, %v; want %q", c.name, j, err, c.want)
		}
		if c.contact != "" {
			if j, err := r.Sender(c.m.From); err != nil || j.String() != c.contact {
				t.Errorf("%s: the sender is %s, %v", c.name, j, err)
			}
		}
	}
	// The name goes with the address, and only with it.
	for to, want := range map[string]string{"tybalt@sip.example.com": `Juliet "J" Via: x`, `tybalt\40other.example@sip.example.com`: ""} {
		out, err := r.ToSIP(&XMPPMessage{From: MustParseJID("juliet@example.com/a"), To: MustParseJID(to), Bodies: []Text{{Value: "hi"}}})
		if err != nil || out[0].(*SIPMessage).Name != want {
			t.Errorf("to %s: %+v, %v", to, out, err)
		}
	}
	// Events go by the same rules.
	w, err := r.WatchOf(&SIPEvent{RequestURI: MustParseURI("sip:x7f3a@192.0.2.4"), From: MustParseURI("sip:romeo@pbx.example.net"), Account: account})
	if err != nil || w.User != juliet {
		t.Errorf("%+v, %v", w, err)
	}
	// Whose account it is stays untold where a redirect names him.
	if f := r.FailureToXMPP(&Failure{Status: 302, Condition: CondRedirect, Alternate: "sip:juliet.c@pbx.example.net"}); strings.Contains(f.Alternate, "juliet@example.com") {
		t.Errorf("a redirect tells %s", f.Alternate)
	}
	if f := r.FailureToSIP(&Failure{Status: 480, Condition: CondRedirect, Alternate: "xmpp:juliet@example.com"}, "pbx.example.net"); strings.Contains(f.Alternate, "Juliet.C") {
		t.Errorf("a redirect tells %s", f.Alternate)
	}
	out, err := r.ToSIP(&XMPPMessage{From: romeo, To: MustParseJID("juliet.c@sip.example.com"), Bodies: []Text{{Value: "hi"}}})
	if err != nil || out[0].(*SIPMessage).RequestURI.String() != "sip:juliet.c@pbx.example.net" {
		t.Errorf("an answer to the phone: %+v, %v", out, err)
	}
}

// GW-21: who has no account gets nowhere, is not reached, and is told apart from nobody.
func TestAccountsRequired(t *testing.T) {
	r, b := accountRules(t, true)
	b.add(r, MustParseJID("juliet@example.com"), MustParseURI("sip:juliet@pbx.example.net"))
	for _, toward := range []string{"romeo@sip.example.com", `romeo\40other.example@sip.example.com`, "+49301234@sip.example.com"} {
		for from, refused := range map[string]bool{"juliet@example.com/a": false, "romeo@example.com/a": true, "nurse@example.com": true} {
			v := &XMPPMessage{From: MustParseJID(from), To: MustParseJID(toward), Bodies: []Text{{Value: "hi"}}}
			_, err := r.ToSIP(v)
			f, _ := err.(*Failure)
			if refused && (f == nil || f.Condition != CondRegistrationRequired || f.Type != TypeAuth) || !refused && err != nil {
				t.Errorf("%s to %s: %v", from, toward, err)
			}
			if state, err := r.ToSIP(&XMPPState{From: v.From, To: v.To, State: StateComposing}); refused && err == nil && len(state) > 0 {
				t.Errorf("%s to %s: typing is told", from, toward)
			}
		}
	}
	everybody, err := NewAccess([]string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	few, err := NewAccess([]string{"juliet@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	for to, status := range map[string]int{"juliet": 0, "romeo": 480, "nobody": 480} {
		m := &SIPMessage{RequestURI: MustParseURI("sip:" + to + "@example.com"), From: MustParseURI("sip:tybalt@pbx.example.net"), ContentType: "text/plain", Body: []byte("hi")}
		_, err := r.ToXMPP(m)
		f, _ := err.(*Failure)
		if status == 0 && err != nil || status > 0 && (f == nil || f.Status != status) {
			t.Errorf("to %s: %v", to, err)
		}
		if r.Denies(everybody, m) || r.Denies(few, m) != (to != "juliet") {
			t.Errorf("to %s: access says something else", to)
		}
	}
	// Of a guest who may not be reached nothing else is told.
	if !r.Denies(few, &SIPMessage{RequestURI: MustParseURI("sip:romeo%40elsewhere.example@gw.example.com")}) {
		t.Error("a guest without an account is told apart from one who may not be reached")
	}
}

// ADDR-20 with accounts: who has an account is answered, whichever of his addresses stands
// in From; nobody else's request is his; what is not about accounts is as without them.
func TestAccountProperties(t *testing.T) {
	without, err := NewRules(accountsConfig())
	if err != nil {
		t.Fatal(err)
	}
	hosts := []string{"pbx.example.net", "tel.example.net", "far.example", "other.example", "trunk.example", "example.com", "192.0.2.4"}
	rapid.Check(t, func(t *rapid.T) {
		r, b := accountRules(t, false)
		for range rapid.IntRange(0, 6).Draw(t, "accounts") {
			user, err := NewJID(anyUser().Draw(t, "user"), "example.com", "")
			if err != nil || user.Local() == "" {
				continue
			}
			b.add(r, user, URI{Scheme: "sip", User: anyUser().Draw(t, "aor"), Host: rapid.SampledFrom(hosts).Draw(t, "host")})
		}
		toward := rapid.SampledFrom(hosts).Draw(t, "toward")
		for user, aor := range b.of {
			u, err := r.SIPIdentity(user, toward)
			if !r.fromAccount(toward) {
				if c, errC := without.SIPIdentity(user, toward); u != c || (err == nil) != (errC == nil) {
					t.Fatalf("%s, who is no account toward %s, is %s and not %s", user, toward, u, c)
				}
			} else if err != nil || u != aor {
				t.Fatalf("%s has the account %s, and toward %s is %s, %v", user, aor, toward, u, err)
			}
			if err != nil {
				continue
			}
			if back, err := r.RecipientOf(&SIPMessage{RequestURI: reparse(t, u)}); err != nil || back.Bare() != user {
				t.Fatalf("%s is %s toward %s, which is %s, %v", user, u, toward, back, err)
			}
			if back, err := r.RecipientOf(&SIPMessage{RequestURI: MustParseURI("sip:token@192.0.2.4"), Account: &aor}); err != nil || back != user {
				t.Fatalf("the contact of %s is %s, %v", aor, back, err)
			}
			contact, err := r.Sender(reparse(t, aor))
			if err != nil {
				t.Fatalf("the phone of %s cannot write: %v", user, err)
			}
			if back, err := r.SIPAddress(contact.Bare()); err != nil {
				t.Fatalf("the phone of %s, %s, cannot be answered: %v", user, contact, err)
			} else if _, key, _ := r.AccountAddress(back); b.users[key] != user {
				t.Fatalf("an answer to %s goes to %s", contact, back)
			}
		}
		// All the rest.
		j, err := ParseJID(anyJID().Draw(t, "jid"))
		if err != nil {
			return
		}
		u := URI{Scheme: "sip", User: anyUser().Draw(t, "other"), Host: rapid.SampledFrom(hosts).Draw(t, "other host")}
		if _, has := b.of[j.Bare()]; !has {
			a, errA := r.SIPIdentity(j, toward)
			c, errC := without.SIPIdentity(j, toward)
			if a != c || (errA == nil) != (errC == nil) {
				t.Fatalf("%s, who has no account, is %s and not %s", j, a, c)
			}
		}
		if _, key, fault := r.AccountAddress(u); fault != "" || b.users[key].IsZero() {
			a, errA := r.RecipientOf(&SIPMessage{RequestURI: u})
			c, errC := without.RecipientOf(&SIPMessage{RequestURI: u})
			if a != c || (errA == nil) != (errC == nil) {
				t.Fatalf("%s, nobody's account, is %s, %v and not %s, %v", u, a, errA, c, errC)
			}
		}
		for _, f := range []func(*Rules) (JID, error){func(r *Rules) (JID, error) { return r.Sender(u) }, func(r *Rules) (JID, error) { return r.Recipient(u) }, func(r *Rules) (JID, error) { return r.XMPPAddress(u) }} {
			a, errA := f(r)
			c, errC := f(without)
			if a != c || (errA == nil) != (errC == nil) {
				t.Fatalf("%s: %s and not %s", u, a, c)
			}
		}
	})
}
