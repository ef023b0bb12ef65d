//go:build interop

package docs

import (
	"context"
	"crypto/md5"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/test/stage"
)

const withKamailio = root + "/docs/with-kamailio.md"

// stoxHost is where stox is in the test of that page, so that Kamailio can tell it from phones.
const stoxHost = "127.0.0.20"

// All of docs/with-kamailio.md is done: the files that it shows are those that Kamailio and stox
// run with, and its messages arrive. Then those who are to be refused are.
func TestWithKamailio(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	r := &replay{T: t, ctx: ctx, s: newStage(t), kamailio: freePort(t)}
	r.dir = filepath.Join(r.s.Dir, "machine")
	r.pwd = r.dir
	for _, d := range []string{"etc/stox", "etc/kamailio", "usr/bin"} {
		must(t, os.MkdirAll(filepath.Join(r.dir, d), 0o755))
	}
	must(t, os.Symlink(stoxBinary, filepath.Join(r.dir, "usr/bin/stox")))

	stox, err := r.s.InitStox(ctx, stoxBinary, "prosody", "sip.example.com", "pbx.example.net")
	must(t, err)
	stox.Config = filepath.Join(r.dir, "etc/stox/stox.toml")
	must(t, os.Rename(filepath.Join(r.s.Dir, "stox.toml"), stox.Config))
	r.xmpp, err = r.s.NewProsody(ctx, stage.ServerOptions{Domain: "example.com", Users: []stage.Account{juliet}, Snippet: stox.Snippet})
	must(t, err)
	must(t, r.xmpp.Boot(ctx))
	sip := fmt.Sprintf("%s:%d", stoxHost, stox.SIP)
	stox.Env = []string{fmt.Sprintf("STOX_SIP_LISTEN=udp://%s,tcp://%s", sip, sip)}
	must(t, stox.Configure(r.xmpp.Component, nil, ""))
	r.env = append(stox.Environ(), "PATH="+r.dir+"/usr/bin:"+os.Getenv("PATH"))
	r.table = []namePair{
		{"/etc/", r.dir + "/etc/"},
		{"192.0.2.10:5060", fmt.Sprintf("127.0.0.1:%d", r.kamailio)},
		{"192.0.2.20:5060", sip},
		{"192.0.2.20", stoxHost},
	}

	ran, crossed := 0, 0
	for _, b := range blocks(t, withKamailio, "prosody", nil) {
		switch {
		case b.is("sh"):
			r.shell(b)
			ran++
		case b.is("text", "output"):
			r.output(b)
		case b.arg("file") != "":
			must(t, os.WriteFile(r.here(b.arg("file")), []byte(r.here(b.text)), 0o644))
		case b.arg("append") != "":
			r.append(b)
		case b.is("text", "message"):
			if r.phone == nil {
				r.kamailioAndPhone(stox)
			}
			r.message(b)
			crossed++
		default:
			t.Errorf("line %d: nobody knows what to do with %q", b.line, append([]string{b.lang}, b.args...))
		}
	}
	if ran < 3 || crossed != 2 {
		t.Fatalf("%d blocks of commands and %d messages: has the document changed its form?", ran, crossed)
	}
	r.beyond()
	r.strangers()
}

// beyond is what the page says of who is not there, and of long messages.
func (r *replay) beyond() {
	r.Helper()
	must(r.T, r.juliet.Message("nobody", "tybalt@sip.example.com", "hello"))
	st, err := r.juliet.Await(r.ctx, "the error", stage.WithID("nobody"))
	must(r.T, err)
	if st.Type != "error" || st.Condition+": "+st.ErrorText != "item-not-found: 404 Not registered" {
		r.Errorf("to nobody: %s", st.Raw)
	}
	long := strings.Repeat("thou", 750) // over UDP, which Kamailio would go on with
	if m := r.ask("127.0.0.1", "MESSAGE", r.phone.URI, "sip:juliet@example.com", long, true); m.Status() != 200 {
		r.Errorf("a long message: %s", m.First)
	}
	_, err = r.juliet.Await(r.ctx, "the long message", stage.WithBody(long))
	must(r.T, err)
}

