package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Relation is who of a user and a contact may see whose presence, and what goes on for that.
// The names in its JSON are a promise to scripts. What anybody shows of himself is never part
// of it.
type Relation struct {
	User    string `json:"user"`
	Contact string `json:"contact"`
	SIP     string `json:"sip,omitempty"` // the contact's address; "": it has none any more

	// Watches is the user's subscription to the contact (pending, granted), Watched the
	// contact's to the user (asked, granted, declined); "" if there is none.
	Watches string    `json:"watches,omitempty"`
	Watched string    `json:"watched,omitempty"`
	Since   time.Time `json:"since,omitzero"` // of the last change of either; zero: not known

	Dialogs []Dialog `json:"dialogs,omitempty"` // of a daemon that runs
}

// Dialog is a subscription as SIP has it at this moment.
type Dialog struct {
	Direction string    `json:"direction"` // Watches or Watched
	State     string    `json:"state,omitempty"`
	Expires   time.Time `json:"expires,omitzero"`
	Refresh   time.Time `json:"refresh,omitzero"` // when stox refreshes it, if it is the one who does
}

// The directions of a Dialog, and of Cancel.
const (
	Watches = "watches" // the user watches the contact
	Watched = "watched" // the contact watches the user
)

// RelationPage is a part of the relations.
type RelationPage struct {
	Total     int        `json:"total"` // of the filter, at this moment
	Relations []Relation `json:"relations"`
}

// RelationFilter asks for some relations. A contact is a JID or a SIP URI; "" is any.
type RelationFilter struct {
	User, Contact           string
	AfterUser, AfterContact string // of the last one of the page before
}

// Presence is a Queue that tells who watches whom. Client is one, too. Errors: ErrNotFound,
// ErrRequest.
type Presence interface {
	// Relations returns the first n, or fewer, in the order of users and contacts; none at the end.
	Relations(ctx context.Context, f RelationFilter, n int) (RelationPage, error)
	// Relation returns one.
	Relation(ctx context.Context, user, contact string) (Relation, error)
	// Cancel ends one in a direction, "" is both, and returns what there was. Both sides are
	// told. A daemon that is stopped tells nobody, and its file has ErrFailed.
	Cancel(ctx context.Context, user, contact, direction string) (Relation, error)
}

var errNoPresence = ErrFailed.With("there is no presence here")

func (s *Server) relations(r *http.Request) (RelationPage, error) {
	p, has := s.queue.(Presence)
	if !has {
		return RelationPage{}, errNoPresence
	}
	q := r.URL.Query()
	n, err := pageSize(q)
	if err != nil {
		return RelationPage{}, err
	}
	f := RelationFilter{User: q.Get("user"), Contact: q.Get("contact"), AfterUser: q.Get("after_user"), AfterContact: q.Get("after_contact")}
	if err := tooLong(f.User, f.Contact, f.AfterUser, f.AfterContact); err != nil {
		return RelationPage{}, err
	}
	return p.Relations(r.Context(), f, n)
}

func (s *Server) relation(r *http.Request) (Relation, error) {
	return s.aboutRelation(r, func(p Presence, user, contact string) (Relation, error) {
		return p.Relation(r.Context(), user, contact)
	})
}

func (s *Server) cancel(r *http.Request) (Relation, error) {
	direction := r.URL.Query().Get("direction")
	if direction != "" && direction != Watches && direction != Watched {
		return Relation{}, ErrRequest.With("the direction is watches or watched, or none for both")
	}
	return s.aboutRelation(r, func(p Presence, user, contact string) (Relation, error) {
		return p.Cancel(r.Context(), user, contact, direction)
	})
}

func (s *Server) aboutRelation(r *http.Request, ask func(p Presence, user, contact string) (Relation, error)) (Relation, error) {
	p, has := s.queue.(Presence)
	if !has {
		return Relation{}, errNoPresence
	}
	user, contact := r.URL.Query().Get("user"), r.URL.Query().Get("contact")
	if user == "" || contact == "" {
		return Relation{}, ErrRequest.With("the user or the contact is missing")
	}
	if err := tooLong(user, contact); err != nil {
		return Relation{}, err
	}
	return ask(p, user, contact)
}

// maxAddress is more than the longest JID of a user has, in bytes.
const maxAddress = 4096

func tooLong(addresses ...string) error {
	for _, a := range addresses {
		if len(a) > maxAddress {
			return ErrRequest.With("an address is longer than any that stox knows")
		}
	}
	return nil
}

// Relations is Presence's. A daemon of an earlier version does not know the question:
// ErrUnknown. So it is with the others.
func (c *Client) Relations(ctx context.Context, f RelationFilter, n int) (RelationPage, error) {
	return ask[RelationPage](ctx, c, http.MethodGet, "presence/list", url.Values{"user": {f.User}, "contact": {f.Contact},
		"after_user": {f.AfterUser}, "after_contact": {f.AfterContact}, "n": {strconv.Itoa(n)}})
}

// Relation is Presence's.
func (c *Client) Relation(ctx context.Context, user, contact string) (Relation, error) {
	return ask[Relation](ctx, c, http.MethodGet, "presence/show", url.Values{"user": {user}, "contact": {contact}})
}

// Cancel is Presence's.
func (c *Client) Cancel(ctx context.Context, user, contact, direction string) (Relation, error) {
	return ask[Relation](ctx, c, http.MethodPost, "presence/cancel", url.Values{"user": {user}, "contact": {contact}, "direction": {direction}})
}
