//go:build linux || darwin || freebsd

package doctor

import (
	"io/fs"
	"syscall"
)

// space is what a user who is not root finds free, and the whole.
func space(dir string) (free, all uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	return uint64(max(int64(s.Bavail), 0)) * uint64(s.Bsize), uint64(s.Blocks) * uint64(s.Bsize), nil
}

// ownFiles is the limit of this process, which Go has raised as far as it may.
func ownFiles() (uint64, bool) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, false
	}
	return uint64(l.Cur), true
}

func owner(info fs.FileInfo) (int, bool) {
	st, isStat := info.Sys().(*syscall.Stat_t)
	if !isStat {
		return 0, false
	}
	return int(st.Uid), true
}
