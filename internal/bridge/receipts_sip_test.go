package bridge

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

const (
	askAll  = "positive-delivery, negative-delivery, display"
	romeoAt = "sip:romeo@pbx.example.net"
)

// wanting is a request whose sender wants to be notified.
func wanting(callID, wants string) *mapping.SIPMessage {
	m := fromSIP(callID, romeoAt, "sip:juliet@example.com", "")
	m.ContentType = mapping.TypeCPIM
	m.Body = []byte("From: <im:mallory@example.org>\r\nTo: <im:eve@example.org>\r\nDateTime: 2026-01-15T10:00:00Z\r\nNS: imdn <urn:ietf:params:imdn>\r\n" +
		"imdn.Message-ID: id-" + callID + "\r\nimdn.Disposition-Notification: " + wants + "\r\n\r\nContent-Type: text/plain\r\n\r\nsecret text")
	return m
}

// deliver has a request delivered, with that outcome, and returns its stanza.
func (r *running) deliver(m *mapping.SIPMessage, o mapping.Outcome) *mapping.XMPPMessage {
	x := r.arrive(m)
	r.outcome(o)
	return x
}

// arrive has a request become a stanza.
func (r *running) arrive(m *mapping.SIPMessage) *mapping.XMPPMessage {
	r.t.Helper()
	r.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: m.CallID, Value: m}})
	r.settle()
	x, ok := r.stanza().(*mapping.XMPPMessage)
	if !ok {
		r.t.Fatalf("the last stanza is a %T", r.stanza())
	}
	return x
}

// stanza is the stanza that was written last, nil if none.
func (r *running) stanza() mapping.XMPP {
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	if len(r.stanzas) == 0 {
		return nil
	}
	return r.stanzas[len(r.stanzas)-1].Value
}

// outcome gives the stanza that was written last its outcome.
func (r *running) outcome(o mapping.Outcome) {
	r.side.mu.Lock()
	ref := r.stanzas[len(r.stanzas)-1].Ref
	r.side.mu.Unlock()
	r.XMPPOutcomes([]mapping.Result{{Ref: ref, Outcome: o}})
	r.settle()
}

// receipt hands over a receipt, or a marker.
func (r *running) receipt(from, to, about string, read bool) {
	r.FromXMPP([]mapping.XMPP{&mapping.XMPPReceipt{From: mapping.MustParseJID(from), To: mapping.MustParseJID(to), ID: "r", About: about, Read: read}})
	r.settle()
}

// notified are the notifications that have left, as "message-id status", and checks what
// all of them have in common.
func (r *running) notified() string {
	r.t.Helper()
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	var all []string
	for _, p := range r.requests {
		m, ok := p.Value.(*mapping.SIPMessage)
		if !ok || !strings.Contains(string(m.Body), "<imdn ") {
			continue
		}
		body := string(m.Body)
		between := func(a, b string) string {
			_, s, _ := strings.Cut(body, a)
			s, _, _ = strings.Cut(s, b)
			return s
		}
		if m.ContentType != mapping.TypeCPIM || m.RequestURI.String() != romeoAt || m.To.String() != romeoAt || m.From.User != "juliet" || m.CallID == "" || m.FromTag == "" || m.CSeq == 0 {
			r.t.Errorf("notification %+v", m)
		}
		if strings.Contains(body, "Disposition-Notification") || between("<datetime>", "</") != "2026-01-15T10:00:00Z" || strings.Contains(body, "example.org") {
			r.t.Errorf("notification %s", body)
		}
		all = append(all, between("<message-id>", "</")+" "+between("<status><", "/>")+" "+m.From.GR)
	}
	return strings.Join(all, ", ")
}

// restart has the bridge crash: another one finds what is on the disk. What the first one
// goes on doing reaches nobody.
func (r *running) restart() {
	b, s := newBridge(r.t)
	b.SetPolicy(*r.policy.Load())
	r.disk.mu.Lock()
	s.journal.disk, s.journal.trail, s.journal.seen = maps.Clone(r.disk.disk), slices.Clone(r.disk.trail), slices.Clone(r.disk.seen)
	r.disk.mu.Unlock()
	for _, row := range s.journal.rows() {
		if err := b.Restore(row); err != nil {
			r.t.Fatal(err)
		}
	}
	b.RestoreSeen(s.journal.seen)
	start(r.t, b)
	r.Bridge, r.side, r.disk = b, s, s.journal
	r.settle()
}

