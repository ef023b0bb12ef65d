package bridge

import (
	"time"
)

// Journal is what the bridge asks of the store. Nothing here waits for the disk
// but Get and Lookup. What is given in slices may be kept, but not the slices.
type Journal interface {
	// Append takes new rows; their commit begins at once and is told through
	// Committed. It returns how many of rows it took, always the first ones, and why
	// not all.
	Append(rows []Row) (n int, err error)
	// Update replaces rows whole, and passes over those that are done or unknown.
	Update(rows []Row) (n int, err error)
	// Done ends rows. One whose commit has not begun is never written.
	Done(ids []uint64)
	// Get reads rows as last committed, without those that are gone.
	Get(ids []uint64) ([]Row, error)

	// PutSeen keeps outcomes of requests for their repeats, PutTrail what became of
	// messages.
	PutSeen(batch []Seen)
	PutTrail(batch []Event)
	// Lookup returns the events that were kept under id, either as ID or as Other, in the
	// order of time, also those that are not on the disk yet. It may return none if there
	// are too many: whoever asks may have chosen the id.
	Lookup(id string) ([]Event, error)
}

// Row is a message from XMPP that is not done.
type Row struct {
	ID           uint64
	Rev          uint32 // numbers the versions of a row, for Mark
	Lane         string // canonical address of record of the destination
	Data         []byte // see row.go; never changed after it was handed over. Those of a batch share their memory
	Read, Expire time.Time
}

// Mark names a version of a row that has been committed.
type Mark struct {
	ID  uint64
	Rev uint32
}

// Seen is the outcome of a SIP request, kept for its repeats (IM-57).
type Seen struct {
	Key     [16]byte
	Outcome uint16
	At      time.Time
}

// Event is one step in the life of a message. It never holds its text.
type Event struct {
	ID     string // of the stanza
	Other  string // Call-ID; the event is found under either
	At     time.Time
	Kind   string // one word
	Detail string // status, reason, addresses; those of a batch share their memory
}
