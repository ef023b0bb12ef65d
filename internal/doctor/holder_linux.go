package doctor

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// holderOf finds the process that has a socket open where s would be. Those of other
// users are found by root only.
func holderOf(s socket) (pid int, program string, found bool) {
	inodes := map[string]bool{}
	for _, table := range []string{s.network, s.network + "6"} {
		for _, row := range socketTable("/proc/net/" + table) {
			listens := s.network == "udp" || row.state == "0A"
			overlaps := row.addr.Addr() == s.addr.Addr() || row.addr.Addr().IsUnspecified() || s.addr.Addr().IsUnspecified()
			if listens && overlaps && row.addr.Port() == s.addr.Port() {
				inodes["socket:["+row.inode+"]"] = true
			}
		}
	}
	if len(inodes) == 0 {
		return 0, "", false
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		to, err := os.Readlink(fd)
		if err != nil || !inodes[to] {
			continue
		}
		dir := filepath.Dir(filepath.Dir(fd))
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		comm, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err != nil {
			continue
		}
		return pid, said(string(comm)), true
	}
	return 0, "", false
}

// tableRow is a row of /proc/net/tcp and the like.
type tableRow struct {
	addr         netip.AddrPort
	state, inode string
}

func socketTable(file string) (rows []tableRow) {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if row, err := parseTableRow(lines.Text()); err == nil {
			rows = append(rows, row)
		}
	}
	return rows
}

// parseTableRow reads "0: 0100007F:13C4 00000000:0000 0A …": the address is in words of
// four octets, each the other way round.
func parseTableRow(line string) (tableRow, error) {
	w := strings.Fields(line)
	if len(w) < 10 {
		return tableRow{}, fmt.Errorf("no row of a socket table: %q", line)
	}
	host, port, _ := strings.Cut(w[1], ":")
	b, err := hex.DecodeString(host)
	if err != nil {
		return tableRow{}, err
	}
	for i := 0; i+4 <= len(b); i += 4 {
		b[i], b[i+1], b[i+2], b[i+3] = b[i+3], b[i+2], b[i+1], b[i]
	}
	addr, isAddr := netip.AddrFromSlice(b)
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil || !isAddr {
		return tableRow{}, fmt.Errorf("no address: %q", w[1])
	}
	return tableRow{netip.AddrPortFrom(addr.Unmap(), uint16(n)), w[3], w[9]}, nil
}

// peerProcess is the process behind a Unix socket, 0 if that cannot be told.
func peerProcess(ctx context.Context, path string) int {
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return 0
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	err = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	if err != nil {
		return 0
	}
	return pid
}

// processFiles is the limit of open files of a process.
func processFiles(pid int) (uint64, bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if rest, is := strings.CutPrefix(line, "Max open files"); is {
			w := strings.Fields(rest)
			if len(w) == 0 {
				return 0, false
			}
			if w[0] == "unlimited" {
				return 1 << 62, true
			}
			n, err := strconv.ParseUint(w[0], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
