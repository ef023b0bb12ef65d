package app

import (
	"errors"

	"github.com/stoxgw/stox/internal/blocks"
	"github.com/stoxgw/stox/internal/commands"
	"github.com/stoxgw/stox/mapping"
)

// This file gives the desk what is blocked, and what is counted.

// deskBlocks are what users and admins block by commands.
type deskBlocks struct{ t *blocks.Table }

var _ commands.Blocks = deskBlocks{}

func (d deskBlocks) Block(owner mapping.JID, what string) (string, error) {
	e, err := d.t.Block(owner, what)
	return e.What, blockProblem(err)
}

func (d deskBlocks) Unblock(owner mapping.JID, what string) (string, error) {
	e, err := d.t.Unblock(owner, what)
	return e.What, blockProblem(err)
}

func (d deskBlocks) List(owner mapping.JID) []string {
	list := d.t.List(owner)
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = e.What
	}
	return out
}

// blockProblem is an error as the desk has words for it.
func blockProblem(err error) error {
	for is, kind := range map[error]string{
		blocks.ErrFull: "full", blocks.ErrUnknown: "not-blocked", blocks.ErrKind: "admins-only", blocks.ErrAll: "everybody",
	} {
		if errors.Is(err, is) {
			return &commands.Problem{Kind: kind}
		}
	}
	return err
}

// deskUsage is who has sent how much to telephones today.
func (a *App) deskUsage(n int) []commands.Use {
	used := a.bridge.Usage(n)
	out := make([]commands.Use, len(used))
	for i, u := range used {
		out[i] = commands.Use{User: u.User.String(), Day: u.Day, Sent: u.Sent, Limit: u.Limit}
	}
	return out
}
