//go:build interop

package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// A phone that people use, without a registrar, both ways.
func TestPhoneDirectly(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		eachTransport(t, func(t *testing.T, transport string) {
			w := newWorld(t, server)
			phone, err := w.Baresip(w.ctx, "bob", sipDomain, w.stox.SIP, transport, w.user(juliet))
			w.must(err)
			w.run(via(sipDomain, phone.Port, transport))
			c := w.login(juliet)
			w.bothWays(c, phone, "bob")
			p := passage{phone.Name, "phone, directly", transport, toXMPP, "arrived"}
			w.crossed(p, "text", "non-ASCII text")
			p.direction, p.result = toSIP, "shown"
			w.crossed(p, "text", "non-ASCII text", inARow)
		})
	})
}

const (
	inARow   = "three messages in a row"
	inThread = "three messages of a thread"
)

// bothWays sends a text from a phone to an XMPP user and one back, and then three more.
func (w *world) bothWays(c *stage.XMPPClient, phone *stage.Phone, local string) {
	w.t.Helper()
	up, down := "hello from "+local+": žluť, 日本, 🎈", "hello "+local+": žluť, 日本, 🎈"
	w.must(phone.Message(up))
	if st := w.await(c, "the phone's message", stage.WithBody(up)); st.From != local+"@"+w.component {
		w.t.Errorf("from %s", st.From)
	}
	w.must(c.Message("to-"+local, local+"@"+w.component, down))
	line, err := phone.Await(w.ctx, down)
	w.must(err)
	if !strings.Contains(line, juliet.Local+"@"+w.domain) {
		w.t.Errorf("%s shows %q", phone.Name, line)
	}
	_, _, err = w.stox.WaitLine(w.ctx, 0, "msg=delivered", "id=to-"+local) // the answer came all the way back
	w.must(err)
	w.three(c, phone, local, "")
}

// textsEach is how many texts bothWays sends: one from the phone, four to it.
const textsEach = 5

// relayed waits until a proxy has told of that many texts: what it says comes later than they do.
func (w *world) relayed(k *stage.Kamailio, n int) {
	w.t.Helper()
	for next := 0; n > 0; n-- {
		var err error
		_, next, err = k.AwaitRelayed(w.ctx, next, "text/plain")
		w.must(err)
	}
}

// three sends three messages to a phone, at once, and looks whether it shows all of them,
// once and in order. A phone that takes one for a copy of another answers 200 and
// shows nothing.
func (w *world) three(c *stage.XMPPClient, phone *stage.Phone, local, thread string) {
	w.t.Helper()
	xml := ""
	if thread != "" {
		xml = "<thread>" + thread + "</thread>"
	}
	text := func(i int) string { return fmt.Sprintf("%d in %q.", i, thread) }
	var want, got []string
	for i := range 3 {
		w.must(c.Send(fmt.Sprintf("<message to='%s@%s' id='%d-%s-%s' type='chat'>%s<body>%s</body></message>", local, w.component, i, local, thread, xml, text(i))))
		want = append(want, text(i))
	}
	_, err := phone.Await(w.ctx, text(2))
	w.must(err)
	for _, line := range phone.Shown() {
		for _, t := range want {
			if strings.Contains(line, t) {
				got = append(got, t)
			}
		}
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("%s shows %q, want %q", phone.Name, got, want)
	}
}

// Phones that are registered at a proxy, with a password, and stox behind it. All
// of the way is UDP, or all of it is TCP.
func TestPhonesBehindProxy(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		eachTransport(t, func(t *testing.T, transport string) {
			w := newWorld(t, server)
			k, err := w.Kamailio(w.ctx, stage.KamailioOptions{
				Domain:  sipDomain,
				Users:   []stage.Account{{Local: "bob", Password: "bob-secret"}, {Local: "lin", Password: "lin-secret"}},
				Gateway: w.stox.SIP, Transport: transport,
			})
			w.must(err)
			w.run(via(sipDomain, k.Port, transport))
			p := &proxied{world: w, proxy: k, transport: transport, client: w.login(juliet)}
			p.bob, err = w.BaresipAt(w.ctx, k, "bob", transport, w.user(juliet))
			w.must(err)
			p.lin, err = w.LinphoneAt(w.ctx, k, "lin", transport, w.user(juliet))
			w.must(err)
			p.texts()
			p.longTexts()
			p.refusals()
			p.notifications()
			p.threads()
			p.languages()
			p.receipts()
			p.told()
		})
	})
}

