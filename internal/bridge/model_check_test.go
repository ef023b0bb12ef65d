package bridge

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// modelSIP and modelXMPP are the sides. What is handed to them is checked at once.
type modelSIP struct {
	*world
	of int // the epoch
}

type modelXMPP struct {
	*world
	of int
}

func (w *world) fault(m *model, format string, args ...any) {
	w.faults = append(w.faults, m.id+": "+fmt.Sprintf(format, args...))
}

func (s modelSIP) Answer([]mapping.Result) {}

func (s modelSIP) Deliver(batch []mapping.Parcel[mapping.SIP]) {
	w := s.world
	w.learn()
	for _, p := range batch {
		o := p.Ref.(*claim[outbound]).on
		row, lost := w.onDisk(o.id)
		w.mu.Lock()
		if m := w.msgs[o.id]; s.of == w.epoch {
			sip := p.Value.(*mapping.SIPMessage)
			w.say("%s leaves for %s: CSeq %d, part %d", m.id, m.lane, sip.CSeq, m.part)
			w.checkRequest(m, sip, row, lost)
			if m.last != nil && m.sent > 0 {
				if w.retries++; m.last.CSeq == sip.CSeq {
					w.repeats++
				}
			}
			m.open, m.last, m.next = true, sip, nil
			m.sent++
			w.counts.requests++
			w.requests = append(w.requests, &request{epoch: s.of, ref: p.Ref, o: o, m: m, sip: sip})
		}
		w.mu.Unlock()
	}
}

// onDisk is the row of a message, nil if it is not on the disk, and those whose commit
// has failed.
func (w *world) onDisk(id string) (row *outbound, lost []uint64) {
	for _, r := range w.disk.all() {
		if o, err := decode(r); err == nil && o.id == id {
			row = o
		}
	}
	w.disk.mu.Lock()
	defer w.disk.mu.Unlock()
	return row, w.disk.lost
}

// checkRequest looks at a request that leaves. w.mu is held.
func (w *world) checkRequest(m *model, sip *mapping.SIPMessage, row *outbound, lost []uint64) {
	now := time.Now()
	switch {
	case m.open:
		w.fault(m, "sent although a request of it is pending")
	case m.ended || m.gone:
		w.fault(m, "sent after its end")
	case m.amb >= maxAmbiguous:
		w.fault(m, "sent after %d ambiguous ends", m.amb)
	case now.Before(m.wait):
		w.fault(m, "sent %v too early", m.wait.Sub(now))
	case !now.Before(m.expire):
		w.fault(m, "sent after it expired")
	case w.closing && m.part == 0:
		w.fault(m, "sent while stopping")
	}
	for _, r := range w.requests {
		if r.m.lane == m.lane {
			w.fault(m, "sent while a request of %s is pending to %s (IM-32)", r.m.id, m.lane)
		}
	}
	want := m.next
	if want == nil {
		want = m.parts[m.part].(*mapping.SIPMessage)
	}
	if sip.CSeq != want.CSeq || sip.CallID != want.CallID || sip.FromTag != want.FromTag || !bytes.Equal(sip.Body, want.Body) {
		w.fault(m, "is CSeq %d, Call-ID %s, tag %s; want %d %s %s (%d ambiguous, restart %v)", sip.CSeq, sip.CallID, sip.FromTag, want.CSeq, want.CallID, want.FromTag, m.amb, m.restart)
	}
	for _, older := range w.order[:m.seq] {
		if older.sender != m.sender || older.lane != m.lane || !older.appended || older.ended || older.gone {
			continue
		}
		if !older.open && !now.Before(older.expire) || slices.Contains(lost, older.row) {
			continue // its sender is being told
		}
		w.fault(m, "overtakes %s", older.id)
	}
	switch {
	case row != nil && row.reported != nil:
		w.fault(m, "sent although the disk says that it is given up")
	case row != nil && slices.Contains(lost, m.row):
		// What the disk still has of it is deleted.
	case row != nil:
		if c := row.message(); !row.sent || c.CSeq != sip.CSeq || c.FromTag != sip.FromTag {
			w.fault(m, "sent while the disk says sent=%v CSeq %d", row.sent, c.CSeq)
		}
	case slices.Contains(lost, m.row) && m.part > 0:
	case m.part > 0 || m.sent > 0 || m.cut:
		w.fault(m, "request %d of part %d is not on the disk", m.sent+1, m.part)
	default: // early
		for _, other := range w.order[:m.seq] {
			if other.lane == m.lane && other.appended && !other.ended && !other.gone {
				w.fault(m, "sent before its commit to a destination that %s waits for", other.id)
			}
		}
	}
}

func (s modelXMPP) Up() bool { return true }

