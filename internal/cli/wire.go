package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/config"
)

func wireCommand(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wire",
		Short: "Show SIP packets and stanzas in the log for a while",
		Long: `Has the daemon that runs write packets into its log, SIP and XMPP, of some addresses and
for some minutes. Nothing is restarted for it. Passwords are never shown, nor what is
derived of them; the texts of users only with --full.

The socket admin.socket needs root or the user that stox runs as.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return &usageError{"say what to do", cmd.CommandPath()}
		},
	}
	cmd.AddCommand(wireOnCommand(std), wireOffCommand(std), wireStatusCommand(std))
	return cmd
}

func wireOnCommand(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "on ADDRESS...",
		Short: "Begin to show the packets of somebody",
		Long: `Shows the packets of each ADDRESS: a JID or a SIP address, under which the same person is
found in the other world as well; an IP address or a network that packets come from or go to;
or a domain, which with the domain of a sip.route means its next hop, too. "*" shows all
packets. It ends by itself, and takes the place of what was shown before.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{cmd.CommandPath() + " takes addresses, or \"*\" for all packets", cmd.CommandPath()}
			}
			return nil
		},
		Example: "  stox wire on juliet@example.com\n  stox wire on --for 2m 192.0.2.10\n  stox wire on --full sip:romeo@example.net",
	}
	file := configFlag(cmd)
	asJSON := jsonFlag(cmd)
	full := cmd.Flags().Bool("full", false, "with the texts of users")
	length := cmd.Flags().Duration("for", 10*time.Minute, "`time` after which it ends by itself, 24h at most")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if *length <= 0 {
			return &usageError{"--for has to be more than nothing", "stox wire on"}
		}
		return askWire(*file, std, *asJSON, func(ctx context.Context, c *admin.Client) (admin.Wire, error) {
			return c.WireOn(ctx, admin.Watch{Targets: args, Full: *full, For: *length})
		})
	}
	return cmd
}

func wireOffCommand(std IO) *cobra.Command {
	cmd := &cobra.Command{Use: "off", Short: "End what stox wire on has begun", Args: noArgs,
		Long: "Ends what stox wire on has begun. What log.wire says of all packets stays."}
	file := configFlag(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		return askWire(*file, std, *asJSON, func(ctx context.Context, c *admin.Client) (admin.Wire, error) { return c.WireOff(ctx) })
	}
	return cmd
}

func wireStatusCommand(std IO) *cobra.Command {
	cmd := &cobra.Command{Use: "status", Short: "Say which packets are shown", Args: noArgs,
		Long: "Says which packets are shown, until when, and how many have been since the start."}
	file := configFlag(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		return askWire(*file, std, *asJSON, func(ctx context.Context, c *admin.Client) (admin.Wire, error) { return c.Wire(ctx) })
	}
	return cmd
}

// askWire asks the daemon, and prints what it says.
func askWire(file string, std IO, asJSON bool, ask func(context.Context, *admin.Client) (admin.Wire, error)) error {
	socket, err := config.Socket(file, std.Environ)
	if err != nil {
		return err
	}
	if socket == "" {
		return errors.New("there is no daemon to ask: admin.socket and store.path are not set")
	}
	ctx := context.Background()
	c, err := admin.Dial(ctx, socket)
	if err != nil {
		return err
	}
	defer c.Close()
	now, err := ask(ctx, c)
	if err != nil {
		return err
	}
	if asJSON {
		b, err := json.Marshal(now)
		if err != nil {
			return err
		}
		fmt.Fprintln(std.Out, string(b))
	} else {
		tellWire(std.Out, &now)
	}
	if now.Quiet != "" && (now.All != "off" || len(now.Targets) > 0) {
		fmt.Fprintf(std.Err, "stox: packets are logged at level info, which log.level = %q leaves out; set log.level = \"info\" and reload\n", now.Quiet)
	}
	return nil
}

// tellWire prints what is shown, one line each.
func tellWire(w io.Writer, now *admin.Wire) {
	if len(now.Targets) > 0 {
		fmt.Fprintf(w, "logged until %s, %s: %s\n", now.Until.Local().Format(time.DateTime), now.Mode, strings.Join(now.Targets, ", "))
	} else {
		fmt.Fprintln(w, "nobody's packets are logged by stox wire on")
	}
	fmt.Fprintf(w, "log.wire is %s for all packets\n", now.All)
	if now.HEP != "" {
		texts := "without texts"
		if now.HEPTexts {
			texts = "with texts"
		}
		fmt.Fprintf(w, "SIP packets are copied to %s, %s\n", now.HEP, texts)
	}
	fmt.Fprintf(w, "since the start: %d logged, %d copied, %d missing\n", now.Logged, now.Copied, now.Dropped)
}
