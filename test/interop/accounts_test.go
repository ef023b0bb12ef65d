//go:build interop

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// julAccount is juliet's SIP account.
var julAccount = stage.Account{Local: "jul", Password: "capulet-secret"}

const roleLines = "registrar and proxy at which users have accounts of their own"

// lines is a world in which users have SIP accounts of their own at a proxy.
type lines struct {
	*world
	proxy     *stage.Kamailio
	transport string
	juliet    *stage.XMPPClient
	other     *stage.XMPPClient // a second device of hers
	romeo     *stage.XMPPClient
	bob       *stage.Phone
	phone     *stage.Phone // juliet's
	ids       []string     // of what was sent
}

// GW-19, GW-20, GW-24, GW-25, SEC-14: a user's own SIP account, from the form to the end of
// it, by each of the three ways there are to it.
func TestAccounts(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		l := &lines{world: newPrivateWorld(t, server), transport: "tcp"}
		l.must(l.server.Boot(l.ctx))
		var err error
		l.proxy, err = l.Kamailio(l.ctx, stage.KamailioOptions{Domain: sipDomain, Users: []stage.Account{bobAccount, julAccount, eveAccount}, Gateway: l.stox.SIP, Transport: l.transport})
		l.must(err)
		l.runWithAccounts("optional")
		l.juliet, l.other, l.romeo = l.login(juliet), l.login(juliet), l.login(romeo)
		l.bob, err = l.BaresipAt(l.ctx, l.proxy, "bob", l.transport, "sip:jul@"+sipDomain)
		l.must(err)
		l.phone, err = l.BaresipAt(l.ctx, l.proxy, "jul", l.transport, l.user(romeo))
		l.must(err)

		l.announced()
		l.refusals()
		l.byForm()
		l.messages("first")
		l.besides()
		l.sessions()
		l.german()
		l.byChat()
		l.admins()
		before := []*stage.XMPPClient{l.juliet, l.other, l.romeo}
		l.serverAgain()
		l.restarts()
		l.leaves()
		l.byCommand()
		l.keepsSecrets([]string{julAccount.Password, "a wrong password", "Montague-1595"}, 3, l.ids, append(before, l.juliet)...)
		l.sealed()
		l.serverDown()
	})
}

// runWithAccounts starts stox with accounts at the proxy.
func (l *lines) runWithAccounts(mode string) {
	l.t.Helper()
	key := filepath.Join(l.Dir, "accounts.key")
	l.must(os.WriteFile(key, []byte("3q2+7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs=\n"), 0o600))
	l.stox.Env = append(l.stox.Env, "STOX_XMPP_ADMINS=romeo@"+l.domain)
	l.runWith(fmt.Sprintf("[accounts]\nmode = %q\nkey_file = %q\n\n[[sip.route]]\ndomain = %q\nvia = \"sip:127.0.0.1:%d;transport=%s\"\nfrom = \"account\"\n",
		mode, key, l.proxy.Domain, l.proxy.PortOf(l.transport), l.transport))
}

func (l *lines) linesCrossed(direction, result string, what ...string) {
	l.crossed(passage{l.proxy.Name, roleLines, l.transport, direction, result}, what...)
}

func (l *lines) formsCrossed(result string, what ...string) {
	l.crossed(passage{stage.XMPPClientName(), roleClient, transportStream, toStox, result}, what...)
}

// command takes a step of a command.
func (l *lines) command(c *stage.XMPPClient, s stage.Step) stage.StepAnswer {
	l.t.Helper()
	s.To = l.component
	a, err := c.Command(l.ctx, s)
	l.must(err)
	return a
}

// register takes a step of a registration.
func (l *lines) register(c *stage.XMPPClient, s stage.Step) stage.StepAnswer {
	l.t.Helper()
	s.To = l.component
	a, err := c.Register(l.ctx, s)
	l.must(err)
	return a
}

// fill is what is filled in for an account.
func fill(address, password string) map[string][]string {
	return map[string][]string{"username": {address}, "password": {password}}
}

