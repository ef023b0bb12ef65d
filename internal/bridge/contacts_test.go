package bridge

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// bookFake keeps contacts as a disk would.
type bookFake struct {
	rows map[[2]mapping.JID]ContactMarks
	puts int // rows that were written
}

func (f *bookFake) PutContacts(batch []Contact) {
	f.puts += len(batch)
	for _, c := range batch {
		key := [2]mapping.JID{c.User, c.Contact}
		if c.Marks == 0 {
			delete(f.rows, key)
		} else {
			f.rows[key] = c.Marks
		}
	}
}

func (f *bookFake) all() (out []Contact) {
	for k, m := range f.rows {
		out = append(out, Contact{k[0], k[1], m})
	}
	return out
}

// acquainted is a bridge that keeps in mind whom it knows. mod may change the options.
func acquainted(t *testing.T, book *bookFake, mod func(*Options)) (*Bridge, *side) {
	t.Helper()
	rules, err := mapping.NewRules(mapping.RulesConfig{
		GatewayDomain: "sip.example.com", SIPHost: "sip.example.com", UserDomains: []string{"example.com"}, DefaultSIPDomain: "pbx.example.net",
		Domains: []mapping.DomainPair{{XMPP: "lab.example.com", SIP: "lab.example"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	access, err := mapping.NewAccess([]string{"example.com", "example.org"})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Policy: Policy{Rules: rules, Access: access},
		Secret: []byte("secret"), Now: time.Unix(1_700_000_000, 0),
		Full: func(err error) bool { return errors.Is(err, errFull) },
	}
	if book != nil {
		o.Contacts = book
	}
	if mod != nil {
		mod(&o)
	}
	s := &side{journal: newJournalFake()}
	s.journal.b = New(xmppFake{s}, sipFake{s}, s.journal, o, slog.New(slog.DiscardHandler))
	if book != nil {
		s.journal.b.RestoreContacts(book.all())
	}
	return s.journal.b, s
}

func newBook() *bookFake { return &bookFake{rows: map[[2]mapping.JID]ContactMarks{}} }

func presence(typ mapping.PresenceType, from, to string) *mapping.XMPPPresence {
	return &mapping.XMPPPresence{From: mapping.MustParseJID(from), To: mapping.MustParseJID(to), ID: "p", Type: typ}
}

// said takes the stanzas that the bridge has handed over since the last call, and
// settles them: they were processed, unless outcome says otherwise.
func (s *side) said(b *Bridge, outcome ...mapping.OutcomeKind) []string {
	var out []string
	for {
		s.mu.Lock()
		batch := s.stanzas
		s.stanzas = nil
		s.mu.Unlock()
		if len(batch) == 0 {
			return out
		}
		kind := mapping.Processed
		if len(outcome) > 0 {
			kind = outcome[0]
		}
		var results []mapping.Result
		for _, p := range batch {
			out = append(out, describe(p.Value))
			results = append(results, mapping.Result{Ref: p.Ref, Outcome: mapping.Outcome{Kind: kind, Failure: mapping.FailNoLink()}})
		}
		b.XMPPOutcomes(results)
	}
}

func describe(v mapping.XMPP) string {
	switch v := v.(type) {
	case *mapping.XMPPPresence:
		s := fmt.Sprintf("%s>%s %s", v.From, v.To, v.Type)
		if v.Failure != nil {
			s += "/" + string(v.Failure.Condition) + "#" + v.ID
		}
		return strings.TrimSpace(s)
	case *mapping.XMPPIntroduction:
		return fmt.Sprintf("%s>%s introduced as %q", v.From, v.To, v.Nick)
	case *mapping.XMPPReceipt:
		return fmt.Sprintf("%s>%s received %s", v.From, v.To, v.About)
	case *mapping.XMPPError:
		return fmt.Sprintf("%s>%s %s#%s", v.From, v.To, v.Failure.Condition, v.ID)
	case *mapping.XMPPMessage:
		text := v.Bodies[0].Value
		if strings.HasPrefix(text, "This is the gateway to SIP.") {
			text = "HELP"
		}
		return fmt.Sprintf("%s>%s %s", v.From, v.To, text)
	}
	return fmt.Sprintf("%T", v)
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

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
		{"a contact is added, and removed", []step{
			{mapping.Subscribe, j, romeo, said(romeo+">"+j+" subscribed", romeo+">"+j+" subscribe")},
			{mapping.Subscribed, j, romeo, nil},
			{mapping.Available, d, romeo, nil},
			{mapping.Unsubscribe, j, romeo, said(romeo + ">" + j + " unsubscribed")},
			{mapping.Unsubscribed, j, romeo, nil},
			{mapping.Unavailable, d, romeo, nil},
			{mapping.Unsubscribe, j, romeo, nil},
			{mapping.Unsubscribed, j, romeo, nil},
		}},
		{"asked again and again", []step{
			{mapping.Subscribe, j, romeo, said(romeo+">"+j+" subscribed", romeo+">"+j+" subscribe")},
			{mapping.Subscribe, j, romeo, said(romeo + ">" + j + " subscribed")},
			{mapping.Unsubscribed, j, romeo, nil},
			{mapping.Subscribe, j, romeo, said(romeo + ">" + j + " subscribed")},
		}},
		{"added anew after it was removed", []step{
			{mapping.Subscribe, j, romeo, said(romeo+">"+j+" subscribed", romeo+">"+j+" subscribe")},
			{mapping.Unsubscribe, j, romeo, said(romeo + ">" + j + " unsubscribed")},
			{mapping.Unsubscribed, j, romeo, nil},
			{mapping.Subscribe, j, romeo, said(romeo+">"+j+" subscribed", romeo+">"+j+" subscribe")},
		}},
		{"granted before", []step{
			{mapping.Subscribe, j, romeo, said(romeo+">"+j+" subscribed", romeo+">"+j+" subscribe")},
			{mapping.Subscribed, j, romeo, nil},
			{mapping.Unsubscribe, j, romeo, said(romeo + ">" + j + " unsubscribed")},
			{mapping.Subscribe, j, romeo, said(romeo + ">" + j + " subscribed")},
		}},
		{"probes", []step{
			{mapping.Probe, j, romeo, said(romeo + ">" + j + " unavailable")},
			{mapping.Probe, d, gw, said(gw + ">" + d)},
			{mapping.Probe, j, `romeo\40@sip.example.com`, nil},
		}},
		{"what is nobody's address", []step{
			{mapping.Subscribe, j, `romeo\40@sip.example.com`, said(`romeo\40@sip.example.com>` + j + " error/jid-malformed#p")},
			{mapping.Subscribe, j, `romeo\40pbx.example.net@sip.example.com`, said(`romeo\40pbx.example.net@sip.example.com>` + j + " error/item-not-found#p")},
			{mapping.Unsubscribe, j, `romeo\40@sip.example.com`, nil},
			{mapping.Unsubscribed, j, `romeo\40@sip.example.com`, nil},
			{mapping.Subscribed, j, `romeo\40@sip.example.com`, nil},
			{mapping.Available, d, `romeo\40@sip.example.com`, nil},
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
		{"devices are not told apart", []step{
			{mapping.Subscribe, d, romeo + "/phone", said(romeo+">"+j+" subscribed", romeo+">"+j+" subscribe")},
			{mapping.Unsubscribe, j + "/c", romeo, said(romeo + ">" + j + " unsubscribed")},
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

// hear has a message come from SIP and be delivered; it returns what else is said.
func hear(b *Bridge, s *side, n int, from, to string) []string {
	m := fromSIP(fmt.Sprint("call", n), from, to, "hi")
	m.CSeq, m.Name = uint32(n+1), "Romeo M."
	b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: n, Value: m}})
	got := s.said(b)
	return slices.DeleteFunc(got, func(v string) bool { return strings.HasSuffix(v, " hi") })
}

const romeoIntroduced = `romeo@sip.example.com>juliet@example.com introduced as "Romeo M."`

// A contact that writes for the first time is made known to the user once, ever, and what
// he says to that is kept across restarts.
func TestIntroductions(t *testing.T) {
	const romeo, juliet = "sip:romeo@pbx.example.net", "sip:juliet@example.com"
	for _, c := range []struct {
		name string
		says []mapping.PresenceType // the user, to the contact
	}{
		{"nothing", nil}, {"yes", []mapping.PresenceType{mapping.Subscribed}}, {"no", []mapping.PresenceType{mapping.Unsubscribed}},
		{"removes it", []mapping.PresenceType{mapping.Subscribed, mapping.Subscribe, mapping.Unsubscribe, mapping.Unsubscribed}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				book := newBook()
				b, s := acquainted(t, book, nil)
				expect(t, "the first message", hear(b, s, 1, romeo, juliet), romeoIntroduced)
				expect(t, "the second", hear(b, s, 2, romeo, juliet))
				for _, typ := range c.says {
					b.FromXMPP([]mapping.XMPP{presence(typ, "juliet@example.com", "romeo@sip.example.com")})
				}
				s.said(b)
				time.Sleep(2 * introduceEvery)
				expect(t, "later", hear(b, s, 3, romeo, juliet))
				b, s = acquainted(t, book, nil)
				expect(t, "after a restart", hear(b, s, 4, romeo, juliet))
			})
		})
	}

	t.Run("whom the user has added himself", func(t *testing.T) {
		b, s := acquainted(t, newBook(), nil)
		b.FromXMPP([]mapping.XMPP{presence(mapping.Subscribe, "juliet@example.com", "romeo@sip.example.com")})
		s.said(b)
		expect(t, "the first message", hear(b, s, 1, romeo, juliet))
	})

	t.Run("one that did not leave is made again", func(t *testing.T) {
		book := newBook()
		b, s := acquainted(t, book, nil)
		b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 1, Value: fromSIP("c", romeo, juliet, "hi")}})
		b.XMPPOutcomes([]mapping.Result{{Ref: s.stanzas[0].Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}}})
		s.stanzas = s.stanzas[1:]
		expect(t, "first", s.said(b, mapping.NotWritten), `romeo@sip.example.com>juliet@example.com introduced as ""`)
		if len(book.rows) != 0 {
			t.Errorf("it is remembered: %v", book.rows)
		}
		expect(t, "again", hear(b, s, 2, romeo, juliet), romeoIntroduced)
	})

	t.Run("not for what did not arrive", func(t *testing.T) {
		b, s := acquainted(t, newBook(), nil)
		b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 1, Value: fromSIP("c", romeo, juliet, "hi")}})
		expect(t, "bounced", s.said(b, mapping.Bounced), "romeo@sip.example.com>juliet@example.com hi")
	})

	t.Run("strangers cannot pester a user", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, s := acquainted(t, newBook(), nil)
			asked := 0
			for n := range 4 * maxIntroductions {
				asked += len(hear(b, s, n, fmt.Sprintf("sip:u%d@pbx.example.net", n), juliet))
				time.Sleep(introduceEvery / 4)
			}
			if asked != maxIntroductions {
				t.Errorf("%d introductions, want one a minute: %d", asked, maxIntroductions)
			}
			time.Sleep(introduceEvery)
			expect(t, "one more", hear(b, s, 1<<20, "sip:late@pbx.example.net", juliet))
			b.FromXMPP([]mapping.XMPP{presence(mapping.Subscribe, "juliet@example.com", "romeo@sip.example.com")})
			s.said(b)
			if b.contacts.marks(mapping.MustParseJID("juliet@example.com"), mapping.MustParseJID("romeo@sip.example.com")) == 0 {
				t.Error("there is no room for what the user does himself")
			}
			expect(t, "another user", hear(b, s, 2<<20, romeo, "sip:nurse@example.com"), `romeo@sip.example.com>nurse@example.com introduced as "Romeo M."`)
		})
	})

	t.Run("who is anonymous has nobody to add", func(t *testing.T) {
		b, s := acquainted(t, newBook(), nil)
		expect(t, "the first message", hear(b, s, 1, "sip:anonymous@anonymous.invalid", juliet))
	})

	t.Run("what is forgotten would be asked again", func(t *testing.T) {
		b, s := acquainted(t, newBook(), func(o *Options) { o.Volatile = true })
		expect(t, "the first message", hear(b, s, 1, romeo, juliet))
	})

	t.Run("without a book nobody is asked", func(t *testing.T) {
		b, s := acquainted(t, nil, nil)
		expect(t, "the first message", hear(b, s, 1, romeo, juliet))
	})
}

