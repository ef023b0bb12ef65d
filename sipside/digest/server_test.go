package digest

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)

func lookup(name string) (string, bool) {
	if name == "pbx" {
		return "s3cret", true
	}
	return "", false
}

func newServer() *Server { return NewServer("example.net", []byte("0123456789abcdef"), lookup) }

// value is what follows the name of the one header line in s.
func value(t testing.TB, s string) string {
	t.Helper()
	_, v, ok := strings.Cut(s, ": ")
	if !ok || strings.Count(s, "\r\n") != 1 {
		t.Fatalf("not one header line: %q", s)
	}
	return strings.TrimSuffix(v, "\r\n")
}

// answer gives the credentials of a user for challenges.
func answer(t testing.TB, username, password string, r *Request, challenges ...string) string {
	t.Helper()
	var a Attempt
	if reply, _ := NewClient(username, password).Answer(r, &a, challenges, nil); reply != Again {
		t.Fatalf("%v to %q", reply, challenges)
	}
	return value(t, a.Lines())
}

// TestAgree: what Client answers Server takes, whatever is chosen (SEC-05).
func TestAgree(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringMatching(`[ -~äß]{1,20}`)
		user, password, realm := text.Draw(rt, "user"), text.Draw(rt, "password"), text.Draw(rt, "realm")
		s := NewServer(realm, []byte("key"), func(name string) (string, bool) { return password, name == user })
		c := NewClient(user, password)
		r := &Request{Server: "a", Method: rapid.SampledFrom([]string{"MESSAGE", "REGISTER"}).Draw(rt, "method"),
			URI: "sip:" + rapid.StringMatching(`[a-z"\\]{1,8}`).Draw(rt, "to") + "@example.net", Body: []byte(text.Draw(rt, "body"))}
		ch, err := ParseChallenge(s.Challenges("source", false, start)[0])
		if err != nil {
			rt.Fatal(err)
		}
		ch.Algorithm = rapid.SampledFrom([]string{"", "MD5", "md5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"}).Draw(rt, "algorithm")
		ch.QOP = rapid.SampledFrom([][]string{{"auth"}, {"auth-int"}, {"auth-int", "auth"}, {"other", "auth-int"}}).Draw(rt, "qop")
		var a Attempt
		if reply, _ := c.Answer(r, &a, []string{"Basic realm=\"x\"", ch.String()}, nil); reply != Again {
			rt.Fatalf("%v to %s", reply, ch.String())
		}
		for i := range 3 {
			v := value(t, a.Lines())
			if name, _, verdict := s.Verify(r.Method, r.URI, []string{v}, r.Body, "source", start); verdict != OK || name != user {
				rt.Fatalf("use %d: %v %q: %s", i, verdict, name, v)
			}
			if _, _, verdict := s.Verify(r.Method, r.URI, []string{v}, r.Body, "source", start); verdict != Stale {
				rt.Fatalf("the same again: %v", verdict)
			}
			a = Attempt{}
			c.Begin(r, &a)
		}
	})
}

// TestVerdicts: what credentials prove, and what they do not.
func TestVerdicts(t *testing.T) {
	r := &Request{Method: "MESSAGE", URI: "sip:juliet@example.com", Body: []byte("hi")}
	s := newServer()
	challenges := func() []string { return s.Challenges("192.0.2.9", false, start) }
	good := func() string { return answer(t, "pbx", "s3cret", r, challenges()...) }
	edit := func(old, new string) string { return strings.Replace(good(), old, new, 1) }
	late := start.Add(nonceLife)
	other := NewServer("example.net", []byte("another key"), lookup)
	for _, tt := range []struct {
		name    string
		value   string
		method  string
		uri     string
		source  string
		now     time.Time
		verdict Verdict
	}{
		{name: "right", value: good(), verdict: OK},
		{name: "MD5", value: answer(t, "pbx", "s3cret", r, challenges()[1]), verdict: OK},
		{name: "scheme in other letters", value: strings.Replace(good(), "Digest", "dIGEST", 1), verdict: OK},
		{name: "response in capitals", value: func() string {
			c, _ := ParseCredentials(good())
			c.Response = strings.ToUpper(c.Response)
			return c.String()
		}(), verdict: OK},
		{name: "at the end of its life", value: good(), now: late.Add(-time.Millisecond), verdict: OK},
		{name: "too old", value: good(), now: late, verdict: Stale},
		{name: "from the future", value: good(), now: start.Add(-time.Second), verdict: Stale},
		{name: "another source", value: good(), source: "192.0.2.10", verdict: Stale},
		{name: "another server's nonce", value: answer(t, "pbx", "s3cret", r, other.Challenges("192.0.2.9", false, start)...), verdict: Stale},
		{name: "a nonce of its own", value: answer(t, "pbx", "s3cret", r, `Digest realm="example.net", nonce="abc", qop="auth"`), verdict: Stale},
		{name: "wrong password", value: answer(t, "pbx", "S3cret", r, challenges()...), verdict: Wrong},
		{name: "unknown user", value: answer(t, "nobody", "s3cret", r, challenges()...), verdict: Wrong},
		{name: "unknown user, no password", value: answer(t, "nobody", "", r, challenges()...), verdict: Wrong},
		{name: "wrong password, too old", value: answer(t, "pbx", "S3cret", r, challenges()...), now: late, verdict: Stale},
		{name: "wrong password, another source", value: answer(t, "pbx", "S3cret", r, challenges()...), source: "192.0.2.10", verdict: Stale},
		{name: "wrong password, a nonce of its own", value: answer(t, "pbx", "S3cret", r, `Digest realm="example.net", nonce="abc", qop="auth"`), verdict: Stale},
		{name: "another method", value: good(), method: "OPTIONS", verdict: Wrong},
		{name: "another Request-URI", value: good(), uri: "sip:romeo@example.com", verdict: Wrong},
		{name: "the same Request-URI", value: good(), uri: "SIP:juliet@EXAMPLE.com", verdict: OK},
		{name: "another user in other letters", value: good(), uri: "sip:Juliet@example.com", verdict: Wrong},
		{name: "changed nc", value: edit("nc=00000001", "nc=00000002"), verdict: Wrong},
		{name: "nc 0", value: edit("nc=00000001", "nc=00000000"), verdict: Wrong},
		{name: "short nc", value: edit("nc=00000001", "nc=1"), verdict: None},
		{name: "no qop", value: answer(t, "pbx", "s3cret", r, `Digest realm="example.net", nonce="`+s.nonce("192.0.2.9", start)+`"`), verdict: Wrong},
		{name: "unknown algorithm", value: edit("SHA-256", "SHA3"), verdict: Wrong},
		{name: "another realm", value: edit("example.net", "example.org"), verdict: None},
		{name: "Basic", value: "Basic cGJ4OnMzY3JldA==", verdict: None},
		{name: "nothing", value: "", verdict: None},
	} {
		if tt.method == "" {
			tt.method = r.Method
		}
		if tt.uri == "" {
			tt.uri = r.URI
		}
		if tt.source == "" {
			tt.source = "192.0.2.9"
		}
		if tt.now.IsZero() {
			tt.now = start
		}
		name, _, verdict := s.Verify(tt.method, tt.uri, []string{`Digest realm="x", nonce="y"`, tt.value}, r.Body, tt.source, tt.now)
		if verdict != tt.verdict || (name == "pbx") != (verdict == OK) {
			t.Errorf("%s: %v for %q, not %v", tt.name, verdict, name, tt.verdict)
		}
	}
}

