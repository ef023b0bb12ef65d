//go:build unix

package app

import "golang.org/x/sys/unix"

// writable asks the system whether this process may write a file, or make files
// in a directory.
func writable(path string, dir bool) error {
	mode := uint32(unix.R_OK | unix.W_OK)
	if dir {
		mode |= unix.X_OK
	}
	return unix.Access(path, mode)
}
