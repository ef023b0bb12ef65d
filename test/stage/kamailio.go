package stage

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
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
	Port   int    // UDP, and TCP unless it has UDP only; TLS is the port above

	udpOnly   bool
	passwords map[string]string
}

// KamailioOptions say what a Kamailio is to be.
type KamailioOptions struct {
	Domain    string
	Users     []Account // those who may register
	Gateway   int       // port that MESSAGEs for other domains go to
	Transport string    // "udp", "tcp" or "tls": how they go there

	UDPOnly bool
	TLS     *KamailioTLS // nil: it takes no TLS
	// Script is done with every request but OPTIONS for itself, before its own handling of it:
	// statements of its request_route.
	Script string
}

// KamailioTLS are files in PEM: what it shows, and who may have signed what it is shown.
type KamailioTLS struct{ Cert, Key, CA string }

// Kamailio starts a Kamailio. It sends MESSAGEs for every other domain than its
// own to the gateway, and those for its own, and OPTIONS, to where the user has registered.
func (r *Stage) Kamailio(ctx context.Context, o KamailioOptions) (*Kamailio, error) {
	k := &Kamailio{Domain: o.Domain, udpOnly: o.UDPOnly, passwords: map[string]string{}}
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
	dir := filepath.Join(r.Dir, name)
	streams := "enable_tls=no"
	switch {
	case o.UDPOnly:
		streams = "disable_tcp=yes"
	case o.TLS != nil:
		// Either side of it has to be shown a certificate that is signed by the authority.
		side := fmt.Sprintf("method = TLSv1.2+\nprivate_key = %s\ncertificate = %s\nca_list = %s\nverify_certificate = yes\nrequire_certificate = yes\n", o.TLS.Key, o.TLS.Cert, o.TLS.CA)
		file, err := r.file(name+"/tls.cfg", "[server:default]\n"+side+"[client:default]\n"+side, 0o600)
		if err != nil {
			return nil, err
		}
		streams = fmt.Sprintf("enable_tls=yes\nlisten=tls:127.0.0.1:%d\nloadmodule \"tls.so\"\nmodparam(\"tls\", \"config\", \"%s\")", k.Port+1, file)
	}
	if !o.UDPOnly {
		streams += fmt.Sprintf("\ntcp_children=2\nlisten=tcp:127.0.0.1:%d", k.Port)
	}
	gateway := fmt.Sprintf("sip:127.0.0.1:%d;transport=%s", o.Gateway, o.Transport)
	cfg, err := r.file(name+"/kamailio.cfg", strings.NewReplacer(
		"@DOMAIN@", o.Domain, "@PORT@", fmt.Sprint(k.Port), "@STREAMS@", streams, "@DIR@", dir, "@GATEWAY@", gateway,
		"@SCRIPT@", strings.ReplaceAll(o.Script, "@GATEWAY@", gateway),
	).Replace(kamailioConfig), 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("kamailio", "-DD", "-E", "-m", "32", "-M", "4", "-Y", dir, "-P", filepath.Join(dir, "pid"), "-f", cfg)
	// Its many processes outlive a parent that was killed, not one that was told to end.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if k.Proc, err = r.Start(cmd, "kamailio"); err != nil {
		return nil, err
	}
	k.Name = "Kamailio " + packageVersion("kamailio")
	// Its ports are open long before all its processes are there, and until then it
	// would not even hear that it should end.
	if err := poll(ctx, k.Name+" does not answer", k.answers); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, k.Tail(10))
	}
	return k, nil
}

// answers asks it for its options, over TCP if it has that: that process starts last.
func (k *Kamailio) answers() bool {
	addr, network := fmt.Sprintf("127.0.0.1:%d", k.Port), "tcp"
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
listen=udp:127.0.0.1:@PORT@
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

modparam("auth_db", "db_url", "text://@DIR@/db")
modparam("auth_db", "calculate_ha1", yes)
modparam("auth_db", "password_column", "password")
modparam("auth_db", "use_domain", 1)
modparam("usrloc", "db_mode", 0)
modparam("tm", "fr_timer", 8000)

request_route {
	if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
	if (is_method("OPTIONS") && $rU == $null) { sl_send_reply("200", "OK"); exit; }
	remove_hf("Route"); # phones put a Route to us in front
@SCRIPT@
	if (is_method("REGISTER") || from_uri==myself) {
		if (!auth_check("@DOMAIN@", "subscriber", "1")) { auth_challenge("@DOMAIN@", "0"); exit; }
		consume_credentials();
	}
	if (is_method("REGISTER")) { save("location"); exit; }
	if (!is_method("MESSAGE|OPTIONS")) { sl_send_reply("405", "Method Not Allowed"); exit; }
	if (is_method("MESSAGE")) { xlog("L_NOTICE", "STAGE relayed $hdr(Content-Type) | $hdr(Content-Encoding) | $proto | $ci\n"); }
	if (uri==myself) {
		if (!lookup("location")) { sl_send_reply("404", "Not registered"); exit; }
	} else {
		$du = "@GATEWAY@";
	}
	t_relay();
}

onreply_route {
	if ($rs >= 200 && is_method("MESSAGE")) { xlog("L_NOTICE", "STAGE answered $rs $ci\n"); }
	if ($rs >= 200 && is_method("OPTIONS")) { xlog("L_NOTICE", "STAGE says $tu $rs | $hdr(Accept)\n"); }
}
`