// TestChallenges: what a 401 asks for (RFC 8760 §2.3, §2.4).
func TestChallenges(t *testing.T) {
	s := newServer()
	for i, v := range s.Challenges("192.0.2.9", true, start) {
		c, err := ParseChallenge(v)
		if want := [...]string{"SHA-256", "MD5"}[i]; err != nil || c.Algorithm != want || c.Realm != "example.net" || !c.Stale ||
			strings.Join(c.QOP, ",") != "auth" || c.Opaque == "" || !strings.Contains(v, `qop="auth"`) || !strings.Contains(v, "algorithm="+want) {
			t.Errorf("%s: %+v, %v", v, c, err)
		}
	}
	if a, b := s.Challenges("x", false, start)[0], s.Challenges("x", false, start)[0]; a == b {
		t.Error("the same nonce twice")
	}
}

// TestReplay: counts grow, but for a window (RFC 7616 §3.4.5).
func TestReplay(t *testing.T) {
	var u uses
	id := nonceID{7: 1}
	for _, tt := range []struct {
		nc uint32
		ok bool
	}{{1, true}, {1, false}, {3, true}, {2, true}, {2, false}, {3, false}, {66, true}, {3, false}, {2, false}, {4, true}, {65, true}, {1 << 31, true}, {66, false}, {1<<31 - 63, true}, {1<<31 - 64, false}, {1<<32 - 1, true}, {1<<32 - 1, false}} {
		if got := u.take(id, tt.nc); got != tt.ok {
			t.Errorf("nc %d: %v", tt.nc, got)
		}
	}
}

// TestForgottenNonce: a nonce that was forgotten for want of room cannot be used again, and
// one that is in use is not forgotten.
func TestForgottenNonce(t *testing.T) {
	var u uses
	at := func(i int) (id nonceID) {
		id[4], id[5], id[6], id[7] = byte(i>>24), byte(i>>16), byte(i>>8), byte(i)
		return id
	}
	first, busy := at(1), at(2)
	if !u.take(first, 1) || !u.take(busy, 1) {
		t.Fatal("refused at once")
	}
	for i := range 3 * maxUses {
		if !u.take(at(10+i), 1) {
			t.Fatalf("nonce %d refused", i)
		}
		if i%100 == 0 && !u.take(busy, uint32(i+2)) {
			t.Fatalf("the one in use was forgotten after %d", i)
		}
		if n := len(u.now) + len(u.old); n > 2*maxUses {
			t.Fatalf("%d entries", n)
		}
	}
	if u.take(first, 2) || u.take(at(9), 1) {
		t.Error("what was forgotten counts again")
	}
}

func TestSameURI(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"sip:a@b", "sip:a@b", true},
		{"sip:a@b;x=1;Y", "SIP:a@B;y;X=1", true},
		{"sip:a@b;x=1", "sip:a@b", false},
		{"sip:a@b:5060", "sip:a@b", false},
		{"sip:A@b", "sip:a@b", false},
		{"sip:b", "sip:@b", false},
		{"sips:a@b", "sip:a@b", false},
		{"", "sip:a@b", false},
	} {
		if sameURI(tt.a, tt.b) != tt.same || sameURI(tt.b, tt.a) != tt.same {
			t.Errorf("%q, %q: not %v", tt.a, tt.b, tt.same)
		}
	}
	if h := hostOf("sip:a@B:5070;x=y"); h != "b:5070" {
		t.Error(h)
	}
}
