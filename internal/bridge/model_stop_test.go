package bridge

import (
	"context"
	"slices"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// crash ends the bridge with everything that is only in memory.
func (w *world) crash() {
	w.crashes++
	w.say("crash")
	w.stop()
	w.mu.Lock()
	w.epoch++ // what the old one still does counts no more
	w.mu.Unlock()
	w.disk.crash()
	w.reborn()
}

// restart stops the bridge as it is meant to be stopped.
func (w *world) restart() {
	w.restarts++
	w.say("stop")
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.b.Drain(ctx)
	}()
	synctest.Wait()
	for range w.rng.IntN(20) {
		switch w.rng.IntN(5) {
		case 0:
			w.answer(w.outcome)
		case 1:
			w.confirm()
		case 2:
			w.settleDisk()
		case 3:
			w.write()
		case 4:
			time.Sleep(time.Duration(w.rng.IntN(1000)) * time.Millisecond)
		}
		synctest.Wait()
		w.check()
	}
	<-done
	cancel()
	w.b.Seal()
	if w.rng.IntN(2) == 0 {
		w.write()
	}
	w.stop()
	w.disk.mu.Lock()
	w.disk.broken = false
	w.disk.mu.Unlock()
	for range 3 {
		w.settleDisk()
	}
	w.mu.Lock()
	w.epoch++
	w.mu.Unlock()
	w.disk.mu.Lock()
	w.disk.reopen()
	w.disk.mu.Unlock()
	w.reborn()
}

// reborn starts again with what is on the disk.
func (w *world) reborn() {
	w.learnCommits()
	rows := map[*model]*outbound{}
	for _, r := range w.disk.all() {
		o, err := decode(r)
		if err != nil {
			w.Fatal(err)
		}
		rows[w.msgs[o.id]] = o
		w.say("%s is on the disk: sent=%v reported=%v CSeq %v", o.id, o.sent, o.reported != nil, o.callID() != "")
		w.restored++
	}
	w.mu.Lock()
	for _, s := range w.stanzas {
		s.m.shaken = true
	}
	w.requests, w.stanzas = nil, nil
	// A row whose commit failed may be there all the same, and is then a row like others.
	defer func() { w.disk.lost = nil }()
	for _, m := range w.order {
		o := rows[m]
		if o == nil {
			if m.committed && !m.gone && m.delivered == 0 && m.toldOK == 0 && !slices.Contains(w.disk.lost, m.row) {
				w.Errorf("%s was on the disk and is not any more, and nobody was told", m.id)
			}
			m.gone = !m.ended || m.told > 0
			m.shaken = m.shaken || m.gone
			m.open = false
			continue
		}
		m.shaken = true
		if m.open && o.reported == nil && !slices.Contains(w.disk.lost, m.row) && (!o.sent || o.message().CSeq != m.last.CSeq || o.message().FromTag != m.last.FromTag) {
			w.Errorf("%s: a request without an answer is not on the disk: sent=%v", m.id, o.sent)
		}
		m.resume(o)
	}
	w.mu.Unlock()
	w.start()
}

// resume expects of m what its row says.
func (m *model) resume(o *outbound) {
	m.open, m.ended, m.gone, m.appended, m.committed = false, o.reported != nil, false, true, true
	m.expire, m.sent, m.next, m.tried, m.wait, m.longest = o.expire, 0, nil, o.nextTried, o.notBefore, time.Time{}
	if m.ended {
		return
	}
	if m.part = o.arrived; m.part == 0 {
		m.parts, m.cut = o.parts, m.cut && len(o.parts) > 1 // it may not have got there that it was cut
	}
	m.amb, m.restart = o.ambiguous, o.restart || o.ambiguous > 0
	m.next = o.message()
	m.last = m.next
	if o.sent {
		m.amb++
		m.restart = true
	}
}

// heal ends all trouble and waits until everything has ended.
func (w *world) heal() {
	w.disk.mu.Lock()
	w.disk.broken, w.disk.refuse, w.disk.blind, w.disk.full = false, false, false, -1
	w.disk.mu.Unlock()
	w.linkDown = false
	kind := w.rng.IntN(3)
	w.say("all is well again")
	for end := time.Now().Add(w.policy.Expire + 3*time.Minute); time.Now().Before(end); {
		for range 50 {
			w.settleDisk()
			synctest.Wait()
			w.check()
			if w.Failed() {
				return
			}
			w.mu.Lock()
			requests, stanzas := len(w.requests), len(w.stanzas)
			w.mu.Unlock()
			if requests+stanzas == 0 && w.disk.quiet() {
				break
			}
			for range requests {
				switch kind {
				case 0:
					w.answer(w.outcome)
				case 1:
					w.answer(func() mapping.Outcome { return answered(503) })
				case 2:
					w.answer(func() mapping.Outcome { return answered(200) })
				}
			}
			for range stanzas {
				w.confirm()
			}
		}
		if w.over() {
			break
		}
		time.Sleep(time.Duration(100+w.rng.IntN(4000)) * time.Millisecond)
	}
	time.Sleep(3 * time.Second) // what was refused is offered again
	synctest.Wait()
	w.settleDisk()
	w.lostRows += w.disk.losses
	w.checkEnd()
}

// over reports whether nothing is left to be waited for.
func (w *world) over() bool {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	return len(w.b.lanes.byKey) == 0 && w.b.reports.open == 0 && len(w.b.reports.again)+len(w.b.reports.stored) == 0
}
