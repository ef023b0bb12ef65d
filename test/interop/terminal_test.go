//go:build interop

package interop

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

var updatePictures = flag.Bool("update-pictures", false, "draw the pictures of the documentation")

const pictures = "../../docs/pictures"

// person is somebody at an XMPP client with a screen, and whom she writes with.
type person struct {
	*world
	screen *stage.Terminal
	romeo  *stage.Phone
	sms    *stage.SIPpServer // takes a message over, and does not say that it has arrived
	draws  bool              // pictures
}

// What people see at work, in a client that is made for them: GW-08, GW-22, IM-40, IM-46,
// IM-50, ERR-02. Pictures of docs/users.md are of this.
func TestOnTheScreen(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		p := &person{world: newNamedWorld(t, server, "example.com", "pbx.example.net"), draws: server == "prosody"}
		p.must(p.server.Boot(p.ctx))
		var err error
		p.romeo, err = p.BaresipWith(p.ctx, stage.PhoneOptions{User: "romeo", Domain: "pbx.example.net", Contact: p.user(juliet), Transport: "tcp", Proxy: fmt.Sprintf("127.0.0.1:%d", p.stox.SIP), Presence: true})
		p.must(err)
		p.sms, err = p.SIPpServe(p.ctx, "tcp", 2, 202, "Accepted")
		p.must(err)
		p.run(via("pbx.example.net", p.romeo.Port, "tcp"), via("example.org", p.sms.Port, "tcp"))
		p.screen, err = p.Profanity(p.ctx, p.server, p.domain, juliet)
		p.must(err)
		p.looks()
		p.adds()
		p.chats()
		p.sends()
		p.typing()
		p.asksForHelp()
	})
}

// types has the person type a line.
func (p *person) types(line string) {
	p.t.Helper()
	p.must(p.screen.Type(line))
}

// sees waits for a line on the screen with all the words in it.
func (p *person) sees(words ...string) {
	p.t.Helper()
	_, err := p.screen.Await(p.ctx, words...)
	p.must(err)
}

// saw notes what has been seen.
func (p *person) saw(direction, result string, what ...string) {
	p.crossed(passage{stage.ProfanityName(), roleClient + " with a screen", transportStream, direction, result}, what...)
}

// picture draws the screen for the documentation, or looks whether the picture there is still
// what this version of the program shows.
func (p *person) picture(name, title string) {
	p.t.Helper()
	if !p.draws {
		return
	}
	screen, err := p.screen.Colours()
	p.must(err)
	file, now := filepath.Join(pictures, name+".svg"), stage.Picture(title, stage.ProfanityName(), screen, p.screen.Width)
	if *updatePictures {
		p.must(os.WriteFile(file, []byte(now), 0o644))
		return
	}
	b, err := os.ReadFile(file)
	p.must(err)
	if !strings.Contains(string(b), "<desc>"+stage.ProfanityName()+"</desc>") {
		return // another version may show it in other words
	}
	want, err := stage.PictureText(string(b))
	p.must(err)
	if got, err := stage.PictureText(now); err != nil || got != want {
		p.t.Errorf("%s is stale (make pictures draws it): the screen is\n%s\nand the picture\n%s\n%v", file, got, want, err)
	}
}

// looks: the client finds out what the gateway is.
func (p *person) looks() {
	p.types("/disco info " + p.component)
	p.sees("SIP gateway", "simple", "gateway")
	p.sees("urn:xmpp:ping")
	p.saw(toStox, "shown", "service discovery")
}

// adds: contacts are in the roster, and the gateway tells how to write to others.
func (p *person) adds() {
	p.types("/clear")
	p.types("/roster add " + p.component + " Gateway")
	p.sees("Roster item added: " + p.component)
	p.types("/sub request " + p.component)
	p.sees("Subscription received from " + p.component)
	p.sees("Gateway is online")
	p.sees("chat message: Gateway")
	p.types("/roster add romeo@" + p.component + " Romeo")
	p.sees("Roster item added: romeo@" + p.component)
	p.types("/sub request romeo@" + p.component)
	p.sees("Subscription received from romeo@" + p.component)
	p.picture("adding", "Adding a contact")
	p.saw(toStox, "in the roster", "adding a contact")
	p.saw(toStox, "in the roster, online", "adding the gateway")
}

