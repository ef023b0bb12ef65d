//go:build interop

package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// subscriber is a person who has a SIP account of her own, at a proxy.
type subscriber struct {
	*person
	proxy *stage.Kamailio
	bob   *stage.Phone // who writes to her account
	own   string       // the account, as she types it
	next  int          // line of the proxy: what is before is known
}

// GW-19, GW-20, GW-24, GW-25: a user's own SIP account and the gateway's commands, as people
// see them in a client that is made for them. Pictures of the documentation are of this.
func TestAccountOnTheScreen(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		s := &subscriber{person: &person{world: newNamedWorld(t, server, "example.com", "pbx.example.net"), draws: server == "prosody"}, own: "jul@pbx.example.net"}
		s.must(s.server.Boot(s.ctx))
		var err error
		s.proxy, err = s.Kamailio(s.ctx, stage.KamailioOptions{Domain: "pbx.example.net", Users: []stage.Account{bobAccount, julAccount}, Gateway: s.stox.SIP, Transport: "tcp"})
		s.must(err)
		l := &lines{world: s.world, proxy: s.proxy, transport: "tcp"}
		l.runWithAccounts("optional")
		s.bob, err = s.BaresipAt(s.ctx, s.proxy, "bob", "tcp", "sip:"+s.own)
		s.must(err)
		s.screen, err = s.Profanity(s.ctx, s.server, s.domain, juliet)
		s.must(err)
		s.lists()
		s.fillsIn()
		s.corrects()
		s.looksAtIt()
		s.writes()
		s.asks()
		s.speaksGerman()
		s.blocks()
		s.leaves()
		l.keepsSecrets([]string{julAccount.Password, "a-wrong-password"}, 2, nil)
	})
}

// exec gives a command that is a form, and waits for its title.
func (s *subscriber) exec(node, title string) {
	s.t.Helper()
	s.types("/cmd exec " + node + " " + s.component)
	s.sees("Form title: " + title)
}

// says writes to the gateway in a chat, and waits for a line of the answer.
func (s *subscriber) says(text string, words ...string) {
	s.t.Helper()
	s.types("/clear")
	s.types(text)
	s.sees("me: " + text)
	s.sees(words...)
}

// hides waits until something is not on the screen, which is drawn line by line.
func (s *subscriber) hides(text string) {
	s.t.Helper()
	s.must(s.screen.AwaitGone(s.ctx, text))
}

// lists: the commands that there are. The client asks no gateway before it knows that its
// server has commands; then it says that it has no keys.
func (s *subscriber) lists() {
	s.sees("OMEMO: cannot publish")
	s.types("/clear")
	s.types("/cmd list " + s.component)
	for _, node := range []string{"account", "block", "blocked", "help", "language", "lookup", "unblock"} {
		s.sees("  " + node)
	}
	s.hides("status") // is for admins
	s.saw(toStox, "shown", "list of commands")
}

// fillsIn: the form of an account, with a password that is wrong.
func (s *subscriber) fillsIn() {
	s.exec("account", "Your SIP account")
	s.sees("It is checked at once")
	s.sees("[field5] Display name:")
	s.types("/form help field1")
	s.sees("Description : as in romeo@example.net")
	s.types("/field1 " + s.own)
	s.sees("[field1] SIP address (required): " + s.own)
	s.types("/field2 a-wrong-password")
	s.sees("[field2] Password (required): [hidden]")
	s.types("/form submit")
	s.sees("The SIP server does not accept this user name and password.")
	s.sees("[field1] SIP address (required): " + s.own) // as it was typed
	s.sees("[field2] Password (required):")
	s.hides("[hidden]") // the password was not
	s.saw(toStox, "shown above the form", "account with a wrong password")
}

// corrects: the same form with another password is the account.
func (s *subscriber) corrects() {
	s.types("/field2 " + julAccount.Password)
	s.sees("[field2] Password (required): [hidden]")
	s.picture("account", "A SIP account is filled in, after a wrong password")
	s.types("/form submit")
	s.sees("[field1] SIP address: " + s.own)
	s.sees("State: registered")
	s.hides("Reason") // there is none
	s.hides(julAccount.Password)
	s.types("/form cancel") // leaves what was shown
	s.sees(s.own + " is your SIP account now.")
	s.sees("Received authorization request from " + s.component)
	_, expires, next, err := s.proxy.AwaitRegistered(s.ctx, s.next, "jul")
	s.must(err)
	if expires == "0" {
		s.t.Error("what was registered is taken back")
	}
	s.next = next
	s.saw(toStox, "registered", "account by a form")
}

// looksAtIt: the command shows the account, and leaves it alone.
func (s *subscriber) looksAtIt() {
	s.types("/msg " + s.component)
	s.sees("Authorization request, type '/sub allow'")
	s.types("/sub allow")
	s.exec("account", "Your SIP account")
	s.sees("SIP address: " + s.own)
	s.sees("State: registered")
	s.sees("[keep] Leave it as it is")
	s.types("/form submit")
	s.types("/msg " + s.component)
	s.sees("Nothing was changed.")
	s.saw(toStox, "shown", "the account and how it is with it")
}

