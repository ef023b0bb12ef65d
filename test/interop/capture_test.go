//go:build interop

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/test/stage"
)

// captureConfig is a Kamailio that captures: it keeps each request and response that HEP brings it in
// a table, as it has understood them, and says so.
const captureConfig = `
debug=2
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
listen=udp:127.0.0.1:@PORT@
listen=tcp:127.0.0.1:@PORT@
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "db_text.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "sipcapture.so"
modparam("sipcapture", "db_url", "text://@DIR@")
modparam("sipcapture", "capture_on", 1)
modparam("sipcapture", "hep_capture_on", 1)
request_route {
	if (is_method("OPTIONS") && $proto == "tcp") {
		sl_send_reply("200", "OK");
		exit;
	}
	sip_capture();
	xlog("L_ALERT", "CAPTURED $rm $ci\n");
	drop;
}
onreply_route {
	sip_capture();
	xlog("L_ALERT", "CAPTURED $rs $ci\n");
	drop;
}
`

// captureColumns are those of its table.
var captureColumns = strings.Fields(`date:time micro_ts:int method reply_reason ruri ruri_user ruri_domain from_user from_domain from_tag
	to_user to_domain to_tag pid_user contact_user auth_user callid callid_aleg via_1 via_1_branch cseq diversion reason content_type
	auth user_agent source_ip source_port:int destination_ip destination_port:int contact_ip contact_port:int originator_ip
	originator_port:int correlation_id custom_field1 custom_field2 custom_field3 proto:int family:int rtp_stat type:int node msg`)

// capture is a capture server.
type capture struct {
	*stage.Kamailio
	dir string
}

// capture starts one.
func (w *world) capture() *capture {
	w.t.Helper()
	port, err := stage.Port()
	w.must(err)
	c := &capture{dir: filepath.Join(w.Dir, "capture")}
	w.must(os.MkdirAll(c.dir, 0o700))
	var head []string
	for _, column := range captureColumns {
		name, kind, _ := strings.Cut(column, ":")
		if kind == "" {
			kind = "string"
		}
		head = append(head, name+"("+kind+",null)")
	}
	for name, text := range map[string]string{
		"kamailio.cfg": strings.NewReplacer("@PORT@", fmt.Sprint(port), "@DIR@", c.dir).Replace(captureConfig),
		"version":      "table_name(str) table_version(int) \n",
		"sip_capture":  strings.Join(head, " ") + " \n",
	} {
		w.must(os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600))
	}
	c.Kamailio, err = w.KamailioOf(w.ctx, c.dir, port, "capture.test")
	w.must(err)
	return c
}

