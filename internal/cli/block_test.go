package cli

import (
	"cmp"
	"context"
	"time"

	"github.com/stoxgw/stox/internal/admin"
)

// What a running daemon says of what is blocked, and of what was counted.

func (q *daemonQueue) Blocks(_ context.Context, owner string, n int) (admin.BlockPage, error) {
	return admin.BlockPage{Total: 1, Blocks: []admin.Block{{Owner: owner, What: "sip:\x1b[2J@example.net", Kind: "contact", Since: time.Now().Add(-90 * time.Second)}}}, nil
}

func (q *daemonQueue) Block(_ context.Context, owner, what string) (admin.Block, error) {
	return admin.Block{Owner: owner, What: what, Kind: "source"}, nil
}

func (q *daemonQueue) Unblock(ctx context.Context, owner, what string) (admin.Block, error) {
	return q.Block(ctx, owner, what)
}

func (q *daemonQueue) Usage(_ context.Context, day string, n int) (admin.UsePage, error) {
	day = cmp.Or(day, "2026-03-01")
	return admin.UsePage{Total: 9, Uses: []admin.Use{{User: "u1@example.com", Day: day, Sent: 20, Limit: 20}, {User: "u2@example.com", Day: day, Sent: 3}}}, nil
}
