package cli

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/stoxgw/stox/contrib"
	"github.com/stoxgw/stox/internal/app"
	"github.com/stoxgw/stox/internal/config"
)

// server is an XMPP server that stox init knows.
type server struct {
	name    string
	title   string
	snippet string
	next    string // where the snippet goes and how it takes effect, if the server is elsewhere
	find    func(machine) found
}

var servers = []server{
	{"prosody", "Prosody", contrib.Prosody, "Put the text above into /etc/prosody/conf.d/stox.cfg.lua and restart Prosody.", findProsody},
	{"ejabberd", "ejabberd", contrib.Ejabberd, "Put the text above below \"listen:\" in /etc/ejabberd/ejabberd.yml, then: ejabberdctl reload_config", findEjabberd},
}

// defaultServer is the default of xmpp.server, and what the snippets say.
const defaultServer = "127.0.0.1:5347"

type initOptions struct {
	xmppDomain, sipDomain, dir, root string
	force                            bool
}

func initCommand(std IO) *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init prosody|ejabberd",
		Short: "Make a first configuration and the XMPP server's part of it",
		Long: `Makes a fresh secret, writes stox.toml with it, and prints to standard output
what the XMPP server needs in its own configuration. Asks for what the flags do
not say, if there is somebody to ask.

If the server's configuration is on this machine (/etc/prosody/prosody.cfg.lua
or /etc/ejabberd/ejabberd.yml, unless PROSODY_CONFIG or EJABBERD_CONFIG_PATH
names another), it is read, and nothing in it is changed: for the names of the
domains that have users, for the port on which the server waits for components,
and to say to which place the text on standard output belongs.

A stox.toml that is there is left alone, unless there are only comments in it, as
in that of the Debian package, whose owner and group the new one keeps.

Messages that wait are kept in a database: /var/lib/stox/stox.db if stox.toml goes
into an etc directory, otherwise stox.db beside it (store.path).`,
		Example: `  stox init prosody --xmpp-domain sip.example.com --sip-domain example.net`,
		Args:    oneArg("the name of the XMPP server, prosody or ejabberd"),
		RunE: func(cmd *cobra.Command, args []string) error {
			i := slices.IndexFunc(servers, func(s server) bool { return s.name == args[0] })
			if i < 0 {
				return &usageError{fmt.Sprintf("%q is no server that stox knows, prosody and ejabberd are", args[0]), cmd.CommandPath()}
			}
			return initialise(servers[i], o, std)
		},
	}
	cmd.Flags().StringVar(&o.xmppDomain, "xmpp-domain", "", "the `name` of the component, for example sip.example.com")
	cmd.Flags().StringVar(&o.sipDomain, "sip-domain", "", "the SIP `domain` of your phones or provider, for example example.net")
	cmd.Flags().StringVarP(&o.dir, "dir", "o", ".", "the `directory` for stox.toml; made if it does not exist")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace a stox.toml that is there")
	cmd.Flags().StringVar(&o.root, "root", "", "look for the server's configuration below this `directory`")
	_ = cmd.Flags().MarkHidden("root")
	return cmd
}

