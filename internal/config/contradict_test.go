package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mapped is a further component name.
const mapped = "[[domain]]\nxmpp = 'pbx.example.com'\nsip = 'pbx.example.org'\nsecret = 'a-secret-of-its-own'\n"

// TestContradictions: values that are right by themselves and wrong together.
func TestContradictions(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"wildcards of both families", set("sip", `listen = ["udp://0.0.0.0:5060", "udp://[::]:5060"]`),
			`sip.listen[1]: "udp://[::]:5060" takes the same port as "udp://0.0.0.0:5060" (sip.listen[0]); 0.0.0.0 is every IPv4 address of the machine, [::] every address: keep one of the two`},
		{"an address and a wildcard", set("sip", `listen = ["tcp://192.0.2.1:5060", "udp://0.0.0.0:5060", "tcp://0.0.0.0:5060"]`),
			`sip.listen[2]: "tcp://0.0.0.0:5060" takes the same port as "tcp://192.0.2.1:5060" (sip.listen[0]); 0.0.0.0 is every IPv4 address of the machine, [::] every address: keep one of the two`},
		{"two addresses, two ports, two transports", set("sip", `listen = ["tcp://192.0.2.1:5060", "tcp://192.0.2.2:5060", "tcp://0.0.0.0:5062", "udp://0.0.0.0:5060", "udp://0.0.0.0:0", "tcp://0.0.0.0:0"]`), ""},
		{"the server is our own port", set("xmpp", `server = "127.0.0.1:5060"`),
			`xmpp.server: "127.0.0.1:5060" is our own address (sip.listen[1], tcp://0.0.0.0:5060); write the component port of the XMPP server, mostly 5347`},
		{"the server is our own name", set("xmpp", `server = "localhost:5060"`),
			`xmpp.server: "localhost:5060" is our own address (sip.listen[1], tcp://0.0.0.0:5060); write the component port of the XMPP server, mostly 5347`},
		{"the server is on another machine", set("xmpp", `server = "192.0.2.9:5060"`), ""},
		{"the server is at a UDP port of ours", set("xmpp", `server = "127.0.0.1:5060"`) + `listen = ["udp://0.0.0.0:5060"]`, ""},
		{"the SIP domain is ourselves", strings.Replace(three, `domain = "example.net"`, "domain = \"gateway.example.com\"\nadvertise = \"Gateway.example.com\"", 1),
			`sip.domain: "gateway.example.com" is our own address (sip.advertise), and no route leads away from here; add a [[sip.route]] with a via, or write the domain of the phones`},
		{"the SIP domain is our address", strings.Replace(three, `domain = "example.net"`, "domain = \"192.0.2.1\"", 1),
			`sip.domain: "192.0.2.1" is our own address (sip.listen[0], udp://0.0.0.0:5060), and no route leads away from here; add a [[sip.route]] with a via, or write the domain of the phones`},
		{"the SIP domain is ourselves, with a route", strings.Replace(three, `domain = "example.net"`, "domain = \"gateway.example.com\"\nadvertise = \"gateway.example.com\"\n[[sip.route]]\ndomain=\"*\"\nvia=\"sip:192.0.2.10\"", 1), ""},
		{"the phone domain is ourselves", set("sip", `phone_domain = "127.0.0.1"`) + "[[sip.route]]\ndomain='example.net'\nvia='sip:192.0.2.10'\n",
			`sip.phone_domain: "127.0.0.1" is our own address (sip.listen[0], udp://0.0.0.0:5060), and no route leads away from here; add a [[sip.route]] with a via, or write the domain of the phones`},
		{"the component's name is the SIP domain", strings.Replace(three, "example.net", "sip.example.com", 1), ""}, // legal: the same address on both sides
		{"peers that overlap", three + `
[[sip.peer]]
name = "office"
addresses = ["192.0.2.0/24", "2001:db8::/32", "192.0.2.7"]
[[sip.peer]]
name = "pbx"
addresses = ["192.0.2.10", "2001:db8:1::/48", "198.51.100.7"]
[[sip.peer]]
name = "trunk"
addresses = ["198.51.100.0/24"]
`, `sip.peer[1].addresses[0]: "192.0.2.10" is never reached: sip.peer[0] has all of 192.0.2.0/24; put the peer with the smaller network first
sip.peer[1].addresses[1]: "2001:db8:1::/48" is never reached: sip.peer[0] has all of 2001:db8::/32; put the peer with the smaller network first`},
		{"a peer without addresses", three + "[[sip.peer]]\nname = 'a'\naddresses = []\n",
			"sip.peer[0].addresses: is missing; " + new(loader).peerHint()},
		{"an alias for a SIP user", three + "[[alias]]\nsip='sip:1@example.net'\nxmpp='romeo@sip.example.com'\n",
			`alias[0].xmpp: "sip.example.com" is no XMPP domain that we serve; that is a SIP user; write the XMPP user's own address`},
		{"an alias in other letters", three + "[[alias]]\nsip='sip:Desk@example.net'\nxmpp='romeo@example.com'\n[[alias]]\nsip='sip:desk@example.net'\nxmpp='juliet@example.com'\n",
			`alias[1].sip: "sip:desk@example.net" is in alias[0] already`},
		{"the component may use itself", three + "[access]\nallow = ['sip.example.com', 'romeo@sip.example.com']\n",
			`access.allow[0]: "sip.example.com" is of the component itself (xmpp.domain); list XMPP users and their domains
access.allow[1]: "romeo@sip.example.com" is of the component itself (xmpp.domain); list XMPP users and their domains`},
		{"a further component may use itself", three + mapped + "[access]\nallow = ['example.com', 'PBX.example.com']\n",
			`access.allow[1]: "PBX.example.com" is of the component itself (domain[0].xmpp); list XMPP users and their domains`},
		{"the server of a further component is our own port", three + mapped + "server = '127.0.0.1:5060'\n",
			`domain[0].server: "127.0.0.1:5060" is our own address (sip.listen[1], tcp://0.0.0.0:5060); write the component port of the XMPP server, mostly 5347`},
		{"a further SIP domain is ourselves", three + strings.Replace(mapped, "pbx.example.org", "192.0.2.1", 1),
			`domain[0].sip: "192.0.2.1" is our own address (sip.listen[0], udp://0.0.0.0:5060), and no route leads away from here; add a [[sip.route]] with a via, or write the domain of the phones`},
		{"a SIP domain mapped twice", three + `
[[domain]]
secret = "a-secret-of-its-own"
xmpp = "pbx.example.com"
sip = "Example.net"
[[domain]]
secret = "a-secret-of-its-own"
xmpp = "sip.example.com"
sip = "pbx.example.org"
[[domain]]
secret = "a-secret-of-its-own"
xmpp = "example.com"
sip = "pbx.example.org"
[[domain]]
secret = "a-secret-of-its-own"
xmpp = "pbx.example.com"
sip = "example.com"
`, `domain[0].sip: "Example.net" is mapped to sip.example.com already: it is sip.domain; a SIP domain has one name in XMPP
domain[1].xmpp: "sip.example.com" is the component itself (xmpp.domain); its SIP domain is sip.domain
domain[2].xmpp: "example.com" is a domain of users (xmpp.user_domains); the component needs a name of its own
domain[2].sip: "pbx.example.org" is in domain[1] already
domain[3].xmpp: "pbx.example.com" is in domain[0] already
domain[3].sip: "example.com" is an XMPP domain that we serve (xmpp.user_domains); an address in it could mean two users; SIP users need a domain of their own`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, tt.text)
			got := faultLines(err)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// A further SIP domain gives nobody a voice: who may speak for it is said by routes
