package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// set replaces the line of a key in the three-key file, or adds it to its section.
func set(section, line string) string {
	return strings.Replace(three, "["+section+"]\n", "["+section+"]\n"+line+"\n", 1)
}

// without removes the lines that begin with prefix.
func without(prefix string) string {
	var kept []string
	for _, line := range strings.Split(three, "\n") {
		if !strings.HasPrefix(line, prefix) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

func with(prefix, line string) string {
	return strings.Replace(three, prefix, line+"\n#", 1)
}

// TestFaults: bad files and every fault that must be found in them.
func TestFaults(t *testing.T) {
	tests := []struct {
		name    string
		text    string
		environ []string
		want    string
	}{
		// Syntax.
		{"no TOML", "xmpp\n", nil, `/etc/stox/stox.toml:1:5: not valid TOML: expected character =; text values stand in double quotes: key = "value"`},
		{"no quotes", "[xmpp]\ndomain = sip.example.com\n", nil, `/etc/stox/stox.toml:2:10: not valid TOML: there is no value that could be read; text values stand in double quotes: key = "value"`},
		{"words of all sorts", "[xmpp]\ndomain = nosuch.example\n", nil, `/etc/stox/stox.toml:2:10: not valid TOML: there is no value that could be read; text values stand in double quotes: key = "value"`},
		{"UTF-16", "\xff\xfe[\x00x\x00", []string{"STOX_FOO=1"}, `/etc/stox/stox.toml: is no text in UTF-8; is it the right file? An editor can save it as UTF-8`},
		{"a section twice", "[xmpp]\n[sip]\n[xmpp]\n", nil, `/etc/stox/stox.toml: not valid TOML: table xmpp already exists; write each key and each [section] once`},
		{"syntax does not hide the environment", "=", []string{"STOX_FOO=1"}, "/etc/stox/stox.toml:1:1: not valid TOML: invalid character at start of key: =; text values stand in double quotes: key = \"value\"\nSTOX_FOO: no such key"},

		// Names.
		{"all at once", "", nil, `xmpp.domain: is missing; the component's own name, for example "sip.example.com"
xmpp.secret: is missing; the secret that the XMPP server has for this component; or set xmpp.secret_file
sip.domain: is missing; the SIP domain of your phones or provider, for example "example.net"`},
		{"misspelt", with("domain = \"example.net\"", "domian = \"example.net\""), nil, `sip.domian: unknown key; did you mean sip.domain?
sip.domain: is missing; the SIP domain of your phones or provider, for example "example.net"`},
		{"capitals", set("xmpp", `Server = "127.0.0.1:5347"`), nil, `xmpp.Server: unknown key; did you mean xmpp.server?`},
		{"hyphen", set("xmpp", `user-domains = ["example.com"]`), nil, `xmpp.user-domains: unknown key; did you mean xmpp.user_domains?`},
		{"wrong section", set("xmpp", `advertise = "192.0.2.1"`), nil, `xmpp.advertise: unknown key; did you mean sip.advertise?`},
		{"nothing near", set("xmpp", "zzz = 1"), nil, `xmpp.zzz: unknown key`},
		{"section", "[xmmp]\nserver='x'\n" + three, nil, `xmmp: unknown section; did you mean [xmpp]?`},
		{"tables", three + "[[sip.routes]]\ndomain='*'\n", nil, `sip.routes: unknown section; did you mean [[sip.route]]?`},
		{"delimiter", "\"xmpp::server\" = \"x:1\"\n\"xmpp.server\" = \"x:1\"\n" + three, nil, "\"xmpp.server\": unknown key; did you mean xmpp.server?\n\"xmpp::server\": unknown key; did you mean xmpp.server?"},
		{"control characters in a name", "\"a\\nb\\u001b\" = 1\n" + three, nil, `"a\nb\u001B": unknown key`},
		{"field of a table", three + "[[sip.route]]\ndomain = '*'\nvai = 'sip:192.0.2.10'\n", nil, `sip.route[0].vai: unknown key; did you mean sip.route.via?`},

		// Types.
		{"string", with("domain = \"sip", "domain = 5"), nil, `xmpp.domain: must be a string, not a number; write "5"`},
		{"string in a list", with("domain = \"sip", `domain = ["sip.example.com"]`), nil, `xmpp.domain: must be a string, not a list; write "sip.example.com"`},
		{"secret", with("secret", "secret = 24681357"), nil, `xmpp.secret: must be a string, not a number; put it in double quotes`},
		{"list", set("sip", `listen = "udp://0.0.0.0:5060"`), nil, `sip.listen: must be a list of strings, not a string; write ["udp://0.0.0.0:5060"]`},
		{"list of numbers", set("sip", `listen = ["udp://0.0.0.0:5060", 5060]`), nil, `sip.listen[1]: must be a string, not a number; write "5060"`},
		{"number", three + "[limits]\nmax_connections = \"10\"\n", nil, `limits.max_connections: must be a whole number, not a string; without quotes`},
		{"number with a point", three + "[limits]\nmax_connections = 10.0\n", nil, `limits.max_connections: must be a whole number, not a number with a point; without quotes`},
		{"number too small", three + "[limits]\nmax_stanza_bytes = 9999\n", nil, `limits.max_stanza_bytes: is 9999; must be at least 10000 and at most 67108864`},
		{"duration as a number", "shutdown_timeout = 5\n" + three, nil, `shutdown_timeout: must be a duration in quotes, not a number; did you mean "5s"?`},
		{"duration without a unit", "shutdown_timeout = \"5\"\n" + three, nil, `shutdown_timeout: "5" is no duration with a unit; did you mean "5s"?`},
		{"duration with a strange unit", "shutdown_timeout = \"5 seconds\"\n" + three, nil, `shutdown_timeout: "5 seconds" is no duration with a unit; write for example "15s", "500ms", "2m" or "1h30m"`},
		{"duration of nothing", "shutdown_timeout = \"0s\"\n" + three, nil, `shutdown_timeout: is "0s"; must be more than 0`},
		{"duration below nothing", "shutdown_timeout = \"-5s\"\n" + three, nil, `shutdown_timeout: is "-5s"; must be more than 0`},
		{"date", "shutdown_timeout = 2026-01-01\n" + three, nil, `shutdown_timeout: must be a duration in quotes, not a date or time; write for example "15s"`},
		{"one of a few", three + "[log]\nlevel = \"INFO\"\n", nil, `log.level: "INFO" is none of debug, info, warn, error; did you mean info?`},
		{"section as a value", "xmpp = 5\n", nil, `xmpp: is a section, not a number; write [xmpp] on a line of its own, its keys below it
xmpp.domain: is missing; the component's own name, for example "sip.example.com"
xmpp.secret: is missing; the secret that the XMPP server has for this component; or set xmpp.secret_file
sip.domain: is missing; the SIP domain of your phones or provider, for example "example.net"`},
		{"one bracket", three + "[sip.route]\ndomain = '*'\n", nil, `sip.route: must be a list of tables, not a section; write [[sip.route]]`},
		{"tables of something else", set("sip", "route = [5]"), nil, `sip.route[0]: must be a table, not a number; write [[sip.route]]`},

		// The XMPP side.
		{"server without a port", set("xmpp", `server = "localhost"`), nil, `xmpp.server: "localhost" is not host:port; did you mean "localhost:5347"?`},
		{"server with port 0", set("xmpp", `server = "localhost:0"`), nil, `xmpp.server: has port 0`},
		{"server with a big port", set("xmpp", `server = "localhost:70000"`), nil, `xmpp.server: "localhost:70000" has no port between 0 and 65535`},
		{"domain is an address", with("domain = \"sip", `domain = "me@sip.example.com"`), nil, `xmpp.domain: "me@sip.example.com" is an address, not a domain; did you mean "sip.example.com"?`},
		{"domain with a port", with("domain = \"sip", `domain = "sip.example.com:5347"`), nil, `xmpp.domain: "sip.example.com:5347" is not a domain; a port or a scheme does not belong here; did you mean "sip.example.com"?`},
		{"domain that breaks Lua", with("domain = \"sip", `domain = "a\"b.example"`), nil, `xmpp.domain: "a\"b.example" is not a domain: '"' does not belong there`},
		{"domain without a parent", with("domain = \"sip", `domain = "gateway"`), nil, `xmpp.user_domains: is missing, and "gateway" has no parent to take instead; list the XMPP domains whose users are served`},
		{"user domains", set("xmpp", `user_domains = ["example.com", "a b", "EXAMPLE.com", "sip.example.com"]`), nil, `xmpp.user_domains[1]: "a b" is not a domain: ' ' does not belong there
xmpp.user_domains[2]: "EXAMPLE.com" is there twice
xmpp.user_domains[3]: "sip.example.com" is the component itself (xmpp.domain); list the domains of the users`},
		{"no user domains", set("xmpp", `user_domains = []`), nil, `xmpp.user_domains: is empty; leave it out for the default`},
		{"no secret", without("secret"), nil, `xmpp.secret: is missing; the secret that the XMPP server has for this component; or set xmpp.secret_file`},
		{"empty secret", with("secret", `secret = ""`), nil, `xmpp.secret: the secret is empty`},
		{"the example's secret", with("secret", `secret = "change-me"`), nil, `xmpp.secret: the secret is the one of the example; stox init makes a good one`},
		{"two secrets", set("xmpp", `secret_file = "secret"`), nil, `xmpp.secret_file: contradicts xmpp.secret; keep one of the two`},
		{"no secret file", with("secret", `secret_file = "none"`), nil, `xmpp.secret_file: "/etc/stox/none" cannot be read: file does not exist; it must exist and be readable by the user that stox runs as`},

		// The SIP side.
		{"sip domain served", with("domain = \"example.net\"", `domain = "Example.com"`), nil, `sip.domain: "Example.com" is an XMPP domain that we serve (xmpp.user_domains); an address in it could mean two users; SIP users need a domain of their own`},
		{"listen", set("sip", `listen = ["0.0.0.0:5060", "udp://:5060", "udp://0.0.0.0", "udp://localhost:5060", "tcp://[::]:5060", "tcp://[::]:5060"]`), nil,
			`sip.listen[0]: "0.0.0.0:5060" is not a URL; write for example "udp://0.0.0.0:5060"
sip.listen[1]: "udp://:5060" has no host; for every address write "udp://0.0.0.0:5060"
sip.listen[2]: "udp://0.0.0.0" is not host:port; did you mean "udp://0.0.0.0:5060"?
sip.listen[3]: "udp://localhost:5060" must have an IP address for its host; names can change, addresses to listen on cannot
sip.listen[5]: "tcp://[::]:5060" is there twice`},
		{"listen nowhere", set("sip", `listen = []`), nil, `sip.listen: is empty: no SIP could come in; leave it out for udp and tcp on port 5060`},
		{"advertise everything", set("sip", `advertise = "0.0.0.0"`), nil, `sip.advertise: "0.0.0.0" is every address, none to answer to; write the address or name by which peers reach this machine`},
		{"advertise a URL", set("sip", `advertise = "udp://192.0.2.1"`), nil, `sip.advertise: "udp://192.0.2.1" is a URL, not a domain; leave out the "udp://"`},
		{"advertise without brackets", set("sip", `advertise = "2001:db8::1"`), nil, `sip.advertise: "2001:db8::1" needs brackets; did you mean "[2001:db8::1]"?`},
		{"route", three + `
[[sip.route]]
country = "Germany"
[[sip.route]]
domain = "pbx.example"
via = "192.0.2.10"
from = "accounts"
numbers = "national"
[[sip.route]]
domain = "PBX.example"
via = "sip:user@192.0.2.10"
from = "alias"
[[sip.route]]
domain = "*"
[[sip.route]]
domain = "other.example"
via = ""
[[sip.route]]
domain = "example.com"
`, nil, `sip.route[0].domain: is missing; a SIP domain, or "*" for all of them
sip.route[0].country: "Germany" is no ISO 3166 code; two letters, for example "DE"
sip.route[1].via: "192.0.2.10" is not a SIP URI; write for example "sip:192.0.2.10:5060"
sip.route[1].from: "accounts" is none of user, alias, account; did you mean account?
sip.route[1].numbers: "national" needs a country; set sip.route[1].country
sip.route[2].domain: "PBX.example" is in sip.route[1] already
sip.route[2].via: "sip:user@192.0.2.10" is a user, not a next hop; leave out everything up to the @
sip.route[2].from: "alias" needs an [[alias]], and there is none
sip.route[4].domain: is never reached: sip.route[3] takes every domain; put the route for "*" last
sip.route[4].via: is empty; leave it out to look the domain up in DNS
sip.route[5].domain: "example.com" is an XMPP domain that we serve (xmpp.user_domains); an address in it could mean two users; SIP users need a domain of their own`},
		{"password in a URI", three + "[[sip.route]]\ndomain='*'\nvia='sip:me:hunter2@192.0.2.10'\n", nil, `sip.route[0].via: a SIP URI with a password is not accepted`},
		{"peer", three + `
[[sip.peer]]
addresses = ["pbx.example", "192.0.2.10/24", "192.0.2.10"]
[[sip.peer]]
name = "b"
addresses = ["192.0.2.10"]
domains = ["example.com"]
[[sip.peer]]
name = "b"
`, nil, `sip.peer[0].name: is missing; a name for the log
sip.peer[0].addresses[0]: "pbx.example" is no IP address and no network; names are not looked up here; write for example "192.0.2.10" or "198.51.100.0/24"
sip.peer[0].addresses[1]: "192.0.2.10/24" is an address with the length of a network; did you mean "192.0.2.0/24" or "192.0.2.10"?
sip.peer[1].addresses[0]: "192.0.2.10" is in sip.peer[0] already
sip.peer[1].domains[0]: "example.com" is an XMPP domain that we serve (xmpp.user_domains); an address in it could mean two users; SIP users need a domain of their own
sip.peer[2].name: "b" is in sip.peer[1] already
sip.peer[2].addresses: is missing; ` + new(loader).peerHint()},
		{"alias", three + `
[[alias]]
sip = "sip:100@example.net"
xmpp = "juliet@example.com/phone"
[[alias]]
sip = "sip:100@EXAMPLE.net"
xmpp = "romeo@other.example"
[[alias]]
sip = "sip:example.net"
xmpp = "example.com"
[[alias]]
xmpp = "romeo@example.com"
[[alias]]
sip = "sip:101@example.net"
xmpp = "romeo@example.com"
[[alias]]
sip = "sip:102@example.net"
xmpp = "Romeo@example.com"
`, nil, `alias[0].xmpp: "juliet@example.com/phone" has a resource; leave out everything from the / on
alias[1].sip: "sip:100@EXAMPLE.net" is in alias[0] already
alias[1].xmpp: "other.example" is no XMPP domain that we serve; add it to xmpp.user_domains
alias[2].sip: "sip:example.net" has no user
alias[2].xmpp: "example.com" is not a JID; write for example "juliet@example.com"
alias[3].sip: is missing; for example "sip:+15551234567@example.net"
alias[5].xmpp: "Romeo@example.com" is in alias[4] already`},
		{"access", three + "[access]\nallow = [\"example.com\", \"a b\", \"juliet@example.com/x\", \"example.com\"]\n", nil, `access.allow[1]: "a b" is not a domain: ' ' does not belong there
access.allow[2]: "juliet@example.com/x" has a resource; leave out everything from the / on
access.allow[3]: "example.com" is there twice`},
		{"access for nobody", three + "[access]\nallow = []\n", nil, `access.allow: is empty: nobody could use the gateway; leave it out to allow all of xmpp.user_domains`},

		// The environment.
		{"unknown name", three, []string{"STOX_XMPP_SECERT=hunter2", "STOX_SERVICE_HOST=10.0.0.1"}, `STOX_SERVICE_HOST: no such key; Kubernetes makes such names for a service called stox: set enableServiceLinks: false
STOX_XMPP_SECERT: no such key; did you mean STOX_XMPP_SECRET?`},
		{"tables", three, []string{"STOX_SIP_ROUTE_0_VIA=sip:192.0.2.10"}, `STOX_SIP_ROUTE_0_VIA: cannot be set in the environment; write [[sip.route]] in the file`},
		{"type", three, []string{"STOX_LIMITS_MAX_CONNECTIONS=many", "STOX_SHUTDOWN_TIMEOUT=5"}, `STOX_SHUTDOWN_TIMEOUT: "5" is no duration with a unit; did you mean "5s"?
STOX_LIMITS_MAX_CONNECTIONS: must be a whole number, not a string; without quotes`},
		{"meaning", three, []string{"STOX_XMPP_SERVER=localhost", "STOX_SIP_LISTEN=udp://0.0.0.0"}, `STOX_XMPP_SERVER: "localhost" is not host:port; did you mean "localhost:5347"?
STOX_SIP_LISTEN: "udp://0.0.0.0" is not host:port; did you mean "udp://0.0.0.0:5060"?`},
		{"not UTF-8", three, []string{"STOX_XMPP_SECRET=\xff"}, `STOX_XMPP_SECRET: is not UTF-8`},
		{"two secrets", three, []string{"STOX_XMPP_SECRET=a", "STOX_XMPP_SECRET_FILE=/etc/stox/secret"}, `STOX_XMPP_SECRET_FILE: contradicts xmpp.secret; keep one of the two`},
		{"empty", three, []string{"STOX_XMPP_DOMAIN="}, `STOX_XMPP_DOMAIN: is missing; the component's own name, for example "sip.example.com"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, tt.text, tt.environ...)
			if diff := cmp.Diff(tt.want, faultLines(err)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestOwnAddress: a route may not lead back to ourselves. The machine has the
// address 192.0.2.1.
func TestOwnAddress(t *testing.T) {
	const advertise = "sip.advertise"
	tests := []struct{ listen, advertise, via, own string }{
		{"udp://0.0.0.0:5060", "", "sip:192.0.2.1", "sip.listen[0], udp://0.0.0.0:5060"},
		{"udp://0.0.0.0:5060", "", "sip:192.0.2.1:5060;transport=udp", "sip.listen[0], udp://0.0.0.0:5060"},
		{"udp://0.0.0.0:5060", "", "sip:127.0.0.1", "sip.listen[0], udp://0.0.0.0:5060"},
		{"udp://0.0.0.0:5060", "", "sip:localhost", "sip.listen[0], udp://0.0.0.0:5060"},
		{"udp://0.0.0.0:5060", "", "sip:LOCALHOST.:5060", "sip.listen[0], udp://0.0.0.0:5060"},
		{"udp://0.0.0.0:5060", "", "sip:[::ffff:192.0.2.1]", "sip.listen[0], udp://0.0.0.0:5060"},
		{"udp://[::]:5060", "", "sip:[::1]", "sip.listen[0], udp://[::]:5060"},
		{"udp://[::]:5060", "", "sip:192.0.2.1", "sip.listen[0], udp://[::]:5060"},
		{"udp://192.0.2.1:5060", "", "sip:192.0.2.1", "sip.listen[0], udp://192.0.2.1:5060"},
		{"udp://127.0.0.1:5060", "", "sip:localhost", "sip.listen[0], udp://127.0.0.1:5060"},
		{"udp://0.0.0.0:5060", "", "sip:192.0.2.1:5061", ""},
		{"udp://0.0.0.0:5060", "", "sip:192.0.2.1;transport=tcp", ""},
		{"udp://0.0.0.0:5060", "", "sip:192.0.2.2", ""},
		{"udp://0.0.0.0:5060", "", "sip:proxy.example.net", ""},
		{"udp://192.0.2.1:5060", "", "sip:127.0.0.1", ""}, // a proxy on the same machine
		{"udp://192.0.2.1:5060", "", "sip:localhost", ""},
		// Behind NAT: the name, the address outside, a port that is mapped.
		{"udp://0.0.0.0:5060", "gateway.example.com", "sip:Gateway.example.com", advertise},
		{"udp://0.0.0.0:5060", "203.0.113.5", "sip:203.0.113.5:5060", advertise},
		{"udp://0.0.0.0:5060", "[2001:db8::5]", "sip:[2001:db8:0::5]", advertise},
		{"udp://0.0.0.0:5060", "203.0.113.5:5070", "sip:203.0.113.5:5070;transport=tcp", advertise},
		{"udp://0.0.0.0:5060", "203.0.113.5:5070", "sip:203.0.113.5:5060", ""}, // another machine behind the same NAT
		{"udp://0.0.0.0:5060", "203.0.113.5", "sip:203.0.113.5:5090", ""},
	}
	for _, tt := range tests {
		lines := fmt.Sprintf("listen = [%q]", tt.listen)
		if tt.advertise != "" {
			lines += fmt.Sprintf("\nadvertise = %q", tt.advertise)
		}
		text := set("sip", lines) +
			fmt.Sprintf("[[sip.route]]\ndomain = \"*\"\nvia = %q\n", tt.via)
		_, err := parse(t, text)
		want := ""
		if tt.own != "" {
			want = fmt.Sprintf("sip.route[0].via: %q is our own address (%s); a route leads to another machine or port", tt.via, tt.own)
		}
		if got := faultLines(err); got != want {
			t.Errorf("listen %s, via %s: %q, want %q", tt.listen, tt.via, got, want)
		}
	}
}

// TestNotBuilt: each key that is not built is refused by name, in the file and in
// the environment, and nothing else is said about it.
func TestNotBuilt(t *testing.T) {
	n := 0
	for i := range schema {
		k := &schema[i]
		table := tableOf(k.path)
		if k.built || k.kind == kindTables || table != nil && !table.built {
			continue
		}
		n++
		value := k.example
		if k.def != nil {
			value = formatTOML(reflect.ValueOf(k.def))
		}
		text, path := k.path+" = "+value+"\n"+strings.NewReplacer("[xmpp]\n", "xmpp.", "secret = ", "xmpp.secret = ", "[sip]\n", "sip.").Replace(three), k.path
		if table != nil {
			fields := map[string]string{"sip.route": "domain = '*'\nvia = 'sip:192.0.2.10'\n", "sip.peer": "name = 'a'\naddresses = ['192.0.2.10']\n"}[table.path]
			text, path = three+"[["+table.path+"]]\n"+fields+k.name()+" = "+value+"\n", table.path+"[0]."+k.name()
		}
		_, err := parse(t, text)
		if got, want := faultLines(err), path+": not in this version of stox; remove it"; got != want {
			t.Errorf("%q\nwant %q", got, want)
		}
		if k.env() == "" {
			continue
		}
		_, err = parse(t, three, k.env()+"=x")
		if got, want := faultLines(err), k.env()+": not in this version of stox; remove it from the environment"; got != want {
			t.Errorf("%q\nwant %q", got, want)
		}
	}
	t.Logf("%d keys are not built", n)
}

// TestTransports: each is known by name, in both places that name one, and works
// in both when it is built.
func TestTransports(t *testing.T) {
	var built []string
	for _, tr := range transports {
		if tr.built {
			built = append(built, tr.name)
		}
	}
	urls, names := "; use "+strings.Join(built, ":// or ")+"://", "; use "+strings.Join(built, " or ")
	for _, tr := range append([]transport{{name: "sctp"}}, transports...) {
		wantListen, wantVia := "", ""
		switch {
		case transportNamed(tr.name) == nil:
			wantListen, wantVia = "sip.listen[0]: sctp:// is no transport that stox knows"+urls, `sip.route[0].via: transport "sctp" is no transport that stox knows`+names
		case !tr.built:
			wantListen = fmt.Sprintf("sip.listen[0]: %s:// is not in this version of stox%s", tr.name, urls)
			wantVia = fmt.Sprintf("sip.route[0].via: transport %q is not in this version of stox%s", tr.name, names)
		case tr.name == "tls" || tr.name == "wss":
			wantListen = fmt.Sprintf("sip.tls_cert: is missing; sip.listen[0] (%s://0.0.0.0:5060) needs a certificate", tr.name)
		}
		_, err := parse(t, set("sip", fmt.Sprintf("listen = [\"%s://0.0.0.0:5060\"]", tr.name)))
		if got := faultLines(err); got != wantListen {
			t.Errorf("%q, want %q", got, wantListen)
		}
		_, err = parse(t, three+fmt.Sprintf("[[sip.route]]\ndomain='*'\nvia='sip:192.0.2.10;transport=%s'\n", tr.name))
		if got := faultLines(err); got != wantVia {
			t.Errorf("%q, want %q", got, wantVia)
		}
	}
	_, err := parse(t, three+"[[sip.route]]\ndomain='*'\nvia='sips:192.0.2.10'\n")
	want := "sip.route[0].via: sips: is not in this version of stox; use sip:"
	if transportNamed("tls").built {
		want = ""
	}
	if got := faultLines(err); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestLaterValues: so are values that are not built.
func TestLaterValues(t *testing.T) {
	for i := range schema {
		k := &schema[i]
		for _, v := range k.later {
			_, err := parse(t, three+"[["+tableOf(k.path).path+"]]\ndomain = '*'\n"+k.name()+" = '"+v+"'\n")
			if want := fmt.Sprintf("%s[0].%s: %q is not in this version of stox; use %s", tableOf(k.path).path, k.name(), v, strings.Join(k.values, " or ")); faultLines(err) != want {
				t.Errorf("%q, want %q", faultLines(err), want)
			}
		}
	}
}

func TestManyFaults(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, "xmpp_server_%d = 1\n", i)
	}
	_, err := parse(t, b.String())
	e := err.(*Error)
	if last := e.Faults[len(e.Faults)-1]; len(e.Faults) != maxFaults+1 || last.String() != "/etc/stox/stox.toml: 4903 more faults are not shown" {
		t.Errorf("%d faults, the last %q", len(e.Faults), last)
	}
}

func TestDistance(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"domain", "domain", 0}, {"domian", "domain", 1}, {"domai", "domain", 1},
		{"dommain", "domain", 1}, {"domein", "domain", 1}, {"niamod", "domain", 5}, {"ž", "z", 1},
	}
	for _, tt := range tests {
		if got := distance(tt.a, tt.b, 9); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := distance(tt.b, tt.a, 9); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.b, tt.a, got, tt.want)
		}
		if got := distance(tt.a, tt.b, 1); got != min(tt.want, 1) {
			t.Errorf("distance(%q, %q) with limit 1 = %d", tt.a, tt.b, got)
		}
	}
}
