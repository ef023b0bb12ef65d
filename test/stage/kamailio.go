package stage

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Kamailio is a SIP registrar and proxy. Its own users have to give their
// password (digest) to register and to send.
type Kamailio struct {
	*Proc
	Name   string // "Kamailio 5.6.3"
	Domain string // of its users
	Host   string // where it listens
	Port   int    // UDP, and TCP unless it has UDP only; TLS is the port above

	udpOnly   bool
	passwords map[string]string
	tls       *KamailioTLS
	dir       string // below that of its stage
	stage     *Stage
}

// KamailioOptions say what a Kamailio is to be.
type KamailioOptions struct {
	Domain    string
	Users     []Account // those who may register
	Gateway   int       // port that MESSAGEs for other domains go to
	Transport string    // "udp", "tcp" or "tls": how they go there
	// GatewayUser, unless "", is the user whom MESSAGEs for other domains go to, wherever that
	// has registered, and Gateway and Transport say nothing.
	GatewayUser string

	Host    string // where it listens, and the gateway too; "" is 127.0.0.1
	UDPOnly bool
	// Strict lets nobody send without a password: a sender who is not of its domain has to have
	// that of one of its users, too. A nonce is good for many requests then, each with a higher count.
	Strict bool
	SHA256 bool         // passwords are asked for with SHA-256, not MD5
	TLS    *KamailioTLS // nil: it takes no TLS
	// Presence makes it a presence server of everybody: it takes SUBSCRIBE and PUBLISH without a password.
	Presence bool
	// Script is done with every request but OPTIONS for itself, before its own handling of it:
	// statements of its request_route.
	Script string
}

// KamailioTLS are files in PEM: what it shows, and who may have signed what it is shown.
type KamailioTLS struct {
	Cert, Key, CA string
	// Anybody lets those in who show no certificate, as phones do.
	Anybody bool
	// More are further sections of its tls.cfg; $xavp(tls=>server_id) in a script chooses among those
	// that have a server_id.
	More string
}

// Kamailio starts a Kamailio. It sends MESSAGEs for every other domain than its
// own to the gateway, and those for its own, and OPTIONS, to where the user has registered.
func (r *Stage) Kamailio(ctx context.Context, o KamailioOptions) (*Kamailio, error) {
	k := &Kamailio{Domain: o.Domain, Host: cmp.Or(o.Host, "127.0.0.1"), udpOnly: o.UDPOnly, passwords: map[string]string{}, tls: o.TLS, stage: r}
	var err error
	if k.Port, err = Port(); err != nil {
		return nil, err
	}
	// Two tables of its text database, as the package has them, and the users.
	const tables = "/usr/share/kamailio/dbtext/kamailio/"
	version, err := os.ReadFile(tables + "version")
	if err != nil {
		return nil, err
	}
	subscriber, err := os.ReadFile(tables + "subscriber")
	if err != nil {
		return nil, err
	}
	users := string(subscriber)
	for i, u := range o.Users {
		k.passwords[u.Local] = u.Password
		users += fmt.Sprintf("%d:%s:%s:%s:-:-\n", i+1, u.Local, o.Domain, u.Password) // no field may be empty
	}
	name := fmt.Sprintf("kamailio-%d", k.Port) // there may be several
	if _, err := r.file(name+"/db/version", string(version), 0o600); err != nil {
		return nil, err
	}
	if _, err := r.file(name+"/db/subscriber", users, 0o600); err != nil {
		return nil, err
	}
	presence, presenceScript := "", ""
	if o.Presence {
		presence, presenceScript = kamailioPresence, kamailioPresenceScript
		for _, table := range []string{"presentity", "active_watchers", "watchers", "xcap", "pua"} {
			b, err := os.ReadFile(tables + table)
			if err != nil {
				return nil, err
			}
			if _, err := r.file(name+"/db/"+table, string(b), 0o600); err != nil {
				return nil, err
			}
		}
	}
	k.dir = filepath.Join(r.Dir, name)
	streams := "enable_tls=no"
	switch {
	case o.UDPOnly:
		streams = "disable_tcp=yes"
	case o.TLS != nil:
		// Either side of it has to be shown a certificate that is signed by the authority.
		side := fmt.Sprintf("method = TLSv1.2+\nprivate_key = %s\ncertificate = %s\nca_list = %s\nverify_certificate = yes\n", o.TLS.Key, o.TLS.Cert, o.TLS.CA)
		demand := "require_certificate = yes\n"
		if o.TLS.Anybody {
			demand = "require_certificate = no\n"
		}
		file, err := r.file(name+"/tls.cfg", "[server:default]\n"+side+demand+"[client:default]\n"+side+"require_certificate = yes\n"+o.TLS.More, 0o600)
		if err != nil {
			return nil, err
		}
		streams = fmt.Sprintf("enable_tls=yes\nlisten=tls:%s:%d\nloadmodule \"tls.so\"\nmodparam(\"tls\", \"config\", \"%s\")\nmodparam(\"tls\", \"xavp_cfg\", \"tls\")", k.Host, k.Port+1, file)
	}
	if !o.UDPOnly {
		streams += fmt.Sprintf("\ntcp_children=2\nlisten=tcp:%s:%d", k.Host, k.Port)
	}
	gateway := fmt.Sprintf("sip:%s:%d;transport=%s", k.Host, o.Gateway, o.Transport)
	toGateway := `$du = "` + gateway + `";`
	if o.GatewayUser != "" {
		toGateway = strings.ReplaceAll(kamailioRegistered, "@USER@", o.GatewayUser)
	}
	strict, qop, algorithm := "", "0", "MD5"
	if o.SHA256 {
		algorithm = "SHA-256"
	}
	if o.Strict {
		strict, qop = kamailioStrict, "1"
	}
	cfg := strings.NewReplacer("@SCRIPT@", presenceScript+o.Script, "@PRESENCE@", presence, "@STRICT@", strict, "@TOGATEWAY@", toGateway).Replace(kamailioConfig)
	cfg = strings.NewReplacer("@DOMAIN@", o.Domain, "@HOST@", k.Host, "@PORT@", fmt.Sprint(k.Port), "@STREAMS@", streams, "@DIR@", k.dir,
		"@GATEWAY@", gateway, "@QOP@", qop, "@ALGORITHM@", algorithm).Replace(cfg)
	if _, err := r.file(name+"/kamailio.cfg", cfg, 0o600); err != nil {
		return nil, err
	}
	k.Name = "Kamailio " + packageVersion("kamailio")
	return k, k.Boot(ctx)
}

