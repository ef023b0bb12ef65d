package config

import (
	"slices"
	"strings"
	"time"
)

// kind is the type of a key's value.
type kind int

const (
	kindString   kind = iota
	kindBool          // true, false
	kindInt           // a whole number
	kindDuration      // a string such as "5s"; a number has no unit and is refused
	kindList          // a list of strings
	kindTables        // [[name]], any number of them
)

func (k kind) String() string {
	switch k {
	case kindBool:
		return "true or false"
	case kindInt:
		return "a whole number"
	case kindDuration:
		return "a duration in quotes"
	case kindList:
		return "a list of strings"
	case kindTables:
		return "a list of tables"
	}
	return "a string"
}

// key is one key of the file.
type key struct {
	path    string   // "sip.domain"; the field of a table: "sip.route.via"
	kind    kind     //
	def     any      // the default: string, bool, int, []string, time.Duration; nil if there is none
	defText string   // what the default is when it is derived from other keys
	values  []string // the only values allowed, if there are only some
	later   []string // values of config's plan that this version does not have
	min     int      // least value of a kindInt
	live    bool     // may change while the daemon runs
	built   bool     // does something in this version
	secret  bool     // the value must not be seen
	must    bool     // has to be set
	example string   // a value for the annotated example, TOML
	doc     string   // one or more sentences for the reference
}

// section is the part of the path before the last dot.
func (k *key) section() string {
	i := strings.LastIndexByte(k.path, '.')
	return k.path[:max(i, 0)]
}

// name is the part of the path after the last dot.
func (k *key) name() string { return k.path[strings.LastIndexByte(k.path, '.')+1:] }

// env is the key's name in the environment, "" if it has none: the fields of
// tables can only be set in the file.
func (k *key) env() string {
	if k.kind == kindTables || tableOf(k.path) != nil {
		return ""
	}
	return envName(k.path)
}

const envPrefix = "STOX_"

func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// keyAt finds a key by its path without indices, nil if there is none.
func keyAt(path string) *key { return byPath[path] }

// tableOf is the [[table]] that path is a field of, nil if it is none.
func tableOf(path string) *key {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return nil
	}
	if k := byPath[path[:i]]; k != nil && k.kind == kindTables {
		return k
	}
	return nil
}

// sections are the names in front of the dot: [xmpp], [sip], …
var sections = func() (names []string) {
	for i := range schema {
		k := &schema[i]
		if s := k.section(); s != "" && tableOf(k.path) == nil && !slices.Contains(names, s) {
			names = append(names, s)
		}
	}
	return names
}()

// sectionDoc says what a section is about, for the reference.
var sectionDoc = map[string]string{
	"":         "Keys outside of any section; they stand before the first `[section]`.",
	"xmpp":     "The XMPP server that stox is a component of.",
	"sip":      "The SIP side.",
	"access":   "Who may use the gateway.",
	"accounts": "Users' own SIP accounts.",
	"limits":   "What one user, one peer and one packet may ask of us.",
	"queue":    "Messages that wait for their destination.",
	"store":    "What outlives a restart.",
	"admin":    "The administrator's own door.",
	"log":      "What is logged, to standard error.",
}

var byPath = func() map[string]*key {
	m := make(map[string]*key, len(schema))
	for i := range schema {
		m[schema[i].path] = &schema[i]
	}
	return m
}()

