package presence

import (
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Book keeps what outlives the process. Nothing here waits for the disk.
type Book interface {
	// PutRelations takes new versions. One with the State 0 is to be forgotten.
	PutRelations(batch []Relation)
	// PutDialogs takes new versions. One without Data is to be forgotten.
	PutDialogs(batch []Dialog)
}

// Relation is what a user and a contact have agreed upon.
type Relation struct {
	User, Contact mapping.JID // both bare
	State         State
	Since         time.Time // when State was entered
}

// State says who may see whose presence. The values are those on the disk. The two
// directions do not touch each other (RFC 8048 §5.2.3, §5.3.3).
type State uint16

// The bits of a State.
const (
	WatchPending    State = 1 << iota // the user has asked for the contact's presence
	WatchGranted                      // ... and was told that he has it
	WatcherAsked                      // the user was asked for his presence
	WatcherGranted                    // ... and said yes
	WatcherDeclined                   // ... or no
)

// Dialog is a dialog of a relation, so that the next run can go on with it.
type Dialog struct {
	Key     string    // unique
	Expires time.Time // when it is of no use any more
	Data    []byte    // this package's own form
}