func (s modelXMPP) Deliver(batch []mapping.Parcel[mapping.XMPP]) {
	w := s.world
	w.learn()
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.of != w.epoch {
		return
	}
	for _, p := range batch {
		switch v := p.Value.(type) {
		case *mapping.XMPPError:
			m := w.msgs[v.ID]
			if m.open {
				w.fault(m, "its sender is told while a request is pending")
			}
			if m.delivered > 0 && !m.shaken {
				w.fault(m, "its sender is told of an error after a 2xx")
			}
			if v.To.Bare() != m.sender {
				w.fault(m, "%s is told instead of %s", v.To, m.sender)
			}
			partly := ""
			if m.part == 1 {
				partly = fmt.Sprintf("The first of %d parts arrived.", len(m.parts))
			} else if m.part > 1 {
				partly = fmt.Sprintf("The first %d of %d parts arrived.", m.part, len(m.parts))
			}
			if !strings.Contains(v.Failure.Text, partly) || partly == "" && strings.Contains(v.Failure.Text, "parts arrived") {
				w.fault(m, "its sender is told %q, and %d of %d parts have arrived", v.Failure.Text, m.part, len(m.parts))
			}
			m.told++
			m.ended = true
			w.say("%s: its sender is told %s", m.id, v.Failure.Text)
			w.errors++
			w.stanzas = append(w.stanzas, stanza{epoch: s.of, ref: p.Ref, m: m})
		case *mapping.XMPPMessage:
			m := w.msgs[p.Ref.(notice).o.id]
			if time.Since(m.read) < noticeAfter {
				w.fault(m, "a notice after %v", time.Since(m.read))
			}
			m.notices++
			w.notices++
			w.stanzas = append(w.stanzas, stanza{epoch: s.of, ref: p.Ref, m: m, notice: true})
		}
	}
}

type expectation uint8

const (
	ends     expectation = iota // nothing is told
	goesOn                      // the next part
	cuts                        // it is cut into parts
	retries                     // it waits for a further attempt
	tells                       // the sender is told
	either                      // it is tried again or the sender is told: that depends on the jitter
	tellsAmb                    // the sender is told that it may have arrived
)

// expect says what has to become of the message of r, by the rules of IM-59.
func (w *world) expect(r *request, out mapping.Outcome) (want expectation) {
	o := r.o
	w.b.mu.Lock()
	journaled := o.row != 0
	w.b.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	m, now := r.m, time.Now()
	m.open, m.wait, m.longest, m.toldBefore = false, time.Time{}, time.Time{}, m.told
	defer func() {
		// The request of the next one may be handed over before the stanza is.
		m.ended = m.ended || want == tells || want == tellsAmb || want == either
	}()
	same := *r.sip
	kind, wait, most := tells, time.Duration(0), time.Duration(0)
	is := func(codes ...int) bool { return out.Kind == mapping.Answered && slices.Contains(codes, out.Status) }
	switch {
	case is(482) && m.restart:
		return tellsAmb
	case is(200, 202), is(482) && m.amb > 0:
		if is(482) {
			w.arrived++
		}
		if m.got = append(m.got, string(r.sip.Body)); m.part+1 < len(m.parts) {
			m.part++
			if !now.Before(m.expire) {
				return tells // there is no time left for the others
			}
			m.sent, m.amb, m.restart, m.tried, m.last = 0, 0, false, false, nil
			return goesOn
		}
		m.delivered++
		m.ended = true
		w.delivered++
		if m.cut {
			w.cutsDone++
		}
		return ends
	case out.Room > 0:
		_, ok := mapping.Split(string(r.sip.Body), out.Room, out.Chars)
		if ok && journaled && (now.Before(m.expire) || w.closing) && len(m.parts) == 1 && (m.amb == 0 || m.amb == 1 && m.restart) {
			return cuts
		}
		return tells
	case is(408) || out.Kind == mapping.Unknown:
		if m.amb++; m.amb >= maxAmbiguous {
			return tellsAmb
		}
		kind = retries
	case is(430, 503) || out.Kind == mapping.NotWritten && out.Failure == nil:
		kind = retries
		if out.More {
			break
		}
		wait, most = time.Second, time.Minute
		if out.Failure != nil {
			wait, most = max(wait, out.Failure.RetryAfter), max(most, out.Failure.RetryAfter)
		}
		if m.amb == 0 {
			same.CSeq++
		}
	case is(500, 504) && out.More && !m.tried:
		m.tried = true
		kind = retries
	}
	if kind != retries {
		return tells
	}
	if !journaled || !now.Add(wait).Before(m.expire) {
		return tells
	}
	m.next = &same
	if wait > 0 {
		m.wait, m.longest = now.Add(wait), now.Add(most)
	}
	if !now.Add(most).Before(m.expire) {
		return either
	}
	return retries
}

