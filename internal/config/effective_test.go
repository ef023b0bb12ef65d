package config

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden and the generated files")

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is stale (go test ./internal/config -update); -file +now\n%s", file, diff)
	}
}

func TestEffective(t *testing.T) {
	golden(t, filepath.Join("testdata", "three.effective.toml"), mustParse(t, three).Effective())
	golden(t, filepath.Join("testdata", "everything.effective.toml"), mustParse(t, everything, "STOX_LOG_LEVEL=warn").Effective())
	golden(t, filepath.Join("testdata", "whole.effective.toml"), allParse(t, whole, "STOX_LIMITS_PREFIXES=+1,+49").Effective())
}

// TestEffectiveReadsBack: what check prints is the configuration it stands for,
// but for the secret.
func TestEffectiveReadsBack(t *testing.T) {
	for _, text := range []string{three, everything, whole, wholeOther} {
		load := mustParse
		if text == whole || text == wholeOther {
			load = allParse
		}
		want := load(t, text)
		effective := want.Effective()
		got := load(t, effective)
		if s := got.XMPP.Secret.Reveal(); s != masked {
			t.Errorf("the secret of the effective configuration is %q", s)
		}
		if strings.Contains(effective, "hunter2") {
			t.Errorf("a secret is in\n%s", effective)
		}
		withoutSecrets(got)
		withoutSecrets(want)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

// withoutSecrets removes what the effective form does not have, or says otherwise.
func withoutSecrets(c *Config) {
	c.XMPP.Secret, c.XMPP.SecretFile, c.Admin.Token, c.Admin.TokenFile, c.Store.URL = "", "", "", "", ""
	for i := range c.SIP.Routes {
		c.SIP.Routes[i].Password, c.SIP.Routes[i].PasswordFile = "", ""
	}
	for i := range c.SIP.Peers {
		c.SIP.Peers[i].Password, c.SIP.Peers[i].PasswordFile = "", ""
	}
	for i := range c.Domains {
		c.Domains[i].Secret, c.Domains[i].SecretFile = "", ""
	}
	c.origin, c.Warnings = nil, nil
}

func TestEffectiveWithoutLoad(t *testing.T) {
	c := &Config{XMPP: XMPP{Domain: "a\"\n\x01", Secret: "hunter2"}, SIP: SIP{Routes: []Route{{Domain: "*"}}}}
	got := c.Effective()
	for _, want := range []string{`domain = "a\"\n\u0001"` + "\n", "[[sip.route]]\ndomain = \"*\"\n", "# advertise is not set\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "hunter2") {
		t.Errorf("the secret is in\n%s", got)
	}
}

// TestSecretIsMasked: nothing that prints a value gets at the text.
func TestSecretIsMasked(t *testing.T) {
	const text = "hunter2"
	c := Config{XMPP: XMPP{Secret: text}}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%5.3s", "%t", "%!"} { // go vet refuses %w and %p for a string
		for _, v := range []any{c.XMPP.Secret, &c.XMPP.Secret, c, &c, c.XMPP, []Secret{text}, map[string]Secret{"k": text}} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("start", "secret", c.XMPP.Secret, "config", c, "xmpp", &c.XMPP)
	}
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	x, err := xml.Marshal(c.XMPP)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	out.Write(x)
	hex := fmt.Sprintf("%x", text)
	for _, leak := range []string{text, hex, strings.ToUpper(hex), text[:3], "104 117"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q leaks: …%.80s", leak, out.String()[strings.Index(out.String(), leak)-20:])
		}
	}
	if !strings.Contains(out.String(), masked) || !bytes.Contains(j, []byte(masked)) {
		t.Error("the secret is not even masked")
	}
	if Secret("").String() != "" {
		t.Error("no secret looks like one")
	}
}

// TestFaultsHideSecrets: however a secret is written wrongly, the faults do not
// repeat it.
func TestFaultsHideSecrets(t *testing.T) {
	lines := []string{
		`secret = hunter24681357`, `secret = 24681357`, `secret = 2468135724681357246813572468`, `secret = 0x24681357hunter2`,
		`secret = 2468.1357.2468`, `secret = "hunter24681357`, `secret = 'hunter24681357' x`, `secret = "hunter24681357\q"`, `secret = ["hunter24681357"]`,
		`secret = [24681357]`, `secret = {hunter24681357 = 1}`, `secret = 24681357e9999999`, `secret = +24681357_`, `secret = 2468-13-57`, `secret = 24:68:13:57`,
		`secret = 0b24681357`, `secret = 0o24681357`, `secret = 1979-05-27T24:68:13.57`, `secret = "hunter24681357\u0000"`, `secret = """hunter24681357`,
		"secret = \"hunter24681357\"\nsecret = \"hunter24681357\"", `sercet = "hunter24681357"`, `password = "hunter24681357"`, `secret_file = "secret"` + "\n" + `secret = "hunter24681357"`,
		"secret = \"hunter24681357\"\n[[sip.route]]\ndomain='*'\nvia='sip:u:hunter24681357@h'\npassword='hunter24681357'\npasswort='hunter24681357'",
		"secret = \"hunter24681357\"\n[[alias]]\nsip='sip:u:hunter24681357@h'\nxmpp='x'",
		"secret = \"hunter24681357\"\n[admin]\ntoken='hunter24681357'",
	}
	for _, line := range lines {
		for _, environ := range [][]string{nil, {"STOX_XMPP_SECRET=hunter24681357\n"}, {"STOX_XMPP_SECRET=hunter24681357\xff"}, {"STOX_XMPP_SECRT=hunter24681357"}, {"STOX_ADMIN_TOKEN=hunter24681357"}} {
			_, err := parse(t, "[sip]\n[xmpp]\n"+line+"\n", environ...)
			if err == nil {
				t.Errorf("%s is accepted", line)
				continue
			}
			for _, leak := range []string{"hunter", "24681357", "68:13", "68-13", "2468-"} {
				if strings.Contains(err.Error(), leak) {
					t.Errorf("%s: %q leaks in %s", line, leak, err)
				}
			}
		}
	}
}
