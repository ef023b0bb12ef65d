package store

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func accountsIn(t *testing.T, s *Store) map[string]Account {
	t.Helper()
	all, last := map[string]Account{}, ""
	if err := s.LoadAccounts(func(batch []Account) error {
		for _, a := range batch {
			if a.User <= last {
				t.Errorf("%s comes after %s", a.User, last)
			}
			all[a.User], last = a, a.User
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// putAccounts waits for what is reported.
func putAccounts(r *running, batch ...Account) error {
	done := make(chan error, 1)
	if err := r.PutAccounts(batch, func(err error) { done <- err }); err != nil {
		return err
	}
	return <-done
}

func someAccount(user, aor, data string) Account {
	return Account{User: user, AOR: aor, Since: fromMillis(1700000000123), Data: []byte(data)}
}

// What was reported as kept is there, across restarts where there is a file; what has no data
// goes, and of two users with one AOR the later one has it.
func TestAccounts(t *testing.T) {
	engines(t, func(t *testing.T, path string) {
		s := mustOpen(t, path, Options{})
		r := start(t, s)
		juliet, romeo := someAccount("juliet@x", "sip:j@pbx", "one"), someAccount("romeo@x", "sip:r@pbx", "two")
		if err := putAccounts(r, juliet, romeo); err != nil {
			t.Fatal(err)
		}
		if got := accountsIn(t, s); !reflect.DeepEqual(got, map[string]Account{"juliet@x": juliet, "romeo@x": romeo}) {
			t.Errorf("reported, and there are %v", got)
		}
		juliet.AOR, juliet.Data = "sip:j2@pbx", []byte("three")
		nurse := someAccount("nurse@x", "sip:j@pbx", "four")
		if err := putAccounts(r, juliet, nurse, Account{User: "romeo@x"}, Account{User: "nobody@x"}); err != nil {
			t.Fatal(err)
		}
		tybalt := someAccount("tybalt@x", "sip:j@pbx", "five")
		if err := s.PutAccounts([]Account{tybalt}, nil); err != nil {
			t.Fatal(err)
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if err := s.PutAccounts([]Account{romeo}, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
		if path != "" {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, path, Options{})
			defer s.Close()
		}
		if got := accountsIn(t, s); !reflect.DeepEqual(got, map[string]Account{"juliet@x": juliet, "tybalt@x": tybalt}) {
			t.Errorf("there are %v", got)
		}
	})
}

// A fault is told to who waits, once, and what he gives up is not tried again; what nobody
// waits for is, and messages go on.
func TestAccountsInAFault(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	s, f := openFaulty(t, path, Options{})
	r := start(t, s)
	disk := errors.New("no disk")
	f.set(on("COMMIT", disk), false)
	if err := putAccounts(r, someAccount("juliet@x", "sip:j@pbx", "one")); !errors.Is(err, disk) {
		t.Errorf("told %v", err)
	}
	if err := putAccounts(r, someAccount("nurse@x", "sip:n@pbx", "two")); !errors.Is(err, disk) {
		t.Errorf("while the store fails: told %v", err)
	}
	romeo := someAccount("romeo@x", "sip:r@pbx", "three")
	if err := s.PutAccounts([]Account{romeo, {User: "juliet@x"}}, nil); err != nil {
		t.Error(err)
	}
	f.set(nil, false)
	r.flushed()
	if got := accountsIn(t, s); !reflect.DeepEqual(got, map[string]Account{"romeo@x": romeo}) {
		t.Errorf("there are %v", got)
	}
	mustAppend(t, s, entry(1, "one"))
	r.committed(1)
}

// The order of versions is that of PutAccounts, also where a commit fails in between.
func TestAccountsKeepTheirOrder(t *testing.T) {
	s := mustOpen(t, "", Options{})
	put := func(data string) {
		if err := s.PutAccounts([]Account{someAccount("a@x", "sip:a@pbx", data)}, nil); err != nil {
			t.Error(err)
		}
	}
	put("1")
	s.mu.Lock()
	w, _ := s.takeLocked(s.nextExpiry, true)
	s.mu.Unlock()
	put("2")
	s.mu.Lock()
	s.failLocked(w, errRow, s.nextExpiry)
	if s.accountRows != 2 {
		t.Errorf("%d wait", s.accountRows)
	}
	s.mu.Unlock()
	if err := start(t, s).stop(); err != nil {
		t.Fatal(err)
	}
	if got := string(accountsIn(t, s)["a@x"].Data); got != "2" {
		t.Errorf("version %s is there", got)
	}
}

// What waits is bounded.
func TestAccountsAreBounded(t *testing.T) {
	s := mustOpen(t, "", Options{})
	defer s.Close()
	many := make([]Account, maxAccountsWait)
	if err := s.PutAccounts(many, nil); err != nil {
		t.Fatal(err)
	}
	told := s.PutAccounts([]Account{someAccount("a@x", "sip:a@pbx", "1")}, func(err error) { t.Errorf("told: %v", err) })
	if !errors.Is(told, ErrFull) || s.State().Unflushed != maxAccountsWait {
		t.Errorf("%v, %d wait", told, s.State().Unflushed)
	}
}

// What was replaced or deleted leaves the disk, as sealed as it is.
func TestAccountsAreErased(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	s := mustOpen(t, path, Options{})
	r := start(t, s)
	old := "0123456789-sealed-and-old"
	if err := putAccounts(r, someAccount("juliet@x", "sip:j@pbx", old), someAccount("romeo@x", "sip:r@pbx", old)); err != nil {
		t.Fatal(err)
	}
	if err := putAccounts(r, someAccount("juliet@x", "sip:j@pbx", "new"), Account{User: "romeo@x"}); err != nil {
		t.Fatal(err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal"} {
		text, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if strings.Contains(string(text), old) {
			t.Errorf("%s still has it", name)
		}
	}
}