func (l *lines) announced() {
	info, err := l.juliet.Ask(l.ctx, "info", l.component, "")
	l.must(err)
	for _, f := range []string{"jabber:iq:register", "http://jabber.org/protocol/commands"} {
		if !slices.Contains(info.Features, f) {
			l.t.Errorf("the gateway does not announce %s", f)
		}
	}
	for _, x := range []struct {
		c     *stage.XMPPClient
		admin bool
	}{{l.juliet, false}, {l.romeo, true}} {
		all, err := x.c.Ask(l.ctx, "items", l.component, "http://jabber.org/protocol/commands")
		l.must(err)
		if len(all.Items) == 0 {
			l.t.Errorf("no commands are listed for %s", x.c.JID)
		}
	}
	a := l.register(l.juliet, stage.Step{Action: "get"})
	if a.Registered || a.Plain == nil || a.Form == nil || !slices.Contains(a.Plain.Vars, "username") || !slices.Contains(a.Plain.Vars, "password") || a.Form.Types["password"] != "text-private" {
		l.t.Errorf("what a registration needs: %+v %+v", a, a.Form)
	}
	l.formsCrossed("all of it", "service discovery of commands and registration")
}

// refusals: each fault has an error of its own, and nothing is kept of any.
func (l *lines) refusals() {
	own := "jul@" + sipDomain
	for _, row := range []struct {
		what      string
		fields    map[string][]string
		condition string
	}{
		{"wrong password", fill(own, "a wrong password"), "not-authorized"},
		{"no password", fill(own, ""), "not-acceptable"},
		{"no address", fill("", julAccount.Password), "not-acceptable"},
		{"what is no address", fill("jul@@", julAccount.Password), "not-acceptable"},
		{"a domain that is not for accounts", fill("jul@elsewhere.test", julAccount.Password), "not-acceptable"},
		{"an unknown user", fill("nobody@"+sipDomain, julAccount.Password), "not-authorized"},
	} {
		a := l.register(l.juliet, stage.Step{Action: "set", Fields: row.fields})
		if a.Condition != row.condition || a.ErrorText == "" {
			l.t.Errorf("%s: %q %q, want %s", row.what, a.Condition, a.ErrorText, row.condition)
		}
	}
	if a := l.register(l.juliet, stage.Step{Action: "get"}); a.Registered {
		l.t.Error("a registration that failed is kept")
	}
	if a := l.register(l.juliet, stage.Step{Action: "remove"}); a.Condition != "registration-required" {
		l.t.Errorf("the end of what is not: %+v", a)
	}
	l.formsCrossed(resultError, "registration with a wrong password, address or domain")
}

// byForm: XEP-0077.
func (l *lines) byForm() {
	if a := l.register(l.juliet, stage.Step{Action: "form", Fields: fill("jul@"+sipDomain, julAccount.Password)}); a.Condition != "" {
		l.t.Fatalf("registration: %s %q", a.Condition, a.ErrorText)
	}
	contact, _, _, err := l.proxy.AwaitRegistered(l.ctx, 0, "jul")
	l.must(err)
	if strings.Contains(contact, "jul@127") && !strings.Contains(contact, fmt.Sprint(l.stox.SIP)) {
		l.t.Errorf("registered at %s", contact)
	}
	l.await(l.juliet, "a subscription from the gateway", func(s stage.Stanza) bool {
		return s.Kind == "presence" && s.From == l.component && s.Type == "subscribe"
	})
	// She lets it see her and wants to see it: else her server would keep its farewell to itself.
	l.must(l.juliet.Send(fmt.Sprintf("<presence to='%[1]s' type='subscribed'/><presence to='%[1]s' type='subscribe'/>", l.component)))
	l.await(l.juliet, "the presence of the gateway", func(s stage.Stanza) bool { return s.Kind == "presence" && s.From == l.component && s.Type == "" })
	a := l.register(l.juliet, stage.Step{Action: "get"})
	if !a.Registered || a.Plain.Value("username") != "jul@"+sipDomain || a.Plain.Value("password") != "" {
		l.t.Errorf("the registration: %+v", a.Plain)
	}
	if a := l.register(l.romeo, stage.Step{Action: "set", Fields: fill("jul@"+sipDomain, julAccount.Password)}); a.Condition != "conflict" {
		l.t.Errorf("somebody else's account: %+v", a)
	}
	l.formsCrossed("registered", "registration by a form")
	l.linesCrossed(both, "stox is registered beside the phone", "REGISTER of a user's account")
}

