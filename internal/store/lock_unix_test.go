//go:build unix

package store

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A lock that root makes belongs to whom the file belongs, and is not made through
// a symbolic link, which would be a way to any file of root's.
func TestLockOfAnotherUser(t *testing.T) {
	path := makeFile(t)
	lock := path + lockSuffix
	owner := func(name string) (uid uint32) {
		t.Helper()
		st, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return st.Sys().(*syscall.Stat_t).Uid
	}
	if os.Geteuid() == 0 { // nobody else can give files away
		if err := errors.Join(os.Remove(lock), os.Chown(path, 12345, 12345)); err != nil {
			t.Fatal(err)
		}
	}
	mustOpen(t, path, Options{}).Close()
	if got, want := owner(lock), owner(path); got != want {
		t.Errorf("the lock belongs to %d, the file to %d", got, want)
	}
	other := filepath.Join(t.TempDir(), "other")
	if err := errors.Join(os.WriteFile(other, []byte("precious"), 0o600), os.Remove(lock), os.Symlink(other, lock)); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(path, Options{}); err == nil {
		s.Close()
		t.Error("locked through a symbolic link")
	}
	if b, err := os.ReadFile(other); err != nil || string(b) != "precious" {
		t.Errorf("%q, %v", b, err)
	}
}
