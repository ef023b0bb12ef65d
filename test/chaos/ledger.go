package main

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// ledger keeps what is seen of every numbered message of a scenario, from
// outside: by its sender, by its receiver, and on the link between stox and the
// XMPP server. What it all has to come to is judged afterwards (verdict.go).
type ledger struct {
	mu     sync.Mutex // guards the following
	cond   *sync.Cond // something has changed
	toSIP  []*outbound
	toXMPP []*inbound
	breaks []rupture
	byID   map[string]*inbound // by the id of its stanza
	notes  map[string]int      // messages without a number, by their sender: notices of failures
	strays []string            // what nobody has sent
}

// outbound is a message from XMPP to SIP.
type outbound struct {
	to       string    // bare JID
	sent     time.Time // by its sender, to the XMPP server
	handed   time.Time // the server had written it to the link
	passed   time.Time // stox's kernel had it
	shown    []showing // its receiver got it
	unshown  int       // transactions in which the receiver got it, and did not show it
	errors   []string  // what its sender was told: condition and text
	told     time.Time // stox had written an error to the link
	accepted time.Time // the receiver's first 2xx, or 482 to a repeat of what it had shown
	last     time.Time // and the last one
}

// showing is a SIP transaction by which a receiver got a message.
type showing struct {
	at     time.Time
	callID string
	cseq   string
	branch string
}

// inbound is a message from SIP to XMPP.
type inbound struct {
	sent    time.Time
	from    string // user parts
	to      string
	callID  string
	id      string    // of the stanza that it became
	written int       // copies that stox has written to the link
	arrived int       // copies that its receiver got
	put     time.Time // stox had written the first copy
	refused time.Time // the server had written its error
	answers []answer
	gaveUp  bool // the sender's time was up without an answer
}

// answer is a final response.
type answer struct {
	at     time.Time
	branch string
	status int
}

// rupture is a moment at which the link was lost.
type rupture struct {
	kind   string        // "kill" or "stop" (of stox), "cut" (of the connection), "server" (a stop of it)
	at     time.Time     //
	healed time.Time     // stox had its link again; zero: not yet
	stall  time.Duration // the disk may have held up a commit for so long
}

func newLedger() *ledger {
	l := &ledger{byID: make(map[string]*inbound), notes: make(map[string]int)}
	l.cond = sync.NewCond(&l.mu)
	return l
}

// note changes the ledger.
func (l *ledger) note(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	l.cond.Broadcast()
}

// await waits until done says so, or the time is up.
func (l *ledger) await(limit time.Duration, done func() bool) bool {
	late := false
	timer := time.AfterFunc(limit, func() { l.note(func() { late = true }) })
	defer timer.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !done() {
		if late {
			return false
		}
		l.cond.Wait()
	}
	return true
}

// newOutbound gives the number of a message that is about to be sent to SIP.
func (l *ledger) newOutbound(to string) (n int) {
	l.note(func() {
		n = len(l.toSIP)
		l.toSIP = append(l.toSIP, &outbound{to: to, sent: time.Now()})
	})
	return n
}

// newInbound gives the number of a message that is about to be sent to XMPP.
func (l *ledger) newInbound(from, to string) (n int) {
	l.note(func() {
		n = len(l.toXMPP)
		l.toXMPP = append(l.toXMPP, &inbound{sent: time.Now(), from: from, to: to, callID: fmt.Sprintf("call-%d", n)})
	})
	return n
}

// out changes what is known of a message to SIP.
func (l *ledger) out(n int, f func(*outbound)) {
	l.note(func() {
		if n < 0 || n >= len(l.toSIP) {
			l.strays = append(l.strays, fmt.Sprintf("message %d to SIP was never sent", n))
			return
		}
		f(l.toSIP[n])
	})
}

// in changes what is known of a message to XMPP.
func (l *ledger) in(n int, f func(*inbound)) {
	l.note(func() {
		if n < 0 || n >= len(l.toXMPP) {
			l.strays = append(l.strays, fmt.Sprintf("message %d to XMPP was never sent", n))
			return
		}
		f(l.toXMPP[n])
	})
}

// broke notes a rupture; heal notes that all of them are over.
func (l *ledger) broke(kind string) {
	l.note(func() { l.breaks = append(l.breaks, rupture{kind: kind, at: time.Now()}) })
}

// slowed notes how slow the disk was before each rupture. A row may have waited for
// the commit before its own.
func (l *ledger) slowed(disk *stalls) {
	l.note(func() {
		for i := range l.breaks {
			l.breaks[i].stall = 2 * disk.before(l.breaks[i].at)
		}
	})
}

func (l *ledger) heal() {
	l.note(func() {
		for i := range l.breaks {
			if l.breaks[i].healed.IsZero() {
				l.breaks[i].healed = time.Now()
			}
		}
	})
}

// unsettled counts messages whose fate may still change: those to XMPP without an
// answer, and those to SIP that stox was given and that have no outcome. What may
// have been lost in a rupture is counted apart.
func (l *ledger) unsettled() (open, doubtful int) {
	for _, m := range l.toXMPP {
		if len(m.answers) == 0 && !m.gaveUp {
			open++
		}
	}
	for _, m := range l.toSIP {
		switch {
		case m.handed.IsZero() || m.done():
		case l.inGap(m):
			doubtful++
		default:
			open++
		}
	}
	return open, doubtful
}

// done reports whether a message to SIP has come to an end.
func (m *outbound) done() bool {
	return !m.accepted.IsZero() || len(m.errors) > 0 || !m.told.IsZero()
}

// gap is how long before a kill or a cut a message may have been read by stox, or
// have lain in its socket, without having been committed, on a disk that does not
// stall. The commit begins at once; the rest is what a loaded machine takes to let
// stox read and write.
const gap = 500 * time.Millisecond

// inGap reports whether a message was on its way to stox when it was killed or
// the link was cut: written by the server and not yet in stox's hands, or read
// only just. l.mu is held.
func (l *ledger) inGap(m *outbound) bool {
	return slices.ContainsFunc(l.breaks, func(b rupture) bool {
		if b.kind != "kill" && b.kind != "cut" || !b.healed.IsZero() && m.handed.After(b.healed) {
			return false
		}
		return m.passed.IsZero() || m.passed.After(b.at.Add(-gap-b.stall))
	})
}

// overtaken reports whether something that reached stox after m, and before the
// next kill, was still known after it. Then m must have been: rows are committed in
// the order in which they were read. l.mu is held.
func (l *ledger) overtaken(m *outbound) bool {
	i := slices.IndexFunc(l.breaks, func(b rupture) bool { return b.kind == "kill" && b.at.After(m.passed) })
	dead := slices.ContainsFunc(l.breaks, func(b rupture) bool { // the link was, when the server wrote it
		return b.at.Before(m.passed) && (b.healed.IsZero() || m.handed.Before(b.healed))
	})
	if m.passed.IsZero() || dead || i < 0 || l.breaks[i].healed.IsZero() {
		return false
	}
	b := l.breaks[i]
	return slices.ContainsFunc(l.toSIP, func(k *outbound) bool {
		return k.passed.After(m.passed) && k.passed.Before(b.at) &&
			(k.told.After(b.healed) || slices.ContainsFunc(k.shown, func(s showing) bool { return s.at.After(b.healed) }))
	})
}
