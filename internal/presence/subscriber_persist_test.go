package presence

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// PRES-07: a dialog outlives the process. It is refreshed soon, in the same dialog and with a
// higher CSeq, and tells then what it shows.
func TestRestart(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		d := h.watching("x open")
		for i := range 3 {
			h.restart()
			h.presence(juliet, romeo, mapping.Probe)
			h.wantXMPP() // nothing is known
			next := d.within(t, h.wantSubscribe(3600))
			if next.RemoteTarget != "sip:romeo@pres.example.net;gr=p1;line=7" || len(next.Routes) != 1 || next.Contact != d.Contact || next.RequestURI.GR != "p1" {
				t.Errorf("the way is %+v", next.SIPEvent)
			}
			if i == 0 { // what was known of theirs when it was written down
				v := next.notify("active;expires=3000", document("x open"))
				v.CSeq--
				h.wantStatus(500, v)
			}
			h.accept(next, 3600)
			h.wantStatus(200, next.notify("active;expires=3600", document("x open")))
			h.wantXMPP("available romeo@example.net/x > juliet@example.com")
			d = next
		}
		h.presence(juliet, romeo, mapping.Unsubscribe)
		h.restart()
		h.wait(time.Hour)
		h.wantNothingToSIP()
		h.wantXMPP()
		h.wantNothingLeft()
	})
}

// After a restart all that is left is taken up, spread over time; what has run out, or is
// nobody's, is begun anew or forgotten.
func TestRestartOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		const n = 600
		h.watchMany(n)
		h.stop()
		h.book.mu.Lock()
		i := 0
		for key, d := range h.book.dialogs {
			switch i++; i % 3 {
			case 0: // ran out
				s, ok := readSubscription(d.Data)
				if !ok {
					t.Fatal("the dialog cannot be read")
				}
				s.expires = time.Now().Add(-time.Second)
				d.Data, d.Expires = s.append(nil), s.expires
				h.book.dialogs[key] = d
			case 1: // the clock was ahead
				s, _ := readSubscription(d.Data)
				s.expires = time.Now().Add(1000 * time.Hour)
				d.Data, d.Expires = s.append(nil), s.expires
				h.book.dialogs[key] = d
			}
		}
		h.book.dialogs["junk"] = Dialog{Key: "junk", Data: []byte("s\x01junk")}
		h.book.mu.Unlock()
		h.start()
		begin := time.Now()
		var fresh, refreshed, most int
		for time.Since(begin) < 11*time.Minute {
			h.wait(time.Second)
			all := h.takeRequests()
			most = max(most, len(all))
			for _, p := range all {
				v := p.Value.(*mapping.SIPSubscribe)
				if v.ToTag == "" {
					fresh++
				} else {
					refreshed++
				}
				h.outcome(p.Ref, answer(200, &mapping.EventAnswer{Expires: 3600}))
				d := &asked{SIPSubscribe: v, tag: "ffd2", cseq: 1000}
				h.wantStatus(200, d.notify("active;expires=3600", document("x open")))
			}
		}
		if fresh != n/3 || refreshed != n-n/3 || most > paceAtOnce {
			t.Errorf("%d dialogs were begun and %d refreshed, up to %d in a second", fresh, refreshed, most)
		}
		if got := len(h.takeStanzas()); got != n {
			t.Errorf("%d stanzas, want one for each", got)
		}
		if _, ds := h.book.kept(); len(ds) != n {
			t.Errorf("%d dialogs are kept, want %d", len(ds), n)
		}
	})
}

// A user who does not watch any more has no dialog, whatever the book says of it.
func TestRestartWithoutRelation(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		d := h.watching("x open")
		h.stop()
		h.book.mu.Lock()
		clear(h.book.relations)
		h.book.mu.Unlock()
		h.start()
		h.wantStatus(481, d.notify("active;expires=3600", document("x open")))
		h.wait(time.Hour)
		h.wantNothingToSIP()
		h.wantNothingLeft()
	})
}

// Not every request is a write.
func TestFewWrites(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		d := h.watching("x open")
		before := h.book.writes
		for i := range 100 {
			h.wantStatus(200, d.notify(fmt.Sprintf("active;expires=%d", 3600-i), document("x open")))
			h.wait(time.Second)
		}
		if n := h.book.writes - before; n != 0 {
			t.Errorf("%d writes for 100 NOTIFYs that change nothing", n)
		}
	})
}

// What is written is read, and nothing else is.
func FuzzDialogOfSubscriber(f *testing.F) {
	s := &subscription{pair: pair{mapping.MustParseJID(juliet), mapping.MustParseJID(romeo)}, callID: "c", tag: "t", gr: "g",
		from: mapping.MustParseURI("sip:juliet@example.com"), to: mapping.MustParseURI("sip:romeo@example.net"), remoteTag: "r",
		remote: "sip:romeo@192.0.2.1;ob", routes: []string{"<sip:p;lr>"},
		peer: "p", reserved: 64, theirs: 7, asked: 3600, expires: time.Unix(1_900_000_000, 0)}
	f.Add(s.append(nil))
	f.Add([]byte("s\x01"))
	f.Add([]byte("s\x01" + strings.Repeat("\xff", 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := readSubscription(b)
		if !ok {
			return
		}
		again := s.append(nil)
		s2, ok := readSubscription(again)
		if !ok || !bytes.Equal(s2.append(nil), again) {
			t.Errorf("%q is read as %q", b, again)
		}
	})
}