// rows are those of its table, by the name of the column.
func (w *world) rows(c *capture) (all []map[string]string) {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(c.dir, "sip_capture"))
	w.must(err)
	_, text, _ := strings.Cut(string(b), "\n")
	unescape := strings.NewReplacer(`\:`, ":", `\r`, "\r", `\n`, "\n", `\t`, "\t", `\\`, `\`)
	for line := range strings.Lines(text) {
		row := map[string]string{}
		for _, column := range captureColumns {
			name, _, _ := strings.Cut(column, ":")
			end := 0
			for end < len(line) && line[end] != ':' && line[end] != '\n' {
				if line[end] == '\\' {
					end++
				}
				end++
			}
			row[name] = unescape.Replace(line[:end])
			line = line[min(end+1, len(line)):]
		}
		all = append(all, row)
	}
	return all
}

// HEP 3, as a capture server reads it: Kamailio finds whole SIP messages in what log.hep sends, with
// the addresses that they had, and neither texts nor what proves who stox is (SEC-14).
func TestCapture(t *testing.T) {
	t.Parallel()
	w := newWorld(t, anyServer)
	k := w.capture()
	w.stox.Env = append(w.stox.Env, fmt.Sprintf("STOX_LOG_HEP=127.0.0.1:%d", k.Port), "STOX_LOG_WIRE=full")
	p := siptest.Listen(t, "udp")
	p.Answer(func(m *siptest.Message) string {
		if m.Method() != "OPTIONS" && m.Get("Authorization") == "" {
			return m.Reply(401, "Unauthorized", `WWW-Authenticate: Digest realm="`+sipDomain+`", nonce="a-nonce-that-nobody-else-knows", algorithm=SHA-256, qop="auth"`)
		}
		return m.Reply(200, "OK")
	})
	const password = "a-password-that-nobody-else-knows"
	w.runWith(fmt.Sprintf("\n[[sip.route]]\ndomain = %q\nvia = \"sip:%s\"\nusername = \"stox\"\npassword = %q\n", sipDomain, p.Addr(), password))
	c := w.login(juliet)
	w.must(c.Message("m1", "romeo@"+w.component, "But soft, what light"))
	_, _, err := w.stox.WaitLine(w.ctx, 0, "msg=delivered", "id=m1")
	w.must(err)
	var sent *siptest.Message // the one that was taken
	for _, m := range p.Requests() {
		if m.Get("Authorization") != "" {
			sent = m
		}
	}
	callID := sent.Get("Call-ID")
	for _, what := range []string{"401", "200"} {
		_, _, err := k.WaitLine(w.ctx, 0, "CAPTURED "+what+" "+callID)
		w.must(err)
	}
	_, err = k.Stop(w.ctx) // it writes the table when it ends
	w.must(err)

	stoxAddr, peerAddr := fmt.Sprintf("127.0.0.1:%d", w.stox.SIP), p.Addr().String()
	var ladder []string
	for _, row := range w.rows(k) {
		if row["callid"] != callID {
			continue
		}
		from, to := row["source_ip"]+":"+row["source_port"], row["destination_ip"]+":"+row["destination_port"]
		if row["method"] == "MESSAGE" {
			if from != stoxAddr || to != peerAddr {
				t.Errorf("a request from %s to %s, not from %s to %s", from, to, stoxAddr, peerAddr)
			}
			if !strings.HasPrefix(row["msg"], sent.First+"\r\n") || !strings.HasSuffix(row["msg"], "\r\n\r\n"+strings.Repeat("*", len(sent.Body))) {
				t.Errorf("%s\nis not %s", row["msg"], sent.First)
			}
		} else if from != peerAddr || to != stoxAddr {
			t.Errorf("a response from %s to %s", from, to)
		}
		if row["correlation_id"] != callID || row["proto"] != "1" || row["date"] == "" {
			t.Errorf("%v", row)
		}
		ladder = append(ladder, row["method"]+" "+row["cseq"])
	}
	// The table has the newest first.
	if want := "200 2 MESSAGE, MESSAGE 2 MESSAGE, 401 1 MESSAGE, MESSAGE 1 MESSAGE"; !sameCalls(ladder, want) {
		t.Errorf("captured %q", ladder)
	}

	b, err := os.ReadFile(filepath.Join(k.dir, "sip_capture"))
	w.must(err)
	secrets := append(secretsIn(sent.Get("Authorization")), password, "a-nonce-that-nobody-else-knows")
	for _, secret := range append(secrets, "what light") {
		if strings.Contains(string(b), secret) {
			t.Errorf("%q was captured", secret)
		}
	}
	if !strings.Contains(strings.Join(w.stox.Lines(), "\n"), "    | Authorization: Digest username=\"stox\"") {
		t.Error("the log has no request with credentials")
	}
	w.keepsSecrets(secrets, 4, nil, c)
}

// sameCalls compares what was captured of a call, without the numbers that CSeq began with.
func sameCalls(got []string, want string) bool {
	wanted := strings.Split(want, ", ")
	if len(got) != len(wanted) {
		return false
	}
	for i := range got {
		if strings.Fields(got[i])[0] != strings.Fields(wanted[i])[0] {
			return false
		}
	}
	return true
}