// messages go under the account, and what is for the account comes to its user.
func (l *lines) messages(n string) {
	l.t.Helper()
	l.ids = append(l.ids, "to-bob-"+n)
	l.must(l.juliet.Message("to-bob-"+n, "bob@"+l.component, n+" to bob"))
	_, err := l.bob.Await(l.ctx, n+" to bob")
	l.must(err)
	if errs := l.errors(l.juliet); len(errs) > 0 {
		l.t.Fatalf("errors: %v", errs)
	}
	l.must(l.bob.Message(n + " to juliet"))
	if st := l.await(l.juliet, "bob's message", stage.WithBody(n+" to juliet")); st.From != "bob@"+l.component {
		l.t.Errorf("from %s", st.From)
	}
	_, err = l.phone.Await(l.ctx, n+" to juliet") // her phone has it, too
	l.must(err)
	l.linesCrossed(toSIP, "under the address of the account, with its password", "text")
	l.linesCrossed(toXMPP, "at the user and at her phone", "text")
}

// besides: the phone of the account writes to other users as it always did.
func (l *lines) besides() {
	l.must(l.phone.Message("from her phone"))
	if st := l.await(l.romeo, "a message of the phone", stage.WithBody("from her phone")); st.From != "jul@"+l.component {
		l.t.Errorf("from %s", st.From)
	}
	l.linesCrossed(toXMPP, "arrived", "text of the user's phone to another user")
}

// sessions: each belongs to one device.
func (l *lines) sessions() {
	mine := l.command(l.juliet, stage.Step{Node: "account"})
	hers := l.command(l.other, stage.Step{Node: "account"})
	if mine.Status != "executing" || hers.Status != "executing" || mine.Session == hers.Session {
		l.t.Fatalf("two devices: %+v and %+v", mine, hers)
	}
	if a := l.command(l.other, stage.Step{Node: "account", Session: mine.Session, Action: "cancel"}); a.Condition != "bad-request" || !strings.Contains(a.More, "bad-sessionid") {
		l.t.Errorf("another device's session: %+v", a)
	}
	for _, x := range []struct {
		c *stage.XMPPClient
		s string
	}{{l.juliet, mine.Session}, {l.other, hers.Session}} {
		if a := l.command(x.c, stage.Step{Node: "account", Session: x.s, Action: "cancel"}); a.Status != "canceled" {
			l.t.Errorf("cancel: %+v", a)
		}
	}
	if a := l.command(l.juliet, stage.Step{Node: "account", Session: mine.Session, Action: "cancel"}); a.Condition == "" {
		l.t.Errorf("a session that is over: %+v", a)
	}
	if a := l.command(l.juliet, stage.Step{Node: "status"}); a.Condition != "forbidden" && a.Condition != "item-not-found" {
		l.t.Errorf("an admin's command: %+v", a)
	}
	l.formsCrossed("each its own session", "commands of two devices")
}

func (l *lines) german() {
	a, b := l.command(l.juliet, stage.Step{Node: "account", Lang: "de"}), l.command(l.juliet, stage.Step{Node: "account"})
	if a.Form == nil || b.Form == nil || a.Form.Title == b.Form.Title || !strings.Contains(a.Form.Title, "Konto") {
		l.t.Errorf("in German: %+v, in English: %+v", a.Form, b.Form)
	}
	l.formsCrossed("in the client's language", "commands in German")
}

