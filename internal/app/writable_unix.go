//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package app

import "syscall"

// The questions of access(2).
const (
	mayRead   = 4
	mayWrite  = 2
	maySearch = 1
)

// writable asks the system whether this process may write a file, or make files
// in a directory.
func writable(path string, dir bool) error {
	mode := uint32(mayRead | mayWrite)
	if dir {
		mode |= maySearch
	}
	return syscall.Access(path, mode)
}
