package cli

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stoxgw/stox/internal/config"
)

// logging is the log of a daemon, whose level and format may change while it runs.
type logging struct {
	out io.Writer
	now atomic.Pointer[slog.Handler] // what all loggers write to
}

// newLogging writes to w as the configuration wants it.
func newLogging(c config.Log, w io.Writer) *logging {
	l := &logging{out: &lines{to: w}}
	l.change(c)
	return l
}

// change has all loggers write as c says from now on. Its values have been checked by Load.
func (l *logging) change(c config.Log) {
	h := newHandler(c, l.out)
	l.now.Store(&h)
}

// logger is one of the loggers.
func (l *logging) logger() *slog.Logger { return slog.New(&liveHandler{to: l}) }

// lines has the writes of two handlers, the one before a change and the one after it, come
// one after the other, as those of one do.
type lines struct {
	mu sync.Mutex // serialises writes
	to io.Writer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(b)
}

func newHandler(c config.Log, w io.Writer) slog.Handler {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	o := &slog.HandlerOptions{Level: levels[c.Level]}
	if c.Format == "json" {
		return slog.NewJSONHandler(w, o)
	}
	return newBlocks(w, o)
}

// liveHandler writes to the handler of the moment, with the attributes and groups that were
// added to it. What comes of these is kept as long as that handler is the same.
type liveHandler struct {
	to    *logging
	added []func(slog.Handler) slog.Handler
	made  atomic.Pointer[madeHandler]
}

// madeHandler is a handler with what was added to it.
type madeHandler struct {
	of   *slog.Handler
	with slog.Handler
}

func (h *liveHandler) handler() slog.Handler {
	now := h.to.now.Load()
	if m := h.made.Load(); m != nil && m.of == now {
		return m.with
	}
	with := *now
	for _, add := range h.added {
		with = add(with)
	}
	h.made.Store(&madeHandler{now, with})
	return with
}

// Enabled is slog.Handler's, as are the other methods.
func (h *liveHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return (*h.to.now.Load()).Enabled(ctx, l)
}

// Handle writes a record.
func (h *liveHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.handler().Handle(ctx, r)
}

// WithAttrs adds attributes.
func (h *liveHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

// WithGroup adds a group.
func (h *liveHandler) WithGroup(name string) slog.Handler {
	return h.with(func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

func (h *liveHandler) with(add func(slog.Handler) slog.Handler) slog.Handler {
	return &liveHandler{to: h.to, added: append(slices.Clone(h.added), add)}
}
