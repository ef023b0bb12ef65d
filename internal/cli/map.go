package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoxgw/stox/internal/app"
)

func mapCommand(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "map ADDRESS",
		Short: "Print what an address is on the other side, and why",
		Long: `Prints what a JID is in SIP, or a SIP URI in XMPP: the address on the first
line, then how it came about. Status 1 if there is none.`,
		Example: "  stox map romeo@sip.example.com\n  stox map 'sip:romeo@example.net'",
		Args:    oneArg("one address, a JID or a SIP URI"),
	}
	file := configFlag(cmd)
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
		return nil
	}
	return cmd
}
