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
	overviewFor  = time.Second // so long it is shown to whoever asks
)

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
// the parts of the daemon are asked once.
func (p *Pages) makeOverview() overview {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if gone := now.Sub(p.made); gone >= 0 && gone < overviewFor {
		return p.overview
	}
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
	p.overview, p.made = o, now
	return o
}
