package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Watch says whose packets are to be logged for a while.
type Watch struct {
	Targets []string      // JIDs, SIP addresses, IP addresses and networks, domains; "*" is all
	Full    bool          // with the texts of users
	For     time.Duration // 0: the daemon's own choice
}

// Wire is which packets are shown. The names in its JSON are a promise to scripts.
type Wire struct {
	All      string    `json:"log_wire"`          // off, headers or full: of all packets (log.wire)
	HEP      string    `json:"log_hep,omitempty"` // where SIP packets are copied to (log.hep)
	HEPTexts bool      `json:"log_hep_texts,omitempty"`
	Targets  []string  `json:"targets,omitempty"`   // whose packets are logged besides
	Mode     string    `json:"mode,omitempty"`      // of those: headers or full
	Until    time.Time `json:"until,omitzero"`      // when that ends
	Quiet    string    `json:"log_level,omitempty"` // the log.level that keeps packets out of the log
	Logged   uint64    `json:"logged"`              // packets since the start
	Copied   uint64    `json:"copied"`
	Dropped  uint64    `json:"dropped"`
}

// Tracer is a Queue whose daemon can show packets.
type Tracer interface {
	// WireOn shows the packets of somebody, instead of those of the call before. Errors:
	// ErrRequest, with what is wrong.
	WireOn(ctx context.Context, w Watch) (Wire, error)
	// WireOff ends what WireOn has begun, if there is something.
	WireOff(ctx context.Context) (Wire, error)
	Wire(ctx context.Context) (Wire, error)
}

// tracing answers by ask if the Queue is a Tracer.
func (s *Server) tracing(ask func(Tracer, *http.Request) (Wire, error)) http.HandlerFunc {
	return answer(func(r *http.Request) (Wire, error) {
		t, can := s.queue.(Tracer)
		if !can {
			return Wire{}, ErrFailed.With("there are no packets to show")
		}
		return ask(t, r)
	})
}

func wireOn(t Tracer, r *http.Request) (Wire, error) {
	q := r.URL.Query()
	w := Watch{Targets: q["of"], Full: q.Get("full") == "1"}
	for _, t := range w.Targets {
		if t == "" || len(t) > maxAddress {
			return Wire{}, ErrRequest.With("an address is missing, or too long")
		}
	}
	if q.Has("seconds") {
		n, err := strconv.ParseFloat(q.Get("seconds"), 64)
		if err != nil || !(n > 0 && n < 1e9) {
			return Wire{}, ErrRequest.With("seconds is no number of them")
		}
		w.For = time.Duration(n * float64(time.Second))
	}
	return t.WireOn(r.Context(), w)
}

func wireOff(t Tracer, r *http.Request) (Wire, error) { return t.WireOff(r.Context()) }

func wireNow(t Tracer, r *http.Request) (Wire, error) { return t.Wire(r.Context()) }

// WireOn is Tracer's. A daemon of an earlier version does not know the question: ErrUnknown.
func (c *Client) WireOn(ctx context.Context, w Watch) (Wire, error) {
	q := url.Values{"of": w.Targets}
	if w.Full {
		q.Set("full", "1")
	}
	if w.For != 0 {
		q.Set("seconds", strconv.FormatFloat(w.For.Seconds(), 'f', -1, 64))
	}
	return ask[Wire](ctx, c, http.MethodPost, "wire/on", q)
}

// WireOff is Tracer's, as WireOn is.
func (c *Client) WireOff(ctx context.Context) (Wire, error) {
	return ask[Wire](ctx, c, http.MethodPost, "wire/off", nil)
}

// Wire is Tracer's, as WireOn is.
func (c *Client) Wire(ctx context.Context) (Wire, error) {
	return ask[Wire](ctx, c, http.MethodGet, "wire", nil)
}
