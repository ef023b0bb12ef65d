package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/app"
	"github.com/stoxgw/stox/internal/config"
)

// aQueue says which queue a command is about; each command says what it does there.
const aQueue = `Of a daemon that runs it asks on the socket admin.socket, which needs root or the
user that stox runs as; of one that is stopped it reads the file store.path.`

const anID = `ID is the number in the list. The id of the stanza or the Call-ID do as well, as
long as they mean one message only.`

func queueCommand(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queue",
		Short: "Look at the messages that wait, try one again, drop one",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return &usageError{"say what to do: list, show, retry or drop", cmd.CommandPath()}
		},
	}
	cmd.AddCommand(queueList(std), queueShow(std), queueRetry(std), queueDrop(std))
	return cmd
}

// defaultRows is how many rows are listed to a person who does not say.
const defaultRows = 100

func queueList(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the messages that are not done",
		Long: `Lists the messages from XMPP that are not done, the oldest first: their number,
how long ago they came, when they expire, what they wait for, how often they were
sent, from whom, to whom, and what the last attempt came to.

States: queued (never sent, or the last attempt has failed for certain), sent (a
request is under way, or was when stox ended), back-off (it is tried again later),
reporting (given up: its sender has not got the error yet), damaged (the row
cannot be read).

` + aQueue,
		Args:    noArgs,
		Example: "  stox queue list\n  stox queue list --json | jq -r 'select(.attempts > 3) | .id'",
	}
	file := configFlag(cmd)
	asJSON := jsonFlag(cmd)
	limit := cmd.Flags().IntP("number", "n", defaultRows, "at most so `many` messages; 0 is all, as is --json without -n")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *asJSON && !cmd.Flags().Changed("number") || *limit <= 0 {
			*limit = int(^uint(0) >> 1)
		}
		return withQueue(*file, std, func(ctx context.Context, q admin.Queue, _ bool, _ *config.Config) error {
			return list(ctx, std, q, *limit, *asJSON)
		})
	}
	return cmd
}

func queueShow(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one message of the queue",
		Long:  "Shows what is known of a message that is not done. Never its text.\n\n" + anID + "\n\n" + aQueue,
		Args:  oneArg("one number or id"),
	}
	file := configFlag(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return withQueue(*file, std, func(ctx context.Context, q admin.Queue, _ bool, _ *config.Config) error {
			m, err := q.Show(ctx, args[0])
			if err != nil {
				return err
			}
			if *asJSON {
				return writeJSON(std.Out, m)
			}
			_, err = io.WriteString(std.Out, showText(m, time.Now()))
			return err
		})
	}
	return cmd
}

func queueRetry(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retry ID",
		Short: "Try a message again now",
		Long: `Ends the waiting of a message between two attempts; of one that is given up, the
waiting until its sender is told again. Messages to the same address that its
sender wrote before it are tried first. If stox is stopped, the message is tried
when it starts, and expires queue.expire after this command.
Status 1 if the message is under way at this moment, or not in the queue.

` + anID + "\n\n" + aQueue,
		Args: oneArg("one number or id"),
	}
	file := configFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return withQueue(*file, std, func(ctx context.Context, q admin.Queue, running bool, _ *config.Config) error {
			m, err := q.Retry(ctx, args[0])
			if err != nil {
				return err
			}
			what := "is tried again now"
			switch {
			case running && m.Ahead > 0:
				what = "is tried again as soon as its turn comes"
			case !running && m.Ahead > 0:
				what = "is tried again after stox has started, as soon as its turn comes; it expires at " + stamp(m.Expire)
			case !running:
				what = "is tried again when stox starts; it expires at " + stamp(m.Expire)
			case m.State == "reporting":
				what = "is given up; its sender is told again now"
			}
			_, err = fmt.Fprintf(std.Out, "Message %d %s.%s\n", m.ID, what, ahead(m, running))
			return err
		})
	}
	return cmd
}

