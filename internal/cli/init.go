package cli

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoxgw/stox/contrib"
	"github.com/stoxgw/stox/internal/config"
)

// server is an XMPP server that stox init knows.
type server struct {
	name    string
	title   string
	snippet string
	next    string // where the snippet goes and how it takes effect
}

var servers = []server{
	{"prosody", "Prosody", contrib.Prosody, "Put the text above into /etc/prosody/conf.d/stox.cfg.lua and restart Prosody."},
	{"ejabberd", "ejabberd", contrib.Ejabberd, "Put the text above below \"listen:\" in /etc/ejabberd/ejabberd.yml, then: ejabberdctl reload_config"},
}

type initOptions struct {
	xmppDomain, sipDomain, dir string
	force                      bool
}

func initCommand(std IO) *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init prosody|ejabberd",
		Short: "Make a first configuration and the XMPP server's part of it",
		Long: `Makes a fresh secret, writes stox.toml with it, and prints to standard output
what the XMPP server needs in its own configuration. Asks for what the flags do
not say, if there is somebody to ask.`,
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
	return cmd
}

// initialise writes stox.toml and prints the server's part. Whatever can go
// wrong is found before something is written.
func initialise(s server, o initOptions, std IO) error {
	if err := askMissing(&o, std); err != nil {
		return err
	}
	path := filepath.Join(o.dir, "stox.toml")
	secret := rand.Text() // at least 128 bits, letters and digits only
	text := firstConfig(o, secret)
	// Without the environment: the file must be good by itself.
	cfg, err := config.Parse(path, []byte(text), nil)
	if err != nil {
		return err
	}
	snippet, err := contrib.Snippet(s.snippet, cfg.XMPP.Domain, secret)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o750); err != nil {
		return err
	}
	if err := writePrivate(path, text, o.force); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already; --force replaces it, and its secret", path)
		}
		return err
	}
	if _, err := fmt.Fprint(std.Out, snippet); err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.Err, `
Wrote %s (mode 0600; the user that stox runs as must be able to read it).

Next:
  1. %s
  2. stox check -c %s
  3. stox run -c %s
`, path, s.next, path, path)
	return err
}

// askMissing asks for what the flags left out, or says which flags to give.
func askMissing(o *initOptions, std IO) error {
	questions := []struct {
		value          *string
		flag, question string
	}{
		{&o.xmppDomain, "--xmpp-domain", "Name of the gateway, below your XMPP domain (for example sip.example.com): "},
		{&o.sipDomain, "--sip-domain", "SIP domain of your phones or provider (for example example.net): "},
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
		return &usageError{"missing " + strings.Join(missing, " and "), "stox init"}
	}
	in := bufio.NewReader(std.In)
	for _, q := range questions {
		for *q.value == "" {
			fmt.Fprint(std.Err, q.question)
			line, err := in.ReadString('\n')
			*q.value = strings.TrimSpace(line)
			if err != nil && *q.value == "" {
				return &usageError{"no answer for " + q.flag, "stox init"}
			}
		}
	}
	return nil
}

// firstConfig is a configuration of the three keys that are enough, and a few
// more to uncomment.
func firstConfig(o initOptions, secret string) string {
	return fmt.Sprintf(`# Made by stox init. All keys are described in docs/config.md; stox check says
# which values are in effect.

[xmpp]
domain = %s
secret = %s
#server = "127.0.0.1:5347"

[sip]
domain = %s
#listen = ["udp://0.0.0.0:5060", "tcp://0.0.0.0:5060"]
#advertise = "gateway.example.com"  # behind NAT: the address that peers see

# Where SIP goes, if not to the host that DNS names:
#[[sip.route]]
#domain = "*"
#via = "sip:192.0.2.10:5060;transport=udp"

# Who may send from SIP, besides this machine and the hosts of the routes:
#[[sip.peer]]
#name = "pbx"
#addresses = ["192.0.2.10"]
`, config.Quote(o.xmppDomain), config.Quote(secret), config.Quote(o.sipDomain))
}

// writePrivate writes a file that only its owner can read, and replaces another
// only by force, then at one go and whatever the mode of the old one was.
func writePrivate(path, text string, force bool) error {
	var f *os.File
	var err error
	if force {
		f, err = os.CreateTemp(filepath.Dir(path), ".stox.toml.*") // mode 0600
	} else {
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil && force {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // half a file, or a temporary one
	}
	return err
}
