package accounts

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoxgw/stox/mapping"
)

// Accounts that may not be used are kept and not registered, and wake up again.
func TestAsleep(t *testing.T) {
	keys := keysOf(t, "one")
	w := newWorld(t, nil, keys, ModeOptional)
	w.must(t, romeo, details("romeo@dns.example", "secret"))
	w.must(t, juliet, details("juliet@dns.example", "secret"))
	stored := len(w.book.disk)
	check := func(what string, registered int, kind Kind) {
		t.Helper()
		a, has := w.Of(romeo)
		_, known := w.AccountOf(romeo)
		if !has || len(w.lines.registered()) != registered || (kind != "") != (a.State == StateAsleep) || kind != "" && a.Reason != string(kind) || known == (kind != "") {
			t.Errorf("%s: %d lines, %+v, known %v", what, len(w.lines.registered()), a, known)
		}
		if len(w.book.disk) != stored || w.book.waits() > 0 {
			t.Errorf("%s: the disk was touched", what)
		}
	}
	w.SetPolicy(w.policyFor(t, ModeOptional, "juliet@example.com"))
	check("access.allow has him no more", 1, KindNotAllowed)
	w.SetPolicy(w.policyFor(t, ModeOptional, "example.com"))
	check("it has him again", 2, "")
	p := w.policyFor(t, ModeNone, "example.com")
	p.Keys = nil
	w.SetPolicy(p)
	check("accounts.mode is none", 0, KindOff)
	if !strings.Contains(w.log.String(), "accounts.mode is none\" accounts=2") {
		t.Errorf("the log\n%s", w.log.String())
	}
	var a, b answer
	w.Set(romeo, details("romeo@dns.example", "secret"), a.done)
	w.Remove(romeo, b.done)
	if a.kind() != string(KindOff) || b.kind() != string(KindOff) {
		t.Errorf("%q, %q", a.kind(), b.kind())
	}
	next := newWorld(t, w.book, nil, ModeNone)
	if all, asleep := next.Count(); all != 2 || asleep != 2 || len(next.lines.registered()) != 0 {
		t.Errorf("a start without accounts: %d, %d asleep", all, asleep)
	}
	w.SetPolicy(w.policyFor(t, ModeRequired, "example.com"))
	check("accounts are there again", 2, "")

	rules, err := mapping.NewRules(mapping.RulesConfig{GatewayDomain: "sip.example.com", UserDomains: []string{"example.com"}, DefaultSIPDomain: "pbx.example.net",
		Routes: []mapping.RouteRule{{Domain: "dns.example"}}, Accounts: w.Engine})
	if err != nil {
		t.Fatal(err)
	}
	p = w.policyFor(t, ModeOptional, "example.com")
	p.Rules = rules
	w.SetPolicy(p)
	check("no route has from = account", 0, KindDomain)
	w.SetPolicy(w.policyFor(t, ModeOptional, "example.com"))
	check("it has again", 2, "")
}

// What happens while an account is on its way: the policy changes, and lists are made without
// it. In the end what is registered is what there is.
func TestPolicyMeanwhile(t *testing.T) {
	for _, step := range []step{trying, writing} {
		w := newWorld(t, nil, keysOf(t, "one"), ModeOptional)
		w.must(t, juliet, details("juliet@dns.example", "secret"))
		begin := func(aor string) *answer {
			a := new(answer)
			w.Set(romeo, details(aor, "secret"), a.done)
			if step == writing {
				w.lines.end(good)
			}
			return a
		}
		finish := func() {
			if step == trying {
				w.lines.end(good)
			}
			w.book.all()
		}
		a := begin("romeo@dns.example")
		before := len(w.lines.registered())
		w.SetPolicy(w.policyFor(t, ModeOptional, "example.com"))
		if n := len(w.lines.registered()); n != before {
			t.Errorf("step %d: of %d lines %d are left", step, before, n)
		}
		finish()
		if a.kind() != "ok" || len(w.lines.registered()) != 2 {
			t.Errorf("step %d: %q, %v", step, a.kind(), w.lines.registered())
		}
		a = begin("other@dns.example")
		w.SetPolicy(w.policyFor(t, ModeOptional, "juliet@example.com"))
		finish()
		if got, _ := w.Of(romeo); a.kind() != "ok" || got.State != StateAsleep || len(w.lines.registered()) != 1 {
			t.Errorf("step %d: not allowed any more: %q, %+v, %v", step, a.kind(), got, w.lines.registered())
		}
		w.SetPolicy(w.policyFor(t, ModeOptional, "example.com"))
		a = begin("third@dns.example")
		w.SetPolicy(w.policyFor(t, ModeNone, "example.com"))
		finish()
		if len(w.lines.registered()) != 0 || a.n != 1 {
			t.Errorf("step %d: switched off: %q, %v", step, a.kind(), w.lines.registered())
		}
	}
}

