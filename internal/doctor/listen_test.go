package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// Sockets are really bound, and who has one is found.
func TestListen(t *testing.T) {
	w := newWorld(t)
	c := w.hold()
	defer c.Close()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w.call(l.Addr().String(), "TCP")
	free := w.port("FREE", "tcp")
	w.o.Config.SIP.Listen = append(w.o.Config.SIP.Listen, "tcp://"+l.Addr().String(), fmt.Sprintf("tls://127.0.0.1:%d", free), "udp://203.0.113.9:5060", "tcp://0.0.0.0:0", "udp://nowhere")
	_, self, found := holderOf(socket{"udp", netip.MustParseAddrPort(c.LocalAddr().String())})
	if !found || self == "" {
		t.Fatal("we do not find ourselves")
	}
	us := fmt.Sprintf("%s, process %d", self, os.Getpid())
	w.want([]string{checkListen},
		"fail listen: udp://LISTEN is taken by another program: "+us+" -> stop that program, or change sip.listen",
		"fail listen: tcp://TCP is taken by another program: "+us+" -> stop that program, or change sip.listen",
		"ok listen: tls://FREE is free",
		"fail listen: udp://203.0.113.9:5060: 203.0.113.9 is no address of this machine -> ip address shows those it has: correct sip.listen",
		"ok listen: tcp://0.0.0.0:0 takes a free port",
		"skip listen: udp://nowhere is not an address that can be tried",
	)
}

// Beside a daemon of this very process, the sockets of this process are the daemon's.
func TestListenOfTheDaemon(t *testing.T) {
	w := newWorld(t)
	w.daemon(&fakeDaemon{})
	w.want([]string{checkListen}, "fail listen: a daemon runs, but udp://LISTEN is free -> if sip.listen has been changed, restart the daemon: systemctl restart stox; else its log says more: journalctl -u stox")
	c := w.hold()
	defer c.Close()
	w.want([]string{checkListen}, "ok listen: udp://LISTEN is the daemon's")
}

func TestAdvertise(t *testing.T) {
	resolve := func(ctx context.Context, _, host string) ([]netip.Addr, error) {
		switch host {
		case "ours.example":
			return []netip.Addr{netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("::ffff:192.0.2.20")}, nil
		case "nat.example":
			return []netip.Addr{netip.MustParseAddr("203.0.113.5")}, nil
		case "empty.example":
			return nil, nil
		case "slow.example":
			<-ctx.Done()
			return nil, &net.DNSError{Err: "x", IsTimeout: true}
		}
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	const inDNS = " -> correct sip.advertise, or have the name in DNS: SIP peers answer to it"
	for advertise, want := range map[string]string{
		"192.0.2.20":        "ok listen: sip.advertise: 192.0.2.20 is this machine",
		"[2001:db8::7]:506": "ok listen: sip.advertise: 2001:db8::7 is no address of this machine: a NAT there has to hand the SIP ports on to it",
		"ours.example:5070": "ok listen: sip.advertise: ours.example (198.51.100.1, 192.0.2.20) is this machine",
		"nat.example":       "ok listen: sip.advertise: nat.example (203.0.113.5) is no address of this machine: a NAT there has to hand the SIP ports on to it",
		"10.1.2.3":          "warn listen: sip.advertise: 10.1.2.3 is a private address, and not of this machine -> unless that is a NAT which hands the SIP ports on to this machine, correct sip.advertise (ip address shows what this machine has)",
		"0.0.0.0":           "fail listen: sip.advertise: 0.0.0.0 is no address that anybody could send to -> set sip.advertise to the address at which SIP peers reach us",
		"127.0.0.1":         "warn listen: sip.advertise: 127.0.0.1 leads other machines to themselves -> set sip.advertise to an address that SIP peers can reach",
		"none.example":      "fail listen: sip.advertise: none.example cannot be resolved: no such host" + inDNS,
		"empty.example":     "fail listen: sip.advertise: empty.example cannot be resolved: it has no address" + inDNS,
		"slow.example":      "fail listen: sip.advertise: slow.example cannot be resolved: the resolver does not answer" + inDNS,
	} {
		t.Run(advertise, func(t *testing.T) {
			w := newWorld(t)
			w.o.Config.SIP.Listen = []string{"udp://0.0.0.0:0"}
			w.o.Config.SIP.Advertise, w.o.Resolve = advertise, resolve
			if advertise == "slow.example" {
				w.o.Patience = time.Millisecond // of nothing else: see the checks asked for
			}
			w.want([]string{checkListen}, "ok listen: udp://0.0.0.0:0 takes a free port", want)
		})
	}
	w := newWorld(t) // who hears this machine only may say so
	w.o.Config.SIP.Listen = []string{"udp://127.0.0.2:0"}
	w.o.Config.SIP.Advertise = "127.0.0.1"
	w.o.Machine.Addresses = nil // the real ones
	w.want([]string{checkListen}, "ok listen: udp://127.0.0.2:0 takes a free port", "ok listen: sip.advertise: 127.0.0.1 is this machine")
	w.o.Config.SIP.Advertise = "127.0.0.2" // as it is derived
	w.want([]string{checkListen}, "ok listen: udp://127.0.0.2:0 takes a free port")
}

func TestSocketTable(t *testing.T) {
	for line, want := range map[string]string{
		"  0: 0100007F:13C4 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 4711 1":                      "127.0.0.1:5060 0A 4711",
		"  1: 00000000000000000000000001000000:13C4 00000000000000000000000000000000:0000 07 0:0 00:0 0 0 0 42 2 0 0": "[::1]:5060 07 42",
		"  2: 0000000000000000FFFF00000100007F:13C4 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 43 2 0 0": "127.0.0.1:5060 0A 43",
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode":            "",
		"  3: 0100007F 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 4711 1":                           "",
		"  4: 0100:13C4 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 4711 1":                          "",
		"  5: 0100007F:13C4 00000000:0000": "",
	} {
		row, err := parseTableRow(line)
		got := fmt.Sprintf("%s %s %s", row.addr, row.state, row.inode)
		if err != nil {
			got = ""
		}
		if got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}