// proxied is a world with a proxy and two phones. Its steps are taken in order.
type proxied struct {
	*world
	proxy     *stage.Kamailio
	transport string
	client    *stage.XMPPClient
	bob       *stage.Phone
	lin       *stage.Linphone
	said      int // lines of Linphone that accepted has read
}

// phoneCrossed notes what crossed to or from a phone.
func (p *proxied) phoneCrossed(phone *stage.Phone, direction, result string, what ...string) {
	p.crossed(passage{phone.Name, "phone at " + p.proxy.Name, p.transport, direction, result}, what...)
}

// accepted waits for the answer to Linphone's next message.
func (p *proxied) accepted() (yes bool) {
	p.t.Helper()
	yes, next, err := p.lin.AwaitAnswer(p.ctx, p.said)
	p.must(err)
	p.said = next
	return yes
}

func (p *proxied) texts() {
	p.bothWays(p.client, p.bob, "bob")
	p.bothWays(p.client, p.lin.Phone, "lin")
	if !p.accepted() {
		p.t.Errorf("%s was told that its message is not delivered", p.lin.Name)
	}
	for _, m := range p.proxy.Relayed() {
		if m.Transport != p.transport {
			p.t.Errorf("%s got a MESSAGE over %s", p.proxy.Name, m.Transport)
		}
	}
	for _, phone := range []*stage.Phone{p.bob, p.lin.Phone} {
		p.phoneCrossed(phone, toXMPP, "arrived", "text", "non-ASCII text")
		p.phoneCrossed(phone, toSIP, "shown", "text", "non-ASCII text", inARow)
	}
	for _, direction := range []string{toSIP, toXMPP} {
		p.crossed(passage{p.proxy.Name, roleProxy, p.transport, direction, "passed on"}, "text", "non-ASCII text")
	}
}

// longTexts: what is too long for UDP goes to the proxy over TCP, also when its
// route says UDP (SIP-07, IM-30). Linphone sends such texts over UDP all the same.
func (p *proxied) longTexts() {
	long := strings.Repeat("žluťoučký kůň ", 160) + "."
	p.must(p.lin.Message(long))
	p.await(p.client, "the phone's long message", stage.WithBody(long))
	if !p.accepted() {
		p.t.Errorf("%s was told that its long message is not delivered", p.lin.Name)
	}
	p.phoneCrossed(p.lin.Phone, toXMPP, "arrived", "text of 3000 bytes")

	from := len(p.proxy.Lines())
	p.must(p.client.Message("long", "lin@"+p.component, long))
	_, err := p.lin.Await(p.ctx, long)
	p.must(err)
	m, _, err := p.proxy.AwaitRelayed(p.ctx, from, "text/plain")
	p.must(err)
	if m.Transport != "tcp" {
		p.t.Errorf("%s got a long MESSAGE over %s", p.proxy.Name, m.Transport)
	}
	result := "shown"
	if p.transport == "udp" {
		result = "shown; over TCP as far as the proxy"
	}
	p.phoneCrossed(p.lin.Phone, toSIP, result, "text of 3000 bytes")
}

// refusals reach the sender: the proxy's own, and that of stox (ERR-04).
func (p *proxied) refusals() {
	p.must(p.client.Message("gone", "nobody@"+p.component, "hello"))
	st := p.await(p.client, "the error", stage.WithID("gone"))
	if st.Type != "error" || st.Condition != "item-not-found" || !strings.Contains(st.ErrorText, "404 Not registered") {
		p.t.Errorf("for a user who is not registered: %s", st.Raw)
	}
	p.crossed(passage{p.proxy.Name, roleProxy, p.transport, toSIP, resultError}, "answer 404")

	p.must(p.lin.MessageTo("sip:nobody@"+p.domain, "hello"))
	if p.accepted() {
		p.t.Errorf("%s takes a message to nobody for delivered", p.lin.Name)
	}
	p.phoneCrossed(p.lin.Phone, toXMPP, "not delivered, says the phone", "message to an unknown XMPP user")
}

