package presence

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stoxgw/stox/mapping"
)

// A restart is not noticed by who watches: the dialog goes on, its CSeq increases, and what
// the user shows then is said.
func TestWatchersRestart(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.grant()
		a := h.watcher("c1", func(v *mapping.SIPSubscribe) {
			v.Routes, v.EventID, v.RemoteTarget = []string{"sip:proxy.example.net;lr"}, "7", "sip:romeo@ua.example.net;line=7"
		})
		h.show("a", mapping.Available, nil)
		before := h.takeRequests()[0].Value.(*mapping.SIPNotify)
		h.restart()
		h.wantTold() // nothing new yet
		h.wantXMPP("probe romeo@example.net > juliet@example.com")
		h.show("a", mapping.Available, nil)
		sent := h.takeRequests()
		after := sent[0].Value.(*mapping.SIPNotify)
		if got := describeNotify(t, after); got != "c1 active 3600 ID-a=open" {
			t.Errorf("told %s", got)
		}
		if after.CSeq <= before.CSeq {
			t.Errorf("CSeq %d after %d", after.CSeq, before.CSeq)
		}
		after.CSeq, after.Body = before.CSeq, before.Body
		if fmt.Sprint(after.SIPEvent) != fmt.Sprint(before.SIPEvent) {
			t.Errorf("the dialog is %+v\nand was %+v", after.SIPEvent, before.SIPEvent)
		}
		h.outcome(sent[0].Ref, answer(200, nil))
		v := a.next
		v.CSeq, v.Expires = 1, 600
		a.wants(h.fromSIP(&v), 500) // the order of its requests is known, too
		a.wants(a.subscribe(600), 200)
		h.wantTold("c1 active 600 ID-a=open")
	})
}

// What was shown before the restart and is not true any more is taken back, when the user's
// server has had the time to say so, or has said so.
func TestRestartGone(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.grant()
		h.watcher("c1")
		h.show("a", mapping.Available, nil)
		h.answerAll(200)
		h.restart()
		h.wait(probeAnswer - time.Millisecond)
		h.wantTold()
		h.wait(time.Millisecond)
		h.wantTold("c1 active 3585 IDbare=closed")
	})
	inBubble(t, func(t *testing.T, h *harness) {
		h.grant()
		h.watcher("c1")
		h.show("a", mapping.Available, nil)
		h.answerAll(200)
		h.restart()
		h.presence(julietJID, romeoJID, mapping.Unavailable)
		h.wantTold("c1 active 3600 IDbare=closed")
		h.wait(time.Minute)
		h.wantTold()
	})
}

// A pending dialog waits for the user across a restart, and she is not asked twice.
func TestRestartPending(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		a := h.watcher("c1")
		h.restart()
		h.wantXMPP()
		h.wait(30 * time.Minute)
		a.wants(a.subscribe(3600), 200)
		h.wantTold("c1 pending 3600")
		h.wantXMPP()
		h.restart()
		h.grant()
		h.wantTold("c1 active 3600")
	})
}

// What has ended while the gateway was away is forgotten without a word.
func TestRestartExpired(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.watcher("c1")
		h.stop()
		time.Sleep(2 * time.Hour)
		h.start()
		h.wantTold()
		h.wantXMPP()
		if _, ds := h.book.kept(); len(ds) > 0 {
			t.Errorf("the book has %v", ds)
		}
		h.stanza(&mapping.XMPPReady{Name: mapping.MustParseJID("example.net")})
		h.wait(25 * time.Hour)
		h.wantEmpty()
	})
}

// A clock that was wrong keeps no dialog longer than an hour.
func TestRestartClock(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.watcher("c1")
		h.stop()
		h.book.mu.Lock()
		for key, d := range h.book.dialogs {
			d.Expires = d.Expires.AddDate(30, 0, 0)
			h.book.dialogs[key] = d
		}
		h.book.mu.Unlock()
		h.start()
		h.wait(time.Hour)
		h.wantTold("c1 terminated timeout")
	})
}

// After a restart users are asked how they are some at a time.
func TestRestartProbes(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		const users = 300
		for i := range users {
			user := fmt.Sprintf("u%d@example.com", i)
			h.presence(user, romeoJID, mapping.Subscribed)
			a := h.agent(fmt.Sprintf("c%d", i), func(v *mapping.SIPSubscribe) {
				v.RequestURI = mapping.MustParseURI("sip:" + user)
				v.From = mapping.MustParseURI(fmt.Sprintf("sip:romeo%d@example.net", i%10))
			})
			h.presence(user, fmt.Sprintf("romeo%d@example.net", i%10), mapping.Subscribed)
			a.wants(a.subscribe(3600), 200)
		}
		h.wait(time.Minute)
		h.answerAll(200)
		h.restart()
		first := len(h.takeStanzas())
		h.wait(time.Second)
		second := len(h.takeStanzas())
		h.wait(10 * time.Second)
		third := len(h.takeStanzas())
		if first != probeBurst || second != int(time.Second/probeEvery) || first+second+third != users {
			t.Errorf("%d, %d and %d probes", first, second, third)
		}
	})
}

