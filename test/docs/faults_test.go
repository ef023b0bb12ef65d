//go:build interop

package docs

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/test/stage"
)

// fault is one thing that goes wrong for people, planted here as it would happen
// to them.
type fault struct {
	id     string // a DNS label
	what   string // what is wrong
	remedy string // Markdown
	// names is what the line that tells of it must name: at least one key of the
	// configuration, or a command.
	names []string
	plant func(p *plant) seen

	also     bool // planted with ejabberd, too
	slow     bool // it takes its time, and no processor
	harmless bool // it passes by itself: no key and no command is to be named
}

// seen is what somebody gets to see of a fault.
type seen struct {
	answer string // what the sender is told
	line   string // what stox says to the admin
}

// symptoms are the sections of docs/troubleshooting.md with a table.
var symptoms = []struct {
	marker string // of the table
	faults []fault
}{
	{"doctor", doctorFaults},
	{"start", startFaults},
	{"link", linkFaults},
	{"to-sip", toSIPFaults},
	{"to-xmpp", toXMPPFaults},
	{"register", registerFaults},
}

const (
	secretLine = `secret = "the-secret"`
	viaLine    = `via = "sip:192.0.2.10:5060;transport=udp"`
	listenLine = `listen = ["udp://192.0.2.20:5060", "tcp://192.0.2.20:5060"]`
	serverLine = `server = "127.0.0.1:5347"`
	domainLine = `domain = "sip.example.com"`
	sipDomain  = `domain = "pbx.example.net"` + "\nlisten"
	logSection = "[log]\n"
	storeLine  = `path = "/var/lib/stox/stox.db"`
	firstStore = storeLine + "\n\n[admin]\n" // what a second daemon needs of its own
	otherStore = `path = "/var/lib/stox/second.db"` + "\n\n[admin]\n" + `socket = "/var/lib/stox/second.sock"` + "\n"
)

// editFault is a fault of the file alone: stox ends with status 2.
func editFault(id, what, remedy, name string, edits ...string) fault {
	return fault{id: id, what: what, remedy: remedy, names: []string{name}, plant: func(p *plant) seen {
		p.run(edits...)
		return p.refused(2)
	}}
}