// schema is every key there is or is going to be, in the order of the
// reference. A key that is not built is known by name only: setting it is an
// error, so that nobody relies on what does not happen.
var schema = []key{
	{path: "shutdown_timeout", kind: kindDuration, def: 15 * time.Second, live: true, built: true,
		doc: "How long a stop waits for what is in flight. The service manager must be more patient than this (`TimeoutStopSec=` in the unit file)."},

	{path: "xmpp.server", def: "127.0.0.1:5347", built: true,
		doc: "Where the server listens for components, host:port. Prosody: `component_ports`; ejabberd: the port of `ejabberd_service`."},
	{path: "xmpp.domain", must: true, built: true, example: `"sip.example.com"`,
		doc: "The component's own name, as the server knows it. SIP users appear to XMPP users as addresses at this domain."},
	{path: "xmpp.secret", secret: true, built: true, example: `"` + exampleSecret + `"`,
		doc: "The secret that the server has for this component. Either this or `xmpp.secret_file` is required."},
	{path: "xmpp.secret_file", built: true, example: `"secret"`,
		doc: "A file that holds the secret, instead of `xmpp.secret`; one newline at its end does not count. A relative path starts at the directory of the configuration file (from the environment: at the working directory)."},
	{path: "xmpp.user_domains", kind: kindList, live: true, built: true, defText: "the parent of `xmpp.domain`", example: `["example.com"]`,
		doc: "The XMPP domains whose users are served."},
	{path: "xmpp.admins", kind: kindList, live: true, doc: "JIDs that may give orders to the gateway."},
	{path: "xmpp.barrier", def: "auto", values: []string{"auto", "single", "settled"}, built: true,
		doc: "How stox learns that the server has processed a message, before it answers 200 to SIP. It writes a ping to itself behind the messages: when that comes back (`single`), or 2 ms later a second one (`settled`), the server has handled them and its errors have come. ejabberd needs `settled`, since its users' sessions refuse a blocked sender just after the ping (on a busy machine sometimes later than that). `auto` asks the server what it is and takes `single` for Prosody."},
	{path: "xmpp.barrier_timeout", kind: kindDuration, def: 5 * time.Second, live: true, built: true,
		doc: "How long it waits for that, from `100ms` to `10s`. Then SIP is answered 202: handed over, and no more is known. It is also the time that a lost link to the server has to return before a message that was written to it is answered 503."},
	{path: "xmpp.failure_notice", kind: kindBool, def: true, live: true, doc: "Whether a late failure also comes as an ordinary message."},
	{path: "xmpp.html", def: "xhtml-im", values: []string{"xhtml-im", "plain"}, live: true, doc: "What text/html becomes besides the plain body."},

	{path: "sip.listen", kind: kindList, def: []string{"udp://0.0.0.0:5060", "tcp://0.0.0.0:5060"}, built: true,
		doc: "Where SIP is received: `udp://` or `tcp://`, an IP address and a port. `[::]` is every address of the machine, IPv6 and IPv4. Port 0 takes a free one. `tls://`, `ws://` and `wss://` are not in this version."},
	{path: "sip.advertise", built: true, defText: "the address of `sip.listen` if there is only one and it is no wildcard; else in Via the address that the machine sends from, and in SIP addresses `xmpp.domain`", example: `"gateway.example.com"`,
		doc: "The host, or host:port, at which SIP peers reach us; needed behind NAT. It is also the host of the addresses of XMPP users whose own domain does not lead to us: `sip:juliet%40example.com@gateway.example.com`."},
	{path: "sip.domain", must: true, built: true, example: `"example.net"`,
		doc: "The default SIP domain: `romeo@sip.example.com` on the XMPP side is `sip:romeo@` this domain on the SIP side. Users of other SIP domains are written `romeo\\40example.org@sip.example.com`."},
	{path: "sip.phone_domain", live: true, built: true, defText: "`sip.domain`", example: `"example.net"`,
		doc: "The SIP domain of phone numbers: `+15551234567@sip.example.com` is `sip:+15551234567@` this domain `;user=phone`."},
	{path: "sip.accept_status", kind: kindInt, def: 200, live: true, built: true,
		doc: "The status for a message that the XMPP server has processed: `200`, or `202` for peers that insist (RFC 3428 §7)."},
	{path: "sip.late_errors", def: "imdn", values: []string{"imdn", "message", "none"}, live: true, doc: "How an error that comes after the answer is told to the SIP side."},
	{path: "sip.expired", def: "deliver", values: []string{"deliver", "refuse"}, live: true, doc: "What happens to a MESSAGE whose Expires has passed."},
	{path: "sip.imdn", def: "if-known", values: []string{"always", "if-known", "never"}, live: true, doc: "When delivery notifications are asked for."},
	{path: "sip.composing", def: "reply-only", values: []string{"always", "reply-only", "never"}, live: true, doc: "When is-composing is sent."},
	{path: "sip.resolver", defText: "the system's", doc: "The DNS server to ask, host:port."},
	{path: "sip.tls_cert", live: true, doc: "Our certificate, PEM."},
	{path: "sip.tls_key", live: true, doc: "Its key, PEM."},
	{path: "sip.tls_ca", live: true, doc: "Who may sign the certificates of peers, PEM."},

	{path: "sip.route", kind: kindTables, live: true, built: true,
		doc: "Where requests for a SIP domain go. The first table whose domain matches wins. Without one the host of the address itself is looked up in DNS."},
	{path: "sip.route.domain", must: true, live: true, built: true, example: `"*"`,
		doc: "A SIP domain, or `\"*\"` for every domain."},
	{path: "sip.route.via", live: true, built: true, defText: "the domain itself, by DNS", example: `"sip:192.0.2.10:5060;transport=udp"`,
		doc: "The next hop, a SIP URI: host, port (5060 if left out) and `;transport=udp` or `tcp`."},
	{path: "sip.route.username", live: true, doc: "The user name for digest authentication."},
	{path: "sip.route.password", secret: true, live: true, doc: "Its password."},
	{path: "sip.route.password_file", live: true, doc: "A file that holds the password."},
	{path: "sip.route.register", kind: kindBool, def: false, doc: "Whether to keep a registration."},
	{path: "sip.route.size", def: "tcp", values: []string{"tcp", "split", "reject"}, live: true, doc: "What happens to a request of more than 1300 bytes on UDP."},
	{path: "sip.route.max_message_bytes", kind: kindInt, live: true, defText: "65536 over TCP or TLS, 1300 over UDP and without a route", doc: "The longest text for this route."},
	{path: "sip.route.from", def: "user", values: []string{"user", "alias"}, later: []string{"account"}, live: true, built: true,
		doc: "Whose identity a request on this route carries: the XMPP user's own address, or the one that `[[alias]]` gives the user. (`account` is not in this version.)"},
	{path: "sip.route.numbers", def: "e164", values: []string{"e164", "national", "nanp10"}, live: true, built: true,
		doc: "How phone numbers are dialled on this route: `+15551234567`, the national form of `country`, or ten digits (North America)."},
	{path: "sip.route.country", live: true, built: true, example: `"DE"`,
		doc: "The ISO 3166 code of the country whose national numbers this route uses, two letters. Without it national numbers are not understood."},
	{path: "sip.route.presence", def: "subscribe", values: []string{"subscribe", "publish", "none"}, live: true, doc: "How presence is exchanged."},

	{path: "sip.peer", kind: kindTables, live: true, built: true,
		doc: "Who may send SIP requests to us besides this machine itself and the hosts of the routes, and for which domains they may speak."},
	{path: "sip.peer.name", must: true, live: true, built: true, example: `"pbx"`,
		doc: "A name for the log."},
	{path: "sip.peer.addresses", kind: kindList, must: true, live: true, built: true, example: `["192.0.2.10", "198.51.100.0/24"]`,
		doc: "Its IP addresses and networks."},
	{path: "sip.peer.tls_names", kind: kindList, live: true, doc: "The names in its certificate."},
	{path: "sip.peer.username", live: true, doc: "The user name with which it authenticates."},
	{path: "sip.peer.password", secret: true, live: true, doc: "Its password."},
	{path: "sip.peer.password_file", live: true, doc: "A file that holds the password."},
	{path: "sip.peer.domains", kind: kindList, live: true, built: true, defText: "`sip.domain` and the domains of the routes that lead to this peer", example: `["example.net"]`,
		doc: "The SIP domains for which it may speak; `\"*\"` is any but the XMPP domains that we serve."},

	{path: "domain", kind: kindTables, doc: "A further component name for a further SIP domain."},
	{path: "domain.xmpp", doc: "The component's name."},
	{path: "domain.sip", doc: "The SIP domain."},
	{path: "domain.server", defText: "`xmpp.server`", doc: "Where the server listens for components."},
	{path: "domain.secret", secret: true, doc: "The secret for this component."},
	{path: "domain.secret_file", doc: "A file that holds the secret."},

	{path: "alias", kind: kindTables, live: true, built: true,
		doc: "Pairs a SIP identity (a phone number, an extension) with an XMPP user."},
	{path: "alias.sip", must: true, live: true, built: true, example: `"sip:+15551234567@example.net"`,
		doc: "The SIP URI."},
	{path: "alias.xmpp", must: true, live: true, built: true, example: `"juliet@example.com"`,
		doc: "The XMPP user, a JID without a resource."},

	{path: "access.allow", kind: kindList, live: true, built: true, defText: "`xmpp.user_domains`", example: `["example.com"]`,
		doc: "Which XMPP users may send through the gateway and be reached from SIP: JIDs, domains, or `\"*\"` for everybody."},

	{path: "accounts.mode", def: "none", values: []string{"none", "optional", "required"}, doc: "Whether users may, or must, have SIP accounts of their own."},
	{path: "accounts.key_file", doc: "The key that encrypts stored passwords."},

	{path: "limits.user_rate", kind: kindInt, def: 5, live: true, doc: "Messages a second per XMPP user; 0 is no limit."},
	{path: "limits.peer_rate", kind: kindInt, def: 200, live: true, doc: "Requests a second per SIP source; 0 is no limit."},
	{path: "limits.daily_per_user", kind: kindInt, def: 0, live: true, doc: "Messages a day per user to phone numbers; 0 is no limit."},
	{path: "limits.prefixes", kind: kindList, live: true, doc: "Number prefixes that may be dialled."},
	{path: "limits.max_connections", kind: kindInt, def: 1000, min: 1, built: true,
		doc: "SIP connections over TCP at the same time; one more is closed."},
	{path: "limits.max_header_bytes", kind: kindInt, def: 16384, min: 1024, built: true,
		doc: "Bytes in the headers of a SIP request."},
	{path: "limits.max_stanza_bytes", kind: kindInt, def: 524288, min: 10000, built: true,
		doc: "Bytes in one stanza from the XMPP server. At least 10000 (RFC 6120 §13.12), and no less than the server lets its users send (Prosody: 512 KiB)."},

	{path: "queue.expire", kind: kindDuration, def: 5 * time.Minute, live: true, doc: "How long a message is tried."},
	{path: "queue.max_messages", kind: kindInt, def: 1000000, live: true, doc: "How many messages may wait."},

	{path: "store.path", def: "/var/lib/stox/stox.db", doc: "The database file."},
	{path: "store.url", doc: "A PostgreSQL database instead of the file."},
	{path: "store.trail", kind: kindDuration, def: 168 * time.Hour, live: true, doc: "How long the outcome of a message can be looked up."},

	{path: "admin.listen", def: "127.0.0.1:9480", doc: "Where the admin page and the metrics are served."},
	{path: "admin.socket", defText: "stox.sock beside the store", doc: "The socket of the command line."},
	{path: "admin.token", secret: true, doc: "The token that callers must present."},
	{path: "admin.token_file", doc: "A file that holds the token."},
	{path: "admin.show_bodies", kind: kindBool, def: false, live: true, doc: "Whether texts of messages may be shown."},

	{path: "log.level", def: "info", values: []string{"debug", "info", "warn", "error"}, live: true, built: true,
		doc: "What is logged: this level and the graver ones. No level logs the text of a message."},
	{path: "log.format", def: "text", values: []string{"text", "json"}, live: true, built: true,
		doc: "One line of key=value pairs per event, or one JSON object."},
	{path: "log.wire", def: "off", values: []string{"off", "headers", "full"}, live: true, doc: "Whether packets are logged."},
	{path: "log.hep", live: true, doc: "Where packets are copied to, HEP3."},
	{path: "log.otlp", doc: "Where spans are sent to."},
}

// exampleSecret is the secret in the annotated example. It is refused, so that
// no daemon runs with a secret that everybody can read in the manual.
const exampleSecret = "change-me"
