package config

import (
	"errors"
	"io/fs"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzLoad: no text and no environment makes the loader panic; every fault has a
// path and is one line; what is accepted reads back from its effective form. So it is when every key is built.
func FuzzLoad(f *testing.F) {
	f.Add(three, "")
	f.Add(everything, "STOX_XMPP_SECRET=a\x00STOX_SIP_LISTEN=udp://[::1]:5060,tcp://0.0.0.0:1")
	f.Add("[[sip.route]]\n[[sip.peer]]\n[[alias]]\nshutdown_timeout = 5", "STOX_X=1")
	f.Add("sip.route = [{domain='*', via='sip:[::1'}]\nalias = [1, []]\naccess.allow = [[]]", "STOX_LIMITS_MAX_CONNECTIONS=-1")
	f.Add("xmpp = 5\n'sip.domain' = inf\n\"a[0]\" = nan", "=")
	f.Add(whole, "STOX_ADMIN_LISTEN=[::]:1\x00STOX_STORE_URL=postgres://x")
	f.Add(wholeOther+"[[domain]]\nsip='example.net'\n[[sip.peer]]\naddresses=['::/0', '::1']\n[[sip.peer]]\naddresses=['::']", "STOX_XMPP_SECRET_FILE=x")
	f.Fuzz(func(t *testing.T, text, environ string) {
		for _, all := range []bool{false, true} {
			fuzzLoad(t, text, environ, all)
		}
	})
}

func fuzzLoad(t *testing.T, text, environ string, all bool) {
	l := &loader{
		all:      all,
		readFile: func(string) ([]byte, fs.FileMode, error) { return []byte("from-a-file\n"), 0o600, nil },
		ownAddrs: func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("192.0.2.1")} },
	}
	c, err := l.parse("/f.toml", []byte(text), 0o600, strings.Split(environ, "\x00"))
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || len(e.Faults) == 0 || c != nil {
			t.Fatalf("error %#v", err)
		}
		for _, fault := range e.Faults {
			if fault.Path == "" || fault.Text == "" || strings.ContainsAny(fault.String(), "\n\r\x1b") && !strings.ContainsAny(environ, "\n\r\x1b") || !utf8.ValidString(fault.String()) && utf8.ValidString(environ) {
				t.Fatalf("fault %#v", fault)
			}
		}
		return
	}
	again, err := l.parse("/f.toml", []byte(c.Effective()), 0o600, nil)
	if err != nil {
		t.Fatalf("%v in the effective form\n%s", err, c.Effective())
	}
	withoutSecrets(again)
	withoutSecrets(c)
	if !reflect.DeepEqual(c, again) {
		t.Fatalf("%+v\nbecomes\n%+v\nthrough\n%s", c, again, c.Effective())
	}
}