var startFaults = []fault{
	{id: "no-file", what: "There is no configuration file", remedy: "Give its path with `-c`, or let `stox init` write one.",
		names: []string{"stox init"}, plant: func(p *plant) seen {
			p.runFile("stox.toml")
			return p.refused(2)
		}},
	editFault("not-toml", "The file is not TOML: a text without quotes", "Mend the line that is named; texts stand in double quotes, and a section begins with `[name]`.", "stox.toml:",
		domainLine, `domain = sip.example.com`),
	editFault("unknown-key", "A key is misspelt", "Correct it; [config.md](config.md) has all keys.", "xmpp.server", serverLine, `serevr = "127.0.0.1:5347"`),
	editFault("bare-number", "A time without a unit", "Write it as a text with a unit.", "shutdown_timeout", "[xmpp]\n", "shutdown_timeout = 15\n[xmpp]\n"),
	editFault("not-yet", "A key that this version does not have", "Remove it; the end of [config.md](config.md) lists such keys.", "store.url",
		"[store]\n", "[store]\nurl = \"postgres://stox@db.example.com/stox\"\n"),
	{id: "unknown-variable", what: "A variable of the environment that means nothing", remedy: "Correct its name in the unit file; each key in [config.md](config.md) has its variable.",
		names: []string{"STOX_XMPP_SERVER"}, plant: func(p *plant) seen {
			p.env = []string{"STOX_XMPP_SEVRER=127.0.0.1:5347"}
			p.run()
			return p.refused(2)
		}},
	editFault("address-as-domain", "`xmpp.domain` is an address", "Give the component's own name, `sip.example.com`.", "xmpp.domain", domainLine, `domain = "gateway@sip.example.com"`),
	editFault("one-domain", "The SIP domain is the XMPP domain", "SIP users need a domain that is not in `xmpp.user_domains`, if only `pbx.example.com`: an address in both could mean two users.", "sip.domain",
		sipDomain, "domain = \"example.com\"\nlisten"),
	editFault("route-to-self", "A route that leads to stox itself", "Set `sip.route.via` to the PBX, or another port in `sip.listen`, if both are on one machine.", "sip.route",
		viaLine, `via = "sip:192.0.2.20:5060;transport=udp"`),
	editFault("no-secret", "There is no secret", "`xmpp.secret` is what the XMPP server has for this component; `stox init` makes a good one for both.", "xmpp.secret", secretLine, ""),
	editFault("two-secrets", "A secret and a file with one", "Keep `xmpp.secret` or `xmpp.secret_file`.", "xmpp.secret", secretLine, secretLine+"\nsecret_file = \"/etc/stox/secret\""),
	editFault("secret-file-missing", "The file with the secret does not exist", "Correct `xmpp.secret_file`; a relative path starts where the configuration file is.", "xmpp.secret_file",
		secretLine, `secret_file = "/etc/stox/secret"`),
	{id: "secret-unreadable", what: "stox may not read the file with the secret", remedy: "`chown stox /etc/stox/secret`, `chmod 600 /etc/stox/secret`; the directory must let the user `stox` in, too.",
		names: []string{"xmpp.secret_file", "readable by the user"}, plant: func(p *plant) seen {
			if os.Geteuid() == 0 { // root may read everything
				p.as = &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: true}
			}
			p.write("secret", "the-secret\n", 0)
			p.run(secretLine, `secret_file = "/etc/stox/secret"`)
			return p.refused(2)
		}},
	{id: "secret-empty", what: "The file with the secret is empty", remedy: "Write the secret into it, the same as in the XMPP server's configuration.",
		names: []string{"xmpp.secret_file"}, plant: func(p *plant) seen {
			p.write("secret", "\n", 0o600)
			p.run(secretLine, `secret_file = "/etc/stox/secret"`)
			return p.refused(2)
		}},
	{id: "port-taken", what: "Another program has the SIP port: a second stox, or a PBX on the same machine", remedy: "`ss -lnptu 'sport = :5060'` shows which program it is. Stop it, or give stox another port in `sip.listen`.",
		names: []string{"sip.listen", "ss -lnptu"}, plant: func(p *plant) seen {
			p.linked()
			p.write("second.toml", p.edited(firstStore, otherStore), 0o644)
			p.runFile("second.toml")
			return p.refused(1)
		}},
	{id: "no-store", what: "The directory of the store does not exist", remedy: "Make it as the line says, if you do not use the unit file of contrib/, with which systemd makes it.",
		names: []string{"store.path", "install -d"}, plant: func(p *plant) seen {
			p.name("/srv/stox", filepath.Join(p.s.Dir, "srv"))
			p.run(storeLine, `path = "/srv/stox/stox.db"`)
			return p.refused(2)
		}},
	{id: "store-not-ours", what: "stox may not write the directory of the store: it has been made, or stox has been run, by root", remedy: "`chown -R stox: /var/lib/stox`.",
		names: []string{"store.path", "chown"}, plant: func(p *plant) seen {
			if os.Geteuid() == 0 { // root may write everything
				p.as = &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: true}
			}
			must(p.T, os.Chmod(p.real("/var/lib/stox"), 0o555))
			p.run()
			return p.refused(2)
		}},
	{id: "store-foreign", what: "`store.path` names a file of another program", remedy: "Name a file that does not exist yet; stox has not changed this one.",
		names: []string{"store.path"}, plant: func(p *plant) seen {
			must(p.T, os.WriteFile(p.real("/var/lib/stox/stox.db"), []byte(strings.Repeat("no database ", 100)), 0o600))
			p.run()
			return p.refused(2)
		}},
	{id: "store-held", what: "A second stox has the same `store.path`", remedy: "Stop one, or give each a `store.path` of its own.",
		names: []string{"store.path"}, plant: func(p *plant) seen {
			p.linked()
			p.write("second.toml", strings.NewReplacer("192.0.2.20:5060", fmt.Sprintf("127.0.0.1:%d", freePort(p.T))).Replace(good), 0o644)
			p.runFile("second.toml")
			return p.refused(1)
		}},
	{id: "socket-taken", what: "A second stox has a `store.path` of its own in the same directory", remedy: "Give it an `admin.socket` of its own, too, or a directory of its own.",
		names: []string{"admin.socket"}, plant: func(p *plant) seen {
			p.linked()
			p.write("second.toml", p.edited(storeLine, `path = "/var/lib/stox/second.db"`), 0o644)
			p.runFile("second.toml")
			return p.refused(1)
		}},
	{id: "tcp-port-taken", what: "Another program has the port, for TCP only", remedy: "As above.",
		names: []string{"sip.listen", "ss -lnptu", "tcp"}, plant: func(p *plant) seen {
			l, err := net.Listen("tcp", p.sip.String())
			must(p.T, err)
			defer l.Close()
			p.run()
			return p.refused(1)
		}},
	{id: "not-our-address", what: "`sip.listen` has an address that this machine does not have", remedy: "List the addresses with `ip address`; behind NAT, listen on the private one or `0.0.0.0` and set `sip.advertise` to the public one.",
		names: []string{"sip.listen", "ip address"}, plant: func(p *plant) seen {
			p.run(listenLine, `listen = ["udp://203.0.113.9:5060"]`)
			return p.refused(1)
		}},
}

