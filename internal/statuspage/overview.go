package statuspage

import (
	"net/http"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/history"
)

// overview is what / shows.
type overview struct {
	Snapshot
	Faults   []admin.Check
	Started  time.Time
	Plots    []plot
	Table    []row
	Errors   []brief // the last ones
	Messages []brief // the last ones
	Since    time.Time
	Known    int
}

const (
	lastErrors   = 8
	lastMessages = 10
	overviewFor  = time.Second     // so long it is shown to whoever asks
	overviewOld  = 5 * time.Second // so long while somebody asks for a new one
	overviewWait = 3 * time.Second // so long that is waited for
)

// made is an overview, and when it was made.
type made struct {
	overview
	at time.Time
}

// lastOverview is the last one and its age; nil if there is none, or the clock has gone back.
func (p *Pages) lastOverview() (*made, time.Duration) {
	last := p.last.Load()
	if last == nil {
		return nil, 0
	}
	age := p.now().Sub(last.at)
	if age < 0 {
		return nil, 0
	}
	return last, age
}

// silentOverview is for those who cannot be told anything.
func silentOverview(started time.Time) overview {
	o := overview{Snapshot: Snapshot{Silent: true}, Started: started}
	o.Health.Put(admin.CheckProcess, false, "a part of stox does not say how it does: load this page again, and if that does not help see what /healthz and the log say")
	o.Faults = o.Health.Checks
	return o
}

func (p *Pages) showOverview(rw http.ResponseWriter, r *http.Request) {
	head(rw)
	o := p.makeOverview()
	title := "All is well"
	if len(o.Faults) > 0 {
		title = "Something is wrong"
	}
	p.show(rw, r, "overview", frame{Title: title, Here: "overview", Live: true, Page: o})
}

// makeOverview is what there is to be shown, not older than a second: however many look on,
// the parts of the daemon are asked once. If they keep whoever asks waiting, the others are told
// that, and do not take the room of programs that ask.
func (p *Pages) makeOverview() overview {
	select {
	case p.asking <- struct{}{}:
	default:
		if last, age := p.lastOverview(); last != nil && age < overviewOld {
			return last.overview
		}
		patience := time.NewTimer(p.patience)
		defer patience.Stop()
		select {
		case p.asking <- struct{}{}:
		case <-patience.C:
			return silentOverview(p.source.Started)
		}
	}
	defer func() { <-p.asking }()
	if last, age := p.lastOverview(); last != nil && age < overviewFor {
		return last.overview
	}
	now := p.now()
	o := overview{Snapshot: p.source.Now(), Started: p.source.Started}
	for _, c := range o.Health.Checks {
		if !c.OK {
			o.Faults = append(o.Faults, c)
		}
	}
	all := p.samples.all()
	o.Plots, o.Table = plots(all, now), table(all)
	messages, _ := p.source.Book.Find(history.Query{Limit: lastMessages})
	errors, _ := p.source.Book.Find(history.Query{Faulty: true, Limit: lastErrors})
	o.Messages, o.Errors = briefs(messages), briefs(errors)
	o.Since, o.Known = p.source.Book.Since()
	p.last.Store(&made{o, now})
	return o
}
