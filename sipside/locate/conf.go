package locate

import (
	"bufio"
	"bytes"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	resolvConf = "/etc/resolv.conf"
	hostsFile  = "/etc/hosts"

	recheck    = 5 * time.Second // how often a file is looked at
	maxFile    = 1 << 20         // of it is read
	maxServers = 3               // as the C library has it
	port53     = 53
)

// file is a file of the system that is read again when it has changed.
type file[T any] struct {
	path  string
	parse func(io.Reader) T

	mu      sync.Mutex // guards the following
	looked  time.Time
	changed time.Time
	size    int64
	value   T
}

// get is what the file says; a file that is not there is an empty one.
func (f *file[T]) get(now time.Time) T {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.looked.IsZero() && now.Sub(f.looked) < recheck {
		return f.value
	}
	first := f.looked.IsZero()
	f.looked = now
	var changed time.Time
	size := int64(-1)
	if info, err := os.Stat(f.path); err == nil {
		changed, size = info.ModTime(), info.Size()
	}
	if !first && changed.Equal(f.changed) && size == f.size {
		return f.value
	}
	f.changed, f.size = changed, size
	var b []byte
	if r, err := os.Open(f.path); err == nil {
		b, _ = io.ReadAll(io.LimitReader(r, maxFile))
		r.Close()
	}
	f.value = f.parse(bytes.NewReader(b))
	return f.value
}

// resolver is what resolv.conf says, as far as it matters here: its search list does
// not, since a SIP domain is a whole name.
type resolver struct {
	servers []netip.AddrPort
	timeout time.Duration // of one try
	tries   int           // of each server
}

const (
	tryTimeout = 2 * time.Second // one try
	maxTries   = 3
)

func parseResolvConf(r io.Reader) (conf resolver) {
	conf.timeout, conf.tries = tryTimeout, 2
	if c, err := dns.ClientConfigFromReader(r); err == nil {
		for _, s := range c.Servers {
			if a, err := netip.ParseAddr(s); err == nil && len(conf.servers) < maxServers {
				conf.servers = append(conf.servers, netip.AddrPortFrom(a, port53))
			}
		}
		conf.timeout = min(time.Duration(c.Timeout)*time.Second, tryTimeout)
		conf.tries = min(c.Attempts, maxTries)
	}
	if len(conf.servers) == 0 { // resolv.conf(5)
		conf.servers = []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port53)}
	}
	return conf
}

// parseHosts reads hosts(5): an address and its names in each line.
func parseHosts(r io.Reader) map[string][]netip.Addr {
	hosts := make(map[string][]netip.Addr)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		a, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		a = a.Unmap()
		for _, f := range fields[1:] {
			if name, ok := hostName(f); ok && Sendable(a) && !slices.Contains(hosts[name], a) && len(hosts[name]) < maxAddrs {
				hosts[name] = append(hosts[name], a)
			}
		}
	}
	return hosts
}

var loopback = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}

// local looks for a host among those that are not asked in DNS: the hosts file has the
// first word, and localhost with all below it is this machine (RFC 6761 §6.3).
func (l *Locator) local(host string, now time.Time) ([]netip.Addr, bool) {
	if addrs := l.hosts.get(now)[host]; len(addrs) > 0 {
		return addrs, true
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return loopback, true
	}
	return nil, false
}
