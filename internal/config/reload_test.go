package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// reloaded loads a configuration and then another one in its place.
func reloaded(t *testing.T, before, after string, files ...string) (*Config, *Change, error) {
	t.Helper()
	const path = "/etc/stox/stox.toml"
	content := map[string]string{path: before}
	for i := 0; i+1 < len(files); i += 2 {
		content[files[i]], _, _ = strings.Cut(files[i+1], "|")
	}
	running, err := testLoader(content).load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	content[path] = after
	for i := 0; i+1 < len(files); i += 2 {
		_, content[files[i]], _ = strings.Cut(files[i+1], "|")
	}
	ch, err := testLoader(content).reload(running, path, nil)
	return running, ch, err
}

// What has changed is named, by whether it takes effect now or at the next start.
func TestReloadNamesWhatHasChanged(t *testing.T) {
	route := "[[sip.route]]\ndomain='a.example'\nvia='sip:192.0.2.7'\nregister=false\n"
	for _, c := range []struct {
		name, before, after string
		changed, waiting    string
		files               []string
	}{
		{name: "nothing", before: three, after: "# a comment\n" + three},
		{name: "what is written is the default", before: three, after: three + "phone_domain='example.net'\n"},
		{name: "live", before: three, after: three + "accept_status=202\n[log]\nlevel='debug'\n", changed: "sip.accept_status log.level"},
		{name: "not live", before: three, after: set("xmpp", "server='127.0.0.1:1234'") + "resolver='192.0.2.53:53'\n", waiting: "xmpp.server sip.resolver"},
		{name: "a secret", before: three, after: strings.Replace(three, "hunter2-is-no-secret", "hunter3-is-no-secret", 1), waiting: "xmpp.secret"},
		{name: "a secret in a file", before: strings.Replace(three, `secret = "hunter2-is-no-secret"`, "secret_file='s'", 1), after: strings.Replace(three, `secret = "hunter2-is-no-secret"`, "secret_file='s'", 1),
			files: []string{"/etc/stox/s", "first-secret-of-all|second-secret-of-all"}, waiting: "xmpp.secret_file"},
		{name: "derived of what changes", before: three, after: set("xmpp", "user_domains=['example.org']"), changed: "xmpp.user_domains"},
		{name: "derived of what waits", before: three, after: strings.Replace(three, "example.net", "example.org", 1), waiting: "sip.domain"},
		{name: "a field of a table", before: three + route, after: three + strings.Replace(route, "192.0.2.7", "192.0.2.8", 1) + "username='u'\npassword='p'\n", changed: "sip.route[0].via sip.route[0].username sip.route[0].password"},
		{name: "a file of a table", before: three + route + "username='u'\npassword_file='p'\n", after: three + route + "username='u'\npassword_file='p'\n",
			files: []string{"/etc/stox/p", "one|two"}, changed: "sip.route[0].password_file"},
		{name: "one table more", before: three + route, after: three + route + "[[sip.route]]\ndomain='b.example'\n", changed: "sip.route"},
		{name: "a component name more", before: three, after: three + "[[domain]]\nxmpp='b.example.com'\nsip='b.example'\nsecret='hunter2-is-no-secret'\n", waiting: "domain"},
		{name: "both", before: three, after: set("xmpp", "server='127.0.0.1:1234'") + "imdn='never'\n", changed: "sip.imdn", waiting: "xmpp.server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, ch, err := reloaded(t, c.before, c.after, c.files...)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(ch.Changed, " "); got != c.changed {
				t.Errorf("changed: %q, want %q", got, c.changed)
			}
			if got := strings.Join(ch.Waiting, " "); got != c.waiting {
				t.Errorf("waiting: %q, want %q", got, c.waiting)
			}
			if text := fmt.Sprintf("%+v %v", ch, ch.Changed); strings.Contains(text, "hunter") || strings.Contains(text, "second-secret") {
				t.Errorf("a secret shows: %s", text)
			}
		})
	}
}

// What is not live stays as it is, with all that is derived from it; what is live is as it is
// written.
func TestReloadKeepsWhatIsNotLive(t *testing.T) {
	full := strings.Replace(three, `secret = "hunter2-is-no-secret"`, "secret_file='s'", 1) + "advertise='gw.example.com'\nlisten=['udp://192.0.2.1:5060']\n[[domain]]\nxmpp='b.example.com'\nsip='b.example'\nsecret_file='s'\n"
	running, ch, err := reloaded(t, full, `
[xmpp]
domain = "gate.example.org"
server = "192.0.2.99:5347"
secret = "another-secret-here"
html = "plain"
[sip]
domain = "example.info"
`, "/etc/stox/s", "the-secret-of-old|other")
	if err != nil {
		t.Fatal(err)
	}
	n := ch.Next
	if n.XMPP.HTML != "plain" || strings.Join(ch.Changed, " ") != "xmpp.html" {
		t.Errorf("%q %v", n.XMPP.HTML, ch.Changed)
	}
	if n.XMPP.Secret.Reveal() != "the-secret-of-old" || n.Domains[0].Secret.Reveal() != "the-secret-of-old" || n.Domains[0].Server != running.XMPP.Server {
		t.Errorf("the secrets, or %+v", n.Domains)
	}
	n.XMPP.HTML = running.XMPP.HTML
	if diff := cmp.Diff(running.Effective(), strings.Replace(n.Effective(), `html = "xhtml-im"  # file`, `html = "xhtml-im"  # default`, 1)); diff != "" {
		t.Errorf("-running +next\n%s", diff)
	}
	if want := "xmpp.server xmpp.domain xmpp.secret xmpp.secret_file sip.listen sip.advertise sip.domain domain"; strings.Join(ch.Waiting, " ") != want {
		t.Errorf("waiting: %v", ch.Waiting)
	}
}

// A configuration that is sound by itself is refused if it is none beside what is not live.
func TestReloadContradictsWhatRuns(t *testing.T) {
	_, _, err := reloaded(t, three, `
[xmpp]
domain = "gate.example.org"
secret = "hunter2-is-no-secret"
user_domains = ["sip.example.com"]
[sip]
domain = "example.net"
`)
	var e *Error
	if !errors.As(err, &e) || len(e.Faults) != 1 || e.Faults[0].Path != "xmpp.user_domains[0]" ||
		!strings.Contains(e.Faults[0].Text, "as long as stox runs") || !strings.Contains(e.Faults[0].Hint, "xmpp.domain") {
		t.Errorf("%v", err)
	}
}

// The judges are asked about what the daemon would go by, too.
func TestReloadAsksTheJudges(t *testing.T) {
	const path = "/etc/stox/stox.toml"
	running, err := parse(t, three)
	if err != nil {
		t.Fatal(err)
	}
	l := testLoader(map[string]string{path: strings.Replace(three, "example.net", "example.org", 1) + "phone_domain='phone.example'\n"})
	var asked []string
	l.judges = []Judge{func(c *Config) error {
		asked = append(asked, c.SIP.Domain+" "+c.SIP.PhoneDomain)
		if len(asked) == 2 {
			return &Error{Faults: []Fault{{Path: "sip.phone_domain", Text: "is not liked"}}}
		}
		return nil
	}}
	_, err = l.reload(running, path, nil)
	if err == nil || !strings.Contains(err.Error(), "sip.phone_domain: is not liked, as long as") || strings.Join(asked, ", ") != "example.org phone.example, example.net phone.example" {
		t.Errorf("%v; asked about %q", err, asked)
	}
}
