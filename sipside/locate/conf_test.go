package locate

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestResolvConf(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "[127.0.0.1:53] 2s 2"},
		{"nameserver 192.0.2.53\nsearch example.net\noptions ndots:5\n", "[192.0.2.53:53] 2s 2"},
		{"# c\nnameserver 192.0.2.53\nnameserver 2001:db8::53\nnameserver fe80::1%eth0\nnameserver 192.0.2.54\n",
			"[192.0.2.53:53 [2001:db8::53]:53 [fe80::1%eth0]:53] 2s 2"},
		{"nameserver ns.example.net\n", "[127.0.0.1:53] 2s 2"},
		{"nameserver 192.0.2.53\noptions timeout:1 attempts:1 rotate\n", "[192.0.2.53:53] 1s 1"},
		{"nameserver 192.0.2.53\noptions timeout:30 attempts:99\n", "[192.0.2.53:53] 2s 3"},
		{"options timeout:0 attempts:-1\n", "[127.0.0.1:53] 1s 1"},
		{"nameserver\n\x00\xff\n" + strings.Repeat("x", 100000), "[127.0.0.1:53] 2s 2"},
	} {
		conf := parseResolvConf(strings.NewReader(c.text))
		if got := fmt.Sprint(conf.servers, conf.timeout, conf.tries); got != c.want {
			t.Errorf("%.60q: got %s, want %s", c.text, got, c.want)
		}
	}
}

// Both files are read again when they have changed, and may come and go.
func TestFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	clock := newClock()
	cfg := testConfig(clock)
	cfg.ResolvConf, cfg.Hosts = filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "hosts")
	l := New(cfg)
	want := func(servers, host string) {
		t.Helper()
		addrs, _ := l.local("pbx", clock.now())
		if got := fmt.Sprint(l.servers.conf(clock.now()).servers); got != servers || fmt.Sprint(addrs) != host {
			t.Errorf("got %s, %v; want %s, %s", got, addrs, servers, host)
		}
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want("[127.0.0.1:53]", "[]")
	write("resolv.conf", "nameserver 192.0.2.53\n")
	write("hosts", "192.0.2.1 pbx\n")
	want("[127.0.0.1:53]", "[]") // not looked at yet
	clock.forward(recheck)
	want("[192.0.2.53:53]", "[192.0.2.1]")
	write("resolv.conf", "nameserver 192.0.2.54\n")
	write("hosts", "192.0.2.2 pbx\n")
	for _, name := range []string{"resolv.conf", "hosts"} { // of the same size, in the same tick
		if err := os.Chtimes(filepath.Join(dir, name), time.Time{}, time.Unix(1_900_000_000, 0)); err != nil {
			t.Fatal(err)
		}
	}
	clock.forward(recheck)
	want("[192.0.2.54:53]", "[192.0.2.2]")
	os.Remove(cfg.ResolvConf)
	os.Remove(cfg.Hosts)
	clock.forward(recheck)
	want("[127.0.0.1:53]", "[]")
}

// The zero Config is the system's, and a given resolver is used instead.
func TestConfig(t *testing.T) {
	l := New(Config{})
	if l.hosts.path != "/etc/hosts" || l.now == nil || l.intn == nil || l.source == nil {
		t.Errorf("the zero Config: %+v", l.hosts.path)
	}
	if got := len(l.servers.conf(time.Unix(1, 0)).servers); got == 0 {
		t.Error("no server")
	}
	four := []netip.AddrPort{nowhere, netip.MustParseAddrPort("192.0.2.1:5353"), netip.MustParseAddrPort("[::1]:53"), nowhere}
	if got := New(Config{Servers: four}).servers.conf(time.Unix(1, 0)).servers; fmt.Sprint(got) != "[192.0.2.53:53 192.0.2.1:5353 [::1]:53]" {
		t.Errorf("got %v", got)
	}
}

func TestHostName(t *testing.T) {
	for host, want := range map[string]string{
		"example.net": "example.net", "EXAMPLE.Net.": "example.net", "localhost": "localhost", "_sip._udp.example.net": "_sip._udp.example.net",
		"xn--bcher-kva.example": "xn--bcher-kva.example", "1.example": "1.example", "a-1": "a-1", strings.Repeat("a.", 126) + "a": strings.Repeat("a.", 126) + "a",
		"": "", ".": "", "..": "", "a..b": "", ".a": "", "1.2.3.4": "", "1": "", "a.1": "", "bücher": "", "a b": "", "a:1": "", "a@b": "", "a\\.b": "",
		"[": "", "@": "", "`": "", "{": "", strings.Repeat("a.", 126) + "ab": "", strings.Repeat("a", 64): "",
	} {
		got, ok := hostName(host)
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", host, got, ok)
		}
	}
}