// initialise writes stox.toml and prints the server's part. Whatever can go
// wrong is found before something is written.
func initialise(s server, o initOptions, std IO) error {
	f := s.find(machine{o.root, std.Environ})
	if err := askMissing(&o, s, f, std); err != nil {
		return err
	}
	a, err := advise(s, f, o)
	if err != nil {
		return err
	}
	path := filepath.Join(o.dir, "stox.toml")
	secret := rand.Text() // at least 128 bits, letters and digits only
	text := firstConfig(o, secret, a.server)
	// Without the environment: the file must be good by itself.
	cfg, err := config.Parse(path, []byte(text), nil, judge)
	if err != nil {
		return inFlags(err)
	}
	snippet, err := contrib.Snippet(s.snippet, cfg.XMPP.Domain, secret)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o750); err != nil {
		return fmt.Errorf("%s cannot be made: %s; --dir names another directory", o.dir, reason(err))
	}
	mode, err := writeConfig(path, text, o.force)
	if err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already; --force replaces it, and its secret", path)
		}
		return fmt.Errorf("%s cannot be written: %s; --dir names another directory", path, reason(err))
	}
	if _, err := fmt.Fprint(std.Out, fit(snippet, a)); err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		a.notes = append(a.notes, w.Text+"; "+w.Hint+".")
	}
	if f, bad := app.StoreFault(cfg); bad {
		a.notes = append(a.notes, f.Text+"; "+f.Hint+".")
	}
	_, err = fmt.Fprintf(std.Err, "\nWrote %s (mode %04o; the user that stox runs as must be able to read it).\n\n", path, mode)
	for _, note := range a.notes {
		fmt.Fprintf(std.Err, "Note: %s\n", note)
	}
	if len(a.notes) > 0 {
		fmt.Fprintln(std.Err)
	}
	fmt.Fprintf(std.Err, `Next:
  1. %s
  2. stox check -c %s
  3. stox run -c %s
`, a.where, path, path)
	return err
}

// advise says what becomes of the component with the server on this machine, or
// with one elsewhere, of which nothing is known.
func advise(s server, f found, o initOptions) (advice, error) {
	elsewhere := advice{server: defaultServer, where: s.next, indent: -1}
	switch {
	case f.path == "":
		return elsewhere, nil
	case f.err != nil:
		elsewhere.notes = []string{fmt.Sprintf("%s cannot be read (%s), so nothing of it is known here; root can.", f.path, reason(f.err))}
		return elsewhere, nil
	}
	component := strings.ToLower(strings.TrimSuffix(o.xmppDomain, "."))
	notes, err := f.checkNames(s.title, component)
	if err != nil {
		return elsewhere, err
	}
	a := f.place(component)
	a.notes = slices.Concat(notes, a.notes)
	return a, nil
}

// fit brings the snippet to the port, and to the indentation of the list that it
// goes into.
func fit(snippet string, a advice) string {
	if a.indent < 0 { // Prosody's, which has no port in it
		return snippet
	}
	host, port, _ := net.SplitHostPort(a.server)
	snippet = strings.NewReplacer("port: 5347", "port: "+port, `ip: "127.0.0.1"`, fmt.Sprintf("ip: %q", host)).Replace(snippet)
	var b strings.Builder
	for line := range strings.Lines(snippet) {
		if below, ok := strings.CutPrefix(line, "  "); ok {
			line = strings.Repeat(" ", a.indent) + below
		}
		b.WriteString(line)
	}
	return b.String()
}

// inFlags says which flag to mend: the file that the faults are in does not exist.
func inFlags(err error) error {
	var e *config.Error
	if !errors.As(err, &e) {
		return err
	}
	var lines []string
	for _, f := range e.Faults {
		flag := "--xmpp-domain"
		if strings.HasPrefix(f.Path, "sip.") {
			flag = "--sip-domain"
		}
		f.Path = flag
		lines = append(lines, f.String())
	}
	return errors.New(strings.Join(lines, "\n"))
}

