package commands

import (
	"context"
	"crypto/rand"
	"strings"

	"github.com/stoxgw/stox/internal/texts"
	"github.com/stoxgw/stox/mapping"
)

// maxWords is how many words of a message are looked at: what commands take has few.
const maxWords = 12

// Chat takes a message to the gateway itself if it is a command that its sender may give, and
// reports whether it was: it is answered then, once, by a message or an error. The word for
// help has to stand alone: what only begins with it is meant for somebody else. A message is no
// command if its sender is no person, so that gateways do not talk to each other (SEC-10).
func (d *Desk) Chat(m *mapping.XMPPMessage) bool {
	if m.From.Local() == "" {
		return false
	}
	name, rest, in := chatCommand(m)
	if in == nil || name == nodeHelp && !in.exact {
		return false
	}
	cmd, cond := d.find(m.From, name)
	if cond == mapping.CondItemNotFound || cond == mapping.CondForbidden && !in.exact {
		return false
	}
	c := &call{d: d, from: m.From, to: m.To, user: m.From.Bare(), said: m.Lang, t: d.texts(m.From, m.Lang), chat: true, words: rest}
	if d.Language(m.From, "") == "" && (m.Lang == "" || in.texts.Lang != "en") {
		c.t, c.said = &words{in.texts}, in.texts.Lang // the language of the word
	}
	c.write = func(o *outcome) []mapping.XMPP { return c.message(m, o) }
	c.run = func(ctx context.Context, c *call) {
		if cond == mapping.CondForbidden {
			c.fail(cond, "", c.t.Session.Forbidden)
			return
		}
		c.command = cmd
		if cmd.admin {
			d.log.Info("an admin has given an order", "admin", c.user, "command", cmd.node)
		}
		if cmd.inChat != nil {
			cmd.inChat(ctx, c)
		} else {
			cmd.first(ctx, c)
		}
	}
	d.take(c, &d.stats.Chats)
	return true
}

// spoken is how a command was named in a chat.
type spoken struct {
	texts *texts.Texts
	exact bool // it was all that the message says
}

// chatCommand reads the first body of a message that begins with a command.
func chatCommand(m *mapping.XMPPMessage) (node string, rest []string, in *spoken) {
	for _, b := range m.Bodies {
		fields := firstWords(b.Value)
		if len(fields) == 0 {
			continue
		}
		word := strings.Trim(fields[0], "/!\"'„“”.,:;?")
		if node, t := texts.ByWord(word); t != nil {
			return node, fields[1:], &spoken{t, len(fields) == 1}
		}
	}
	return "", nil, nil
}

// firstWords are the first words of a text. It looks no further than it has to.
func firstWords(s string) (words []string) {
	const far = 8192 // octets
	for w := range strings.FieldsSeq(s[:min(len(s), far)]) {
		if words = append(words, strings.ToValidUTF8(w, "")); len(words) == maxWords {
			break
		}
	}
	return words
}

// message is the answer to a message, with a receipt if its sender wants one.
func (c *call) message(m *mapping.XMPPMessage, o *outcome) (all []mapping.XMPP) {
	if o.failure != nil {
		return []mapping.XMPP{&mapping.XMPPError{From: m.To, To: m.From, ID: m.ID, Lang: c.t.Lang, Failure: o.failure}}
	}
	if m.WantReceipt && m.ID != "" {
		all = append(all, &mapping.XMPPReceipt{From: m.To, To: m.From, ID: rand.Text(), Type: m.Type, About: m.ID})
	}
	text := c.t.Session.NotOffered // a question: only forms ask
	if o.page != nil {
		text = o.page.text()
	}
	return append(all, &mapping.XMPPMessage{From: m.To.DomainJID(), To: m.From, ID: rand.Text(), Type: "chat", Lang: c.t.Lang, Thread: m.Thread,
		Bodies: []mapping.Text{{Value: text}}})
}

// usage says how the command is written in a chat.
func (c *call) usage() {
	cmd := c.t.Commands[c.command.node]
	c.note(sprintf(c.t.Session.Usage, strings.TrimSpace(cmd.Words[0]+" "+cmd.Usage)))
}
