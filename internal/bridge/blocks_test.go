package bridge

import (
	"fmt"
	"testing"

	"github.com/stoxgw/stox/mapping"
)

// blocksFake blocks what it lists, by "user sip", with "" for everybody.
type blocksFake map[string]bool

func (f blocksFake) Blocked(user mapping.JID, sip mapping.URI) bool {
	return f[user.String()+" "+sip.AOR()] || f.BlockedForAll(sip)
}
func (f blocksFake) BlockedForAll(sip mapping.URI) bool { return f[" "+sip.AOR()] }
func (f blocksFake) BlockedUser(user mapping.JID) bool  { return f[user.Bare().String()] }

// blocking has a bridge go by what is blocked.
func (b *Bridge) blocking(what ...string) {
	f := blocksFake{}
	for _, w := range what {
		f[w] = true
	}
	p := *b.policy.Load()
	p.Blocks = f
	p.Access = p.Access.Except(f.BlockedUser)
	p.Composing = ComposingAlways
	b.SetPolicy(p)
}

const (
	romeoAOR   = "sip:romeo@pbx.example.net"
	julietBare = "juliet@example.com"
	julietAOR  = "sip:juliet@example.com"
	fromBlocks = julietBare + " " + romeoAOR
)

// A contact that its recipient has blocked is answered as if there were no such user (SEC-13),
// and one that an admin has blocked as a sender is who may not send. Nobody else notices.
func TestBlockedContactWrites(t *testing.T) {
	state := func() *mapping.SIPMessage {
		m := fromSIP("s", romeoAOR, julietAOR, `<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing"><state>active</state></isComposing>`)
		m.ContentType = mapping.TypeComposing
		return m
	}
	for name, c := range map[string]struct {
		blocked  []string
		m        *mapping.SIPMessage
		status   int // 0: it goes on
		unwanted uint64
	}{
		"by the recipient":        {[]string{fromBlocks}, fromSIP("a", romeoAOR, julietAOR, "hi"), 480, 1},
		"who is typing":           {[]string{fromBlocks}, state(), 480, 1},
		"by somebody else":        {[]string{"nurse@example.com " + romeoAOR}, fromSIP("a", romeoAOR, julietAOR, "hi"), 0, 0},
		"another contact":         {[]string{fromBlocks}, fromSIP("a", "sip:paris@pbx.example.net", julietAOR, "hi"), 0, 0},
		"by an admin":             {[]string{" " + romeoAOR}, fromSIP("a", romeoAOR, julietAOR, "hi"), 403, 1},
		"by an admin and nothing": {[]string{" " + romeoAOR}, fromSIP("a", romeoAOR, julietAOR, ""), 403, 1},
		"the recipient is":        {[]string{julietBare}, fromSIP("a", romeoAOR, julietAOR, "hi"), 403, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b, s := newBridge(t)
			b.blocking(c.blocked...)
			b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: "tx", Value: c.m}})
			if c.status == 0 {
				if len(s.stanzas) != 1 || len(s.answers) != 0 {
					t.Errorf("%d stanzas, %v", len(s.stanzas), s.answers)
				}
				return
			}
			if len(s.stanzas) != 0 || len(s.answers) != 1 {
				t.Fatalf("%d stanzas, %d answers", len(s.stanzas), len(s.answers))
			}
			if got, f := s.answers[0].Outcome.Final(200); got != c.status || f == nil || b.Stats().Unwanted != c.unwanted {
				t.Errorf("answered %d %v; counted: %+v", got, f, b.Stats().Denied)
			}
		})
	}
}

// The answer to a blocked contact is that to one who writes to nobody.
func TestBlockedContactCannotTell(t *testing.T) {
	final := func(block bool) string {
		b, s := newBridge(t)
		m := fromSIP("a", romeoAOR, julietAOR, "hi")
		if block {
			b.blocking(fromBlocks)
		}
		b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: "tx", Value: m}})
		if !block { // as servers say it of users who do not exist
			b.XMPPOutcomes([]mapping.Result{{Ref: s.stanzas[0].Ref,
				Outcome: mapping.Outcome{Kind: mapping.Bounced, Failure: mapping.FailureFromStanza(mapping.CondServiceUnavailable, mapping.TypeCancel, "", "")}}})
		}
		status, f := s.answers[0].Outcome.Final(200)
		return fmt.Sprintf("%d %q %v %q %v", status, f.Reason, f.RetryAfter, f.Warning, f.Alternate)
	}
	if blocked, none := final(true), final(false); blocked != none {
		t.Errorf("blocked %s, nobody %s", blocked, none)
	}
}

