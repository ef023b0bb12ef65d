package cli

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// blocks is the log as text. What has lines of its own, as a packet has, comes below its record,
// each line with a mark in front by which it is known: it begins no record, whatever is in it.
type blocks struct {
	text slog.Handler // writes to buf
	buf  *bytes.Buffer
	to   io.Writer
	mu   *sync.Mutex // guards buf, and what is written to to
}

// lineMark is in front of lines that are part of the record above them.
const lineMark = "    | "

// lined is a value that has lines of its own.
type lined interface{ Lines() string }

func linesOf(a slog.Attr) (string, bool) {
	if a.Value.Kind() != slog.KindAny {
		return "", false
	}
	v, is := a.Value.Any().(lined)
	if !is {
		return "", false
	}
	return v.Lines(), true
}

func newBlocks(w io.Writer, o *slog.HandlerOptions) *blocks {
	buf := new(bytes.Buffer)
	return &blocks{text: slog.NewTextHandler(buf, o), buf: buf, to: w, mu: new(sync.Mutex)}
}

// Enabled is slog.Handler's, as are the other methods.
func (h *blocks) Enabled(ctx context.Context, l slog.Level) bool { return h.text.Enabled(ctx, l) }

// Handle writes a record, in one write.
func (h *blocks) Handle(ctx context.Context, r slog.Record) error {
	var below []string
	r.Attrs(func(a slog.Attr) bool {
		if v, is := linesOf(a); is {
			below = append(below, v)
		}
		return true
	})
	if below != nil {
		short := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
		r.Attrs(func(a slog.Attr) bool {
			if _, is := linesOf(a); !is {
				short.AddAttrs(a)
			}
			return true
		})
		r = short
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buf.Reset()
	err := h.text.Handle(ctx, r)
	for _, text := range below {
		for line := range strings.Lines(text) {
			h.buf.WriteString(lineMark)
			h.buf.WriteString(strings.TrimRight(line, "\n"))
			h.buf.WriteByte('\n')
		}
	}
	if err == nil {
		_, err = h.to.Write(h.buf.Bytes())
	}
	return err
}

// WithAttrs adds attributes.
func (h *blocks) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.text = h.text.WithAttrs(attrs)
	return &next
}

// WithGroup adds a group.
func (h *blocks) WithGroup(name string) slog.Handler {
	next := *h
	next.text = h.text.WithGroup(name)
	return &next
}