// byChat: the same in words.
func (l *lines) byChat() {
	for i, row := range []struct {
		say  string
		want []string
	}{
		{"account", []string{"jul@" + sipDomain}},
		{"messages", []string{"bob@" + l.component}},
		{"lookup bob@" + sipDomain, []string{"bob@" + l.component}},
		{"help", []string{"account", "lookup"}},
		{"hilfe", []string{"konto"}},
	} {
		thread := fmt.Sprintf("thread-%d", i)
		l.must(l.juliet.Send(fmt.Sprintf("<message to='%s' type='chat'><thread>%s</thread><body>%s</body></message>", l.component, thread, row.say)))
		st := l.await(l.juliet, "the answer to "+row.say, func(s stage.Stanza) bool { return s.Kind == "message" && s.From == l.component && s.Thread == thread })
		for _, w := range row.want {
			if !strings.Contains(strings.ToLower(st.Body), w) {
				l.t.Errorf("%q is answered %q, which has no %q", row.say, st.Body, w)
			}
		}
	}
	l.formsCrossed("answered", "commands in a chat")
}

// admins see who has an account, and may end it.
func (l *lines) admins() {
	if a := l.command(l.romeo, stage.Step{Node: "status"}); a.Status != "completed" || a.Form == nil {
		l.t.Errorf("status: %+v", a)
	}
	a := l.command(l.romeo, stage.Step{Node: "http://jabber.org/protocol/admin#get-registered-users-num"})
	if a.Status != "completed" || a.Form.Value("registeredusersnum") != "1" {
		l.t.Errorf("the number of accounts: %+v %+v", a, a.Form)
	}
	if a := l.command(l.juliet, stage.Step{Node: "http://jabber.org/protocol/admin#get-registered-users-num"}); a.Condition == "" {
		l.t.Errorf("for everybody: %+v", a)
	}
	l.formsCrossed("for admins only", "commands of an admin (XEP-0133)")
}

// restarts of each party in the middle.
func (l *lines) restarts() {
	from := len(l.proxy.Lines())
	status, err := l.stox.Stop(l.ctx)
	l.must(err)
	if status != 0 {
		l.t.Errorf("SIGTERM ended stox with status %d", status)
	}
	l.must(l.stox.Run(l.ctx))
	_, err = l.stox.WaitLink(l.ctx, 0)
	l.must(err)
	_, _, next, err := l.proxy.AwaitRegistered(l.ctx, from, "jul") // taken back
	l.must(err)
	_, expires, _, err := l.proxy.AwaitRegistered(l.ctx, next, "jul") // and made anew
	l.must(err)
	if expires == "0" {
		l.t.Error("after a restart the account is not registered")
	}
	l.messages("restarted")
	l.linesCrossed(both, "registered again by itself", "restart of stox with accounts")

	_, err = l.proxy.Stop(l.ctx)
	l.must(err)
	l.must(l.proxy.Boot(l.ctx))
	_, _, _, err = l.proxy.AwaitRegistered(l.ctx, 0, "jul")
	l.must(err)
	l.linesCrossed(both, "registered again by itself", "restart of the registrar with accounts")
}

// leaves: the end of an account takes back all that was made for it.
func (l *lines) leaves() {
	from := len(l.proxy.Lines())
	if a := l.register(l.juliet, stage.Step{Action: "remove"}); a.Condition != "" {
		l.t.Fatalf("remove: %+v", a)
	}
	contact, expires, _, err := l.proxy.AwaitRegistered(l.ctx, from, "jul")
	l.must(err)
	if expires != "0" && !strings.Contains(contact, "expires=0") {
		l.t.Errorf("the last REGISTER has Contact %s and Expires %s", contact, expires)
	}
	for _, typ := range []string{"unsubscribe", "unsubscribed", "unavailable"} {
		l.await(l.juliet, typ+" from the gateway", func(s stage.Stanza) bool { return s.Kind == "presence" && s.From == l.component && s.Type == typ })
	}
	if a := l.register(l.juliet, stage.Step{Action: "get"}); a.Registered {
		l.t.Error("the registration is still there")
	}
	l.formsCrossed("all of it is gone", "end of a registration")
}