// notifications: Linphone sends a delivery notification for every text, asked for or not. It
// is taken, and what nobody has asked for reaches nobody (IM-45).
func (p *proxied) notifications() {
	const texts = 5 // from before: one, three in a row, and a long one
	at := 0         // in Kamailio's lines
	deflated := false
	for range texts {
		m, next, err := p.proxy.AwaitRelayed(p.ctx, at, "message/imdn+xml")
		p.must(err)
		at = next
		status, err := p.proxy.AwaitAnswer(p.ctx, m.CallID)
		p.must(err)
		deflated = deflated || m.Encoding == "deflate"
		if status != 200 {
			p.t.Errorf("a delivery notification (encoding %s) is answered %d", m.Encoding, status)
		}
	}
	if !deflated {
		p.t.Error("none of them is deflated")
	}
	p.onlyTexts(p.client)
	p.phoneCrossed(p.lin.Phone, toXMPP, "200, nothing reaches the user, who has not asked", "delivery notification (IMDN)")
}

// receipts: who asks for one gets one, and no more. Linphone's comes from the notification
// that it sends by itself, which names the Call-ID (IM-41); for a phone that sends none the
// 200 is the receipt (IM-46).
func (p *proxied) receipts() {
	const ns = "urn:xmpp:receipts"
	for name, phone := range map[string]*stage.Phone{"lin": p.lin.Phone, "bob": p.bob} {
		id := "receipt-" + name
		p.must(p.client.Send(fmt.Sprintf("<message to='%s@%s' id='%s' type='chat'><body>%s</body><request xmlns='%s'/></message>", name, p.component, id, id, ns)))
		_, err := phone.Await(p.ctx, id)
		p.must(err)
		st := p.await(p.client, "the receipt of "+name, func(s stage.Stanza) bool { return strings.Contains(s.Raw, ns) && strings.Contains(s.Raw, id) })
		if from, _, _ := strings.Cut(st.From, "/"); from != name+"@"+p.component || st.Type != "chat" || st.Body != "" {
			p.t.Errorf("receipt %s", st.Raw)
		}
	}
	p.fence(p.client, "after the receipts")
	count := 0
	for _, st := range p.client.Stanzas() {
		if strings.Contains(st.Raw, ns) {
			count++
		}
	}
	if count != 2 {
		p.t.Errorf("%d receipts for two messages", count)
	}
}

// told: the phone understands what it is told of its messages. It does not ask, and so
// somebody else does in its name, about a text of its own.
func (p *proxied) told() {
	from := len(p.lin.Lines())
	p.must(p.lin.Message("tell me"))
	p.await(p.client, "the phone's message", stage.WithBody("tell me"))
	line, _, err := p.lin.WaitLine(p.ctx, from, "Id: ")
	p.must(err)
	_, id, _ := strings.Cut(line, "Id: ")

	lin := "sip:lin@" + sipDomain
	p.sippSend(stage.SIPpSend{Transport: p.transport, URI: p.user(juliet), From: lin, ContentType: "message/cpim", Body: asking(lin, p.user(juliet), id, "in its name"), Expect: handedOver})
	st := p.await(p.client, "the message that asks", stage.WithBody("in its name"))
	for _, says := range []struct{ ns, element, state string }{{nsReceipts, "received", "DeliveredToUser"}, {nsMarkers, "displayed", "Displayed"}} {
		if log, err := p.lin.Wire(); err != nil || strings.Contains(log, " to "+says.state) {
			p.t.Errorf("before it is told: %s, says the phone; %v", says.state, err)
		}
		p.must(p.client.Send(fmt.Sprintf("<message to='lin@%s' type='chat' id='told'><%s xmlns='%s' id='%s'/></message>", p.component, says.element, says.ns, st.ID)))
		p.must(p.lin.AwaitLog(p.ctx, " to "+says.state))
	}
	p.phoneCrossed(p.lin.Phone, toSIP, "its message is delivered, then displayed, says its log", "receipt", "marker")
}

