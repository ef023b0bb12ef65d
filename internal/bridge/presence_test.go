package bridge

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stoxgw/stox/mapping"
)

// GW-22, GW-23, GW-30, SEC-13: what each presence stanza is answered with, one after the
// other.
func TestPresencePolicy(t *testing.T) {
	const (
		j, d    = "juliet@example.com", "juliet@example.com/b"
		gw      = "sip.example.com"
		romeo   = "romeo@sip.example.com"
		welcome = gw + ">" + j + " HELP"
	)
	type step struct {
		typ      mapping.PresenceType
		from, to string
		want     []string
	}
	said := func(s ...string) []string { return s }
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"what is said to a contact is handed on", []step{
			{mapping.Subscribe, j, romeo, said("on: " + j + ">" + romeo + " subscribe")},
			{mapping.Available, d, romeo, said("on: " + d + ">" + romeo)},
			{mapping.Probe, d, romeo, said("on: " + d + ">" + romeo + " probe")},
			{mapping.Subscribed, d, romeo + "/phone", said("on: " + d + ">" + romeo + "/phone subscribed")},
			{mapping.Subscribe, j, `romeo\40@sip.example.com`, said("on: " + j + `>romeo\40@sip.example.com subscribe`)},
		}},
		{"the gateway is added, and removed", []step{
			{mapping.Subscribe, j, gw, said(gw+">"+j+" subscribed", gw+">"+j, welcome)},
			{mapping.Subscribe, j, gw, said(gw+">"+j+" subscribed", gw+">"+j)},
			{mapping.Unsubscribe, j, gw, said(gw + ">" + j + " unsubscribed")},
			{mapping.Unsubscribe, j, gw, nil},
			{mapping.Unsubscribed, j, gw, nil},
			{mapping.Subscribed, j, gw, nil},
			{mapping.Subscribe, j, gw, said(gw+">"+j+" subscribed", gw+">"+j)},
		}},
		{"a session", []step{
			{mapping.Available, d, gw, said(gw + ">" + d)},
			{mapping.Available, d, gw, nil},
			{mapping.Available, j + "/c", gw, said(gw + ">" + j + "/c")},
			{mapping.Unavailable, d, gw, said(gw + ">" + d + " unavailable")},
			{mapping.Unavailable, d, gw, nil},
			{mapping.Available, d, gw, said(gw + ">" + d)},
			{mapping.Available, d, "lab.example.com", said("lab.example.com>" + d)},
		}},
		{"another gateway cannot go round in circles with us", []step{
			{mapping.Available, "gw.example.com", gw, nil},
			{mapping.Available, "gw.example.com/x", gw, nil},
			{mapping.Unavailable, "gw.example.com", gw, nil},
			{mapping.Probe, "gw.example.com", gw, nil},
			{mapping.Available, "peer@example.com", gw, nil},
			{mapping.Unavailable, "peer@example.com", gw, nil},
			{mapping.Subscribe, "example.com", romeo, said(romeo + ">example.com error/forbidden#p")},
		}},
		{"a stranger", []step{
			{mapping.Subscribe, "eve@evil.example", romeo, said(romeo + ">eve@evil.example error/forbidden#p")},
			{mapping.Subscribe, "eve@evil.example", `romeo\40@sip.example.com`, said(`romeo\40@sip.example.com>eve@evil.example error/forbidden#p`)},
			{mapping.Subscribe, "eve@evil.example", gw, said(gw + ">eve@evil.example error/forbidden#p")},
			{mapping.Probe, "eve@evil.example", romeo, nil},
			{mapping.Probe, "eve@evil.example/x", gw, nil},
			{mapping.Available, "eve@evil.example/x", gw, nil},
			{mapping.Unsubscribe, "eve@evil.example", romeo, nil},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, s := acquainted(t, newBook(), nil)
			for i, st := range c.steps {
				b.FromXMPP([]mapping.XMPP{presence(st.typ, st.from, st.to)})
				expect(t, fmt.Sprintf("step %d, %s %s>%s", i, st.typ, st.from, st.to), s.said(b), st.want...)
			}
		})
	}
}

