package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/blocks"
	"github.com/stoxgw/stox/internal/store"
	"github.com/stoxgw/stox/mapping"
)

// This file is what an operator sees of what is blocked and of what users have sent to
// telephones, and what he changes, whether a daemon runs (liveQueue) or not (FileQueue).

var (
	_ admin.Blocker = (*liveQueue)(nil)
	_ admin.Blocker = (*FileQueue)(nil)
	_ admin.Counter = (*liveQueue)(nil)
	_ admin.Counter = (*FileQueue)(nil)
)

// Blocks is that of admin.Blocker, as are the other methods.
func (q *liveQueue) Blocks(_ context.Context, owner string, n int) (admin.BlockPage, error) {
	return listBlocks(q.blocks, owner, n)
}

func (q *liveQueue) Block(_ context.Context, owner, what string) (admin.Block, error) {
	return changeBlock(q.blocks.Block, owner, what)
}

func (q *liveQueue) Unblock(_ context.Context, owner, what string) (admin.Block, error) {
	return changeBlock(q.blocks.Unblock, owner, what)
}

// Usage is that of admin.Counter.
func (q *liveQueue) Usage(_ context.Context, day string, n int) (admin.UsePage, error) {
	if used := q.usage(0); day == "" || len(used) > 0 && used[0].Day == day { // not all of it may be on the disk
		out := make([]admin.Use, 0, len(used))
		for _, u := range used {
			out = append(out, admin.Use{User: u.User.String(), Day: u.Day, Sent: u.Sent, Limit: u.Limit})
		}
		return firstUses(out, n), nil
	}
	return usageOf(q.store.LoadUsage, day, n)
}

// Blocks is that of admin.Blocker, as are the other methods.
func (q *FileQueue) Blocks(_ context.Context, owner string, n int) (admin.BlockPage, error) {
	if err := q.open(); err != nil {
		return admin.BlockPage{}, err
	}
	t := blocks.New(blocks.Options{})
	err := q.reader.Blocks(func(batch []store.Block) error {
		t.Restore(entriesOf(batch))
		return nil
	})
	if err != nil {
		return admin.BlockPage{}, err
	}
	return listBlocks(t, owner, n)
}

func (q *FileQueue) Block(ctx context.Context, owner, what string) (admin.Block, error) {
	return q.changeBlock(ctx, (*blocks.Table).Block, owner, what)
}

func (q *FileQueue) Unblock(ctx context.Context, owner, what string) (admin.Block, error) {
	return q.changeBlock(ctx, (*blocks.Table).Unblock, owner, what)
}

// changeBlock changes what is blocked in the file, under its lock.
func (q *FileQueue) changeBlock(ctx context.Context, how func(*blocks.Table, mapping.JID, string) (blocks.Entry, error), owner, what string) (admin.Block, error) {
	rules, err := q.openRules()
	if err != nil {
		return admin.Block{}, err
	}
	if err := q.Close(); err != nil { // or the log of the file would stay
		return admin.Block{}, err
	}
	s, err := store.Open(q.path, q.o)
	if errors.Is(err, store.ErrLocked) {
		return admin.Block{}, fmt.Errorf("a daemon has %s, and it does not answer: is admin.socket the one that it was started with? (%w)", q.path, err)
	}
	if err != nil {
		return admin.Block{}, err
	}
	defer s.Close()
	t := blocks.New(blocks.Options{Rules: func() *mapping.Rules { return rules }, Book: &journal{store: s}})
	err = s.LoadBlocks(func(batch []store.Block) error {
		t.Restore(entriesOf(batch))
		return nil
	})
	if err != nil {
		return admin.Block{}, err
	}
	b, err := changeBlock(func(user mapping.JID, what string) (blocks.Entry, error) { return how(t, user, what) }, owner, what)
	if err != nil {
		return admin.Block{}, err
	}
	over, end := context.WithCancel(ctx)
	end() // Run commits what is there and returns
	return b, s.Run(over, store.Events{})
}

