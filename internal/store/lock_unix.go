//go:build unix

package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// lockFile takes the lock that one daemon holds on its file; the kernel releases
// it when the process ends, however it ends. The lock is a file of its own, since
// SQLite's locks on the file itself come and go, and closing any other descriptor
// of that file would release them.
func lockFile(path string) (*os.File, error) {
	// Not through a symbolic link: root may look after a file whose directory
	// belongs to the daemon.
	const flags = os.O_CREATE | os.O_RDWR | syscall.O_NOFOLLOW
	f, err := os.OpenFile(path, flags|os.O_EXCL, 0o600)
	if err == nil {
		giveToOwner(f, strings.TrimSuffix(path, lockSuffix))
	} else if errors.Is(err, fs.ErrExist) {
		f, err = os.OpenFile(path, flags, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("store: cannot lock: %w", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		pid, _ := io.ReadAll(io.LimitReader(f, 20))
		f.Close()
		return nil, fault(ErrLocked, fmt.Errorf("process %s holds %s; two daemons cannot share a store: stop the other one, or set another store.path",
			strings.TrimSpace(string(pid)), path))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("store: cannot lock %s: %w", path, err)
	}
	_ = f.Truncate(0)
	_, _ = fmt.Fprintln(f, os.Getpid()) // for the message above only
	return f, nil
}

// giveToOwner makes a new lock belong to whom the file belongs, who has to be able
// to take it later.
func giveToOwner(lock *os.File, path string) {
	if os.Geteuid() != 0 {
		return
	}
	st, err := os.Stat(path)
	if err != nil {
		return // not there yet: it will be root's as well
	}
	if owner, ok := st.Sys().(*syscall.Stat_t); ok {
		_ = lock.Chown(int(owner.Uid), int(owner.Gid)) // at worst the daemon says that it cannot lock
	}
}
