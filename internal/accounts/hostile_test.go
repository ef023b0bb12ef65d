package accounts

import (
	"testing"
	"testing/synctest"

	"github.com/stoxgw/stox/mapping"
)

// SEC-17: an account of one's own, which works, gives nobody more guesses at that of another.
func TestTriesOutlastOneThatWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, keysOf(t, "one"), ModeOptional)
		guesses := 0
		for range 3 * mostTries {
			for _, s := range []LineState{wrong, good} {
				var a answer
				w.Set(romeo, details(map[bool]string{true: "romeo@dns.example", false: "juliet@dns.example"}[s.Registered], "secret"), a.done)
				if a.n == 0 {
					w.lines.end(s)
					w.book.all()
				}
				if a.kind() == string(KindWrongPassword) {
					guesses++
				}
			}
		}
		if guesses != mostTries {
			t.Errorf("%d guesses, want %d", guesses, mostTries)
		}
	})
}

// Nobody learns in this way of all addresses whether they are somebody's account.
func TestAskingWhoHasAnAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil, keysOf(t, "one"), ModeOptional)
		w.must(t, juliet, details("juliet@dns.example", "secret"))
		told := map[string]int{}
		for range 3 * mostTries {
			var a answer
			w.Set(romeo, details("juliet@dns.example", "a guess"), a.done)
			told[a.kind()]++
		}
		if told[string(KindTaken)] != mostTries || told[string(KindBusy)] != 2*mostTries {
			t.Errorf("%v", told)
		}
	})
}

// A list of lines that was made before an account was removed, and reaches the SIP side after
// that, must not leave it there.
func TestAnOldListIsOvertaken(t *testing.T) {
	w := newWorld(t, nil, keysOf(t, "one"), ModeOptional)
	w.must(t, romeo, details("romeo@dns.example", "secret"))
	var a answer
	gone := make(chan struct{})
	w.lines.onDrop = func() { close(gone) }
	w.lines.before = func() { // the list is made, and not there yet
		w.lines.before = nil
		w.Remove(romeo, a.done)
		w.lines.running.Go(w.book.all)
		<-gone
	}
	w.SetPolicy(w.policyFor(t, ModeOptional, "example.com"))
	w.lines.running.Wait()
	if got := w.lines.registered(); len(got) > 0 || a.kind() != "ok" {
		t.Errorf("%q, and registered are %v", a.kind(), got)
	}
}

// Who is blocked by an admin is not allowed any more, though no policy says so: the account
// sleeps until he is allowed again.
func TestAccessThatChanges(t *testing.T) {
	w := newWorld(t, nil, keysOf(t, "one"), ModeOptional)
	w.must(t, romeo, details("romeo@dns.example", "secret"))
	w.must(t, juliet, details("juliet@dns.example", "secret"))
	blocked := false
	p := w.policyFor(t, ModeOptional, "example.com")
	p.Access = p.Access.Except(func(j mapping.JID) bool { return blocked && j.Bare() == romeo })
	w.SetPolicy(p)
	for _, blocked = range []bool{true, false} {
		sets := w.sets
		w.Reconsider()
		w.Reconsider()
		if n := w.sets - sets; n != 1 {
			t.Errorf("blocked %t: the lines were told %d times", blocked, n)
		}
		_, has := w.AccountOf(romeo)
		_, line := w.lines.registered()[mapping.MustParseURI("sip:romeo@dns.example")]
		if got, _ := w.Of(romeo); has == blocked || line == blocked || (got.State == StateAsleep) != blocked {
			t.Errorf("blocked %t: %+v", blocked, got)
		}
		if _, has := w.AccountOf(juliet); !has {
			t.Errorf("blocked %t: another user has none", blocked)
		}
	}
}
