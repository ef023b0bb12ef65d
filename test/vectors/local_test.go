package vectors

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/sipside/locate"
)

// localRow is a row of the list `local` of errors.json: what happens to the gateway
// itself, and what either side is told.
type localRow struct {
	ID, Event  string
	SIPCode    int `json:"sip_code"`
	Condition  string
	Type       string
	RetryAfter *bool    `json:"retry_after"`
	Seconds    []int    `json:"retry_after_s"`
	Headers    []string `json:"requires_headers"`
}

// incident is how an event is brought about: by an exchange of the vectors, or by what
// play does, after preset has been set.
type incident struct {
	vector string
	preset map[string]string
	route  string
	rate   int // limits.user_rate
	play   func(p *player) error
}

const far = "example.com" // the domain of the XMPP user, to which the name example.net is no subdomain

var incidents = map[string]incident{
	"EL-001": {vector: "M-069"},
	"EL-002": {route: "sip:" + nextHop + ";transport=tcp", play: func(p *player) error {
		p.w.sip.Fail(syscall.ECONNREFUSED, nil)
		if err := p.write("romeo@example.net", 1); err != nil {
			return err
		}
		return p.hear(netXMPP, 5*time.Minute+30*time.Second) // queue.expire
	}},
	"EL-003": {play: func(p *player) error {
		p.w.sip.Fail(nil, &locate.Error{Reason: locate.NotFound, Host: "example.net"})
		return p.writeAndHear("romeo@example.net")
	}},
	"EL-005": {vector: "M-008"},
	"EL-006": {play: func(p *player) error { // one is under way, 64 wait
		if err := p.write("romeo@example.net", 66); err != nil {
			return err
		}
		return p.hear(netXMPP, patience)
	}},
	"EL-007": {play: func(p *player) error { return p.writeAndHear(`romeo\40@sip.example.com`) }},
	"EL-008": {preset: map[string]string{"link": "example.net"}, play: (*player).ask},
	"EL-009": {vector: "M-005"},
	"EL-010": {vector: "M-027"},
	"EL-011": {vector: "M-055"},
	"EL-012": {vector: "M-042"},
	"EL-013": {vector: "M-043"},
	"EL-015": {vector: "M-052"},
	"EL-016": {vector: "M-051"},
	"EL-017": {play: func(p *player) error {
		if err := p.request(); err != nil {
			return err
		}
		if err := p.hear(netXMPP, patience); err != nil {
			return err
		}
		p.w.servers["example.net"].Refuse(syscall.ECONNREFUSED)
		p.w.conns["example.net"].Drop()
		return p.final()
	}},
	"EL-018": {preset: map[string]string{"split": "example.net"}, play: (*player).ask},
	"EL-019": {preset: map[string]string{"barrier": "silent"}, play: func(p *player) error {
		for range 3 {
			if err := p.ask(); err != nil {
				return err
			}
		}
		asked := time.Now()
		if err := p.ask(); err != nil {
			return err
		}
		if waited := time.Since(asked); waited > 0 {
			return fmt.Errorf("the fourth is answered after %v, not at once", waited)
		}
		return nil
	}},
	"EL-020": {play: pinged("remote-server-not-found")},
	"EL-021": {play: pinged("remote-server-timeout")},
	"EL-022": {play: pinged("internal-server-error")},
	"EL-023": {play: func(p *player) error {
		for _, condition := range []string{"service-unavailable", "feature-not-implemented"} {
			if err := pinged(condition)(p); err != nil {
				return err
			}
			if last := p.heard(netSIP); !strings.HasPrefix(last, "SIP/2.0 200 ") {
				return fmt.Errorf("with %s: %s", condition, last)
			}
		}
		return pinged("")(p)
	}},
	"EL-024": {vector: "M-058"},
	"EL-025": {vector: "M-065"},
	"EL-026": {play: func(p *player) error { // limits.peer_rate, all at once and one more
		for i := range 200 {
			raw := siptest.Text("", "OPTIONS sip:"+far+" SIP/2.0", fmt.Sprintf("Via: SIP/2.0/TCP ua.example.net;branch=z9hG4bKo%d", i),
				"Max-Forwards: 70", "To: <sip:"+far+">", "From: <sip:romeo@example.net>;tag=t", fmt.Sprintf("Call-ID: o-%d", i), "CSeq: 1 OPTIONS")
			if err := p.give(step{Dir: dirIn, Net: netSIP, Data: raw}); err != nil {
				return err
			}
			if err := p.hear(netSIP, patience); err != nil {
				return err
			}
			if !strings.HasPrefix(p.heard(netSIP), "SIP/2.0 200 ") {
				return fmt.Errorf("request %d is one too many", i)
			}
		}
		return p.request()
	}},
	"EL-027": {rate: 5, play: func(p *player) error { // ten times as many at once, and one more
		if err := p.write("romeo@example.net", 51); err != nil {
			return err
		}
		return p.hear(netXMPP, patience)
	}},
	"EL-028": {play: func(p *player) error {
		if err := p.write("romeo@example.net", 1); err != nil {
			return err
		}
		for _, status := range []string{"408 Request Timeout", "482 Loop Detected"} {
			if err := p.hear(netSIP, patience); err != nil {
				return err
			}
			if err := p.give(step{Net: netSIP, Data: "SIP/2.0 " + status + "\r\nContent-Length: 0\r\n\r\n"}); err != nil {
				return err
			}
		}
		return nil
	}},
}

