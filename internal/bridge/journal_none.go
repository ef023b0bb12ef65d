package bridge

import "errors"

// noJournal is a journal that takes nothing and remembers nothing.
type noJournal struct{}

var errNoJournal = errors.New("bridge: there is no journal")

func (noJournal) Append([]Row) (int, error)   { return 0, errNoJournal }
func (noJournal) Update([]Row) (int, error)   { return 0, errNoJournal }
func (noJournal) Done([]uint64)               {}
func (noJournal) Get([]uint64) ([]Row, error) { return nil, errNoJournal }
func (noJournal) PutSeen([]Seen)              {}
func (noJournal) PutTrail([]Event)            {}
