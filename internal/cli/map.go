package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoxgw/stox/internal/app"
)

// dnsTimeout is how long --dns waits for name servers.
const dnsTimeout = 20 * time.Second

func mapCommand(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "map ADDRESS",
		Short: "Print what an address is on the other side, and why",
		Long: `Prints what a JID is in SIP, or a SIP URI in XMPP: the address on the first
line, then how it came about. Status 1 if there is none.

With --dns it also prints where a request to the SIP address would go: the route,
what DNS is asked and says (RFC 3263, for im: and pres: addresses RFC 3861), and the
servers in the order in which they are tried. Nothing is sent to them.`,
		Example: "  stox map romeo@sip.example.com\n  stox map 'sip:romeo@example.net'",
		Args:    oneArg("one address, a JID or a SIP URI"),
	}
	file := configFlag(cmd)
	ask := cmd.Flags().Bool("dns", false, "also ask DNS where requests to the SIP address go, and print each step")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		cfg, err := load(*file, std)
		if err != nil {
			return err
		}
		rules, err := app.BuildRules(cfg)
		if err != nil {
			return err
		}
		e := rules.Explain(args[0])
		if e.Err != nil {
			// The last step says why; the address may be unfit for printing.
			return errors.New(strings.Join(e.Steps, "\n"))
		}
		fmt.Fprintln(std.Out, e.Result)
		for _, step := range e.Steps {
			fmt.Fprintln(std.Out, "  "+step)
		}
		if !*ask {
			return nil
		}
		if e.SIP.IsZero() {
			fmt.Fprintln(std.Out, "  nothing is asked: requests to this address come here")
			return nil
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), dnsTimeout)
		defer cancel()
		steps, err := app.Way(ctx, cfg, e.SIP)
		for _, step := range steps {
			fmt.Fprintln(std.Out, "  "+step)
		}
		return err
	}
	return cmd
}
