package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/stoxgw/stox/internal/config"
)

// Machine answers about the machine that the doctor runs on. What is nil is the
// system's.
type Machine struct {
	Addresses func() []netip.Addr                            // of its interfaces
	Files     func() (limit uint64, known bool)              // how many files this process may open
	Space     func(dir string) (free, all uint64, err error) // bytes of the file system
	Sync      func(dir string) (time.Duration, error)        // how long a small file there takes to be on the disk
	Owner     func(info fs.FileInfo) (uid int, known bool)   // whose it is
}

func (m Machine) orSystem() Machine {
	if m.Addresses == nil {
		m.Addresses = interfaceAddrs
	}
	if m.Files == nil {
		m.Files = ownFiles
	}
	if m.Space == nil {
		m.Space = space
	}
	if m.Sync == nil {
		m.Sync = syncFile
	}
	if m.Owner == nil {
		m.Owner = owner
	}
	return m
}

func interfaceAddrs() (out []netip.Addr) {
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, isNet := a.(*net.IPNet); isNet {
			if ip, isIP := netip.AddrFromSlice(n.IP); isIP {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out
}

// reading is how far a clock is ahead of ours, and whose it is.
type reading struct {
	of    string
	ahead time.Duration
}

// saw notes a clock.
func (d *doctor) saw(of string, ahead time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clocks = append(d.clocks, reading{of, ahead})
}

// wrongClock is what would be noticed: dates of messages, Expires, certificates.
const wrongClock = 30 * time.Second

// clock compares the clocks that were seen with ours.
func (d *doctor) clock() []Finding {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.clocks) == 0 {
		return []Finding{skip(checkClock, "nobody has told the time")}
	}
	slices.SortFunc(d.clocks, func(a, b reading) int { // by name: each server is told of once
		if a.of != b.of {
			if a.of < b.of {
				return -1
			}
			return 1
		}
		return int(b.ahead.Abs() - a.ahead.Abs())
	})
	d.clocks = slices.CompactFunc(d.clocks, func(a, b reading) bool { return a.of == b.of })
	var out []Finding
	for _, c := range d.clocks {
		if c.ahead.Abs() <= wrongClock {
			continue
		}
		way := "ahead of"
		if c.ahead < 0 {
			way = "behind"
		}
		out = append(out, bad(Warn, checkClock, "set the clock that is wrong: timedatectl shows ours, and whether it is kept right", "the clock of %s is %s %s ours", c.of, c.ahead.Abs().Round(time.Second), way))
	}
	if len(out) == 0 {
		return []Finding{ok(checkClock, "the clock agrees with that of %s", servers(len(d.clocks)))}
	}
	return out
}

func servers(n int) string { return plural(n, "server", "servers") }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// otherFiles is what the daemon has open besides SIP connections: sockets, the store,
// links, a DNS question or two.
const otherFiles = 200

// files compares the limit of open files with what the configuration may need.
func (d *doctor) files() []Finding {
	need := 2*uint64(d.Config.Limits.MaxConnections) + otherFiles // as many that we open
	whose := "here"
	limit, known := uint64(0), false
	if d.process != 0 {
		whose = "for the daemon"
		limit, known = processFiles(d.process)
	}
	if !known {
		whose = "here"
		limit, known = d.Machine.Files()
	}
	if !known {
		return []Finding{skip(checkFiles, "the limit of open files is not known")}
	}
	if limit < need {
		return []Finding{bad(Warn, checkFiles, "raise it for the service (systemctl edit stox: [Service] LimitNOFILE=65536), or lower limits.max_connections", "%d files may be open %s; limits.max_connections = %d can need %d", limit, whose, d.Config.Limits.MaxConnections, need)}
	}
	return []Finding{ok(checkFiles, "%d files may be open %s; limits.max_connections = %d can need %d", limit, whose, d.Config.Limits.MaxConnections, need)}
}

// What a store needs.
const (
	littleSpace = 500 << 20 // bytes
	littleShare = 20        // one part of so many
	slowSync    = 50 * time.Millisecond
)

// disk looks at the place of the store.
func (d *doctor) disk() []Finding {
	path := d.Config.Store.Path
	if path == "" {
		return []Finding{bad(Warn, checkDisk, "set store.path", "store.path is empty: messages that wait are lost when stox stops")}
	}
	if f := d.Store; f != nil {
		return []Finding{d.storeFault(*f)}
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	dir := filepath.Dir(path)
	var out []Finding
	free, all, err := d.Machine.Space(dir)
	switch {
	case err != nil:
		out = append(out, skip(checkDisk, "the space at %s is not known: %s", dir, reasonOf(err)))
	case free < littleSpace || free < all/littleShare:
		out = append(out, bad(Warn, checkDisk, "free some (df -h "+dir+"), or move store.path; store.trail says how long the past is kept", "%s is nearly full: %s of %s are free", dir, bytesText(free), bytesText(all)))
	default:
		out = append(out, ok(checkDisk, "%s has %s of %s free", dir, bytesText(free), bytesText(all)))
	}
	switch took, err := d.Machine.Sync(dir); {
	case err != nil:
		out = append(out, bad(Fail, checkDisk, "see what the system says about the disk (dmesg), and that the user that stox runs as may write there (store.path)", "%s cannot be written: %s", dir, reasonOf(err)))
	case took > slowSync:
		out = append(out, bad(Warn, checkDisk, "move store.path to a faster disk: a message that cannot be sent at once waits for the disk", "the disk at %s takes %s to keep what is written", dir, short(took)))
	default:
		out = append(out, ok(checkDisk, "the disk at %s keeps what is written in %s", dir, short(took)))
	}
	return append(out, d.fileModes(path, dir)...)
}

// storeFault is a failure unless a daemon runs, whose user may be another than ours.
func (d *doctor) storeFault(f config.Fault) Finding {
	level := Fail
	if d.running {
		level = Warn
	}
	return bad(level, checkDisk, f.Hint, "%s: %s", f.Path, f.Text)
}

// fileModes looks at the files of the store: they hold messages, and have to be the
// daemon's own.
func (d *doctor) fileModes(path, dir string) (out []Finding) {
	home, err := os.Stat(dir)
	if err != nil {
		return nil
	}
	mine, known := d.Machine.Owner(home)
	found := false
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			continue
		}
		found = true
		if info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
			out = append(out, bad(Warn, checkDisk, "chmod 600 "+path+suffix, "%s can be read by other users (mode %04o), and messages are in it", path+suffix, info.Mode().Perm()))
		}
		if uid, alsoKnown := d.Machine.Owner(info); known && alsoKnown && uid != mine && uid == 0 {
			out = append(out, bad(Fail, checkDisk, "stox has been run by root: chown --reference="+dir+" "+path+"*", "%s belongs to root, unlike its directory: the user that stox runs as cannot write it (store.path)", path+suffix))
		}
	}
	if found && len(out) == 0 {
		out = append(out, ok(checkDisk, "%s is readable by its owner only", path))
	}
	return out
}

// syncFile writes a small file, waits until it is on the disk, and removes it. It is
// the middle one of three tries.
func syncFile(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, ".stox-doctor-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var took []time.Duration
	for range 3 {
		begin := time.Now()
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	return took[1], f.Close()
}

func reasonOf(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}

func bytesText(n uint64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
