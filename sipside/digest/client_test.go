package digest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

var toJuliet = &Request{Server: "192.0.2.9:5060", Method: "MESSAGE", URI: "sip:juliet@example.com"}

// used says which nonces the lines of an attempt use, and how often they were.
func used(t *testing.T, a *Attempt) string {
	t.Helper()
	var out []string
	for line := range strings.SplitSeq(strings.TrimSuffix(a.Lines(), "\r\n"), "\r\n") {
		name, v, _ := strings.Cut(line, ": ")
		c, err := ParseCredentials(v)
		switch {
		case line == "":
		case err != nil:
			t.Errorf("%q: %v", line, err)
		default:
			out = append(out, fmt.Sprintf("%s %s %d", strings.TrimSuffix(name, "uthorization"), c.Nonce, c.NC))
		}
	}
	return strings.Join(out, ", ")
}

func ask(realm, nonce string, more ...string) string {
	return fmt.Sprintf(`Digest realm="%s", nonce="%s", qop="auth"`, realm, nonce) + strings.Join(append([]string{""}, more...), ", ")
}

// TestChoice: which challenge of several is answered, and how (RFC 8760 §2.4).
func TestChoice(t *testing.T) {
	for _, tt := range []struct {
		name       string
		challenges []string
		reply      Reply
		want       string // what the credentials have
	}{
		{"as it stands", []string{ask("x", "n")}, Again, `nonce="n"`},
		{"MD5 is not named if it was not", []string{ask("x", "n")}, Again, `-algorithm`},
		{"the first", []string{ask("x", "1", "algorithm=SHA-256"), ask("x", "2", "algorithm=MD5")}, Again, `algorithm=SHA-256`},
		{"the first, the other way round", []string{ask("x", "1", "algorithm=MD5"), ask("x", "2", "algorithm=SHA-256")}, Again, `algorithm=MD5`},
		{"the first that is known", []string{ask("x", "1", "algorithm=SHA-512"), ask("x", "2", "algorithm=MD5")}, Again, `nonce="2"`},
		{"an algorithm in quotes", []string{ask("x", "n", `algorithm="md5"`)}, Again, `algorithm=md5`},
		{"qop without quotes", []string{`Digest realm="x",nonce="n",qop=auth`}, Again, `qop=auth, nc=00000001`},
		{"several qops", []string{`Digest realm="x",nonce="n",qop="auth-int, auth"`}, Again, `qop=auth, nc`},
		{"only auth-int", []string{`Digest realm="x",nonce="n",qop="auth-int"`}, Again, `qop=auth-int, nc`},
		{"no qop", []string{`Digest realm="x",nonce="n"`}, Again, `-qop`},
		{"no qop, no cnonce", []string{`Digest realm="x",nonce="n"`}, Again, `-cnonce`},
		{"no qop, but a session", []string{`Digest realm="x",nonce="n",algorithm=MD5-sess`}, Again, `cnonce="`},
		{"an empty qop", []string{`Digest realm="x",nonce="n",qop=""`}, Again, `-qop`},
		{"an unknown qop", []string{`Digest realm="x",nonce="n",qop="conf"`}, Unsupported, ""},
		{"an opaque", []string{ask("x", "n", `opaque="o\"\\"`)}, Again, `opaque="o\"\\"`},
		{"an empty opaque", []string{ask("x", "n", `opaque=""`)}, Again, `opaque=""`},
		{"no opaque", []string{ask("x", "n")}, Again, `-opaque`},
		{"a realm with quotes", []string{ask(`a \"b\" \\c`, "n")}, Again, `realm="a \"b\" \\c"`},
		{"an empty realm", []string{ask("", "n")}, Again, `realm=""`},
		{"spaces and commas", []string{"\tdigest ,realm = \"x\" ,, nonce=\"n\"\t, "}, Again, `nonce="n"`},
		{"a nonce without quotes", []string{`Digest realm=x, nonce=YWJj/+==`}, Again, `nonce="YWJj/+=="`},
		{"what is not known", []string{ask("x", "n", `domain="sip:a sip:b"`, "charset=UTF-8", "userhash=true", "x=y")}, Again, `-userhash`},
		{"UTF-8", []string{ask("Zürich", "n")}, Again, `realm="Zürich"`},

		{"nothing", nil, Unsupported, ""},
		{"Basic", []string{`Basic realm="x"`}, Unsupported, ""},
		{"another scheme", []string{`NTLM realm="x", nonce="n"`, "Digestive realm=x, nonce=n", "Digest"}, Unsupported, ""},
		{"no nonce", []string{`Digest realm="x"`, `Digest realm="x", nonce=""`}, Unsupported, ""},
		{"no realm", []string{`Digest nonce="n"`}, Unsupported, ""},
		{"twice the same", []string{ask("x", "n", `realm="y"`)}, Unsupported, ""},
		{"an open quote", []string{`Digest realm="x", nonce="n`, `Digest realm="x", nonce="n\"`, `Digest realm="x", nonce="n\`}, Unsupported, ""},
		{"a quote in the middle", []string{`Digest realm="x", nonce=a"b"`, `Digest realm="x"y, nonce="n"`}, Unsupported, ""},
		{"no comma", []string{`Digest realm="x" nonce="n"`}, Unsupported, ""},
		{"no value", []string{`Digest realm="x", nonce=`, `Digest realm="x", nonce`, `Digest realm="x", nonce=,`, `Digest realm="x", ="n"`}, Unsupported, ""},
		{"control characters", []string{ask("x\x00", "n"), ask("x", "n\x7f"), ask("x\t", "n"), ask("x", "n", "opaque=a\x01"), ask("x", "n", "opaque=\"\\\x01\"")}, Unsupported, ""},
		{"a line end", []string{ask("x\r\nEvil: 1", "n"), ask("x", "n\r\nEvil: 1"), ask("x", "n", "opaque=\"\r\n\""), ask("x", "n", "algorithm=MD5\r\nEvil: 1"), ask("x\\\r\\\nEvil: 1", "n")}, Unsupported, ""},
		{"no UTF-8", []string{ask("x\xff", "n")}, Unsupported, ""},
		{"10 kB", []string{ask("x", strings.Repeat("n", 10000)), ask("x", "n", strings.Repeat(" ", 10000))}, Unsupported, ""},
		{"1000 parameters", []string{ask("x", "n") + strings.Repeat(",a=b", 400), "Digest " + manyParams(1000)}, Unsupported, ""},
		{"too many parameters", []string{ask("x", "n", manyParams(maxParams))}, Unsupported, ""},
		{"behind too many others", append(strings.Split(strings.Repeat("Basic,", maxHeaders), ",")[:maxHeaders], ask("x", "n")), Unsupported, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, proxy := range []bool{false, true} {
				var a Attempt
				www, prx := tt.challenges, []string(nil)
				if proxy {
					www, prx = prx, www
				}
				reply, _ := NewClient("stox", "secret").Answer(toJuliet, &a, www, prx)
				lines := a.Lines()
				if reply != tt.reply {
					t.Fatalf("%v, want %v", reply, tt.reply)
				}
				if reply != Again {
					if lines != "" {
						t.Errorf("%q", lines)
					}
					continue
				}
				if strings.Count(lines, "\r") != 1 || strings.Count(lines, "\n") != 1 || !strings.HasSuffix(lines, "\r\n") || strings.HasPrefix(lines, "Proxy-") != proxy {
					t.Errorf("no line: %q", lines)
				}
				if what, not := strings.CutPrefix(tt.want, "-"); strings.Contains(lines, what) == not {
					t.Errorf("want %s in %s", tt.want, lines)
				}
			}
		})
	}
}

func manyParams(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("p%d=v", i))
	}
	return strings.Join(all, ",")
}

// TestRealms: which realms are answered, whoever asks first.
func TestRealms(t *testing.T) {
	register := &Request{Server: "a", Method: "REGISTER", URI: "sip:example.net"}
	c := NewClient("stox", "secret", "example.net")
	n := 0
	for i, tt := range []struct {
		r          *Request
		www, proxy string
		reply      Reply
		foreign    string
	}{
		{r: toJuliet, www: "one", reply: Again},
		{r: toJuliet, www: "two", reply: Foreign, foreign: "two"},
		{r: toJuliet, www: "ONE", reply: Foreign, foreign: "ONE"},
		{r: toJuliet, www: "one", reply: Again},
		{r: toJuliet, www: "Example.NET", reply: Again},
		{r: toJuliet, proxy: "trunk", reply: Again},
		{r: toJuliet, proxy: "one", reply: Foreign, foreign: "one"},
		{r: toJuliet, proxy: "trunk", www: "evil", reply: Again},
		{r: register, www: "two", reply: Again},
		{r: toJuliet, www: "two", reply: Again}, // what the registrar is called
		{r: toJuliet, proxy: "two", reply: Again},
		{r: register, www: "three", reply: Again}, // it is another one now
		{r: toJuliet, www: "three", reply: Again},
		{r: toJuliet, www: "two", reply: Foreign, foreign: "two"},
		{r: register, proxy: "two", reply: Foreign, foreign: "two"}, // may be of a message's way
		{r: toJuliet, www: "one", reply: Again},
	} {
		n++
		var www, proxy []string
		if tt.www != "" {
			www = []string{ask(tt.www, fmt.Sprint("w", n))}
		}
		if tt.proxy != "" {
			proxy = []string{ask(tt.proxy, fmt.Sprint("p", n))}
		}
		var a Attempt
		reply, realm := c.Answer(tt.r, &a, www, proxy)
		if reply != tt.reply || reply == Foreign && realm != tt.foreign {
			t.Errorf("%d: %v %q", i, reply, realm)
		}
		if want := tt.www == "evil"; want && used(t, &a) != fmt.Sprintf("Proxy-A p%d 1", n) {
			t.Errorf("%d: said %q", i, used(t, &a))
		}
	}
}

// TestNonces: a nonce is used for further requests to the same server, with a count that
// grows, until the server has a new one.
func TestNonces(t *testing.T) {
	c := NewClient("stox", "secret")
	begin := func(r *Request) (string, *Attempt) {
		var a Attempt
		c.Begin(r, &a)
		return used(t, &a), &a
	}
	want := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	got, a := begin(toJuliet)
	want(got, "")
	if reply, _ := c.Answer(toJuliet, a, []string{ask("x", "w")}, []string{ask("x", "p")}); reply != Again {
		t.Fatal(reply)
	}
	want(used(t, a), "A w 1, Proxy-A p 1")
	got, a = begin(toJuliet)
	want(got, "A w 2, Proxy-A p 2")
	for _, r := range []*Request{
		{Server: "192.0.2.9:5061", Method: "MESSAGE", URI: toJuliet.URI},
	} {
		got, _ := begin(r)
		want(got, "")
	}
	got, _ = begin(&Request{Server: toJuliet.Server, Method: "MESSAGE", URI: "sip:romeo@other.example"})
	want(got, "Proxy-A p 3") // what somebody there asks for nobody else hears
	got, _ = begin(&Request{Server: toJuliet.Server, Method: "REGISTER", URI: toJuliet.URI})
	want(got, "Proxy-A p 4")

	c.Learn(toJuliet, a, []string{`nextnonce="w2", qop=auth, rspauth="0"`}, []string{"nextnonce"})
	got, a = begin(toJuliet)
	want(got, "A w2 1, Proxy-A p 5")
	c.Learn(toJuliet, a, nil, []string{`nextnonce="p2"`})
	_, old := begin(toJuliet)
	if reply, _ := c.Answer(toJuliet, a, nil, []string{ask("x", "p3", "stale=true")}); reply != Again {
		t.Fatal(reply)
	}
	c.Learn(toJuliet, old, nil, []string{`nextnonce="p4"`}) // of a nonce that is not in use any more
	got, _ = begin(toJuliet)
	want(got, "A w2 4, Proxy-A p3 2")

	if reply, _ := c.Answer(toJuliet, a, nil, []string{ask("x", "p5")}); reply != Rejected {
		t.Fatal(reply)
	}
	got, _ = begin(toJuliet)
	want(got, "A w2 5") // what was refused is not said again
}

// TestManyServers: what is remembered is bounded.
func TestManyServers(t *testing.T) {
	c := NewClient("stox", "secret")
	for i := range 3 * maxSessions {
		var a Attempt
		r := &Request{Server: fmt.Sprint(i), Method: "MESSAGE", URI: fmt.Sprintf("sip:a@h%d.example", i)}
		if reply, _ := c.Answer(r, &a, []string{ask("x", "n")}, nil); reply != Again || used(t, &a) != "A n 1" {
			t.Fatalf("%v %s", reply, a.Lines())
		}
	}
	if n := len(c.sessions); n != maxSessions {
		t.Errorf("%d sessions", n)
	}
}

// TestCountsAreUnique: no nonce is used twice with the same count.
func TestCountsAreUnique(t *testing.T) {
	c := NewClient("stox", "secret")
	var mu sync.Mutex
	seen := make(map[string]bool)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 100 {
				var a Attempt
				c.Begin(toJuliet, &a)
				if j%10 == i {
					c.Answer(toJuliet, &a, []string{ask("x", fmt.Sprint(i, j), "stale=true")}, nil)
				}
				mu.Lock()
				if s := used(t, &a); s != "" && seen[s] {
					t.Errorf("%s twice", s)
				} else {
					seen[s] = true
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) < 500 {
		t.Errorf("only %d were said", len(seen))
	}
}

// TestRoom: the estimate is not below what it is in the end.
func TestRoom(t *testing.T) {
	c := NewClient("stox", "secret")
	var before Attempt
	room := c.Room(toJuliet, &before)
	var a Attempt
	challenge := ask(strings.Repeat("r", 60), strings.Repeat("n", 80), "algorithm=SHA-512-256-sess", `opaque="`+strings.Repeat("o", 40)+`"`)
	if reply, _ := c.Answer(toJuliet, &a, nil, []string{challenge}); reply != Again || len(a.Lines()) > room {
		t.Errorf("%d bytes, %d were reserved", len(a.Lines()), room)
	}
	if again := c.Room(toJuliet, &a); again+len(a.Lines()) > room {
		t.Errorf("%d bytes more for what is there", again)
	}
}

// TestCNonce: a session has one, everything else a new one each time (RFC 7616 §3.4.2).
func TestCNonce(t *testing.T) {
	for algorithm, same := range map[string]bool{"MD5": false, "SHA-256-sess": true} {
		c := NewClient("stox", "secret")
		var a, b Attempt
		c.Answer(toJuliet, &a, []string{ask("x", "n", "algorithm="+algorithm)}, nil)
		c.Begin(toJuliet, &b)
		first, err1 := ParseCredentials(value(t, a.Lines()))
		second, err2 := ParseCredentials(value(t, b.Lines()))
		if err1 != nil || err2 != nil || len(first.CNonce) < 16 || (first.CNonce == second.CNonce) != same {
			t.Errorf("%s: %q and %q", algorithm, first.CNonce, second.CNonce)
		}
	}
}
