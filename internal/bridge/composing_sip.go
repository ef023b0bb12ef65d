package bridge

import (
	"crypto/rand"

	"github.com/stoxgw/stox/mapping"
)

// What SIP says of who is typing becomes a chat state, and the request is answered as one
// with a text would be. Somebody of whom nothing more is heard has stopped (IM-52).

// stopped is the Ref of a stanza that says so of somebody who did not: nobody waits for
// what becomes of it.
type stopped struct{}

// takeState deals with a request that says only whether its sender is typing. What changes
// nothing is answered at once. b.mu is held.
func (b *Bridge) takeState(out *work, in *incoming) {
	v, ts := in.state, &b.composing.shown
	k := pair{in.to.Bare(), in.from.Bare()}
	b.composing.heard.note(in.pair, out.now)
	t := ts.byPair[k]
	composing := v.State == mapping.StateComposing
	news := composing == (t == nil)
	switch {
	case composing:
		until := out.now.Add(v.Lasts)
		if t == nil {
			if t = ts.add(k, until); t != nil {
				t.by = in
			}
		} else {
			ts.move(t, until)
		}
		if news = news && t != nil; t != nil {
			t.from, t.to = in.from, in.to
			b.wakeAt(out, until)
		}
	case t != nil:
		ts.remove(t)
	}
	if !news {
		in.stanzas = nil
		in.outcome = mapping.Outcome{Kind: mapping.Processed}
		out.answers = append(out.answers, mapping.Result{Ref: in.ref, Outcome: in.outcome})
		b.rememberState(out, in)
		return
	}
	b.stats.TypingToXMPP++
	b.handOver(out, in)
}

// finishState is told what became of the stanza of such a request. b.mu is held.
func (b *Bridge) finishState(out *work, in *incoming) {
	b.rememberState(out, in)
	switch in.outcome.Kind {
	case mapping.Processed, mapping.Unknown, mapping.Uncertain:
		return
	}
	ts := &b.composing.shown
	if t := ts.byPair[pair{in.to.Bare(), in.from.Bare()}]; t != nil && t.by == in {
		ts.remove(t) // nobody has seen it
	}
}

// rememberState is remember for such a request: in memory only, and as one about which no
// error is listened to any more. b.mu is held.
func (b *Bridge) rememberState(out *work, in *incoming) {
	if code, ok := seenOutcome(in.outcome); ok {
		b.repeats.seen.put(in.key, code|seenLate, b.repeats.ms(out.now))
		b.sweepSeen(out)
	}
}

// wroteBack is told that contact has written to user: who writes is not typing any more,
// which need not be said. b.mu is held.
func (b *Bridge) wroteBack(out *work, p *Policy, in *incoming) {
	if p.Composing != ComposingAlways && p.Composing != ComposingNever {
		b.composing.heard.note(in.pair, out.now)
	}
	if len(b.composing.shown.byPair) > 0 {
		if t := b.composing.shown.byPair[pair{in.to.Bare(), in.from.Bare()}]; t != nil {
			b.composing.shown.remove(t)
		}
	}
}

// tickStates says of those whose time has come that they have stopped. b.mu is held.
func (b *Bridge) tickStates(out *work) {
	for {
		t, at := b.composing.shown.due(out.now)
		if t == nil {
			b.wakeAt(out, at)
			return
		}
		b.stopTyping(out, t)
	}
}

// endStates says it of all: nobody will do so later. b.mu is held.
func (b *Bridge) endStates(out *work) {
	for len(b.composing.shown.byTime) > 0 {
		b.stopTyping(out, b.composing.shown.byTime[0])
	}
}

func (b *Bridge) stopTyping(out *work, t *typist) {
	b.composing.shown.remove(t)
	b.stats.TypingToXMPP++
	out.stanzas = append(out.stanzas, mapping.Parcel[mapping.XMPP]{Ref: stopped{},
		Value: &mapping.XMPPState{From: t.from, To: t.to, ID: rand.Text(), State: mapping.StateActive}})
}
