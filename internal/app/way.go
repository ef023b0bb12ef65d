package app

import (
	"context"
	"log/slog"

	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside"
)

// Way tells in words where a request to uri goes with this configuration: see UA.Way of
// sipside. It asks the name server.
func Way(ctx context.Context, cfg *config.Config, uri mapping.URI) ([]string, error) {
	c, err := sipsideConfig(cfg)
	if err != nil {
		return nil, err
	}
	u, err := sipside.New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, faults(err)
	}
	return u.Way(ctx, uri)
}
