package sipside

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/digest"
)

const passphrase = "correct horse"

// asker is what a server asks before it lets a request go on.
type asker struct {
	*digest.Server
	status    int
	challenge string // the name of the header
	answer    string
}

func newAsker(status int, realm string) *asker {
	a := &asker{Server: digest.NewServer(realm, []byte(realm), func(name string) (string, bool) { return passphrase, name == "stox" }),
		status: status, challenge: "WWW-Authenticate", answer: "Authorization"}
	if status == 407 {
		a.challenge, a.answer = "Proxy-Authenticate", "Proxy-Authorization"
	}
	return a
}

// ask gives the challenge to a request, "" if that says who it is of.
func (a *asker) ask(m *siptest.Message, now time.Time) string {
	_, _, verdict := a.Verify(m.Method(), strings.Fields(m.First)[1], m.All(a.answer), m.Body, "", now)
	if verdict == digest.OK {
		return ""
	}
	var lines []string
	for _, c := range a.Challenges("", verdict == digest.Stale, now) {
		lines = append(lines, a.challenge+": "+c)
	}
	return m.Reply(a.status, "Who are you", lines...)
}

// guarded answers 200 to whoever gives all askers what they want.
func guarded(askers ...*asker) func(m *siptest.Message) string {
	return func(m *siptest.Message) string {
		for _, a := range askers {
			if raw := a.ask(m, time.Now()); raw != "" {
				return raw
			}
		}
		return m.Reply(200, "OK")
	}
}

// loginRoute leads everything to p, where we are stox.
func loginRoute(p *siptest.Peer) Route {
	return Route{Domain: "*", Via: mapping.URI{Scheme: "sip", Host: "127.0.0.1", Port: p.Addr().Port(), Transport: p.Network()},
		Login: Login{"stox", passphrase}}
}

// startLogin runs a UA with that route, and a log of everything.
func startLogin(t *testing.T, r Route) (*UA, *bridge, *siptest.Buffer) {
	t.Helper()
	cfg := testConfig()
	cfg.Routes = []Route{r}
	log := &siptest.Buffer{}
	u, err := New(cfg, testLog(t, log))
	if err != nil {
		t.Fatal(err)
	}
	b := newBridge(nil)
	return run(t, u, b), b, log
}

// steps are the CSeq of requests, with what each says of who we are.
func steps(all []*siptest.Message) string {
	var s []string
	for _, m := range all {
		n, _, _ := strings.Cut(m.Get("CSeq"), " ")
		for _, h := range [...]struct{ name, short string }{{"Authorization", "w"}, {"Proxy-Authorization", "p"}} {
			for _, v := range m.All(h.name) {
				c, err := digest.ParseCredentials(v)
				if err != nil {
					n += " " + err.Error()
					continue
				}
				n += fmt.Sprintf(" %s%d", h.short, c.NC)
			}
		}
		s = append(s, n)
	}
	return strings.Join(s, ", ")
}
