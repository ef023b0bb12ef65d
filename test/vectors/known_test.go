package vectors

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing/synctest"
	"time"
)

// What is so before the first step of an exchange of presence is brought about by an
// exchange like it: nothing else makes a daemon believe that it has a dialog. What it chose
// by itself then takes the place of what the vector calls it.

// relationState is the preset state of a vector about presence.
type relationState struct {
	Subscription *struct {
		CallID        string            `json:"call_id"`
		FromTag       string            `json:"from_tag"`
		ToTag         *string           `json:"to_tag"`
		LocalContact  string            `json:"local_contact"`
		RemoteTarget  *string           `json:"remote_target"`
		XMPP, SIP     string            //
		Phase         string            // notify_wait, active
		KnownByTuples map[string]string `json:"known"`
	}
	NotifierDialog *struct {
		CallID       string `json:"call_id"`
		LocalTag     string `json:"local_tag"`
		RemoteTag    string `json:"remote_tag"`
		XMPP, SIP    string
		RemoteTarget string `json:"remote_target"`
		LocalContact string `json:"local_contact"`
		ExpiresLeft  int    `json:"expires_left"`
		Phase        string
		Resources    []string
	} `json:"notifier_dialog"`
	Authorised [][2]string
	Presence   map[string][]struct{ Resource, Show string }
}

// acquaint brings about the state of the vector, and gives its steps with the identifiers
// that the gateway has chosen meanwhile.
func (p *player) acquaint(steps []step) ([]step, error) {
	all, err := json.Marshal(p.v.State)
	if err != nil {
		return nil, err
	}
	var s relationState
	if err := strictJSON(all, &s); err != nil {
		return nil, err
	}
	var own []string // pairs: what the vector has, what the gateway has chosen
	if s.Subscription != nil {
		if own, err = p.subscribed(&s); err != nil {
			return nil, err
		}
	}
	for _, a := range s.Authorised {
		p.xmpp("<presence from='%s' to='%s' type='subscribed'/>", a[1], strings.TrimPrefix(a[0], "sip:"))
		p.show(&s, a[1], strings.TrimPrefix(a[0], "sip:"), nil)
	}
	if s.NotifierDialog != nil {
		if own, err = p.watched(&s); err != nil {
			return nil, err
		}
	}
	p.settle(6 * time.Second) // what is told at most every five seconds is then told at once
	p.wire, p.sent, p.requests = nil, nil, nil
	out := make([]step, len(steps))
	for i, st := range steps {
		st.Data = strings.NewReplacer(own...).Replace(st.Data)
		out[i] = st
	}
	return out, nil
}

// xmpp has a stanza come to the gateway, which is through with what came before: what comes
// together is told together, and the numbers of what follows go by that.
func (p *player) xmpp(format string, a ...any) error {
	synctest.Wait()
	return p.give(step{Dir: dirIn, Net: netXMPP, Data: fmt.Sprintf(format, a...)})
}

// settle lets time pass, accepts what the gateway sends to SIP and forgets what it writes.
func (p *player) settle(d time.Duration) {
	for range 2 {
		synctest.Wait()
		p.w.release()
		for {
			e, ok := p.w.take(netSIP)
			if !ok {
				break
			}
			if e.sip.Status() == 0 {
				p.requests = append(p.requests, e.sip)
				p.give(step{Dir: dirIn, Net: netSIP, Data: "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"})
			}
		}
		for {
			if _, ok := p.w.take(netXMPP); !ok {
				break
			}
		}
		time.Sleep(d / 2)
	}
}

