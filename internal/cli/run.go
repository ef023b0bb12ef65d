package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/stoxgw/stox/internal/app"
	"github.com/stoxgw/stox/internal/config"
)

func runCommand(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long: `Runs the daemon in the foreground. It logs to standard error.

SIGTERM or SIGINT stops it: what is in flight is finished within
shutdown_timeout. A second signal ends it at once.`,
		Args: noArgs,
	}
	file := configFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := config.Load(*file, std.Environ)
		if err != nil {
			return err
		}
		log := newLogger(cfg.Log, std.Err)
		for _, w := range cfg.Warnings {
			log.Warn("configuration: "+w.Text, "key", w.Path, "remedy", w.Hint)
		}
		a, err := app.New(cfg, log)
		if err != nil {
			return inFile(*file, err)
		}
		ctx, stop := stopOnSignal(context.Background(), std, log)
		defer stop()
		if err := a.Run(ctx); err != nil {
			log.Error("stopped", "err", err)
			return &alreadySaid{err}
		}
		return nil
	}
	return cmd
}

// inFile puts the file's name to faults that were found after Load.
func inFile(file string, err error) error {
	var e *config.Error
	if errors.As(err, &e) && e.File == "" {
		return &config.Error{File: file, Faults: e.Faults}
	}
	return err
}

// newLogger is a logger on w as the configuration wants it. Its values have been
// checked by Load.
func newLogger(c config.Log, w io.Writer) *slog.Logger {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	o := &slog.HandlerOptions{Level: levels[c.Level]}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// stopOnSignal is a context that the first SIGTERM or SIGINT cancels; the second
// ends the process.
func stopOnSignal(parent context.Context, std IO, log *slog.Logger) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	signals := std.Signals
	if signals == nil {
		ch := make(chan os.Signal, 2)
		signal.Notify(ch, syscall.SIGTERM, syscall.SIGINT)
		signals = ch
	}
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for n := 1; ; n++ {
			select {
			case <-done:
				return
			case s := <-signals:
				if n > 1 {
					log.Warn("stopping at once", "reason", "second signal: "+s.String())
					std.Exit(exitFailure)
					return
				}
				log.Info("stopping", "reason", "signal: "+s.String())
				cancel()
			}
		}
	}()
	return ctx, func() {
		cancel()
		close(done)
		<-ended
	}
}

func checkCommand(std IO) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Test the configuration without using the network",
		Long: `Reads the configuration and the STOX_ environment as the daemon would, and
prints the values in effect with where each came from. Secrets are masked.

Status 2 and one line for each fault if there are any.`,
		Args: noArgs,
	}
	file := configFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := config.Load(*file, std.Environ)
		if err != nil {
			return err
		}
		// What only the sides can judge, they judge when they are put together; that
		// opens nothing.
		if _, err := app.New(cfg, slog.New(slog.DiscardHandler)); err != nil {
			return inFile(*file, err)
		}
		for _, w := range cfg.Warnings {
			fmt.Fprintln(std.Err, "stox: warning: "+w.String())
		}
		fmt.Fprintf(std.Out, "# %s has no faults. The values in effect:\n\n%s", *file, cfg.Effective())
		return nil
	}
	return cmd
}