// KamailioOf starts a Kamailio with a configuration of the caller's own, the file kamailio.cfg of
// a directory. It listens on a port of 127.0.0.1, UDP and TCP, answers OPTIONS for itself, and has
// these users of its domain. What the methods of Kamailio read in its log, it does not log.
func (r *Stage) KamailioOf(ctx context.Context, dir string, port int, domain string, users ...Account) (*Kamailio, error) {
	k := &Kamailio{Name: "Kamailio " + packageVersion("kamailio"), Domain: domain, Host: "127.0.0.1", Port: port, passwords: map[string]string{}, dir: dir, stage: r}
	for _, u := range users {
		k.passwords[u.Local] = u.Password
	}
	return k, k.Boot(ctx)
}

// PortOf is where it takes a transport.
func (k *Kamailio) PortOf(transport string) int {
	if transport == "tls" {
		return k.Port + 1
	}
	return k.Port
}

// Boot starts it, for the first time or again, and waits until it answers. It remembers nothing of
// another life but its users.
func (k *Kamailio) Boot(ctx context.Context) error {
	cmd := exec.Command("kamailio", "-DD", "-E", "-m", "32", "-M", "4", "-Y", k.dir, "-P", filepath.Join(k.dir, "pid"), "-f", filepath.Join(k.dir, "kamailio.cfg"))
	// Its many processes outlive a parent that was killed, not one that was told to end.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	var err error
	if k.Proc, err = k.stage.Start(cmd, "kamailio"); err != nil {
		return err
	}
	// Its ports are open long before all its processes are there, and until then it
	// would not even hear that it should end.
	ended := false
	err = poll(ctx, k.Name+" does not answer", func() bool {
		select {
		case <-k.done:
			ended = true
			return true
		default:
			return k.answers()
		}
	})
	if ended {
		err = fmt.Errorf("%s does not start", k.Name)
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, k.Tail(10))
	}
	return nil
}