// byCommand: the same account by an ad-hoc command.
func (l *lines) byCommand() {
	a := l.command(l.juliet, stage.Step{Node: "account"})
	if a.Form == nil || !slices.Contains(a.Form.Vars, "address") || a.Form.Types["password"] != "text-private" {
		l.t.Fatalf("the form: %+v %+v", a, a.Form)
	}
	fields := map[string][]string{"address": {"sip:jul@" + sipDomain}, "password": {"Montague-1595"}, "name": {"Juliet C."}}
	b := l.command(l.juliet, stage.Step{Node: "account", Session: a.Session, Action: "complete", Fields: fields})
	if b.Status != "executing" || b.Form == nil || b.Form.Value("password") != "" { // it may be corrected
		l.t.Fatalf("a wrong password: %+v %+v", b, b.Form)
	}
	fields["password"] = []string{julAccount.Password}
	if c := l.command(l.juliet, stage.Step{Node: "account", Session: b.Session, Action: "complete", Fields: fields}); c.Status != "completed" {
		l.t.Fatalf("the account: %+v", c)
	}
	l.formsCrossed("registered, after a password that was wrong", "account by an ad-hoc command")
}

// serverAgain: the XMPP server comes back, and finds the accounts as they were.
func (l *lines) serverAgain() {
	at := len(l.stox.Lines())
	_, err := l.server.Stop(l.ctx)
	l.must(err)
	l.must(l.server.Boot(l.ctx))
	_, err = l.stox.WaitLink(l.ctx, at)
	l.must(err)
	l.juliet = l.login(juliet)
	l.messages("reconnected")
	l.linesCrossed(both, "messages go on, under the account", "restart of the XMPP server with accounts")
}

// sealed: the password is in the file of no store.
func (l *lines) sealed() {
	all, err := filepath.Glob(filepath.Join(l.Dir, "stox.db*"))
	l.must(err)
	if len(all) == 0 {
		l.t.Fatal("there is no store")
	}
	for _, file := range all {
		b, err := os.ReadFile(file)
		l.must(err)
		if strings.Contains(string(b), julAccount.Password) {
			l.t.Errorf("%s has the password", file)
		}
	}
}

// serverDown: an answer within the time of an IQ, and the account that there is stays.
func (l *lines) serverDown() {
	_, err := l.proxy.Stop(l.ctx)
	l.must(err)
	a := l.register(l.juliet, stage.Step{Action: "set", Fields: fill("jul@"+sipDomain, "Montague-1595")})
	if a.Condition != "remote-server-timeout" && a.Condition != "remote-server-not-found" {
		l.t.Errorf("without a registrar: %+v", a)
	}
	if a := l.register(l.juliet, stage.Step{Action: "get"}); !a.Registered {
		l.t.Error("the account is gone with its registrar")
	}
	l.linesCrossed(both, resultError+" to the form; the account stays", "registrar that is down")
}

// GW-21: where an account is required, who has none is told so.
func TestAccountsRequired(t *testing.T) {
	t.Parallel()
	l := &lines{world: newPrivateWorld(t, "prosody"), transport: "udp"}
	l.must(l.server.Boot(l.ctx))
	var err error
	l.proxy, err = l.Kamailio(l.ctx, stage.KamailioOptions{Domain: sipDomain, Users: []stage.Account{bobAccount, julAccount}, Gateway: l.stox.SIP, Transport: l.transport})
	l.must(err)
	l.runWithAccounts("required")
	l.juliet = l.login(juliet)
	l.bob, err = l.BaresipAt(l.ctx, l.proxy, "bob", l.transport, "sip:jul@"+sipDomain)
	l.must(err)
	l.must(l.juliet.Message("none", "bob@"+l.component, "without an account"))
	if st := l.await(l.juliet, "the error", stage.WithID("none")); st.Condition != "registration-required" {
		t.Errorf("the error: %s", st.Raw)
	}
	if a := l.register(l.juliet, stage.Step{Action: "set", Fields: fill("jul@"+sipDomain, julAccount.Password)}); a.Condition != "" {
		t.Fatalf("registration: %s %q", a.Condition, a.ErrorText)
	}
	l.must(l.juliet.Message("some", "bob@"+l.component, "with an account"))
	_, err = l.bob.Await(l.ctx, "with an account")
	l.must(err)
	l.linesCrossed(toSIP, "only of who has an account", "text where an account is required")
}
