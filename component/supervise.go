package component

import (
	"context"
	"log/slog"
	"time"
)

// supervise keeps a link up until ctx ends.
func (c *Component) supervise(ctx context.Context, h Handler) {
	var wait backoff
	var rep reporter
	for ctx.Err() == nil {
		if rep.reason != reasonSplit { // an alarm stays until it is over
			c.setStatus(Status{State: StateConnecting, Reason: rep.reason, Attempts: rep.count})
		}
		lived, err := c.session(ctx, h, &rep)
		if ctx.Err() != nil {
			return
		}
		if lived >= goodLife {
			wait.reset()
			rep.reset()
		}
		f := c.classify(err)
		pause := wait.next(f.pace, c.rand())
		now := time.Now()
		count, since, worth := rep.note(f.reason, now)
		if worth {
			level := slog.LevelWarn
			if f.alarm {
				level = slog.LevelError
			}
			attrs := []any{"reason", f.reason, "err", f.err, "retry_in", pause.Round(100 * time.Millisecond)}
			if count > 1 {
				attrs = append(attrs, "failures", count, "since", since)
			}
			c.log.Log(ctx, level, f.text, attrs...)
		}
		state := StateDown
		if f.reason == reasonSplit {
			state = StateSplit
		}
		c.setStatus(Status{State: state, Reason: f.reason, Text: f.text, Attempts: count, RetryAt: now.Add(pause)})

		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// session is one link from dialing to its end. It returns how long it was up.
func (c *Component) session(ctx context.Context, h Handler, rep *reporter) (time.Duration, error) {
	l, err := c.connect(ctx, h)
	if err != nil {
		return 0, err
	}
	var since time.Time
	err = l.run(ctx, func() { // on the reader, before run returns
		since = time.Now()
		c.setStatus(Status{State: StateUp})
		attrs := []any{"server", c.cfg.Server, "domain", c.cfg.Domain}
		if rep.count > 0 {
			attrs = append(attrs, "after_failures", rep.count)
		}
		c.log.Info("connected to the XMPP server", attrs...)
	})
	if since.IsZero() {
		return 0, err
	}
	return time.Since(since), err
}