// ahead says what keeps a message from being tried at once, as a further sentence.
func ahead(m admin.Message, running bool) (s string) {
	switch {
	case m.Ahead == 0:
		return ""
	case m.Ahead == 1:
		s = " The message before it from the same sender is tried first"
	default:
		s = fmt.Sprintf(" The %d messages before it from the same sender are tried first", m.Ahead)
	}
	if !running {
		s += ", as soon as their own back-off is over"
	}
	return s + "."
}

func queueDrop(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drop ID",
		Short: "Give a message up",
		Long: `Takes a message out of the queue. Its sender gets an error that says so; if stox
is stopped, when it starts. Of one that is given up already the sender is not told
any more. Status 1 if the message is under way at this moment,
or not in the queue.

` + anID + "\n\n" + aQueue,
		Args: oneArg("one number or id"),
	}
	file := configFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return withQueue(*file, std, func(ctx context.Context, q admin.Queue, running bool, _ *config.Config) error {
			m, err := q.Drop(ctx, args[0])
			if err != nil {
				return err
			}
			told := printable(m.From) + " is told."
			switch {
			case running && m.State == "reporting":
				told = "It was given up already; " + printable(m.From) + " is not told any more."
			case m.State == admin.Damaged:
				told = "It could not be read: its sender is not known and not told."
			case !running:
				told = printable(m.From) + " is told when stox starts."
			}
			_, err = fmt.Fprintf(std.Out, "Message %d is dropped. %s\n", m.ID, told)
			return err
		})
	}
	return cmd
}

func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "one JSON object on each line, for scripts")
}

// withQueue finds the queue that the configuration means, of a running daemon or of
// its file, and gives it to f. What comes from the file is said to, on standard error.
func withQueue(file string, std IO, f func(ctx context.Context, q admin.Queue, running bool, cfg *config.Config) error) error {
	cfg, err := load(file, std)
	if err != nil {
		return err
	}
	ctx := context.Background()
	nobody := "there is no daemon to ask: admin.socket and store.path are not set"
	if cfg.Admin.Socket != "" {
		c, err := admin.Dial(ctx, cfg.Admin.Socket)
		if err == nil {
			defer c.Close()
			return f(ctx, c, true, cfg)
		}
		if !errors.Is(err, admin.ErrNoDaemon) {
			return err
		}
		nobody = err.Error()
	}
	if cfg.Store.Path == "" {
		return errors.New(nobody + ", and nothing is kept on the disk (store.path is empty)")
	}
	q, err := app.OpenFile(cfg)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s, and there is no file %s: has stox run with this configuration (%s)?", nobody, cfg.Store.Path, file)
	}
	if err != nil {
		return err
	}
	defer q.Close()
	fmt.Fprintf(std.Err, "stox: %s; this is from %s\n", nobody, cfg.Store.Path)
	return f(ctx, q, false, cfg)
}

// page is how many rows are asked for and held at a time.
const page = 500

// list prints rows as they come.
func list(ctx context.Context, std IO, q admin.Queue, limit int, asJSON bool) error {
	out := bufio.NewWriter(std.Out)
	t := table{out: out, now: time.Now()}
	shown, total := 0, 0
	for after := uint64(0); shown < limit; {
		p, err := q.List(ctx, after, min(page, limit-shown))
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
		if shown == 0 {
			total = p.Total
		}
		if len(p.Messages) == 0 {
			total = shown // what was more is done by now
			break
		}
		shown += len(p.Messages)
		after = p.Messages[len(p.Messages)-1].ID
		if asJSON {
			for _, m := range p.Messages {
				if err := writeJSON(out, m); err != nil {
					return err
				}
			}
		} else {
			t.add(p.Messages)
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
		fmt.Fprintln(out, "The queue is empty.")
	case total > shown:
		fmt.Fprintln(out, "... "+more)
	}
	return out.Flush()
}

func writeJSON(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, printableJSON(string(b))+"\n")
	return err
}
