package cli

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/history"
)

func trailCommand(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trail ID",
		Short: "Tell what became of a message",
		Long: `Tells the life of one message, in either direction, in the order of time: when it
was read, where it was sent, what was answered. Never its text. Status 1 if nothing
is known: store.trail says how long it is kept, and a kill may lose the last second.

ID is the id of the stanza or the Call-ID; for a message in the queue its number
does as well. Senders choose the ids of their stanzas, so that one may mean several
messages; a Call-ID means one.

Of the recent messages a daemon that runs remembers more: who said what to whom, and
when, which is drawn as a ladder. With --json there is only the trail.

` + aQueue,
		Args:    oneArg("one id, of a stanza or a Call-ID"),
		Example: "  stox trail 5d8c2a1e-purple",
	}
	file := configFlag(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return withQueue(*file, std, func(ctx context.Context, q admin.Queue, _ bool, cfg *config.Config) error {
			steps, err := q.Trail(ctx, args[0])
			if err != nil {
				return err
			}
			var known []history.Message
			if h, ok := q.(admin.Historic); ok && !*asJSON {
				if known, err = h.History(ctx, args[0]); err != nil {
					return err
				}
			}
			if len(steps) == 0 && len(known) == 0 {
				return fmt.Errorf("nothing known about %s; kept for %s (store.trail)", printable(args[0]), shortDuration(cfg.Store.Trail))
			}
			out := bufio.NewWriter(std.Out)
			if *asJSON {
				for _, s := range steps {
					if err := writeJSON(out, s); err != nil {
						return err
					}
				}
				return out.Flush()
			}
			writeTrail(out, steps)
			writeLadders(out, known)
			if n := len(calls(steps)); n > 1 {
				fmt.Fprintf(std.Err, "stox: %d messages have this id; a Call-ID tells them apart\n", n)
			}
			return out.Flush()
		})
	}
	return cmd
}

// writeLadders draws what is remembered of messages, the oldest first.
func writeLadders(out *bufio.Writer, known []history.Message) {
	for _, m := range slices.Backward(known) {
		fmt.Fprintf(out, "\n%s  %s  (stanza %s, Call-ID %s)\n", stamp(m.Read), printable(m.Outcome), orNone(m.ID), orNone(m.CallID))
		fmt.Fprintf(out, "%s -> %s\n\n", printable(firstOf(m.FromSIP, m.Peer(), m.User)), printable(firstOf(m.FromSIP, m.User, m.Peer())))
		_, _ = out.WriteString(history.Ladder(&m, printable))
	}
}

// firstOf is a if first is true, else b.
func firstOf(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return printable(s)
}

// calls are the Call-IDs of steps, each once.
func calls(steps []admin.Step) map[string]bool {
	all := map[string]bool{}
	for _, s := range steps {
		if s.CallID != "" {
			all[s.CallID] = true
		}
	}
	return all
}

// writeTrail writes a line for each step, with the Call-ID if there are several.
func writeTrail(out *bufio.Writer, steps []admin.Step) {
	kind := 0
	for _, s := range steps {
		kind = max(kind, len(printable(s.Kind)))
	}
	several := len(calls(steps)) > 1
	for _, s := range steps {
		line := fmt.Sprintf("%s  %-*s  %s", stamp(s.At), kind, printable(s.Kind), printable(s.Detail))
		if several && s.CallID != "" {
			line += "  (Call-ID " + printable(s.CallID) + ")"
		}
		_, _ = out.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}
