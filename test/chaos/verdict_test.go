package main

import (
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// at is so many milliseconds after noon.
func at(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }

func answers(statuses ...int) (all []answer) {
	for i, s := range statuses {
		all = append(all, answer{at(100 + i), "z9hG4bK", s})
	}
	return all
}

func shown(n int) (all []showing) {
	for range n {
		all = append(all, showing{at: at(100), callID: "c", cseq: "1 MESSAGE"})
	}
	return all
}

// TestVerdictOut: each clause of the contract for messages to SIP can be broken, and
// is then found.
func TestVerdictOut(t *testing.T) {
	kill := rupture{kind: "kill", at: at(1000), healed: at(2000)}
	cut := rupture{kind: "cut", at: at(1000), healed: at(2000)}
	restart := rupture{kind: "server", at: at(1000), healed: at(2000)}
	given := func(ms int, m outbound) outbound {
		m.sent, m.handed, m.passed = at(ms), at(ms), at(ms)
		return m
	}
	for _, c := range []struct {
		name   string
		m      outbound
		breaks []rupture
		listed bool
		hidden int
		later  *outbound
		want   string // "": it holds
	}{
		{name: "delivered", m: given(0, outbound{shown: shown(1), accepted: at(100)})},
		{name: "told", m: given(0, outbound{errors: []string{"x"}, told: at(100)})},
		{name: "never handed over", m: outbound{sent: at(0)}},
		{name: "handed over by nobody", m: outbound{sent: at(0), shown: shown(1)}, want: "never handed over"},
		{name: "lost", m: given(0, outbound{}), want: "was lost"},
		{name: "lost long before a kill", m: given(400, outbound{}), breaks: []rupture{kill}, want: "was lost"},
		{name: "lost just before a kill", m: given(990, outbound{}), breaks: []rupture{kill}},
		{name: "lost while the disk stalled", m: given(400, outbound{}), breaks: []rupture{{kind: "kill", at: at(1000), healed: at(2000), stall: 200 * time.Millisecond}}},
		{name: "lost, and a later one kept", m: given(990, outbound{}), breaks: []rupture{kill}, later: &outbound{sent: at(995), handed: at(995), passed: at(995), shown: []showing{{at: at(2100)}}, accepted: at(2100)}, want: "after it was not"},
		{name: "lost on a dead link, and a later one kept", m: given(600, outbound{}), breaks: []rupture{{kind: "kill", at: at(500), healed: at(700)}, kill}, later: &outbound{sent: at(995), handed: at(995), passed: at(995), shown: []showing{{at: at(2100)}}, accepted: at(2100)}},
		{name: "lost, and a later one gone before", m: given(990, outbound{}), breaks: []rupture{kill}, later: &outbound{sent: at(995), handed: at(995), passed: at(995), shown: []showing{{at: at(999)}}, accepted: at(999)}},
		{name: "lost on the link", m: outbound{sent: at(0), handed: at(400)}, breaks: []rupture{cut}},
		{name: "lost in a restart of the server", m: given(990, outbound{}), breaks: []rupture{restart}, want: "was lost"},
		{name: "lost in a stop", m: given(990, outbound{}), breaks: []rupture{{kind: "stop", at: at(1000), healed: at(2000)}}, want: "was lost"},
		{name: "lost after the kill", m: given(2001, outbound{}), breaks: []rupture{kill}, want: "was lost"},
		{name: "twice", m: given(0, outbound{shown: shown(2), accepted: at(100)}), want: "arrived 2 times"},
		{name: "twice, and listed", m: given(0, outbound{shown: shown(2), accepted: at(900)}), breaks: []rupture{kill}, listed: true},
		{name: "twice over a kill, and counted", m: given(0, outbound{shown: []showing{{at: at(100)}, {at: at(1100)}}, accepted: at(1100)}), breaks: []rupture{kill}, hidden: 1},
		{name: "twice just after a kill, and counted", m: given(0, outbound{shown: []showing{{at: at(1001)}, {at: at(1100)}}, accepted: at(1100)}), breaks: []rupture{kill}, hidden: 1},
		{name: "twice after a kill, and others counted", m: given(2001, outbound{shown: []showing{{at: at(2010)}, {at: at(2100)}}, accepted: at(2100)}), breaks: []rupture{kill}, hidden: 1, want: "arrived 2 times"},
		{name: "twice before a kill, and others counted", m: given(0, outbound{shown: shown(2), accepted: at(900)}), breaks: []rupture{kill}, hidden: 1, want: "arrived 2 times"},
		{name: "arrived just before a kill", m: given(990, outbound{shown: shown(1)}), breaks: []rupture{kill}},
		{name: "listed without need", m: given(0, outbound{shown: shown(1), accepted: at(100)}), breaks: []rupture{kill}, listed: true, want: "listed as uncertain"},
		{name: "arrived and refused", m: given(0, outbound{shown: shown(1), accepted: at(100), errors: []string{"x"}}), want: "arrived, and its sender"},
		{name: "arrived and doubted", m: given(0, outbound{shown: shown(1), errors: []string{"x: it may have arrived"}})},
		{name: "arrived without an end", m: given(0, outbound{shown: shown(1)}), want: "has no end"},
		{name: "told twice", m: given(0, outbound{errors: []string{"x", "x"}, told: at(100)}), want: "told 2 times"},
		{name: "told twice over a kill", m: given(0, outbound{errors: []string{"x", "x"}, told: at(100)}), breaks: []rupture{kill}},
		{name: "told late", m: given(0, outbound{errors: []string{"x"}, told: at(32000)}), want: "without a notice"},
		{name: "told late, with a notice", m: given(0, outbound{to: "noted", errors: []string{"x"}, told: at(32000)})},
		{name: "error lost while the sender was there", m: given(0, outbound{told: at(100)}), want: "did not get it"},
		{name: "error lost while the sender was away", m: given(0, outbound{told: at(40)})},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLedger()
			l.breaks, l.toSIP, l.notes["noted"] = c.breaks, []*outbound{&c.m}, 1
			if c.later != nil {
				l.toSIP = append(l.toSIP, c.later)
			}
			_, faults := l.judge(evidence{listed: map[string]bool{"m-0": c.listed}, hidden: c.hidden, lastUp: func(int) time.Time { return at(50) }})
			expect(t, faults, c.want)
		})
	}
}

