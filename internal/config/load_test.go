package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// three are the keys that are enough.
const three = `
[xmpp]
domain = "sip.example.com"
secret = "hunter2-is-no-secret"
[sip]
domain = "example.net"
`

// testLoader knows no files but those given, and one interface.
func testLoader(files map[string]string) *loader {
	return &loader{
		readFile: func(path string) ([]byte, fs.FileMode, error) {
			text, ok := files[path]
			if !ok {
				return nil, 0, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
			}
			mode := fs.FileMode(0o600)
			if strings.HasPrefix(path, "/public/") {
				mode = 0o644
			}
			return []byte(text), mode, nil
		},
		ownAddrs: func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("192.0.2.1")} },
	}
}

func parse(t *testing.T, text string, environ ...string) (*Config, error) {
	t.Helper()
	return testLoader(map[string]string{"/etc/stox/stox.toml": text, "/etc/stox/secret": "from-a-file\n"}).load("/etc/stox/stox.toml", environ)
}

// everyFile makes each file that is not known a readable one.
func everyFile(next func(string) ([]byte, fs.FileMode, error)) func(string) ([]byte, fs.FileMode, error) {
	return func(path string) ([]byte, fs.FileMode, error) {
		if b, mode, err := next(path); err == nil {
			return b, mode, nil
		}
		return []byte("the-content-of-a-file\n"), 0o600, nil
	}
}

