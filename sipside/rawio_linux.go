//go:build !race

package sipside

import (
	"syscall"
	"unsafe"
)

// readNow and writeNow are read and write of a descriptor that never blocks. The runtime is
// not told of the call: to be told, it would wake the thread that looks for calls that take
// long, which costs more than the call.

const unannounced = true

func readNow(fd uintptr, p []byte) (int, error) { return raw(syscall.SYS_READ, fd, p) }

func writeNow(fd uintptr, p []byte) (int, error) { return raw(syscall.SYS_WRITE, fd, p) }

func raw(call, fd uintptr, p []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
