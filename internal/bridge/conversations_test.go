package bridge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stoxgw/stox/mapping"
)

var (
	juliet = mapping.MustParseJID("juliet@example.com/balcony")
	romeo  = mapping.MustParseJID("romeo@sip.example.com")
	then   = time.Unix(1_700_000_000, 0)
)

func newTalks() *conversations { return newConversations(newIDs([]byte("secret"), then)) }

// sentCallID has the bridge send a message and answers it.
func sentCallID(t *testing.T, b *Bridge, s *side, id, thread string) string {
	t.Helper()
	m := fromXMPP(id, "juliet@example.com/x", "romeo@sip.example.com", "hi")
	m.Thread = thread
	n := len(s.requests)
	b.FromXMPP([]mapping.XMPP{m})
	if len(s.requests) != n+1 {
		t.Fatalf("%d requests left, want one", len(s.requests)-n)
	}
	b.SIPOutcomes([]mapping.Result{{Ref: s.requests[n].Ref, Outcome: answered(200)}})
	return s.requests[n].Value.(*mapping.SIPMessage).CallID
}

// IM-04, IM-06, IM-12: a thread that cannot be a Call-ID has one that stands for it, and
// comes back in the answer; every other one is the Call-ID itself.
func TestThreadComesBack(t *testing.T) {
	b, s := newBridge(t)
	legal := sentCallID(t, b, s, "a", "29377446-0CBB-4296-8958-590D79094C50")
	if legal != "29377446-0CBB-4296-8958-590D79094C50" {
		t.Errorf("a legal thread became %q", legal)
	}
	first := sentCallID(t, b, s, "b", "my thread; é")
	if again := sentCallID(t, b, s, "c", "my thread; é"); again != first || !mapping.ValidCallID(first) {
		t.Errorf("the same thread became %q and %q", first, again)
	}
	if other := sentCallID(t, b, s, "d", "my thread; e"); other == first {
		t.Error("two threads have one Call-ID")
	}
	for i, c := range []struct{ from, to, callID, want string }{
		{"sip:romeo@pbx.example.net", "sip:juliet@example.com", first, "my thread; é"},
		{"sip:romeo@pbx.example.net", "sip:juliet@example.com;gr=x", first, "my thread; é"},
		{"sip:romeo@pbx.example.net", "sip:juliet@example.com", legal, legal},
		{"sip:romeo@pbx.example.net", "sip:juliet@example.com", "fresh", "fresh"},
		{"sip:tybalt@pbx.example.net", "sip:juliet@example.com", first, first}, // none of his business
		{"sip:romeo@pbx.example.net", "sip:nurse@example.com", first, first},
	} {
		n := len(s.stanzas)
		m := fromSIP(c.callID, c.from, c.to, "hello")
		m.CSeq += uint32(i)
		b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: c, Value: m}})
		if got := s.stanzas[n].Value.(*mapping.XMPPMessage).Thread; got != c.want {
			t.Errorf("%s to %s, Call-ID %s: thread %q, want %q", c.from, c.to, c.callID, got, c.want)
		}
	}
}

// Without a thread every message has a Call-ID of its own: there are user agents that take
// the second one with the same for a repeat.
func TestCallIDWithoutThread(t *testing.T) {
	b, s := newBridge(t)
	seen := make(map[string]bool)
	for i := range 5 {
		id := sentCallID(t, b, s, fmt.Sprint(i), "")
		if seen[id] || !mapping.ValidCallID(id) {
			t.Errorf("message %d has the Call-ID %q", i, id)
		}
		seen[id] = true
	}
	if len(b.talks.young) != 0 {
		t.Error("something is remembered of messages that need nothing remembered")
	}
}

// The Call-ID that stands for a thread is the same after a restart.
func TestThreadAfterRestart(t *testing.T) {
	for _, name := range []string{"my thread", strings.Repeat("long ", 1000)} {
		if newTalks().callID(juliet, romeo, name, false, then) != newTalks().callID(juliet, romeo, name, false, then.Add(time.Hour)) {
			t.Errorf("%.20q has two Call-IDs", name)
		}
	}
}

