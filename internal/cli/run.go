package cli

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
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
shutdown_timeout. A second signal ends it at once. SIGHUP makes it read its
configuration again, with all files that this names, as stox reload does: what may
change while it runs takes effect, and if there is a fault all stays as it was. The
log says which.`,
		Args: noArgs,
	}
	file := configFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		// A crash ends the process with SIGABRT. By itself Go would end it with status 2,
		// which is ours for a fault of the configuration: nobody would start it again.
		debug.SetTraceback("crash")
		cfg, err := load(*file, std)
		if err != nil {
			return err
		}
		logs := newLogging(cfg.Log, std.Err)
		log := logs.logger()
		for _, w := range cfg.Warnings {
			log.Warn("configuration: "+w.Text, "key", w.Path, "remedy", w.Hint)
		}
		a, err := app.NewFrom(app.Source{File: *file, Environ: std.Environ, Logging: logs.change}, app.Network{}, cfg, log)
		if err != nil {
			return err
		}
		setCollector(std.Environ)
		if err := scheduleAsBatch(); err != nil {
			log.Debug("the ordinary scheduling policy stays", "err", err)
		}
		ctx, stop := stopOnSignal(context.Background(), std, log, a.RequestReload)
		defer stop()
		if err := a.Run(ctx); err != nil {
			log.Error("stopped", "err", err)
			return &alreadySaid{err}
		}
		return nil
	}
	return cmd
}

// load reads the configuration as every command does: faults that only the sides
// can see are reported together with the others.
func load(file string, std IO) (*config.Config, error) {
	return config.Load(file, std.Environ, judge)
}

// judge asks the sides what they think of a configuration, which they say when
// they are put together; that opens nothing.
func judge(cfg *config.Config) error {
	_, err := app.New(cfg, slog.New(slog.DiscardHandler))
	return err
}

// stopOnSignal is a context that the first SIGTERM or SIGINT cancels; the second
// ends the process. SIGHUP calls reload, which must not wait.
func stopOnSignal(parent context.Context, std IO, log *slog.Logger, reload func()) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	signals := std.Signals
	if signals == nil {
		ch := make(chan os.Signal, 8)
		signal.Notify(ch, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		signals = ch
	}
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n := 0 // of those that stop
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				if s == syscall.SIGHUP {
					reload()
					continue
				}
				if n++; n > 1 {
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