const (
	julietX = "juliet@example.com/x"
	romeoX  = "romeo@sip.example.com"
)

// IM-40, IM-41, IM-42, IM-48: what was asked for is asked of XMPP, and told once.
func TestReceiptBecomesNotification(t *testing.T) {
	for wants, c := range map[string]struct {
		asks string // in the stanza
		told string
	}{
		askAll:              {"receipt marker", "id-c1 delivered x, id-c1 displayed x"},
		"positive-delivery": {"receipt", "id-c1 delivered x"},
		"display":           {"marker", "id-c1 displayed x"},
		"negative-delivery": {"", ""},
		"processing":        {"", ""},
	} {
		run(t, func(r *running) {
			x := r.deliver(wanting("c1", wants), processed)
			var asks []string
			if x.WantReceipt {
				asks = append(asks, "receipt")
			}
			if x.Markable {
				asks = append(asks, "marker")
			}
			if got := strings.Join(asks, " "); got != c.asks {
				t.Errorf("%s: the stanza asks for %q, want %q", wants, got, c.asks)
			}
			for range 2 {
				r.receipt(julietX, romeoX, x.ID, false)
				r.receipt("juliet@example.com/phone", romeoX, x.ID, false)
				r.receipt(julietX, romeoX, x.ID, true)
			}
			for r.lanes.open > 0 { // one at a time (RFC 3428 §8)
				r.answer(answered(200))
			}
			if got := r.notified(); got != c.told {
				t.Errorf("%s: told %q, want %q", wants, got, c.told)
			}
			if r.told() != 1 {
				t.Errorf("%d stanzas, want the message alone", r.told())
			}
		})
	}
}

// SEC-22: a receipt counts from whom the message was for, to whom it came from, and for that
// message.
func TestReceiptsOfOthers(t *testing.T) {
	for name, c := range map[string]struct{ from, to, id string }{
		"another user":       {"nurse@example.com/x", romeoX, ""},
		"another contact":    {julietX, "tybalt@sip.example.com", ""},
		"a stranger":         {"juliet@evil.example/x", romeoX, ""},
		"the server":         {"example.com", romeoX, ""},
		"another message":    {julietX, romeoX, stanzaID(testKey(1))},
		"an id of no stanza": {julietX, romeoX, "m1"},
	} {
		run(t, func(r *running) {
			x := r.deliver(wanting("c1", askAll), processed)
			id := c.id
			if id == "" {
				id = x.ID
			}
			r.receipt(c.from, c.to, id, false)
			r.receipt(c.from, c.to, id, true)
			if r.sent() != 0 || r.told() != 1 {
				t.Errorf("%s: %d requests and %d stanzas followed", name, r.sent(), r.told()-1)
			}
			r.receipt("juliet@example.com", romeoX+"/device", x.ID, false)
			if got := r.notified(); got != "id-c1 delivered " {
				t.Errorf("%s: and then that of the bare address: %q", name, got)
			}
		})
	}
}

// RFC 5438 §7.2.1: nothing is notified before a 2xx, and nothing after another answer.
func TestNoNotificationWithoutA2xx(t *testing.T) {
	for _, c := range []struct {
		name    string
		outcome mapping.Outcome
		want    string
	}{
		{"processed", processed, "id-c1 delivered x, id-c1 displayed x"},
		{"unknown", mapping.Outcome{Kind: mapping.Unknown}, "id-c1 delivered x, id-c1 displayed x"},
		{"bounced", mapping.Outcome{Kind: mapping.Bounced, Failure: mapping.FailForbidden()}, ""},
		{"not written", mapping.Outcome{Kind: mapping.NotWritten}, ""},
		{"uncertain", mapping.Outcome{Kind: mapping.Uncertain}, ""},
	} {
		run(t, func(r *running) {
			x := r.arrive(wanting("c1", askAll))
			for range 3 {
				r.receipt(julietX, romeoX, x.ID, false)
				r.receipt(julietX, romeoX, x.ID, true)
				r.receipt("nurse@example.com/x", romeoX, x.ID, true)
			}
			if r.sent() != 0 {
				t.Errorf("%s: notified before the answer", c.name)
			}
			r.outcome(c.outcome)
			if r.lanes.open > 0 {
				r.answer(answered(200))
			}
			r.receipt(julietX, romeoX, x.ID, false)
			if got := r.notified(); got != c.want {
				t.Errorf("%s: told %q, want %q", c.name, got, c.want)
			}
		})
	}
}