// ADDR-19: only a resource that a GRUU has named is put into a SIP address, and only for
// the user whom that device has written to.
func TestDeviceThatWrote(t *testing.T) {
	b, s := newBridge(t)
	uri := func(from, to string) string {
		t.Helper()
		n := len(s.requests)
		b.FromXMPP([]mapping.XMPP{fromXMPP("a", from, to, "hi")})
		b.SIPOutcomes([]mapping.Result{{Ref: s.requests[n].Ref, Outcome: answered(200)}})
		return s.requests[n].Value.(*mapping.SIPMessage).RequestURI.String()
	}
	if got := uri("juliet@example.com/x", "romeo@sip.example.com/desk"); got != "sip:romeo@pbx.example.net" {
		t.Errorf("a resource of nobody's became %s", got)
	}
	b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 1, Value: fromSIP("c1", "sip:romeo@pbx.example.net;gr=desk", "sip:juliet@example.com", "hello")}})
	if got := s.stanzas[0].Value.(*mapping.XMPPMessage).From.String(); got != "romeo@sip.example.com/desk" {
		t.Fatalf("it came from %s", got)
	}
	for _, c := range [][3]string{
		{"juliet@example.com/x", "romeo@sip.example.com/desk", "sip:romeo@pbx.example.net;gr=desk"},
		{"juliet@example.com/x", "romeo@sip.example.com/other", "sip:romeo@pbx.example.net"},
		{"juliet@example.com/x", "romeo@sip.example.com", "sip:romeo@pbx.example.net"},
		{"nurse@example.com/x", "romeo@sip.example.com/desk", "sip:romeo@pbx.example.net"},
	} {
		if got := uri(c[0], c[1]); got != c[2] {
			t.Errorf("%s to %s: %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

// XEP-0172: a nick is told with the first message that arrives, and again when it changes.
func TestNickOnce(t *testing.T) {
	b, s := newBridge(t)
	n := 0
	nick := func(name string, o mapping.Outcome) string {
		t.Helper()
		m := fromSIP(fmt.Sprint("c", n), "sip:romeo@pbx.example.net", "sip:juliet@example.com", "hello")
		m.Name = name
		b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: n, Value: m}})
		got := s.stanzas[n].Value.(*mapping.XMPPMessage).Nick
		b.XMPPOutcomes([]mapping.Result{{Ref: s.stanzas[n].Ref, Outcome: o}})
		n++
		return got
	}
	arrived := mapping.Outcome{Kind: mapping.Processed}
	for i, c := range []struct {
		name string
		o    mapping.Outcome
		want string
	}{
		{"Romeo M.", mapping.Outcome{Kind: mapping.NotWritten}, "Romeo M."},
		{"Romeo M.", arrived, "Romeo M."},
		{"Romeo M.", arrived, ""},
		{"", arrived, ""},
		{"Montague", arrived, "Montague"},
		{"Montague", arrived, ""},
	} {
		if got := nick(c.name, c.o); got != c.want {
			t.Errorf("message %d: nick %q, want %q", i, got, c.want)
		}
	}
}

// What is remembered is bounded, for each user and in all, and nobody takes another
// user's room.
func TestConversationsAreBounded(t *testing.T) {
	c := newTalks()
	mine := c.callID(juliet, romeo, "my thread", false, then)
	for i := range 3 * maxTalks {
		c.callID(mapping.MustParseJID("tybalt@example.com/x"), mapping.MustParseJID(fmt.Sprintf("u%d@sip.example.com", i)), "my thread", false, then)
	}
	if n := len(c.young[mapping.MustParseJID("tybalt@example.com")].list); n != maxTalks {
		t.Errorf("one user has %d conversations", n)
	}
	m := &mapping.XMPPMessage{From: romeo, To: juliet, Thread: mine}
	if c.incoming(m, then); m.Thread != "my thread" {
		t.Errorf("another user's conversations made us forget: %q", m.Thread)
	}
	for i := range 3 * maxThreads {
		c.callID(juliet, romeo, fmt.Sprint("thread ", i), i%2 == 0, then)
		c.incoming(&mapping.XMPPMessage{From: mapping.MustParseJID(fmt.Sprint("romeo@sip.example.com/", i)), To: juliet}, then)
	}
	c.callID(juliet, romeo, strings.Repeat("x ", maxThreadLen), false, then)
	if of := c.find(juliet.Bare(), romeo, then); len(of.threads) != maxThreads || len(of.devices) != maxDevices {
		t.Errorf("%d threads, %d devices", len(of.threads), len(of.devices))
	}
	for i := range 3 * maxAllTalks {
		c.callID(mapping.MustParseJID(fmt.Sprintf("u%d@example.com/x", i)), romeo, "my thread", false, then)
	}
	if n := len(c.young) + len(c.old); n > 2*maxAllTalks {
		t.Errorf("%d users are remembered", n)
	}
	if c.find(juliet.Bare(), romeo, then.Add(2*talkFor)); len(c.young)+len(c.old) != 0 {
		t.Errorf("%d users are remembered after two days without a word", len(c.young)+len(c.old))
	}
}

// The counters and generations hold together whatever comes in which order, and what was
// said within a day is not forgotten as long as there is room.
func TestConversationsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newTalks()
		at := then
		type pair struct{ user, contact mapping.JID }
		said := make(map[pair]time.Time)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(0, int(talkFor/time.Second)/2).Draw(t, "seconds")) * time.Second)
			p := pair{mapping.MustParseJID(rapid.SampledFrom([]string{"a@example.com", "b@example.com"}).Draw(t, "user")),
				mapping.MustParseJID(rapid.SampledFrom([]string{"x@sip.example.com", "y@sip.example.com"}).Draw(t, "contact"))}
			id := c.callID(p.user, p.contact, "a thread", false, at)
			m := &mapping.XMPPMessage{From: p.contact, To: p.user, Thread: id}
			for q, last := range said {
				if at.Sub(last) >= talkFor {
					continue
				}
				n := &mapping.XMPPMessage{From: q.contact, To: q.user, Thread: c.threadID(q.user, q.contact, "a thread")}
				if c.incoming(n, at); n.Thread != "a thread" {
					t.Fatalf("%v was forgotten after %v", q, at.Sub(last))
				}
				said[q] = at
			}
			if c.incoming(m, at); m.Thread != "a thread" {
				t.Fatalf("thread %q", m.Thread)
			}
			said[p] = at
			n := 0
			for user, of := range c.young {
				n += len(of.list)
				if c.old[user] != nil {
					t.Fatalf("%v is in both generations", user)
				}
			}
			if n != c.n {
				t.Fatalf("%d conversations are counted as %d", n, c.n)
			}
		}
	})
}
