package store

import (
	"errors"
	"fmt"
)

// Why Append and Update refuse. The faults (ErrDiskFull and following) also come
// with Events.Committed, State and Open, wrapped: use errors.Is.
var (
	// ErrFull: the bound on rows, bytes or rows waiting is reached.
	ErrFull = errors.New("store: queue is full")
	// ErrClosed: Run is over.
	ErrClosed = errors.New("store: closed")
	// ErrBadEntry: an id out of range or in use, or a row over 16 MiB.
	ErrBadEntry = errors.New("store: bad entry")

	// ErrDiskFull: no room on the disk, or the file has its greatest size.
	ErrDiskFull = errors.New("disk full")
	// ErrLocked: another process holds the file.
	ErrLocked = errors.New("file is locked by another process")
	// ErrIO: the disk failed, or the file cannot be written.
	ErrIO = errors.New("input/output error")
	// ErrCorrupt: the file is damaged.
	ErrCorrupt = errors.New("file is damaged")
	// ErrForeign: the file is of another program.
	ErrForeign = errors.New("not a file of stox")
	// ErrNewer: the file was written by a newer version.
	ErrNewer = errors.New("file was written by a newer version")
)

// errMany: there are more than the caller has room for.
var errMany = errors.New("store: too many")

// fault wraps what an engine reported, with its class.
func fault(class, err error) error {
	return fmt.Errorf("store: %w: %w", class, err)
}
