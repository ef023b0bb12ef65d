package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/presence"
	"github.com/stoxgw/stox/internal/store"
	"github.com/stoxgw/stox/mapping"
)

// This file is what an operator sees of presence, whether a daemon runs (liveQueue) or not
// (FileQueue): who may see whom, and the dialogs of a daemon that runs.

// livePresence is what the running engine tells and does.
type livePresence interface {
	List(presence.Filter) (page []presence.Entry, total int)
	Find(user, contact mapping.JID) (presence.Entry, bool)
	Cancel(user, contact mapping.JID, only presence.Direction) (presence.Entry, error)
}

var (
	_ livePresence   = (*presence.Engine)(nil)
	_ admin.Presence = (*liveQueue)(nil)
	_ admin.Presence = (*FileQueue)(nil)
	_ presence.Book  = (*journal)(nil)
)

// Relations is that of admin.Presence, as are the other methods.
func (q *liveQueue) Relations(_ context.Context, f admin.RelationFilter, n int) (admin.RelationPage, error) {
	filter, err := filterOf(q.rules(), f)
	if err != nil {
		return admin.RelationPage{}, err
	}
	filter.N = n
	if f.AfterUser != "" || f.AfterContact != "" {
		if filter.AfterUser, err = jidOf(f.AfterUser); err != nil {
			return admin.RelationPage{}, err
		}
		if filter.AfterContact, err = jidOf(f.AfterContact); err != nil {
			return admin.RelationPage{}, err
		}
	}
	page, total := q.presence.List(filter)
	out := admin.RelationPage{Total: total, Relations: make([]admin.Relation, 0, len(page))}
	for i := range page {
		out.Relations = append(out.Relations, describeRelation(q.rules(), &page[i]))
	}
	return out, nil
}

func (q *liveQueue) Relation(_ context.Context, user, contact string) (admin.Relation, error) {
	u, c, err := pairOf(q.rules(), user, contact)
	if err != nil {
		return admin.Relation{}, err
	}
	e, found := q.presence.Find(u, c)
	if !found {
		return admin.Relation{}, errNoRelation(u, c)
	}
	return describeRelation(q.rules(), &e), nil
}

func (q *liveQueue) Cancel(_ context.Context, user, contact, direction string) (admin.Relation, error) {
	u, c, err := pairOf(q.rules(), user, contact)
	if err != nil {
		return admin.Relation{}, err
	}
	was, err := q.presence.Cancel(u, c, presence.Direction(direction))
	switch {
	case errors.Is(err, presence.ErrNoRelation):
		return admin.Relation{}, errNoRelation(u, c)
	case errors.Is(err, presence.ErrClosing):
		return admin.Relation{}, admin.ErrFailed.With("stox is stopping: cancel it when it runs again")
	case err != nil:
		return admin.Relation{}, err
	}
	q.log.Info("the operator has cancelled a subscription", "user", u, "contact", c, "direction", directionOrBoth(direction))
	return describeRelation(q.rules(), &was), nil
}

func directionOrBoth(direction string) string {
	if direction == "" {
		return "both"
	}
	return direction
}

// Relations is that of admin.Presence, as are the other methods.
func (q *FileQueue) Relations(_ context.Context, f admin.RelationFilter, n int) (admin.RelationPage, error) {
	rules, err := q.openRules()
	if err != nil {
		return admin.RelationPage{}, err
	}
	filter, err := filterOf(rules, f)
	if err != nil {
		return admin.RelationPage{}, err
	}
	user, contact := filter.User.String(), filter.Contact.String()
	total, err := q.reader.CountRelations(user, contact)
	if err != nil {
		return admin.RelationPage{}, err
	}
	page, err := q.reader.Relations(store.RelationQuery{User: user, Contact: contact, N: n,
		After: [2]string{f.AfterUser, f.AfterContact}})
	if err != nil {
		return admin.RelationPage{}, err
	}
	out := admin.RelationPage{Total: total, Relations: make([]admin.Relation, 0, len(page))}
	for _, r := range page {
		out.Relations = append(out.Relations, describeRow(rules, r))
	}
	return out, nil
}

// Relation finds one.
func (q *FileQueue) Relation(_ context.Context, user, contact string) (admin.Relation, error) {
	rules, err := q.openRules()
	if err != nil {
		return admin.Relation{}, err
	}
	u, c, err := pairOf(rules, user, contact)
	if err != nil {
		return admin.Relation{}, err
	}
	page, err := q.reader.Relations(store.RelationQuery{User: u.String(), Contact: c.String(), N: 1})
	switch {
	case err != nil:
		return admin.Relation{}, err
	case len(page) == 0:
		return admin.Relation{}, errNoRelation(u, c)
	}
	return describeRow(rules, page[0]), nil
}

// Cancel is for a daemon that runs: both sides have to be told.
func (q *FileQueue) Cancel(context.Context, string, string, string) (admin.Relation, error) {
	return admin.Relation{}, admin.ErrFailed.With("stox does not run, so neither side would be told: start it, then cancel the subscription")
}

