package accounts

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// What a person may type, and what is made of it.
func TestDetails(t *testing.T) {
	w := newWorld(t, nil, keysOf(t, "one"), ModeOptional)
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		name string
		d    Details
		kind Kind
		want Line
	}{
		{"the least", Details{AOR: "romeo@dns.example", Password: "p"}, "", Line{Username: "romeo"}},
		{"all", Details{AOR: " sip:Romeo@DNS.example;transport=tcp ", Username: "r0", Password: " p ", Registrar: "sip:reg.dns.example", Name: " Romeo M. "}, "",
			Line{Username: "r0", Registrar: mapping.MustParseURI("sip:reg.dns.example"), Name: "Romeo M."}},
		{"the registrar is the domain", Details{AOR: "romeo@dns.example", Password: "p", Registrar: "DNS.example"}, "", Line{Username: "romeo"}},
		{"nothing", Details{}, KindIncomplete, Line{}},
		{"no password", Details{AOR: "romeo@dns.example"}, KindIncomplete, Line{}},
		{"no address", Details{Password: "p"}, KindIncomplete, Line{}},
		{"no user", Details{AOR: "dns.example", Password: "p"}, KindBadAddress, Line{}},
		{"a number", Details{AOR: "tel:+15550001111", Password: "p"}, KindBadAddress, Line{}},
		{"secure", Details{AOR: "sips:romeo@dns.example", Password: "p"}, KindBadAddress, Line{}},
		{"a port", Details{AOR: "romeo@dns.example:5070", Password: "p"}, KindBadAddress, Line{}},
		{"too long", Details{AOR: strings.Repeat(long, 4) + "@dns.example", Password: "p"}, KindBadAddress, Line{}},
		{"another domain", Details{AOR: "romeo@other.example", Password: "p"}, KindDomain, Line{}},
		{"a domain of nobody", Details{AOR: "romeo@far.example", Password: "p"}, KindDomain, Line{}},
		{"an XMPP domain", Details{AOR: "romeo@example.com", Password: "p"}, KindDomain, Line{}},
		{"an alias", Details{AOR: "7001@pbx.example.net", Password: "p"}, KindTaken, Line{}},
		{"the account of a route", Details{AOR: "Stox@pbx.example.net", Password: "p"}, KindTaken, Line{}},
		{"a registrar elsewhere", Details{AOR: "romeo@dns.example", Password: "p", Registrar: "reg.evil.example"}, KindBadRegistrar, Line{}},
		{"one that only ends so", Details{AOR: "romeo@dns.example", Password: "p", Registrar: "evildns.example"}, KindBadRegistrar, Line{}},
		{"an address as registrar", Details{AOR: "romeo@dns.example", Password: "p", Registrar: "127.0.0.1"}, KindBadRegistrar, Line{}},
		{"a port of it", Details{AOR: "romeo@dns.example", Password: "p", Registrar: "reg.dns.example:22"}, KindBadRegistrar, Line{}},
		{"a user at it", Details{AOR: "romeo@dns.example", Password: "p", Registrar: "sip:x@reg.dns.example"}, KindBadRegistrar, Line{}},
		{"a registrar behind a next hop", Details{AOR: "romeo@pbx.example.net", Password: "p", Registrar: "reg.pbx.example.net"}, KindBadRegistrar, Line{}},
		{"a line break in the password", Details{AOR: "romeo@dns.example", Password: "p\r\nX: y"}, KindBadLogin, Line{}},
		{"a long password", Details{AOR: "romeo@dns.example", Password: long}, KindBadLogin, Line{}},
		{"a line break in the user name", Details{AOR: "romeo@dns.example", Username: "a\nb", Password: "p"}, KindBadLogin, Line{}},
		{"a line break in the name", Details{AOR: "romeo@dns.example", Name: "a\nb", Password: "p"}, KindBadName, Line{}},
		{"a long name", Details{AOR: "romeo@dns.example", Name: strings.Repeat("ä", 65), Password: "p"}, KindBadName, Line{}},
		{"a name of that length", Details{AOR: "romeo@dns.example", Name: strings.Repeat("ä", 64), Password: "p"}, "", Line{Username: "romeo", Name: strings.Repeat("ä", 64)}},
	} {
		var a answer
		w.Set(romeo, c.d, a.done)
		if c.kind != "" {
			if a.kind() != string(c.kind) || len(w.lines.trials) > 0 {
				t.Errorf("%s: %q, want %q; %d trials", c.name, a.kind(), c.kind, len(w.lines.trials))
			}
			continue
		}
		if len(w.lines.trials) != 1 {
			t.Errorf("%s: %q", c.name, a.kind())
			continue
		}
		got := w.lines.trials[0].line
		if got.Username != c.want.Username || got.Registrar != c.want.Registrar || got.Name != c.want.Name || got.Password != c.d.Password || got.AOR.Host != "dns.example" || len(got.Token) < 20 {
			t.Errorf("%s: %s %s %q", c.name, got.AOR, got.Username, got.Name)
		}
		w.lines.end(LineState{State: "refused", Status: 404})
		delete(w.tries.of, romeo) // he may try as often as he likes
	}
}

