package siptest

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// client is an account of a trunk that writes its requests by hand.
type client struct {
	t      *testing.T
	trunk  *Trunk
	source netip.AddrPort
	cseq   int
	nonce  string
	nc     int
	proxy  bool // the last challenge was a proxy's
}

// ask sends a request, with credentials if there has been a challenge, and gives the status.
func (c *client) ask(method, uri, from, body string, edits ...string) int {
	c.t.Helper()
	c.cseq++
	lines := []string{method + " " + uri + " SIP/2.0", "Via: SIP/2.0/UDP gw;branch=z9hG4bK1", "From: <" + from + ">;tag=a",
		"To: <sip:acct@trunk.example>", "Call-ID: c", fmt.Sprintf("CSeq: %d %s", c.cseq, method)}
	if c.nonce != "" {
		c.nc++
		nc := fmt.Sprintf("%08x", c.nc)
		response := trunkMD5(trunkMD5("acct", "trunk.example", "secret"), c.nonce, nc, "cn", "auth", trunkMD5(method, uri))
		name := map[bool]string{true: "Proxy-Authorization", false: "Authorization"}[c.proxy]
		lines = append(lines, fmt.Sprintf(`%s: Digest username="acct", realm="trunk.example", nonce="%s", uri="%s", response="%s", cnonce="cn", qop=auth, nc=%s`,
			name, c.nonce, uri, response, nc))
	}
	m, _, err := Parse([]byte(Text(body, append(lines, edits...)...)))
	if err != nil {
		c.t.Fatal(err)
	}
	m.Source = c.source
	answer, _, err := Parse([]byte(c.trunk.Answer(m)))
	if err != nil {
		c.t.Fatal(err)
	}
	ask := answer.Get("WWW-Authenticate") + answer.Get("Proxy-Authenticate")
	if _, rest, ok := strings.Cut(ask, `nonce="`); ok {
		c.nonce, _, _ = strings.Cut(rest, `"`)
		c.nc, c.proxy = 0, answer.Status() == 407
	}
	return answer.Status()
}

const (
	plainLine   = "Content-Type: text/plain;charset=utf-8"
	contactLine = "Contact: <sip:acct@192.0.2.1:5060>;expires=3600"
	ourNumber   = "sip:5550001111@trunk.example"
)

func newClient(t *testing.T, opt TrunkOptions) *client {
	opt.Domain, opt.Account, opt.Password, opt.Numbers = "trunk.example", "acct", "secret", []string{"5550001111"}
	return &client{t: t, trunk: NewTrunk(opt), source: netip.MustParseAddrPort("192.0.2.1:5060")}
}

// The digest is that of RFC 2617 §3.5.
func TestTrunkMD5(t *testing.T) {
	a1, a2 := trunkMD5("Mufasa", "testrealm@host.com", "Circle Of Life"), trunkMD5("GET", "/dir/index.html")
	if got := trunkMD5(a1, "dcd98b7102dd2f0e8b11d0f600bfb0c093", "00000001", "0a4f113b", "auth", a2); got != "6629fae49393a05397450978507c4ef1" {
		t.Error(got)
	}
}

// A trunk takes a text of its account from where that is registered, and none other.
func TestTrunk(t *testing.T) {
	for _, c := range []struct {
		name, uri, from, body string
		lines                 []string
		moved                 bool // to another address since it registered
		want                  int
	}{
		{name: "a text", want: 202},
		{name: "160 characters", body: strings.Repeat("漢", 160), want: 202},
		{name: "161 characters", body: strings.Repeat("y", 161), want: 413},
		{name: "with the country", uri: "sip:15551234567@trunk.example", want: 404},
		{name: "with a plus", uri: "sip:+15551234567@trunk.example", want: 404},
		{name: "no number", uri: "sip:romeo@trunk.example", want: 404},
		{name: "another sender", from: "sip:5550002222@trunk.example", want: 403},
		{name: "a user", from: "sip:juliet@example.com", want: 403},
		{name: "CPIM", lines: []string{"Content-Type: message/cpim"}, want: 415},
		{name: "from elsewhere", moved: true, want: 403},
	} {
		for _, proxy := range []bool{false, true} {
			cl := newClient(t, TrunkOptions{Proxy: proxy})
			asked := map[bool]int{false: 401, true: 407}[proxy]
			if got := cl.ask("MESSAGE", "sip:5551234567@trunk.example", ourNumber, "hi", plainLine); got != asked {
				t.Fatalf("%s: without credentials: %d", c.name, got)
			}
			if got := cl.ask("MESSAGE", "sip:5551234567@trunk.example", ourNumber, "hi", plainLine); got != 403 {
				t.Fatalf("%s: without a registration: %d", c.name, got)
			}
			if got := cl.ask("REGISTER", "sip:trunk.example", "sip:acct@trunk.example", "", contactLine); proxy && got != 401 || !proxy && got != 200 {
				t.Fatalf("%s: REGISTER: %d", c.name, got)
			} else if proxy {
				if got = cl.ask("REGISTER", "sip:trunk.example", "sip:acct@trunk.example", "", contactLine); got != 200 {
					t.Fatalf("%s: REGISTER: %d", c.name, got)
				}
			}
			cl.nonce = ""
			uri, from, body, lines := "sip:5551234567@trunk.example", ourNumber, "hi", []string{plainLine}
			if c.uri != "" {
				uri = c.uri
			}
			if c.from != "" {
				from = c.from
			}
			if c.body != "" {
				body = c.body
			}
			if c.lines != nil {
				lines = c.lines
			}
			if c.moved {
				cl.source = netip.MustParseAddrPort("192.0.2.1:5061")
			}
			if got := cl.ask("MESSAGE", uri, from, body, lines...); got != asked {
				t.Fatalf("%s: %d", c.name, got)
			}
			if got := cl.ask("MESSAGE", uri, from, body, lines...); got != c.want {
				t.Errorf("%s: %d, want %d", c.name, got, c.want)
			}
			if got := len(cl.trunk.Texts()); (got == 1) != (c.want == 202) {
				t.Errorf("%s: %d texts", c.name, got)
			}
		}
	}
}