// subscribed brings about a subscription of a user to a contact.
func (p *player) subscribed(s *relationState) ([]string, error) {
	sub := s.Subscription
	contact := strings.TrimPrefix(sub.SIP, "sip:")
	if err := p.xmpp("<presence from='%s' to='%s' type='subscribe'/>", sub.XMPP, contact); err != nil {
		return nil, err
	}
	e, ok := p.w.next(netSIP, patience)
	if !ok || e.sip.Method() != "SUBSCRIBE" {
		return nil, fmt.Errorf("no SUBSCRIBE")
	}
	p.requests = append(p.requests, e.sip)
	if err := p.give(step{Dir: dirIn, Net: netSIP, Data: "SIP/2.0 200 OK\r\nExpires: 3600\r\nContact: <sip:romeo@pres.example.net;gr=p1>\r\nContent-Length: 0\r\n\r\n"}); err != nil {
		return nil, err
	}
	_, tag, _ := strings.Cut(e.sip.Get("From"), ";tag=")
	_, gr, _ := strings.Cut(strings.TrimSuffix(e.sip.Get("Contact"), ">"), ";gr=")
	_, theirs, _ := strings.Cut(sub.LocalContact, ";gr=")
	if tag == "" || gr == "" {
		return nil, fmt.Errorf("no tag in From or no gr in Contact:\n%s", e.raw)
	}
	p.seen = append(p.seen, capture{"cid", e.sip.Get("Call-ID")}, capture{"ftag", tag}, capture{"gr", gr})
	own := []string{"Call-ID: " + sub.CallID + "\r\n", "Call-ID: " + e.sip.Get("Call-ID") + "\r\n",
		";tag=" + sub.FromTag + "\r\n", ";tag=" + tag + "\r\n", ";gr=" + theirs, ";gr=" + gr}
	if sub.Phase == "notify_wait" {
		return own, nil
	}
	var tuples strings.Builder
	for name, state := range sub.KnownByTuples {
		if state == "available" {
			fmt.Fprintf(&tuples, `<tuple id="ID-%s"><status><basic>open</basic></status></tuple>`, name)
		}
	}
	body, typ := "", ""
	if tuples.Len() > 0 {
		body = `<?xml version="1.0" encoding="UTF-8"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:` + contact + `">` + tuples.String() + `</presence>`
		typ = "Content-Type: application/pidf+xml\r\n"
	}
	_, target, _ := strings.Cut(strings.TrimSuffix(e.sip.Get("Contact"), ">"), "<")
	return own, p.give(step{Dir: dirIn, Net: netSIP, Data: fmt.Sprintf("NOTIFY %s SIP/2.0\r\nVia: SIP/2.0/TCP pres.example.net;branch=z9hG4bKbefore\r\nMax-Forwards: 70\r\n"+
		"From: <%s>;tag=%s\r\nTo: <sip:%s>;tag=%s\r\nCall-ID: %s\r\nCSeq: 1 NOTIFY\r\nEvent: presence\r\nSubscription-State: active;expires=3590\r\nContact: <%s>\r\n%sContent-Length: %d\r\n\r\n%s",
		target, sub.SIP, *sub.ToTag, sub.XMPP, tag, e.sip.Get("Call-ID"), *sub.RemoteTarget, typ, len(body), body)})
}

// watched brings about a dialog with a user agent that watches a user.
func (p *player) watched(s *relationState) ([]string, error) {
	d := s.NotifierDialog
	contact := strings.TrimPrefix(d.SIP, "sip:")
	if err := p.give(step{Dir: dirIn, Net: netSIP, Data: fmt.Sprintf("SUBSCRIBE sip:%s SIP/2.0\r\nVia: SIP/2.0/TCP ua.example.net;branch=z9hG4bKbefore\r\nMax-Forwards: 70\r\n"+
		"From: <%s>;tag=%s\r\nTo: <sip:%s>\r\nCall-ID: %s\r\nCSeq: 1 SUBSCRIBE\r\nEvent: presence\r\nContact: <%s>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n",
		d.XMPP, d.SIP, d.RemoteTag, d.XMPP, d.CallID, d.RemoteTarget)}); err != nil {
		return nil, err
	}
	e, ok := p.w.next(netSIP, patience)
	if !ok || e.sip.Status() != 200 {
		return nil, fmt.Errorf("SUBSCRIBE is not answered with 200")
	}
	_, tag, _ := strings.Cut(e.sip.Get("To"), ";tag=")
	_, gr, _ := strings.Cut(strings.TrimSuffix(e.sip.Get("Contact"), ">"), ";gr=")
	_, theirs, _ := strings.Cut(d.LocalContact, ";gr=")
	if tag == "" || gr == "" {
		return nil, fmt.Errorf("no tag in To or no gr in Contact:\n%s", e.raw)
	}
	p.settle(2 * time.Second)
	if err := p.xmpp("<presence from='%s' to='%s' type='subscribed'/>", d.XMPP, contact); err != nil {
		return nil, err
	}
	p.settle(2 * time.Second)
	p.show(s, d.XMPP, contact, d.Resources)
	p.seen = append(p.seen, capture{"ttag", tag}, capture{"gr", gr})
	return []string{";tag=" + d.LocalTag + "\r\n", ";tag=" + tag + "\r\n", ";gr=" + theirs + ">", ";gr=" + gr + ">"}, nil
}

// show has a user show his resources to a contact.
func (p *player) show(s *relationState, user, contact string, more []string) {
	for _, r := range s.Presence[user] {
		show := ""
		if r.Show != "" {
			show = "<show>" + r.Show + "</show>"
		}
		p.xmpp("<presence from='%s/%s' to='%s'>%s</presence>", user, r.Resource, contact, show)
	}
	for _, r := range more {
		p.xmpp("<presence from='%s/%s' to='%s'/>", user, r, contact)
	}
	p.settle(12 * time.Second)
}
