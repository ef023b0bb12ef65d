package sipside

import (
	"context"
	"sync"

	"github.com/stoxgw/stox/mapping"
)

// askers are those who send requests on their own account, watches and registrations, each
// with a goroutine while it is among the settings. The mutex UA.changing guards it.
type askers struct {
	ctx, inner    context.Context // ctx is nil before Run and once it ends
	running       sync.WaitGroup
	watches       map[*watch]context.CancelFunc
	registrations map[*registration]*errand
}

// errand is a registration that runs.
type errand struct {
	aor   mapping.URI
	end   context.CancelFunc
	ended chan struct{}
}

// begin starts those of s. Registrations are taken back when ctx ends, which the end of inner
// breaks off.
func (a *askers) begin(ctx, inner context.Context, s *settings) {
	a.ctx, a.inner = ctx, inner
	a.watches, a.registrations = make(map[*watch]context.CancelFunc), make(map[*registration]*errand)
	a.follow(s)
}

// follow starts and ends what has to be for s to be in force.
func (a *askers) follow(s *settings) {
	if a.ctx == nil {
		return
	}
	watching := make(map[*watch]bool)
	for _, w := range s.watching {
		watching[w] = true
	}
	for w, end := range a.watches {
		if !watching[w] {
			end()
			delete(a.watches, w)
		}
	}
	for w := range watching {
		if a.watches[w] == nil {
			ctx, end := context.WithCancel(a.ctx)
			a.watches[w] = end
			a.running.Go(func() { w.run(ctx) })
		}
	}
	wanted := make(map[*registration]bool)
	for _, r := range s.registrations {
		wanted[r] = true
	}
	var leaving []*errand
	for r, e := range a.registrations {
		if !wanted[r] {
			e.end()
			leaving = append(leaving, e)
			delete(a.registrations, r)
		}
	}
	for r := range wanted {
		if a.registrations[r] == nil {
			a.register(r, leaving)
		}
	}
}

// register starts r. What one of leaving takes back of the same user would be what r has
// made, if that came later: so r begins when they have ended.
func (a *askers) register(r *registration, leaving []*errand) {
	ctx, end := context.WithCancel(a.ctx)
	e := &errand{aor: r.aor, end: end, ended: make(chan struct{})}
	a.registrations[r] = e
	inner := a.inner
	a.running.Go(func() {
		defer close(e.ended)
		defer end()
		for _, l := range leaving {
			if l.aor == e.aor {
				<-l.ended // which its requests bound
			}
		}
		r.run(ctx, inner)
	})
}

// finish starts nothing any more. That of those who run is told by ctx.
func (a *askers) finish() { a.ctx = nil }
