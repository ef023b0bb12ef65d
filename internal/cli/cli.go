// Package cli is the command line: what the user types, what is printed where,
// and the status the process ends with.
//
// Results go to standard output, everything else to standard error, one line per
// message. The exit status is 0 if all went well, 2 if the configuration is at
// fault - so that a service manager does not start the daemon again - and 1
// otherwise.
package cli

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	exitOK      = 0
	exitFailure = 1
	exitConfig  = 2 // as (*config.Error).ExitCode
)

const defaultConfig = "/etc/stox/stox.toml"

// IO is what a command reads and writes.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
	Environ  []string         // as of os.Environ
	Terminal bool             // In is a terminal, so a person can be asked
	Exit     func(code int)   // ends the process at once
	Signals  <-chan os.Signal // nil = those of the process

	// Outward is the address that this machine sends from; nil = it is not told.
	Outward func() (netip.Addr, bool)
}

// System is the IO of this process.
func System() IO {
	return IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ(), Terminal: isTerminal(os.Stdin), Exit: os.Exit, Outward: outward}
}

// isTerminal reports whether f is a character device other than /dev/null, which
// is what services and scripts have for their input.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// Main runs the command that args name and returns the exit status.
func Main(args []string, std IO) int {
	cmd := root(std)
	cmd.SetArgs(args)
	err := cmd.Execute()
	if err == nil {
		return exitOK
	}
	var said *alreadySaid
	if !errors.As(err, &said) {
		printError(std.Err, err)
	}
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return exitFailure
}

// alreadySaid wraps an error that has been logged.
type alreadySaid struct{ err error }

func (e *alreadySaid) Error() string { return e.err.Error() }
func (e *alreadySaid) Unwrap() error { return e.err }

// usageError is a mistake on the command line.
type usageError struct {
	text string
	help string // the command whose --help says more
}

func (e *usageError) Error() string { return e.text + "; see " + e.help + " --help" }

// printError writes each line of an error with our name in front.
func printError(w io.Writer, err error) {
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			fmt.Fprintln(w, "stox: "+line)
		}
	}
}

func root(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:           "stox",
		Short:         "A gateway between XMPP and SIP",
		Long:          "stox joins an XMPP server, as a component of it, and the SIP world.",
		Args:          noArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return &usageError{"say what to do", cmd.CommandPath()}
		},
	}
	cmd.SetIn(std.In)
	cmd.SetOut(std.Out)
	cmd.SetErr(std.Err)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return &usageError{err.Error(), cmd.CommandPath()} })
	cmd.CompletionOptions.HiddenDefaultCmd = true
	cmd.AddCommand(runCommand(std), reloadCommand(std), checkCommand(std), doctorCommand(std), initCommand(std), mapCommand(std), queueCommand(std), presenceCommand(std), blockCommand(std), usageCommand(std), trailCommand(std), wireCommand(std), healthCommand(std), versionCommand())
	return cmd
}

// noArgs and oneArg are cobra's, in our words.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Sprintf("%q is not known to %s", args[0], cmd.CommandPath()), cmd.CommandPath()}
	}
	return nil
}

func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return &usageError{cmd.CommandPath() + " takes " + what, cmd.CommandPath()}
		}
		return nil
	}
}

// configFlag adds -c to a command.
func configFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("config", "c", defaultConfig, "the configuration `file`")
}
