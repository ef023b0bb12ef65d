package app

import (
	"sync"

	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/store"
	"github.com/stoxgw/stox/mapping"
)

// journal is the store as the bridge asks for it. The values are the same on both
// sides, and neither side knows the other's.
type journal struct {
	store *store.Store

	// What is handed over in between, once for each batch. Rows come with the bridge's lock
	// held, where allocating would hold up others; the rest comes from several goroutines.
	entries scratch[store.Entry]
	seen    scratch[store.Seen]
	events  scratch[store.TrailEvent]
}

var (
	_ bridge.Journal     = (*journal)(nil)
	_ bridge.ContactBook = (*journal)(nil)
)

// scratch lends slices, which are used again.
type scratch[T any] struct{ pool sync.Pool }

// scratchItems bounds what is kept for reuse.
const scratchItems = 4096

func (s *scratch[T]) borrow() *[]T {
	if p, ok := s.pool.Get().(*[]T); ok {
		return p
	}
	return new([]T)
}

// giveBack takes a slice that nobody uses any more.
func (s *scratch[T]) giveBack(p *[]T) {
	if cap(*p) > scratchItems {
		return
	}
	clear(*p)
	*p = (*p)[:0]
	s.pool.Put(p)
}

func (j *journal) Append(rows []bridge.Row) (int, error) { return j.hand(rows, j.store.Append) }
func (j *journal) Update(rows []bridge.Row) (int, error) { return j.hand(rows, j.store.Update) }
func (j *journal) Done(ids []uint64)                     { j.store.Done(ids) }

func (j *journal) hand(rows []bridge.Row, to func([]store.Entry) (int, error)) (int, error) {
	p := j.entries.borrow()
	defer j.entries.giveBack(p)
	for i := range rows {
		*p = append(*p, store.Entry(rows[i]))
	}
	return to(*p)
}

func (j *journal) Get(ids []uint64) ([]bridge.Row, error) {
	found, err := j.store.Get(ids)
	if err != nil {
		return nil, err
	}
	rows := make([]bridge.Row, len(found))
	for i := range found {
		rows[i] = rowOf(found[i])
	}
	return rows, nil
}

func (j *journal) PutSeen(batch []bridge.Seen) {
	p := j.seen.borrow()
	defer j.seen.giveBack(p)
	for i := range batch {
		*p = append(*p, store.Seen(batch[i]))
	}
	j.store.PutSeen(*p)
}

func (j *journal) PutTrail(batch []bridge.Event) {
	p := j.events.borrow()
	defer j.events.giveBack(p)
	for i := range batch {
		*p = append(*p, store.TrailEvent(batch[i]))
	}
	j.store.PutTrail(*p)
}

// maxEvents is more than one message ever has.
const maxEvents = 1000

func (j *journal) Lookup(id string) ([]bridge.Event, error) {
	found, err := j.store.LookupFew(id, maxEvents)
	if err != nil {
		return nil, err
	}
	out := make([]bridge.Event, len(found))
	for i, e := range found {
		out[i] = bridge.Event(e)
	}
	return out, nil
}

// PutContacts makes the journal the bridge's ContactBook.
func (j *journal) PutContacts(batch []bridge.Contact) {
	out := make([]store.Contact, len(batch))
	for i, c := range batch {
		out[i] = store.Contact{User: c.User.String(), Contact: c.Contact.String(), Marks: uint16(c.Marks)}
	}
	j.store.PutContacts(out)
}

// contactsOf leaves out what is no JID: the file may have been written to by others.
func contactsOf(batch []store.Contact) []bridge.Contact {
	out := make([]bridge.Contact, 0, len(batch))
	for _, c := range batch {
		user, err := mapping.ParseJID(c.User)
		contact, err2 := mapping.ParseJID(c.Contact)
		if err == nil && err2 == nil {
			out = append(out, bridge.Contact{User: user, Contact: contact, Marks: bridge.ContactMarks(c.Marks)})
		}
	}
	return out
}

func rowOf(e store.Entry) bridge.Row { return bridge.Row(e) }

// marksOf puts marks in the place of out.
func marksOf(out []bridge.Mark, marks []store.Mark) []bridge.Mark {
	out = out[:0]
	for _, m := range marks {
		out = append(out, bridge.Mark(m))
	}
	return out
}

func seenOf(batch []store.Seen) []bridge.Seen {
	out := make([]bridge.Seen, len(batch))
	for i, s := range batch {
		out[i] = bridge.Seen(s)
	}
	return out
}