// and peers, and that nobody may is worth a warning (SEC-29).
func TestDomainThatNobodySpeaksFor(t *testing.T) {
	const route = "[[sip.route]]\ndomain = %q\n%s\n"
	const via = "via = 'sip:192.0.2.10'"
	const peer = "[[sip.peer]]\nname = 'a'\naddresses = ['192.0.2.10']\n"
	for _, tt := range []struct {
		name, more string
		warned     bool
	}{
		{"nothing", "", true},
		{"a route elsewhere", fmt.Sprintf(route, "example.net", via), true},
		{"a route by DNS", fmt.Sprintf(route, "pbx.example.org", ""), true},
		{"a peer for the default domain", peer, true},
		{"a peer for another domain", peer + "domains = ['example.net']\n", true},
		{"a route", fmt.Sprintf(route, "PBX.example.org.", via), false},
		{"a route for all", fmt.Sprintf(route, "*", via), false},
		{"a peer that lists it", peer + "domains = ['example.net', 'Pbx.example.org']\n", false},
		{"a peer for all", peer + "domains = ['*']\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := mustParse(t, three+mapped+tt.more)
			want := ""
			if tt.warned {
				want = `domain[0].sip: no other machine may send from "pbx.example.org": no [[sip.route]] with a via leads to it, and no [[sip.peer]] lists it; add one of them`
			}
			var got []string
			for _, w := range c.Warnings {
				got = append(got, w.String())
			}
			if strings.Join(got, "\n") != want {
				t.Errorf("warnings %q, want %q", got, want)
			}
		})
	}
}

