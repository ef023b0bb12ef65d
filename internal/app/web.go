package app

import (
	"context"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/metrics"
)

// openWeb opens the port for programs that watch, and for people, if there is one. An address that nobody
// has asked for is not worth the daemon.
func (a *App) openWeb() error {
	a.web = admin.NewWeb(a.config().Admin.Listen, a.config().Admin.Token.Reveal(), a.log)
	a.web.Handle("/metrics", admin.Guarded, metrics.Page(a.gather, a.log))
	a.web.HandleHealth(func() admin.Health { return a.watch.health(time.Now()) })
	a.pages = a.newPages()
	err := a.web.Listen()
	if err != nil && a.config().Origin("admin.listen") == "default" {
		a.log.Warn("there are no metrics and no status page: their port cannot be opened", "err", err, "remedy", "set admin.listen; \"\" turns it off")
		return nil
	}
	return err
}

// answerWeb runs that port. Its end is not that of the daemon: messages do not need it.
func (a *App) answerWeb(ctx context.Context) error {
	err := a.web.Run(ctx)
	if ctx.Err() == nil {
		a.log.Error("metrics, health and the status page are not answered any more", "listen", a.config().Admin.Listen, "err", err, "remedy", "restart stox")
		<-ctx.Done()
	}
	return nil
}