// writes: her texts are those of the account, and what is for the account reaches her.
func (s *subscriber) writes() {
	s.types("/msg bob@" + s.component + " What's in a name?")
	line, err := s.bob.Await(s.ctx, "What's in a name?")
	s.must(err)
	if !strings.Contains(line, "sip:"+s.own) {
		s.t.Errorf("the phone shows %q, not %s", line, s.own)
	}
	s.must(s.screen.AwaitReceipt(s.ctx, "What's in a name?"))
	s.must(s.bob.Message("That which we call a rose"))
	s.sees("bob@" + s.component + ": That which we call a rose")
	s.sees("Authorization request, type '/sub allow'")
	s.types("/sub deny")
	s.saw(toSIP, "shown under the address of the account, and as delivered", "text of a user with an account")
	s.saw(toXMPP, "shown", "text to the account")
}

// asks: commands in a chat.
func (s *subscriber) asks() {
	s.types("/msg " + s.component)
	s.says("account", "SIP address: "+s.own)
	s.sees("State: registered")
	s.says("messages", "Contact: bob@"+s.component)
	s.says("help", "account, ", "lookup, block, unblock")
	s.says("commands", "lookup ADDRESS: what an address or a number is on the other side")
	s.says("lookup bob@pbx.example.net", "XMPP address: bob@"+s.component)
	s.says("lookup sip:bob@elsewhere.example", `XMPP address: bob\40elsewhere.example@`+s.component)
	s.says("lookup nobody", "There is no such address.")
	s.saw(toStox, "answered", "commands in a chat")
	s.exec("lookup", "Addresses")
	s.types(`/field1 "+1 202 555 0123"`)
	s.sees("[field1] SIP address (required): +1 202 555 0123")
	s.types("/field1 bob@pbx.example.net")
	s.sees("[field1] SIP address (required): bob@pbx.example.net")
	s.types("/form submit")
	s.sees("[field1] XMPP address: bob@" + s.component)
	s.types("/form cancel")
	s.types("/msg " + s.component)
	s.saw(toStox, "shown", "address that is looked up by a form")
}

// speaksGerman: as she says, in chats and forms, until she takes it back.
func (s *subscriber) speaksGerman() {
	s.says("language de", "Ich spreche Deutsch mit Ihnen.")
	s.says("konto", "SIP-Adresse: "+s.own)
	s.sees("Zustand: angemeldet")
	s.says("hilfe", "schreiben Sie „hilfe“ an "+s.component)
	s.exec("account", "Ihr SIP-Konto")
	s.sees("[keep] So lassen")
	s.types("/form cancel")
	s.types("/msg " + s.component)
	s.says("sprache auto", "I speak English with you.")
	s.saw(toStox, "in German", "commands")
}

// blocks: a contact does not reach her, and then does again.
func (s *subscriber) blocks() {
	from := len(s.stox.Lines())
	s.says("block bob@pbx.example.net", "sip:bob@pbx.example.net is blocked.")
	s.picture("blocking", "A contact is blocked")
	s.must(s.bob.Message("By any other name"))
	_, _, err := s.stox.WaitLine(s.ctx, from, "blocked", "bob@pbx.example.net")
	s.must(err)
	s.types("/cmd exec blocked " + s.component)
	s.sees("[val1] sip:bob@pbx.example.net")
	s.types("/form cancel")
	s.types("/msg bob@" + s.component + " Would smell as sweet")
	s.sees("You have blocked this contact.")
	s.types("/msg " + s.component)
	s.types("/clear")
	s.types("blocked")
	s.sees("Entry: sip:bob@pbx.example.net")
	s.types("unblock bob@pbx.example.net")
	s.sees("sip:bob@pbx.example.net may reach you again.")
	s.must(s.bob.Message("So Romeo would"))
	s.types("/msg bob@" + s.component)
	s.sees("bob@" + s.component + ": So Romeo would")
	s.hides("By any other name")
	for _, line := range s.bob.Shown() {
		if strings.Contains(line, "Would smell as sweet") {
			s.t.Errorf("who is blocked is written to: %q", line)
		}
	}
	s.saw(toXMPP, "not shown until unblocked", "text of a blocked contact")
	s.saw(toSIP, resultError, "text to a blocked contact")
}

// leaves: the account ends, and she is again who she was.
func (s *subscriber) leaves() {
	s.exec("account", "Your SIP account")
	s.types("/field1 remove")
	s.sees("Field updated...")
	s.types("/form submit")
	s.sees("Do you want to remove your SIP account " + s.own + "?")
	s.types("/field1 on")
	s.sees("[field1] Remove it: TRUE")
	s.types("/form submit")
	s.types("/msg " + s.component)
	s.sees("Your SIP account was removed.")
	contact, expires, _, err := s.proxy.AwaitRegistered(s.ctx, s.next, "jul")
	s.must(err)
	if expires != "0" && !strings.Contains(contact, "expires=0") {
		s.t.Errorf("the last REGISTER has Contact %s and Expires %s", contact, expires)
	}
	s.says("account", "You have no SIP account of your own at this gateway.")
	s.types(fmt.Sprintf("/msg bob@%s Take all myself", s.component))
	line, err := s.bob.Await(s.ctx, "Take all myself")
	s.must(err)
	if !strings.Contains(line, s.user(juliet)) {
		s.t.Errorf("without the account the phone shows %q, not %s", line, s.user(juliet))
	}
	s.saw(toStox, "taken back at the registrar", "end of an account")
}
