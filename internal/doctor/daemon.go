package doctor

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/stoxgw/stox/internal/admin"
)

// daemon looks whether a daemon answers on its socket. It comes before everything
// else, since other checks depend on it.
func (d *doctor) daemon(ctx context.Context) []Finding {
	path := d.Config.Admin.Socket
	if path == "" {
		// Without a socket only its SIP ports show that there may be one.
		for i, l := range d.Config.SIP.Listen {
			if d.taken(i) {
				d.running = true
				return []Finding{skip(checkDaemon, "no admin.socket is set, and %s is in use: perhaps by a daemon, so no component stream is opened", l)}
			}
		}
		return []Finding{ok(checkDaemon, "no admin.socket is set; the ports of sip.listen are free, so no daemon runs")}
	}
	ctx, cancel := context.WithTimeout(ctx, d.Patience)
	defer cancel()
	c, err := admin.Dial(ctx, path)
	if errors.Is(err, admin.ErrNoDaemon) {
		return []Finding{ok(checkDaemon, "%v: the doctor stands in for it", err)}
	}
	d.running = true
	if err != nil {
		return []Finding{bad(Fail, checkDaemon, "run stox doctor as root or as the user that stox runs as (sudo -u stox stox doctor), or correct admin.socket", "cannot ask whether a daemon runs: %v", err)}
	}
	defer c.Close()
	d.process = peerProcess(ctx, path)
	p, err := c.List(ctx, 0, 1)
	if err != nil {
		return []Finding{bad(Fail, checkDaemon, "restart it: systemctl restart stox; its log says more: journalctl -u stox", "a daemon has the socket %s and does not answer: %v", path, err)}
	}
	out := append([]Finding{ok(checkDaemon, "a daemon answers at %s; %s", path, waiting(p.Total))}, d.links(ctx, c)...)
	return append(out, d.registrations(ctx, c)...)
}

func waiting(n int) string {
	switch n {
	case 0:
		return "its queue is empty"
	case 1:
		return "1 message waits in its queue"
	}
	return plural(n, "message", "messages") + " wait in its queue"
}

// linked is what the daemon can be asked of its links.
type linked interface {
	Links(ctx context.Context) ([]admin.Link, error)
}

// links tells of the daemon's links, in its own words.
func (d *doctor) links(ctx context.Context, c linked) (out []Finding) {
	all, err := c.Links(ctx)
	if errors.Is(err, admin.ErrUnknown) {
		return []Finding{skip(checkDaemon, "the daemon is of an earlier version and cannot tell of its links; journalctl -u stox does")}
	}
	if err != nil {
		return []Finding{skip(checkDaemon, "the daemon does not tell of its links: %v", err)}
	}
	for i, l := range all {
		key := func(s string) string { return s }
		if i < len(d.names) {
			key = d.names[i].key
		}
		what, remedy, _ := strings.Cut(l.Text, ": ")
		switch {
		case l.State == "up":
			out = append(out, ok(checkDaemon, "its link as %s to %s is up since %s", l.Component, l.Server, l.Since.Local().Format(time.DateTime)))
		case what == "" && l.Reason == "":
			out = append(out, bad(Warn, checkDaemon, "run stox doctor again in a while; journalctl -u stox says how it goes (xmpp.server)", "its link as %s to %s is not up yet: %s", l.Component, l.Server, l.State))
		case what == "": // it is at it again at this moment
			out = append(out, bad(Fail, checkDaemon, key("journalctl -u stox says how to mend it (xmpp.server)"), "its link as %s to %s is not up: %s", l.Component, l.Server, l.Reason))
		default:
			if remedy == "" {
				remedy = "the server's log may say why (xmpp.server)"
			}
			out = append(out, bad(Fail, checkDaemon, key(remedy), "its link as %s to %s is not up: %s", l.Component, l.Server, key(what)))
		}
	}
	return out
}