func (q *FileQueue) openRules() (*mapping.Rules, error) {
	if err := q.open(); err != nil {
		return nil, err
	}
	if q.rules == nil {
		rules, err := BuildRules(q.cfg)
		if err != nil {
			return nil, err
		}
		q.rules = rules
	}
	return q.rules, nil
}

// filterOf reads of whom a filter is.
func filterOf(rules *mapping.Rules, f admin.RelationFilter) (out presence.Filter, err error) {
	if f.User != "" {
		if out.User, err = jidOf(f.User); err != nil {
			return presence.Filter{}, err
		}
	}
	if f.Contact != "" {
		if out.Contact, err = contactOf(rules, f.Contact); err != nil {
			return presence.Filter{}, err
		}
	}
	return out, nil
}

func pairOf(rules *mapping.Rules, user, contact string) (u, c mapping.JID, err error) {
	if u, err = jidOf(user); err == nil {
		c, err = contactOf(rules, contact)
	}
	return u, c, err
}

// jidOf reads a JID; a resource in it is of no interest.
func jidOf(text string) (mapping.JID, error) {
	j, err := mapping.ParseJID(text)
	if err != nil {
		return mapping.JID{}, admin.ErrRequest.With(fmt.Sprintf("%+q is no JID", text))
	}
	return j.Bare(), nil
}

// contactOf reads a JID, or a SIP URI, which it finds the JID of.
func contactOf(rules *mapping.Rules, text string) (mapping.JID, error) {
	if j, err := mapping.ParseJID(text); err == nil {
		return j.Bare(), nil
	}
	u, err := mapping.ParseURI(text)
	if err != nil {
		return mapping.JID{}, admin.ErrRequest.With(fmt.Sprintf("%+q is neither a JID nor a SIP URI", text))
	}
	j, err := rules.XMPPAddress(u)
	if err != nil {
		return mapping.JID{}, admin.ErrRequest.With(fmt.Sprintf("%+q has no address in XMPP; stox map says why", text))
	}
	return j.Bare(), nil
}

func errNoRelation(user, contact mapping.JID) error {
	return admin.ErrNotFound.With(fmt.Sprintf("there is no such subscription between %+q and %+q (any more)", user.String(), contact.String()))
}

func describeRelation(rules *mapping.Rules, e *presence.Entry) admin.Relation {
	r := admin.Relation{User: e.User.String(), Contact: e.Contact.String(), Since: e.Since,
		Watches: presence.Watches.Of(e.State), Watched: presence.Watched.Of(e.State)}
	if u, err := rules.SIPAddress(e.Contact); err == nil {
		r.SIP = u.String()
	}
	for _, d := range e.Dialogs {
		r.Dialogs = append(r.Dialogs, admin.Dialog{Direction: string(d.Direction), State: string(d.State), Expires: d.Expires, Refresh: d.Refresh})
	}
	return r
}

// describeRow describes a row of the file. What is no JID there is shown as it stands.
func describeRow(rules *mapping.Rules, row store.Relation) admin.Relation {
	state := presence.State(row.State)
	r := admin.Relation{User: row.User, Contact: row.Contact, Since: row.Since,
		Watches: presence.Watches.Of(state), Watched: presence.Watched.Of(state)}
	if known := relationsOf([]store.Relation{row}); len(known) == 1 {
		r = describeRelation(rules, &presence.Entry{Relation: known[0]})
	}
	return r
}

// PutRelations makes the journal the engine's Book.
func (j *journal) PutRelations(batch []presence.Relation) {
	out := make([]store.Relation, len(batch))
	for i, r := range batch {
		out[i] = store.Relation{User: r.User.String(), Contact: r.Contact.String(), State: uint16(r.State), Since: r.Since}
	}
	j.store.PutRelations(out)
}

// PutDialogs makes the journal the engine's Book.
func (j *journal) PutDialogs(batch []presence.Dialog) {
	out := make([]store.Dialog, len(batch))
	for i, d := range batch {
		out[i] = store.Dialog(d)
	}
	j.store.PutDialogs(out)
}

// relationsOf leaves out what is no JID: the file may have been written to by others.
func relationsOf(batch []store.Relation) []presence.Relation {
	out := make([]presence.Relation, 0, len(batch))
	for _, r := range batch {
		user, err := mapping.ParseJID(r.User)
		contact, err2 := mapping.ParseJID(r.Contact)
		if err == nil && err2 == nil {
			out = append(out, presence.Relation{User: user, Contact: contact, State: presence.State(r.State), Since: r.Since})
		}
	}
	return out
}

func dialogsOf(batch []store.Dialog) []presence.Dialog {
	out := make([]presence.Dialog, len(batch))
	for i, d := range batch {
		out[i] = presence.Dialog(d)
	}
	return out
}

// restorePresence hands over what an earlier run has kept, relations before dialogs.
func restorePresence(s *store.Store, restore func([]presence.Relation, []presence.Dialog)) (relations, dialogs int, err error) {
	err = s.LoadRelations(func(batch []store.Relation) error {
		relations += len(batch)
		restore(relationsOf(batch), nil)
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	err = s.LoadDialogs(func(batch []store.Dialog) error {
		dialogs += len(batch)
		restore(nil, dialogsOf(batch))
		return nil
	})
	return relations, dialogs, err
}
