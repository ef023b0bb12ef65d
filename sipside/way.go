package sipside

import (
	"context"
	"fmt"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// Way tells in words, for an operator, where a request to uri goes: the route, what DNS is
// asked and says, and the targets in the order in which they are tried when none of them
// has failed lately. It asks the name server and sends nothing to anybody else. The UA need
// not have been started.
func (u *UA) Way(ctx context.Context, uri mapping.URI) (steps []string, err error) {
	add := func(format string, a ...any) { steps = append(steps, fmt.Sprintf(format, a...)) }
	h, f := u.nextHop(&uri)
	switch {
	case h.route == nil:
		add("no route has a next hop for %s: the domain itself is asked for", uri.Host)
	default:
		add("the route for %s leads to %s", h.route.Domain, h.route.Via)
	}
	if f != nil {
		return steps, f
	}
	var targets []locate.Target
	if h.addr.IsValid() {
		targets = []locate.Target{h.direct()}
	} else {
		a, err := u.cfg.Locator.Locate(ctx, h.query)
		for _, s := range a.Steps {
			add("%s", s)
		}
		if err != nil {
			return steps, err
		}
		if a.Stale {
			add("the name server does not answer any more: this is what it said last")
		}
		targets = a.Targets
	}
	if targets = u.abroad(h, targets); len(targets) == 0 {
		add("the address leads to this machine: nothing is sent there without a route that says so")
		return steps, failNear()
	}
	for i, t := range targets {
		what := ""
		if t.Transport.Secure() {
			what = ", with a certificate for " + t.Name
		}
		add("%d. %s%s", i+1, t, what)
	}
	return steps, nil
}
