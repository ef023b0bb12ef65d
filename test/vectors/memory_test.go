package vectors

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/stoxgw/stox/internal/siptest"
)

// What the gateway remembers of messages for the receipts to come, as the vectors say it:
// `store` by the id of the stanza, `imdn` by the identifier in SIP. Nothing is put into the
// gateway's memory: the exchange that leaves this in it goes before the first step, and the
// steps then have the ids that were chosen in it.

// wanted is a message from SIP whose sender wants to be notified.
type wanted struct {
	MessageID   string `json:"imdn_message_id"`
	DateTime    string
	Disposition []string
	Peer, Local string
}

// awaited is a message from XMPP whose sender wants a receipt.
type awaited struct {
	StanzaID       string `json:"stanza_id"`
	From, To, Type string
}

// remember brings about the state of the vector and gives the steps that then are to be
// played.
func (p *player) remember(steps []step) ([]step, error) {
	var store map[string]wanted
	var imdn map[string]awaited
	for key, into := range map[string]any{"store": &store, "imdn": &imdn} {
		if raw := p.v.State[key]; raw != nil {
			if err := strictJSON(raw, into); err != nil {
				return nil, fmt.Errorf("state %q: %w", key, err)
			}
		}
	}
	for name, w := range store {
		id, err := p.want(w)
		if err != nil {
			return nil, err
		}
		p.seen = append(p.seen, capture{"id", id})
		steps = renamed(steps, name, id)
	}
	for name, a := range imdn {
		id, err := p.await(a)
		if err != nil {
			return nil, err
		}
		p.seen = append(p.seen, capture{"imdnid", id})
		steps = renamed(steps, name, id)
	}
	if len(store)+len(imdn) > 0 {
		p.wire, p.sent, p.requests, p.times = nil, nil, nil, nil
	}
	return steps, nil
}

var contentLength = regexp.MustCompile(`\r\nContent-Length: \d+\r\n`)

// renamed are the steps with another name in the place of one.
func renamed(steps []step, old, name string) []step {
	out := make([]step, len(steps))
	for i, s := range steps {
		if strings.Contains(s.Data, old) {
			s.Data = strings.ReplaceAll(s.Data, old, name)
			if _, body, ok := strings.Cut(s.Data, "\r\n\r\n"); ok && s.Net == netSIP {
				s.Data = contentLength.ReplaceAllLiteralString(s.Data, fmt.Sprintf("\r\nContent-Length: %d\r\n", len(body)))
			}
		}
		out[i] = s
	}
	return out
}

// want has the gateway deliver a message that asks for notifications, and gives the id of
// its stanza.
func (p *player) want(w wanted) (string, error) {
	err := p.giveCPIM(w.Peer, w.Local, "DateTime: "+w.DateTime, "NS: imdn <urn:ietf:params:imdn>", "imdn.Message-ID: "+w.MessageID,
		"imdn.Disposition-Notification: "+strings.Join(w.Disposition, ", "))
	if err != nil {
		return "", err
	}
	e, ok := p.w.next(netXMPP, patience)
	if !ok {
		return "", fmt.Errorf("no stanza came")
	}
	st, err := readXML(e.raw, nsComponent)
	if err != nil {
		return "", err
	}
	return st.attr("id"), p.accepted()
}

// giveCPIM sends a text in a message/cpim with these headers to the gateway.
func (p *player) giveCPIM(from, to string, headers ...string) error {
	body := strings.Join(append([]string{"From: <" + strings.Replace(from, "sip:", "im:", 1) + ">", "To: <" + strings.Replace(to, "sip:", "im:", 1) + ">"}, headers...), "\r\n") +
		"\r\n\r\nContent-Type: text/plain\r\n\r\nhi"
	return p.give(step{Dir: dirIn, Net: netSIP, Data: siptest.Text(body, "MESSAGE "+to+" SIP/2.0", "Via: SIP/2.0/TCP ua.example.net;branch=z9hG4bKbefore", "Max-Forwards: 70",
		"To: <"+to+">", "From: <"+from+">;tag=before", "Call-ID: before", "CSeq: 1 MESSAGE", "Content-Type: message/cpim")})
}

// accepted waits for a 200.
func (p *player) accepted() error {
	e, ok := p.w.next(netSIP, patience)
	if !ok || e.sip.Status() != 200 {
		return fmt.Errorf("the message before was not accepted: %s", e.raw)
	}
	return nil
}

// await has the gateway send a message whose sender wants a receipt, to a contact who is
// known to take a message/cpim, and gives the identifier that it has there.
func (p *player) await(a awaited) (string, error) {
	user, _, _ := strings.Cut(a.From, "/")
	if err := p.giveCPIM("sip:"+a.To, "sip:"+user, "Subject: before"); err != nil {
		return "", err
	}
	if _, ok := p.w.next(netXMPP, patience); !ok {
		return "", fmt.Errorf("no stanza came")
	}
	if err := p.accepted(); err != nil {
		return "", err
	}
	err := p.give(step{Dir: dirIn, Net: netXMPP, Data: fmt.Sprintf("<message from='%s' to='%s' id='%s' type='%s'><body>hi</body>"+
		"<request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/></message>", a.From, a.To, a.StanzaID, a.Type)})
	if err != nil {
		return "", err
	}
	e, ok := p.w.next(netSIP, patience)
	if !ok {
		return "", fmt.Errorf("nothing was sent")
	}
	p.requests = append(p.requests, e.sip)
	_, rest, _ := strings.Cut(string(e.sip.Body), "\r\nimdn.Message-ID: ")
	id, _, ok := strings.Cut(rest, "\r\n")
	if !ok {
		return "", fmt.Errorf("no notification was asked for: %s", e.raw)
	}
	return id, p.give(step{Dir: dirIn, Net: netSIP, Data: "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"})
}

// remembers checks what the vector says is in the store at its end: what was asked for is
// told when XMPP says it, by the identifier and with the time of the message.
func remembers(p *player) error {
	var store map[string]wanted
	if err := strictJSON(p.v.After["store"], &store); err != nil {
		return err
	}
	shown := p.wire
	defer func() { p.wire = shown }()
	for name, w := range store {
		id, err := p.fill(name)
		if err != nil {
			return err
		}
		if strings.Join(w.Disposition, " ") != "positive-delivery negative-delivery display" {
			return fmt.Errorf("asked for %v: not to be checked", w.Disposition)
		}
		for receipt, says := range map[string]string{
			"<received xmlns='urn:xmpp:receipts' id='" + id + "'/>":        "<delivered/>",
			"<displayed xmlns='urn:xmpp:chat-markers:0' id='" + id + "'/>": "<displayed/>",
		} {
			if err := p.give(step{Dir: dirIn, Net: netXMPP, Data: "<message from='juliet@example.com/x' to='romeo@example.net' id='r'>" + receipt + "</message>"}); err != nil {
				return err
			}
			e, ok := p.w.next(netSIP, patience)
			if !ok {
				return fmt.Errorf("nothing was told of %s", receipt)
			}
			p.requests = append(p.requests, e.sip)
			for _, part := range []string{says, "<message-id>" + w.MessageID + "</message-id>", "<datetime>" + w.DateTime + "</datetime>"} {
				if !strings.Contains(e.raw, part) {
					return fmt.Errorf("no %s in %s", part, e.raw)
				}
			}
			if err := p.give(step{Dir: dirIn, Net: netSIP, Data: "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"}); err != nil {
				return err
			}
		}
	}
	return nil
}
