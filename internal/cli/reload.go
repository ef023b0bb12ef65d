package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/config"
)

func reloadCommand(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the daemon read its configuration again",
		Long: `Has the daemon that runs read its configuration again, asks it on the socket
admin.socket, and prints what has changed, by key. No link is dropped for it, and no
message is lost. Keys that cannot change while it runs are named, and take effect when
it is started again; the reference says which these are.

If there are faults they are printed, and the daemon keeps the configuration that it
has, whole: status 2. Status 1 if there is no daemon to be asked. The socket needs root
or the user that stox runs as. SIGHUP does the same and tells the log alone.`,
		Args:    noArgs,
		Example: "  stox reload\n  stox reload --json | jq -r '.waiting[]?'",
	}
	file := configFlag(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		done, err := askReload(*file, std)
		if err != nil {
			return err
		}
		if *asJSON {
			b, err := json.Marshal(done)
			if err != nil {
				return err
			}
			fmt.Fprintln(std.Out, string(b))
		} else {
			tellReloaded(std.Out, done)
		}
		if !done.Applied {
			return &keptError{strings.Join(done.Faults, "\n")}
		}
		if own, err := filepath.Abs(*file); err == nil && own != done.File {
			fmt.Fprintf(std.Err, "stox: the daemon has read %s, which it was started with, and not %s\n", done.File, own)
		}
		return nil
	}
	return cmd
}

// askReload asks the daemon whose socket the configuration names. That it has faults is for
// the daemon to say, which may have another environment.
func askReload(file string, std IO) (admin.Reloaded, error) {
	socket, err := config.Socket(file, std.Environ)
	if err != nil {
		return admin.Reloaded{}, &keptError{err.Error()}
	}
	if socket == "" {
		return admin.Reloaded{}, errors.New("there is no daemon to ask: admin.socket and store.path are not set; send it SIGHUP, which its log answers")
	}
	ctx := context.Background()
	c, err := admin.Dial(ctx, socket)
	if err != nil {
		return admin.Reloaded{}, err
	}
	defer c.Close()
	return c.Reload(ctx)
}

// tellReloaded prints what has changed, one line each.
func tellReloaded(w io.Writer, done admin.Reloaded) {
	if !done.Applied {
		return // the faults are an error
	}
	for _, key := range done.Changed {
		fmt.Fprintln(w, key+" has changed")
	}
	for _, key := range done.Waiting {
		fmt.Fprintln(w, key+" takes effect at the next start")
	}
	if len(done.Changed)+len(done.Waiting) == 0 {
		fmt.Fprintln(w, "nothing has changed")
	}
}

// keptError has the faults of a configuration that the daemon does not take.
type keptError struct{ faults string }

func (e *keptError) Error() string {
	return e.faults + "\nthe daemon keeps the configuration that it has"
}

// ExitCode is that of a fault of the configuration.
func (e *keptError) ExitCode() int { return exitConfig }