// IM-47, IM-48, IM-61: an error that comes late is notified of half a minute later, if that
// was asked for and nothing else was told; and then nothing else is told.
func TestLateErrorByNotification(t *testing.T) {
	for name, c := range map[string]struct {
		wants  string
		before func(r *running, x *mapping.XMPPMessage)
		bounce func(e *mapping.XMPPError)
		after  func(r *running, x *mapping.XMPPMessage)
		want   string
	}{
		"asked for":          {wants: askAll, want: "id-c1 error "},
		"not asked for":      {wants: "positive-delivery, display"},
		"by the server":      {wants: askAll, bounce: func(e *mapping.XMPPError) { e.From = e.From.DomainJID() }, want: "id-c1 error "},
		"by a device":        {wants: askAll, bounce: func(e *mapping.XMPPError) { e.From = mapping.MustParseJID(julietX) }, want: "id-c1 error "},
		"by another user":    {wants: askAll, bounce: func(e *mapping.XMPPError) { e.From = mapping.MustParseJID("nurse@example.com") }},
		"to another contact": {wants: askAll, bounce: func(e *mapping.XMPPError) { e.To = mapping.MustParseJID("tybalt@sip.example.com") }},
		"received before":    {wants: askAll, before: func(r *running, x *mapping.XMPPMessage) { r.receipt(julietX, romeoX, x.ID, false) }, want: "id-c1 delivered x"},
		"received after":     {wants: askAll, after: func(r *running, x *mapping.XMPPMessage) { r.receipt(julietX, romeoX, x.ID, false) }, want: "id-c1 delivered x"},
		"read after, which nobody wants to know": {wants: "negative-delivery",
			after: func(r *running, x *mapping.XMPPMessage) { r.receipt(julietX, romeoX, x.ID, true) }},
		"received after by somebody else": {wants: askAll,
			after: func(r *running, x *mapping.XMPPMessage) { r.receipt("nurse@example.com/x", romeoX, x.ID, false) }, want: "id-c1 error "},
		"after a restart": {wants: askAll, before: func(r *running, _ *mapping.XMPPMessage) { r.restart() }, want: "id-c1 error "},
		"received before a restart": {wants: askAll, before: func(r *running, x *mapping.XMPPMessage) {
			r.receipt(julietX, romeoX, x.ID, false)
			r.restart()
		}},
	} {
		run(t, func(r *running) {
			p := *r.policy.Load()
			p.Late = LateIMDN
			r.SetPolicy(p)
			x := r.deliver(wanting("c1", c.wants), processed)
			if c.before != nil {
				c.before(r, x)
			}
			e := bounce(x)
			if c.bounce != nil {
				c.bounce(e)
			}
			r.FromXMPP([]mapping.XMPP{e, e})
			r.settle()
			time.Sleep(receiptTime - time.Second)
			if strings.Contains(r.notified(), "error") {
				t.Errorf("%s: told before a receipt could come", name)
			}
			if c.after != nil {
				c.after(r, x)
			}
			time.Sleep(time.Second)
			r.settle()
			if r.lanes.open > 0 {
				r.answer(answered(200))
			}
			if got := r.notified(); got != c.want {
				t.Errorf("%s: told %q, want %q", name, got, c.want)
			}
			if strings.Contains(c.want, "error") {
				r.receipt(julietX, romeoX, x.ID, false)
				r.receipt(julietX, romeoX, x.ID, true)
				if got := r.notified(); got != c.want {
					t.Errorf("%s: and then %q", name, got)
				}
			}
		})
	}
}