// compare looks at what has become of it.
func (w *world) compare(m *model, want expectation, out mapping.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := m.told > m.toldBefore
	if want == either {
		m.ended = told
	}
	if want == tells || want == tellsAmb {
		if !told {
			w.fault(m, "%+v: its sender is not told", out)
		}
	} else if want != either && told {
		w.fault(m, "%+v: its sender is told an error", out)
	}
}

// check looks at everything that has to hold at every moment.
func (w *world) check() {
	w.mu.Lock()
	for _, f := range w.faults {
		w.Error(f)
	}
	w.faults = nil
	w.mu.Unlock()
	b := w.b
	quiet := w.disk.quiet()
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	var all held
	domains, back := map[string]held{}, map[string]int{}
	count := func(o *outbound, sender mapping.JID, h held) {
		if o != nil {
			h.bytes = o.size
			if o.row != 0 && b.rows[o.row] != o {
				w.Errorf("%s is in a lane and not known by its row", o.id)
			}
			if o.over || o.reported != nil {
				w.Errorf("%s has ended and is in a lane", o.id)
			}
		}
		all.add(h)
		d := domains[sender.Domain()]
		d.add(h)
		domains[sender.Domain()] = d
	}
	for key, l := range b.lanes.byKey {
		if l.open != nil {
			count(l.open, l.open.sender, held{open: 1})
			if l.open.slot != l {
				w.Errorf("lane %s: %s has the slot and does not know it", key, l.open.id)
			}
		}
		if key != l.key || l.open == nil && len(l.fifos) == 0 {
			w.Errorf("lane %s is kept for nothing", key)
		}
		waiting := 0
		for sender, f := range l.fifos {
			waiting += len(f.queue)
			if len(f.queue) == 0 || f.lane != l || f.sender != sender {
				w.Errorf("lane %s: the FIFO of %s is kept for nothing", key, sender)
			}
			if w.crashes+w.restarts == 0 && len(f.queue) > w.limits.FIFO+1 {
				w.Errorf("lane %s: %d of %s wait", key, len(f.queue), sender)
			}
			for _, e := range f.queue {
				if e.o == nil {
					count(nil, sender, held{stored: 1})
					w.parked++
					continue
				}
				count(e.o, sender, held{waiting: 1})
				if e.o.waits != f {
					w.Errorf("%s does not know that it waits in lane %s", e.o.id, key)
				}
				if e.o.arrived > 0 && e.o.problem == nil {
					w.yields++
				}
				if e.o.problem != nil || e.o.arrived > 0 || w.wasCut(e.o) {
					back[""]++
					back[sender.Domain()]++
				}
				if !b.closing && now.Before(l.until) && e.o.row != 0 && e.o.safe() {
					w.Errorf("%s is in memory although it is on the disk and the circuit of %s is open", e.o.id, key)
				}
				w.checkWait(e.o, now)
			}
			w.checkHead(l, f, now, quiet)
		}
		if waiting != l.waiting || w.crashes+w.restarts == 0 && waiting > w.limits.Lane+1 {
			w.Errorf("lane %s: %d wait, %d are counted", key, waiting, l.waiting)
		}
		if l.until.Sub(now) > maxBackoff {
			w.Errorf("the circuit of %s is open for %v", key, l.until.Sub(now))
		}
	}
	if all != b.lanes.held {
		w.Errorf("held: %+v, counted: %+v", b.lanes.held, all)
	}
	if fmt.Sprint(domains) != fmt.Sprint(b.lanes.domains.each()) {
		w.Errorf("held by domain: %v, counted: %v", b.lanes.domains.each(), domains)
	}
	limits := b.lanes.limits
	domains[""] = all
	for d, h := range domains {
		l := limits
		if d != "" {
			l.Total, l.Open, l.Bytes = max(l.Total/2, 1), max(l.Open/4, 1), l.Bytes/2
		}
		// One that comes back from its slot is not asked whether there is room to wait.
		if h.open > l.Open || h.waiting-back[d] > l.Total || h.bytes > l.Bytes {
			w.Errorf("%q holds %+v, more than %+v", d, h, l)
		}
	}
	for o, at := range b.waiting {
		if l := b.lanes.byKey[o.lane]; now.After(at) || !o.partNext || l == nil || l.open != o {
			w.Errorf("%s waits for its next part since %v, and should not have the slot", o.id, now.Sub(at)+maxPartWait)
		}
	}
	early := 0
	for _, o := range b.unjournaled {
		if o.kept == 0 && !o.over {
			early++
		}
	}
	if early > maxUnjournaled {
		w.Errorf("%d have left without being on the disk", early)
	}
}