// A new first line in the key file seals everything anew; then the old one may go. What no key
// opens sleeps, is kept, and wakes up when its key is back.
func TestRotation(t *testing.T) {
	w := newWorld(t, nil, keysOf(t, "one"), ModeOptional)
	w.must(t, romeo, details("romeo@dns.example", "first"))
	w.must(t, juliet, details("juliet@dns.example", "second"))

	w.keys = keysOf(t, "two", "one")
	w.SetPolicy(w.policyFor(t, ModeOptional, "example.com"))
	if w.book.waits() != 1 {
		t.Fatalf("%d batches are written", w.book.waits())
	}
	w.book.all()
	if !strings.Contains(w.log.String(), "sealed with the first key of accounts.key_file from now on\" accounts=2") {
		t.Errorf("the log\n%s", w.log.String())
	}
	next := newWorld(t, w.book, keysOf(t, "two"), ModeOptional)
	if l := next.lines.registered(); len(l) != 2 || l[mapping.MustParseURI("sip:romeo@dns.example")].Password != "first" || next.book.waits() > 0 {
		t.Errorf("with the new key alone: %v", l)
	}

	// By mistake the key is gone.
	lost := newWorld(t, w.book, keysOf(t, "three"), ModeOptional)
	a, has := lost.Of(romeo)
	if !has || a.State != StateAsleep || a.Reason != string(KindLocked) || len(lost.lines.registered()) != 0 || lost.book.waits() > 0 {
		t.Errorf("without its key: %+v", a)
	}
	if !strings.Contains(lost.log.String(), "cannot be opened; it is kept and asleep") || !strings.Contains(lost.log.String(), "romeo@example.com") {
		t.Errorf("the log\n%s", lost.log.String())
	}
	var taken answer
	lost.Set(mapping.MustParseJID("tybalt@example.com"), details("romeo@dns.example", "x"), taken.done)
	if taken.kind() != string(KindTaken) {
		t.Errorf("what is locked is still his: %q", taken.kind())
	}
	lost.must(t, juliet, details("juliet@dns.example", "third")) // she registers again
	lost.keys = keysOf(t, "three", "two")
	lost.SetPolicy(lost.policyFor(t, ModeOptional, "example.com"))
	lost.book.all()
	l := lost.lines.registered()
	if l[mapping.MustParseURI("sip:romeo@dns.example")].Password != "first" || l[mapping.MustParseURI("sip:juliet@dns.example")].Password != "third" {
		t.Errorf("its key is back: %v", l)
	}
	if next := newWorld(t, lost.book, keysOf(t, "three"), ModeOptional); len(next.lines.registered()) != 2 {
		t.Errorf("with the newest key alone: %v", next.lines.registered())
	}
}