var linkFaults = []fault{
	{id: "wrong-secret", what: "The secret is not the one that the server has", remedy: "Make `xmpp.secret` and Prosody's `component_secret`, or ejabberd's `password`, the same, and restart both. `stox init --force` makes a new one and prints the server's part.",
		names: []string{"xmpp.secret", "component_secret", "password"}, also: true, plant: func(p *plant) seen {
			p.run(secretLine, `secret = "another-secret"`)
			return p.complaint()
		}},
	{id: "not-configured", what: "The server does not have the component, or its name is misspelt on one side", remedy: "Put what `stox init` printed into the server's configuration and restart the server; or correct `xmpp.domain`.",
		names: []string{"xmpp.domain", "ejabberd_service"}, also: true, plant: func(p *plant) seen {
			p.run(domainLine, `domain = "spi.example.com"`)
			return p.complaint()
		}},
	{id: "not-running", what: "Nothing listens at `xmpp.server`", remedy: "Start the server. Prosody listens for components only if it has a `Component` line without a module behind it; its ports are `component_ports`.",
		names: []string{"xmpp.server"}, plant: func(p *plant) seen {
			p.name("127.0.0.1:5347", fmt.Sprintf("127.0.0.1:%d", freePort(p.T)))
			p.run()
			return p.complaint()
		}},
	{id: "client-port", what: "`xmpp.server` has the port for clients", remedy: "Use the port for components, 5347 unless the server's configuration says otherwise.",
		names: []string{"xmpp.server", "component port"}, also: true, plant: func(p *plant) seen {
			p.name("127.0.0.1:5222", fmt.Sprintf("127.0.0.1:%d", p.server.C2S))
			p.run(serverLine, `server = "127.0.0.1:5222"`)
			return p.complaint()
		}},
	{id: "not-xmpp", what: "`xmpp.server` has the port of something else", remedy: "As above.",
		names: []string{"xmpp.server", "component port"}, plant: func(p *plant) seen {
			p.name("127.0.0.1:22", p.listen(func(c net.Conn) { fmt.Fprint(c, "SSH-2.0-OpenSSH_9.2p1\r\n") }))
			p.run(serverLine, `server = "127.0.0.1:22"`)
			return p.complaint()
		}},
	{id: "name-unknown", what: "The name in `xmpp.server` does not exist (here: an address with a slip)", remedy: "Correct it; `getent hosts NAME` shows what this machine knows of a name.",
		names: []string{"xmpp.server"}, plant: func(p *plant) seen {
			p.env = []string{"GODEBUG=netdns=go"} // which knows without asking that there is no such name
			p.run(serverLine, `server = "192.0.2.300:5347"`)
			return p.complaint()
		}},
	{id: "firewall", what: "A firewall drops what goes to the server", remedy: "Open the port, or correct the address.", slow: true,
		names: []string{"xmpp.server", "firewall"}, plant: func(p *plant) seen {
			p.name("127.0.0.1:5347", p.blackhole())
			p.run()
			return p.complaint()
		}},
	{id: "silence", what: "The connection is taken, and then nothing comes", remedy: "It is not the component port (a port with TLS from the first byte is silent like this), or the server hangs.", slow: true,
		names: []string{"xmpp.server", "component port"}, plant: func(p *plant) seen {
			p.name("127.0.0.1:5347", p.listen(func(net.Conn) {}))
			p.run()
			return p.complaint()
		}},
	{id: "two-instances", what: "Two stox have the same `xmpp.domain`", remedy: "Stop one, or give each a component of its own. With ejabberd there is no such line: it shares the messages out between the two.",
		names: []string{"stop the other stox"}, plant: func(p *plant) seen {
			p.linked()
			first := p.stox
			p.write("second.toml", strings.NewReplacer("192.0.2.20:5060", fmt.Sprintf("127.0.0.1:%d", freePort(p.T)), firstStore, otherStore).Replace(good), 0o600)
			p.runFile("second.toml")
			p.stox = first
			return p.complaint()
		}},
	{id: "server-stopped", what: "The server was stopped, or restarted", remedy: "Nothing, if it comes back: stox tries again. Until then every sender is told.",
		names: []string{"log may say why"}, harmless: true, plant: func(p *plant) seen {
			s := newStage(p.T)
			server, err := s.NewProsody(p.ctx, stage.ServerOptions{Domain: "example.com", Snippet: fmt.Sprintf("Component %q\n  component_secret = %q\n", componentOf(p.id), secretOf(p.id))})
			must(p.T, err)
			must(p.T, server.Boot(p.ctx))
			p.name("127.0.0.1:5347", fmt.Sprintf("127.0.0.1:%d", server.Component))
			p.linked()
			_, err = server.Stop(p.ctx)
			must(p.T, err)
			return p.complaint()
		}},
}