// allParse reads text as a version would in which every key is built.
func allParse(t *testing.T, text string, environ ...string) *Config {
	t.Helper()
	c, err := allFaults(text, environ...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func allFaults(text string, environ ...string) (*Config, error) {
	l := testLoader(map[string]string{"/etc/stox/stox.toml": text, "/etc/stox/secret": "from-a-file-of-its-own\n", "/etc/stox/token": "a-token-of-its-own\n", "/etc/stox/cert.pem": "x", "/etc/stox/key.pem": "x"})
	l.all = true
	return l.load("/etc/stox/stox.toml", environ)
}

func mustParse(t *testing.T, text string, environ ...string) *Config {
	t.Helper()
	c, err := parse(t, text, environ...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestThreeKeysAreEnough(t *testing.T) {
	got := mustParse(t, three)
	want := map[string]any{
		"xmpp.domain": "sip.example.com", "xmpp.secret": Secret("hunter2-is-no-secret"), "xmpp.secret_file": "",
		"xmpp.user_domains": []string{"example.com"}, "access.allow": []string{"example.com"},
		"sip.domain": "example.net", "sip.phone_domain": "example.net", "sip.advertise": "",
		"admin.socket": "/var/lib/stox/stox.sock", // derived, once it is built
	}
	for i := range schema {
		k := &schema[i]
		if !k.built || tableOf(k.path) != nil || k.kind == kindTables {
			continue
		}
		value, ok := want[k.path]
		if !ok {
			value = k.def
		}
		if v := got.at(k.path); value == nil && !v.IsZero() || value != nil && !reflect.DeepEqual(v.Interface(), value) {
			t.Errorf("%s = %v, want %v", k.path, v, value)
		}
	}
	if got.XMPP.Secret.Reveal() != "hunter2-is-no-secret" || len(got.Warnings) > 0 {
		t.Errorf("secret %d bytes, warnings %v", len(got.XMPP.Secret), got.Warnings)
	}
	if len(got.SIP.Routes)+len(got.SIP.Peers)+len(got.Domains)+len(got.Aliases) > 0 {
		t.Errorf("tables from nowhere: %+v", got)
	}
}

// everything sets each key that is built, each to something else than its default.
const everything = `
shutdown_timeout = "1m30s"
[xmpp]
server = "[::1]:5348"
domain = "SIP.Example.com."
secret_file = "secret"
user_domains = ["example.com", "bücher.example"]
failure_notice = false
[sip]
listen = ["udp://192.0.2.1:5060", "tcp://[2001:db8::1]:5062"]
advertise = "gateway.example.com:5070"
domain = "example.net"
phone_domain = "phone.example.net"
late_errors = "message"
[[sip.route]]
domain = "pbx.example"
via = "sip:[2001:db8::2]:5060;transport=tcp"
country = "de"
numbers = "national"
from = "alias"
[[sip.route]]
domain = "*"
via = "sip:proxy.example.net"
[[sip.peer]]
name = "pbx"
addresses = ["192.0.2.10", "2001:db8::/32"]
domains = ["*"]
[[sip.peer]]
name = "trunk"
addresses = ["198.51.100.0/24"]
[[domain]]
xmpp = "PBX.example.com"
sip = "Pbx.example."
server = "192.0.2.7:5347"
secret = "another-secret"
[[domain]]
xmpp = "lab.example.com"
sip = "lab.example"
secret_file = "secret"
[[alias]]
sip = "sip:+4930123456@phone.example.net"
xmpp = "juliet@example.com"
[access]
allow = ["example.com", "romeo@bücher.example", "*"]
[limits]
max_connections = 10
max_header_bytes = 2048
max_stanza_bytes = 10000
[queue]
expire = "1m"
max_messages = 10
[store]
path = "stox.db"
trail = "24h"
[admin]
socket = "/run/stox/stox.sock"
[log]
level = "debug"
format = "json"
`

// TestSchemaMatchesConfig: every key has a field, every field a key, and the
// default is of the key's kind.
func TestSchemaMatchesConfig(t *testing.T) {
	fields := map[string]reflect.Type{}
	var walk func(prefix string, typ reflect.Type)
	walk = func(prefix string, typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			tag := f.Tag.Get("mapstructure")
			if !f.IsExported() || tag == "-" {
				continue
			}
			path := join(prefix, tag)
			switch {
			case f.Type.Kind() == reflect.Struct:
				walk(path, f.Type)
			case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
				fields[path] = f.Type
				walk(path, f.Type.Elem())
			default:
				fields[path] = f.Type
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
	types := map[kind]reflect.Type{
		kindString: reflect.TypeFor[string](), kindBool: reflect.TypeFor[bool](), kindInt: reflect.TypeFor[int](),
		kindDuration: reflect.TypeFor[time.Duration](), kindList: reflect.TypeFor[[]string](),
	}
	seen, envs := map[string]bool{}, map[string]string{}
	for i := range schema {
		k := &schema[i]
		if seen[k.path] {
			t.Errorf("%s is in the schema twice", k.path)
		}
		seen[k.path] = true
		if env := k.env(); env != "" {
			if envs[env] != "" {
				t.Errorf("%s and %s have the same name in the environment", k.path, envs[env])
			}
			envs[env] = k.path
		}
		if k.doc == "" {
			t.Errorf("%s has no doc", k.path)
		}
		if k.def != nil && reflect.TypeOf(k.def) != types[k.kind] {
			t.Errorf("%s: default %v is not %s", k.path, k.def, k.kind)
		}
		if d := fmt.Sprint(k.def); k.def != nil && len(k.values) > 0 && !slices.Contains(k.values, d) {
			t.Errorf("%s: default %q is not allowed", k.path, d)
		}
		for _, path := range k.oneOf {
			if keyAt(path) == nil {
				t.Errorf("%s: oneOf %s, which is no key", k.path, path)
			}
		}
		typ, ok := fields[k.path]
		if !ok {
			t.Errorf("%s has no field in Config", k.path)
		}
		if table := tableOf(k.path); table != nil && k.built && !table.built {
			t.Errorf("%s is built, its table is not", k.path)
		}
		if ok && k.kind != kindTables && !k.secret && typ != types[k.kind] {
			t.Errorf("%s: field %v for %s", k.path, typ, k.kind)
		}
		if ok && k.secret && typ != reflect.TypeFor[Secret]() {
			t.Errorf("%s: a secret in a %v", k.path, typ)
		}
		delete(fields, k.path)
	}
	for path := range fields {
		t.Errorf("Config has a field for %s, the schema has no such key", path)
	}
}

func TestEnvironment(t *testing.T) {
	tests := []struct {
		name    string
		text    string
		environ []string
		want    func(*Config) any
		value   any
	}{
		{"wins over the file", three, []string{"STOX_XMPP_DOMAIN=gw.example.com"}, func(c *Config) any { return c.XMPP.Domain }, "gw.example.com"},
		{"wins over a default", three, []string{"STOX_LOG_LEVEL=debug"}, func(c *Config) any { return c.Log.Level }, "debug"},
		{"list", three, []string{"STOX_SIP_LISTEN=udp://127.0.0.1:5062, tcp://127.0.0.1:5062"}, func(c *Config) any { return strings.Join(c.SIP.Listen, " ") }, "udp://127.0.0.1:5062 tcp://127.0.0.1:5062"},
		{"number", three, []string{"STOX_LIMITS_MAX_CONNECTIONS=7"}, func(c *Config) any { return c.Limits.MaxConnections }, 7},
		{"duration", three, []string{"STOX_SHUTDOWN_TIMEOUT=2s"}, func(c *Config) any { return c.ShutdownTimeout }, 2 * time.Second},
		{"alone", "", []string{"STOX_XMPP_DOMAIN=sip.example.com", "STOX_XMPP_SECRET=x", "STOX_SIP_DOMAIN=example.net"}, func(c *Config) any { return c.XMPP.Secret.Reveal() }, "x"},
		{"secret file", "", []string{"STOX_XMPP_DOMAIN=sip.example.com", "STOX_XMPP_SECRET_FILE=/etc/stox/secret", "STOX_SIP_DOMAIN=example.net"}, func(c *Config) any { return c.XMPP.Secret.Reveal() }, "from-a-file"},
		{"secret over the secret_file of the file", everything, []string{"STOX_XMPP_SECRET=other"}, func(c *Config) any { return c.XMPP.Secret.Reveal() }, "other"},
		{"secret file over the secret of the file", three, []string{"STOX_XMPP_SECRET_FILE=/etc/stox/secret"}, func(c *Config) any { return c.XMPP.Secret.Reveal() }, "from-a-file"},
		{"the last one counts", three, []string{"STOX_LOG_LEVEL=debug", "STOX_LOG_LEVEL=warn"}, func(c *Config) any { return c.Log.Level }, "warn"},
		{"other names are none of ours", three, []string{"STOXX=1", "PATH=/bin", "stox_xmpp_domain=x", "=x", ""}, func(c *Config) any { return c.XMPP.Domain }, "sip.example.com"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.want(mustParse(t, tt.text, tt.environ...)); got != tt.value {
				t.Errorf("got %v, want %v", got, tt.value)
			}
		})
	}
}

// TestProcessEnvironmentIsNotRead: only what the caller hands over counts.
func TestProcessEnvironmentIsNotRead(t *testing.T) {
	t.Setenv("STOX_XMPP_DOMAIN", "other.example.com")
	t.Setenv("XMPP_DOMAIN", "other.example.com")
	if got := mustParse(t, three).XMPP.Domain; got != "sip.example.com" {
		t.Errorf("domain %q came from the process's environment", got)
	}
}

func TestDerived(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"wildcard advertises nothing", three, ""},
		{"one address", three + `listen = ["udp://192.0.2.1:5060", "tcp://192.0.2.1:5070"]`, "192.0.2.1"},
		{"one IPv6 address", three + `listen = ["udp://[2001:db8::1]:5060"]`, "[2001:db8::1]"},
		{"two addresses", three + `listen = ["udp://192.0.2.1:5060", "tcp://192.0.2.2:5060"]`, ""},
	}
	for _, tt := range tests {
		if got := mustParse(t, tt.text).SIP.Advertise; got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	c := mustParse(t, strings.Replace(three, "sip.example.com", "sip.example.com\"\nuser_domains=[\"a.example\",\"b.example\"]\n#", 1))
	if want := []string{"a.example", "b.example"}; !reflect.DeepEqual(c.Access.Allow, want) {
		t.Errorf("access.allow = %v, want %v", c.Access.Allow, want)
	}
	c.Access.Allow[0] = "changed"
	if c.XMPP.UserDomains[0] == "changed" {
		t.Error("access.allow shares its memory with xmpp.user_domains")
	}
}

func TestSecretFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "stox.toml")
	write := func(name, text string, mode fs.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.Replace(three, `secret = "hunter2-is-no-secret"`, `secret_file = "key"`, 1)
	tests := []struct {
		name, content string
		mode          fs.FileMode
		secret        string
		fault         string
		warning       string
	}{
		{"newline", "a-long-secret\n", 0o600, "a-long-secret", "", ""},
		{"no newline", "a-long-secret", 0o400, "a-long-secret", "", ""},
		{"windows", "a-long-secret\r\n", 0o600, "a-long-secret", "", ""},
		{"readable by the group", "a-long-secret\n", 0o640, "a-long-secret", "", ""},
		{"readable by all", "a-long-secret\n", 0o644, "a-long-secret", "", `xmpp.secret_file: "` + dir + `/key" can be read by other users (mode 0644); chmod 600 ` + dir + "/key"},
		{"space", " a-long-secret\n", 0o600, " a-long-secret", "", "xmpp.secret_file: the secret begins or ends with a space; the other side must have it so, too"},
		{"short", "abc\n", 0o600, "abc", "", "xmpp.secret_file: the secret is short (fewer than 12 characters); whoever guesses it can speak for everybody; stox init makes a good one"},
		{"empty", "\n", 0o600, "", "xmpp.secret_file: the secret is empty", ""},
		{"two lines", "a-long\nsecret\n", 0o600, "", "xmpp.secret_file: the secret has more than one line, or control characters", ""},
		{"too big", strings.Repeat("x", maxFileBytes+1), 0o600, "", `xmpp.secret_file: "` + dir + `/key" cannot be read: is larger than 1 MiB; it must exist and be readable by the user that stox runs as`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			write("stox.toml", text, 0o644) // holds no secret, so anybody may read it
			write("key", tt.content, tt.mode)
			c, err := Load(file, nil)
			if got := faultLines(err); got != tt.fault {
				t.Fatalf("faults %q, want %q", got, tt.fault)
			}
			if err != nil {
				return
			}
			if got := c.XMPP.Secret.Reveal(); got != tt.secret {
				t.Errorf("secret %q, want %q", got, tt.secret)
			}
			var warnings []string
			for _, w := range c.Warnings {
				warnings = append(warnings, w.String())
			}
			if got := strings.Join(warnings, "\n"); got != tt.warning {
				t.Errorf("warnings %q, want %q", got, tt.warning)
			}
		})
	}
	t.Run("secret in a file that all can read", func(t *testing.T) {
		write("stox.toml", three, 0o644)
		c, err := Load(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Warnings) != 1 || c.Warnings[0].Path != "xmpp.secret" {
			t.Errorf("warnings %v, want one about xmpp.secret", c.Warnings)
		}
	})
	t.Run("directory", func(t *testing.T) {
		_, err := Load(dir, nil)
		if got, want := faultLines(err), dir+": cannot be read: is a directory; name the file in it, such as "+filepath.Join(dir, "stox.toml"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// faultLines is the faults of err without the file's name in front.
func faultLines(err error) string {
	if err == nil {
		return ""
	}
	var e *Error
	if !errors.As(err, &e) {
		return "not an *Error: " + err.Error()
	}
	var lines []string
	for _, f := range e.Faults {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

func TestErrorText(t *testing.T) {
	_, err := parse(t, three+"[log]\nlevle = \"info\"\n[limits]\nmax_connections = 0\n", "STOX_LOG_FROMAT=json")
	want := `/etc/stox/stox.toml: log.levle: unknown key; did you mean log.level?
STOX_LOG_FROMAT: no such key; did you mean STOX_LOG_FORMAT?
/etc/stox/stox.toml: limits.max_connections: is 0; must be at least 1 and at most 2147483647`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
	if code := err.(*Error).ExitCode(); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
}