// wasCut reports whether o was one request, and is several now.
func (w *world) wasCut(o *outbound) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.msgs[o.id].cut
}

// checkText looks at what SIP has got of a message: all of it once and in order, and twice
// only what a crash has made uncertain. What failed got a beginning of it. w.mu is held.
func (w *world) checkText(m *model) {
	got, delivered := m.got, m.delivered > 0
	if m.shaken && len(got) > 0 {
		got = nil
		for _, part := range m.got {
			if !slices.Contains(got, part) {
				got = append(got, part)
			}
		}
		if got[0] == m.text { // it had arrived when there still was room for all of it
			got, delivered = got[1:], false
		}
	}
	text := ""
	for _, part := range got {
		text += strings.ReplaceAll(partMark.ReplaceAllString(part, ""), "\r\n", "\n")
	}
	if text != m.text && (delivered || !strings.HasPrefix(m.text, text)) {
		w.Errorf("%s: SIP got %q of %q", m.id, m.got, m.text)
	}
}

var partMark = regexp.MustCompile(`^\(\d+/\d+\) `)

// checkWait looks at a back-off.
func (w *world) checkWait(o *outbound, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.msgs[o.id]
	if o.notBefore.After(now) && !m.longest.IsZero() && o.notBefore.After(m.longest) {
		w.Errorf("%s waits %v longer than it may", o.id, o.notBefore.Sub(m.longest))
	}
}

// checkHead looks at whether the first message of f has somebody who sees to it, and
// goes if it may.
func (w *world) checkHead(l *lane, f *fifo, now time.Time, quiet bool) {
	b := w.b
	if b.closing || len(f.queue) == 0 {
		return
	}
	o := f.queue[0].o
	if f.index < 0 && !f.wanted {
		w.Errorf("nobody sees to the first message of %s for %s", f.sender, l.key)
	}
	if !quiet || o == nil || l.open != nil || now.Before(o.notBefore) || now.Before(l.until) || !now.Before(o.expire) || b.refused[o] {
		return
	}
	stuck := 0
	for _, g := range l.turn[:max(slices.Index(l.turn, f), 0)] {
		if b.refused[g.queue[0].o] {
			stuck++
		}
	}
	if stuck >= b.ahead || stuck > 0 && l.onTrial() {
		return // as many as are marked wait for the journal to take that, and then it is marked
	}
	switch {
	case !l.starving:
		w.Errorf("%s may go and does not: sent=%v rev=%d kept=%d inTurn=%v", o.id, o.sent, o.rev, o.kept, f.inTurn)
	case b.lanes.room(f.sender.Domain(), held{open: 1}):
		w.Errorf("%s may go to %s, has room and does not: %+v %+v, %d lanes starve", o.id, l.key, b.lanes.held, b.lanes.domains.each(), len(b.lanes.starved))
	default:
		w.starved++
	}
}

// checkEnd looks at what is left, and at what has become of every message.
func (w *world) checkEnd() {
	w.check()
	b := w.b
	b.mu.Lock()
	defer b.mu.Unlock()
	ls := b.lanes
	if ls.held != (held{}) || len(ls.domains.each())+len(ls.byKey)+len(ls.alarms) > 0 {
		w.Errorf("left in the lanes: %+v %v %v, %d alarms", ls.held, ls.domains.each(), ls.byKey, len(ls.alarms))
	}
	if len(b.rows)+len(b.wanted)+len(b.refused)+len(b.waiting)+len(ls.starved) > 0 {
		w.Errorf("left: rows %v, %d wanted, %d refused, %d starved", b.rows, len(b.wanted), len(b.refused), len(ls.starved))
	}
	if r := &b.reports; r.open != 0 || len(r.again)+len(r.stored) > 0 {
		w.Errorf("reports are left: %+v", *r)
	}
	for _, r := range w.disk.all() {
		o, _ := decode(r)
		w.Errorf("%s is left on the disk", o.id)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.order {
		w.checkText(m)
		switch {
		case m.gone:
			// It was not on the disk, or its end was: nobody knows more.
		case m.shaken:
			if m.delivered == 0 && m.toldOK == 0 {
				w.Errorf("%s was on the disk, and has not ended", m.id)
			}
		case m.delivered == 1 && m.told == 0:
		case m.delivered == 0 && m.toldOK > 0 && m.told <= 1+m.toldLost:
		default:
			w.Errorf("%s: delivered %d times, its sender told %d times, %d of it lost, %d processed", m.id, m.delivered, m.told, m.toldLost, m.toldOK)
		}
	}
}