// What is wrong with credentials, and a nonce that has been used up.
func TestTrunkCredentials(t *testing.T) {
	cl := newClient(t, TrunkOptions{NonceUses: 2})
	register := func() int {
		return cl.ask("REGISTER", "sip:trunk.example", "sip:acct@trunk.example", "", contactLine)
	}
	for i, want := range []int{401, 200, 200, 401, 200, 200, 401} {
		if got := register(); got != want {
			t.Fatalf("%d: %d, want %d", i, got, want)
		}
	}
	if got := cl.trunk.Refused(); len(got) != 0 {
		t.Errorf("refused %v", got)
	}
	cl.nc = -1
	register() // nc=00000000 is no use of it
	cl.trunk.opt.Password = "another"
	register()
	cl.trunk.opt.Password = "secret"
	if got := cl.trunk.Refused(); len(got) != 2 || !strings.HasPrefix(got[0], "replay") || !strings.HasPrefix(got[1], "wrong credentials") {
		t.Errorf("refused %v", got)
	}
	cl.trunk.Forget()
	if got := register(); got != 401 {
		t.Errorf("after a restart: %d", got)
	}
}

// A registration ends with its time or at a word, and what comes in goes to its contact.
func TestTrunkBinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := newClient(t, TrunkOptions{Grant: 60, ToHost: "asterisk", Sulks: time.Minute})
		if _, err := cl.trunk.Text("udp", "5551234567", "5550001111", "hi"); err == nil {
			t.Error("a text for nobody")
		}
		cl.ask("REGISTER", "sip:trunk.example", "sip:acct@trunk.example", "", contactLine)
		cl.ask("REGISTER", "sip:trunk.example", "sip:acct@trunk.example", "", contactLine)
		b, ok := cl.trunk.Binding()
		if !ok || b.Contact != "sip:acct@192.0.2.1:5060" || b.Times != 1 || b.Source != cl.source || time.Until(b.Until) != time.Minute {
			t.Fatalf("%+v %t", b, ok)
		}
		for _, account := range []bool{false, true} {
			cl.trunk.opt.ToAccount = account
			raw, err := cl.trunk.Text("udp", "5551234567", "5550001111", "hi")
			m, _, err2 := Parse([]byte(raw))
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			want := "MESSAGE sip:5550001111@192.0.2.1:5060 SIP/2.0"
			if account {
				want = "MESSAGE sip:acct@192.0.2.1:5060 SIP/2.0"
			}
			if m.First != want || m.Get("To") != "<sip:5550001111@asterisk>" || !strings.Contains(m.Get("From"), "<sip:5551234567@trunk.example>") {
				t.Errorf("%s", raw)
			}
		}
		for i, want := range []int{202, 415, 503} {
			line := plainLine
			if i == 1 {
				line = "Content-Type: application/im-iscomposing+xml"
			}
			if got := cl.ask("MESSAGE", "sip:5551234567@trunk.example", ourNumber, "hi", line); got != want {
				t.Errorf("text %d: %d, want %d", i, got, want)
			}
		}
		time.Sleep(time.Minute)
		if _, ok := cl.trunk.Binding(); ok {
			t.Error("it has not ended")
		}
		cl.ask("REGISTER", "sip:trunk.example", "sip:acct@trunk.example", "", contactLine)
		if got := cl.ask("MESSAGE", "sip:5551234567@trunk.example", ourNumber, "hi", plainLine); got != 202 {
			t.Errorf("a minute later: %d", got)
		}
		cl.ask("REGISTER", "sip:trunk.example", "sip:acct@trunk.example", "", "Contact: <sip:acct@192.0.2.1:5060>;expires=0")
		if _, ok := cl.trunk.Binding(); ok {
			t.Error("it was not ended")
		}
	})
}
