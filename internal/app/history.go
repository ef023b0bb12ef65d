package app

import (
	"sync"

	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/history"
)

// recorder hands what the bridge tells of messages to the book of history: the two rooms do
// not know each other.
type recorder struct {
	book *history.Book
	room *sync.Pool // of *[]history.Note
}

var _ bridge.History = recorder{}

func newRecorder(book *history.Book) recorder {
	return recorder{book, &sync.Pool{New: func() any { return new([]history.Note) }}}
}

// maxNotes is how many notes a slice has room for that is kept.
const maxNotes = 1024

// Put implements bridge.History.
func (r recorder) Put(batch []bridge.Note) {
	room := r.room.Get().(*[]history.Note)
	notes := (*room)[:0]
	for i := range batch {
		notes = append(notes, history.Note(batch[i]))
	}
	r.book.Put(notes)
	clear(notes) // they refer to what was read
	if cap(notes) <= maxNotes {
		*room = notes[:0]
		r.room.Put(room)
	}
}
