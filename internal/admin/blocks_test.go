package admin

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// blockingFake is a Queue of a daemon that blocks and counts.
type blockingFake struct{ *fake }

func (f blockingFake) Blocks(_ context.Context, owner string, n int) (BlockPage, error) {
	f.note("blocks", owner, " ", n)
	return BlockPage{Total: 2, Blocks: []Block{{Owner: owner, What: "sip:a@b\x00\u202e", Kind: "contact", Since: at}}}, nil
}

func (f blockingFake) Block(_ context.Context, owner, what string) (Block, error) {
	f.note("block", owner, " ", what)
	return Block{What: what, Kind: "source"}, nil
}

func (f blockingFake) Unblock(_ context.Context, owner, what string) (Block, error) {
	f.note("unblock", owner, " ", what)
	return Block{}, ErrNotFound.With("it is not blocked")
}

func (f blockingFake) Usage(_ context.Context, day string, n int) (UsePage, error) {
	f.note("usage", day, " ", n)
	return UsePage{Total: 1, Uses: []Use{{User: "u@x", Day: "2026-03-01", Sent: 3, Limit: 20}}}, nil
}

// What is blocked and what is counted crosses the socket as it is, and bad questions do not.
func TestBlocksAndUsage(t *testing.T) {
	path, f := sock(t), blockingFake{&fake{}}
	serve(t, path, f)
	c := dial(t, path)
	p, err := c.Blocks(t.Context(), "u@x", 7)
	if diff := cmp.Diff(BlockPage{2, []Block{{"u@x", "sip:a@b\x00\u202e", "contact", at}}}, p); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	if b, err := c.Block(t.Context(), "", "192.0.2.0/24&x=y"); err != nil || b != (Block{What: "192.0.2.0/24&x=y", Kind: "source"}) {
		t.Errorf("%+v, %v", b, err)
	}
	if _, err := c.Unblock(t.Context(), "u@x", "a"); !errors.Is(err, ErrNotFound) || err.Error() != "it is not blocked" {
		t.Errorf("%v", err)
	}
	if u, err := c.Usage(t.Context(), "2026-03-01", 0); err != nil || u.Total != 1 || u.Uses[0] != (Use{"u@x", "2026-03-01", 3, 20}) {
		t.Errorf("%+v, %v", u, err)
	}
	for name, ask := range map[string]func() error{
		"nothing":       func() error { _, err := c.Block(t.Context(), "", ""); return err },
		"too long":      func() error { _, err := c.Block(t.Context(), "", strings.Repeat("x", maxAddress+1)); return err },
		"nobody's":      func() error { _, err := c.Blocks(t.Context(), strings.Repeat("x", maxAddress+1), 0); return err },
		"less than all": func() error { _, err := c.Blocks(t.Context(), "", -1); return err },
		"no date":       func() error { _, err := c.Usage(t.Context(), "today", 0); return err },
	} {
		if err := ask(); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if diff := cmp.Diff([]string{"blocks u@x 7", "block  192.0.2.0/24&x=y", "unblock u@x a", "usage 2026-03-01 0"}, f.asked); diff != "" {
		t.Error(diff)
	}
}

func TestNothingIsBlockedOrCounted(t *testing.T) {
	path := sock(t)
	serve(t, path, &fake{})
	c := dial(t, path)
	_, err1 := c.Blocks(t.Context(), "", 0)
	_, err2 := c.Block(t.Context(), "", "a")
	_, err3 := c.Usage(t.Context(), "", 0)
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, ErrFailed) {
			t.Errorf("%v", err)
		}
	}
}
