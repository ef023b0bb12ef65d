package admin

import (
	"context"
	"net/http"
	"time"
)

// Route is a sip.route with a next hop of its own, and how it does. The names in its JSON
// are a promise to scripts.
type Route struct {
	Domain string `json:"domain"`
	Via    string `json:"via"`

	Registration string    `json:"registration,omitempty"` // registered, lost, refused, ending, or trying; "": the route has none
	Registered   bool      `json:"registered,omitempty"`   // at this moment the server sends here
	Server       string    `json:"server,omitempty"`       // registered: where
	Since        time.Time `json:"since,omitzero"`         // of Registration
	Until        time.Time `json:"until,omitzero"`         // when the last binding ends unless it is made anew
	Status       int       `json:"status,omitempty"`       // of the last answer to REGISTER; 0: there was none
	Reason       string    `json:"reason,omitempty"`       // what came of the last attempt, if it failed

	Answers      string    `json:"answers"` // alive, dead or unknown
	AnswersSince time.Time `json:"answers_since,omitzero"`
	Problem      string    `json:"problem,omitempty"` // why it is not alive
	RTT          float64   `json:"rtt_ms,omitempty"`  // of the last OPTIONS, if that was what it answered last
}

// Routed is a Queue whose daemon has routes, and tells of them.
type Routed interface {
	Routes(ctx context.Context) ([]Route, error)
}

// routes answers if the Queue is Routed.
func (s *Server) routes(r *http.Request) ([]Route, error) {
	l, has := s.queue.(Routed)
	if !has {
		return nil, ErrFailed.With("there are no routes")
	}
	return l.Routes(r.Context())
}

// Routes is Routed's. A daemon of an earlier version does not know the question:
// ErrUnknown.
func (c *Client) Routes(ctx context.Context) ([]Route, error) {
	return ask[[]Route](ctx, c, http.MethodGet, "routes", nil)
}
