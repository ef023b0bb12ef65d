package sipside

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/emiago/sipgo/sip"
)

func init() {
	// sipgo's own logger is asked from deep inside, with header text in some
	// records, and can only be set for the process. Nothing of it is of use here.
	sip.SetDefaultLogger(slog.New(slog.DiscardHandler))
	// This too is global: each connection has such a buffer for as long as it lasts.
	sip.TransportBufferReadSize = readSize
}

// readSize is the size of sipgo's read buffers. What is larger than that is parsed whole,
// around its read loop (reader.parse): a datagram may have 65535 bytes (RFC 3261 §18.1.1),
// and of a stream the loop drops every read that has nothing but zeros in it, so that it
// would take the next message for the rest of a body.
const readSize = 4096

// newLayer makes a sipgo transport layer that reads one listening socket and
// calls handle for each message, in order, on the goroutine that reads.
func newLayer(cfg *Config, log *slog.Logger, handle sip.MessageHandler) *sip.TransportLayer {
	l := sip.NewTransportLayer(nil, newParser(cfg), nil, sip.WithTransportLayerLogger(log))
	l.OnMessage(handle)
	return l
}

// newParser makes a parser, which may be used by several goroutines.
func newParser(cfg *Config) *sip.Parser {
	// Only Content-Length is parsed, as framing depends on it: see the package comment.
	all := sip.DefaultHeadersParser()
	p := sip.NewParser(sip.WithHeadersParsers(map[string]sip.HeaderParser{
		"content-length": all["content-length"],
		"l":              all["l"],
	}))
	// The limits are checked before; sipgo's must be the wider one.
	p.MaxMessageLength = cfg.MaxHeaderBytes + max(cfg.MaxBodyBytes, 65535) + 4096
	return p
}

// quietHandler is the log that sipgo's transports get. Their records may carry
// whole packets ("data"), and their errors quote them: it passes on the message
// and nothing else, and counts what could not be parsed instead of logging it.
type quietHandler struct {
	to     slog.Handler
	failed *atomic.Uint64
}

func (h quietHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (h quietHandler) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h quietHandler) WithGroup(string) slog.Handler                { return h }

func (h quietHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "failed to parse" {
		h.failed.Add(1)
		return nil
	}
	// Read errors end a connection and are told by our own code.
	if !h.to.Enabled(ctx, slog.LevelDebug) {
		return nil
	}
	return h.to.Handle(ctx, slog.NewRecord(r.Time, slog.LevelDebug, "sipgo: "+r.Message, r.PC))
}
