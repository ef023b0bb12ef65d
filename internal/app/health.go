package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stoxgw/stox/component"
	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/store"
	"github.com/stoxgw/stox/sipside"
)

var _ admin.Healthy = (*liveQueue)(nil)

// slowCommit is how long a commit may take before the journal counts as one that cannot be
// written.
const slowCommit = 5 * time.Second

// Health says how the daemon does, for the operator's socket.
func (q *liveQueue) Health(context.Context) (admin.Health, error) {
	return q.watch.health(time.Now()), nil
}

// check: one link that is up carries messages.
func (l *links) check() (name string, ok bool, text string) {
	up := 0
	var down []string
	for i, c := range l.all {
		s := c.Status()
		if s.State == component.StateUp {
			up++
			continue
		}
		why := string(s.State)
		if s.Reason != "" {
			why += " (" + s.Reason + ")"
		}
		if s.Text != "" {
			why += ": " + s.Text
		}
		down = append(down, l.names[i]+" is "+why)
	}
	text = fmt.Sprintf("%d of %d links to XMPP servers up", up, len(l.all))
	if len(down) > 0 {
		text += "; " + strings.Join(down, "; ")
	}
	return admin.CheckLink, up > 0, text
}

// checkJournal: without it messages from XMPP are refused. A disk that does not answer is
// no fault of the process: to start it again would not mend it.
func checkJournal(s *store.Stats, now time.Time) (name string, ok bool, text string) {
	switch {
	case s.Failing != nil:
		return admin.CheckJournal, false, fmt.Sprintf("it has not been written for %v, and messages from XMPP are refused: %v", now.Sub(s.Since).Round(time.Second), s.Failing)
	case !s.Running.IsZero() && now.Sub(s.Running) > slowCommit:
		return admin.CheckJournal, false, fmt.Sprintf("a commit has taken %v so far: does the disk answer?", now.Sub(s.Running).Round(time.Second))
	}
	return admin.CheckJournal, true, "it is written"
}

// checkRoutes: one next hop that is not known to be gone carries messages. Those that
// answer no OPTIONS are not known to be gone.
func checkRoutes(all []sipside.RouteState) (name string, ok bool, text string) {
	if len(all) == 0 {
		return admin.CheckRoutes, true, "no route has a next hop that could be asked"
	}
	alive, dead := 0, 0
	var why []string
	for _, r := range all {
		switch r.Probe {
		case sipside.Alive:
			alive++
		case sipside.Dead:
			dead++
			why = append(why, fmt.Sprintf("the one for %s does not: %s", r.Domain, r.ProbeReason))
		}
	}
	text = fmt.Sprintf("%d of %d next hops answer", alive, len(all))
	if unknown := len(all) - alive - dead; unknown > 0 {
		text += fmt.Sprintf(", of %d it is not known", unknown)
	}
	if len(why) > 0 {
		text += "; " + strings.Join(why, "; ")
	}
	return admin.CheckRoutes, dead < len(all), text
}