const romeo = "romeo@sip.example.com"

// answered is a fault of which the SIP server tells.
func answered(id, what, remedy string, status int, reason string) fault {
	return fault{id: id, what: what, remedy: remedy, names: []string{"stox map"}, plant: func(p *plant) seen {
		p.peer(func(m *siptest.Message) string { return m.Reply(status, reason) })
		p.linked()
		return p.fromXMPP(romeo, "hello")
	}}
}

var toSIPFaults = []fault{
	{id: "not-allowed", what: "The sender is not in `access.allow`", remedy: "Add the user's address or domain to `access.allow`. Its default is `xmpp.user_domains`, whose default is the parent of `xmpp.domain`: users of another domain have to be listed.",
		names: []string{"access.allow"}, plant: func(p *plant) seen {
			p.linked(logSection, "[access]\nallow = [\"nurse@example.com\"]\n\n[log]\n")
			return p.fromXMPP(romeo, "hello")
		}},
	{id: "not-canonical", what: "The default SIP domain is written out in the address", remedy: "Write to the address that the error names; `stox map 'sip:romeo@pbx.example.net'` shows it, too.",
		names: []string{"stox map"}, plant: func(p *plant) seen {
			p.linked()
			return p.fromXMPP(`romeo\40pbx.example.net@sip.example.com`, "hello")
		}},
	{id: "no-address", what: "What is before the @ is no SIP address", remedy: "`stox map ADDRESS` explains step by step.",
		names: []string{"stox map"}, plant: func(p *plant) seen {
			p.linked()
			return p.fromXMPP(`romeo\40@sip.example.com`, "hello")
		}},
	answered("nobody", "The SIP server does not know the user", "`stox map ADDRESS` shows the URI that the SIP server was asked for. Is it a user there, and registered?", 404, "Not Found"),
	answered("no-message", "The phone or PBX does not take MESSAGE", "Switch SIP messages (\"SIP SIMPLE\", \"text messages\") on at that end.", 405, "Method Not Allowed"),
	{id: "password", what: "The SIP server wants a password", remedy: "Give the route the `username` and `password` that the server knows us by, or let it take MESSAGE from the address of this machine without. With a password the same line says that it was not accepted, and once in ten minutes there is another one, `a server of a route does not accept who we are`, or why its challenge was not answered.",
		names: []string{"sip.route.username", "sip.route.password"}, plant: func(p *plant) seen {
			p.peer(func(m *siptest.Message) string {
				return m.Reply(407, "Proxy Authentication Required", `Proxy-Authenticate: Digest realm="pbx.example.net", nonce="x"`)
			})
			p.linked()
			return p.fromXMPP(romeo, "hello")
		}},
	{id: "sip-refused", what: "Nothing listens at the SIP server's address (TCP)", remedy: "Start the SIP server, or correct `sip.route.via`. Until then the message is tried again (`stox queue list`); the sender learns after `queue.expire`.",
		names: []string{"sip.route.via"}, plant: func(p *plant) seen {
			p.name("192.0.2.10:5060", fmt.Sprintf("127.0.0.1:%d", freePort(p.T)))
			p.linked(viaLine, `via = "sip:192.0.2.10:5060;transport=tcp"`)
			return p.fromXMPP(romeo, "hello")
		}},
	{id: "sip-silent", what: "Nobody answers at the SIP server's address (UDP): it is down, it is the wrong address, or a firewall drops packets", remedy: "Correct `sip.route.via`, or open UDP both ways: the answer comes back to the port in `sip.listen`. It is tried three times for 32 seconds before the sender learns.", slow: true,
		names: []string{"sip.route.via", "firewall"}, plant: func(p *plant) seen {
			p.peer(nil)
			p.linked()
			return p.fromXMPP(romeo, "hello")
		}},
	{id: "sip-name", what: "The SIP domain does not exist in DNS, and there is no route for it", remedy: "Correct the address. For a domain that only your PBX knows, add a `[[sip.route]]` with `via`.",
		names: []string{"sip.route.via", "sip.domain"}, plant: func(p *plant) seen {
			p.env = []string{"GODEBUG=netdns=go"} // which does not look for an address of this one
			p.name("pbx.example.org", "pbx.onion")
			p.linked()
			return p.fromXMPP(`romeo\40pbx.example.org@sip.example.com`, "hello")
		}},
	{id: "too-long", what: "The text is too long for UDP, and there is no route", remedy: "Add a `[[sip.route]]` with `via` for the domain: what does not fit into a packet then goes over TCP.",
		names: []string{"sip.route"}, plant: func(p *plant) seen {
			p.name("pbx.example.org", "192.0.2.7") // nothing gets there, nor is sent
			p.linked()
			return p.fromXMPP(`romeo\40pbx.example.org@sip.example.com`, strings.Repeat("hello ", 250))
		}},
}

