package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/config"
)

const aBlock = `WHAT is one of these:

  romeo@sip.example.com     a contact: the JID, a SIP address, or a telephone number
  @example.net              a SIP domain
  192.0.2.7, 192.0.2.0/24   where SIP requests come from
  juliet@example.com        an XMPP user of xmpp.user_domains
  xmpp:a@example.org        any other XMPP user; xmpp:example.org a whole domain`

const anOwner = `Without --user it is for everybody, with --user for this user alone, who may have
contacts blocked only.`

func blockCommand(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "block",
		Short: "Look at what is blocked, block something, unblock it",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return &usageError{"say what to do: list, add or remove", cmd.CommandPath()}
		},
	}
	cmd.AddCommand(blockList(std), blockAdd(std), blockRemove(std))
	return cmd
}

func blockList(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what is blocked",
		Long: `Lists what is blocked for everybody, or with --user what this user has blocked: what
it is, of which kind (contact, domain, source, user), and since when.

` + aQueue,
		Args:    noArgs,
		Example: "  stox block list\n  stox block list --user juliet@example.com --json | jq -r .what",
	}
	file := configFlag(cmd)
	asJSON := jsonFlag(cmd)
	user := userFlag(cmd)
	limit := numberFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withBlocker(*file, std, func(ctx context.Context, b admin.Blocker, _ bool) error {
			p, err := b.Blocks(ctx, *user, most(cmd, *limit, *asJSON))
			if err != nil {
				return err
			}
			rows := make([][]string, 0, len(p.Blocks))
			for _, v := range p.Blocks {
				rows = append(rows, []string{dash(v.Kind), between(v.Since, time.Now()), dash(v.What)})
			}
			return show(std, p.Blocks, []string{"KIND", "AGE", "WHAT"}, rows, p.Total, *asJSON, "Nothing is blocked.")
		})
	}
	return cmd
}

func blockAdd(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add WHAT",
		Short: "Block something",
		Long: `Blocks an address, a domain, a source or an XMPP user, at once and for good.

` + aBlock + `

` + anOwner + `

What is sent by a SIP address or domain that is blocked is refused with 403, as from a
source that is no peer, and its presence is exchanged no more; a source is a stranger
from then on, and its connections are closed; an XMPP user may not use the gateway, as
if access.allow did not list him. A contact that a user has blocked is not told: it is
answered as if there were no such user.

If stox is stopped, it is blocked when it starts.`,
		Args:    oneArg("what is to be blocked"),
		Example: "  stox block add 203.0.113.0/24\n  stox block add --user juliet@example.com sip:romeo@example.net",
	}
	file := configFlag(cmd)
	user := userFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return withBlocker(*file, std, func(ctx context.Context, b admin.Blocker, running bool) error {
			v, err := b.Block(ctx, *user, args[0])
			if err != nil {
				return err
			}
			return sayBlocked(std.Out, v, "is blocked", running)
		})
	}
	return cmd
}

func blockRemove(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove WHAT",
		Short: "Unblock something",
		Long: `Takes back what was blocked, at once. Status 1 if it is not blocked.

` + aBlock + `

` + anOwner,
		Args:    oneArg("what is to be unblocked"),
		Example: "  stox block remove 203.0.113.0/24",
	}
	file := configFlag(cmd)
	user := userFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return withBlocker(*file, std, func(ctx context.Context, b admin.Blocker, running bool) error {
			v, err := b.Unblock(ctx, *user, args[0])
			if err != nil {
				return err
			}
			return sayBlocked(std.Out, v, "is not blocked any more", running)
		})
	}
	return cmd
}

func sayBlocked(w io.Writer, v admin.Block, what string, running bool) error {
	whom, when := "for everybody", ""
	if v.Owner != "" {
		whom = "for " + printable(v.Owner)
	}
	if !running {
		when = ", when stox starts"
	}
	_, err := fmt.Fprintf(w, "%s %s %s%s.\n", printable(v.What), what, whom, when)
	return err
}

func usageCommand(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "Show who has sent how much to telephone numbers",
		Long: `Lists the users who have sent messages to telephone numbers on a day, those who have
sent most first: how many, each part of a long text counting, and how many a day they
may send (limits.daily_per_user). Days are those of the calendar where stox runs, and
are kept for 35 days.

` + aQueue,
		Args:    noArgs,
		Example: "  stox usage\n  stox usage --day 2026-03-01 --json | jq -s 'map(.sent) | add'",
	}
	file := configFlag(cmd)
	asJSON := jsonFlag(cmd)
	limit := numberFlag(cmd)
	day := cmd.Flags().String("day", "", "this `day`, such as 2026-03-01, instead of today")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := time.Parse(time.DateOnly, *day); err != nil && cmd.Flags().Changed("day") {
			return &usageError{"--day is a date such as 2026-03-01", cmd.CommandPath()}
		}
		return withQueue(*file, std, func(ctx context.Context, q admin.Queue, _ bool, _ *config.Config) error {
			c, has := q.(admin.Counter)
			if !has {
				return errors.New("nothing is counted here")
			}
			p, err := c.Usage(ctx, *day, most(cmd, *limit, *asJSON))
			if err != nil {
				return err
			}
			rows := make([][]string, 0, len(p.Uses))
			for _, u := range p.Uses {
				of := "-"
				if u.Limit > 0 {
					of = fmt.Sprint(u.Limit)
				}
				rows = append(rows, []string{dash(u.Day), fmt.Sprint(u.Sent), of, dash(u.User)})
			}
			return show(std, p.Uses, []string{"DAY", "SENT", "LIMIT", "USER"}, rows, p.Total, *asJSON, "Nobody has sent anything to a telephone number on that day.")
		})
	}
	return cmd
}

func userFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("user", "", "what this user has blocked, a `JID`, not an admin")
}

func numberFlag(cmd *cobra.Command) *int {
	return cmd.Flags().IntP("number", "n", defaultRows, "at most so `many`; 0 is all, as is --json without -n")
}

// most is how many are asked for, 0 for all of them.
func most(cmd *cobra.Command, limit int, asJSON bool) int {
	if asJSON && !cmd.Flags().Changed("number") {
		return 0
	}
	return max(limit, 0)
}

// show prints a list that is there as a whole.
func show[T any](std IO, list []T, heading []string, rows [][]string, total int, asJSON bool, none string) error {
	out := bufio.NewWriter(std.Out)
	more := fmt.Sprintf("%d more; -n 0 lists all", total-len(list))
	switch {
	case asJSON:
		for _, v := range list {
			if err := writeJSON(out, v); err != nil {
				return err
			}
		}
		if total > len(list) {
			fmt.Fprintln(std.Err, "stox: "+more)
		}
	case len(list) == 0:
		fmt.Fprintln(out, none)
	default:
		g := grid{out: out, heading: heading}
		g.add(rows)
		if total > len(list) {
			fmt.Fprintln(out, "... "+more)
		}
	}
	return out.Flush()
}

// withBlocker is withQueue for what is blocked.
func withBlocker(file string, std IO, f func(ctx context.Context, b admin.Blocker, running bool) error) error {
	return withQueue(file, std, func(ctx context.Context, q admin.Queue, running bool, _ *config.Config) error {
		b, has := q.(admin.Blocker)
		if !has {
			return errors.New("nothing is known here of what is blocked")
		}
		return f(ctx, b, running)
	})
}
