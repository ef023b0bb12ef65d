package statuspage

import (
	"context"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/hist"
	"github.com/stoxgw/stox/internal/history"
)

// Source is where the pages have everything from. Its functions may be called from any
// goroutine, and do not wait for the disk but for Trail.
type Source struct {
	Name    string // the component name
	Version string
	Started time.Time

	Book  *history.Book
	Now   func() Snapshot
	Count func() Counters
	// Trail is what is known of a message by the id of its stanza or its Call-ID.
	Trail func(ctx context.Context, id string) ([]history.TrailEvent, error)
	// Texts reports whether the texts of messages are shown.
	Texts func() bool
}

// Snapshot is how the gateway does at this moment.
type Snapshot struct {
	Health admin.Health
	Silent bool // a part does not answer: those below were not asked
	Links  []admin.Link
	Routes []admin.Route
	Flows  []Flow
	Queue  Queue
}

// Flow is what became of the messages of one direction since the start.
type Flow struct {
	Name                                           string // "XMPP to SIP"
	Delivered, Failed, Refused, Unknown, Uncertain uint64
}

// Queue is what waits.
type Queue struct {
	Entries int       // rows of the journal
	Memory  int       // messages that wait in memory
	Stored  int       // messages that wait on the disk only
	Reports int       // errors that their senders have not got yet
	Oldest  time.Time // when the oldest row was read; zero: there is none
}

// Counters are totals since the start.
type Counters struct {
	ToSIP, ToXMPP uint64 // delivered
	Failed        uint64 // failed or refused, both ways
	Took          [2]hist.Histogram
	Queue         int // messages that wait at this moment
}
