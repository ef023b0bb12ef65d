package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/stoxgw/stox/internal/history"
)

// Historic is a Queue whose daemon remembers the recent messages step by step.
type Historic interface {
	// History returns what is remembered of the messages with that stanza id or Call-ID, or
	// of the one with that number in the queue, the newest first; none if nothing is. The
	// texts of messages are not among it.
	History(ctx context.Context, id string) ([]history.Message, error)
}

// history answers if the Queue is Historic; any other remembers nothing.
func (s *Server) history(ctx context.Context, id string) ([]history.Message, error) {
	h, has := s.queue.(Historic)
	if !has {
		return nil, nil
	}
	return h.History(ctx, id)
}

// History is Historic's. A daemon of an earlier version remembers nothing.
func (c *Client) History(ctx context.Context, id string) ([]history.Message, error) {
	found, err := ask[[]history.Message](ctx, c, http.MethodGet, "history", url.Values{"id": {id}})
	if errors.Is(err, ErrUnknown) {
		return nil, nil
	}
	return found, err
}