// kamailioAndPhone starts what the page takes for granted: Kamailio, stox, and a phone.
func (r *replay) kamailioAndPhone(stox *stage.Stox) {
	r.Helper()
	romeo := stage.Account{Local: "romeo", Password: "romeo-secret"} // as the page says
	k, err := r.s.KamailioOf(r.ctx, r.here("/etc/kamailio"), r.kamailio, "pbx.example.net", romeo)
	must(r.T, err)
	must(r.T, stox.Run(r.ctx))
	_, err = stox.WaitLink(r.ctx, 0)
	must(r.T, err)
	r.phone, err = r.s.BaresipAt(r.ctx, k, romeo.Local, "udp", "sip:juliet@example.com")
	must(r.T, err)
}

// strangers says who may do what, as the page promises it.
func (r *replay) strangers() {
	const user, phone = "sip:juliet@example.com", "sip:romeo@pbx.example.net"
	const away = "127.0.0.1" // where stox is not
	for _, c := range []struct {
		what, source, method, from, to string
		digest                         bool
		status                         int  // 0 is any
		relayed                        bool // the answer is not Kamailio's own
	}{
		{"a stranger speaks for an XMPP user", away, "MESSAGE", user, phone, false, 403, false},
		{"a stranger speaks for another domain", away, "MESSAGE", "sip:tybalt@example.org", user, false, 403, false},
		{"a phone without a password", away, "MESSAGE", phone, user, false, 407, false},
		{"a phone speaks for an XMPP user", away, "MESSAGE", user, user, true, 403, false},
		{"stox speaks for a phone", stoxHost, "MESSAGE", phone, phone, false, 403, false},
		{"stox writes elsewhere", stoxHost, "MESSAGE", user, "sip:tybalt@example.org", false, 403, false},
		{"a phone publishes for an XMPP user", away, "PUBLISH", phone, user, true, 407, false},
		{"a phone asks for more than stox has", away, "INFO", phone, user, true, 405, false},
		{"a phone subscribes to an XMPP user", away, "SUBSCRIBE", phone, user, true, 200, true},
		{"stox notifies a phone", stoxHost, "NOTIFY", user, phone, false, 0, true},
		{"a stranger notifies a phone", away, "NOTIFY", user, phone, false, 403, false},
	} {
		m := r.ask(c.source, c.method, c.from, c.to, "hello", c.digest)
		if own := strings.Contains(strings.ToLower(m.Get("Server")), "kamailio"); own == c.relayed || c.status != 0 && m.Status() != c.status {
			r.Errorf("%s: %s (Kamailio's own: %t), want %d", c.what, m.First, own, c.status)
		}
	}
}

var nonceOf = regexp.MustCompile(`nonce="([^"]+)"`)

// ask sends Kamailio a request over UDP from an address of this machine, with the password of
// romeo if it is to be and is asked for, and gives the answer.
func (r *replay) ask(source, method, from, to, body string, digest bool) *siptest.Message {
	r.Helper()
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(source)}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: r.kamailio})
	must(r.T, err)
	defer c.Close()
	must(r.T, c.SetDeadline(time.Now().Add(20*time.Second)))
	here := c.LocalAddr().String()
	send := func(n int, more ...string) *siptest.Message {
		_, err := c.Write([]byte(siptest.Text(body, append([]string{
			method + " " + to + " SIP/2.0", fmt.Sprintf("Via: SIP/2.0/UDP %s;branch=z9hG4bKask%d", here, n), "Max-Forwards: 70", "Event: presence", "Contact: <sip:" + here + ">",
			"From: <" + from + ">;tag=1", "To: <" + to + ">", "Call-ID: " + here, fmt.Sprintf("CSeq: %d %s", n, method), "Subscription-State: active", "Content-Type: text/plain",
		}, more...)...)))
		must(r.T, err)
		for buf := make([]byte, 65535); ; {
			n, err := c.Read(buf)
			must(r.T, err)
			if m, _, err := siptest.Parse(buf[:n]); err == nil && m.Status() >= 200 {
				return m
			}
		}
	}
	m := send(1)
	if m.Status() != 407 || !digest {
		return m
	}
	nonce := nonceOf.FindStringSubmatch(m.Get("Proxy-Authenticate"))
	if nonce == nil {
		r.Fatalf("no nonce in %q", m.Get("Proxy-Authenticate"))
	}
	hash := func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }
	response := hash(hash("romeo:pbx.example.net:romeo-secret") + ":" + nonce[1] + ":" + hash(method+":"+to))
	return send(2, fmt.Sprintf(`Proxy-Authorization: Digest username="romeo", realm="pbx.example.net", nonce="%s", uri="%s", response="%s"`, nonce[1], to, response))
}
