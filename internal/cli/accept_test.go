package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/stoxgw/stox/internal/app"
	"github.com/stoxgw/stox/internal/config"
)

// knownPaths are the keys that a fault can be about.
var knownPaths = func() map[string]bool {
	known := map[string]bool{}
	sections, planned := config.Reference()
	for _, s := range sections {
		known[strings.Trim(s.Heading, "[]")] = true
		for _, k := range s.Keys {
			known[k.Path], known[k.Env] = true, true
		}
	}
	for _, k := range planned {
		known[strings.Trim(k.Path, "[]")], known[k.Env] = true, true
	}
	return known
}()

var indices = regexp.MustCompile(`\[\d+\]`)

// FuzzAccepted: whatever is in the file, a fault that only the sides see names
// its key and is reported together with the rest, and a file that is accepted can
// be put together, explained, and read back from its effective form.
func FuzzAccepted(f *testing.F) {
	for _, file := range []string{"least.toml", "pbx.toml", "trunk.toml"} {
		b, err := os.ReadFile(filepath.Join("testdata", "explain", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	const three = "xmpp={domain='sip.example.com',secret='hunter2-hunter2'}\nsip={domain='pbx.example.net'}\n"
	f.Add(three + "[[alias]]\nsip='sip:%zz@a.example'\nxmpp='juliet@example.com'\n[[alias]]\nsip='sip:+1 555@a.example'\nxmpp='ß @example.com'\n")
	f.Add(three + "[[sip.route]]\ndomain='xn--a.example'\nvia='sip:1.2.3:99'\ncountry='XX'\nnumbers='nanp10'\n")
	f.Add(three + "access={allow=['a_b.example','\u00ad@x','*@example.com']}\n")
	f.Add("xmpp={domain='xn--zz.1',user_domains=['-.x','xn--.y','1'],secret='********'}\nsip={domain='1.2.3',listen=['udp://[::ffff:1.2.3.4]:1'],advertise='xn--1'}\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "_file") {
			t.Skip("not from this machine's files")
		}
		_, shapeErr := config.Parse("/f.toml", []byte(text), nil)
		cfg, err := config.Parse("/f.toml", []byte(text), nil, judge)
		if err != nil {
			var e *config.Error
			if !errors.As(err, &e) || e.ExitCode() != exitConfig {
				t.Fatalf("%T %v", err, err)
			}
			for _, fault := range e.Faults {
				if fault.Path == "" || fault.Text == "" || strings.ContainsAny(fault.String(), "\n\r") {
					t.Errorf("fault %#v", fault)
				}
				if shapeErr == nil && !knownPaths[indices.ReplaceAllString(fault.Path, "")] {
					t.Errorf("no key: %v", fault)
				}
			}
			return
		}
		if shapeErr != nil {
			t.Fatalf("only the judge accepts it: %v", shapeErr)
		}
		rules, err := app.BuildRules(cfg)
		if err != nil {
			t.Fatalf("accepted, and yet: %v", err)
		}
		if explain(cfg, rules, nil) == "" {
			t.Error("nothing follows from it")
		}
		if _, err := config.Parse("/f.toml", []byte(cfg.Effective()), nil, judge); err != nil {
			t.Errorf("%v in the effective form\n%s", err, cfg.Effective())
		}
	})
}

// TestAcceptedRuns: configurations put together from all sorts of values are
// refused with status 2, or they run until they are told to stop.
func TestAcceptedRuns(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	ran, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		file := filepath.Join(dir, fmt.Sprintf("%d.toml", ran+refused))
		text := drawConfig(t)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		status, ready, said := runUntilReady(file)
		switch {
		case status == exitConfig && !ready:
			refused++
			if !strings.HasPrefix(said, "stox: "+file+": ") && !strings.Contains(said, "level=ERROR msg=stopped err=\"store.path: the directory ") {
				t.Errorf("refused with\n%s", said)
			}
		case status == exitOK && ready:
			ran++
		default:
			t.Errorf("status %d, ready %v\n%s\n%s", status, ready, text, said)
		}
	})
	t.Logf("%d ran, %d were refused", ran, refused)
	if ran == 0 || refused == 0 {
		t.Errorf("%d ran, %d were refused: the values are all alike", ran, refused)
	}
}