// askMissing asks for what the flags left out, or says which flags to give.
func askMissing(o *initOptions, s server, f found, std IO) error {
	suggestion := f.suggestion()
	questions := []struct {
		value                      *string
		flag, question, suggestion string
	}{
		{&o.xmppDomain, "--xmpp-domain", "Name of the gateway, below your XMPP domain", suggestion},
		{&o.sipDomain, "--sip-domain", "SIP domain of your phones or provider", ""},
	}
	var missing []string
	for _, q := range questions {
		if *q.value == "" {
			missing = append(missing, q.flag)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if !std.Terminal {
		text := "missing " + strings.Join(missing, " and ")
		if o.xmppDomain == "" && suggestion != "" {
			text += fmt.Sprintf(" (%s here has users at %s: %s would do)", s.title, strings.Join(f.users(), ", "), suggestion)
		}
		return &usageError{text, "stox init"}
	}
	in := bufio.NewReader(std.In)
	for _, q := range questions {
		for *q.value == "" {
			hint := map[string]string{"--xmpp-domain": " (for example sip.example.com): ", "--sip-domain": " (for example example.net): "}[q.flag]
			if q.suggestion != "" {
				hint = " [" + q.suggestion + "]: "
			}
			fmt.Fprint(std.Err, q.question+hint)
			line, err := in.ReadString('\n')
			*q.value = strings.TrimSpace(line)
			if err == nil && *q.value == "" {
				*q.value = q.suggestion // Enter takes it
			}
			if err != nil && *q.value == "" {
				return &usageError{"no answer for " + q.flag, "stox init"}
			}
		}
	}
	return nil
}

// firstConfig is a configuration of the three keys that are enough, and a few
// more to uncomment.
func firstConfig(o initOptions, secret, server string) string {
	serverLine := "#server = " + config.Quote(defaultServer)
	if server != defaultServer {
		serverLine = "server = " + config.Quote(server)
	}
	return fmt.Sprintf(`# Made by stox init. All keys are described in docs/config.md; stox check says
# which values are in effect.

[xmpp]
domain = %s
secret = %s
%s

[sip]
domain = %s
#listen = ["udp://0.0.0.0:5060", "tcp://0.0.0.0:5060"]
#advertise = "gateway.example.com"  # behind NAT: the address that peers see

# Messages that wait outlive a restart in this file. Its directory must belong to
# the user that stox runs as.
%s

# Where SIP goes, if not to the host that DNS names:
#[[sip.route]]
#domain = "*"
#via = "sip:192.0.2.10:5060;transport=udp"

# Who may send from SIP, besides this machine and the hosts of the routes:
#[[sip.peer]]
#name = "pbx"
#addresses = ["192.0.2.10"]
`, config.Quote(o.xmppDomain), config.Quote(secret), serverLine, config.Quote(o.sipDomain), storeLines(o.dir))
}

// storeLines say where the store is: where services have theirs, if the
// configuration is where services have theirs, in an etc directory; otherwise,
// when somebody tries stox, beside it, so that stox run needs nothing more.
func storeLines(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil && slices.Contains(strings.Split(filepath.ToSlash(abs), "/"), "etc") {
		return "#[store]\n#path = " + config.Quote(config.DefaultStorePath())
	}
	return "[store]\npath = \"stox.db\"  # beside this file"
}

// writeConfig writes a file that only its owner can read. Another one is replaced only
// by force, then whatever its mode was; or if nothing is set in it, as in the one that a
// package brings: then the owner and the group stay that the package has given it, and so
// do their rights. Either happens at one go. It returns the mode of the file.
func writeConfig(path, text string, force bool) (fs.FileMode, error) {
	mode, uid, gid := fs.FileMode(0o600), -1, -1
	replace := force
	if old, err := os.Lstat(path); err == nil && !force && old.Mode().IsRegular() && nothingSet(path) {
		replace = true
		if owner, ok := old.Sys().(*syscall.Stat_t); ok {
			uid, gid = int(owner.Uid), int(owner.Gid)
			mode = old.Mode().Perm() & 0o640
		}
	}
	var f *os.File
	var err error
	if replace {
		f, err = os.CreateTemp(filepath.Dir(path), ".stox.toml.*") // mode 0600
	} else {
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	}
	if err != nil {
		return 0, err
	}
	if uid >= 0 { // before the secret is in it
		err = errors.Join(f.Chown(uid, gid), f.Chmod(mode))
	}
	if err == nil {
		_, err = f.WriteString(text)
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil && replace {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // half a file, or a temporary one
	}
	return mode, err
}

// nothingSet reports whether a file has comments only.
func nothingSet(path string) bool {
	b, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return false
		}
	}
	return true
}
