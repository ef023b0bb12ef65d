package store

import "time"

// backend is an engine. commit and checkpoint are called from one goroutine, the
// reading methods from any, also while a commit runs.
type backend interface {
	// commit makes all of w durable, or reports a fault and makes none of it durable;
	// after a fault either may be true of a commit whose last step failed.
	commit(w *work) error
	// recover is called before the next commit after a fault.
	recover() error
	// checkpoint removes from the disk what was deleted. It may be called
	// at any time and gives up at once if a reader is in the way.
	checkpoint() error

	// index calls f with every row, in any order, and its size.
	index(f func(id uint64, size int)) error
	load(f func(Entry) error) error
	// page returns the first rows with an id over after, n or fewer; none at the end.
	page(after uint64, n int) ([]Entry, error)
	get(ids []uint64) ([]Entry, error)
	// loadSeen also returns how many batches it had to pass over.
	loadSeen(f func([]Seen) error) (unreadable int, err error)
	loadContacts(f func([]Contact) error) error
	loadRelations(f func([]Relation) error) error
	loadAccounts(f func([]Account) error) error
	loadBlocks(f func([]Block) error) error
	loadUsage(day string, f func([]Usage) error) error
	// loadDialogs leaves out those that have expired.
	loadDialogs(now time.Time, f func([]Dialog) error) error
	// lookup returns the events of id in the order of time; more than most of them, unless
	// that is 0, are errMany.
	lookup(id string, most int) ([]TrailEvent, error)
	// newestTrail returns the last n events that are committed, in the order of their commits.
	newestTrail(n int) ([]TrailEvent, error)
	close() error
}

// work is what one commit does, in this order.
type work struct {
	dead  []uint64 // rows to delete, sorted; some may not be there
	spans []span   // covers dead and no row that lives
	put   []Entry  // rows to write whole, new or not
	seen  []Seen
	trail []*trailBatch

	contacts  []Contact // in the order of PutContacts, as are the others in that of theirs
	relations []Relation
	dialogs   []Dialog
	accounts  []accountPut
	blocks    []Block
	usage     []Usage

	expire *expiry // what has become too old; nil most of the time
	probe  bool    // write and remove something, to see whether that works
}

type expiry struct {
	seenBefore, trailBefore time.Time
	maxSeen                 int
	maxTrailBytes           int64
	usageBefore             string // the first day that is kept
	more                    bool   // set by the engine: not everything could go at once
}

func (w *work) empty() bool {
	return len(w.dead)+len(w.put)+w.beside() == 0 && w.expire == nil && !w.probe
}

// beside counts what rides along, without deletions.
func (w *work) beside() int {
	return len(w.seen) + trailEvents(w.trail) + len(w.contacts) + len(w.relations) + len(w.dialogs) + w.accountRows() + len(w.blocks) + len(w.usage)
}