var toXMPPFaults = []fault{
	{id: "no-peer", what: "The request comes from an address that is no peer (over UDP it gets three answers a minute, then none; the log has one such line every ten minutes at most, at any level)", remedy: "Add a `[[sip.peer]]` with that address, or with the name in its certificate (`tls_names`), or have it log in (`username`); then the first answer is 401, and a 401 to its answer means a wrong password. Peers are this machine itself, the hosts in `sip.route.via`, and what `[[sip.peer]]` lists.",
		names: []string{"sip.peer.addresses"}, plant: func(p *plant) seen {
			outside, err := stage.Outside()
			must(p.T, err)
			source := netip.MustParseAddr(outside)
			p.name("0.0.0.0:5060", fmt.Sprintf("0.0.0.0:%d", p.sip.Port()))
			p.linked(listenLine, `listen = ["udp://0.0.0.0:5060"]`)
			return p.fromSIP(source, "sip:juliet@example.com", "sip:romeo@pbx.example.net")
		}},
	{id: "foreign-sender", what: "The peer may not speak for the sender's domain", remedy: "List the domain in `sip.peer.domains` of this peer, or add a route for it. Without either, a peer speaks for `sip.domain`.",
		names: []string{"sip.peer.domains"}, plant: func(p *plant) seen {
			p.linked()
			return p.fromSIP(loopback, "sip:juliet@example.com", "sip:mercutio@pbx.example.org")
		}},
	{id: "xmpp-sender", what: "The sender's SIP address is in an XMPP domain", remedy: "Have the PBX send with its own domain in From. Nobody in SIP may use the address of an XMPP user.",
		names: []string{"xmpp.user_domains"}, plant: func(p *plant) seen {
			p.linked()
			return p.fromSIP(loopback, "sip:juliet@example.com", "sip:tybalt@example.com")
		}},
	{id: "not-served", what: "The address is in a domain that stox does not serve", remedy: "Add the domain to `xmpp.user_domains`, if it is at your XMPP server. The PBX may also have put its own domain, or the address of stox, into the Request-URI: it must be `sip:USER@example.com`.",
		names: []string{"xmpp.user_domains"}, plant: func(p *plant) seen {
			p.linked()
			return p.fromSIP(loopback, "sip:juliet@example.org", "sip:romeo@pbx.example.net")
		}},
	{id: "no-user", what: "The XMPP server does not have the user", remedy: "`stox map URI` shows the address that the XMPP server was asked for. Is there such an account? A user who blocks unknown senders looks the same.",
		names: []string{"stox map"}, plant: func(p *plant) seen {
			p.linked()
			return p.fromSIP(loopback, "sip:nobody@example.com", "sip:romeo@pbx.example.net")
		}},
	{id: "receiver-not-allowed", what: "The receiver is not in `access.allow`", remedy: "`access.allow` holds for both directions: add the user's address or domain.",
		names: []string{"access.allow"}, plant: func(p *plant) seen {
			p.linked(logSection, "[access]\nallow = [\"nurse@example.com\"]\n\n[log]\n")
			return p.fromSIP(loopback, "sip:juliet@example.com", "sip:romeo@pbx.example.net")
		}},
	{id: "picture", what: "The phone sends something that is not text, such as a picture", remedy: "Only texts cross. Send pictures and files as links.",
		names: []string{"text/plain"}, plant: func(p *plant) seen {
			p.linked()
			return p.fromSIP(loopback, "sip:juliet@example.com", "sip:romeo@pbx.example.net", "Content-Type: image/jpeg")
		}},
	{id: "no-link", what: "There is no link to the XMPP server", remedy: "See [above](#it-runs-but-has-no-link).",
		names: []string{"xmpp.server"}, plant: func(p *plant) seen {
			p.name("127.0.0.1:5347", fmt.Sprintf("127.0.0.1:%d", freePort(p.T)))
			p.run()
			p.complaint()
			return p.fromSIP(loopback, "sip:juliet@example.com", "sip:romeo@pbx.example.net")
		}},
}
