package app

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/sipside"
	"github.com/stoxgw/stox/sipside/digest"
)

// effect is a key that may change while the daemon runs, and what shows that it has: look
// finds was in a daemon that was started with before, and is in one that was started with
// that and has read after since.
type effect struct {
	key           string
	before, after []string
	look          func(h *home) string
	was, is       string
	changed       string // the key that is named; "" is key
}

const (
	juliet = "sip:juliet@example.com"
	romeo  = "sip:romeo@example.net"
)

var trunk = netip.MustParseAddrPort("192.0.2.7:5060")

func status(source netip.AddrPort, from, to string, lines ...string) func(*home) string {
	return func(h *home) string { return fmt.Sprint(h.fromSIP(source, 1, from, to, "hi", lines...)) }
}

// firstSent writes to a contact and describes the request that goes out.
func firstSent(to string, describe func(*siptest.Wire) string) func(*home) string {
	return func(h *home) string {
		h.toSIP(to, "m1", "hi")
		all := h.sent("MESSAGE")
		if len(all) == 0 {
			return "nothing"
		}
		return describe(all[len(all)-1])
	}
}

func destination(w *siptest.Wire) string { return w.Source.String() }

func requestURI(w *siptest.Wire) string { return strings.Fields(w.First)[1] }

// tooLong says what becomes of a text that is too long for UDP.
func tooLong(h *home) string {
	h.toSIP(`romeo\40a.example`, "m1", strings.Repeat("long ", 300))
	if all := h.sent("MESSAGE"); len(all) > 0 {
		return all[0].Network
	}
	return fmt.Sprint(len(h.errors()), " error")
}

// guardedTrunk wants a login: the user with that password.
func guardedTrunk(user, password string) func(*home) string {
	server := digest.NewServer("trunk.example", []byte("key"), func(name string) (string, bool) { return password, name == user })
	return func(h *home) string {
		verdict := "not asked"
		h.answering(func(m *siptest.Message) string {
			name, _, v := server.Verify("MESSAGE", strings.Fields(m.First)[1], m.All("Authorization"), m.Body, "x", time.Now())
			if verdict = name + " " + v.String(); v == digest.OK {
				return m.Reply(200, "OK")
			}
			return m.Reply(401, "No", "WWW-Authenticate: "+server.Challenges("x", false, time.Now())[0])
		})
		h.toSIP(`romeo\40a.example`, "m1", "hi")
		return verdict
	}
}

// logsIn sends a request as a user who logs in, and says what comes of it.
func logsIn(user, password string) func(*home) string {
	return func(h *home) string {
		first := h.final(abroad, 1, request(abroad, 1, romeo, juliet, "hi"))
		if first == nil || first.Status() != 401 {
			return fmt.Sprint("not asked: ", first)
		}
		client := digest.NewClient(user, password, "example.net")
		var a digest.Attempt
		r := &digest.Request{Server: "x", Method: "MESSAGE", URI: juliet, Body: []byte("hi")}
		if reply, _ := client.Answer(r, &a, first.All("WWW-Authenticate"), nil); reply != digest.Again {
			return fmt.Sprint("the challenge: ", reply)
		}
		return fmt.Sprint(h.fromSIP(abroad, 2, romeo, juliet, "hi", strings.TrimRight(a.Lines(), "\r\n")))
	}
}

// putOff writes a message that the other side puts off until it is given up, and says how
// long that takes; and what the sender gets besides an error.
func putOff(h *home) (took time.Duration, notices int) {
	h.answering(func(m *siptest.Message) string { return m.Reply(503, "Later") })
	began := time.Now()
	h.toSIP("romeo", "m1", "hi")
	for len(h.errors()) == 0 && time.Since(began) < time.Hour {
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
	}
	took = time.Since(began)
	time.Sleep(time.Second)
	synctest.Wait()
	for _, st := range h.texts() {
		if strings.HasPrefix(st.Body, "Not delivered") {
			notices++
		}
	}
	return took, notices
}

const (
	routeA   = ": [[sip.route]]\ndomain='a.example'\nvia='sip:192.0.2.7'\n"
	loginA   = routeA + "username='u'\npassword='one'\n"
	office   = ": [[sip.peer]]\nname='office'\naddresses=['192.0.2.5']\n"
	byLogin  = ": [[sip.peer]]\nname='office'\nusername='phone'\npassword='one'\n"
	aliasOne = ": [[alias]]\nsip='sip:+15550001111@example.net'\nxmpp='juliet@example.com'\n"
)