// An account is the user's once it is registered and on the disk, and not before; the rules
// and the next run know it then.
func TestSet(t *testing.T) {
	keys := keysOf(t, "one")
	w := newWorld(t, nil, keys, ModeOptional)
	var a answer
	w.Set(mapping.MustParseJID("romeo@example.com/orchard"), Details{AOR: "romeo@dns.example", Password: "first", Name: "Romeo"}, a.done)
	if _, has := w.Of(romeo); has || a.n != 0 {
		t.Error("there before it is registered")
	}
	w.lines.end(LineState{State: "registered", Registered: true, Status: 200, Server: "192.0.2.1"})
	if _, has := w.AccountOf(romeo); has || a.n != 0 {
		t.Error("there before it is written")
	}
	w.LineState(LineState{AOR: mapping.MustParseURI("sip:romeo@dns.example"), State: "registered", Registered: true, Server: "192.0.2.2"})
	w.book.commit(nil, true)
	got, has := w.Of(romeo)
	if a.kind() != "ok" || !has || got.Username != "romeo" || got.Name != "Romeo" || got.State != "registered" || got.Server != "192.0.2.2" {
		t.Errorf("%q, %+v", a.kind(), got)
	}
	if aor, ok := w.AccountOf(romeo); !ok || aor.String() != "sip:romeo@dns.example" {
		t.Errorf("the rules know %s", aor)
	}
	if name := w.NameOf(romeo); name != "Romeo" {
		t.Errorf("his name is %q", name)
	}
	if j, ok := w.UserOf(mapping.MustParseURI("sip:romeo@dns.example")); !ok || j != romeo {
		t.Errorf("the rules know %s", j)
	}
	w.LineState(LineState{AOR: mapping.MustParseURI("sip:romeo@dns.example"), State: "lost", Status: 503, Reason: "Later"})
	if got, _ := w.Of(romeo); got.State != "lost" || got.Status != 503 {
		t.Errorf("%+v", got)
	}

	// A wrong password leaves what there was.
	var b answer
	w.Set(romeo, details("romeo@dns.example", "typo"), b.done)
	w.lines.end(wrong)
	if line := w.lines.registered()[mapping.MustParseURI("sip:romeo@dns.example")]; b.kind() != string(KindWrongPassword) || line.Password != "first" {
		t.Errorf("%q", b.kind())
	}

	// Another address takes the place of the first, which is taken back.
	token := w.lines.registered()[mapping.MustParseURI("sip:romeo@dns.example")].Token
	w.must(t, romeo, details("sip:montague@pbx.example.net", "second"))
	if len(w.lines.registered()) != 1 || w.lines.registered()[mapping.MustParseURI("sip:montague@pbx.example.net")].Token == token {
		t.Errorf("lines: %v", w.lines.registered())
	}
	if name := w.NameOf(romeo); name != "" {
		t.Errorf("without a name he is %q", name)
	}
	if _, ok := w.UserOf(mapping.MustParseURI("sip:romeo@dns.example")); ok {
		t.Error("the first address is still his")
	}

	// The next run has it, with the same contact.
	next := newWorld(t, w.book, keys, ModeOptional)
	if line := next.lines.registered()[mapping.MustParseURI("sip:montague@pbx.example.net")]; line.Password != "second" || line.Token == "" ||
		line.Token != w.lines.registered()[line.AOR].Token {
		t.Errorf("the next run has %v", next.lines.registered())
	}
	var c answer
	next.Remove(romeo, c.done)
	if _, has := next.Of(romeo); !has || c.n != 0 {
		t.Error("gone before it is gone from the disk")
	}
	next.book.commit(nil, true)
	if all, _ := next.Count(); all != 0 || c.kind() != "ok" || len(next.lines.registered()) != 0 || len(next.book.disk) != 0 {
		t.Errorf("%q; %d accounts, lines %v, disk %v", c.kind(), all, next.lines.registered(), next.book.disk)
	}
	var d answer
	next.Remove(romeo, d.done)
	if d.kind() != string(KindUnknown) {
		t.Errorf("%q", d.kind())
	}
}

