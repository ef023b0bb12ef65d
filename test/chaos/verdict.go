package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// row is a line of the report: one direction of a scenario.
type row struct {
	way       string          // "to SIP", "to XMPP"
	sent      int             // to SIP: those that the XMPP server handed to stox
	delivered int             // messages that their receiver got
	errors    int             // messages whose sender was told that they did not arrive
	handed    int             // to XMPP: answered 202
	uncertain int             // in stox's own list, or open at a kill
	lost      []time.Duration // for each of these: when it was in stox's hands, or on the link, from the rupture on
	breaks    int             // how often the link was lost ...
	hurt      int             // ... and how often with something that had reached stox before
	gap       int             // to SIP: lost without a word in a kill or a cut
	twice     int             // messages that their receiver got more than once
}

// evidence is what stox itself and the clients tell beside the ledger.
type evidence struct {
	listed map[string]bool       // ids that stox calls uncertain
	hidden int                   // so many more it has counted without naming them
	lastUp func(n int) time.Time // when the sender of message n to SIP has logged in last
}

// judge holds the ledger against the delivery contract. Every fault is one that
// the contract does not allow.
func (l *ledger) judge(e evidence) (rows []row, faults []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out, faults := l.judgeOut(e)
	in, more := l.judgeIn(e)
	return []row{out, in}, append(append(faults, more...), l.strays...)
}

// late is when an error also comes as an ordinary message: after 30 s, and what it
// takes to write it.
const late = 31 * time.Second

func (l *ledger) judgeOut(e evidence) (r row, faults []string) {
	r.way = "to SIP"
	hurt := make(map[int]bool)
	defer func() { r.breaks, r.hurt = len(l.breaks), len(hurt) }()
	for n, m := range l.toSIP {
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Sprintf("m-%d to SIP: ", n)+fmt.Sprintf(format, args...))
		}
		if m.handed.IsZero() {
			// The server kept it, or answered it itself: stox has never had it.
			if len(m.shown) > 0 {
				fault("arrived and was never handed over")
			}
			continue
		}
		r.sent++
		shown, failed := len(m.shown), len(m.errors) > 0 || !m.told.IsZero()
		uncertain := e.listed[outboundID(n)]
		if !uncertain && shown > 1 && e.hidden > 0 && l.killedBetween(m.shown) {
			uncertain = true
			e.hidden--
		}
		if uncertain {
			r.uncertain++
			if l.overBefore(m) {
				fault("is listed as uncertain, although it was answered 2xx long before any break")
			}
		}
		ambiguous := uncertain || slices.ContainsFunc(m.errors, func(s string) bool { return strings.Contains(s, "may have arrived") })
		if shown > 0 {
			r.delivered++
		}
		if failed {
			r.errors++
		}
		if shown > 1 {
			r.twice++
			if !uncertain {
				fault("arrived %d times and is not uncertain: %s", shown, l.showings(m))
			}
		}
		switch {
		case shown == 0 && !failed && l.overtaken(m):
			fault("was lost, and something that stox had read after it was not%s", l.when(m.passed))
		case shown == 0 && !failed && l.inGap(m):
			r.gap++
			age, nearest := l.age(m)
			r.lost = append(r.lost, age.Round(time.Millisecond))
			if age < 0 {
				hurt[nearest] = true
			}
		case shown == 0 && !failed:
			fault("was lost: it neither arrived nor was its sender told%s", l.when(m.handed))
		case shown > 0 && m.accepted.IsZero() && !failed && !l.inGap(m): // else stox had sent it and not yet written it down
			fault("has no end: its receiver never said 2xx and its sender was not told")
		case shown > 0 && failed && !ambiguous:
			fault("arrived, and its sender was told that it did not: %q", m.errors)
		case failed && len(m.errors) == 0 && m.told.After(e.lastUp(n)):
			fault("the error was written, and its sender, who was there, did not get it")
		}
		if len(m.errors) > 0 && m.told.Sub(m.handed) > late && l.notes[m.to] == 0 {
			fault("its sender was told late, and without a notice")
		}
		if len(m.errors) > 1 && len(l.breaks) == 0 {
			fault("its sender was told %d times: %q", len(m.errors), m.errors)
		}
	}
	return r, faults
}

