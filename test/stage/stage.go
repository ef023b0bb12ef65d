// Package stage starts real programs for tests and for the demo: stox itself,
// XMPP servers, XMPP clients, SIP phones and SIP proxies, each as a private
// instance in a private directory, on free ports of the loopback interface.
//
// Nothing in here waits by sleeping: every wait is for something to happen,
// with a deadline from its context.
package stage

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Stage owns a private directory and everything that was started in it.
type Stage struct {
	Dir string

	mu    sync.Mutex // guards procs
	procs []*Proc
}

// New makes a stage in dir, which must exist.
func New(dir string) (*Stage, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	return &Stage{Dir: abs}, nil
}

// Close ends every program, the last one first.
func (r *Stage) Close() {
	r.mu.Lock()
	procs := r.procs
	r.procs = nil
	r.mu.Unlock()
	for i := len(procs) - 1; i >= 0; i-- {
		procs[i].Kill()
	}
}

// Logs is the end of what every program has said, for a failed test.
func (r *Stage) Logs() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var s string
	for _, p := range r.procs {
		s += fmt.Sprintf("--- %s\n%s", p.Name, p.Tail(40))
	}
	return s
}

// file writes a file below the stage's directory and returns its path.
func (r *Stage) file(name, text string, mode os.FileMode) (string, error) {
	path := filepath.Join(r.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, []byte(text), mode)
}

// joined writes a file of what is in others, one after the other, and returns its path.
func (r *Stage) joined(name string, files ...string) (string, error) {
	var text []byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return "", err
		}
		text = append(text, b...)
	}
	return r.file(name, string(text), 0o600)
}

// outside is the address that Outside has found.
var outside = sync.OnceValues(func() (string, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String(), nil
		}
	}
	// This one is for documentation (RFC 5737): on the loopback interface it is in nobody's way.
	const spare = "203.0.113.1"
	out, err := exec.Command("ip", "address", "add", spare+"/32", "dev", "lo").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("this machine has no IPv4 address but those of loopback; as root: ip address add %s/32 dev lo (%w: %s)", spare, err, out)
	}
	return spare, nil
})

// Outside is an address of this machine that is not a loopback address: who sends from it is not
// trusted for being on this machine. A machine that has none is given one, if we may.
func Outside() (string, error) { return outside() }

// ports hands out the ports of one block, each once, so that tests in parallel do
// not take what another has only just found free.
var ports struct {
	mu    sync.Mutex
	guard net.Listener // on the first port of the block, kept open
	first int
	next  int
}

const (
	firstBlock, lastBlock = 20000, 30000 // below the ports that the kernel gives out
	blockSize             = 1000
)

// Port finds a port that is free on 127.0.0.1 for UDP and TCP, and the one
// above it too: some phones take the next one for TLS.
func Port() (int, error) {
	ports.mu.Lock()
	defer ports.mu.Unlock()
	if ports.guard == nil {
		if err := takeBlock(); err != nil {
			return 0, err
		}
	}
	for range blockSize / 2 {
		n := ports.next
		if ports.next += 2; ports.next >= ports.first+blockSize {
			ports.next = ports.first + 2
		}
		if free(n) && free(n+1) {
			return n, nil
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d", ports.first, ports.first+blockSize)
}

// takeBlock makes a block of ports ours: test programs run at the same time, and
// whoever listens on the first port of a block has all of it.
func takeBlock() error {
	for n := firstBlock; n <= lastBlock; n += blockSize {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", n))
		if err != nil {
			continue
		}
		ports.guard, ports.first, ports.next = l, n, n+2
		return nil
	}
	return fmt.Errorf("every block of ports from %d to %d is taken", firstBlock, lastBlock+blockSize)
}

func free(port int) bool {
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	t, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	defer t.Close()
	u, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	u.Close()
	return true
}

// bound reports whether a program has a port, without touching it: it looks into
// the kernel's tables (addresses are hexadecimal there, state 0A is LISTEN).
func bound(network string, port int) bool {
	b, err := os.ReadFile("/proc/net/" + network)
	if err != nil {
		return false
	}
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) > 3 && strings.HasSuffix(fields[1], suffix) && (network == "udp" || fields[3] == "0A") {
			return true
		}
	}
	return false
}

// WaitTCP returns when something listens at addr.
func WaitTCP(ctx context.Context, addr string) error {
	return poll(ctx, "nobody listens at "+addr, func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// poll asks until done says yes, for programs that do not tell when they are ready.
func poll(ctx context.Context, what string, done func() bool) error {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case <-t.C:
		}
	}
	return nil
}
