package commands

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// The commands of XEP-0133 that fit a gateway whose registered users are those with a SIP
// account, and the FORM_TYPE of their forms.
const (
	nsAdmin      = "http://jabber.org/protocol/admin"
	nodeUsersNum = nsAdmin + "#get-registered-users-num"
	nodeUsers    = nsAdmin + "#get-registered-users-list"
	nodeDelete   = nsAdmin + "#delete-user"
	nodeBlack    = nsAdmin + "#edit-blacklist"
)

func usersNumberCommand() *command {
	return &command{node: nodeUsersNum, admin: true, offered: hasAccounts, first: func(_ context.Context, c *call) {
		p := &page{title: c.t.Commands[nodeUsersNum].Title, formType: nsAdmin}
		p.add("registeredusersnum", c.t.Labels.Count, strconv.Itoa(len(c.d.o.Accounts.All())))
		c.done(p)
	}}
}

// sizes are how many users may be asked for (XEP-0133 §4.18).
var sizes = []string{"25", "50", "75", "100", "150", "200", "none"}

func usersListCommand() *command {
	return asksOnce(command{node: nodeUsers, admin: true, offered: hasAccounts}, "max_items",
		func(c *call) *question {
			f := mapping.Field{Var: "max_items", Type: mapping.FieldList, Label: c.t.Admin.MaxItems, Values: []string{sizes[0]}}
			for _, n := range sizes {
				label := n
				if n == "none" {
					label = c.t.Labels.All
				}
				f.Options = append(f.Options, mapping.Option{Label: label, Value: n})
			}
			return &question{title: c.t.Commands[nodeUsers].Title, formType: nsAdmin, fields: []mapping.Field{f}}
		},
		func(_ context.Context, c *call, typed string) {
			list := c.d.sorted()
			if n, err := strconv.Atoi(typed); err == nil && n >= 0 {
				list = list[:min(len(list), n)]
			} else if typed != "none" {
				c.fail(mapping.CondBadRequest, badPayload, c.t.Session.BadForm)
				return
			}
			users := pair{name: "registereduserjids", label: c.t.Labels.User, typ: mapping.FieldJIDs}
			for _, a := range list {
				users.values = append(users.values, a.User.String())
			}
			c.done(&page{title: c.t.Commands[nodeUsers].Title, formType: nsAdmin, pairs: []pair{users}})
		})
}

func deleteUserCommand() *command {
	ask := func(_ context.Context, c *call) {
		c.ask(stageOne, &question{title: c.t.Commands[nodeDelete].Title, above: []string{c.t.Admin.DeleteAsk}, formType: nsAdmin, last: true,
			fields: []mapping.Field{{Var: "accountjids", Type: mapping.FieldJIDs, Label: c.t.Labels.User, Required: true}}})
	}
	return &command{node: nodeDelete, admin: true, offered: hasAccounts, first: ask, stages: map[string]stage{stageOne: {ask: ask, take: takeDelete}}}
}

// maxDeleted is how many users one form may name.
const maxDeleted = 100

// takeDelete removes accounts, one after the other.
func takeDelete(_ context.Context, c *call) {
	var users []mapping.JID
	for _, v := range c.form.All("accountjids") {
		if v = strings.TrimSpace(v); v == "" {
			continue
		}
		j, err := mapping.ParseJID(v)
		if err != nil || len(users) == maxDeleted {
			c.fail(mapping.CondBadRequest, badPayload, c.t.Session.BadForm)
			return
		}
		users = append(users, j.Bare())
	}
	if len(users) == 0 {
		c.fail(mapping.CondBadRequest, badPayload, c.t.Session.BadForm)
		return
	}
	c.deleteNext(users, 0, nil)
}

// deleteNext removes the account of the first of users, and then those of the others: done of
// them so far, not of those in left.
func (c *call) deleteNext(users []mapping.JID, done int, left []string) {
	if len(users) == 0 {
		p := &page{note: sprintf(c.t.Admin.Deleted, done)}
		if len(left) > 0 {
			p.warning = sprintf(c.t.Admin.NotDeleted, strings.Join(left, ", "))
		}
		c.done(p)
		return
	}
	user := users[0]
	c.d.o.Accounts.Remove(user, func(err error) {
		if err != nil {
			left = append(left, user.String())
		} else {
			done++
			c.d.log.Info("an admin has removed a user's SIP account", "admin", c.user, "user", user)
			gone := *c
			gone.user = user
			c.d.say(gone.farewell()...)
		}
		c.deleteNext(users[1:], done, left)
	})
}

// maxBlacklist is how many entries a form has.
const maxBlacklist = 500

func blacklistCommand() *command {
	ask := func(_ context.Context, c *call) {
		list := c.d.o.Blocks.List(mapping.JID{})
		if len(list) > maxBlacklist {
			c.problem(c.t.Blocks.TooMany)
			return
		}
		c.ask(stageOne, &question{title: c.t.Commands[nodeBlack].Title, above: []string{c.t.Blocks.AdminAsk}, formType: nsAdmin, last: true, shown: list,
			// There are addresses among them that are no JIDs.
			fields: []mapping.Field{{Var: "blacklistjids", Type: mapping.FieldLines, Label: c.t.Labels.Entry, Desc: c.t.Blocks.AdminHint, Values: list}}})
	}
	return &command{node: nodeBlack, admin: true, offered: hasBlocks, first: ask, stages: map[string]stage{stageOne: {ask: ask, take: takeBlacklist}}}
}

// takeBlacklist does to the list of what is blocked for all what was done to the form: what
// somebody else has blocked or unblocked since it was shown stays so. With a line that cannot
// be blocked nothing is unblocked.
func takeBlacklist(_ context.Context, c *call) {
	blocks, all := c.d.o.Blocks, mapping.JID{}
	was, shown := blocks.List(all), c.session.shown
	var want []string
	for _, v := range c.form.All("blacklistjids") {
		for line := range strings.Lines(v) {
			if line = strings.TrimSpace(line); line != "" {
				want = append(want, line)
			}
		}
	}
	if len(want) > 2*maxBlacklist || !c.form.Has("blacklistjids") {
		c.fail(mapping.CondBadRequest, badPayload, c.t.Session.BadForm)
		return
	}
	kept := map[string]bool{}
	added, removed := 0, 0
	for _, line := range want {
		what := line
		if !slices.Contains(was, line) && !slices.Contains(shown, line) {
			var err error
			if what, err = blocks.Block(all, line); err != nil {
				c.problem(clip(line) + ": " + c.t.problem(err))
				return
			}
			if !slices.Contains(was, what) && !kept[what] {
				added++
			}
		}
		kept[what] = true
	}
	for _, what := range shown {
		if !kept[what] && slices.Contains(was, what) {
			if _, err := blocks.Unblock(all, what); err == nil {
				removed++
			}
		}
	}
	c.note(sprintf(c.t.Blocks.AdminDone, added, removed))
}
