package sipside

import (
	"errors"
	"slices"
	"syscall"
)

// What this machine is short of for a moment says nothing about the peer that a
// packet or a connection was for: it must not count as out of reach.

// busySeconds is what a sender is told to wait where something of ours is full.
const busySeconds = 5

// isShortage reports whether a system call failed for want of memory, of room in a
// queue of the system, or of file descriptors.
func isShortage(err error) bool {
	var e syscall.Errno
	return errors.As(err, &e) && slices.Contains(shortages, e)
}

// With an error queue (refused_linux.go) sending fails with ENOBUFS when the queue of
// a network interface is full; without one the packet is dropped and nobody is told.
var shortages = []syscall.Errno{syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN, syscall.EMFILE, syscall.ENFILE}
