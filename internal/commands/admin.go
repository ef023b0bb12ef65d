package commands

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// operatorTime is how long an answer about the daemon may take.
const operatorTime = 20 * time.Second

// shownQueue is how many of the messages that wait are shown.
const shownQueue = 20

func statusCommand() *command {
	return &command{node: "status", admin: true, offered: hasOperator, first: func(_ context.Context, c *call) {
		s, l := c.d.o.Operator.Status(), &c.t.Labels
		p := &page{title: c.t.Commands["status"].Title, columns: []column{{"link", l.Link}, {"server", l.Server}, {"state", l.State}, {"since", l.Since}, {"reason", l.Reason}}}
		p.add("version", l.Version, s.Version)
		p.add("since", l.Since, c.t.at(s.Since))
		p.add("uptime", l.Uptime, c.t.span(time.Since(s.Since)))
		p.add("queue", l.Queue, strconv.Itoa(s.Queue))
		if c.d.o.Accounts != nil {
			p.add("accounts", l.Accounts, strconv.Itoa(len(c.d.o.Accounts.All())))
		}
		for _, one := range s.Links {
			p.rows = append(p.rows, []string{one.Name, one.Server, c.t.State(one.State), c.t.at(one.Since), clip(one.Reason)})
		}
		c.done(p)
	}}
}

// span is a duration in words.
func (t *words) span(d time.Duration) string {
	minutes := int(max(d, 0) / time.Minute)
	if days := minutes / (24 * 60); days > 0 {
		return sprintf(t.Labels.Days, days, minutes/60%24, minutes%60)
	}
	return sprintf(t.Labels.Hours, minutes/60, minutes%60)
}

func routesCommand() *command {
	return &command{node: "routes", admin: true, offered: hasOperator, first: func(ctx context.Context, c *call) {
		ctx, cancel := context.WithTimeout(ctx, operatorTime)
		defer cancel()
		routes, err := c.d.o.Operator.Routes(ctx)
		if err != nil {
			c.broken(err)
			return
		}
		l := &c.t.Labels
		p := &page{title: c.t.Commands["routes"].Title, columns: []column{{"domain", l.Domain}, {"via", l.Via}, {"answers", l.Answers}, {"rtt", l.RoundTrip},
			{"registration", l.Registration}, {"server", l.Server}, {"reason", l.Reason}}}
		for _, r := range routes[:min(len(routes), maxListed)] {
			registration, rtt := l.None, ""
			if r.Registration != "" {
				registration = c.t.State(r.Registration)
			}
			if r.RoundTrip > 0 {
				rtt = r.RoundTrip.Round(time.Millisecond / 10).String()
			}
			p.rows = append(p.rows, []string{r.Domain, r.Via, c.t.State(r.Answers), rtt, registration, r.Server, clip(r.Reason)})
		}
		if len(routes) == 0 {
			p.note = c.t.Admin.NoRoutes
		}
		c.done(p)
	}}
}

// broken answers that the daemon could not do what an admin wants, or does not any more.
func (c *call) broken(err error) {
	if errors.Is(err, context.Canceled) {
		c.stop()
		return
	}
	c.d.log.Error("an order of an admin has failed", "admin", c.user, "command", c.command.node, "err", err)
	c.problem(c.t.Session.Failed)
}

func queueCommand() *command {
	return &command{node: "queue", admin: true, offered: hasOperator, first: func(ctx context.Context, c *call) {
		ctx, cancel := context.WithTimeout(ctx, operatorTime)
		defer cancel()
		total, first, err := c.d.o.Operator.Queue(ctx, shownQueue)
		if err != nil {
			c.broken(err)
			return
		}
		l := &c.t.Labels
		p := &page{title: c.t.Commands["queue"].Title, columns: []column{{"id", l.ID}, {"from", l.From}, {"to", l.To}, {"state", l.State}, {"attempts", l.Attempts}, {"next", l.Next}, {"reason", l.Reason}}}
		for _, m := range first {
			p.rows = append(p.rows, []string{strconv.FormatUint(m.ID, 10), m.From, m.To, c.t.State(m.State), strconv.Itoa(m.Attempts), c.t.at(m.Next), clip(m.Problem)})
		}
		p.more = more(c.t.Admin.QueueMore, total-len(first))
		if len(first) == 0 {
			p.note = c.t.Admin.QueueEmpty
		}
		c.done(p)
	}}
}

func usageCommand() *command {
	return &command{node: "usage", admin: true, offered: func(o *Options) bool { return o.Usage != nil }, first: func(_ context.Context, c *call) {
		l := &c.t.Labels
		p := &page{title: c.t.Commands["usage"].Title, columns: []column{{"user", l.User}, {"day", l.Day}, {"sent", l.Sent}, {"limit", l.Limit}}}
		for _, u := range c.d.o.Usage(maxListed) {
			limit := l.Unlimited
			if u.Limit > 0 {
				limit = strconv.Itoa(u.Limit)
			}
			p.rows = append(p.rows, []string{u.User, u.Day, strconv.Itoa(u.Sent), limit})
		}
		if len(p.rows) == 0 {
			p.note = c.t.Admin.UsageNone
		}
		c.done(p)
	}}
}

