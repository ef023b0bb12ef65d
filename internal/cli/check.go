package cli

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoxgw/stox/internal/app"
)

func checkCommand(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Test the configuration without using the network",
		Long: `Reads the configuration and the STOX_ environment as the daemon would. Prints
the values in effect with where each came from, secrets masked, and what follows
from them: how addresses look on both sides, where requests go, who may send.
What it prints is a configuration again. A store.path that the user who runs this
cannot write is a warning, and so is a certificate that ends within two weeks or
is not for the name in sip.advertise.

Status 2 and one line for each fault if there are any.`,
		Args: noArgs,
	}
	file := configFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := load(*file, std)
		if err != nil {
			return err
		}
		rules, err := app.BuildRules(cfg)
		if err != nil {
			return err
		}
		// Not a fault: whoever asks need not be the user that stox runs as.
		if f, bad := app.StoreFault(cfg); bad {
			cfg.Warnings = append(cfg.Warnings, f)
		}
		cfg.Warnings = append(cfg.Warnings, app.CertificateWarnings(cfg)...)
		for _, w := range cfg.Warnings {
			fmt.Fprintln(std.Err, "stox: warning: "+w.String())
		}
		var b strings.Builder
		fmt.Fprintf(&b, "# %s has no faults. The values in effect:\n\n%s\n# What follows from them:\n", *file, cfg.Effective())
		for line := range strings.Lines(explain(cfg, rules, std.Outward)) {
			b.WriteString(strings.TrimRight("# "+line, " \n") + "\n")
		}
		_, err = fmt.Fprint(std.Out, b.String())
		return err
	}
	return cmd
}

// outward is the address that this machine sends from, as the SIP side finds it
// out for its Via. Nothing is sent.
func outward() (netip.Addr, bool) {
	c, err := net.Dial("udp4", "192.0.2.1:5060")
	if err != nil {
		return netip.Addr{}, false
	}
	defer c.Close()
	l, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	return l.AddrPort().Addr().Unmap(), true
}