// What a user says to the gateway itself is answered here, and looked at by who keeps
// presence: whether he lets it see him, and what he shows. Of a stranger, and of what is no
// user, nothing is (SEC-13).
func TestGatewayPresenceIsSeen(t *testing.T) {
	const j, gw = "juliet@example.com", "sip.example.com"
	b, s := acquainted(t, newBook(), nil)
	types := []mapping.PresenceType{mapping.Subscribe, mapping.Subscribed, mapping.Available, mapping.Unavailable, mapping.Unsubscribed, mapping.PresenceError}
	var want []string
	for _, typ := range types {
		b.FromXMPP([]mapping.XMPP{presence(typ, j+"/b", gw), presence(typ, "eve@evil.example/b", gw), presence(typ, "example.com", gw)})
		want = append(want, describe(presence(typ, j+"/b", gw)))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	expect(t, "what is said to the gateway", s.overheard, want...)
}

// What a user has said to a contact decides whether he is asked when it writes: once only,
// and not if he has decided.
func TestWhoIsIntroduced(t *testing.T) {
	const j, romeo = "juliet@example.com", "romeo@sip.example.com"
	for _, c := range []struct {
		name string
		said []mapping.PresenceType
		want ContactMarks
		asks bool
	}{
		{"nothing", nil, MarkIntroduced, true},
		{"he has added it", []mapping.PresenceType{mapping.Subscribe}, MarkSubscribed | MarkIntroduced, true},
		{"he has added it and lets it see him", []mapping.PresenceType{mapping.Subscribe, mapping.Subscribed}, MarkSubscribed | MarkGranted, false},
		{"he has added it and does not let it see him", []mapping.PresenceType{mapping.Subscribe, mapping.Unsubscribed}, MarkSubscribed | MarkDeclined, false},
		{"he has added it again", []mapping.PresenceType{mapping.Subscribe, mapping.Unsubscribed, mapping.Subscribe}, MarkSubscribed | MarkIntroduced, true},
		{"he has removed it", []mapping.PresenceType{mapping.Subscribe, mapping.Unsubscribe}, MarkIntroduced, false},
		{"he has let see him whom he does not know", []mapping.PresenceType{mapping.Subscribed}, MarkIntroduced, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, s := acquainted(t, newBook(), nil)
			for _, typ := range c.said {
				b.FromXMPP([]mapping.XMPP{presence(typ, j, romeo)})
			}
			s.said(b)
			got := hear(b, s, 1, "sip:romeo@pbx.example.net", "sip:"+j)
			if asked := len(got) == 1 && (got[0] == romeoIntroduced || got[0] == romeo+">"+j+" subscribe"); asked != c.asks {
				t.Errorf("said: %v; asked: %v, want %v", got, asked, c.asks)
			}
			if got := b.contacts.marks(mapping.MustParseJID(j), mapping.MustParseJID(romeo)); got != c.want {
				t.Errorf("marks %b, want %b", got, c.want)
			}
		})
	}
}