// IM-48: what a message wants, and what was told of it, outlives the process in the trail.
func TestReceiptsAfterARestart(t *testing.T) {
	run(t, func(r *running) {
		m := wanting("c1", askAll)
		m.From.GR = "dev"
		m.Body = []byte(strings.Replace(string(m.Body), "\r\n\r\n", "\r\nimdn.Original-To: <im:team@example.com>\r\nimdn.IMDN-Record-Route: <sip:agent@elsewhere.example>\r\n\r\n", 1))
		x := r.deliver(m, processed)
		r.receipt(julietX, romeoX, x.ID, false)
		_, first := r.last(1)
		r.answer(answered(200))
		for _, e := range r.disk.trail {
			if strings.Contains(e.Detail, "secret") || len(e.Detail) > maxDetail {
				t.Errorf("trail: %s", e.Detail)
			}
		}
		r.restart()
		r.receipt(julietX, romeoX, x.ID, false)
		r.receipt("nurse@example.com/x", romeoX, x.ID, true)
		if r.sent() != 0 {
			t.Fatalf("told twice, or on the word of somebody else: %d", r.sent())
		}
		r.receipt(julietX, romeoX, x.ID, true)
		_, second := r.last(1)
		if first.RequestURI != second.RequestURI || first.RequestURI.GR != "dev" || first.From != second.From {
			t.Errorf("%s from %s, and after the restart %s from %s", first.RequestURI, first.From, second.RequestURI, second.From)
		}
		for _, m := range []*mapping.SIPMessage{first, second} {
			for _, part := range []string{"<original-recipient-uri>im:team@example.com<", "imdn.IMDN-Route: <sip:agent@elsewhere.example>\r\n", "<message-id>id-c1<"} {
				if !strings.Contains(string(m.Body), part) {
					t.Errorf("no %s in %s", part, m.Body)
				}
			}
		}
	})
}

// IM-41: what is not in memory any more is found in the trail; what is in neither is met
// with silence, also where the trail cannot be read.
func TestReceiptsBeyondMemory(t *testing.T) {
	run(t, func(r *running) {
		x := r.deliver(wanting("c1", askAll), processed)
		plain := r.deliver(fromSIP("c2", romeoAt, "sip:juliet@example.com", "hi"), processed)
		r.Bridge.mu.Lock()
		r.receipts = receipts{}
		r.Bridge.mu.Unlock()
		r.receipt(julietX, romeoX, plain.ID, false)
		r.receipt(julietX, romeoX, stanzaID(testKey(7)), false)
		if r.sent() != 0 {
			t.Errorf("%d requests for messages that want nothing", r.sent())
		}
		r.receipt(julietX, romeoX, x.ID, false)
		if got := r.notified(); got != "id-c1 delivered x" {
			t.Errorf("told %q", got)
		}
		r.disk.mu.Lock()
		r.disk.trail = nil
		r.disk.mu.Unlock()
		r.Bridge.mu.Lock()
		r.receipts = receipts{}
		r.Bridge.mu.Unlock()
		r.receipt(julietX, romeoX, x.ID, true)
		if got := r.notified(); got != "id-c1 delivered x" {
			t.Errorf("and without a trail %q", got)
		}
	})
}

// One notification waits behind the messages of its user, is sent once, and is nobody's
// error.
func TestNotificationsAreNotInTheWay(t *testing.T) {
	for _, o := range []mapping.Outcome{answered(404), answered(415), answered(503), timeout(), {Kind: mapping.NotWritten, Failure: mapping.FailUnreachable()}} {
		run(t, func(r *running) {
			var ids []string
			for i := range 5 {
				ids = append(ids, r.deliver(wanting(fmt.Sprint("c", i), askAll), processed).ID)
			}
			r.text("a", julietX)
			r.text("b", julietX)
			for _, id := range ids { // FIFO is 2: a message keeps its room
				r.receipt(julietX, romeoX, id, false)
			}
			r.text("c", julietX)
			if got := r.errors(); got != "" {
				t.Errorf("refused: %s", got)
			}
			r.answer(answered(200))
			for range 5 {
				ref, m := r.last(r.sent())
				if strings.Contains(string(m.Body), "<imdn") {
					r.SIPOutcomes([]mapping.Result{{Ref: ref, Outcome: o}})
				} else {
					r.SIPOutcomes([]mapping.Result{{Ref: ref, Outcome: answered(200)}})
				}
				r.settle()
				if r.lanes.open == 0 {
					break
				}
			}
			if got := r.errors(); got != "" || r.lanes.open+r.lanes.waiting != 0 {
				t.Errorf("%v: told %q, %d open, %d waiting", o, got, r.lanes.open, r.lanes.waiting)
			}
			time.Sleep(time.Hour)
			r.settle()
			if n := strings.Count(r.notified(), "delivered"); n > 1 {
				t.Errorf("%v: %d notifications left", o, n)
			}
		})
	}
}

