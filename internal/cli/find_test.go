package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// tree makes a machine of a txtar text: its files, their paths from the root.
func tree(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(text)).Files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const prosodyHere = `
-- etc/prosody/prosody.cfg.lua --
-- VirtualHost "commented.example"
--[[ Component "out.example"
component_ports = { 1 } ]]
--[==[ VirtualHost "too.example" ]] ]==]
modules_enabled = {
	"roster"; -- as always
	"component_ports = { 2 }";
}
log = { { levels = { "error" }; to = "syslog" } }
VirtualHost "Example.com"
	component_ports = { 3 } -- of this host only, so of no effect
VirtualHost("example.org")
Component "rooms.example.com" "muc"
Component ('old.example.com') { component_secret = [[hunter2]] }
Include "conf.d/*.cfg.lua"
-- etc/prosody/conf.d/other.cfg.lua --
Component "other.example.com"
	component_secret = "hunter2"
-- etc/prosody/conf.d/.hidden.lua --
Component "hidden.example.com"
`

func TestFindProsody(t *testing.T) {
	const restart = " Then restart Prosody; a reload does not open its port for components."
	for _, tt := range []struct {
		name, files, component string
		environ                []string
		users                  string
		want                   advice
	}{
		{"conf.d is included", prosodyHere, "sip.example.com", nil, "Example.com example.org",
			advice{server: "127.0.0.1:5347", where: "Put the text above into /etc/prosody/conf.d/stox.cfg.lua, which /etc/prosody/prosody.cfg.lua includes (line 15)." + restart}},
		{"it is there already", prosodyHere, "other.example.com", nil, "Example.com example.org",
			advice{server: "127.0.0.1:5347", where: "other.example.com is there already (/etc/prosody/conf.d/other.cfg.lua:1): replace its lines by the text above." + restart}},
		{"in the main file", prosodyHere, "OLD.example.com", nil, "Example.com example.org",
			advice{server: "127.0.0.1:5347", where: "OLD.example.com is there already (/etc/prosody/prosody.cfg.lua:14): replace its lines by the text above." + restart}},
		{"a component of Prosody's own is none", prosodyHere, "rooms.example.com", nil, "Example.com example.org",
			advice{server: "127.0.0.1:5347", where: "Put the text above into /etc/prosody/conf.d/stox.cfg.lua, which /etc/prosody/prosody.cfg.lua includes (line 15)." + restart}},
		{"nothing is included", "-- etc/prosody/prosody.cfg.lua --\ncomponent_ports = 5348\ncomponent_interface = \"192.0.2.5\"\nVirtualHost \"localhost\"\n", "sip.localhost", nil, "localhost",
			advice{server: "192.0.2.5:5348", where: "Put the text above at the very end of /etc/prosody/prosody.cfg.lua, which includes no directory." + restart}},
		{"another include", "-- etc/prosody/prosody.cfg.lua --\ncomponent_ports = { 5350, 5347 }; component_interfaces = { \"::\" }\nVirtualHost \"localhost\"\nInclude \"hosts/a.lua\"\nInclude \"/srv/prosody/*.lua\"\n-- etc/prosody/hosts/a.lua --\nVirtualHost \"a.example\"\n-- srv/prosody/b.lua --\nVirtualHost \"b.example\"\nInclude \"b.lua\"\n", "sip.a.example", nil, "a.example b.example",
			advice{server: "[::1]:5350", where: "Put the text above into /srv/prosody/stox.cfg.lua, which /etc/prosody/prosody.cfg.lua includes (line 4)." + restart}},
		{"the environment names it", "-- opt/p.lua --\nVirtualHost \"c.example\"\n" + prosodyHere, "sip.c.example", []string{"PROSODY_CONFIG=/x", "PROSODY_CONFIG=/opt/p.lua"}, "c.example",
			advice{server: "127.0.0.1:5347", where: "Put the text above at the very end of /opt/p.lua, which includes no directory." + restart}},
		{"a file that is not there", "-- etc/prosody/prosody.cfg.lua --\ncomponent_ports = { tonumber(ENV_PORT) }\nInclude \"gone.lua\"\nVirtualHost \"a.example\"\n", "sip.a.example", nil, "a.example",
			advice{server: "127.0.0.1:5347", where: "Put the text above at the very end of /etc/prosody/prosody.cfg.lua, which includes no directory." + restart,
				notes: []string{"The value of component_ports is computed there: check that xmpp.server fits it.", "What /etc/prosody/prosody.cfg.lua:2 includes was not looked at."}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.indent = -1
			checkFound(t, findProsody(machine{tree(t, tt.files), tt.environ}), tt.component, tt.users, tt.want)
		})
	}
	if f := findProsody(machine{t.TempDir(), nil}); f.path != "" || f.err != nil {
		t.Errorf("found in an empty directory: %+v", f)
	}
}