// GW-08, GW-10: those who are subscribed to a name of the gateway are told that it is
// there when its link comes up, and that it goes; some at a time.
func TestComingAndGoing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users = 2*announceBatch + 5
		book := newBook()
		gw, lab := mapping.MustParseJID("sip.example.com"), mapping.MustParseJID("lab.example.com")
		want := make(map[string]bool)
		for i := range users {
			u := mapping.MustParseJID(fmt.Sprintf("u%d@example.com", i))
			book.rows[[2]mapping.JID{u, gw}] = MarkSubscribed
			want[u.String()] = true
		}
		book.rows[[2]mapping.JID{mapping.MustParseJID("nurse@example.com"), lab}] = MarkSubscribed
		book.rows[[2]mapping.JID{mapping.MustParseJID("paris@example.com"), gw}] = MarkWelcomed
		book.rows[[2]mapping.JID{mapping.MustParseJID("paris@example.com"), mapping.MustParseJID("romeo@sip.example.com")}] = MarkSubscribed
		b, s := acquainted(t, book, nil)
		check := func(what string, got []string, typ string) {
			t.Helper()
			told := make(map[string]bool)
			for _, v := range got {
				told[strings.TrimSuffix(strings.TrimPrefix(v, "sip.example.com>"), typ)] = true
			}
			if len(got) != users || len(told) != users {
				t.Errorf("%s: %d presences to %d users, want %d", what, len(got), len(told), users)
			}
			for u := range want {
				if !told[u] {
					t.Errorf("%s: %s was not told", what, u)
				}
			}
		}
		up := []mapping.XMPP{&mapping.XMPPReady{Name: gw}}
		b.FromXMPP(up)
		if n := len(s.stanzas); n != announceBatch {
			t.Errorf("%d at once, want %d", n, announceBatch)
		}
		check("at start", s.said(b), "")

		b.FromXMPP(up)
		expect(t, "the link is lost meanwhile", s.said(b, mapping.Uncertain)[announceBatch:])
		b.FromXMPP(up)
		old := s.stanzas
		s.stanzas = nil
		b.FromXMPP(up) // before the first round has ended
		got := s.said(b)
		for _, p := range old {
			b.XMPPOutcomes([]mapping.Result{{Ref: p.Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}}})
		}
		check("a second link", append(got, s.said(b)...), "")

		done := make(chan error, 1)
		go func() { done <- b.Drain(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("drained before anybody was told: %v", err)
		default:
		}
		check("at the end", s.said(b), " unavailable")
		if err := <-done; err != nil {
			t.Error(err)
		}
		b.FromXMPP(append(up, presence(mapping.Probe, "u1@example.com", "sip.example.com"), presence(mapping.Available, "u1@example.com/x", "sip.example.com")))
		expect(t, "while it goes", s.said(b))
	})
}

// Devices are forgotten with the link: when it is back they are answered anew, since they
// or their server may have been away meanwhile (GW-08, GW-22).
func TestSessionsEndWithTheLink(t *testing.T) {
	b, s := acquainted(t, newBook(), nil)
	const d = "juliet@example.com/b"
	b.FromXMPP([]mapping.XMPP{presence(mapping.Available, d, "sip.example.com"), presence(mapping.Available, d, "lab.example.com")})
	s.said(b)
	b.FromXMPP([]mapping.XMPP{&mapping.XMPPReady{Name: mapping.MustParseJID("sip.example.com")}})
	b.FromXMPP([]mapping.XMPP{presence(mapping.Available, d, "sip.example.com"), presence(mapping.Available, d, "lab.example.com")})
	expect(t, "the link of one name is back", s.said(b), "sip.example.com>"+d)
}

// Who may not use the gateway any more is not told of it (SEC-13).
func TestStrangersAreNotToldOfUs(t *testing.T) {
	book, gw := newBook(), mapping.MustParseJID("sip.example.com")
	for _, user := range []string{"juliet@example.com", "eve@evil.example"} {
		book.rows[[2]mapping.JID{mapping.MustParseJID(user), gw}] = MarkSubscribed
	}
	b, s := acquainted(t, book, nil)
	b.FromXMPP([]mapping.XMPP{&mapping.XMPPReady{Name: gw}})
	expect(t, "at start", s.said(b), "sip.example.com>juliet@example.com")
}

// Of whom the gateway has taken leave is not told when it comes back.
func TestLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := acquainted(t, newBook(), nil)
		name, user := mapping.MustParseJID("sip.example.com"), mapping.MustParseJID("juliet@example.com/b")
		for _, who := range []string{"juliet@example.com", "nurse@example.com"} {
			b.FromXMPP([]mapping.XMPP{presence(mapping.Subscribe, who, "sip.example.com")})
		}
		s.said(b)
		b.Left(user, name)
		b.Left(user, name)
		expect(t, "at once", s.said(b))
		b.FromXMPP([]mapping.XMPP{&mapping.XMPPReady{Name: name}})
		expect(t, "when the link comes up", s.said(b), "sip.example.com>nurse@example.com")
		b.FromXMPP([]mapping.XMPP{presence(mapping.Unsubscribe, "juliet@example.com", "sip.example.com")})
		expect(t, "to his answer", s.said(b))
	})
}
