package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/config"
)

const aRelation = `USER is a JID, CONTACT the JID of the contact or its SIP URI.`

func presenceCommand(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "presence",
		Short: "Look at who watches whom, end a subscription",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return &usageError{"say what to do: list, show or cancel", cmd.CommandPath()}
		},
	}
	cmd.AddCommand(presenceList(std), presenceShow(std), presenceCancel(std))
	return cmd
}

func presenceList(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List who watches whom",
		Long: `Lists XMPP users and SIP contacts of whom at least one has asked for the presence of
the other, in the order of the users: what has become of the user's wish (WATCHES:
pending or granted) and of the contact's (WATCHED: asked, which is that the user has
not said yet, granted or declined), since when, how many dialogs there are for that
at this moment, and when stox refreshes the first of them and the first one ends.
Never how anybody is.

` + aQueue + `
There are no dialogs then.`,
		Args: noArgs,
		Example: "  stox presence list --contact sip:romeo@example.net\n" +
			"  stox presence list --json | jq -r 'select(.watched == \"asked\") | .user'",
	}
	file := configFlag(cmd)
	asJSON := jsonFlag(cmd)
	var f admin.RelationFilter
	cmd.Flags().StringVar(&f.User, "user", "", "of this user only, a `JID`")
	cmd.Flags().StringVar(&f.Contact, "contact", "", "of this contact only, an `address`: a JID or a SIP URI")
	limit := cmd.Flags().IntP("number", "n", defaultRows, "at most so `many`; 0 is all, as is --json without -n")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *asJSON && !cmd.Flags().Changed("number") || *limit <= 0 {
			*limit = int(^uint(0) >> 1)
		}
		return withPresence(*file, std, func(ctx context.Context, p admin.Presence) error {
			return listRelations(ctx, std, p, f, *limit, *asJSON)
		})
	}
	return cmd
}

func presenceShow(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show USER CONTACT",
		Short: "Show what there is between a user and a contact",
		Long: `Shows who of a user and a contact may see the other, and the dialogs for that: which
way, their state, when stox refreshes them and when they end. Never how anybody is.
Status 1 if there is nothing.

` + aRelation + "\n\n" + aQueue,
		Args:    twoArgs("a user and a contact"),
		Example: "  stox presence show juliet@example.com romeo@sip.example.com",
	}
	file := configFlag(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return withPresence(*file, std, func(ctx context.Context, p admin.Presence) error {
			r, err := p.Relation(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			if *asJSON {
				return writeJSON(std.Out, r)
			}
			_, err = io.WriteString(std.Out, relationText(r, time.Now()))
			return err
		})
	}
	return cmd
}

func presenceCancel(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cancel USER CONTACT",
		Short: "End the subscriptions between a user and a contact",
		Long: `Ends what a user and a contact have agreed upon, as if the user had done it: his
subscription ends, and so does the contact's, which is refused from then on until
the user grants it again. Both sides are told. Status 1 if there is no such
subscription.

With --direction watches only the user's subscription to the contact ends, with
--direction watched only the contact's to the user.

` + aRelation + `

It asks a daemon that runs, on the socket admin.socket, which needs root or the user
that stox runs as.`,
		Args:    twoArgs("a user and a contact"),
		Example: "  stox presence cancel juliet@example.com sip:romeo@example.net --direction watched",
	}
	file := configFlag(cmd)
	direction := cmd.Flags().String("direction", "", "only this `one`: watches or watched")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if d := *direction; d != "" && d != admin.Watches && d != admin.Watched || d == "" && cmd.Flags().Changed("direction") {
			return &usageError{"--direction is watches or watched", cmd.CommandPath()}
		}
		return withPresence(*file, std, func(ctx context.Context, p admin.Presence) error {
			was, err := p.Cancel(ctx, args[0], args[1], *direction)
			if err != nil {
				return err
			}
			return sayCancelled(std.Out, was, *direction)
		})
	}
	return cmd
}

