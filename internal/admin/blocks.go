package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Block is something that is blocked. The names in its JSON are a promise to scripts.
type Block struct {
	Owner string    `json:"owner,omitempty"` // the user who has blocked it; "": an admin, for everybody
	What  string    `json:"what"`            // in the form in which it is kept
	Kind  string    `json:"kind"`            // contact, domain, source or user
	Since time.Time `json:"since,omitzero"`
}

// BlockPage is what somebody has blocked, or a part of it.
type BlockPage struct {
	Total  int     `json:"total"`
	Blocks []Block `json:"blocks"`
}

// Blocker is a Queue that tells, and changes, what is blocked. Client is one, too. The owner is
// a JID, or "" for an admin. Errors: ErrNotFound, ErrRequest.
type Blocker interface {
	// Blocks returns the first n entries of an owner, in order; 0 is all of them.
	Blocks(ctx context.Context, owner string, n int) (BlockPage, error)
	// Block adds one and returns it, also if it is there already.
	Block(ctx context.Context, owner, what string) (Block, error)
	// Unblock takes one back and returns what it was.
	Unblock(ctx context.Context, owner, what string) (Block, error)
}

// Use is how many messages a user has sent to telephones on a day. The names in its JSON are a
// promise to scripts.
type Use struct {
	User  string `json:"user"`
	Day   string `json:"day"` // "2026-03-01", where the machine is
	Sent  int    `json:"sent"`
	Limit int    `json:"limit,omitempty"` // a day, as it is now; 0: there is none
}

// UsePage is who has sent something on a day, or a part of them.
type UsePage struct {
	Total int   `json:"total"`
	Uses  []Use `json:"uses"`
}

// Counter is a Queue that tells who has sent how much to telephones. Client is one, too.
// Errors: ErrRequest.
type Counter interface {
	// Usage returns the first n users of a day, those who have sent most first; 0 is all of
	// them, and "" the day that it is.
	Usage(ctx context.Context, day string, n int) (UsePage, error)
}

var (
	errNoBlocks = ErrFailed.With("nothing is known here of what is blocked")
	errNoUsage  = ErrFailed.With("nothing is counted here")
)

func (s *Server) blocks(r *http.Request) (BlockPage, error) {
	b, has := s.queue.(Blocker)
	if !has {
		return BlockPage{}, errNoBlocks
	}
	q := r.URL.Query()
	n, err := atMost(q)
	if err == nil {
		err = tooLong(q.Get("owner"))
	}
	if err != nil {
		return BlockPage{}, err
	}
	return b.Blocks(r.Context(), q.Get("owner"), n)
}

func (s *Server) block(r *http.Request) (Block, error) {
	return s.aboutBlock(r, Blocker.Block)
}

func (s *Server) unblock(r *http.Request) (Block, error) {
	return s.aboutBlock(r, Blocker.Unblock)
}

func (s *Server) aboutBlock(r *http.Request, ask func(b Blocker, ctx context.Context, owner, what string) (Block, error)) (Block, error) {
	b, has := s.queue.(Blocker)
	if !has {
		return Block{}, errNoBlocks
	}
	owner, what := r.URL.Query().Get("owner"), r.URL.Query().Get("what")
	if what == "" {
		return Block{}, ErrRequest.With("say what is to be blocked")
	}
	if err := tooLong(owner, what); err != nil {
		return Block{}, err
	}
	return ask(b, r.Context(), owner, what)
}

func (s *Server) usage(r *http.Request) (UsePage, error) {
	c, has := s.queue.(Counter)
	if !has {
		return UsePage{}, errNoUsage
	}
	q := r.URL.Query()
	n, err := atMost(q)
	if err != nil {
		return UsePage{}, err
	}
	day := q.Get("day")
	if _, err := time.Parse(time.DateOnly, day); err != nil && day != "" {
		return UsePage{}, ErrRequest.With("the day is no date such as 2026-03-01")
	}
	return c.Usage(r.Context(), day, n)
}

// atMost is how many are asked for, 0 for all.
func atMost(q url.Values) (int, error) {
	n, err := strconv.Atoi(q.Get("n"))
	if err != nil && q.Has("n") || n < 0 {
		return 0, ErrRequest.With("n is no number")
	}
	return n, nil
}

// Blocks is Blocker's. A daemon of an earlier version does not know the question: ErrUnknown.
// So it is with the others.
func (c *Client) Blocks(ctx context.Context, owner string, n int) (BlockPage, error) {
	return ask[BlockPage](ctx, c, http.MethodGet, "block/list", url.Values{"owner": {owner}, "n": {strconv.Itoa(n)}})
}

// Block is Blocker's.
func (c *Client) Block(ctx context.Context, owner, what string) (Block, error) {
	return ask[Block](ctx, c, http.MethodPost, "block/add", url.Values{"owner": {owner}, "what": {what}})
}

// Unblock is Blocker's.
func (c *Client) Unblock(ctx context.Context, owner, what string) (Block, error) {
	return ask[Block](ctx, c, http.MethodPost, "block/remove", url.Values{"owner": {owner}, "what": {what}})
}

// Usage is Counter's.
func (c *Client) Usage(ctx context.Context, day string, n int) (UsePage, error) {
	return ask[UsePage](ctx, c, http.MethodGet, "usage", url.Values{"day": {day}, "n": {strconv.Itoa(n)}})
}
