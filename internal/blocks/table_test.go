package blocks

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stoxgw/stox/mapping"
)

func rules(t testing.TB) *mapping.Rules {
	t.Helper()
	r, err := mapping.NewRules(mapping.RulesConfig{
		GatewayDomain: "sip.example.com", UserDomains: []string{"example.com"}, DefaultSIPDomain: "example.net", PhoneDomain: "trunk.example",
		Domains: []mapping.DomainPair{{XMPP: "pbx.example.com", SIP: "pbx.example"}},
		Routes:  []mapping.RouteRule{{Domain: "trunk.example", Country: "DE", Numbers: "national"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func jid(t testing.TB, s string) mapping.JID {
	t.Helper()
	j, err := mapping.ParseJID(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func uri(t testing.TB, s string) mapping.URI {
	t.Helper()
	u, err := mapping.ParseURI(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// book keeps what it is given, as a disk would.
type book struct {
	mu   sync.Mutex
	kept map[[2]string]Entry
}

func (b *book) PutBlocks(batch []Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range batch {
		k := [2]string{e.Owner.String(), e.What}
		if e.Since.IsZero() {
			delete(b.kept, k)
		} else {
			b.kept[k] = e
		}
	}
}

func newBook() *book { return &book{kept: make(map[[2]string]Entry)} }

func table(t testing.TB, b Book) *Table {
	r := rules(t)
	return New(Options{Rules: func() *mapping.Rules { return r }, Book: b, Now: func() time.Time { return time.UnixMilli(1_800_000_000_123) }})
}

var nobody mapping.JID

func TestWhatIsTyped(t *testing.T) {
	tb := table(t, nil)
	juliet := jid(t, "juliet@example.com/balcony")
	for _, c := range []struct {
		owner      mapping.JID
		what, want string
		kind       Kind
	}{
		{juliet, "romeo@sip.example.com", "sip:romeo@example.net", Contact},
		{juliet, " Romeo@sip.example.com/phone ", "sip:romeo@example.net", Contact},
		{juliet, `romeo\40other.example@sip.example.com`, "sip:romeo@other.example", Contact},
		{juliet, "7001@pbx.example.com", "sip:7001@pbx.example", Contact},
		{juliet, "xmpp:romeo@sip.example.com", "sip:romeo@example.net", Contact},
		{juliet, "romeo@example.net", "sip:romeo@example.net", Contact},
		{juliet, `"Romeo" <sip:ROMEO@example.net:5070;transport=tcp>;tag=1`, "sip:romeo@example.net", Contact},
		{juliet, "sips:romeo@example.net", "sip:romeo@example.net", Contact},
		{juliet, "+49 (30) 123-456", "tel:+4930123456", Contact},
		{juliet, "030 123456", "tel:+4930123456", Contact},
		{juliet, "tel:+49-30-123456", "tel:+4930123456", Contact},
		{juliet, "sip:030123456@trunk.example", "tel:+4930123456", Contact},
		{juliet, "+4930123456@sip.example.com", "tel:+4930123456", Contact},
		{nobody, "romeo@sip.example.com", "sip:romeo@example.net", Contact},
		{nobody, "+4930123456", "tel:+4930123456", Contact},
		{nobody, "@Example.org", "@example.org", Domain},
		{nobody, "sip:example.org", "@example.org", Domain},
		{nobody, "192.0.2.7", "192.0.2.7", Source},
		{nobody, "::ffff:192.0.2.7", "192.0.2.7", Source},
		{nobody, "192.0.2.77/24", "192.0.2.0/24", Source},
		{nobody, "2001:db8::1/32", "2001:db8::/32", Source},
		{nobody, "@192.0.2.7", "@192.0.2.7", Domain},
		{nobody, "mallory@example.com/x", "xmpp:mallory@example.com", User},
		{nobody, "xmpp:mallory@elsewhere.example", "xmpp:mallory@elsewhere.example", User},
		{nobody, "xmpp:elsewhere.example", "xmpp:elsewhere.example", User},
		{nobody, "mallory@elsewhere.example", "sip:mallory@elsewhere.example", Contact},
	} {
		e, err := tb.Block(c.owner, c.what)
		if err != nil || e.What != c.want || e.Kind() != c.kind || e.Owner != c.owner.Bare() {
			t.Errorf("%q: %+v %s, %v; want %q %s", c.what, e, e.Kind(), err, c.want, c.kind)
			continue
		}
		if again, err := tb.Block(c.owner, e.What); err != nil || again != e {
			t.Errorf("the normal form of %q is read as %+v, %v", c.what, again, err)
		}
	}
	for _, c := range []struct {
		owner mapping.JID
		what  string
		want  error // nil: a Failure with a text
	}{
		{juliet, "192.0.2.7", ErrKind}, {juliet, "192.0.2.0/24", ErrKind}, {juliet, "@example.org", ErrKind}, {juliet, "sip:example.org", ErrKind},
		{nobody, "0.0.0.0/0", ErrAll}, {nobody, "::/0", ErrAll}, {nobody, "127.0.0.1", ErrAll}, {nobody, "::1", ErrAll}, {nobody, "126.0.0.0/7", ErrAll},
		{juliet, "", nil}, {juliet, "mallory@example.com", nil}, {juliet, "xmpp:mallory@example.com", nil}, {juliet, "sip.example.com", nil},
		{juliet, "romeo@exa mple", nil}, {juliet, strings.Repeat("a", 5000) + "@example.net", nil}, {juliet, "\x00", nil},
		{nobody, "xmpp:a@b@c", nil}, {nobody, "sip.example.com", nil}, {nobody, strings.Repeat("9", 5000), nil},
	} {
		e, err := tb.Block(c.owner, c.what)
		var f *mapping.Failure
		if c.want != nil && !errors.Is(err, c.want) || c.want == nil && (!errors.As(err, &f) || f.Text == "") {
			t.Errorf("%.40q: %+v, %v; want %v", c.what, e, err, c.want)
		}
	}
}

// Who is blocked does not come back by another spelling, and nobody else is blocked.
func TestWhoIsBlocked(t *testing.T) {
	tb := table(t, nil)
	juliet, other := jid(t, "juliet@example.com"), jid(t, "nurse@example.com")
	if tb.Blocked(juliet, uri(t, "sip:romeo@example.net")) || tb.BlockedUser(juliet) || len(tb.Sources()) != 0 {
		t.Error("something is blocked in an empty table")
	}
	for _, b := range []struct {
		owner mapping.JID
		what  string
	}{{juliet, "romeo@sip.example.com"}, {juliet, "+4930123456"}, {nobody, "@bad.example"}, {nobody, "spam@example.net"}, {nobody, "192.0.2.0/24"}, {nobody, "mallory@example.com"}, {nobody, "xmpp:evil.example"}} {
		if _, err := tb.Block(b.owner, b.what); err != nil {
			t.Fatal(b.what, err)
		}
	}
	for _, c := range []struct {
		uri                string
		juliet, other, all bool
	}{
		{"sip:romeo@example.net", true, false, false},
		{"sip:ROMEO@Example.NET:5070;gr=x", true, false, false},
		{"im:romeo@example.net", true, false, false},
		{"sip:romeo2@example.net", false, false, false},
		{"sip:romeo@other.example", false, false, false},
		{"tel:+49-30-123456", true, false, false},
		{"sip:030123456@trunk.example;user=phone", true, false, false},
		{"sip:+4930123456@other.example", false, false, false},
		{"sip:anybody@bad.example:5090", true, true, true},
		{"sip:bad.example", true, true, true},
		{"sip:anybody@sub.bad.example", false, false, false},
		{"sip:spam@example.net", true, true, true},
	} {
		u := uri(t, c.uri)
		if got := [3]bool{tb.Blocked(juliet, u), tb.Blocked(other, u), tb.BlockedForAll(u)}; got != [3]bool{c.juliet, c.other, c.all} {
			t.Errorf("%s: %v, want %v", c.uri, got, c)
		}
	}
	for user, want := range map[string]bool{"mallory@example.com/x": true, "mallory@example.com": true, "juliet@example.com": false, "x@evil.example/y": true, "evil.example": true, "x@sub.evil.example": false} {
		if tb.BlockedUser(jid(t, user)) != want {
			t.Errorf("%s is blocked: %v", user, !want)
		}
	}
	if got := tb.Sources(); !slices.Equal(got, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}) {
		t.Errorf("sources: %v", got)
	}
	if _, err := tb.Unblock(other, "romeo@sip.example.com"); !errors.Is(err, ErrUnknown) {
		t.Errorf("somebody else's: %v", err)
	}
	if e, err := tb.Unblock(juliet, "sip:Romeo@example.net"); err != nil || e.What != "sip:romeo@example.net" || tb.Blocked(juliet, uri(t, "sip:romeo@example.net")) {
		t.Errorf("taken back: %+v, %v", e, err)
	}
	if got := tb.List(other); len(got) != 0 {
		t.Errorf("another user sees %v", got)
	}
}

// Every contact that may write can be blocked by the address that its messages come from.
func TestWhateverWritesCanBeBlocked(t *testing.T) {
	juliet := jid(t, "juliet@example.com")
	r := rules(t)
	rapid.Check(t, func(rt *rapid.T) {
		user := rapid.StringMatching(`[a-zA-Z0-9+.%_-]{1,12}`).Draw(rt, "user")
		host := rapid.SampledFrom([]string{"example.net", "trunk.example", "pbx.example", "other.example", "192.0.2.1", "[2001:db8::1]"}).Draw(rt, "host")
		port := rapid.SampledFrom([]string{"", ":5060", ":5061"}).Draw(rt, "port")
		u, err := mapping.ParseURI("sip:" + strings.ReplaceAll(user, "%", "%25") + "@" + host + port)
		if err != nil {
			return
		}
		contact, err := r.Sender(u)
		if err != nil {
			return
		}
		tb := table(t, nil)
		if _, err := tb.Block(juliet, contact.String()); err != nil {
			rt.Fatalf("%s writes as %s, which cannot be blocked: %v", u, contact, err)
		}
		if !tb.Blocked(juliet, u) {
			rt.Fatalf("%s is blocked, and %s is not", contact, u)
		}
	})
}

// What is kept is what there is, whatever happens at once; and a restart finds it again.
func TestManyChangesAtOnce(t *testing.T) {
	b := newBook()
	tb := table(t, b)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			owner := jid(t, fmt.Sprintf("u%d@example.com", i/2)) // two devices each
			for n := range 100 {
				what := fmt.Sprintf("c%d@sip.example.com", n%7)
				if n%3 == i%3 {
					_, _ = tb.Unblock(owner, what)
				} else if _, err := tb.Block(owner, what); err != nil {
					t.Error(err)
				}
				tb.Blocked(owner, uri(t, "sip:c1@example.net"))
			}
		})
	}
	wg.Wait()
	again := table(t, nil)
	var kept []Entry
	for _, e := range b.kept {
		kept = append(kept, e)
	}
	again.Restore(kept)
	if diff := cmp.Diff(tb.All(), again.All(), cmp.Comparer(func(a, b Entry) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	admins, users := again.Count()
	if admins != 0 || users != len(kept) {
		t.Errorf("%d and %d are counted, of %d", admins, users, len(kept))
	}
}

// Nobody has more room than is his, and an admin has it always.
func TestRoom(t *testing.T) {
	tb := table(t, nil)
	at := time.UnixMilli(1)
	juliet := jid(t, "juliet@example.com")
	for i := range MaxOf {
		tb.Restore([]Entry{{Owner: juliet, What: fmt.Sprintf("sip:%d@example.net", i), Since: at}})
	}
	if _, err := tb.Block(juliet, "romeo@sip.example.com"); !errors.Is(err, ErrFull) {
		t.Errorf("one more than a user may have: %v", err)
	}
	if _, err := tb.Block(juliet, "sip:7@example.net"); err != nil {
		t.Errorf("what he has blocked already: %v", err)
	}
	var many []Entry
	for i := range MaxAll/2 - MaxOf {
		many = append(many, Entry{Owner: jid(t, fmt.Sprintf("u%d@example.com", i)), What: "sip:a@example.net", Since: at})
	}
	tb.Restore(many)
	if _, err := tb.Block(jid(t, "late@example.com"), "romeo@sip.example.com"); !errors.Is(err, ErrFull) {
		t.Errorf("one more than a domain may have: %v", err)
	}
	if _, err := tb.Block(jid(t, "late@elsewhere.example"), "romeo@sip.example.com"); err != nil {
		t.Errorf("a user of another domain: %v", err)
	}
	if _, err := tb.Block(nobody, "mallory@example.com"); err != nil || !tb.BlockedUser(jid(t, "mallory@example.com")) {
		t.Errorf("an admin: %v", err)
	}
}

// Whoever wants to know is told of what has changed, and of nothing else.
func TestChanged(t *testing.T) {
	r := rules(t)
	var told []string
	tb := New(Options{Rules: func() *mapping.Rules { return r }, Changed: func(e Entry, blocked bool) { told = append(told, fmt.Sprint(e.What, " ", blocked)) }})
	for range 2 {
		_, _ = tb.Block(nobody, "192.0.2.1")
	}
	for range 2 {
		_, _ = tb.Unblock(nobody, "192.0.2.1")
	}
	_, _ = tb.Block(nobody, "0.0.0.0/0")
	if want := []string{"192.0.2.1 true", "192.0.2.1 false"}; !slices.Equal(told, want) {
		t.Errorf("%v, want %v", told, want)
	}
}

func FuzzBlock(f *testing.F) {
	for _, s := range []string{"romeo@sip.example.com", "192.0.2.0/24", "@example.org", "xmpp:a@b", "+49 30", "sip:a%00@b", "tel:", "<sip:a@b>"} {
		f.Add(s)
	}
	r := rules(f)
	f.Fuzz(func(t *testing.T, what string) {
		tb := New(Options{Rules: func() *mapping.Rules { return r }})
		for _, owner := range []mapping.JID{nobody, jid(t, "juliet@example.com")} {
			e, err := tb.Block(owner, what)
			if err != nil {
				continue
			}
			if again, err := tb.Block(owner, e.What); err != nil || again.What != e.What {
				t.Errorf("%q: %q is read as %q, %v", what, e.What, again.What, err)
			}
			if _, err := tb.Unblock(owner, what); err != nil {
				t.Errorf("%q: %v", what, err)
			}
		}
	})
}
