//go:build unix

package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// lockFile takes the lock that one daemon holds on its file; the kernel releases
// it when the process ends, however it ends. The lock is a file of its own, since
// SQLite's locks on the file itself come and go, and closing any other descriptor
// of that file would release them.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
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