// chats: a text each way, with the receipt of a phone that has taken it.
func (p *person) chats() {
	p.types("/msg Romeo Wherefore art thou, Romeo?")
	_, err := p.romeo.Await(p.ctx, "Wherefore art thou, Romeo?")
	p.must(err)
	p.must(p.screen.AwaitReceipt(p.ctx, "Wherefore art thou, Romeo?"))
	p.must(p.romeo.Message("By yonder blessed moon I swear, žluť"))
	p.sees("Romeo: By yonder blessed moon I swear, žluť")
	// Who writes for the first time asks, so that receipts come back.
	p.sees("Authorization request, type '/sub allow' to accept or '/sub deny' to reject")
	p.types("/sub allow")
	_, _, err = p.stox.WaitLine(p.ctx, 0, `msg="a user lets a contact see him"`)
	p.must(err)
	p.types("O, swear not by the moon!")
	p.must(p.screen.AwaitReceipt(p.ctx, "O, swear not by the moon!"))
	p.picture("chat", "A conversation with a telephone")
	p.saw(toSIP, "shown as delivered", "text with a receipt")
	p.saw(toXMPP, "shown", "text")
}

// sends: what was only taken over is not shown as delivered, and a failure is.
func (p *person) sends() {
	p.types(`/msg mercutio\40example.org@` + p.component + " Is anybody there?")
	_, err := p.sms.AwaitRequests(p.ctx, 1)
	p.must(err)
	_, _, err = p.stox.WaitLine(p.ctx, 0, "msg=delivered", "status=202")
	p.must(err)
	p.types("/msg romeo2@" + p.component + " Good night")
	p.sees("Error from romeo2@"+p.component, "404")
	p.picture("failed", "A message that has not arrived")
	p.saw(toSIP, resultError, "text with a receipt, answered 404")
	p.types(`/msg mercutio\40example.org@` + p.component + " Hello?")
	_, err = p.sms.Requests(p.ctx)
	p.must(err)
	for _, text := range []string{"Is anybody there?", "Hello?"} {
		p.sees("me: " + text)
		if delivered, shown, err := p.screen.Receipt(text); err != nil || delivered || !shown {
			p.t.Errorf("%q, which was answered 202: shown %t, as delivered %t; %v", text, shown, delivered, err)
		}
	}
	p.saw(toSIP, "not shown as delivered", "text with a receipt, answered 202")
}

// typing: what the contact does is shown, until it writes. This client shows it of devices
// only, which in SIP a GRUU names.
func (p *person) typing() {
	p.types("/msg Romeo")
	p.sees("Romeo [")
	const from = "sip:romeo@pbx.example.net;gr=desk"
	p.sippSend(stage.SIPpSend{Transport: "tcp", URI: p.user(juliet), From: from, ContentType: "application/im-iscomposing+xml", Body: isComposing("active"), Expect: handedOver})
	p.sees("Romeo", "typing")
	p.picture("typing", "Somebody is typing")
	p.sippSend(stage.SIPpSend{Transport: "tcp", URI: p.user(juliet), From: from, Body: "Good night, good night", Expect: handedOver})
	p.sees("Romeo/desk: Good night, good night")
	screen, err := p.screen.Screen()
	p.must(err)
	if title, _, _ := strings.Cut(screen, "\n"); strings.Contains(title, "typing") {
		p.t.Errorf("somebody who has written is still typing: %q", title)
	}
	p.saw(toXMPP, "shown", "typing, from a device that a GRUU names")
}

// asksForHelp: the gateway says how addresses are written.
func (p *person) asksForHelp() {
	p.types("/msg " + p.component)
	p.types("/clear") // it has said the same in its welcome
	p.types("help")
	p.sees("me: help")
	p.sees("romeo@" + p.component)
	p.sees(`romeo\40example.org@` + p.component)
	p.sees("To read this again")
	p.picture("help", "What the gateway says of itself")
	p.saw(toStox, "answered", "help")
}