// Why a registration fails is told by kind, and nothing is left of it.
func TestProblems(t *testing.T) {
	for status, kind := range map[int]Kind{401: KindWrongPassword, 403: KindWrongPassword, 407: KindWrongPassword, 0: KindNoAnswer, 408: KindNoAnswer, 503: KindNoAnswer, 404: KindRefused, 423: KindRefused, 606: KindRefused} {
		w := newWorld(t, nil, keysOf(t, "one"), ModeOptional)
		var a answer
		w.Set(romeo, details("romeo@dns.example", "secret"), a.done)
		w.lines.end(LineState{State: "refused", Status: status, Reason: "whatever"})
		p, _ := a.err.(*Problem)
		if a.n != 1 || p == nil || p.Kind != kind || p.Status != status || len(w.byUser)+len(w.changes)+len(w.wanted)+len(w.book.disk)+w.book.waits() != 0 {
			t.Errorf("%d: %v", status, a.err)
		}
	}
	w := newWorld(t, nil, keysOf(t, "one"), ModeOptional)
	var a answer
	w.Set(romeo, details("romeo@dns.example", "secret"), a.done)
	w.lines.end(LineState{State: "lost", Busy: true})
	if a.kind() != string(KindBusy) {
		t.Errorf("%q", a.kind())
	}
	for user, want := range map[string]Kind{"romeo@elsewhere.example": KindNotAllowed, "example.com": KindNotAllowed} {
		var a answer
		w.Set(mapping.MustParseJID(user), details("romeo@dns.example", "secret"), a.done)
		if a.kind() != string(want) {
			t.Errorf("%s: %q", user, a.kind())
		}
	}
	w.Drain()
	var b answer
	w.Set(romeo, details("romeo@dns.example", "secret"), b.done)
	if b.kind() != string(KindBusy) {
		t.Errorf("while it ends: %q", b.kind())
	}
}

// Two devices of a user, and two users with one address: one is first.
func TestOneAtATime(t *testing.T) {
	w := newWorld(t, nil, keysOf(t, "one"), ModeOptional)
	var a, b, c, d answer
	w.Set(romeo, details("romeo@dns.example", "secret"), a.done)
	w.Set(romeo, details("other@dns.example", "secret"), b.done)
	w.Remove(romeo, c.done)
	w.Set(juliet, details("ROMEO@dns.example", "secret"), d.done)
	if b.kind() != string(KindBusy) || c.kind() != string(KindBusy) || d.kind() != string(KindTaken) {
		t.Errorf("%q, %q, %q", b.kind(), c.kind(), d.kind())
	}
	w.lines.end(good)
	w.book.all()
	var e answer
	w.Set(juliet, details("ROMEO@dns.example", "secret"), e.done)
	if a.kind() != "ok" || e.kind() != string(KindTaken) {
		t.Errorf("%q, %q", a.kind(), e.kind())
	}
	// When it is free again she may have it.
	var f answer
	w.Remove(romeo, f.done)
	w.book.all()
	w.must(t, juliet, details("ROMEO@dns.example", "secret"))
}

// Many users at once want the same address: one has it, the others are told, and what is
// registered and on the disk is his.
func TestRaceForOneAddress(t *testing.T) {
	w := newWorld(t, nil, keysOf(t, "one"), ModeOptional)
	w.lines.at = func(Line) LineState { return good }
	w.book.now = true
	var wg, told sync.WaitGroup
	var mu sync.Mutex
	kinds := map[string]int{}
	const n = 50
	told.Add(n)
	for i := range n {
		user, err := mapping.NewJID("user"+string(rune('a'+i%26))+string(rune('a'+i/26)), "example.com", "")
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			w.Set(user, details("romeo@dns.example", "secret "+user.Local()), func(err error) {
				mu.Lock()
				defer mu.Unlock()
				var a answer
				a.done(err)
				kinds[a.kind()]++
				told.Done()
			})
			w.All()
			w.UserOf(mapping.MustParseURI("sip:romeo@dns.example"))
		})
	}
	wg.Wait()
	told.Wait()
	w.lines.running.Wait()
	w.book.running.Wait()
	all := w.All()
	if kinds["ok"] != 1 || kinds["ok"]+kinds[string(KindTaken)] != n || len(all) != 1 {
		t.Fatalf("%v, %d accounts", kinds, len(all))
	}
	user := all[0].User
	if line := w.lines.registered()[mapping.MustParseURI("sip:romeo@dns.example")]; line.Password != "secret "+user.Local() || w.book.disk[user].AOR != "sip:romeo@dns.example" {
		t.Errorf("%s has it, and registered is %v", user, w.lines.registered())
	}
}

