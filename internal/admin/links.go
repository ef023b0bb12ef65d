package admin

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Link is the connection of one component name to its XMPP server. The names in its
// JSON are a promise to scripts.
type Link struct {
	Component string    `json:"component"`
	Server    string    `json:"server"`
	State     string    `json:"state"` // up, connecting, down, split, idle, stopped
	Since     time.Time `json:"since"`
	Reason    string    `json:"reason,omitempty"` // not up: one stable word
	Text      string    `json:"text,omitempty"`   // not up: what is wrong and how to mend it
	RetryAt   time.Time `json:"retry_at,omitzero"`
}

// Linked is a Queue whose daemon has links, and tells of them. The file of a daemon that
// is stopped has none.
type Linked interface {
	Links(ctx context.Context) ([]Link, error)
}

// links answers if the Queue is Linked.
func (s *Server) links(r *http.Request) ([]Link, error) {
	l, has := s.queue.(Linked)
	if !has {
		return nil, ErrFailed.With("there are no links")
	}
	return l.Links(r.Context())
}

// Links is Linked's. A daemon of an earlier version does not know the question:
// ErrUnknown.
func (c *Client) Links(ctx context.Context) ([]Link, error) {
	return ask[[]Link](ctx, c, http.MethodGet, "links", nil)
}

// ErrUnknown means that the daemon does not know a question.
var ErrUnknown = errors.New("the daemon does not know this question")
