package vectors

import (
	"encoding/xml"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
)

// player plays the steps of a vector to a world.
type player struct {
	w *world
	v *vector
	*names
	sent     []*siptest.Message // requests to the gateway
	requests []*siptest.Wire    // requests of the gateway
	times    []time.Time        // when they came
	due      time.Duration      // how long the next out may take beyond patience
	quiet    map[string]bool    // nets on which nothing may come for now
	wire     []section          // what went over the wire, in order
}

// section is a message as it was on the wire, or a wait.
type section struct{ net, dir, raw string }

// TestVectors plays every exchange and compares what went over the wire with the page
// about it. An exchange that is left out has to fail: one that passes belongs to the others.
func TestVectors(t *testing.T) {
	all := readVectors(t)
	ids := make(map[string]*vector)
	for i := range all {
		ids[all[i].ID] = &all[i]
	}
	for id := range leftOut {
		if v := ids[id]; v == nil {
			t.Errorf("%s is left out, and nothing says that it may be", id)
		}
	}
	for i := range all {
		v := &all[i]
		t.Run(v.ID, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, err := play(t, v)
				why, left := leftOut[v.ID]
				switch {
				case left && err == nil:
					t.Errorf("%s: passes; take it out of the table of those that are left out (%s)", v.Title, why)
				case left:
					t.Logf("left out: %s: %v", why, err)
				case err != nil:
					t.Errorf("%s: %v\n%s", v.Title, err, p.story())
				default:
					p.comparePage(t)
				}
			})
		})
	}
}

// play plays one vector. It must be called in a synctest bubble.
func play(t *testing.T, v *vector) (*player, error) {
	p := &player{v: v, names: newNames(), quiet: make(map[string]bool)}
	for key := range v.After {
		if key != "store" || also[v.ID] == nil {
			return p, fmt.Errorf("nothing checks %q at the end", key)
		}
	}
	cfg, err := configure(v)
	if err != nil {
		return p, err
	}
	if p.w, err = newWorld(t, v, cfg); err != nil {
		return p, err
	}
	defer p.w.stop()
	steps, err := p.remember(v.Steps)
	if err != nil {
		return p, fmt.Errorf("before the first step: %w", err)
	}
	if v.ofPresence() {
		if steps, err = p.acquaint(steps); err != nil {
			return p, fmt.Errorf("before the first step: %w\n%s", err, p.story())
		}
	}
	if prepare := before[v.ID]; prepare != nil {
		if steps, err = prepare(p, steps); err != nil {
			return p, fmt.Errorf("before the first step: %w", err)
		}
	}
	before := ""
	for i, s := range steps {
		if err := p.step(s, before); err != nil {
			return p, fmt.Errorf("step %d, %s %s: %w", i+1, s.Dir, s.Net, err)
		}
		before = s.Dir
	}
	if v.script != nil {
		if err := v.script(p); err != nil {
			return p, err
		}
	}
	p.w.release()
	time.Sleep(patience)
	p.w.release()
	if v.script != nil { // what nobody has waited for counts too
		p.hearAll()
		return p, nil
	}
	for _, net := range []string{netXMPP, netSIP} {
		if texts := p.w.left(net); len(texts) > 0 {
			return p, fmt.Errorf("at the end there is more on %s:\n%s", net, strings.Join(texts, "\n"))
		}
	}
	if check := also[v.ID]; check != nil {
		return p, check(p)
	}
	return p, nil
}

// story is what went over the wire and what the daemon has to say about it.
func (p *player) story() string {
	var b strings.Builder
	for _, s := range p.wire {
		fmt.Fprintf(&b, "-- %s %s --\n%s\n", s.net, s.dir, s.raw)
	}
	if p.w != nil {
		b.WriteString("-- log --\n" + p.w.log.String())
	}
	return b.String()
}

