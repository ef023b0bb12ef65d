package locate

import (
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/dnstest"
)

type zone = dnstest.Zone

const example = "example.net"

// Every branch of RFC 3263 §4, RFC 2782 and RFC 3861, against a server on a socket
// (SIP-04, SIP-06, ADDR-13).
var branches = []struct {
	name    string
	zone    zone
	faults  map[string]dnstest.Fault
	query   Query // Host example.net and all transports, if not given
	want    string
	reason  Reason
	step    string // a line that the operator sees
	unasked string // a type that must not be asked
}{
	{name: "IPv4", query: Query{Host: "192.0.2.4"}, want: "udp 192.0.2.4:5060", step: "192.0.2.4: is an address", unasked: "A"},
	{name: "IPv4 with a port", query: Query{Host: "192.0.2.4", Port: 5070}, want: "udp 192.0.2.4:5070"},
	{name: "IPv6 in brackets", query: Query{Host: "[2001:db8::4]"}, want: "udp [2001:db8::4]:5060"},
	{name: "IPv6", query: Query{Host: "2001:db8::4", Transport: TLS}, want: "tls [2001:db8::4]:5061"},
	{name: "IPv4 in IPv6", query: Query{Host: "::ffff:192.0.2.4"}, want: "udp 192.0.2.4:5060"},
	{name: "IPv4 in IPv6, in brackets", query: Query{Host: "[::ffff:192.0.2.4]"}, want: "udp 192.0.2.4:5060"},
	{name: "IPv4 in brackets", query: Query{Host: "[192.0.2.4]"}, reason: Malformed},
	{name: "number, WebSocket", query: Query{Host: "192.0.2.4", Transport: WSS}, want: "wss 192.0.2.4:443"},
	{name: "number, sips", query: Query{Host: "192.0.2.4", Scheme: SIPS}, want: "tls 192.0.2.4:5061"},
	{name: "number without UDP", query: Query{Host: "192.0.2.4", Supports: SetOf(TCP, TLS)}, want: "tcp 192.0.2.4:5060"},
	{name: "unspecified address", query: Query{Host: "0.0.0.0"}, reason: Malformed},
	{name: "group address", query: Query{Host: "ff02::1"}, reason: Malformed},
	{name: "mistyped address", query: Query{Host: "192.0.2.300"}, reason: Malformed, unasked: "A"},
	{name: "no host", query: Query{Host: "."}, reason: Malformed},
	{name: "not a name", query: Query{Host: "a b.example"}, reason: Malformed},
	{name: "U-label", query: Query{Host: "bücher.example"}, reason: Malformed},
	{name: "long label", query: Query{Host: strings.Repeat("a", 64) + ".example"}, reason: Malformed},
	{name: "long name", query: Query{Host: strings.Repeat("a.", 124) + "example"}, reason: Malformed},
	{name: "longest name: no room for SRV", query: Query{Host: strings.Repeat("a.", 126) + "a"}, zone: zone{strings.Repeat("a.", 126) + "a": {"60 A 192.0.2.9"}},
		want: "udp 192.0.2.9:5060", step: "too long a name to exist"},
	{name: "A-label", query: Query{Host: "XN--Bcher-kva.example."}, zone: zone{"xn--bcher-kva.example": {"60 A 192.0.2.9"}},
		want: "udp 192.0.2.9:5060"},
	{name: "underscore label", query: Query{Host: "_sip.example.net", Port: 5060}, zone: zone{"_sip.example.net": {"60 A 192.0.2.9"}},
		want: "udp 192.0.2.9:5060"},

	{name: "port: no SRV", query: Query{Port: 5060}, zone: zone{example: {"60 A 192.0.2.9"}, "_sip._udp.example.net": {"60 SRV 0 0 5060 gw.example.net."}},
		want: "udp 192.0.2.9:5060", unasked: "SRV"},
	{name: "port: no NAPTR", query: Query{Port: 5070}, zone: zone{example: {"60 A 192.0.2.9"}}, want: "udp 192.0.2.9:5070", unasked: "NAPTR"},
	{name: "port and transport", query: Query{Port: 5070, Transport: TCP}, zone: zone{example: {"60 AAAA 2001:db8::9"}}, want: "tcp [2001:db8::9]:5070"},
	{name: "port, no such name", query: Query{Port: 5070}, reason: NotFound, step: "A example.net: does not exist"},

	{name: "transport: its SRV", query: Query{Transport: TCP}, zone: zone{"gw.example.net": {"60 A 192.0.2.9"},
		"_sip._udp.example.net": {"60 SRV 0 0 5060 gw.example.net."}, "_sip._tcp.example.net": {"60 SRV 0 0 5062 gw.example.net."}},
		want: "tcp 192.0.2.9:5062", unasked: "NAPTR", step: "SRV _sip._tcp.example.net: 0 0 5062 gw.example.net"},
	{name: "transport without SRV", query: Query{Transport: TCP}, zone: zone{example: {"60 A 192.0.2.9"}}, want: "tcp 192.0.2.9:5060",
		step: "SRV _sip._tcp.example.net: does not exist"},
	{name: "TLS without SRV", query: Query{Transport: TLS}, zone: zone{example: {"60 A 192.0.2.9"}}, want: "tls 192.0.2.9:5061"},
	{name: "TLS is asked as _sips._tcp", query: Query{Transport: TLS}, zone: zone{"gw.example.net": {"60 A 192.0.2.9"},
		"_sip._tls.example.net": {"60 SRV 0 0 1 gw.example.net."}, "_sips._tcp.example.net": {"60 SRV 0 0 5071 gw.example.net."}},
		want: "tls 192.0.2.9:5071"},
	{name: "transport refused", query: Query{Transport: TCP}, zone: zone{example: {"60 A 192.0.2.9"}, "_sip._tcp.example.net": {"60 SRV 0 0 0 ."}},
		reason: NotOffered, step: "SRV _sip._tcp.example.net: 0 0 0 ."},
	{name: "transport not supported", query: Query{Transport: WS, Supports: SetOf(UDP, TCP)}, reason: Unsupported},
	{name: "nothing supported", query: Query{Supports: SetOf(Any)}, reason: Unsupported},
	{name: "no such transport", query: Query{Transport: 99}, reason: Unsupported},
	{name: "no such transport, sips", query: Query{Transport: 99, Scheme: SIPS}, reason: Unsupported},

	{name: "sips: only SIPS services", query: Query{Scheme: SIPS}, zone: zone{"gw.example.net": {"60 A 192.0.2.9"},
		example:                  {`60 NAPTR 10 0 "s" "SIP+D2U" "" _sip._udp.example.net.`, `60 NAPTR 20 0 "s" "SIPS+D2T" "" _sips._tcp.example.net.`},
		"_sip._udp.example.net":  {"60 SRV 0 0 5060 gw.example.net."},
		"_sips._tcp.example.net": {"60 SRV 0 0 5061 gw.example.net."}}, want: "tls 192.0.2.9:5061"},
	{name: "sips with TCP is TLS", query: Query{Scheme: SIPS, Transport: TCP}, zone: zone{example: {"60 A 192.0.2.9"}}, want: "tls 192.0.2.9:5061"},
	{name: "sips over UDP", query: Query{Scheme: SIPS, Transport: UDP}, reason: Malformed},
	{name: "sips without TLS", query: Query{Scheme: SIPS, Supports: SetOf(UDP, TCP)}, reason: Unsupported},

	{name: "NAPTR order and preference", zone: zone{"gw.example.net": {"60 A 192.0.2.9"},
		example: {`60 NAPTR 20 10 "s" "SIP+D2U" "" _sip._udp.example.net.`, `60 NAPTR 10 20 "S" "sips+d2t" "" _sips._tcp.example.net.`,
			`60 NAPTR 10 10 "s" "SIP+D2T" "" _t.example.net.`},
		"_sip._udp.example.net": {"60 SRV 0 0 5060 gw.example.net."}, "_sips._tcp.example.net": {"60 SRV 0 0 5061 gw.example.net."},
		"_t.example.net": {"60 SRV 0 0 5062 gw.example.net."}},
		want: "tcp 192.0.2.9:5062, tls 192.0.2.9:5061, udp 192.0.2.9:5060",
		step: `NAPTR example.net: 10 10 "s" "SIP+D2T" _t.example.net, 10 20 "S" "sips+d2t" _sips._tcp.example.net, 20 10 "s" "SIP+D2U" _sip._udp.example.net`},
	{name: "NAPTR: unsupported is dropped", query: Query{Supports: SetOf(UDP, TCP)}, zone: zone{"gw.example.net": {"60 A 192.0.2.9"},
		example:                  {`60 NAPTR 10 0 "s" "SIPS+D2T" "" _sips._tcp.example.net.`, `60 NAPTR 20 0 "s" "SIP+D2T" "" _sip._tcp.example.net.`},
		"_sips._tcp.example.net": {"60 SRV 0 0 5061 gw.example.net."}, "_sip._tcp.example.net": {"60 SRV 0 0 5060 gw.example.net."}},
		want: "tcp 192.0.2.9:5060"},
	{name: "NAPTR of another provider", zone: zone{"gw.provider.example": {"60 A 198.51.100.9"},
		example:                      {"60 A 192.0.2.1", `60 NAPTR 10 0 "s" "SIP+D2U" "" _sip._udp.provider.example.`},
		"_sip._udp.provider.example": {"60 SRV 0 0 5080 gw.provider.example."}}, want: "udp 198.51.100.9:5080"},
	{name: "NAPTR of other services only", zone: zone{example: {"60 A 192.0.2.9", `60 NAPTR 10 0 "u" "E2U+sip" "!^.*$!sip:x@y!" .`}},
		want: "udp 192.0.2.9:5060"},
	{name: "NAPTR only for what is not supported", query: Query{Supports: SetOf(UDP)}, zone: zone{
		example: {"60 A 192.0.2.9", `60 NAPTR 10 0 "s" "SIP+D2S" "" _sip._sctp.example.net.`}}, reason: Unsupported},
	{name: "the same, but there is SRV", query: Query{Supports: SetOf(UDP)}, zone: zone{"gw.example.net": {"60 A 192.0.2.9"},
		example:                 {"60 A 192.0.2.1", `60 NAPTR 10 0 "s" "SIP+D2T" "" _sip._tcp.example.net.`},
		"_sip._udp.example.net": {"60 SRV 0 0 5060 gw.example.net."}}, want: "udp 192.0.2.9:5060"},
	{name: "NAPTR flags a, u, p and none", zone: zone{
		example: {"60 A 192.0.2.9", `60 NAPTR 10 0 "a" "SIP+D2U" "" example.net.`, `60 NAPTR 10 0 "u" "SIP+D2T" "!.*!sip:a@b!" .`,
			`60 NAPTR 10 0 "" "SIPS+D2T" "" example.net.`, `60 NAPTR 10 0 "p" "SIP+D2W" "" example.net.`}}, reason: Malformed},
	{name: "NAPTR flag a, though there is SRV", query: Query{Supports: SetOf(UDP)}, zone: zone{"gw.example.net": {"60 A 192.0.2.9"},
		example: {`60 NAPTR 10 0 "a" "SIP+D2U" "" _other.example.net.`}, "_other.example.net": {"60 SRV 0 0 5060 gw.example.net."}}, reason: Malformed},
	{name: "NAPTR to nowhere", zone: zone{example: {"60 A 192.0.2.9", `60 NAPTR 10 0 "s" "SIP+D2U" "" .`}}, reason: Malformed},
	{name: "NAPTR with a regular expression", zone: zone{
		example: {"60 A 192.0.2.9", `60 NAPTR 10 0 "s" "SIP+D2U" "!a!b!" _sip._udp.example.net.`}}, reason: Malformed},
	{name: "NAPTR that leads nowhere", zone: zone{example: {"60 A 192.0.2.9", `60 NAPTR 10 0 "s" "SIP+D2U" "" _gone.example.net.`}},
		reason: NotFound, step: "SRV _gone.example.net: does not exist"},
	{name: "NAPTR and a refusal", zone: zone{example: {"60 A 192.0.2.9", `60 NAPTR 10 0 "s" "SIP+D2U" "" _sip._udp.example.net.`},
		"_sip._udp.example.net": {"60 SRV 0 0 0 ."}}, reason: NotOffered},
	{name: "NAPTR alias", zone: zone{example: {"60 CNAME other.example."}, "gw.other.example": {"60 A 192.0.2.9"},
		"other.example":           {`60 NAPTR 10 0 "s" "SIP+D2U" "" _sip._udp.other.example.`},
		"_sip._udp.other.example": {"60 SRV 0 0 5060 gw.other.example."}}, want: "udp 192.0.2.9:5060"},

	{name: "SRV: TLS, TCP, UDP", zone: zone{"gw.example.net": {"60 A 192.0.2.9"}, example: {"60 A 192.0.2.1"},
		"_sip._udp.example.net":  {"60 SRV 0 0 5060 gw.example.net."},
		"_sip._tcp.example.net":  {"60 SRV 0 0 5060 gw.example.net."},
		"_sips._tcp.example.net": {"60 SRV 9 0 5061 gw.example.net."}},
		want: "tls 192.0.2.9:5061, tcp 192.0.2.9:5060, udp 192.0.2.9:5060", step: "NAPTR example.net: none"},
	{name: "SRV of supported transports only", query: Query{Supports: SetOf(UDP)}, zone: zone{"gw.example.net": {"60 A 192.0.2.9"},
		"_sip._tcp.example.net": {"60 SRV 0 0 5060 gw.example.net."}, example: {"60 A 192.0.2.1"}}, want: "udp 192.0.2.1:5060"},
	{name: "SRV priority and several addresses", zone: zone{"a.example.net": {"60 A 192.0.2.1", "60 A 192.0.2.2", "60 AAAA 2001:db8::1"}, "b.example.net": {"60 A 192.0.2.3"},
		"_sip._udp.example.net": {"60 SRV 20 0 5060 b.example.net.", "60 SRV 10 0 5064 a.example.net."}},
		want: "udp [2001:db8::1]:5064, udp 192.0.2.1:5064, udp 192.0.2.2:5064, udp 192.0.2.3:5060"},
	{name: "SRV target is an alias", zone: zone{"gw.example.net": {"60 CNAME real.example.net."}, "real.example.net": {"60 A 192.0.2.9"},
		"_sip._udp.example.net": {"60 SRV 0 0 5060 gw.example.net."}}, want: "udp 192.0.2.9:5060"},
	{name: "SRV target is gone", zone: zone{"b.example.net": {"60 A 192.0.2.3"},
		"_sip._udp.example.net": {"60 SRV 0 0 5060 a.example.net.", "60 SRV 1 0 5060 b.example.net."}}, want: "udp 192.0.2.3:5060",
		step: "A a.example.net: does not exist"},
	{name: "all SRV targets are gone", zone: zone{example: {"60 A 192.0.2.9"}, "_sip._udp.example.net": {"60 SRV 0 0 5060 a.example.net."}}, reason: NotFound},
	{name: "SRV target is a number", zone: zone{example: {"60 A 192.0.2.9"}, "_sip._udp.example.net": {"60 SRV 0 0 5060 192.0.2.1."}}, reason: Malformed},
	{name: "SRV port 0", zone: zone{"gw.example.net": {"60 A 192.0.2.9"}, "_sip._udp.example.net": {"60 SRV 0 0 0 gw.example.net."}}, reason: Malformed},
	{name: "SRV refused, others too", zone: zone{example: {"60 A 192.0.2.9"}, "_sips._tcp.example.net": {"60 SRV 0 0 0 ."},
		"_sip._tcp.example.net": {"60 SRV 0 0 0 ."}, "_sip._udp.example.net": {"60 SRV 0 0 0 ."}}, reason: NotOffered},
	{name: "UDP refused: not the plain address", zone: zone{example: {"60 A 192.0.2.9"}, "_sip._udp.example.net": {"60 SRV 0 0 0 ."}}, reason: NotOffered},
	{name: "only TLS refused", zone: zone{example: {"60 A 192.0.2.9"}, "_sips._tcp.example.net": {"60 SRV 0 0 0 ."}}, want: "udp 192.0.2.9:5060"},
	{name: "one refused, one not", zone: zone{"gw.example.net": {"60 A 192.0.2.9"}, "_sip._udp.example.net": {"60 SRV 0 0 0 ."},
		"_sip._tcp.example.net": {"60 SRV 0 0 5060 gw.example.net."}}, want: "tcp 192.0.2.9:5060"},
	{name: "SRV twice the same", zone: zone{"gw.example.net": {"60 A 192.0.2.9"},
		"_sip._udp.example.net": {"60 SRV 0 0 5060 gw.example.net.", "60 SRV 1 0 5060 GW.example.net."}}, want: "udp 192.0.2.9:5060"},
	{name: "SRV target in the hosts file", zone: zone{"_sip._udp.example.net": {"60 SRV 0 0 5060 pbx.example.net."}},
		want: "udp 192.0.2.200:5060", unasked: "A", step: "this machine's hosts, pbx.example.net: 192.0.2.200"},
	{name: "additional records, both kinds", zone: zone{
		"_sip._udp.example.net": {"60 SRV 0 0 5060 gw.example.net.", "+gw.example.net 60 A 192.0.2.9", "+gw.example.net 60 AAAA 2001:db8::9"}},
		want: "udp [2001:db8::9]:5060, udp 192.0.2.9:5060", unasked: "A"},
	{name: "additional records, one kind", zone: zone{"gw.example.net": {"60 A 192.0.2.9", "60 A 192.0.2.10"},
		"_sip._udp.example.net": {"60 SRV 0 0 5060 gw.example.net.", "+gw.example.net 60 A 192.0.2.9"}},
		want: "udp 192.0.2.9:5060, udp 192.0.2.10:5060"},
	{name: "additional records, one kind and one of others", zone: zone{"gw.example.net": {"60 A 192.0.2.9", "60 AAAA 2001:db8::9"},
		"_sip._udp.example.net": {"60 SRV 0 0 5060 gw.example.net.", "+gw.example.net 60 AAAA 2001:db8::9", "+evil.example 60 A 192.0.2.66"}},
		want: "udp [2001:db8::9]:5060, udp 192.0.2.9:5060"},
	{name: "additional records, the other kind of others", zone: zone{"gw.example.net": {"60 A 192.0.2.9", "60 AAAA 2001:db8::9"},
		"_sip._udp.example.net": {"60 SRV 0 0 5060 gw.example.net.", "+gw.example.net 60 A 192.0.2.9", "+evil.example 60 AAAA 2001:db8::66"}},
		want: "udp [2001:db8::9]:5060, udp 192.0.2.9:5060"},
	{name: "additional records of others", zone: zone{"gw.example.net": {"60 A 192.0.2.9"},
		"_sip._udp.example.net": {"60 SRV 0 0 5060 gw.example.net.", "+evil.example 60 A 192.0.2.66", "+evil.example 60 AAAA 2001:db8::66"}},
		want: "udp 192.0.2.9:5060"},

	{name: "addresses only", zone: zone{example: {"60 A 192.0.2.9", "60 AAAA 2001:db8::9"}}, want: "udp [2001:db8::9]:5060, udp 192.0.2.9:5060"},
	{name: "addresses without UDP", query: Query{Supports: SetOf(TLS)}, zone: zone{example: {"60 A 192.0.2.9"}}, want: "tls 192.0.2.9:5061"},
	{name: "no such domain", reason: NotFound, step: "NAPTR example.net: does not exist"},
	{name: "domain without anything", zone: zone{example: {"60 TXT hello"}}, reason: NotFound, step: "AAAA example.net: none"},
	{name: "addresses that cannot be sent to", zone: zone{example: {"60 A 0.0.0.0", "60 A 224.0.0.1", "60 A 255.255.255.255"}}, reason: Malformed},
	{name: "chain of aliases", zone: zone{example: {"60 CNAME a.example."}, "a.example": {"60 CNAME b.example."}, "b.example": {"60 A 192.0.2.9"}},
		want: "udp 192.0.2.9:5060"},
	{name: "alias to nothing", zone: zone{example: {"60 CNAME a.example."}}, reason: NotFound, step: "A example.net: does not exist (alias of a.example)"},
	{name: "loop of aliases", query: Query{Port: 5060}, zone: zone{example: {"60 CNAME a.example."}, "a.example": {"60 CNAME example.net."}}, reason: Malformed},
	{name: "alias of itself", query: Query{Port: 5060}, zone: zone{example: {"60 CNAME example.net."}}, reason: Malformed},

	{name: "localhost", query: Query{Host: "localhost"}, want: "udp [::1]:5060, udp 127.0.0.1:5060", unasked: "NAPTR"},
	{name: "below localhost", query: Query{Host: "pbx.LOCALHOST", Port: 5070}, want: "udp [::1]:5070, udp 127.0.0.1:5070", unasked: "A"},
	{name: "hosts file", query: Query{Host: "pbx", Transport: TLS}, want: "tls [2001:db8::200]:5061, tls 192.0.2.200:5061, tls 192.0.2.201:5061", unasked: "SRV"},
	{name: "hosts file, blocked name", query: Query{Host: "blocked.example.net"}, reason: NotFound},
	{name: "single label: no search list", query: Query{Host: "gw"}, zone: zone{"gw": {"60 A 192.0.2.9"}}, want: "udp 192.0.2.9:5060"},

	{name: "ws without NAPTR", query: Query{Transport: WS}, zone: zone{example: {"60 A 192.0.2.9"}}, want: "ws 192.0.2.9:80", unasked: "SRV"},
	{name: "wss by NAPTR", query: Query{Transport: WSS}, zone: zone{"gw.example.net": {"60 A 192.0.2.9"},
		example:                 {`60 NAPTR 1 0 "s" "SIP+D2U" "" _sip._udp.example.net.`, `60 NAPTR 10 0 "s" "SIPS+D2W" "" _sips._ws.example.net.`},
		"_sips._ws.example.net": {"60 SRV 0 0 8443 gw.example.net."}}, want: "wss 192.0.2.9:8443"},
	{name: "wss, NAPTR of others", query: Query{Transport: WSS}, zone: zone{example: {"60 A 192.0.2.9", `60 NAPTR 1 0 "s" "SIP+D2U" "" _sip._udp.example.net.`}},
		reason: Unsupported},

	{name: "im", query: Query{Scheme: IM}, zone: zone{"gw.example.net": {"60 A 192.0.2.9"}, example: {"60 A 192.0.2.1"},
		"_im._sip.example.net": {"60 SRV 0 0 5070 gw.example.net."}}, want: "udp 192.0.2.9:5070", step: "SRV _im._sip.example.net: 0 0 5070 gw.example.net"},
	{name: "pres", query: Query{Scheme: Pres}, zone: zone{"gw.example.net": {"60 A 192.0.2.9"},
		"_pres._sip.example.net": {"60 SRV 0 0 5070 gw.example.net."}}, want: "udp 192.0.2.9:5070"},
	{name: "im, then the SIP procedure", query: Query{Scheme: IM}, zone: zone{"_im._sip.example.net": {"60 SRV 0 0 5060 sip.example.net."},
		"_sips._tcp.sip.example.net": {"60 SRV 0 0 5061 gw.example.net."}, "gw.example.net": {"60 A 192.0.2.9"}}, want: "tls 192.0.2.9:5061"},
	{name: "im, several", query: Query{Scheme: IM}, zone: zone{"_im._sip.example.net": {"60 SRV 1 0 5070 b.example.net.", "60 SRV 0 0 5060 a.example.net."},
		"a.example.net": {"60 A 192.0.2.1"}, "b.example.net": {"60 A 192.0.2.2"}}, want: "udp 192.0.2.1:5060, udp 192.0.2.2:5070"},
	{name: "im without records: the domain", query: Query{Scheme: IM}, zone: zone{example: {"60 A 192.0.2.9"}}, want: "udp 192.0.2.9:5060"},
	{name: "im refused", query: Query{Scheme: IM}, zone: zone{example: {"60 A 192.0.2.9"}, "_im._sip.example.net": {"60 SRV 0 0 0 ."}}, reason: NotOffered},
	{name: "im with a port", query: Query{Scheme: IM, Port: 5070}, zone: zone{example: {"60 A 192.0.2.9"}}, want: "udp 192.0.2.9:5070", unasked: "SRV"},
	{name: "im, more than are followed", query: Query{Scheme: IM}, zone: zone{"gw.example.net": {"60 A 192.0.2.9"}, "_im._sip.example.net": {"60 SRV 0 0 1 gw.example.net.",
		"60 SRV 0 0 2 gw.example.net.", "60 SRV 0 0 3 gw.example.net.", "60 SRV 0 0 4 gw.example.net.", "60 SRV 0 0 5 gw.example.net."}},
		want: "udp 192.0.2.9:1, udp 192.0.2.9:2, udp 192.0.2.9:3, udp 192.0.2.9:4"},
	{name: "im, nothing", query: Query{Scheme: IM}, reason: NotFound},
	{name: "im, a number as target", query: Query{Scheme: IM}, zone: zone{"_im._sip.example.net": {"60 SRV 0 0 5060 1."}}, reason: Malformed},
	{name: "im, DNS fails", query: Query{Scheme: IM}, zone: zone{example: {"60 A 192.0.2.9"}}, faults: map[string]dnstest.Fault{"_im._sip.example.net": dnstest.ServFail},
		reason: Temporary},

	// What DNS cannot say must not change where a request goes.
	{name: "NAPTR fails, SRV is there", zone: zone{"gw.example.net": {"60 A 192.0.2.9"}, "_sip._udp.example.net": {"60 SRV 0 0 5060 gw.example.net."}},
		faults: map[string]dnstest.Fault{example: dnstest.ServFail}, want: "udp 192.0.2.9:5060", step: "NAPTR example.net: "},
	{name: "NAPTR fails, no SRV", zone: zone{example: {"60 A 192.0.2.9"}}, faults: map[string]dnstest.Fault{example: dnstest.ServFail}, reason: Temporary, unasked: "A"},
	{name: "NAPTR fails, UDP refused", zone: zone{example: {"60 A 192.0.2.9"}, "_sip._udp.example.net": {"60 SRV 0 0 0 ."}},
		faults: map[string]dnstest.Fault{example: dnstest.ServFail}, reason: Temporary},
	{name: "SRV fails", zone: zone{example: {"60 A 192.0.2.9"}}, faults: map[string]dnstest.Fault{"_sip._udp.example.net": dnstest.ServFail}, reason: Temporary, unasked: "A"},
	{name: "one SRV fails", zone: zone{"gw.example.net": {"60 A 192.0.2.9"}, "_sip._tcp.example.net": {"60 SRV 0 0 5060 gw.example.net."}},
		faults: map[string]dnstest.Fault{"_sip._udp.example.net": dnstest.ServFail}, want: "tcp 192.0.2.9:5060"},
	{name: "addresses fail", zone: zone{"_sip._udp.example.net": {"60 SRV 0 0 5060 gw.example.net."}},
		faults: map[string]dnstest.Fault{"gw.example.net": dnstest.ServFail}, reason: Temporary},
	{name: "one target's addresses fail", zone: zone{"b.example.net": {"60 A 192.0.2.9"}, "_sip._udp.example.net": {"60 SRV 0 0 5060 a.example.net.", "60 SRV 1 0 5060 b.example.net."}},
		faults: map[string]dnstest.Fault{"a.example.net": dnstest.ServFail}, want: "udp 192.0.2.9:5060"},
}