// What is asked of the gateway itself is answered with how it is used, to nobody else and
// not too often; everybody is told once without asking.
func TestHelpAndWelcome(t *testing.T) {
	ask := func(from, text string) *mapping.XMPPMessage { return fromXMPP("m", from, "sip.example.com", text) }
	const d, help = "juliet@example.com/b", "sip.example.com>juliet@example.com/b HELP"

	t.Run("help", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			book := newBook()
			b, s := acquainted(t, book, nil)
			m := ask(d, "hello?")
			m.WantReceipt, m.Thread = true, "t1"
			b.FromXMPP([]mapping.XMPP{m})
			if len(s.stanzas) != 2 || s.stanzas[1].Value.(*mapping.XMPPMessage).Thread != "t1" {
				t.Errorf("no answer in the same thread: %v", s.stanzas)
			}
			expect(t, "the first", s.said(b), "sip.example.com>"+d+" received m", help)
			b.FromXMPP([]mapping.XMPP{ask(d, "help")})
			expect(t, "at once again", s.said(b), "sip.example.com>"+d+" resource-constraint#m")
			b.FromXMPP([]mapping.XMPP{ask("nurse@example.com/x", "help")})
			expect(t, "somebody else", s.said(b), "sip.example.com>nurse@example.com/x HELP")
			time.Sleep(helpEvery)
			b.FromXMPP([]mapping.XMPP{ask(d, "help")})
			expect(t, "later", s.said(b), help)
			for i := range 3 { // a program that answers everything
				time.Sleep(helpUnasked/4 + time.Second)
				b.FromXMPP([]mapping.XMPP{ask(d, "I am away until Monday.")})
				expect(t, fmt.Sprint("not asked for ", i), s.said(b), "sip.example.com>"+d+" service-unavailable#m")
			}
			b.FromXMPP([]mapping.XMPP{ask(d, " Help!\n")})
			expect(t, "asked for in between", s.said(b), help)
			time.Sleep(helpUnasked)
			b.FromXMPP([]mapping.XMPP{ask(d, "hello?")})
			expect(t, "an hour later", s.said(b), help)
			b.FromXMPP([]mapping.XMPP{fromXMPP("m1", d, "romeo@sip.example.com", "hello")})
			expect(t, "who has asked is not told again", s.said(b))
			b.FromXMPP([]mapping.XMPP{ask("eve@evil.example/x", "help")})
			expect(t, "a stranger", s.said(b), "sip.example.com>eve@evil.example/x forbidden#m")
			b.FromXMPP([]mapping.XMPP{ask("example.com", "help")})
			expect(t, "a server", s.said(b), "sip.example.com>example.com item-not-found#m")
			if s.journal.waiting != nil && len(s.journal.waiting) != 1 {
				t.Errorf("what was for the gateway is in the journal: %v", s.journal.waiting)
			}
		})
	})

	t.Run("welcome", func(t *testing.T) {
		const welcome = "lab.example.com>juliet@example.com HELP"
		book := newBook()
		b, s := acquainted(t, book, nil)
		b.FromXMPP([]mapping.XMPP{fromXMPP("m0", d, `romeo\40@sip.example.com`, "hello")})
		expect(t, "a message that was not taken", s.said(b), `romeo\40@sip.example.com>`+d+" jid-malformed#m0")
		b.FromXMPP([]mapping.XMPP{fromXMPP("m1", d, "romeo@lab.example.com", "hello"), fromXMPP("m2", d, "romeo@sip.example.com", "hello")})
		expect(t, "it did not leave", s.said(b, mapping.NotWritten), welcome)
		b.FromXMPP([]mapping.XMPP{fromXMPP("m3", d, "romeo@lab.example.com", "hello")})
		expect(t, "it is told with the next message", s.said(b), welcome)
		b.FromXMPP([]mapping.XMPP{fromXMPP("m4", d, "romeo@sip.example.com", "hello"), presence(mapping.Subscribe, "juliet@example.com", "sip.example.com")})
		expect(t, "once", s.said(b), "sip.example.com>juliet@example.com subscribed", "sip.example.com>juliet@example.com")
		b, s = acquainted(t, book, nil)
		b.FromXMPP([]mapping.XMPP{fromXMPP("m5", d, "romeo@lab.example.com", "hello"), presence(mapping.Subscribe, "juliet@example.com", "lab.example.com")})
		expect(t, "ever", s.said(b), "lab.example.com>juliet@example.com subscribed", "lab.example.com>juliet@example.com")
	})

	t.Run("who is no person is not told", func(t *testing.T) {
		b, s := acquainted(t, newBook(), nil)
		b.FromXMPP([]mapping.XMPP{fromXMPP("m1", "example.com", "romeo@sip.example.com", "hello")})
		expect(t, "a message of a server", s.said(b))
	})

	t.Run("what is forgotten would be told again", func(t *testing.T) {
		b, s := acquainted(t, newBook(), func(o *Options) { o.Volatile = true })
		b.FromXMPP([]mapping.XMPP{fromXMPP("m1", d, "romeo@sip.example.com", "hello")})
		expect(t, "a message", s.said(b))
		b.FromXMPP([]mapping.XMPP{presence(mapping.Subscribe, "juliet@example.com", "sip.example.com")})
		expect(t, "who asks", s.said(b), "sip.example.com>juliet@example.com subscribed", "sip.example.com>juliet@example.com", "sip.example.com>juliet@example.com HELP")
	})
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

