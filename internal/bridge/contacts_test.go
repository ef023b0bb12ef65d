package bridge

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
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
	if o.Presence == nil {
		o.Presence = presencesFake{s}
	}
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
		out = append(out, s.handed...)
		s.handed = nil
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

// presencesFake shows in what was said that presence was handed on; what was said to the
// gateway itself is kept apart, for the bridge answers it.
type presencesFake struct{ s *side }

func (f presencesFake) FromXMPP(batch []mapping.XMPP) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	for _, v := range batch {
		switch p, ok := v.(*mapping.XMPPPresence); {
		case ok && p.To.Local() == "":
			f.s.overheard = append(f.s.overheard, describe(p))
		case ok:
			f.s.handed = append(f.s.handed, "on: "+describe(p))
		}
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

const romeoIntroduced = `romeo@sip.example.com>juliet@example.com introduced as "Romeo M."`

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
			s.stanzas, s.handed = nil, nil
		}
	}
	fill("juliet@example.com", maxContactsOf+10)
	if n := b.contacts.entries; n != maxContactsOf {
		t.Errorf("one user has %d entries, want %d", n, maxContactsOf)
	}
	b.FromXMPP([]mapping.XMPP{presence(mapping.Subscribe, "juliet@example.com", "one-more@sip.example.com")})
	expect(t, "one more, whose presence is not the bridge's business", s.said(b), "on: juliet@example.com>one-more@sip.example.com subscribe")
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