// Linphone answers 488 to a message/cpim with im: URIs: a notification goes to it once more,
// bare, and that is all.
func TestNotificationRefusedWith488(t *testing.T) {
	for _, second := range []mapping.Outcome{answered(200), answered(488), timeout()} {
		run(t, func(r *running) {
			x := r.deliver(wanting("c1", askAll), processed)
			r.receipt(julietX, romeoX, x.ID, false)
			_, first := r.last(1)
			r.answer(answered(488))
			_, bare := r.last(2)
			if bare.ContentType != mapping.TypeIMDN || !strings.HasPrefix(string(bare.Body), "<?xml") || !strings.HasSuffix(string(first.Body), string(bare.Body)) || bare.CSeq != first.CSeq+1 {
				t.Errorf("sent again as %s, CSeq %d after %d: %s", bare.ContentType, bare.CSeq, first.CSeq, bare.Body)
			}
			r.answer(second)
			time.Sleep(time.Hour)
			r.settle()
			if r.sent() != 2 || r.errors() != "" || r.lanes.open+r.lanes.waiting != 0 {
				t.Errorf("%v: %d requests, told %q, %d open, %d waiting", second, r.sent(), r.errors(), r.lanes.open, r.lanes.waiting)
			}
		})
	}
}

// What is remembered is bounded, and what was put last is there.
func TestRecentIsBounded(t *testing.T) {
	var r recent[int, string]
	now := time.Unix(1_700_000_000, 0)
	const n, size = 100, recentBytes / 20
	for i := range n {
		r.put(i, fmt.Sprint(i), size, now)
		if v, ok := r.get(max(i-20, 0)); !ok || v != fmt.Sprint(max(i-20, 0)) {
			t.Fatalf("%d is there when %d was put: %q, %t", max(i-20, 0), i, v, ok)
		}
		if len(r.young)+len(r.old) > 42 {
			t.Fatalf("%d and %d are remembered", len(r.young), len(r.old))
		}
	}
	r.put(n-1, "again", size, now)
	if v, _ := r.get(n - 1); v != "again" {
		t.Errorf("put anew, it is still %q", v)
	}
	r.drop(n - 1)
	if v, ok := r.get(n - 1); ok {
		t.Errorf("dropped, it is %q", v)
	}
	r.put(n, "a", 1, now.Add(recentFor))
	if _, ok := r.get(n - 2); !ok {
		t.Error("forgotten after a day")
	}
	r.put(n+1, "b", 1, now.Add(2*recentFor))
	if _, ok := r.get(n - 2); ok || len(r.old) != 1 {
		t.Error("remembered after two days")
	}
	r.put(n+2, "c", 1, now.Add(5*recentFor))
	if len(r.old) != 0 || len(r.young) != 1 {
		t.Error("remembered after three days of silence")
	}
}

// IM-40: what could not be remembered is not asked for.
func TestUnkeepableIsNotAskedFor(t *testing.T) {
	for name, change := range map[string]func(m *mapping.SIPMessage){
		"sender": func(m *mapping.SIPMessage) { m.From.User = strings.Repeat("r", maxAddress) },
		"device": func(m *mapping.SIPMessage) { m.From.GR = strings.Repeat("r", maxDeviceLen+1) },
	} {
		run(t, func(r *running) {
			m := wanting("c1", askAll)
			change(m)
			if x := r.arrive(m); x.WantReceipt || x.Markable || len(r.receipts.fromSIP.young) != 0 {
				t.Errorf("a long %s: a receipt is asked for that nobody will know what to do with", name)
			}
		})
	}
}

// Who wants to be notified is remembered for a day, the message with which he has said so is
// not: its Call-ID is cut from it.
func TestAskedKeepsNoMessage(t *testing.T) {
	const n, size = 64, 256 << 10
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	b := &Bridge{}
	for i := range n {
		head := strings.Repeat(" ", size) + "c1@192.0.2.10"
		b.remind(&work{now: then}, &incoming{key: stanzaKey{byte(i)}, callID: head[size:], asks: &mapping.IMDNRequest{}})
	}
	if kept := heap() - before; kept > n*size/4 {
		t.Errorf("%d messages keep %d bytes", n, kept)
	}
	for i := range n {
		if a, ok := b.receipts.fromSIP.get(stanzaKey{byte(i)}); !ok || a.callID != "c1@192.0.2.10" {
			t.Fatalf("%d: %+v", i, a)
		}
	}
}
