package accounts

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// keyLine is a key, by a name.
func keyLine(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func TestReadKeys(t *testing.T) {
	one := keyLine("one")
	for _, c := range []struct{ text, err string }{
		{one, ""},
		{"# a comment\n\n  " + one + " \r\n" + keyLine("two") + "\n", ""},
		{"", "has no key"},
		{"# nothing\n", "has no key"},
		{one + "\nshort\n", "line 2 is not base64 of 32 octets"},
		{base64.StdEncoding.EncodeToString(make([]byte, 31)), "line 1 is not"},
		{base64.StdEncoding.EncodeToString(make([]byte, 33)), "line 1 is not"},
		{one[:20], "line 1 is not"},
		{strings.Repeat(one+"\n", maxKeys), ""},
		{strings.Repeat(one+"\n", maxKeys+1), "more than"},
	} {
		keys, err := ReadKeys([]byte(c.text))
		switch {
		case c.err == "" && (err != nil || len(keys) == 0):
			t.Errorf("%q: %v", c.text, err)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%q: %v, want %q", c.text, err, c.err)
		case err != nil && len(c.text) > 20 && strings.Contains(err.Error(), c.text[:20]):
			t.Errorf("the error has the key: %v", err)
		}
	}
}

var romeosSecret = secret{Username: "romeo", Password: "night's cloak", Registrar: "reg.dns.example", Name: "Romeo M.", Token: "ABCDEFGH"}

// What an earlier version has sealed opens for ever.
func TestSealGolden(t *testing.T) {
	keys := keysOf(t, "one", "two")
	stored, err := hex.DecodeString(sealedByVersion1)
	if err != nil {
		t.Fatal(err)
	}
	s, fresh, err := keysOf(t, "two", "one").open("romeo@example.com", "sip:romeo@dns.example", stored)
	if err != nil || fresh || s != romeosSecret {
		t.Errorf("%v, fresh %v", err, fresh)
	}
	if _, fresh, err := keys.open("romeo@example.com", "sip:romeo@dns.example", stored); err != nil || !fresh {
		t.Errorf("with its key first: %v, fresh %v", err, fresh)
	}
}

// sealedByVersion1 is romeosSecret, for romeo@example.com and sip:romeo@dns.example, with the
// key "one".
const sealedByVersion1 = "0160b4453a50ddf75be28e73c8a6e114d50448734caa7734ddf71bce1eb9dc6f5629203c285edab5f371a7f11c9ca082b0d928a1" +
	"bf2649ee2d476b83f5a4ca4699f20cba0f493a73c89c1639991fe76d6bb4d5689026e39bd16547ea78165187da9434e2" +
	"f5c8020b0d6fbbb070cf8edcf62fcbe2bd2b05cd4eb1c7e86e28480de8210a4e374269027fd45a27c68f1f647c39d0"

// What was sealed opens with its key, for its user and its address, as it is; nothing else does.
func TestSealTampered(t *testing.T) {
	keys := keysOf(t, "one")
	const user, aor = "romeo@example.com", "sip:romeo@dns.example"
	sealed, err := keys.seal(user, aor, romeosSecret)
	if err != nil {
		t.Fatal(err)
	}
	again, err := keys.seal(user, aor, romeosSecret)
	if err != nil || bytes.Equal(sealed, again) {
		t.Fatalf("the nonce is the same, %v", err)
	}
	if s, fresh, err := keys.open(user, aor, sealed); err != nil || !fresh || s != romeosSecret {
		t.Fatalf("%v", err)
	}
	for _, secret := range []string{"night's cloak", "Romeo M.", "reg.dns.example", "ABCDEFGH"} {
		if bytes.Contains(sealed, []byte(secret)) {
			t.Errorf("%q is to be read", secret)
		}
	}
	// Addresses are swapped, cut, or put together otherwise.
	for _, other := range [][2]string{{"juliet@example.com", aor}, {user, "sip:juliet@dns.example"}, {user + "\x00" + aor, ""}, {"", ""}, {"romeo", "@example.com" + aor}} {
		if _, _, err := keys.open(other[0], other[1], sealed); !errors.Is(err, errDamaged) {
			t.Errorf("opens for %q: %v", other, err)
		}
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, _, err := keys.open(user, aor, changed); err == nil {
			t.Errorf("opens with octet %d changed", i)
		}
		if _, _, err := keys.open(user, aor, sealed[:i]); err == nil {
			t.Errorf("opens with %d octets", i)
		}
	}
	if _, _, err := keysOf(t, "two").open(user, aor, sealed); !errors.Is(err, errNoKey) {
		t.Errorf("opens with another key: %v", err)
	}
	if _, _, err := Keys(nil).open(user, aor, sealed); !errors.Is(err, errNoKey) {
		t.Errorf("opens with none: %v", err)
	}
	if _, err := Keys(nil).seal(user, aor, romeosSecret); err == nil {
		t.Error("sealed with no key")
	}
}

// However they are printed, no password comes out.
func TestNothingPrintsAPassword(t *testing.T) {
	const password = "night's cloak"
	d := Details{AOR: "sip:romeo@dns.example", Password: password}
	l := Line{Password: password}
	en := &entry{secret: secret{Password: password}}
	for _, v := range []any{d, &d, l, &l, en.secret, &en.secret, en, *en, Problem{Kind: KindBusy}, []Details{d}, map[string]Line{"a": l}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			got := fmt.Sprintf(verb, v)
			if strings.Contains(got, password) || strings.Contains(got, hex.EncodeToString([]byte(password))) {
				t.Errorf("%T, %s: %s", v, verb, got)
			}
		}
	}
}