// The secret of a further component is the admin's own to choose, as is that of
// the first.
func TestShortSecretOfADomain(t *testing.T) {
	c := mustParse(t, three+strings.Replace(mapped, "a-secret-of-its-own", "short", 1)+"[[sip.route]]\ndomain='*'\nvia='sip:192.0.2.10'\n")
	if len(c.Warnings) != 1 || c.Warnings[0].Path != "domain[0].secret" {
		t.Errorf("warnings %v", c.Warnings)
	}
}

// TestContradictionsToCome: the same for keys that are not built, as they will be
// judged when they are.
func TestContradictionsToCome(t *testing.T) {
	const route = three + "[[sip.route]]\ndomain = '*'\nvia = 'sip:192.0.2.10'\n"
	tests := []struct{ name, text, want string }{
		{"a token off loopback", three + "[admin]\nlisten = \"0.0.0.0:9480\"\n", `admin.token: is missing; admin.listen "0.0.0.0:9480" can be reached from other machines: set it, or admin.token_file, or listen on 127.0.0.1`},
		{"a token off loopback, IPv6", three + "[admin]\nlisten = \"[2001:db8::1]:9480\"\n", `admin.token: is missing; admin.listen "[2001:db8::1]:9480" can be reached from other machines: set it, or admin.token_file, or listen on 127.0.0.1`},
		{"none on loopback", three + "[admin]\nlisten = \"[::1]:9480\"\n", ""},
		{"none on localhost", three + "[admin]\nlisten = \"localhost:9480\"\n", ""},
		{"none when it is off", three + "[admin]\nlisten = \"\"\n", ""},
		{"a token in a file", three + "[admin]\nlisten = \"0.0.0.0:9480\"\ntoken_file = 'token'\n", ""},
		{"two tokens", three + "[admin]\ntoken = \"0123456789abcdef\"\ntoken_file = 'token'\n", `admin.token_file: contradicts admin.token; keep one of the two`},
		{"an empty token", three + "[admin]\ntoken = \"\"\n", `admin.token: the secret is empty`},
		{"the door has no address", three + "[admin]\nlisten = \"gateway.example.com:9480\"\n", `admin.listen: "gateway.example.com:9480" must have an IP address for its host; names can change, addresses to listen on cannot`},
		{"the door without a port", three + "[admin]\nlisten = \"127.0.0.1\"\n", `admin.listen: "127.0.0.1" is not host:port; did you mean "127.0.0.1:9480"?`},
		{"the door is a SIP port", three + "[admin]\nlisten = \"127.0.0.1:5060\"\n", `admin.listen: "127.0.0.1:5060" takes the same port as "tcp://0.0.0.0:5060" (sip.listen[1]); 0.0.0.0 is every IPv4 address of the machine, [::] every address: keep one of the two`},
		{"the server is the door", set("xmpp", `server = "127.0.0.1:9480"`), `xmpp.server: "127.0.0.1:9480" is our own address (admin.listen, 127.0.0.1:9480); write the component port of the XMPP server, mostly 5347`},
		{"a long socket", three + "[admin]\nsocket = \"/" + strings.Repeat("x", 120) + "\"\n", `admin.socket: is longer than a socket's path may be; 107 bytes at most; /run/stox/stox.sock would do`},
		{"two stores", three + "[store]\npath = \"x.db\"\nurl = \"postgres://u:hunter2@db/stox\"\n", `store.path: contradicts store.url; keep one of the two`},
		{"another database", three + "[store]\nurl = \"mysql://u:hunter2@db/stox\"\n", `store.url: is not the URL of a PostgreSQL database; write for example "postgres://stox@db.example.com/stox"`},
		{"TLS without a certificate", set("sip", `listen = ["tls://0.0.0.0:5061"]`), `sip.tls_cert: is missing; sip.listen[0] (tls://0.0.0.0:5061) needs a certificate`},
		{"half a certificate", set("sip", `tls_cert = "cert.pem"`), `sip.tls_key: is missing; the key of the certificate in sip.tls_cert`},
		{"the other half", set("sip", `tls_key = "key.pem"`), `sip.tls_cert: is missing; the certificate for the key in sip.tls_key`},
		{"certificates that are not there", set("sip", "tls_cert = \"none.pem\"\ntls_key = \"key.pem\"\ntls_ca = \"ca.pem\""), `sip.tls_cert: "/etc/stox/none.pem" cannot be read: file does not exist; it must exist and be readable by the user that stox runs as
sip.tls_ca: "/etc/stox/ca.pem" cannot be read: file does not exist; it must exist and be readable by the user that stox runs as`},
		{"TLS and TCP on one port", set("sip", "listen = [\"tls://0.0.0.0:5061\", \"tcp://0.0.0.0:5061\"]\ntls_cert = \"cert.pem\"\ntls_key = \"key.pem\""), `sip.listen[1]: "tcp://0.0.0.0:5061" takes the same port as "tls://0.0.0.0:5061" (sip.listen[0]); each needs a port of its own`},
		{"sips over UDP", three + "[[sip.route]]\ndomain='*'\nvia='sips:192.0.2.10;transport=udp'\n", `sip.route[0].via: "sips:192.0.2.10;transport=udp" cannot be: there is no sips: over UDP; leave out transport=udp`},
		{"TLS to ourselves", set("sip", "listen = [\"tls://0.0.0.0:5061\"]\ntls_cert = \"cert.pem\"\ntls_key = \"key.pem\"") + "[[sip.route]]\ndomain='*'\nvia='sips:192.0.2.1'\n", `sip.route[0].via: "sips:192.0.2.1" is our own address (sip.listen[0], tls://0.0.0.0:5061); a route leads to another machine or port`},
		{"a user without a password", route + "username = 'u'\n", `sip.route[0].password: is missing; the password for sip.route[0].username; or set sip.route[0].password_file`},
		{"a user of two lines", route + "username = \"u\\nVia: x\"\npassword = 'hunter2'\n", `sip.route[0].username: "u\nVia: x" has more than one line, or control characters`},
		{"a peer of two lines", three + "[[sip.peer]]\nname = 'p'\nusername = \"u\\u0000\"\npassword = 'hunter2'\n", `sip.peer[0].username: "u\u0000" has more than one line, or control characters`},
		{"a password without a user", route + "password = 'hunter2'\n", `sip.route[0].username: is missing; whose password it is`},
		{"two passwords", route + "username = 'u'\npassword = 'hunter2'\npassword_file = 'secret'\n", `sip.route[0].password_file: contradicts sip.route[0].password; keep one of the two`},
		{"who registers", route + "register = true\n", `sip.route[0].username: is missing; sip.route[0].register needs to say who registers`},
		{"a login for everybody", three + "[[sip.route]]\ndomain = '*'\nusername = 'u'\npassword = 'hunter2'\n", `sip.route[0].via: is missing; sip.route[0].username is for servers of a route, and without via a route for all domains leads to strangers`},
		{"registers where", three + "[[sip.route]]\ndomain = '*'\nusername = 'u'\npassword = 'hunter2'\nregister = true\n", `sip.route[0].via: is missing; sip.route[0].register needs to say where`},
		{"accounts that are not", route + "from = 'account'\n", `sip.route[0].from: "account" needs accounts, and accounts.mode is "none"; set accounts.mode = "optional" or "required"`},
		{"accounts without a key", three + "[accounts]\nmode = 'required'\n", `accounts.mode: is "required", and no route lets users have accounts; set from = "account" on the [[sip.route]] to the domain where they have their accounts
accounts.key_file: is missing: accounts.mode "required" stores passwords, which must be encrypted; make one with: head -c32 /dev/urandom | base64 > accounts.key; chmod 600 accounts.key`},
		{"accounts at any host", three + "[accounts]\nmode = 'optional'\nkey_file = 'secret'\n[[sip.route]]\ndomain = '*'\nfrom = 'account'\n", `sip.route[0].via: is missing; without it, and with from = "account" for all domains, a user could have the gateway register at any host`},
		{"a key file that is not", three + "[accounts]\nmode = 'optional'\nkey_file = 'nowhere'\n[[sip.route]]\ndomain = 'pbx.example'\nfrom = 'account'\n", `accounts.key_file: "/etc/stox/nowhere" cannot be read: file does not exist; it must exist and be readable by the user that stox runs as`},
		{"message sizes", route + "max_message_bytes = 65537\n", `sip.route[0].max_message_bytes: is 65537; must be at least 1 and at most 65536`},
		{"a status", set("sip", "accept_status = 201"), `sip.accept_status: 201 is none of 200, 202`},
		{"an impatient barrier", set("xmpp", "barrier_timeout = '40s'"), `xmpp.barrier_timeout: is "40s"; must be at least 100ms and at most 10s`},
		{"prefixes", three + "[limits]\nprefixes = ['+49', '0049', '+4a', '+49']\n", `limits.prefixes[1]: "0049" is no prefix of an international number; write for example "+49"
limits.prefixes[2]: "+4a" is no prefix of an international number; write for example "+49"
limits.prefixes[3]: "+49" is there twice`},
		{"admins", set("xmpp", "admins = ['example.com', 'a@example.com/x']"), `xmpp.admins[0]: "example.com" is not a JID; write for example "juliet@example.com"
xmpp.admins[1]: "a@example.com/x" has a resource; leave out everything from the / on`},
		{"a resolver", set("sip", "resolver = '127.0.0.1'"), `sip.resolver: "127.0.0.1" is not host:port; did you mean "127.0.0.1:53"?`},
		{"exports", three + "[log]\nhep = 'hep.example.com'\notlp = 'collector:4317'\n", `log.hep: "hep.example.com" is not host:port; did you mean "hep.example.com:9060"?
log.otlp: "collector:4317" is not an http:// or https:// URL; write for example "http://127.0.0.1:4318"`},
		{"exports that are off", three + "[log]\nhep = 'off'\notlp = 'off'\n", ""},
		{"a peer that nobody knows", three + "[[sip.peer]]\nname = 'a'\n", `sip.peer[0].addresses: is missing; a peer is known by one of addresses, tls_names, username`},
		{"one name, two peers", three + "[[sip.peer]]\nname = 'a'\ntls_names = ['x.example']\n[[sip.peer]]\nname = 'b'\ntls_names = ['X.example']\n[[sip.peer]]\nname = 'c'\nusername = 'u'\npassword = 'p'\n[[sip.peer]]\nname = 'd'\nusername = 'u'\npassword = 'p'\n",
			`sip.peer[1].tls_names[0]: "x.example" is in sip.peer[0] already
sip.peer[3].username: "u" is in sip.peer[2] already`},
		{"domains", three + "[[domain]]\n[[domain]]\nxmpp = 'pbx.example.com'\nsip = 'pbx.example'\nserver = 'localhost'\nsecret = ''\n", `domain[0].xmpp: is missing; the component's name, for example "pbx.example.com"
domain[0].sip: is missing; the SIP domain, for example "pbx.example.org"
domain[0].secret: is missing; the secret that the XMPP server has for this component; or set domain[0].secret_file
domain[1].server: "localhost" is not host:port; did you mean "localhost:5347"?
domain[1].secret: the secret is empty`},
		{"empty values", set("sip", "resolver = ''\ntls_ca = ''") + "[admin]\nsocket = ''\n[log]\nhep = ''\n", `sip.resolver: is empty; leave it out for the default
sip.tls_ca: is empty; leave it out for the default
admin.socket: is empty; leave it out for the default
log.hep: is empty; leave it out for the default`},
		{"keeps nothing", three + "[store]\npath = ''\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := allFaults(tt.text)
			if diff := cmp.Diff(tt.want, faultLines(err)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if strings.Contains(faultLines(err), "hunter2") {
				t.Error("a secret is in the faults")
			}
		})
	}
}