// localLater are the events that cannot happen yet.
var localLater = map[string]string{
	"EL-004": "SIP over TLS is not built",
	"EL-014": "no event package is built, so that SUBSCRIBE is refused as a method",
}

// TestLocalEvents brings about what errors.json lists and compares what is told.
func TestLocalEvents(t *testing.T) {
	b, err := os.ReadFile("../../mapping/testdata/errors.json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Local []localRow }
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Local) != len(incidents)+len(localLater) {
		t.Errorf("%d events, of which %d can be brought about and %d not yet", len(f.Local), len(incidents), len(localLater))
	}
	byID := make(map[string]*vector)
	all := readVectors(t)
	for i := range all {
		byID[all[i].ID] = &all[i]
	}
	for _, row := range f.Local {
		if localLater[row.ID] != "" {
			continue
		}
		how, ok := incidents[row.ID]
		if !ok {
			t.Errorf("%s: nothing brings it about: %s", row.ID, row.Event)
			continue
		}
		v := byID[how.vector]
		if how.vector == "" {
			v = how.asVector(row.ID, byID["M-001"].settings)
		}
		t.Run(row.ID, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, err := play(t, v)
				if err == nil {
					err = p.judge(row)
				}
				if err != nil {
					t.Errorf("%s: %v\n%s", row.Event, err, p.story())
				}
			})
		})
	}
}

func (how incident) asVector(id string, s settings) *vector {
	v := &vector{ID: id, State: make(map[string]json.RawMessage), settings: s, script: how.play}
	for key, word := range how.preset {
		v.State[key] = json.RawMessage(strconv.Quote(word))
	}
	v.settings.UserRate = how.rate
	if how.route != "" {
		v.settings.Route = []route{{Domain: "example.net", Via: how.route}}
	}
	return v
}

// write sends messages of a user, all in one go.
func (p *player) write(to string, count int) error {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, "<message from='juliet@%s/balcony' to='%s' id='m%d'><body>hi</body></message>", far, to, i)
	}
	_, domain, _ := strings.Cut(to, "@")
	return p.w.conns[domain].Send(b.String())
}

func (p *player) writeAndHear(to string) error {
	if err := p.write(to, 1); err != nil {
		return err
	}
	return p.hear(netXMPP, patience)
}

// request sends a MESSAGE for a user, each time another one.
func (p *player) request() error {
	n := len(p.sent) + 1
	raw := siptest.Text("hi", "MESSAGE sip:juliet@"+far+" SIP/2.0", fmt.Sprintf("Via: SIP/2.0/TCP ua.example.net;branch=z9hG4bK%d", n),
		"Max-Forwards: 70", "To: <sip:juliet@"+far+">", "From: <sip:romeo@example.net>;tag=t", fmt.Sprintf("Call-ID: call-%d", n), "CSeq: 1 MESSAGE",
		"Content-Type: text/plain")
	return p.give(step{Dir: dirIn, Net: netSIP, Data: raw})
}

