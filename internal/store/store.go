package store

import (
	"slices"
	"sync"
	"time"

	"github.com/stoxgw/stox/internal/hist"
)

// Entry is one row of the journal: a message that is not done.
type Entry struct {
	// ID is chosen by the caller, from 1 to MaxInt64, once. Load returns rows in the order of ID.
	ID uint64
	// Rev numbers the versions of a row for Mark. It is not stored.
	Rev uint32
	// Lane groups rows for whoever lists the queue.
	Lane string
	// Data is the caller's own encoding. It must not be changed after Append or Update.
	Data []byte
	// Read is when the message was read, Expire when it is given up; both are kept
	// in milliseconds, and only kept: the store expires no rows.
	Read, Expire time.Time
}

// Mark names a version of a row in Events.Committed.
type Mark struct {
	ID  uint64
	Rev uint32
}

// Events is what the store reports while it runs. Each may be nil.
type Events struct {
	// Committed reports rows in the order of Append and Update. With a nil error
	// these versions, or newer ones, are on the disk. With an error, which wraps one
	// of the faults, they were new rows and are gone; a failed Update is not
	// reported but tried again. Rows that are done are not reported, unless Done
	// was called at the same moment. The slice is valid only during the call.
	Committed func(marks []Mark, err error)
	// Changed reports that the store began to fail (State.Failing says why) or recovered.
	Changed func(State)
}

// Options of Open; zero values mean the defaults.
type Options struct {
	// MaxEntries and MaxBytes bound the rows that are not done, on disk and waiting.
	MaxEntries int   // 1,000,000
	MaxBytes   int64 // 1 GiB
	// MaxWaiting and MaxWaitingBytes bound what waits in memory for its commit.
	MaxWaiting      int   // 16,384
	MaxWaitingBytes int64 // 64 MiB
	// SeenFor is how long outcomes are kept, MaxSeen how many at most.
	SeenFor time.Duration // 10 minutes
	MaxSeen int           // 1,000,000
	// TrailFor is how long the trail is kept, MaxTrailBytes how much of it at most.
	// Negative: no trail.
	TrailFor      time.Duration // 168 hours
	MaxTrailBytes int64         // 1 GiB
	// BusyTimeout is how long a commit waits for a file that another process has locked.
	BusyTimeout time.Duration // 1 s
	// MaxPages bounds the file, in pages of 4096 bytes; 0: as the engine has it.
	MaxPages int64

	connector wrapConnector // tests: faults between the store and its engine
}

func (o *Options) setDefaults() {
	def(&o.MaxEntries, 1_000_000)
	def(&o.MaxBytes, 1<<30)
	def(&o.MaxWaiting, 16384)
	def(&o.MaxWaitingBytes, 64<<20)
	def(&o.SeenFor, 10*time.Minute)
	def(&o.MaxSeen, 1_000_000)
	def(&o.TrailFor, 168*time.Hour)
	def(&o.MaxTrailBytes, 1<<30)
	def(&o.BusyTimeout, time.Second)
}

func def[T int | int64 | time.Duration](p *T, v T) {
	if *p == 0 {
		*p = v
	}
}

// State is how the store is doing.
type State struct {
	// Failing is nil, or the fault of the last commit, since Since.
	Failing error
	Since   time.Time
	// Entries and Bytes are the rows that are not done.
	Entries int
	Bytes   int64
	// Waiting rows have not begun their commit; Oldest is when the first of them came.
	Waiting      int
	WaitingBytes int64
	Oldest       time.Time
	// Unflushed counts deletions, outcomes, contacts, relations, dialogs, accounts, blocks,
	// usage and events of the trail not yet on the disk.
	Unflushed int
	// Since Open: commits, rows written, rows done before their commit began,
	// outcomes, contacts, relations, dialogs, blocks, usage and events of the trail that had to be dropped,
	// which happens during a fault only, but to dialogs that are too big.
	Commits, Written, Skipped, Dropped uint64
}

// Store is the journal, the outcomes and the trail. See the package comment.
type Store struct {
	b    backend
	wake chan struct{} // one slot: there may be something to commit

	mu sync.Mutex // guards what follows
	queue
}

// Open opens or makes the file; an empty path keeps everything in memory, and
// nothing after Close. Call Load and LoadSeen, then Run.
func Open(path string, o Options) (*Store, error) {
	o.setDefaults()
	var b backend
	if path == "" {
		b = newMemory()
	} else {
		var err error
		if b, err = openSQLite(path, o); err != nil {
			return nil, err
		}
	}
	s := &Store{b: b, wake: make(chan struct{}, 1)}
	s.queue.init(o)
	err := b.index(func(id uint64, size int) {
		s.rows.set(id, row{state: kept, size: int32(size), item: -1})
		s.entries++
		s.bytes += int64(size)
	})
	if err != nil {
		b.close()
		return nil, err
	}
	return s, nil
}

// Close releases the file. Call it after Run has returned, or without Run.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.trail.setOff(true)
	return s.b.close()
}

// Load calls f with every row on the disk, in the order of ID, and stops with the
// first error. Rows waiting for their commit are left out. A row that cannot be read
// as one of this version stays as it is, and has its ID and nothing else, in Page and
// Get as well.
func (s *Store) Load(f func(Entry) error) error { return s.b.load(f) }

// Page returns the first rows on the disk with an id over after, in the order of
// ID, n or fewer; none means that there are no more. Rows that are done and not yet
// deleted are left out. For those who list the queue while it is in use: between
// two pages nothing is held.
func (s *Store) Page(after uint64, n int) ([]Entry, error) {
	for {
		page, err := s.b.page(after, n)
		if err != nil || len(page) == 0 {
			return nil, err
		}
		after = page[len(page)-1].ID
		if page = s.living(page); len(page) > 0 {
			return page, nil
		}
	}
}

func (s *Store) living(page []Entry) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(page, func(e Entry) bool {
		r := s.rows.get(e.ID)
		return r.state == none || r.state == dead
	})
}

// Get returns the rows of these ids as last committed, in the order of ID, without
// those that are not on the disk: for rows that need not stay in memory.
func (s *Store) Get(ids []uint64) ([]Entry, error) { return s.b.get(ids) }

// Stats is how the store has done since Open, for metrics.
type Stats struct {
	State
	CommitTime hist.Histogram // of all that was tried, in seconds
	CommitRows hist.Histogram // rows of those that wrote some
	Faults     uint64         // commits that failed
	Running    time.Time      // when the commit that runs began; zero: there is none
}

// Stats returns how the store has done.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{State: s.stateLocked(), CommitTime: s.commitTime, CommitRows: s.commitRows, Faults: s.faults, Running: s.begun}
}

// State returns how the store is doing.
func (s *Store) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stateLocked()
}

// Ready returns nil, or why rows are refused at present.
func (s *Store) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	return s.failing
}

// SetLimits changes MaxEntries and TrailFor while the store runs.
func (s *Store) SetLimits(maxEntries int, trailFor time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.o.MaxEntries, s.o.TrailFor = maxEntries, trailFor
	s.nextExpiry = time.Time{}
	s.trail.setOff(trailFor < 0 || s.closed)
}