// A notification of a blocked contact is answered and says nothing.
func TestBlockedContactNotifies(t *testing.T) {
	run(t, func(r *running) {
		r.with(IMDNAlways)
		m := fromXMPP("m", julietX, romeoX, "hi")
		m.WantReceipt = true
		sent := r.ask(m)
		if messageID(sent) == "" {
			t.Fatal("no notification is asked for")
		}
		r.answer(answered(200))
		r.blocking(fromBlocks)
		before := r.told()
		if status := r.notify(imdn(romeoAOR, messageID(sent), saysDelivered), mapping.Outcome{}); status != 200 || r.told() != before {
			t.Errorf("answered %d, %d stanzas more", status, r.told()-before)
		}
	})
}

// XEP-0191 §3.5: what a user sends to a contact that he has blocked is refused, and says why;
// so it is with what an admin has blocked, and with a user whom he has.
func TestWritesToABlockedContact(t *testing.T) {
	for name, c := range map[string]struct {
		blocked   []string
		condition mapping.Condition
		own       bool
	}{
		"his own":     {[]string{fromBlocks}, mapping.CondNotAcceptable, true},
		"an admin's":  {[]string{" " + romeoAOR}, mapping.CondNotAllowed, false},
		"both":        {[]string{" " + romeoAOR, fromBlocks}, mapping.CondNotAllowed, false},
		"the user is": {[]string{julietBare}, mapping.CondForbidden, false},
		"another one": {[]string{"nurse@example.com", "nurse@example.com " + romeoAOR}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			b, s := newBridge(t)
			b.blocking(c.blocked...)
			b.FromXMPP([]mapping.XMPP{
				&mapping.XMPPState{From: mapping.MustParseJID(julietX), To: mapping.MustParseJID(romeoX), ID: "s", State: mapping.StateComposing},
				fromXMPP("m", julietX, romeoX, "hi"),
			})
			if c.condition == "" {
				if len(s.requests) != 1 || len(s.stanzas) != 0 {
					t.Errorf("%d requests, %d stanzas", len(s.requests), len(s.stanzas))
				}
				return
			}
			if len(s.requests) != 0 || len(s.stanzas) != 1 {
				t.Fatalf("%d requests, %d stanzas", len(s.requests), len(s.stanzas))
			}
			f := s.stanzas[0].Value.(*mapping.XMPPError).Failure
			if f.Condition != c.condition || f.Blocked != c.own || f.Text == "" || b.Stats().Blocked != 1 {
				t.Errorf("%+v; counted: %+v", f, b.Stats().Denied)
			}
		})
	}
}

// Whom nothing may be sent is not asked either what it takes.
func TestNoQuestionToWhomNothingMayBeSent(t *testing.T) {
	for name, c := range map[string]struct {
		to   string
		mind func(b *Bridge)
		want int
	}{
		"anybody":           {romeoX, func(*Bridge) {}, 2}, // else the test shows nothing
		"blocked":           {romeoX, func(b *Bridge) { b.blocking(fromBlocks) }, 0},
		"not to be dialled": {"9005551234@sip.example.com", func(b *Bridge) { b.counted(nil, 0, "+1555") }, 0},
	} {
		b, s := newBridge(t)
		c.mind(b)
		m := fromXMPP("m", julietX, c.to, "hi")
		m.Subjects = []mapping.Text{{Lang: "fr", Value: "Bonjour"}, {Lang: "en", Value: "Hello"}}
		b.FromXMPP([]mapping.XMPP{m})
		if len(s.requests) != c.want {
			t.Errorf("%s: %d requests have left, want %d", name, len(s.requests), c.want)
		}
	}
}
