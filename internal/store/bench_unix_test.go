//go:build unix

package store

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// cost is what the process has used so far.
type cost struct{ cpu, writes, written int64 }

// costs returns nothing of writes where there is no /proc.
func costs() (c cost) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) == nil {
		c.cpu = u.Utime.Nano() + u.Stime.Nano()
	}
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return c
	}
	for line := range strings.Lines(string(b)) {
		_, _ = fmt.Sscanf(line, "wchar: %d", &c.written)
		_, _ = fmt.Sscanf(line, "syscw: %d", &c.writes)
	}
	return c
}
