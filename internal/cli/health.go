package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoxgw/stox/internal/admin"
)

func healthCommand(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a running daemon how it does",
		Long: `Asks a running daemon, on the socket admin.socket, whether it can carry messages:
whether its parts are at work, a link to an XMPP server is up, the journal can be
written, and a next hop answers. It prints a line for each, with what to do about
it. Status 0 if it can, 1 if it cannot or if no daemon answers.

With --alive the status is 0 as long as the process does its work, whatever its
surroundings do: that is for those who start it again, as containers are when
they are not well, since a link that is down does not come up by that.`,
		Args: noArgs,
	}
	file := configFlag(cmd)
	alive := cmd.Flags().Bool("alive", false, "status 1 only if the process does not do its work")
	asJSON := cmd.Flags().Bool("json", false, "one JSON object, for scripts")
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := load(*file, std)
		if err != nil {
			return err
		}
		if cfg.Admin.Socket == "" {
			return errors.New("there is no daemon to ask: admin.socket and store.path are not set")
		}
		h, err := askHealth(context.Background(), cfg.Admin.Socket)
		if err != nil {
			return err
		}
		if *asJSON {
			err = writeJSON(std.Out, h)
		} else {
			for line := range strings.Lines(h.String()) {
				if _, err = fmt.Fprintln(std.Out, printable(strings.TrimSuffix(line, "\n"))); err != nil {
					break
				}
			}
		}
		switch {
		case err != nil:
			return err
		case h.Ready, *alive && h.Alive:
			return nil
		}
		return &alreadySaid{errors.New("not well")}
	}
	return cmd
}

// healthTimeout is for an answer that takes no time: without one the daemon is not well.
const healthTimeout = 8 * time.Second

func askHealth(ctx context.Context, socket string) (admin.Health, error) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	c, err := admin.Dial(ctx, socket)
	if err != nil {
		return admin.Health{}, err
	}
	defer c.Close()
	return c.Health(ctx)
}
