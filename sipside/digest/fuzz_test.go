package digest

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzChallenge: whatever a server asks, what is said to it is one good header line, and
// what was understood reads the same when it is printed.
func FuzzChallenge(f *testing.F) {
	for _, s := range newServer().Challenges("x", true, start) {
		f.Add(s)
	}
	f.Add(`Digest realm="a\"b", nonce=abc==, algorithm="MD5-sess", qop=auth-int, opaque=""`)
	f.Add("Basic realm=\"x\"")
	f.Add("Digest realm=\"x\r\n\", nonce=\"n")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseChallenge(s)
		if err == nil {
			c.QOP = append([]string(nil), c.QOP...)
			if plain := isPlain(c.Algorithm) && isPlain(strings.Join(c.QOP, "")); plain {
				again, err := ParseChallenge(c.String())
				if len(c.String()) <= maxValue && (err != nil || !reflect.DeepEqual(c, again)) {
					t.Errorf("%q\n%+v\n%+v %v", s, c, again, err)
				}
			}
		}
		var a Attempt
		reply, _ := NewClient("st\"ox", "secret").Answer(toJuliet, &a, []string{s}, nil)
		if (reply == Again) != (err == nil && c.Supported()) {
			t.Errorf("%q: %v, %v", s, reply, err)
		}
		lines := a.Lines()
		if reply != Again {
			if lines != "" {
				t.Errorf("%q", lines)
			}
			return
		}
		body, ok := strings.CutSuffix(lines, "\r\n")
		if !ok || strings.ContainsFunc(body, func(r rune) bool { return r < ' ' || r == 0x7f }) || !utf8.ValidString(lines) {
			t.Fatalf("%q", lines)
		}
		// It may have grown beyond what is read here, with the backslashes of nonce and realm.
		got, err := ParseCredentials(strings.TrimPrefix(body, "Authorization: "))
		if len(body) <= maxValue && (err != nil || got.Realm != c.Realm || got.Nonce != c.Nonce || got.Opaque != c.Opaque || got.Username != "st\"ox") {
			t.Errorf("%q\n%+v %v", lines, got, err)
		}
	})
}

func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isToken(s[i]) {
			return false
		}
	}
	return true
}

// FuzzCredentials: nobody gets in who does not know the password, whatever is said; and
// what was understood reads the same when it is printed.
func FuzzCredentials(f *testing.F) {
	s := NewServer("example.net", []byte("key"), func(string) (string, bool) { return "a password that nobody has told", true })
	var a Attempt
	NewClient("pbx", "wrong").Answer(toJuliet, &a, s.Challenges("x", false, start), nil)
	f.Add(strings.TrimPrefix(a.Lines(), "Authorization: "))
	f.Add(`Digest username="a", realm="example.net", nonce="n", uri="sip:juliet@example.com", response="", qop=auth, nc=00000001, cnonce="c"`)
	f.Add(`Digest username=a,realm=example.net,nonce=n,uri=u,response=r,algorithm="MD5-sess",qop="auth-int",nc=ffffffff,cnonce=c`)
	f.Fuzz(func(t *testing.T, v string) {
		if name, _, verdict := s.Verify("MESSAGE", toJuliet.URI, []string{v, v}, nil, "x", start); verdict == OK || name != "" {
			t.Errorf("%q: %v %q", v, verdict, name)
		}
		c, err := ParseCredentials(v)
		if err != nil || !isPlain(c.Algorithm) || !isPlain(c.QOP) || c.Algorithm == "" && strings.Contains(v, "algorithm") {
			return
		}
		if c.QOP == "" {
			c.NC = 0 // it says nothing then, and is not printed
		}
		if c.NC == 0 && c.QOP != "" || len(c.String()) > maxValue {
			return
		}
		if again, err := ParseCredentials(c.String()); err != nil || again != c {
			t.Errorf("%q\n%+v\n%+v %v", v, c, again, err)
		}
	})
}