// ask is request, and waits for the answer, and for the stanza if there is one.
func (p *player) ask() error {
	if err := p.request(); err != nil {
		return err
	}
	if err := p.final(); err != nil {
		return err
	}
	if len(p.w.left(netXMPP)) > 0 {
		return p.hear(netXMPP, patience)
	}
	return nil
}

// final waits for the answer to a request, for which a barrier may have to be waited for.
func (p *player) final() error {
	for {
		if err := p.hear(netSIP, 6*time.Second); err != nil || !strings.HasPrefix(p.heard(netSIP), "SIP/2.0 100 ") {
			return err
		}
	}
}

// pinged is ask where the server of the user's domain answers pings with a condition.
func pinged(condition string) func(p *player) error {
	return func(p *player) error {
		p.w.mu.Lock()
		p.w.errors[far] = condition
		p.w.mu.Unlock()
		return p.ask()
	}
}

// hear waits for what the gateway writes next on a net.
func (p *player) hear(network string, within time.Duration) error {
	e, ok := p.w.next(network, within)
	if !ok {
		return fmt.Errorf("nothing came on %s", network)
	}
	p.wire = append(p.wire, section{network, dirOut, e.raw})
	if e.sip != nil && e.sip.Status() == 0 {
		p.requests = append(p.requests, e.sip)
	}
	return nil
}

// hearAll takes all that has come and nobody has waited for.
func (p *player) hearAll() {
	for _, network := range []string{netXMPP, netSIP} {
		for _, raw := range p.w.left(network) {
			p.wire = append(p.wire, section{network, dirOut, raw})
		}
	}
}

// heard is what came last on a net.
func (p *player) heard(network string) (raw string) {
	for _, s := range p.wire {
		if s.net == network && s.dir == dirOut {
			raw = s.raw
		}
	}
	return raw
}

// judge compares what was told with a row.
func (p *player) judge(row localRow) error {
	if row.SIPCode != 0 {
		m, _, err := siptest.Parse([]byte(p.heard(netSIP)))
		if err != nil || m.Status() != row.SIPCode {
			return fmt.Errorf("SIP was not told %d, but %q", row.SIPCode, p.heard(netSIP))
		}
		for _, name := range row.Headers {
			if m.Get(name) == "" {
				return fmt.Errorf("no %s in the answer", name)
			}
		}
		after := m.Get("Retry-After")
		if row.RetryAfter == nil || !*row.RetryAfter {
			if after != "" {
				return fmt.Errorf("Retry-After: %s", after)
			}
			return nil
		}
		if s, err := strconv.Atoi(after); err != nil || s < row.Seconds[0] || s > row.Seconds[1] {
			return fmt.Errorf("Retry-After: %s, want %v", after, row.Seconds)
		}
		return nil
	}
	var told *element
	for _, s := range p.wire {
		if e, err := readXML(s.raw, nsComponent); err == nil && s.dir == dirOut && e.attr("type") == "error" {
			told = e
		}
	}
	if row.Condition == "" {
		if told != nil {
			return fmt.Errorf("the user was told of an error")
		}
		return nil
	}
	if told == nil {
		return fmt.Errorf("the user was not told")
	}
	var condition, typ, text string
	for _, c := range told.children {
		if e, ok := c.(*element); ok && e.name == stanzaFail {
			typ = e.attr("type")
			for _, c := range e.children {
				if c, ok := c.(*element); ok && c.name == errorText {
					text = c.text()
				} else if ok && c.name.Space == nsStanzas {
					condition = c.name.Local
				}
			}
		}
	}
	if condition != row.Condition || typ != row.Type {
		return fmt.Errorf("the user was told %s %s, want %s %s", condition, typ, row.Condition, row.Type)
	}
	if strings.Contains(row.Event, "the seconds to wait") && !strings.ContainsAny(text, "0123456789") {
		return fmt.Errorf("the text does not say how long to wait: %s", text)
	}
	return nil
}