func accountsCommand() *command {
	return &command{node: "accounts", admin: true, offered: hasAccounts, first: func(_ context.Context, c *call) {
		l, list := &c.t.Labels, c.d.sorted()
		p := &page{title: c.t.Commands["accounts"].Title, columns: []column{{"user", l.User}, {"address", l.Address}, {"state", l.State}, {"since", l.Since}, {"reason", l.Reason}}}
		for _, a := range list[:min(len(list), maxListed)] {
			p.rows = append(p.rows, []string{a.User.String(), a.Address, c.t.State(a.State), c.t.at(a.Since), c.t.whyAsleep(a)})
		}
		p.more = more(c.t.Admin.AccountsMore, len(list)-len(p.rows))
		if len(list) == 0 {
			p.note = c.t.Admin.AccountsNone
		}
		c.done(p)
	}}
}

// sorted are all accounts, by their users.
func (d *Desk) sorted() []Account {
	list := slices.Clone(d.o.Accounts.All())
	slices.SortFunc(list, func(a, b Account) int { return strings.Compare(a.User.String(), b.User.String()) })
	return list
}

func reloadCommand() *command {
	return &command{node: "reload", admin: true, offered: hasOperator, first: func(ctx context.Context, c *call) {
		ctx, cancel := context.WithTimeout(ctx, operatorTime)
		defer cancel()
		r, err := c.d.o.Operator.Reload(ctx)
		if err != nil {
			c.broken(err)
			return
		}
		p := &page{title: c.t.Commands["reload"].Title}
		switch {
		case !r.Applied:
			p.note, p.kind = c.t.Admin.NotReloaded, noteError
		case len(r.Changed) == 0:
			p.note = c.t.Admin.NothingChanged
		default:
			p.note = c.t.Admin.Reloaded
		}
		list := func(name, label string, lines []string) {
			if len(lines) > 0 {
				p.pairs = append(p.pairs, pair{name: name, label: label, values: lines, typ: mapping.FieldLines})
			}
		}
		list("changed", c.t.Labels.Changed, r.Changed)
		list("waiting", c.t.Labels.Waiting, r.Waiting)
		list("faults", c.t.Labels.Faults, r.Faults)
		c.done(p)
	}}
}

const fieldLevel = "level"

func logLevelCommand() *command {
	return asksOnce(command{node: "loglevel", admin: true, offered: func(o *Options) bool { return o.Log != nil }}, fieldLevel,
		func(c *call) *question {
			f := mapping.Field{Var: fieldLevel, Type: mapping.FieldList, Label: c.t.Labels.Level, Required: true, Values: []string{c.d.o.Log.Level()}}
			for _, level := range c.d.o.Log.Levels() {
				f.Options = append(f.Options, mapping.Option{Label: level, Value: level})
			}
			return &question{title: c.t.Commands["loglevel"].Title, above: []string{c.t.Admin.LevelAsk}, fields: []mapping.Field{f}}
		},
		func(_ context.Context, c *call, typed string) {
			level := strings.ToLower(typed)
			if !slices.Contains(c.d.o.Log.Levels(), level) {
				c.problem(sprintf(c.t.Admin.LevelUnknown, clip(typed)))
				return
			}
			c.d.log.Info("an admin has changed the log level", "admin", c.user, "level", level)
			c.d.o.Log.SetLevel(level)
			c.note(sprintf(c.t.Admin.LevelDone, level))
		})
}

func banCommand() *command {
	return asksOnce(command{node: "ban", admin: true, offered: hasBlocks}, fieldAddress,
		func(c *call) *question {
			return addressQuestion(c, c.t.Commands["ban"].Title, c.t.Commands["ban"].About, c.t.Blocks.AdminHint)
		},
		func(_ context.Context, c *call, typed string) { c.block(mapping.JID{}, typed) })
}

func unbanCommand() *command {
	return asksOnce(command{node: "unban", admin: true, offered: hasBlocks}, fieldAddress,
		func(c *call) *question {
			return addressQuestion(c, c.t.Commands["unban"].Title, c.t.Commands["unban"].About, c.t.Blocks.AdminHint)
		},
		func(_ context.Context, c *call, typed string) { c.unblock(mapping.JID{}, typed) })
}

func bannedCommand() *command {
	return &command{node: "banned", admin: true, offered: hasBlocks, first: func(_ context.Context, c *call) {
		c.listBlocks(mapping.JID{}, c.t.Commands["banned"].Title)
	}}
}