func (l *ledger) judgeIn(e evidence) (r row, faults []string) {
	r.way = "to XMPP"
	for n, m := range l.toXMPP {
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Sprintf("call-%d to XMPP: ", n)+fmt.Sprintf(format, args...))
		}
		r.sent++
		if m.arrived > 0 {
			r.delivered++
		}
		uncertain := e.listed[m.id] && m.id != "" || l.openAtKill(m)
		if uncertain {
			r.uncertain++
			if !l.openAtBreak(m) {
				fault("is listed as uncertain, although it was open at no break")
			}
		}
		if m.arrived > 1 {
			r.twice++
			if !uncertain {
				fault("arrived %d times and is not uncertain", m.arrived)
			}
		}
		if len(m.answers) == 0 {
			fault("was never answered")
			continue
		}
		status, alike := m.final()
		if !alike && !uncertain {
			fault("was answered %v", statuses(m.answers))
		}
		switch {
		case status == 200 && m.arrived == 0:
			fault("was answered 200 and never arrived%s%s", m.bounce(), l.when(m.answers[0].at))
		case status == 202:
			r.handed++
		case status >= 300:
			r.errors++
			if m.arrived > 0 && !uncertain {
				fault("was answered %d and arrived%s", status, l.when(m.answers[0].at))
			}
		case status != 200:
			fault("was answered %d", status)
		}
	}
	return r, faults
}

// final is what a request came to. A 503 says that it was not written: a copy of it
// by another way may then be taken (IM-57). All other answers have to be alike.
func (m *inbound) final() (status int, alike bool) {
	status, alike = 503, true
	for _, a := range m.answers {
		if a.status == 503 {
			continue
		}
		if status == 503 {
			status = a.status
		}
		alike = alike && status == a.status
	}
	return status, alike
}

// overBefore reports whether m was answered 2xx long before the next rupture, and
// was not on its way in any.
func (l *ledger) overBefore(m *outbound) bool {
	return !m.accepted.IsZero() && len(l.breaks) > 0 && !slices.ContainsFunc(l.breaks, func(b rupture) bool {
		return m.accepted.After(b.at.Add(-gap-b.stall)) && (b.healed.IsZero() || m.handed.Before(b.healed))
	})
}

// killedBetween reports whether stox was killed between two showings. What it had
// sent just before may be shown a moment after.
func (l *ledger) killedBetween(all []showing) bool {
	return slices.ContainsFunc(l.breaks, func(b rupture) bool {
		return b.kind == "kill" && (b.healed.IsZero() || all[0].at.Before(b.healed)) && all[len(all)-1].at.After(b.at)
	})
}

// openAtKill reports whether the sender of m waited for its answer when stox was
// killed, or had it only just, so that it was not yet kept for repeats.
func (l *ledger) openAtKill(m *inbound) bool {
	return slices.ContainsFunc(l.breaks, func(b rupture) bool {
		if b.kind != "kill" || m.sent.After(b.at) {
			return false
		}
		repeated := len(m.answers) > 1 && m.answers[0].at.After(b.at.Add(-gap)) && m.answers[len(m.answers)-1].at.After(b.at)
		return repeated || len(m.answers) == 0 || m.answers[0].at.After(b.at)
	})
}

// openAtBreak reports whether m was on its way while there was a rupture.
func (l *ledger) openAtBreak(m *inbound) bool {
	return slices.ContainsFunc(l.breaks, func(b rupture) bool {
		begun := b.healed.IsZero() || m.sent.Before(b.healed)
		return begun && (len(m.answers) == 0 || m.answers[len(m.answers)-1].at.After(b.at))
	})
}

// age is when m had reached stox, or was written to the link, as seen from the
// rupture that is nearest, and which one that is. l.mu is held.
func (l *ledger) age(m *outbound) (age time.Duration, nearest int) {
	at := m.handed
	if !m.passed.IsZero() {
		at = m.passed
	}
	age = time.Duration(1<<63 - 1)
	for i, b := range l.breaks {
		if d := at.Sub(b.at); d.Abs() < age.Abs() {
			age, nearest = d, i
		}
	}
	return age, nearest
}

// bounce tells how late the server has refused m, if it has.
func (m *inbound) bounce() string {
	if m.refused.IsZero() {
		return ""
	}
	return fmt.Sprintf(": the server refused it %d ms after it was written, %d ms after the answer",
		m.refused.Sub(m.put).Milliseconds(), m.refused.Sub(m.answers[0].at).Milliseconds())
}

// showings tells of each showing, for a person.
func (l *ledger) showings(m *outbound) string {
	var all []string
	for _, s := range m.shown {
		all = append(all, fmt.Sprintf("CSeq %s%s", s.cseq, l.when(s.at)))
	}
	return strings.Join(all, ", ")
}

// when says how t lies to the ruptures, for a person who looks for the cause.
func (l *ledger) when(t time.Time) string {
	var s string
	for _, b := range l.breaks {
		if d := t.Sub(b.at); d > -5*time.Second && d < 5*time.Second {
			s += fmt.Sprintf(" (%s %+dms)", b.kind, d.Milliseconds())
		}
	}
	return s
}

func statuses(answers []answer) (all []int) {
	for _, a := range answers {
		all = append(all, a.status)
	}
	return all
}

func outboundID(n int) string { return fmt.Sprintf("m-%d", n) }