// drawConfig makes a file of values that mostly fit together.
func drawConfig(t *rapid.T) string {
	pick := func(label string, values ...string) string { return rapid.SampledFrom(values).Draw(t, label) }
	maybe := func(label, line string) string {
		if rapid.Bool().Draw(t, label) {
			return line + "\n"
		}
		return ""
	}
	var b strings.Builder
	domain := pick("domain", "sip.example.com", "gw.bücher.example", "Sip.Example.com.", "sip.localhost", "a-b.example.com")
	fmt.Fprintf(&b, "%s[xmpp]\nserver = \"127.0.0.1:1\"\ndomain = %q\nsecret = %q\n", maybe("stop", `shutdown_timeout = "1s"`), domain, pick("secret", "hunter2-hunter2", "ž'\\\" &<>", "short"))
	b.WriteString(maybe("users", `user_domains = ["example.com", "xn--bcher-kva.example", "localhost"]`))
	fmt.Fprintf(&b, "[sip]\ndomain = %q\nlisten = %s\n", pick("sip domain", "pbx.example.net", "pbx.example.net", "pbx.example.org", "192.0.2.10", "sip.example.com", "tel.bücher.example", "example.com", "localhost"),
		pick("listen", `["udp://127.0.0.1:0"]`, `["tcp://127.0.0.1:0"]`, `["tcp://127.0.0.1:0", "udp://127.0.0.1:0"]`, `["udp://127.0.0.1:0", "udp://127.0.0.1:0"]`))
	b.WriteString(maybe("advertise", "advertise = "+pick("host", `"gw.example.com"`, `"203.0.113.5:5070"`, `"[2001:db8::1]"`, `"bücher.example"`, `"pbx.example.net"`)))
	b.WriteString(maybe("phone", "phone_domain = "+pick("phone domain", `"tel.example.net"`, `"pbx.example.net"`, `"example.com"`)))
	for range rapid.IntRange(0, 3).Draw(t, "routes") {
		fmt.Fprintf(&b, "[[sip.route]]\ndomain = %q\n", pick("route", "pbx.example.net", "tel.example.net", "192.0.2.10", "Straße.example", "a.example", "b.example", "*"))
		b.WriteString(maybe("has via", "via = "+pick("via", `"sip:192.0.2.10"`, `"sip:127.0.0.1:15061;transport=tcp"`, `"sip:[2001:db8::2]:5070"`, `"sip:192.0.2.10;lr"`)))
		b.WriteString(maybe("country", "country = "+pick("code", `"DE"`, `"us"`, `"fr"`, `"ZZ"`)))
		b.WriteString(maybe("numbers", "numbers = "+pick("form", `"e164"`, `"e164"`, `"national"`, `"nanp10"`)))
		b.WriteString(maybe("from", "from = "+pick("whose", `"user"`, `"user"`, `"alias"`)))
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "peers") {
		fmt.Fprintf(&b, "[[sip.peer]]\nname = \"peer %d\"\naddresses = [%s]\n", i, pick("addresses", fmt.Sprintf(`"203.0.113.%d"`, i), `"192.0.2.0/24"`, `"198.51.100.7", "2001:db8::/32"`, `"::ffff:203.0.113.5"`, `"0.0.0.0/0"`))
		b.WriteString(maybe("speaks", "domains = "+pick("for", `["*"]`, `["pbx.example.net", "Other.example."]`)))
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "aliases") {
		fmt.Fprintf(&b, "[[alias]]\nsip = %q\nxmpp = %q\n", pick("sip", "sip:7001@pbx.example.net", "sip:+15551234567@tel.example.net", "sip:a%20b@pbx.example.net", "sip:ž@pbx.example.net"),
			fmt.Sprintf("user%d@%s", i, pick("of", "example.com", "localhost")))
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "domains") {
		fmt.Fprintf(&b, "[[domain]]\nxmpp = %q\nsip = %q\nsecret = 'hunter2-hunter2'\n", pick("component", fmt.Sprintf("gw%d.example.com", i), "tel.bücher.example", "sip.example.com", "localhost"),
			pick("of sip", fmt.Sprintf("further%d.example", i), "Bücher.example.", "192.0.2.77", "tel.example.net", "pbx.example.net"))
		b.WriteString(maybe("its server", `server = "127.0.0.1:2"`))
	}
	fmt.Fprintf(&b, "[store]\npath = %q\n", pick("store", "", "stox.db", "stox.db", "none/stox.db"))
	b.WriteString(maybe("trail", `trail = "1h"`))
	b.WriteString(maybe("queue", "[queue]\nexpire = "+pick("expire", `"1s"`, `"168h"`)+"\nmax_messages = "+pick("messages", "1", "1000000")))
	b.WriteString(maybe("allow", "[access]\nallow = "+pick("who", `["*"]`, `["example.com", "juliet@bücher.example"]`, `["juliet\\20c@example.com"]`)))
	b.WriteString(maybe("limits", "[limits]\nmax_connections = "+pick("connections", "1", "1000", "2147483647")+"\nmax_header_bytes = "+pick("header", "1024", "49152")+"\nmax_stanza_bytes = "+pick("stanza", "10000", "67108864")))
	b.WriteString(maybe("log", "[log]\nlevel = "+pick("level", `"debug"`, `"error"`, `"info"`)))
	return b.String()
}

// runUntilReady runs the daemon and tells it to stop when it says that it is
// ready.
func runUntilReady(file string) (status int, ready bool, said string) {
	pr, pw := io.Pipe()
	signals := make(chan os.Signal, 1)
	ended := make(chan int, 1)
	std := IO{In: strings.NewReader(""), Out: io.Discard, Err: pw, Exit: func(int) {}, Signals: signals,
		Environ: []string{"STOX_LOG_FORMAT=text", "STOX_LOG_LEVEL=info"}, Outward: func() (netip.Addr, bool) { return netip.Addr{}, false }}
	go func() {
		ended <- Main([]string{"run", "-c", file}, std)
		pw.Close()
	}()
	var b strings.Builder
	for lines := bufio.NewScanner(pr); lines.Scan(); {
		b.WriteString(lines.Text() + "\n")
		if !ready && strings.Contains(lines.Text(), "msg=ready") {
			ready = true
			signals <- syscall.SIGTERM
		}
	}
	return <-ended, ready, b.String()
}
