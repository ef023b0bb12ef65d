package app

import (
	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/commands"
	"github.com/stoxgw/stox/internal/history"
	"github.com/stoxgw/stox/internal/store"
	"github.com/stoxgw/stox/mapping"
)

// recorder hands what the bridge tells of messages to the book of history: the two rooms do
// not know each other, and their notes are the same.
type recorder struct{ book *history.Book }

var _ bridge.History = recorder{}

// Put implements bridge.History.
func (r recorder) Put(batch []bridge.Note) {
	r.book.PutEach(len(batch), func(i int) *history.Note { return (*history.Note)(&batch[i]) })
}

// remembered is how many events of the trail are read at a start.
const remembered = 10_000

// remember gives the book what the trail has of the messages before this start. Without it the
// book begins with this start, and the daemon does not need more.
func (a *App) remember() {
	events, err := a.journal.store.NewestTrail(remembered)
	if err != nil {
		a.log.Warn("what became of messages before this start is not shown on the status page", "err", err, "remedy", "stox trail may still know")
		return
	}
	a.history.Restore(history.FromTrail(eventsOf(events), bridge.NumberOf))
}

// eventsOf is what the trail has kept, for the history.
func eventsOf(events []store.TrailEvent) []history.TrailEvent {
	out := make([]history.TrailEvent, 0, len(events))
	for _, e := range events {
		out = append(out, history.TrailEvent{ID: e.ID, CallID: e.Other, At: e.At, Kind: e.Kind, Detail: e.Detail})
	}
	return out
}

// deskRecent are the messages of a user, for the command that lists them.
type deskRecent struct{ book *history.Book }

var _ commands.Recent = deskRecent{}

// OfUser implements commands.Recent.
func (r deskRecent) OfUser(user mapping.JID, n int) (out []commands.Message) {
	for _, m := range r.book.OfUser(user, n) {
		c := commands.Message{At: m.Read, Sent: !m.FromSIP, Contact: m.Contact, Outcome: m.Outcome, Reason: m.Reason}
		if c.Contact == "" {
			c.Contact = m.SIP
		}
		switch m.Outcome {
		case history.Denied:
			c.Outcome = "failed" // to its sender it is all the same
		case history.Unknown:
			c.Outcome = "unconfirmed"
		}
		out = append(out, c)
	}
	return out
}
