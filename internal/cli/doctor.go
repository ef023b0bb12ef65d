package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoxgw/stox/internal/app"
	"github.com/stoxgw/stox/internal/doctor"
)

func doctorCommand(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find out why the gateway does not work",
		Long: `Tries what the daemon does, in the order of a message's way, and says of each failure
how to mend it: the configuration, the component handshake and what the XMPP server
says, the SIP sockets, the way to each SIP server by DNS with an OPTIONS request at
its end, certificates, the clock, open files, the disk. It changes nothing, takes a
minute at most, and runs beside a daemon or without one.

A component name has one connection. While a daemon runs, the doctor asks it for the
state of its links, on the socket admin.socket, and opens none of its own: run it
again with the daemon stopped for the rest. A daemon with another configuration, or on
another machine, is not seen that way: if it has the same component name, the XMPP
server may give its connection up for that of the doctor, as it would for another
daemon's.

Each line is ok, warn (it works, or may not concern you), fail, or skip (it could not be
tried), the check, and what was found; a line with an arrow says how to mend it.

Status 1 if a check failed, and 2 and one line for each fault if the configuration is
not good.`,
		Args:    noArgs,
		Example: "  sudo -u stox stox doctor\n  stox doctor --json | jq -r 'select(.level == \"fail\") | .remedy'",
	}
	file := configFlag(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := load(*file, std)
		if err != nil {
			return err
		}
		o := doctor.Options{Config: cfg, File: *file, NextHop: app.NextHop}
		if f, bad := app.StoreFault(cfg); bad {
			o.Store = &f
		}
		ctx, stop := stopOnSignal(context.Background(), std, slog.New(slog.DiscardHandler), func() {})
		defer stop()
		failures := 0
		var writing error
		doctor.Run(ctx, o, func(f doctor.Finding) {
			if f.Level == doctor.Fail {
				failures++
			}
			if writing != nil {
				return
			}
			if *asJSON {
				writing = writeJSON(std.Out, f)
			} else {
				_, writing = io.WriteString(std.Out, findingText(f))
			}
		})
		switch {
		case writing != nil:
			return writing
		case ctx.Err() != nil:
			return errors.New("interrupted")
		case failures == 1:
			return errors.New("1 check failed")
		case failures > 1:
			return fmt.Errorf("%d checks failed", failures)
		}
		return nil
	}
	return cmd
}

// findingText is a finding in lines: what it is, how DNS led there, how to mend it.
func findingText(f doctor.Finding) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-4s  %-6s  %s\n", f.Level, f.Check, printable(f.Text))
	for _, s := range f.Steps {
		b.WriteString("              " + printable(s) + "\n")
	}
	if f.Remedy != "" {
		b.WriteString("           -> " + printable(f.Remedy) + "\n")
	}
	return b.String()
}
