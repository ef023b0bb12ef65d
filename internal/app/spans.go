package app

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/version"
	"github.com/stoxgw/stox/internal/wire"
)

// newSpans is what makes spans of messages, nil if nobody wants them.
func newSpans(cfg *config.Config, transport http.RoundTripper, log *slog.Logger) *wire.Spans {
	if cfg.Log.OTLP == "" || cfg.Log.OTLP == "off" {
		return nil
	}
	return wire.NewSpans(cfg.Log.OTLP, version.String(), cfg.XMPP.Domain, transport, log)
}

// spanRecorder hands what the bridge tells of messages to a second one besides: to what makes
// spans of it. Addresses of people do not go there.
type spanRecorder struct {
	bridge.History
	spans *wire.Spans
	room  *sync.Pool // of *[]wire.Step
}

// maxNotes is how many notes a slice has room for that is kept.
const maxNotes = 1024

func withSpans(h bridge.History, spans *wire.Spans) bridge.History {
	if spans == nil {
		return h
	}
	return spanRecorder{h, spans, &sync.Pool{New: func() any { return new([]wire.Step) }}}
}

// Put implements bridge.History.
func (r spanRecorder) Put(batch []bridge.Note) {
	r.History.Put(batch)
	room := r.room.Get().(*[]wire.Step)
	steps := (*room)[:0]
	for i := range batch {
		n := &batch[i]
		steps = append(steps, wire.Step{Key: n.Key, ToXMPP: n.FromSIP, Read: n.Read, At: n.At, Kind: n.Kind, ID: n.ID, CallID: n.CallID, Peer: sipDomainOf(n.SIP),
			Status: n.Status, N: n.N, Of: n.Of, Condition: n.Condition, Outcome: n.Outcome})
	}
	r.spans.Put(steps)
	clear(steps) // they refer to what was read
	if cap(steps) <= maxNotes {
		*room = steps[:0]
		r.room.Put(room)
	}
}

// sipDomainOf is the domain of a SIP address, "" if it has none that can be told from a user.
func sipDomainOf(address string) string {
	_, host, is := strings.Cut(address, "@")
	if !is || strings.Contains(host, "@") {
		return ""
	}
	if end := strings.IndexAny(host, ";?>"); end >= 0 {
		host = host[:end]
	}
	return host
}
