package app

import (
	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/store"
	"github.com/stoxgw/stox/mapping"
)

// journal is the store as the bridge asks for it. The values are the same on both
// sides, and neither side knows the other's.
type journal struct{ store *store.Store }

var (
	_ bridge.Journal     = (*journal)(nil)
	_ bridge.ContactBook = (*journal)(nil)
)

func (j *journal) Append(rows []bridge.Row) (int, error) { return j.store.Append(entries(rows)) }
func (j *journal) Update(rows []bridge.Row) (int, error) { return j.store.Update(entries(rows)) }
func (j *journal) Done(ids []uint64)                     { j.store.Done(ids) }

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
	out := make([]store.Seen, len(batch))
	for i, s := range batch {
		out[i] = store.Seen(s)
	}
	j.store.PutSeen(out)
}

func (j *journal) PutTrail(batch []bridge.Event) {
	out := make([]store.TrailEvent, len(batch))
	for i, e := range batch {
		out[i] = store.TrailEvent(e)
	}
	j.store.PutTrail(out)
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

func entries(rows []bridge.Row) []store.Entry {
	out := make([]store.Entry, len(rows))
	for i, r := range rows {
		out[i] = store.Entry{ID: r.ID, Rev: r.Rev, Lane: r.Lane, Data: r.Data, Read: r.Read, Expire: r.Expire}
	}
	return out
}

func rowOf(e store.Entry) bridge.Row {
	return bridge.Row{ID: e.ID, Rev: e.Rev, Lane: e.Lane, Data: e.Data, Read: e.Read, Expire: e.Expire}
}

func marksOf(marks []store.Mark) []bridge.Mark {
	out := make([]bridge.Mark, len(marks))
	for i, m := range marks {
		out[i] = bridge.Mark(m)
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