func TestBranches(t *testing.T) {
	for _, b := range branches {
		t.Run(b.name, func(t *testing.T) {
			s := dnstest.Listen(t, b.zone)
			for name, f := range b.faults {
				s.Fault(name, f)
			}
			q := b.query
			if q.Host == "" {
				q.Host = example
			}
			if q.Supports == 0 {
				q.Supports = all
			}
			c := newClock()
			a, err := newOn(c, s.Addr).Locate(t.Context(), q)
			if got := list(a.Targets); got != b.want || reasonOf(t, err) != b.reason {
				t.Errorf("got %q, %v; want %q, %v\n%s", got, err, b.want, b.reason, steps(a))
			}
			if (b.want == "") == (b.reason == 0) {
				t.Error("a row wants targets or a reason")
			}
			if len(a.Steps) == 0 || !strings.Contains(steps(a)+"\n", b.step) {
				t.Errorf("the steps do not say %q:\n%s", b.step, steps(a))
			}
			if !a.Until.After(c.now()) || a.Until.After(c.now().Add(maxTTL)) {
				t.Errorf("until %v, it is %v", a.Until, c.now())
			}
			if asked := dnstest.Only(s.Asked(), b.unasked); len(asked) > 0 {
				t.Errorf("asked for %s of %v", b.unasked, asked)
			}
			for _, target := range a.Targets {
				if want, _ := hostName(q.Host); want != "" && target.Name != want {
					t.Errorf("%v must show %q, not %q", target, want, target.Name)
				}
			}
		})
	}
}