// TestVerdictIn does the same for messages to XMPP.
func TestVerdictIn(t *testing.T) {
	kill := rupture{kind: "kill", at: at(50), healed: at(60)}
	for _, c := range []struct {
		name   string
		m      inbound
		breaks []rupture
		listed bool
		want   string
	}{
		{name: "delivered", m: inbound{arrived: 1, answers: answers(200, 200)}},
		{name: "refused", m: inbound{answers: answers(480)}},
		{name: "handed over", m: inbound{answers: answers(202)}},
		{name: "handed over and arrived", m: inbound{arrived: 1, answers: answers(202)}},
		{name: "200 for nothing", m: inbound{answers: answers(200)}, want: "200 and never arrived"},
		{name: "200 for nothing, although listed", m: inbound{answers: answers(200)}, breaks: []rupture{kill}, listed: true, want: "200 and never arrived"},
		{name: "503 and arrived", m: inbound{arrived: 1, answers: answers(503)}, want: "503 and arrived"},
		{name: "503 and arrived, uncertain", m: inbound{arrived: 1, answers: answers(503)}, breaks: []rupture{{kind: "cut", at: at(50), healed: at(60)}}, listed: true},
		{name: "503 and arrived, open at a kill", m: inbound{arrived: 1, answers: answers(503)}, breaks: []rupture{kill}},
		{name: "503 and arrived, begun after the kill", m: inbound{sent: at(70), arrived: 1, answers: answers(503)}, breaks: []rupture{kill}, want: "503 and arrived"},
		{name: "twice", m: inbound{arrived: 2, answers: answers(200)}, want: "arrived 2 times"},
		{name: "twice, uncertain", m: inbound{arrived: 2, answers: answers(200)}, breaks: []rupture{{kind: "server", at: at(50), healed: at(60)}}, listed: true},
		{name: "202 and twice", m: inbound{arrived: 2, answers: answers(202)}, want: "arrived 2 times"},
		{name: "listed without a break", m: inbound{arrived: 1, answers: answers(200)}, listed: true, want: "open at no break"},
		{name: "listed after the break", m: inbound{sent: at(70), arrived: 1, answers: answers(200)}, breaks: []rupture{kill}, listed: true, want: "open at no break"},
		{name: "never answered", m: inbound{arrived: 1}, want: "never answered"},
		{name: "answered this way and that", m: inbound{arrived: 1, answers: answers(200, 480)}, want: "answered [200 480]"},
		{name: "a copy was taken later", m: inbound{arrived: 1, answers: answers(503, 200)}},
		{name: "a copy was taken before", m: inbound{arrived: 1, answers: answers(200, 503)}},
		{name: "a copy was taken and did not arrive", m: inbound{answers: answers(503, 200)}, want: "200 and never arrived"},
		{name: "an odd answer", m: inbound{arrived: 1, answers: answers(204)}, want: "answered 204"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.m.sent.IsZero() {
				c.m.sent = at(0)
			}
			c.m.id = "id"
			l := newLedger()
			l.breaks, l.toXMPP = c.breaks, []*inbound{&c.m}
			_, faults := l.judge(evidence{listed: map[string]bool{"id": c.listed}})
			expect(t, faults, c.want)
		})
	}
}