// Only what is new is written: all servers probe at once when they are back.
func TestMarksAreWrittenOnce(t *testing.T) {
	book := newBook()
	b, s := acquainted(t, book, nil)
	for range 3 {
		for _, typ := range []mapping.PresenceType{mapping.Subscribe, mapping.Probe} {
			b.FromXMPP([]mapping.XMPP{presence(typ, "juliet@example.com", "sip.example.com"), presence(typ, "juliet@example.com", "romeo@sip.example.com")})
			s.said(b)
		}
		b.FromXMPP([]mapping.XMPP{presence(mapping.Subscribed, "juliet@example.com", "romeo@sip.example.com")})
	}
	if book.puts != 4 { // the gateway, that it has said how it is used, the contact, and that it may see the user
		t.Errorf("%d rows written, want 4", book.puts)
	}
}

// Bounds: one user cannot fill what others need, nor can those of one domain, and what
// there is no room for does no harm.
func TestContactsAreBounded(t *testing.T) {
	b, s := acquainted(t, newBook(), nil)
	fill := func(user string, n int) {
		for i := range n {
			b.FromXMPP([]mapping.XMPP{presence(mapping.Subscribe, user, fmt.Sprintf("c%d@sip.example.com", i))})
			s.stanzas = nil
		}
	}
	fill("juliet@example.com", maxContactsOf+10)
	if n := b.contacts.entries; n != maxContactsOf {
		t.Errorf("one user has %d entries, want %d", n, maxContactsOf)
	}
	b.FromXMPP([]mapping.XMPP{presence(mapping.Subscribe, "juliet@example.com", "one-more@sip.example.com")})
	expect(t, "one more, which would ask in return whenever it is asked", s.said(b), "one-more@sip.example.com>juliet@example.com subscribed")
	b.FromXMPP([]mapping.XMPP{fromXMPP("m", "juliet@example.com/x", "sip.example.com", "help")})
	expect(t, "the gateway itself", s.said(b), "sip.example.com>juliet@example.com/x HELP")

	for i := 0; b.contacts.byDomain["example.com"] < maxContacts/2 && i < maxContacts; i++ {
		if b.contacts.byDomain["example.com"] == maxContacts/4 {
			expect(t, "half of the room is left to users", hear(b, s, 1, "sip:romeo@pbx.example.net", "sip:nurse@example.com"))
		}
		b.contacts.set(mapping.MustParseJID(fmt.Sprintf("u%d@example.com", i)), mapping.MustParseJID("romeo@sip.example.com"), MarkIntroduced)
	}
	if b.contacts.set(mapping.MustParseJID("nurse@example.com"), mapping.MustParseJID("romeo@sip.example.com"), MarkIntroduced) {
		t.Error("the users of one domain have more than half")
	}
	b.FromXMPP([]mapping.XMPP{fromXMPP("m", "nurse@example.com/x", "sip.example.com", "help")})
	expect(t, "help without room", s.said(b), "sip.example.com>nurse@example.com/x resource-constraint#m")
	b.FromXMPP([]mapping.XMPP{fromXMPP("m", "paris@example.org/x", "sip.example.com", "help")})
	expect(t, "of another domain", s.said(b), "sip.example.com>paris@example.org/x HELP")

	for i := range maxSessions + 10 {
		b.contacts.opened(session{mapping.MustParseJID(fmt.Sprintf("u%d@example.com/x", i)), mapping.MustParseJID("sip.example.com")})
	}
	if n := len(b.contacts.sessions); n != maxSessions {
		t.Errorf("%d sessions, want %d", n, maxSessions)
	}

	// What is forgotten makes room.
	j := mapping.MustParseJID("juliet@example.com")
	for i := range maxContactsOf {
		b.contacts.set(j, mapping.MustParseJID(fmt.Sprintf("c%d@sip.example.com", i)), 0)
	}
	b.contacts.set(j, mapping.MustParseJID("sip.example.com"), 0)
	if b.contacts.people[j] != nil || b.contacts.byDomain["example.com"] != maxContacts/2-maxContactsOf-1 || b.contacts.entries != len(b.contacts.people) {
		t.Errorf("left: %v, %d of the domain, %d entries of %d people", b.contacts.people[j], b.contacts.byDomain["example.com"], b.contacts.entries, len(b.contacts.people))
	}
}