// threads: what is in one is shown, also by a phone that takes a Call-ID for the id of a
// message, since its notifications have told that it does. What a phone says has a Call-ID
// of its own, and so a thread.
func (p *proxied) threads() {
	for _, thread := range []string{"29377446-0CBB", "no Call-ID, this"} {
		p.three(p.client, p.bob, "bob", thread)
		p.three(p.client, p.lin.Phone, "lin", thread)
		for _, phone := range []*stage.Phone{p.bob, p.lin.Phone} {
			answer := "answer of " + phone.Name + " to " + thread
			p.must(phone.Message(answer))
			p.await(p.client, "the phone's answer", stage.WithBody(answer))
		}
	}
	threads := map[string]bool{}
	for _, st := range p.client.Stanzas() {
		if st.Kind == "message" && st.Type != "error" {
			if threads[st.Thread] || st.Thread == "" {
				p.t.Errorf("two messages of phones have the thread %q", st.Thread)
			}
			threads[st.Thread] = true
		}
	}
	p.phoneCrossed(p.bob, toXMPP, "begins another thread", "answer in a thread")
	p.phoneCrossed(p.lin.Phone, toXMPP, "begins another thread", "answer in a thread")
	p.phoneCrossed(p.bob, toSIP, "shown", inThread)
	p.phoneCrossed(p.lin.Phone, toSIP, "shown, once it has sent a delivery notification", inThread)
}

// languages: a message that says more than text/plain can has the phone asked what it takes.
func (p *proxied) languages() {
	for local, phone := range map[string]*stage.Phone{"bob": p.bob, "lin": p.lin.Phone} {
		p.must(p.client.Send(fmt.Sprintf("<message to='%s@%s' id='rich-%s' type='chat' xml:lang='en'><subject>Balcony</subject><subject xml:lang='de'>Balkon</subject>"+
			"<body xml:lang='de'>Wozu?</body><body>wherefore art thou</body></message>", local, p.component, local)))
		_, err := phone.Await(p.ctx, "wherefore art thou")
		p.must(err)
		status, accept, err := p.proxy.AwaitOptions(p.ctx, local)
		p.must(err)
		if status != 200 || accept != "" {
			p.t.Errorf("%s answers OPTIONS with %d, Accept %q", phone.Name, status, accept)
		}
		p.phoneCrossed(phone, toSIP, "answered 200, without Accept", "OPTIONS")
		p.phoneCrossed(phone, toSIP, "the text is shown", "subjects in several languages")
	}
	p.crossed(passage{p.proxy.Name, roleProxy, p.transport, toSIP, "passed on"}, "OPTIONS")

	// Whoever has sent a message/cpim is sent one. Linphone has not, but somebody has in its
	// name; it refuses what names the sender by an im: URI.
	p.sippSend(stage.SIPpSend{
		Transport: p.transport, URI: p.user(juliet), From: "sip:lin@" + sipDomain, Expect: handedOver, ContentType: "message/cpim",
		Body: "From: <sip:lin@" + sipDomain + ">\n\nContent-Type: text/plain\n\nin an envelope",
	})
	from := len(p.proxy.Lines())
	p.must(p.client.Send("<message to='lin@" + p.component + "' id='cpim' type='chat' xml:lang='en'><subject>Balcony</subject><subject xml:lang='de'>Balkon</subject><body>deny thy father</body></message>"))
	m, _, err := p.proxy.AwaitRelayed(p.ctx, from, "message/cpim")
	p.must(err)
	if status, err := p.proxy.AwaitAnswer(p.ctx, m.CallID); status != 488 || err != nil {
		p.t.Errorf("%s answers a message/cpim with %d %v", p.lin.Name, status, err)
	}
	_, err = p.lin.Await(p.ctx, "deny thy father")
	p.must(err)
	_, _, err = p.stox.WaitLine(p.ctx, 0, "msg=delivered", "id=cpim")
	p.must(err)
	p.phoneCrossed(p.lin.Phone, toSIP, "488; sent again as text/plain and shown", "message/cpim")
}

// onlyTexts fails if the client has got anything else than the texts that the
// phones have sent and what it asked for.
func (w *world) onlyTexts(c *stage.XMPPClient) {
	w.t.Helper()
	w.fence(c, "fence")
	var bodies []string
	for _, st := range c.Stanzas() {
		switch {
		case st.Kind != "message" || st.ID == "gone":
		case st.Type != "error" && st.Body != "" && !strings.Contains(st.Raw, "imdn"):
			bodies = append(bodies, st.From)
		default:
			w.t.Errorf("the user got %s", st.Raw)
		}
	}
	slices.Sort(bodies)
	if want := []string{"bob@" + w.component, "lin@" + w.component, "lin@" + w.component}; !slices.Equal(bodies, want) {
		w.t.Errorf("messages from %q, want %q", bodies, want)
	}
}