// step plays a step; before is the Dir of the one before it.
func (p *player) step(s step, before string) error {
	switch s.Dir {
	case dirIn:
		// What is to stay away until now did. Barriers stay unanswered: what comes is
		// older in the stream than their answers.
		synctest.Wait()
		if err := p.endQuiet(); err != nil {
			return err
		}
		if before != dirIn { // of two in a row the first may bring about something at once
			if err := p.nothingEarly(); err != nil {
				return err
			}
		}
		return p.give(s)
	case dirWait:
		synctest.Wait()
		p.w.release()
		if err := p.endQuiet(); err != nil {
			return err
		}
		if err := p.nothingEarly(); err != nil {
			return err
		}
		if upTo[p.v.ID] {
			p.wire = append(p.wire, section{net: "wait", dir: "up to " + s.Data + " s"})
			p.due = s.seconds()
			return nil
		}
		p.wire = append(p.wire, section{net: "wait", dir: s.Data + " s"})
		time.Sleep(s.seconds())
		p.w.release()
		return nil
	case dirNone:
		p.w.release()
		synctest.Wait()
		p.quiet[s.Net] = true
		return p.stillQuiet()
	}
	e, ok := p.w.next(s.Net, patience+p.due)
	if !ok {
		return fmt.Errorf("nothing came")
	}
	p.due = 0
	p.wire = append(p.wire, section{s.Net, dirOut, e.raw})
	if s.Net == netXMPP {
		return p.matchStanza(s.Data, e.raw, mayHave[p.v.ID])
	}
	if e.sip.Status() == 0 {
		p.requests = append(p.requests, e.sip)
		p.times = append(p.times, e.at)
	}
	return p.matchSIP(s, e.sip.Message, notYet, p.sent)
}

func (p *player) stillQuiet() error {
	for net := range p.quiet {
		if texts := p.w.left(net); len(texts) > 0 {
			return fmt.Errorf("on %s came\n%s", net, texts[0])
		}
	}
	return nil
}

// nothingEarly checks that all that has come was shown: what is shown after an in or a
// wait comes because of it.
func (p *player) nothingEarly() error {
	for _, net := range []string{netXMPP, netSIP} {
		if texts := p.w.left(net); len(texts) > 0 {
			return fmt.Errorf("before it came on %s\n%s", net, texts[0])
		}
	}
	return nil
}

func (p *player) endQuiet() error {
	err := p.stillQuiet()
	clear(p.quiet)
	return err
}

// give brings a stanza or a SIP message to the gateway.
func (p *player) give(s step) error {
	data, err := p.fill(s.Data)
	if err != nil {
		return err
	}
	if s.Net == netXMPP {
		e, err := readXML(data, nsComponent)
		if err != nil {
			return err
		}
		p.wire = append(p.wire, section{netXMPP, dirIn, data})
		conn := p.w.server(e.attr("to"))
		if conn == nil {
			return fmt.Errorf("no component for %s", e.attr("to"))
		}
		return conn.Send(data)
	}
	shown, err := readSIP(step{Data: data, BodyHex: s.BodyHex})
	if err != nil {
		return err
	}
	if shown.isResponse() {
		return p.respond(shown)
	}
	raw := textOf(shown)
	req, n, err := siptest.Parse([]byte(raw))
	if err != nil || n != len(raw) {
		return fmt.Errorf("the vector is no SIP message: %v, %d of %d bytes", err, n, len(raw))
	}
	p.sent = append(p.sent, req)
	p.wire = append(p.wire, section{netSIP, dirIn, raw})
	network := "tcp"
	if strings.HasPrefix(req.Get("Via"), "SIP/2.0/UDP ") {
		network = "udp"
	}
	return p.w.sip.Send(network, netip.MustParseAddrPort(clientAddr), raw)
}

// respond answers the last request of the gateway.
func (p *player) respond(shown *shownSIP) error {
	if len(p.requests) == 0 {
		return fmt.Errorf("there is no request to be answered")
	}
	req := p.requests[len(p.requests)-1]
	var fields []siptest.Field
	for _, name := range copied {
		for _, v := range req.All(name) {
			if name == "To" && !strings.Contains(v, ";tag=") {
				v += ";tag=harness"
			}
			fields = append(fields, siptest.Field{Name: name, Value: v})
		}
	}
	raw := textOf(&shownSIP{first: shown.first, fields: append(fields, shown.fields...), body: shown.body})
	p.wire = append(p.wire, section{netSIP, dirIn, raw})
	return p.w.sip.Answer(req, raw)
}

func textOf(m *shownSIP) string {
	var b strings.Builder
	b.WriteString(m.first + "\r\n")
	for _, f := range m.fields {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	return b.String() + "\r\n" + m.body
}

// mayHave are the elements that the note of a vector allows beside those that it shows.
var mayHave = map[string][]xml.Name{
	"M-006": {{Space: "http://jabber.org/protocol/nick", Local: "nick"}},
}