func with(table, old, new string) string {
	if !strings.Contains(table, old) {
		panic(old)
	}
	return strings.Replace(table, old, new, 1)
}

var effects = []effect{
	{key: "shutdown_timeout", before: []string{"top: shutdown_timeout='9s'"}, after: []string{"top: shutdown_timeout='3s'"}, was: "9 s", is: "3 s", look: func(h *home) string {
		h.answering(func(*siptest.Message) string { return "" })
		h.toSIP("romeo", "m1", "hi") // stays under way
		began := time.Now()
		go h.stop()
		<-h.ended
		return fmt.Sprintf("%.0f s", time.Since(began).Truncate(time.Second).Seconds())
	}},
	{key: "xmpp.user_domains", after: []string{"xmpp: user_domains=['example.com', 'example.org']"}, look: status(neighbour, romeo, "sip:juliet@example.org"), was: "404", is: "200"},
	{key: "xmpp.admins", after: []string{"xmpp: admins=['Juliet@example.com']"}, was: "error", is: "result", look: func(h *home) string {
		return h.command("status", "").Type
	}},
	{key: "xmpp.barrier_timeout", after: []string{"xmpp: barrier_timeout='1s'"}, was: "202 after 5 s", is: "202 after 1 s", look: func(h *home) string {
		h.mu.Lock()
		h.silent = true
		h.mu.Unlock()
		began := time.Now()
		status := h.fromSIP(neighbour, 1, romeo, juliet, "hi")
		return fmt.Sprintf("%d after %.0f s", status, time.Since(began).Seconds())
	}},
	{key: "xmpp.failure_notice", after: []string{"xmpp: failure_notice=false"}, was: "1 notice", is: "0 notice", look: func(h *home) string {
		_, notices := putOff(h)
		return fmt.Sprint(notices, " notice")
	}},
	{key: "xmpp.html", after: []string{"xmpp: html='plain'"}, was: "true", is: "false", look: func(h *home) string {
		h.fromSIP(neighbour, 1, romeo, juliet, "<p><b>hi</b></p>", "Content-Type: text/html;charset=UTF-8")
		return fmt.Sprint(strings.Contains(h.texts()[0].Raw, "xhtml-im"))
	}},
	{key: "sip.phone_domain", after: []string{"sip: phone_domain='phones.example'"}, look: firstSent("+15551234567", requestURI),
		was: "sip:+15551234567@example.net;user=phone", is: "sip:+15551234567@phones.example;user=phone"},
	{key: "sip.accept_status", after: []string{"sip: accept_status=202"}, look: status(neighbour, romeo, juliet), was: "200", is: "202"},
	{key: "sip.late_errors", before: []string{"sip: late_errors='none'"}, after: []string{"sip: late_errors='message'"}, was: "0", is: "1", look: func(h *home) string {
		h.fromSIP(neighbour, 1, romeo, juliet, "hi")
		h.conn.Bounce(h.texts()[0], "service-unavailable")
		time.Sleep(time.Minute)
		return fmt.Sprint(len(h.sent("MESSAGE")))
	}},
	{key: "sip.expired", after: []string{"sip: expired='refuse'"}, look: status(neighbour, romeo, juliet, "Date: Wed, 14 Jan 2026 00:00:00 GMT", "Expires: 10"), was: "200", is: "480"},
	{key: "sip.imdn", before: []string{"sip: imdn='never'"}, after: []string{"sip: imdn='always'"}, was: "text/plain;charset=utf-8", is: "message/cpim", look: func(h *home) string {
		h.xmpp("<message from='juliet@example.com/b' to='romeo@sip.example.com' id='m1' type='chat'><body>hi</body><request xmlns='urn:xmpp:receipts'/></message>")
		return h.sent("MESSAGE")[0].Get("Content-Type")
	}},
	{key: "sip.composing", after: []string{"sip: composing='always'"}, was: "0", is: "1", look: func(h *home) string {
		h.xmpp("<message from='juliet@example.com/b' to='romeo@sip.example.com' id='m1' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
		return fmt.Sprint(len(h.sent("MESSAGE")))
	}},
	{key: "sip.tls_cert", before: certificate("one"), after: certificate("two"), look: shownCertificate, was: "one.example", is: "two.example", changed: "sip.tls_cert, sip.tls_key"},
	{key: "sip.tls_key", before: certificate("one"), after: certificate("two"), look: shownCertificate, was: "one.example", is: "two.example", changed: "sip.tls_cert, sip.tls_key"},
	{key: "sip.tls_ca", before: []string{"sip: tls_ca='FILES/one.ca'"}, after: []string{"sip: tls_ca='FILES/two.ca'"}, was: "false", is: "true", look: func(h *home) string {
		two, err := sipside.LoadTLS(sipside.TLSFiles{CA: filepath.Join(h.dir, "two.ca")})
		if err != nil {
			h.t.Fatal(err)
		}
		_, same := h.app.tls.Same(two)
		return fmt.Sprint(same)
	}},

	{key: "sip.route.domain", before: []string{routeA}, after: []string{with(routeA, "a.example", "b.example")}, look: firstSent(`romeo\40b.example`, destination), was: "192.0.2.99:5060", is: "192.0.2.7:5060"},
	{key: "sip.route.via", before: []string{routeA}, after: []string{with(routeA, "192.0.2.7", "192.0.2.8:5080")}, look: firstSent(`romeo\40a.example`, destination), was: "192.0.2.7:5060", is: "192.0.2.8:5080"},
	{key: "sip.route.username", before: []string{loginA}, after: []string{with(loginA, "'u'", "'v'")}, look: guardedTrunk("v", "one"), was: " wrong", is: "v ok"},
	{key: "sip.route.password", before: []string{loginA}, after: []string{with(loginA, "one", "two")}, look: guardedTrunk("u", "two"), was: " wrong", is: "u ok"},
	{key: "sip.route.password_file", before: []string{with(loginA, "password='one'", "password_file='FILES/one.password'")}, after: []string{with(loginA, "password='one'", "password_file='FILES/two.password'")},
		look: guardedTrunk("u", "two"), was: " wrong", is: "u ok"},
	{key: "sip.route.register", before: []string{loginA}, after: []string{loginA + "register=true\n"}, was: "0", is: "1", look: func(h *home) string {
		time.Sleep(10 * time.Second)
		return fmt.Sprint(len(h.sent("REGISTER")))
	}},
	{key: "sip.route.size", before: []string{routeA}, after: []string{routeA + "size='reject'\n"}, look: tooLong, was: "tcp", is: "1 error"},
	{key: "sip.route.max_message_bytes", before: []string{routeA}, after: []string{routeA + "max_message_bytes=1000\n"}, look: tooLong, was: "tcp", is: "1 error"},
	{key: "sip.route.presence", before: []string{routeA}, after: []string{routeA + "presence='none'\n"}, was: "1", is: "0", look: func(h *home) string {
		h.xmpp(`<presence from='juliet@example.com' to='romeo\40a.example@sip.example.com' type='subscribe'/>`)
		return fmt.Sprint(len(h.sent("SUBSCRIBE")))
	}},
	{key: "sip.route.from", before: []string{routeA, aliasOne}, after: []string{routeA + "from='alias'\n", aliasOne}, was: "juliet", is: "+15550001111",
		look: firstSent(`romeo\40a.example`, func(w *siptest.Wire) string {
			_, from, _ := strings.Cut(w.Get("From"), "sip:")
			user, _, _ := strings.Cut(from, "@")
			return user
		})},
	{key: "sip.route.numbers", before: []string{with(routeA, "a.example", "*") + "country='DE'\n"}, after: []string{with(routeA, "a.example", "*") + "country='DE'\nnumbers='national'\n"},
		look: firstSent("+4930123456", requestURI), was: "sip:+4930123456@example.net;user=phone", is: "sip:030123456@example.net;user=phone"},
	{key: "sip.route.country", before: []string{with(routeA, "a.example", "*") + "country='DE'\n"}, after: []string{with(routeA, "a.example", "*") + "country='AT'\n"}, was: "+4930123456@sip.example.com", is: "+4330123456@sip.example.com",
		look: func(h *home) string {
			h.fromSIP(trunk, 1, "sip:030123456@example.net;user=phone", juliet, "hi")
			return h.texts()[0].From
		}},

	{key: "sip.peer.name", before: []string{office}, after: []string{with(office, "'office'", "'factory'")}, was: "true false", is: "false true", look: func(h *home) string {
		h.fromSIP(netip.MustParseAddrPort("192.0.2.5:5060"), 1, "sip:x@other.example", juliet, "hi")
		return fmt.Sprint(strings.Contains(h.log.String(), "peer office may not"), " ", strings.Contains(h.log.String(), "peer factory may not"))
	}},
	{key: "sip.peer.addresses", before: []string{office}, after: []string{with(office, "192.0.2.5", "198.51.100.0/24")}, look: status(abroad, romeo, juliet), was: "403", is: "200"},
	{key: "sip.peer.tls_names", before: []string{office}, after: []string{office + "tls_names=['pbx.example']\n"}, was: "false", is: "true", look: func(h *home) string {
		h.fromSIP(abroad, 1, romeo, juliet, "hi")
		return fmt.Sprint(strings.Contains(h.log.String(), "sip.peer.tls_names that sip.tls_ca has signed"))
	}},
	{key: "sip.peer.username", before: []string{byLogin}, after: []string{with(byLogin, "'phone'", "'fax'")}, look: logsIn("fax", "one"), was: "401", is: "200"},
	{key: "sip.peer.password", before: []string{byLogin}, after: []string{with(byLogin, "'one'", "'two'")}, look: logsIn("phone", "two"), was: "401", is: "200"},
	{key: "sip.peer.password_file", before: []string{with(byLogin, "password='one'", "password_file='FILES/one.password'")}, after: []string{with(byLogin, "password='one'", "password_file='FILES/two.password'")},
		look: logsIn("phone", "two"), was: "401", is: "200"},
	{key: "sip.peer.domains", before: []string{with(office, "192.0.2.5", "198.51.100.9")}, after: []string{with(office, "192.0.2.5", "198.51.100.9") + "domains=['other.example']\n"},
		look: status(abroad, "sip:x@other.example", juliet), was: "403", is: "200"},

	{key: "alias.sip", before: []string{aliasOne}, after: []string{with(aliasOne, "1111", "2222")}, look: status(neighbour, romeo, "sip:+15550002222@example.net"), was: "404", is: "200"},
	{key: "alias.xmpp", before: []string{aliasOne}, after: []string{with(aliasOne, "juliet", "nurse")}, was: "juliet@example.com", is: "nurse@example.com", look: func(h *home) string {
		h.fromSIP(neighbour, 1, romeo, "sip:+15550001111@example.net", "hi")
		return h.texts()[0].To
	}},
	{key: "access.allow", after: []string{"access: allow=['nurse@example.com']"}, look: status(neighbour, romeo, juliet), was: "200", is: "403"},

	{key: "limits.user_rate", after: []string{"limits: user_rate=1"}, was: "0 refused", is: "2 refused", look: func(h *home) string {
		for i := range 12 {
			h.toSIP("romeo", fmt.Sprint("m", i), "hi")
		}
		return fmt.Sprint(len(h.errors()), " refused")
	}},
	{key: "limits.peer_rate", before: []string{with(office, "192.0.2.5", "198.51.100.9")}, after: []string{with(office, "192.0.2.5", "198.51.100.9"), "limits: peer_rate=1"}, was: "0 refused", is: "2 refused", look: func(h *home) string {
		refused := 0
		for i := range 12 {
			if h.fromSIP(abroad, i, romeo, juliet, "hi") == 503 {
				refused++
			}
		}
		return fmt.Sprint(refused, " refused")
	}},
	{key: "limits.daily_per_user", after: []string{"limits: daily_per_user=1"}, was: "0 refused", is: "2 refused", look: func(h *home) string {
		for i := range 3 {
			h.toSIP(fmt.Sprint("+1555123456", i), fmt.Sprint("m", i), "hi")
		}
		return fmt.Sprint(len(h.errors()), " refused")
	}},
	{key: "limits.prefixes", before: []string{"limits: prefixes=['+1']"}, after: []string{"limits: prefixes=['+49', '+1666']"}, look: func(h *home) string {
		h.toSIP("+15551234567", "m1", "hi")
		return fmt.Sprint(len(h.errors()), " refused")
	}, was: "0 refused", is: "1 refused"},
	{key: "queue.expire", before: []string{"queue: expire='1h'"}, after: []string{"queue: expire='10s'"}, was: "false", is: "true", look: func(h *home) string {
		took, _ := putOff(h)
		return fmt.Sprint(took <= 10*time.Second)
	}},
	{key: "queue.max_messages", after: []string{"queue: max_messages=2"}, was: "0 refused", is: "2 refused", look: func(h *home) string {
		h.answering(func(*siptest.Message) string { return "" })
		for i := range 4 {
			h.toSIP("romeo", fmt.Sprint("m", i), "hi")
			time.Sleep(time.Second)
		}
		return fmt.Sprint(len(h.errors()), " refused")
	}},
	{key: "store.trail", after: []string{"store: trail='1m'"}, was: "true", is: "false", look: func(h *home) string {
		h.toSIP("romeo", "m1", "hi")
		time.Sleep(time.Hour)
		h.toSIP("romeo", "m2", "hi") // has the store look
		time.Sleep(time.Minute)
		events, err := h.app.journal.store.Lookup("m1")
		if err != nil {
			h.t.Fatal(err)
		}
		return fmt.Sprint(len(events) > 0)
	}},
	{key: "admin.show_bodies", after: []string{"admin: show_bodies=true"}, was: "[]", is: "[hi]", look: func(h *home) string {
		h.toSIP("romeo", "m1", "hi")
		var texts []string
		for _, m := range h.app.history.ByID("m1") {
			if m.Body != "" {
				texts = append(texts, m.Body)
			}
		}
		return fmt.Sprint(texts)
	}},
	{key: "log.level", after: []string{"log: level='error'"}, look: func(h *home) string { return h.logging.Level }, is: "error"},
	{key: "log.wire", after: []string{"log: wire='headers'"}, was: "0", is: "2", look: func(h *home) string {
		h.fromSIP(neighbour, 1, romeo, juliet, "a text")
		synctest.Wait()
		if strings.Contains(h.log.String(), "a text") {
			h.t.Error("the text is in the log")
		}
		return fmt.Sprint(strings.Count(h.log.String(), " side=sip transport=udp peer=127.0.0.1:5070 "))
	}},
	{key: "log.hep", after: []string{"log: hep='127.0.0.1:9'"}, was: "false", is: "true", look: func(h *home) string {
		h.fromSIP(neighbour, 1, romeo, juliet, "hi")
		synctest.Wait()
		return fmt.Sprint(h.app.wire.Stats().Copied > 0) // a datagram to nobody is sent like any other
	}},
	{key: "log.format", after: []string{"log: format='json'"}, look: func(h *home) string { return h.logging.Format }, is: "json"},
}

func certificate(name string) []string {
	return []string{"sip: tls_cert='FILES/" + name + ".cert'", "sip: tls_key='FILES/" + name + ".key'"}
}

func shownCertificate(h *home) string {
	names, _, _ := h.app.tls.Certificate()
	return strings.Join(names, " ")
}

// secretsOf makes the files that are named in effects.
func secretsOf(t *testing.T) map[string][]byte {
	files := make(map[string][]byte)
	for _, name := range []string{"one", "two"} {
		ca := siptest.NewCA(t, "CA "+name)
		cert := ca.Issue(nil, name+".example")
		files[name+".cert"], files[name+".key"], files[name+".ca"], files[name+".password"] = cert.PEM, cert.KeyPEM, ca.PEM, []byte(name+"\n")
	}
	return files
}

// Each key that is said to take effect on reload does, in a daemon that runs, and its link
// stays up.
func TestEveryLiveKeyTakesEffect(t *testing.T) {
	covered := make(map[string]bool)
	for _, e := range effects {
		covered[e.key] = true
	}
	sections, _ := config.Reference()
	for _, s := range sections {
		for _, k := range s.Keys {
			if k.Live != covered[k.Path] {
				t.Errorf("%s: takes effect on reload: %v, and there is a test of that: %v", k.Path, k.Live, covered[k.Path])
			}
		}
	}
	files := secretsOf(t)
	for _, e := range effects {
		look := func(phase, want string, change bool) {
			t.Run(e.key+"/"+phase, func(t *testing.T) {
				dir := t.TempDir()
				for name, text := range files {
					if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Test(t, func(t *testing.T) {
					h := newHome(t, dir, e.before...)
					defer h.stop()
					if change {
						done := h.reload(e.after...)
						if name := cmp.Or(e.changed, e.key); !done.Applied || len(done.Waiting) > 0 || indices.ReplaceAllString(strings.Join(done.Changed, ", "), "") != name || h.server.Dials() != 1 || !h.app.xmpp.Up() {
							t.Errorf("%+v, want %s", done, name)
						}
					}
					if got := e.look(h); got != want {
						t.Errorf("%q, want %q\n%s", got, want, h.log.String())
					}
				})
			})
		}
		look("before", e.was, false)
		look("after", e.is, true)
	}
}

// indices are those of tables in a path.
var indices = regexp.MustCompile(`\[\d+\]`)
