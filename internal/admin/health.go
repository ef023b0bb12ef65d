package admin

import (
	"context"
	"net/http"
	"strings"
)

// Health is how the daemon does. The names in its JSON, and those of the checks, are a
// promise to scripts.
type Health struct {
	Alive  bool    `json:"alive"` // the process does its work: to start it again would mend nothing
	Ready  bool    `json:"ready"` // it can carry messages
	Checks []Check `json:"checks"`
}

// Check is one thing that was looked at.
type Check struct {
	Name string `json:"check"` // one of the names below
	OK   bool   `json:"ok"`
	Text string `json:"text"` // how it is; if it is not well, what is wrong and how to mend it
}

// The names of checks.
const (
	CheckProcess = "process" // what runs gets on with its work
	CheckLink    = "link"    // a link to an XMPP server is up
	CheckJournal = "journal" // rows are written to the disk
	CheckRoutes  = "routes"  // a next hop answers
	CheckStop    = "stop"    // the daemon is being stopped; only then it is there
)

// Put adds a check. One that failed is the end of Ready, that of the process of Alive, too.
func (h *Health) Put(name string, ok bool, text string) {
	if len(h.Checks) == 0 {
		h.Alive, h.Ready = true, true
	}
	h.Checks = append(h.Checks, Check{name, ok, text})
	h.Ready = h.Ready && ok
	h.Alive = h.Alive && (ok || name != CheckProcess)
}

// String has a line for each check.
func (h *Health) String() string {
	var b strings.Builder
	for _, c := range h.Checks {
		word := "ok"
		if !c.OK {
			word = "fail"
		}
		b.WriteString(word + " " + c.Name + ": " + strings.ReplaceAll(c.Text, "\n", " ") + "\n")
	}
	return b.String()
}

// Healthy is a Queue whose daemon says how it does. Nothing in it waits: neither for the
// disk nor for a lock that somebody may not give back.
type Healthy interface {
	Health(ctx context.Context) (Health, error)
}

// health answers if the Queue is Healthy.
func (s *Server) health(r *http.Request) (Health, error) {
	q, can := s.queue.(Healthy)
	if !can {
		return Health{}, ErrFailed.With("nothing is known of the health")
	}
	return q.Health(r.Context())
}

// Health is Healthy's. A daemon of an earlier version does not know the question:
// ErrUnknown.
func (c *Client) Health(ctx context.Context) (Health, error) {
	return ask[Health](ctx, c, http.MethodGet, "health", nil)
}