// answers asks it for its options, over TCP if it has that: that process starts last.
func (k *Kamailio) answers() bool {
	addr, network := fmt.Sprintf("%s:%d", k.Host, k.Port), "tcp"
	if k.udpOnly {
		network = "udp"
	}
	c, err := net.DialTimeout(network, addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	local := c.LocalAddr()
	fmt.Fprintf(c, "OPTIONS sip:%[1]s SIP/2.0\r\nVia: SIP/2.0/%[3]s %[2]s;branch=z9hG4bK1\r\nMax-Forwards: 1\r\nFrom: <sip:stage@%[2]s>;tag=1\r\n"+
		"To: <sip:%[1]s>\r\nCall-ID: %[2]s\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", addr, local, strings.ToUpper(network))
	if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return err == nil && strings.HasPrefix(line, "SIP/2.0 200")
}

// Relayed is a MESSAGE that Kamailio has passed on.
type Relayed struct {
	CallID, Transport     string // as it came
	ContentType, Encoding string
}

const told = "STAGE " // begins what the configuration logs

// AwaitRelayed waits for a MESSAGE of a content type, in the program's lines from
// the from-th on.
func (k *Kamailio) AwaitRelayed(ctx context.Context, from int, contentType string) (m Relayed, next int, err error) {
	line, next, err := k.WaitLine(ctx, from, told+"relayed "+contentType)
	if err != nil {
		return Relayed{}, next, err
	}
	return relayed(line), next, nil
}

// AwaitAnswer waits for the final answer to a MESSAGE and returns its status.
func (k *Kamailio) AwaitAnswer(ctx context.Context, callID string) (status int, err error) {
	line, _, err := k.WaitLine(ctx, 0, told+"answered ", " "+callID)
	if err != nil {
		return 0, err
	}
	_, line, _ = strings.Cut(line, told+"answered ")
	_, err = fmt.Sscan(line, &status)
	return status, err
}

// AwaitOptions waits for the answer of one of its users to OPTIONS, and returns its
// status and its Accept, "" without one.
func (k *Kamailio) AwaitOptions(ctx context.Context, user string) (status int, accept string, err error) {
	mark := told + "says sip:" + user + "@" + k.Domain + " "
	line, _, err := k.WaitLine(ctx, 0, mark)
	if err != nil {
		return 0, "", err
	}
	_, line, _ = strings.Cut(line, mark)
	line, accept, _ = strings.Cut(line, " | ")
	if accept = strings.TrimSpace(accept); accept == "<null>" {
		accept = ""
	}
	_, err = fmt.Sscan(line, &status)
	return status, accept, err
}

// Relayed is every MESSAGE so far.
func (k *Kamailio) Relayed() []Relayed {
	var all []Relayed
	for _, line := range k.Lines() {
		if strings.Contains(line, told+"relayed ") {
			all = append(all, relayed(line))
		}
	}
	return all
}

func relayed(line string) Relayed {
	_, line, _ = strings.Cut(line, told+"relayed ")
	var m Relayed
	for i, f := range strings.Split(strings.TrimSpace(line), " | ") {
		switch i {
		case 0:
			m.ContentType = f
		case 1:
			m.Encoding = f
		case 2:
			m.Transport = f
		case 3:
			m.CallID = f
		}
	}
	return m
}

const kamailioConfig = `#!KAMAILIO
debug=1
log_stderror=yes
children=2
auto_aliases=no
alias="@DOMAIN@"
listen=udp:@HOST@:@PORT@
@STREAMS@

loadmodule "db_text.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "corex.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "auth_db.so"
loadmodule "uac.so"
@PRESENCE@
modparam("auth_db", "db_url", "text://@DIR@/db")
modparam("auth_db", "calculate_ha1", yes)
modparam("auth_db", "password_column", "password")
modparam("auth_db", "use_domain", 1)
modparam("auth", "nonce_count", @QOP@)
modparam("auth", "algorithm", "@ALGORITHM@")
modparam("uac", "restore_mode", "none")
modparam("usrloc", "db_mode", 0)
modparam("tm", "fr_timer", 8000)

request_route {
	if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
	if (is_method("OPTIONS") && $rU == $null) { sl_send_reply("200", "OK"); exit; }
	remove_hf("Route"); # phones put a Route to us in front
	t_check_trans(); # ends here for a copy of a request that has been passed on
	if (is_present_hf("Authorization") || is_present_hf("Proxy-Authorization")) { xlog("L_NOTICE", "STAGE proof $rm $ci | $hdr(Authorization) | $hdr(Proxy-Authorization)\n"); }
@SCRIPT@
	if (is_method("REGISTER") || from_uri==myself) {
		if (!auth_check("@DOMAIN@", "subscriber", "1")) {
			xlog("L_NOTICE", "STAGE challenged $rm $ci from $fu\n");
			auth_challenge("@DOMAIN@", "@QOP@");
			exit;
		}
		consume_credentials();
	}@STRICT@
	if (is_method("REGISTER")) {
		save("location");
		xlog("L_NOTICE", "STAGE registered $tU over $proto: $hdr(Contact) | $hdr(Expires)\n");
		exit;
	}
	if (!is_method("MESSAGE|OPTIONS")) { sl_send_reply("405", "Method Not Allowed"); exit; }
	if (is_method("MESSAGE")) { xlog("L_NOTICE", "STAGE relayed $hdr(Content-Type) | $hdr(Content-Encoding) | $proto | $ci\n"); }
	if (uri==myself) {
		if (!lookup("location")) { sl_send_reply("404", "Not registered"); exit; }
	} else {
		@TOGATEWAY@
	}
	t_relay();
}

onreply_route {
	if ($rs >= 200 && is_method("MESSAGE")) { xlog("L_NOTICE", "STAGE answered $rs $ci\n"); }
	if ($rs >= 200 && is_method("OPTIONS")) { xlog("L_NOTICE", "STAGE says $tu $rs | $hdr(Accept)\n"); }
}
`

const kamailioPresence = `loadmodule "presence.so"
loadmodule "presence_xml.so"
modparam("presence|presence_xml", "db_url", "text://@DIR@/db")
modparam("presence", "server_address", "sip:presence@@HOST@:@PORT@")
modparam("presence", "subs_db_mode", 0)
modparam("presence_xml", "force_active", 1)`

const kamailioPresenceScript = `	if (is_method("PUBLISH|SUBSCRIBE")) {
		xlog("L_NOTICE", "STAGE presence $rm $ru $hdr(Expires) $ci\n");
		if (is_method("PUBLISH")) { handle_publish(); } else { handle_subscribe(); }
		exit;
	}
`

// kamailioRegistered sends to where a user has registered, and leaves the Request-URI alone.
const kamailioRegistered = `$var(asked) = $ru;
		if (!lookup("location", "sip:@USER@@@DOMAIN@")) { sl_send_reply("480", "The gateway is not registered"); exit; }
		$du = $ru;
		$ru = $var(asked);`

// kamailioStrict is for senders who are not of its domain.
const kamailioStrict = ` else if (!is_method("ACK|CANCEL")) {
		if (!auth_check("@DOMAIN@", "subscriber", "0")) {
			xlog("L_NOTICE", "STAGE challenged $rm $ci from $fu\n");
			auth_challenge("@DOMAIN@", "@QOP@");
			exit;
		}
		consume_credentials();
	}`

// Challenges are the Call-IDs of the requests of a method that it has asked for a password, from
// senders whose URI has the text from in it.
func (k *Kamailio) Challenges(method, from string) []string {
	var all []string
	for _, line := range k.Lines() {
		if _, said, ok := strings.Cut(line, told+"challenged "+method+" "); ok {
			if id, sender, _ := strings.Cut(said, " from "); strings.Contains(sender, from) && !slices.Contains(all, id) {
				all = append(all, id)
			}
		}
	}
	return all
}

// Proofs are what users have proved with that they know their passwords: the values of the
// Authorization and Proxy-Authorization of every request that had one.
func (k *Kamailio) Proofs() []string {
	var all []string
	for _, line := range k.Lines() {
		if _, said, ok := strings.Cut(line, told+"proof "); ok {
			for _, value := range strings.Split(said, " | ")[1:] {
				if value = strings.TrimSpace(value); value != "<null>" {
					all = append(all, value)
				}
			}
		}
	}
	return all
}

// AwaitRegistered waits until a user is registered, or no more, in the program's lines from the
// from-th on, and returns the Contact and Expires that it has sent.
func (k *Kamailio) AwaitRegistered(ctx context.Context, from int, user string) (contact, expires string, next int, err error) {
	mark := told + "registered " + user + " over "
	line, next, err := k.WaitLine(ctx, from, mark)
	_, line, _ = strings.Cut(line, mark)
	_, line, _ = strings.Cut(line, ": ")
	contact, expires, _ = strings.Cut(line, " | ")
	return contact, strings.TrimSpace(expires), next, err
}