// A rotation that meets a fault, or an account on its way, loses nothing.
func TestRotationMeanwhile(t *testing.T) {
	for _, fault := range []error{nil, errDisk} {
		w := newWorld(t, nil, keysOf(t, "one"), ModeOptional)
		w.must(t, romeo, details("romeo@dns.example", "first"))
		w.must(t, juliet, details("juliet@dns.example", "second"))
		var a answer
		w.Set(romeo, details("romeo@dns.example", "new"), a.done)
		w.lines.end(good)
		w.keys = keysOf(t, "two", "one")
		w.SetPolicy(w.policyFor(t, ModeOptional, "example.com"))
		w.book.commit(fault, false) // romeo's
		w.book.commit(fault, false) // juliet's
		w.book.all()
		if fault != nil {
			w.SetPolicy(w.policyFor(t, ModeOptional, "example.com")) // another reload
			w.book.all()
		}
		password := map[error]string{nil: "new", errDisk: "first"}[fault]
		next := newWorld(t, w.book, keysOf(t, "two"), ModeOptional)
		if l := next.lines.registered(); len(l) != 2 || l[mapping.MustParseURI("sip:romeo@dns.example")].Password != password {
			t.Errorf("%v: %v\n%s", fault, l, next.log.String())
		}
	}
}

// Rows that were changed, or moved to another user, do not open; many of them are told in few
// lines.
func TestRowsOfOthers(t *testing.T) {
	w := newWorld(t, nil, keysOf(t, "one"), ModeOptional)
	w.must(t, romeo, details("romeo@dns.example", "first"))
	stolen := w.book.disk[romeo]
	delete(w.book.disk, romeo)
	stolen.User = juliet
	w.book.disk[juliet] = stolen
	for i := range 2 * maxTold {
		user := mapping.MustParseJID(fmt.Sprintf("u%d@example.com", i))
		w.book.disk[user] = Record{User: user, AOR: fmt.Sprintf("sip:u%d@dns.example", i), Sealed: []byte("nothing")}
	}
	w.book.disk[romeo] = Record{User: romeo, AOR: "not an address", Sealed: []byte("nothing")}
	next := newWorld(t, w.book, keysOf(t, "one"), ModeOptional)
	if a, _ := next.Of(juliet); a.Reason != string(KindLocked) || len(next.lines.registered()) != 0 {
		t.Errorf("%+v", a)
	}
	if n := strings.Count(next.log.String(), "level=ERROR"); n > maxTold+2 {
		t.Errorf("%d lines", n)
	}
	if !strings.Contains(next.log.String(), fmt.Sprintf("accounts=%d", 2*maxTold+1)) {
		t.Errorf("the log\n%s", next.log.String())
	}
}

// No password is in what is stored, logged or told.
func TestNoPasswordAnywhere(t *testing.T) {
	const password = "night's-cloak-4711"
	w := newWorld(t, nil, keysOf(t, "one"), ModeOptional)
	told := ""
	set := func(d Details, s LineState, fault error) {
		delete(w.tries.of, romeo)
		var a answer
		w.Set(romeo, d, a.done)
		if a.n == 0 {
			w.lines.end(s)
			if w.book.waits() > 0 {
				w.book.commit(fault, true)
			}
			w.book.all()
		}
		told += fmt.Sprintf("%v %+v %+v\n", a.err, w.All(), w.Engine.byUser[romeo])
	}
	d := Details{AOR: "romeo@dns.example", Password: password}
	set(d, good, nil)
	set(d, wrong, nil)
	set(d, good, errDisk)
	d.AOR = "sip:romeo:" + password + "@dns.example"
	set(d, good, nil)
	d.AOR = "romeo@evil.example"
	set(d, good, nil)
	d = Details{AOR: "romeo@dns.example", Password: password, Registrar: password}
	set(d, good, nil)
	w.keys = keysOf(t, "two", "one")
	w.SetPolicy(w.policyFor(t, ModeOptional, "example.com"))
	w.book.all()
	lost := newWorld(t, w.book, keysOf(t, "three"), ModeOptional)
	for name, text := range map[string]string{"the log": w.log.String() + lost.log.String(), "answers": told} {
		if strings.Contains(text, password) {
			t.Errorf("it is in %s:\n%s", name, text)
		}
	}
	if len(w.book.disk) != 1 {
		t.Errorf("%d rows", len(w.book.disk))
	}
	for _, r := range w.book.disk {
		if strings.Contains(string(r.Sealed)+r.AOR, password) {
			t.Error("it is on the disk")
		}
	}
	if !strings.Contains(w.log.String(), "romeo@example.com") {
		t.Error("the log has nothing at all")
	}
}
