package app

import (
	"context"
	"time"

	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/hist"
	"github.com/stoxgw/stox/internal/history"
	"github.com/stoxgw/stox/internal/statuspage"
	"github.com/stoxgw/stox/internal/version"
)

// newPages puts the pages for people on the web.
func (a *App) newPages() *statuspage.Pages {
	return statuspage.New(statuspage.Source{
		Name: a.config().XMPP.Domain, Version: version.String(), Started: time.Now(),
		Book: a.history, Now: a.snapshot, Count: a.counters, Trail: a.trailOf,
		Texts: func() bool { return a.config().Admin.ShowBodies },
	}, a.web, a.log)
}

// snapshot is how the daemon does. Where a part does not answer the others are not asked:
// whoever looks is told that, and does not wait as well.
func (a *App) snapshot() statuspage.Snapshot {
	s := statuspage.Snapshot{Health: a.watch.health(time.Now())}
	if !s.Health.Alive {
		s.Silent = true
		return s
	}
	q := liveQueue{links: a.xmpp, sip: a.sip}
	s.Links, _ = q.Links(context.Background()) // copies
	s.Routes, _ = q.Routes(context.Background())
	b := a.bridge.Stats()
	s.Flows = []statuspage.Flow{flowOf("XMPP to SIP", &b.ToSIP), flowOf("SIP to XMPP", &b.ToXMPP)}
	s.Queue = statuspage.Queue{Entries: a.journal.store.State().Entries, Memory: b.Waiting, Stored: b.Stored, Reports: b.Reports}
	if s.Queue.Entries > 0 {
		s.Queue.Oldest = a.watch.diskState().oldest
	}
	return s
}

func flowOf(name string, f *bridge.Flow) statuspage.Flow {
	return statuspage.Flow{Name: name, Delivered: f.Delivered, Failed: f.Failed, Refused: f.Refused, Unknown: f.Unknown, Uncertain: f.Uncertain}
}

// counters are what the plots are made of.
func (a *App) counters() statuspage.Counters {
	b := a.bridge.Stats()
	return statuspage.Counters{
		ToSIP: b.ToSIP.Delivered, ToXMPP: b.ToXMPP.Delivered,
		Failed: b.ToSIP.Failed + b.ToSIP.Refused + b.ToXMPP.Failed + b.ToXMPP.Refused,
		Took:   [2]hist.Histogram{b.ToSIP.Took, b.ToXMPP.Took},
		Queue:  b.Waiting + b.Stored,
	}
}

// mostTrail is how many events a page has at most.
const mostTrail = 200

// trailOf is what the trail has of a message.
func (a *App) trailOf(_ context.Context, id string) ([]history.TrailEvent, error) {
	events, err := a.journal.store.LookupFew(id, mostTrail)
	return eventsOf(events), err
}

// keepPages keeps the pages up to date, if there are any.
func (a *App) keepPages(ctx context.Context) error {
	if a.web.Addr() == nil {
		<-ctx.Done()
		return nil
	}
	return a.pages.Run(ctx)
}
