package admin

import (
	"context"
	"net/http"
)

// Reloaded is what reading the configuration again has come to. Keys are paths such as
// sip.route[0].via; there is no value of one in it. The names in its JSON are a promise to
// scripts.
type Reloaded struct {
	File    string   `json:"file"`
	Applied bool     `json:"applied"`           // false: there are faults, and all is as it was
	Changed []string `json:"changed,omitempty"` // what has taken effect
	Waiting []string `json:"waiting,omitempty"` // what takes effect when stox is started again
	Faults  []string `json:"faults,omitempty"`  // one line each
}

// Reloader is a Queue whose daemon can read its configuration again.
type Reloader interface {
	// Reload returns when that is done. What is wrong with the configuration is no error.
	Reload(ctx context.Context) (Reloaded, error)
}

// reload answers if the Queue is a Reloader.
func (s *Server) reload(r *http.Request) (Reloaded, error) {
	l, can := s.queue.(Reloader)
	if !can {
		return Reloaded{}, ErrFailed.With("there is nothing to read again")
	}
	return l.Reload(r.Context())
}

// Reload is Reloader's. A daemon of an earlier version does not know the question:
// ErrUnknown.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	return ask[Reloaded](ctx, c, http.MethodPost, "reload", nil)
}