// sayCancelled says what has ended.
func sayCancelled(w io.Writer, was admin.Relation, direction string) error {
	user, contact := printable(was.User), printable(was.Contact)
	var b strings.Builder
	if has(was, admin.Watches, was.Watches != "") && direction != admin.Watched {
		fmt.Fprintf(&b, "%s does not watch %s any more.\n", user, contact)
	}
	if has(was, admin.Watched, was.Watched == "asked" || was.Watched == "granted") && direction != admin.Watches {
		fmt.Fprintf(&b, "%s does not watch %s any more, and is refused if it tries again.\n", contact, user)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// has tells whether there was something to cancel: what had been said, or a dialog.
func has(r admin.Relation, direction string, said bool) bool {
	for _, d := range r.Dialogs {
		said = said || d.Direction == direction
	}
	return said
}

func twoArgs(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 2 {
			return &usageError{cmd.CommandPath() + " takes " + what, cmd.CommandPath()}
		}
		return nil
	}
}

// withPresence is withQueue for what is asked about presence.
func withPresence(file string, std IO, f func(context.Context, admin.Presence) error) error {
	return withQueue(file, std, func(ctx context.Context, q admin.Queue, _ bool, _ *config.Config) error {
		p, has := q.(admin.Presence)
		if !has {
			return errors.New("nothing is known of presence here")
		}
		return f(ctx, p)
	})
}

// listRelations prints rows as they come.
func listRelations(ctx context.Context, std IO, p admin.Presence, f admin.RelationFilter, limit int, asJSON bool) error {
	out := bufio.NewWriter(std.Out)
	g := grid{out: out, heading: relationHeading}
	now := time.Now()
	shown, total := 0, 0
	for shown < limit {
		rp, err := p.Relations(ctx, f, min(page, limit-shown))
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		if shown == 0 {
			total = rp.Total
		}
		if len(rp.Relations) == 0 {
			total = shown // what was more is gone by now
			break
		}
		shown += len(rp.Relations)
		last := rp.Relations[len(rp.Relations)-1]
		f.AfterUser, f.AfterContact = last.User, last.Contact
		if asJSON {
			for _, r := range rp.Relations {
				if err := writeJSON(out, r); err != nil {
					return err
				}
			}
		} else {
			rows := make([][]string, 0, len(rp.Relations))
			for _, r := range rp.Relations {
				rows = append(rows, relationRow(r, now))
			}
			g.add(rows)
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	more := fmt.Sprintf("%d more; -n 0 lists all", total-shown)
	switch {
	case asJSON && total > shown:
		fmt.Fprintln(std.Err, "stox: "+more)
	case asJSON:
	case shown == 0:
		fmt.Fprintln(out, "There are no subscriptions.")
	case total > shown:
		fmt.Fprintln(out, "... "+more)
	}
	return out.Flush()
}

var relationHeading = []string{"USER", "CONTACT", "WATCHES", "WATCHED", "SINCE", "DIALOGS", "REFRESH IN", "ENDS IN"}

func relationRow(r admin.Relation, now time.Time) []string {
	var refresh, expires time.Time
	for _, d := range r.Dialogs {
		refresh, expires = earlier(refresh, d.Refresh), earlier(expires, d.Expires)
	}
	return []string{dash(r.User), dash(r.Contact), dash(r.Watches), dash(r.Watched), between(r.Since, now),
		strconv.Itoa(len(r.Dialogs)), between(now, refresh), between(now, expires)}
}

// earlier is the earlier of two times, of those that are known.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// relationText is one relation in words.
func relationText(r admin.Relation, now time.Time) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-8s %s\n", name, value)
		}
	}
	line("user", printable(r.User))
	line("contact", printable(r.Contact))
	line("SIP", printable(r.SIP))
	line("watches", explained(r.Watches, map[string]string{
		"":        "the user does not watch the contact",
		"pending": "the user wants to see the contact, which has not said yet",
		"granted": "the user may see the contact",
	}))
	line("watched", explained(r.Watched, map[string]string{
		"":         "the contact does not watch the user",
		"asked":    "the contact wants to see the user, who has not said yet",
		"granted":  "the contact may see the user",
		"declined": "the contact may not see the user, and is refused",
	}))
	line("since", when(r.Since, now))
	for _, d := range r.Dialogs {
		text := d.Direction
		if d.State != "" {
			text += ", " + d.State
		}
		if !d.Refresh.IsZero() {
			text += ", refreshed at " + when(d.Refresh, now)
		}
		if !d.Expires.IsZero() {
			text += ", ends at " + when(d.Expires, now)
		}
		line("dialog", printable(text))
	}
	return b.String()
}

// explained is a word with what it means; one of a later version stands alone.
func explained(word string, texts map[string]string) string {
	switch text, known := texts[word]; {
	case word == "":
		return "no: " + text
	case known:
		return word + ": " + text
	}
	return printable(word)
}