func checkFound(t *testing.T, f found, component, users string, want advice) {
	t.Helper()
	if f.path == "" || f.err != nil {
		t.Fatalf("not found: %q, %v", f.path, f.err)
	}
	if got := strings.Join(f.users(), " "); got != users {
		t.Errorf("users %q, want %q", got, users)
	}
	if diff := cmp.Diff(fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", f.place(component))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

const ejabberdHere = `
-- etc/ejabberd/ejabberd.yml --
### listen:
hosts:
  - localhost   # of the package
  - "example.com"
define_macro:
  'PORT': 5347
listen:
  -
    port: 5222
    ip: "::"
    module: ejabberd_c2s
  - port: 5443
    module: ejabberd_http
    request_handlers:
      /api: mod_http_api
acl:
  local:
    user_regexp: ""
`

const serviceThere = `
-- etc/ejabberd/ejabberd.yml --
hosts: [example.com, 'example.org']
listen:
- module: ejabberd_service
  port: 5347
  ip: 192.0.2.5
  hosts:
    "old.example.com":
      password: "hunter2"
    other.example.com:
      password: hunter2
- port: 5348
  module: ejabberd_c2s
`

func TestFindEjabberd(t *testing.T) {
	const below = `Put what is below "listen:" above into /etc/ejabberd/ejabberd.yml, directly below line %d, which is "listen:". Then: ejabberdctl reload_config`
	for _, tt := range []struct {
		name, files, component string
		environ                []string
		users                  string
		want                   advice
	}{
		{"listen is there", ejabberdHere, "sip.example.com", nil, "example.com",
			advice{server: "127.0.0.1:5347", indent: 2, where: fmt.Sprintf(below, 7)}},
		{"no listen", "-- etc/ejabberd/ejabberd.yml --\nhosts:\n- localhost\n", "sip.localhost", nil, "localhost",
			advice{server: "127.0.0.1:5347", indent: 2, where: `Put the text above at the end of /etc/ejabberd/ejabberd.yml, which has no "listen:" yet. Then: ejabberdctl reload_config`}},
		{"the ports are taken", serviceThere, "sip.example.com", nil, "example.com example.org",
			advice{server: "127.0.0.1:5349", indent: 0, where: fmt.Sprintf(below, 2), notes: []string{
				"Port 5347 is taken there by ejabberd_service (/etc/ejabberd/ejabberd.yml:3), so this listener has another.",
				"Port 5348 is taken there by ejabberd_c2s (/etc/ejabberd/ejabberd.yml:11), so this listener has another."}}},
		{"it is there already", serviceThere, "other.example.com", nil, "example.com example.org",
			advice{server: "192.0.2.5:5347", indent: 0, where: "other.example.com is there already (/etc/ejabberd/ejabberd.yml:9): give it the password above. Then: ejabberdctl reload_config"}},
		{"in an included file", "-- e/ejabberd.yml --\nhosts:\n    - a.example\ninclude_config_file:\n    - stox.yml\n    - gone.yml\nlisten:\n    - port: 5222\n      module: ejabberd_c2s\n-- e/stox.yml --\nlisten:\n  -\n    port: 5350\n    ip: \"::\"\n    module: ejabberd_service\n    hosts:\n      \"sip.a.example\":\n        password: \"hunter2\"\n", "sip.a.example", []string{"EJABBERD_CONFIG_PATH=/e/ejabberd.yml"}, "a.example",
			advice{server: "127.0.0.1:5350", indent: 4, where: "sip.a.example is there already (/e/stox.yml:7): give it the password above. Then: ejabberdctl reload_config", notes: []string{"What /e/ejabberd.yml:5 includes was not looked at."}}},
		{"included with options", "-- etc/ejabberd/ejabberd.yml --\ninclude_config_file:\n  /etc/ejabberd/hosts.yml:\n    allow_only:\n      - hosts\n-- etc/ejabberd/hosts.yml --\nhosts: [\"b.example\"]\n", "sip.b.example", nil, "b.example",
			advice{server: "127.0.0.1:5347", indent: 2, where: `Put the text above at the end of /etc/ejabberd/ejabberd.yml, which has no "listen:" yet. Then: ejabberdctl reload_config`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkFound(t, findEjabberd(machine{tree(t, tt.files), tt.environ}), tt.component, tt.users, tt.want)
		})
	}
	if f := findEjabberd(machine{t.TempDir(), nil}); f.path != "" || f.err != nil {
		t.Errorf("found in an empty directory: %+v", f)
	}
}

// TestFindUnreadable: what is no file of text is not waited for.
func TestFindUnreadable(t *testing.T) {
	root := tree(t, "-- etc/prosody/prosody.cfg.lua/x --\n")
	f := findProsody(machine{root, nil})
	if f.path != "/etc/prosody/prosody.cfg.lua" || f.err == nil {
		t.Fatalf("a directory: %+v", f)
	}
	a, err := advise(servers[0], f, initOptions{xmppDomain: "sip.example.com"})
	if err != nil || a.where != servers[0].next || len(a.notes) != 1 || a.notes[0] != "/etc/prosody/prosody.cfg.lua cannot be read (is no ordinary file), so nothing of it is known here; root can." {
		t.Errorf("%+v, %v", a, err)
	}
}

// FuzzFindServer: whatever is in the files, reading them ends without a panic,
// and no password of theirs is in what is said.
func FuzzFindServer(f *testing.F) {
	for _, text := range []string{prosodyHere, ejabberdHere, serviceThere} {
		f.Add(string(txtar.Parse([]byte(text)).Files[0].Data))
	}
	f.Add("--[==[")
	f.Add("[=[\n]=] Component [[x")
	f.Add("Include \"prosody.cfg.lua\"")
	f.Add("listen:\n -\n  hosts:\n  - \n :\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		p := &prosody{settings: map[string][]string{}, m: machine{root: "/nonexistent"}}
		p.scan("/p.lua", text)
		p.place("/p.lua", "sip.example.com")
		e := &ejabberd{}
		e.scan("/e.yml", text)
		if a := e.place("/e.yml", "sip.example.com"); a.server == "" || a.where == "" {
			t.Errorf("%+v", a)
		}
	})
}

// TestLuaTokens: comments and strings are told from what counts.
func TestLuaTokens(t *testing.T) {
	var got []string
	for _, token := range luaTokens("a = \"x\\\"y\" --[[ b\n]] c='--' --d\n[==[ e ]] ]==] f.g{1.5} -- h") {
		got = append(got, fmt.Sprintf("%d:%s", token.line, token.text))
	}
	want := `1:a 1:= 1:x"y 2:c 2:= 2:-- 3: e ]]  3:f 3:. 3:g 3:{ 3:1.5 3:}`
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}