// Usage is that of admin.Counter.
func (q *FileQueue) Usage(_ context.Context, day string, n int) (admin.UsePage, error) {
	if err := q.open(); err != nil {
		return admin.UsePage{}, err
	}
	page, err := usageOf(q.reader.Usage, cmp.Or(day, time.Now().Format(time.DateOnly)), n)
	for i := range page.Uses {
		page.Uses[i].Limit = q.cfg.Limits.DailyPerUser
	}
	return page, err
}

func listBlocks(t *blocks.Table, owner string, n int) (admin.BlockPage, error) {
	user, err := ownerOf(owner)
	if err != nil {
		return admin.BlockPage{}, err
	}
	all := t.List(user)
	out := admin.BlockPage{Total: len(all), Blocks: make([]admin.Block, 0, len(all))}
	for _, e := range all {
		if n > 0 && len(out.Blocks) == n {
			break
		}
		out.Blocks = append(out.Blocks, describeBlock(e))
	}
	return out, nil
}

func changeBlock(change func(mapping.JID, string) (blocks.Entry, error), owner, what string) (admin.Block, error) {
	user, err := ownerOf(owner)
	if err != nil {
		return admin.Block{}, err
	}
	e, err := change(user, what)
	if err != nil {
		return admin.Block{}, blockError(err, what)
	}
	return describeBlock(e), nil
}

// ownerOf reads who has blocked something; zero is an admin.
func ownerOf(owner string) (mapping.JID, error) {
	if owner == "" {
		return mapping.JID{}, nil
	}
	user, err := jidOf(owner)
	if err == nil && user.Local() == "" {
		err = admin.ErrRequest.With(fmt.Sprintf("%+q is no user", owner))
	}
	return user.Bare(), err
}

func describeBlock(e blocks.Entry) admin.Block {
	return admin.Block{Owner: e.Owner.String(), What: e.What, Kind: string(e.Kind()), Since: e.Since}
}

// blockError says in words for an operator why something is not blocked, or not unblocked.
func blockError(err error, what string) error {
	var f *mapping.Failure
	switch {
	case errors.Is(err, blocks.ErrUnknown):
		return admin.ErrNotFound.With(fmt.Sprintf("%+q is not blocked", what))
	case errors.Is(err, blocks.ErrFull):
		return admin.ErrFailed.With("there is no room for another one: a user may block 1000 addresses")
	case errors.Is(err, blocks.ErrKind):
		return admin.ErrRequest.With(fmt.Sprintf("%+q cannot be blocked for one user: only contacts can", what))
	case errors.Is(err, blocks.ErrAll):
		return admin.ErrRequest.With(fmt.Sprintf("%+q would block everybody, or this machine itself", what))
	case errors.As(err, &f):
		return admin.ErrRequest.With(fmt.Sprintf("%+q cannot be blocked: %s", what, f.Text))
	}
	return err
}

// usageOf reads what was counted on a day, those who have sent most first.
func usageOf(load func(string, func([]store.Usage) error) error, day string, n int) (admin.UsePage, error) {
	var all []admin.Use
	err := load(day, func(batch []store.Usage) error {
		for _, u := range batch {
			if u.Sent > 0 {
				all = append(all, admin.Use{User: u.User, Day: u.Day, Sent: u.Sent})
			}
		}
		return nil
	})
	slices.SortFunc(all, func(a, b admin.Use) int { return cmp.Or(b.Sent-a.Sent, strings.Compare(a.User, b.User)) })
	return firstUses(all, n), err
}

func firstUses(all []admin.Use, n int) admin.UsePage {
	page := admin.UsePage{Total: len(all), Uses: all}
	if n > 0 && len(all) > n {
		page.Uses = all[:n]
	}
	if page.Uses == nil {
		page.Uses = []admin.Use{}
	}
	return page
}