func TestVerdictStrays(t *testing.T) {
	l := newLedger()
	l.out(3, func(*outbound) {})
	l.in(0, func(*inbound) {})
	_, faults := l.judge(evidence{})
	if len(faults) != 2 {
		t.Errorf("faults: %q, want two messages that nobody has sent", faults)
	}
}

// TestVerdictCounts: the report counts each message in the columns where it belongs.
func TestVerdictCounts(t *testing.T) {
	l := newLedger()
	l.breaks = []rupture{{kind: "kill", at: at(1000), healed: at(2000)}}
	l.toSIP = []*outbound{
		{handed: at(0), passed: at(0), shown: shown(1), accepted: at(1)},
		{handed: at(900), passed: at(900), shown: shown(2), accepted: at(950)},
		{handed: at(0), passed: at(0), errors: []string{"x"}},
		{handed: at(999), passed: at(999)},
		{sent: at(0)},
	}
	l.toXMPP = []*inbound{
		{sent: at(0), arrived: 1, answers: answers(200)},
		{sent: at(0), answers: answers(202)},
		{sent: at(0), answers: answers(480)},
		{sent: at(990), arrived: 2, answers: []answer{{at(2100), "b", 200}}},
	}
	rows, faults := l.judge(evidence{listed: map[string]bool{"m-1": true}, lastUp: func(int) time.Time { return at(0) }})
	if len(faults) > 0 {
		t.Errorf("faults: %q", faults)
	}
	out, in := rows[0], rows[1]
	if out.sent != 4 || out.delivered != 2 || out.errors != 1 || out.uncertain != 1 || out.gap != 1 || out.twice != 1 || len(out.lost) != 1 || out.lost[0] != -time.Millisecond || out.breaks != 1 || out.hurt != 1 {
		t.Errorf("to SIP: %+v", out)
	}
	if in.sent != 4 || in.delivered != 2 || in.errors != 1 || in.handed != 1 || in.uncertain != 1 || in.twice != 1 {
		t.Errorf("to XMPP: %+v", in)
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		early, late int
		alike       bool
	}{{0, 0, true}, {10, 12, true}, {16, 10, true}, {40, 40, true}, {25, 5, false}, {40, 20, false}} {
		if got := compare(&row{breaks: 40, hurt: c.early}, &row{breaks: 40, hurt: c.late}); got != c.alike {
			t.Errorf("%d against %d: %v", c.early, c.late, got)
		}
	}
	if !compare(nil, &row{}) || !compare(&row{}, nil) {
		t.Error("one alone cannot be worse")
	}
}

// The lines are those of a real log.
func TestListed(t *testing.T) {
	ids, hidden := listed([]string{
		`level=DEBUG msg="uncertain: the link was lost before the server had confirmed it" side=xmpp to=juliet@xmpp.test id=b7tk`,
		`level=WARN msg="uncertain: the link was lost before the server had confirmed these stanzas" side=xmpp count=1 ids=[b7tk]`,
		`level=WARN msg="uncertain: these messages may have left before the last stop" dir=xmpp-sip count=5 ids="[m-32 m-35]"`,
		`level=DEBUG msg=delivered dir=xmpp-sip id=m-7 call_id=x status=200`,
	})
	if len(ids) != 3 || !ids["b7tk"] || !ids["m-32"] || !ids["m-35"] || hidden != 3 {
		t.Errorf("%v, %d hidden", ids, hidden)
	}
}

func expect(t *testing.T, faults []string, want string) {
	t.Helper()
	switch {
	case want == "" && len(faults) > 0:
		t.Errorf("faults: %q, want none", faults)
	case want != "" && (len(faults) != 1 || !strings.Contains(faults[0], want)):
		t.Errorf("faults: %q, want one with %q", faults, want)
	}
}

func TestStalls(t *testing.T) {
	var s stalls
	s.note(at(0), at(49))
	s.note(at(100), at(300))
	s.note(at(400), at(500))
	for _, c := range []struct {
		t, want int
	}{{50, 0}, {150, 200}, {1299, 200}, {1301, 100}, {1600, 0}} {
		if got := s.before(at(c.t)); got != time.Duration(c.want)*time.Millisecond {
			t.Errorf("before %d ms: %v, want %d ms", c.t, got, c.want)
		}
	}
}