// SEC-17: passwords cannot be tried for ever.
func TestTriesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, keysOf(t, "one"), ModeOptional)
		try := func(user mapping.JID, s LineState) string {
			var a answer
			w.Set(user, details(user.Local()+"@dns.example", "secret"), a.done)
			if a.n == 0 {
				w.lines.end(s)
				w.book.all()
			}
			if p, ok := a.err.(*Problem); ok && p.Kind == KindBusy && (p.Seconds < 1 || p.Seconds > 600) {
				t.Errorf("%d seconds", p.Seconds)
			}
			return a.kind()
		}
		for range mostTries {
			if got := try(romeo, wrong); got != string(KindWrongPassword) {
				t.Fatalf("%q", got)
			}
		}
		if got := try(romeo, good); got != string(KindBusy) {
			t.Errorf("%q", got)
		}
		if got := try(juliet, wrong); got != string(KindWrongPassword) {
			t.Errorf("another user: %q", got)
		}
		time.Sleep(triesFor)
		if got := try(romeo, good); got != "ok" {
			t.Errorf("%q", got)
		}
		for range maxTriers + 10 {
			w.tries.failed(mapping.MustParseJID(time.Now().Format("t150405.000000000")+"@example.com"), time.Now())
			time.Sleep(time.Microsecond)
		}
		if n := len(w.tries.of); n > maxTriers {
			t.Errorf("%d are remembered", n)
		}
	})
}

// What cannot be written is taken back, and what was before stays, on both sides and on the disk,
// whatever of it had reached the disk.
func TestDiskFault(t *testing.T) {
	for _, written := range []bool{false, true} {
		keys := keysOf(t, "one")
		w := newWorld(t, nil, keys, ModeOptional)
		var a answer
		w.Set(romeo, details("romeo@dns.example", "first"), a.done)
		w.lines.end(good)
		w.book.commit(errDisk, written)
		w.book.all()
		if a.kind() != string(KindNotKept) || len(w.lines.registered()) != 0 || len(w.book.disk) != 0 || len(w.All()) != 0 {
			t.Errorf("a new one: %q; %v, %v", a.kind(), w.lines.registered(), w.book.disk)
		}
		w.must(t, romeo, details("romeo@dns.example", "first"))
		for _, aor := range []string{"romeo@dns.example", "other@dns.example"} { // another password, another address
			var b answer
			w.Set(romeo, details(aor, "second"), b.done)
			w.lines.end(good)
			w.book.commit(errDisk, written)
			w.book.all()
			line := w.lines.registered()[mapping.MustParseURI("sip:romeo@dns.example")]
			if b.kind() != string(KindNotKept) || len(w.lines.registered()) != 1 || line.Password != "first" {
				t.Errorf("%s: %q, lines %v", aor, b.kind(), w.lines.registered())
			}
		}
		var c answer
		w.Remove(romeo, c.done)
		w.book.commit(errDisk, written)
		w.book.all()
		next := newWorld(t, w.book, keys, ModeOptional)
		if line := next.lines.registered()[mapping.MustParseURI("sip:romeo@dns.example")]; c.kind() != string(KindNotKept) || line.Password != "first" || len(w.lines.registered()) != 1 {
			t.Errorf("removed: %q, the next run has %v", c.kind(), next.lines.registered())
		}
		w.book.full = true
		var d answer
		w.Remove(romeo, d.done)
		if d.kind() != string(KindNotKept) || len(w.All()) != 1 {
			t.Errorf("nothing is taken: %q", d.kind())
		}
	}
}

// The process ends between the registration and the disk: nobody was told that the account is
// there, and it is not. And between the disk and the answer: it is there.
func TestCrashInBetween(t *testing.T) {
	keys := keysOf(t, "one")
	w := newWorld(t, nil, keys, ModeOptional)
	var a answer
	w.Set(romeo, details("romeo@dns.example", "secret"), a.done)
	w.lines.end(good)
	if next := newWorld(t, w.book, keys, ModeOptional); len(next.All()) != 0 || len(next.lines.registered()) != 0 || a.n != 0 {
		t.Errorf("%v, told %d times", next.All(), a.n)
	}
	w.book.waiting[0].done = nil
	w.book.commit(nil, true)
	if next := newWorld(t, w.book, keys, ModeOptional); len(next.All()) != 1 || len(next.lines.registered()) != 1 {
		t.Errorf("%v", next.All())
	}
}