// GW-08: after the loss of a link users are asked how they are, and what is not said again is
// over. Of those whom nobody watches nothing is remembered.
func TestWatchersLinkUp(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.grant()
		h.presence(julietJID, "tybalt@example.net", mapping.Subscribed)
		h.presence(julietJID+"/a", "tybalt@example.net", mapping.Available)
		h.watcher("c1")
		h.show("a", mapping.Available, nil)
		h.show("b", mapping.Available, nil)
		h.wait(5 * time.Second)
		h.answerAll(200)
		h.takeStanzas()
		h.stanza(&mapping.XMPPReady{Name: mapping.MustParseJID("example.net")})
		h.wantXMPP("probe romeo@example.net > juliet@example.com")
		if n := h.Tally().Devices; n != 2 {
			t.Errorf("%d devices are known", n)
		}
		h.show("a", mapping.Available, nil)
		h.wait(probeAnswer - time.Second)
		h.wantTold()
		h.wait(time.Second)
		h.wantTold("c1 active 3580 ID-a=open")
	})
	inBubble(t, func(t *testing.T, h *harness) { // nothing is said at all
		h.grant()
		h.watcher("c1")
		h.show("a", mapping.Available, nil)
		h.wantTold("c1 active 3600 ID-a=open")
		h.stanza(&mapping.XMPPReady{Name: mapping.MustParseJID("example.net")})
		h.wait(probeAnswer)
		h.wantTold("c1 active 3585 ID-a=closed")
	})
}

// A probe that has not left is no question that was not answered.
func TestProbeNotWritten(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.grant()
		h.watcher("c1")
		h.show("a", mapping.Available, nil)
		h.answerAll(200)
		h.stanza(&mapping.XMPPReady{Name: mapping.MustParseJID("example.net")})
		h.XMPPOutcomes([]mapping.Result{{Ref: h.takeStanzas()[0].Ref, Outcome: mapping.Outcome{Kind: mapping.NotWritten}}})
		h.wait(time.Minute)
		h.wantTold()
		h.stanza(&mapping.XMPPReady{Name: mapping.MustParseJID("example.net")})
		h.wantXMPP("probe romeo@example.net > juliet@example.com")
	})
}

// A dialog is read as it was written, and what is no dialog is none.
func TestWatcherRow(t *testing.T) {
	text := rapid.StringN(0, 12, 40)
	uri := rapid.Custom(func(t *rapid.T) mapping.URI {
		return mapping.URI{Scheme: "sip", User: text.Draw(t, "user"), Host: text.Draw(t, "host"), Port: rapid.Uint16().Draw(t, "port"),
			GR: text.Draw(t, "gr"), Phone: rapid.Bool().Draw(t, "phone"), Transport: text.Draw(t, "transport")}
	})
	rapid.Check(t, func(t *rapid.T) {
		w := &watcher{
			relation: &relation{pair: pair{mapping.MustParseJID(julietJID), mapping.MustParseJID(romeoJID)}},
			phase:    phase(rapid.IntRange(0, 1).Draw(t, "phase")),
			callID:   text.Draw(t, "callID"), local: "ur93", remote: text.Draw(t, "remote"), eventID: text.Draw(t, "id"),
			user: text.Draw(t, "u"), gr: text.Draw(t, "g"), peer: text.Draw(t, "peer"), literal: text.Draw(t, "literal"),
			us: uri.Draw(t, "us"), them: uri.Draw(t, "them"), target: uri.Draw(t, "target"),
			routes: rapid.SliceOfN(text, 0, 4).Draw(t, "routes"),
			theirs: rapid.Uint32().Draw(t, "theirs"), reserved: rapid.Uint32Range(0, 1<<31).Draw(t, "reserved"),
		}
		row := w.row()
		got, err := readWatcher(row)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.row(), row) || got.ours != w.reserved {
			t.Errorf("read %+v of %+v", got, w)
		}
		cut := rapid.IntRange(1, len(row)-1).Draw(t, "cut")
		if _, err := readWatcher(row[:cut]); err == nil {
			t.Errorf("%d of %d bytes are a dialog", cut, len(row))
		}
		if _, err := readWatcher(append(row, 0)); err == nil {
			t.Error("a dialog and more is a dialog")
		}
	})
}

// Whatever stands in the book, the engine starts, and forgets what it cannot read.
func FuzzRestoreWatcher(f *testing.F) {
	w := &watcher{relation: &relation{pair: pair{mapping.MustParseJID(julietJID), mapping.MustParseJID(romeoJID)}}, local: "ur93",
		us: mapping.MustParseURI("sip:" + julietJID), routes: []string{"sip:proxy.example.net;lr"}}
	f.Add("nur93", w.row())
	f.Add("n", []byte{'n'})
	f.Add("n", []byte{'n', watcherForm, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, key string, row []byte) {
		if len(row) == 0 || row[0] != dialogOfNotifier {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t)
			h.stop()
			h.book.PutDialogs([]Dialog{{Key: key, Data: row, Expires: time.Now().Add(time.Minute)}})
			h.start()
			if _, ds := h.book.kept(); len(ds) != h.Tally().Watchers {
				t.Errorf("%d dialogs are kept, and %d watchers know of one", len(ds), h.Tally().Watchers)
			}
			h.wait(time.Hour)
			h.answerAll(200)
			h.wantEmpty()
		})
	})
}
