package bridge

import (
	"fmt"
	"strings"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// asking is a message whose sender wants a receipt and a marker.
func asking(id string) *mapping.XMPPMessage {
	m := fromXMPP(id, julietX, romeoX, "secret text")
	m.Type, m.WantReceipt, m.Markable = "chat", true, true
	return m
}

func (r *running) ask(m *mapping.XMPPMessage) *mapping.SIPMessage {
	r.t.Helper()
	r.FromXMPP([]mapping.XMPP{m})
	r.settle()
	_, sent := r.last(r.sent())
	return sent
}

// with changes the policy.
func (r *running) with(imdn IMDN) *running {
	p := *r.policy.Load()
	p.IMDN = imdn
	r.SetPolicy(p)
	return r
}

// messageID is the identifier under which m asks for notifications, "" if it does not.
func messageID(m *mapping.SIPMessage) string {
	_, rest, _ := strings.Cut(string(m.Body), "imdn.Message-ID: ")
	id, _, _ := strings.Cut(rest, "\r\n")
	return id
}

const (
	saysDelivered = "<delivery-notification><status><delivered/></status></delivery-notification>"
	saysDisplayed = "<display-notification><status><displayed/></status></display-notification>"
	saysFailed    = "<delivery-notification><status><failed/></status></delivery-notification>"
	saysError     = "<delivery-notification><status><error/></status></delivery-notification>"
	saysForbidden = "<display-notification><status><forbidden/></status></display-notification>"
)

var notices int // of all tests: each is a request of its own

// imdn is a notification, bare as some user agents send it.
func imdn(from, about, says string) *mapping.SIPMessage {
	notices++
	m := fromSIP(fmt.Sprint("notice-", notices), from, "sip:juliet@example.com;gr=x",
		`<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>`+about+"</message-id>"+says+"</imdn>")
	m.ContentType = mapping.TypeIMDN
	return m
}

// notify hands over a notification and returns what it was answered; the stanza that it
// becomes, if any, has the outcome o.
func (r *running) notify(m *mapping.SIPMessage, o mapping.Outcome) int {
	r.t.Helper()
	told := r.told()
	r.side.mu.Lock()
	r.answers = nil
	r.side.mu.Unlock()
	r.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: m.CallID, Value: m}})
	r.settle()
	if r.told() > told {
		r.outcome(o)
	}
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	if len(r.answers) != 1 || r.answers[0].Ref != m.CallID {
		r.t.Fatalf("%d answers to a notification", len(r.answers))
	}
	status, _ := r.answers[0].Outcome.Final(200)
	return status
}

// heard is what XMPP users were told, "id received", "id displayed" or "id condition".
func (r *running) heard() string {
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	var all []string
	for _, p := range r.stanzas {
		switch v := p.Value.(type) {
		case *mapping.XMPPReceipt:
			if v.To.String() != julietX || v.From.Bare().String() != romeoX || v.ID == "" || v.Type != "chat" {
				r.t.Errorf("receipt %+v", v)
			}
			kind := " received"
			if v.Read {
				kind = " displayed"
			}
			all = append(all, v.About+kind)
		case *mapping.XMPPError:
			if v.To.String() != julietX || v.From.String() != romeoX {
				r.t.Errorf("error %+v", v)
			}
			all = append(all, v.ID+" "+string(v.Failure.Condition))
		}
	}
	return strings.Join(all, ", ")
}

// learnsCPIM lets romeo be known to take a message/cpim.
func (r *running) learnsCPIM() {
	r.formats.noteAccept(mapping.MustParseJID(romeoX), "text/plain, message/cpim", time.Now())
}