// TestAdminTokenWhenBuilt: to ask for a token is part of the schema, so that
// switching the key on is enough.
func TestAdminTokenWhenBuilt(t *testing.T) {
	c := allParse(t, three+"[admin]\nlisten = \"[::]:9480\"\n", "STOX_ADMIN_TOKEN=0123456789abcdef")
	if c.Admin.Token.Reveal() != "0123456789abcdef" || c.Admin.Socket != "/var/lib/stox/stox.sock" {
		t.Errorf("%+v", c.Admin)
	}
	if c := allParse(t, three+"[store]\npath = ''\n"); c.Admin.Socket != "" {
		t.Errorf("a socket beside nothing: %q", c.Admin.Socket)
	}
	if c := allParse(t, three, "STOX_STORE_URL=postgres://db/stox"); c.Store.Path != "" || c.Admin.Socket != "/var/lib/stox/stox.sock" {
		t.Errorf("with a database elsewhere: %+v %+v", c.Store, c.Admin)
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"a top-level domain", strings.Replace(three, "sip.example.com", "example.com", 1), `xmpp.domain: the users served are those of "com", its parent; if "example.com" is the domain of your users, the component needs a name of its own, such as "sip.example.com"`},
		{"localhost is no top-level domain", strings.Replace(three, "sip.example.com", "sip.localhost", 1), ""},
		{"a top-level domain that is asked for", strings.Replace(three, "sip.example.com\"", "gateway.lan\"\nuser_domains = [\"lan\"]", 1), ""},
		{"a short secret", strings.Replace(three, "hunter2-is-no-secret", "hunter2", 1), "xmpp.secret: the secret is short (fewer than 12 characters); whoever guesses it can speak for everybody; stox init makes a good one"},
		{"the port for clients", set("xmpp", `server = "127.0.0.1:5222"`), "xmpp.server: 5222 is the port for clients or other servers; components have one of their own, mostly 5347"},
		{"a dial plan that nobody asks", three + "[[sip.route]]\ndomain='pbx.example'\nvia='sip:192.0.2.10'\ncountry='DE'\nnumbers='national'\n[[sip.route]]\ndomain='*'\nvia='sip:192.0.2.11'\ncountry='DE'\nnumbers='national'\n",
			`sip.route[0].country: has no effect: numbers belong to sip.phone_domain (example.net), and this is not its route
sip.route[0].numbers: has no effect: numbers belong to sip.phone_domain (example.net), and this is not its route`},
		{"UDP without TCP", set("sip", `listen = ["udp://192.0.2.1:5060", "tcp://192.0.2.1:5062", "tcp://192.0.2.2:5060"]`), `sip.listen[0]: "udp://192.0.2.1:5060" has no TCP beside it: what is too long for UDP cannot come (RFC 3261 §18.2.1); add "tcp://192.0.2.1:5060"`},
		{"UDP with a WebSocket only", set("sip", `listen = ["udp://[2001:db8::1]:5060", "ws://[2001:db8::1]:5060"]`), `sip.listen[0]: "udp://[2001:db8::1]:5060" has no TCP beside it: what is too long for UDP cannot come (RFC 3261 §18.2.1); add "tcp://[2001:db8::1]:5060"`},
		{"UDP with TCP everywhere", set("sip", `listen = ["tcp://0.0.0.0:5060", "udp://192.0.2.1:5060"]`), ""},
		{"UDP at any port", set("sip", `listen = ["udp://192.0.2.1:0"]`), ""},
		{"a certificate that nobody shows", three + "[[sip.peer]]\nname = 'a'\ntls_names = ['x.example']\n", `sip.peer[0].tls_names: has no effect: nothing in sip.listen takes TLS, so nobody shows a certificate; add "tls://0.0.0.0:5061"`},
		{"texts without a token", three + "[admin]\nshow_bodies = true\n", `admin.show_bodies: shows the texts of messages to everybody on this machine; set admin.token_file`},
		{"everybody is a peer", three + "[[sip.peer]]\nname = 'all'\naddresses = ['0.0.0.0/0']\n", `sip.peer[0].addresses[0]: "0.0.0.0/0" is everybody; whoever can send a packet to us may write to your users`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var lines []string
			for _, w := range mustParse(t, tt.text).Warnings {
				lines = append(lines, w.String())
			}
			if diff := cmp.Diff(tt.want, strings.Join(lines, "\n")); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestOpenKey: a key that all can read is worth a warning, as a secret is.
func TestOpenKey(t *testing.T) {
	for dir, want := range map[string]string{
		"/public/": `sip.tls_key: "/public/key.pem" can be read by other users (mode 0644); chmod 640 /public/key.pem, or 600`,
		"/safe/":   "",
	} {
		text := set("sip", "tls_cert = '"+dir+"cert.pem'\ntls_key = '"+dir+"key.pem'")
		c, err := testLoader(map[string]string{"/etc/stox/stox.toml": text, dir + "cert.pem": "x", dir + "key.pem": "x"}).load("/etc/stox/stox.toml", nil)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, w := range c.Warnings {
			got += w.String()
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestLive: which keys may change while the daemon runs is a promise.
func TestLive(t *testing.T) {
	const fixed = `xmpp.server xmpp.domain xmpp.secret xmpp.secret_file xmpp.barrier sip.listen sip.advertise sip.domain sip.udp_gso sip.resolver
		domain domain.xmpp domain.sip domain.server domain.secret domain.secret_file accounts.mode accounts.key_file
		limits.max_connections limits.max_header_bytes limits.max_stanza_bytes store.path store.url
		admin.listen admin.socket admin.token admin.token_file log.otlp`
	var got []string
	for i := range schema {
		if !schema[i].live {
			got = append(got, schema[i].path)
		}
	}
	if diff := cmp.Diff(strings.Fields(fixed), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestJudge: those who know more are heard together with the rest, but not about
// what is known to be wrong.
func TestJudge(t *testing.T) {
	l := testLoader(map[string]string{"/etc/stox/stox.toml": set("xmpp", `server = "localhost"`) + "[[alias]]\nsip='sip:1@example.net'\nxmpp='x'\n"})
	l.judges = []Judge{
		func(*Config) error { return nil },
		func(c *Config) error {
			if c.SIP.Domain != "example.net" {
				t.Errorf("judged is %+v", c)
			}
			return &Error{Faults: []Fault{
				{Path: "sip.domain", Text: "is\nfar away"}, {Path: "xmpp.server", Text: "again"}, {Path: "alias", Text: "again"},
				{Path: "alias[0].xmpp[1]", Text: "again"}, {Path: "alias[0].sip", Text: "sounds wrong", Hint: "try another"}, {Path: "somewhere", Text: "a consequence"},
				{Path: "xmpp.user_domains[0]", Text: "a consequence"}, {Path: "log.level", Text: "a consequence"},
			}}
		},
	}
	_, err := l.load("/etc/stox/stox.toml", []string{"STOX_SIP_DOMAIN=example.net"})
	want := `xmpp.server: "localhost" is not host:port; did you mean "localhost:5347"?
STOX_SIP_DOMAIN: is far away
alias[0].sip: sounds wrong; try another
alias[0].xmpp: "x" is not a JID; write for example "juliet@example.com"`
	if diff := cmp.Diff(want, faultLines(err)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	// What is about no key names the file.
	l = testLoader(map[string]string{"/etc/stox/stox.toml": three})
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errors.New("out of paper"), "/etc/stox/stox.toml: out of paper"},
		{&Error{Faults: []Fault{{Path: "printer", Text: "out of paper"}}}, "/etc/stox/stox.toml: printer: out of paper"},
	} {
		l.judges = []Judge{func(*Config) error { return tt.err }}
		if _, err := l.load("/etc/stox/stox.toml", nil); faultLines(err) != tt.want {
			t.Errorf("%q, want %q", faultLines(err), tt.want)
		}
	}
}

func TestByteOrderMark(t *testing.T) {
	if c := mustParse(t, "\ufeff"+three); c.XMPP.Domain != "sip.example.com" {
		t.Errorf("%+v", c.XMPP)
	}
}

func TestMaskURL(t *testing.T) {
	for in, want := range map[Secret]string{
		"postgres://u:hunter2@db/x":                     "postgres://u:xxxxx@db/x",
		"postgres://db/x?password=hunter2&sslmode=on":   "postgres://db/x?password=xxxxx&sslmode=on",
		"postgres://u:hunter2@db/x?host=/run&x=hunter2": "postgres://u:xxxxx@db/x?host=%2Frun&x=xxxxx",
		"postgres://u:hunter2%zz@db/":                   masked,
		"postgres://db/x":                               "postgres://db/x",
	} {
		if got := maskURL(in); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
