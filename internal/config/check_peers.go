package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// peerNet is an address or a network of a peer.
type peerNet struct {
	prefix netip.Prefix
	text   string
	peer   int
}

func (p *parser) checkPeers() {
	names, users, tlsNames := map[string]int{}, map[string]int{}, map[string]int{}
	var nets []peerNet
	for i := range p.c.SIP.Peers {
		peer := &p.c.SIP.Peers[i]
		at := fmt.Sprintf("sip.peer[%d]", i)
		if p.bad[at] {
			continue
		}
		if p.required(at+".name", peer.Name, "a name for the log") {
			p.once(at+".name", peer.Name, peer.Name, i, names, "sip.peer")
		}
		p.checkPeerMarks(at, peer)
		for j, text := range peer.Addresses {
			path := fmt.Sprintf("%s.addresses[%d]", at, j)
			prefix, err := parsePrefix(text)
			if p.checkShape(path, err) {
				nets = p.checkPeerNet(path, peerNet{prefix, text, i}, nets)
			}
		}
		if p.origin[at+".tls_names"] != "" && !p.bad[at+".tls_names"] {
			if !p.bad["sip.listen"] && p.listensTLS() < 0 {
				p.warn(at+".tls_names", "has no effect: nothing in sip.listen takes TLS, so nobody shows a certificate", `add "tls://0.0.0.0:5061"`)
			}
			peer.TLSNames = p.domains(at+".tls_names", peer.TLSNames, false)
			for j, name := range peer.TLSNames {
				if first, ok := tlsNames[name]; !ok || first != i {
					p.once(fmt.Sprintf("%s.tls_names[%d]", at, j), name, name, i, tlsNames, "sip.peer")
				}
			}
		}
		p.checkLogin(at, peer.Username, &peer.Password, peer.PasswordFile)
		if peer.Username != "" {
			p.once(at+".username", peer.Username, peer.Username, i, users, "sip.peer")
		}
		if p.origin[at+".domains"] == "" || p.bad[at+".domains"] {
			continue
		}
		peer.Domains = p.domains(at+".domains", peer.Domains, true)
		for j, d := range peer.Domains {
			p.notServed(fmt.Sprintf("%s.domains[%d]", at, j), d)
		}
	}
}

// checkPeerMarks: a peer has something by which it is known.
func (p *parser) checkPeerMarks(at string, peer *Peer) {
	if len(peer.Addresses) > 0 || len(peer.TLSNames) > 0 || peer.Username != "" {
		return
	}
	for _, path := range peerMarks {
		if p.bad[at+"."+keyAt(path).name()] {
			return
		}
	}
	p.fault(at+".addresses", "is missing", p.peerHint())
}

// peerHint says by what a peer can be known.
func (l *loader) peerHint() string {
	var marks []string
	for _, path := range peerMarks {
		if l.built(keyAt(path)) {
			marks = append(marks, keyAt(path).name())
		}
	}
	if len(marks) == 1 {
		return "the IP addresses and networks from which this peer sends"
	}
	return "a peer is known by one of " + strings.Join(marks, ", ")
}

// checkPeerNet: an address leads to one peer, the first that has it. A network
// behind a part of itself is that part's exception; behind the whole it is lost.
func (p *parser) checkPeerNet(path string, n peerNet, seen []peerNet) []peerNet {
	i := slices.IndexFunc(seen, func(o peerNet) bool {
		return o.prefix.Bits() <= n.prefix.Bits() && o.prefix.Contains(n.prefix.Addr())
	})
	switch {
	case i >= 0 && seen[i].prefix == n.prefix:
		p.fault(path, fmt.Sprintf("%s is in sip.peer[%d] already", Quote(n.text), seen[i].peer), "")
	case i >= 0 && seen[i].peer != n.peer:
		p.fault(path, fmt.Sprintf("%s is never reached: sip.peer[%d] has all of %s", Quote(n.text), seen[i].peer, seen[i].text), "put the peer with the smaller network first")
	case n.prefix.Bits() == 0:
		p.warn(path, Quote(n.text)+" is everybody", "whoever can send a packet to us may write to your users")
	}
	return append(seen, n)
}

// parsePrefix reads an address or a network.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	n, err := netip.ParsePrefix(s)
	if err != nil {
		return n, shapef("names are not looked up here; write for example \"192.0.2.10\" or \"198.51.100.0/24\"", "%s is no IP address and no network", Quote(s))
	}
	if n != n.Masked() {
		return n, shapef("did you mean "+Quote(n.Masked().String())+" or "+Quote(n.Addr().String())+"?", "%s is an address with the length of a network", Quote(s))
	}
	return n, nil
}
