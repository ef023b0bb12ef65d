// Package store keeps what must outlive the process: the journal of messages that
// are not done, the outcomes of requests that may be repeated, which users and contacts
// have met and who may see whose presence, the SIP accounts of users, what is blocked, how much users have sent to
// telephones, and the trail of what became of every message. It knows nothing of messages: a
// row's Data is bytes to it.
//
// # The journal
//
// Append, Update and Done return at once. One goroutine commits: a commit starts
// as soon as there is something to write, and what gathers while it runs is the
// next one (group commit). The commits are reported through Events.
//
//	Append ──> waiting ──> commit runs ──> kept ──> Done ──> deleted
//	              │            │
//	              │            └ the commit failed: reported, the row is gone
//	              └ Done: the row is never written
//
// Whether a row is written at all is decided under one lock: if Done comes before
// the commit of the row has begun, it never reaches the disk; if it comes later,
// the row is deleted. Deletions go with a later commit: one of rows
// from 20 ms on, else at 256 of them or after 40 ms, whatever is first; outcomes (PutSeen, 1024
// make a commit) are packed into one row and go with them, as do contacts, relations,
// dialogs, accounts, blocks and usage. The trail (PutTrail) is packed as it comes, into
// batches that wait for a second or until they are full.
//
// Callers wake the goroutine that commits when it has something to do and at no other
// time. What it has done with, it gives back: in a steady state nothing is allocated for a row
// but what the driver asks for.
//
// In SQLite a commit packs its rows into slots of one page each (slots.go), which rows of later commits overwrite in
// place; only those that stay are moved to a table with a row for each, when the log is emptied or slots
// run out.
//
// # Faults
//
// A commit that fails (disk full, file locked, I/O error) is reported for all rows
// that were new in it and all that waited behind it, in the order of Append; these
// are gone, so that nothing overtakes them. Until the store has recovered Append
// refuses with the same fault. Everything else - updates, deletions, outcomes,
// trail - is kept and tried again with back-off, on a fresh connection. When
// nothing else is to be written a probe is, so that the store recovers by itself.
// State says so, for readiness and alarms.
//
// # One file, one daemon
//
// Open locks the file against a second daemon and refuses one that is damaged, of
// another program, or written by a newer version, without touching it.
// OpenReadOnly looks into the file of a daemon that is not running.
//
// # Other engines
//
// Queueing, bounds, order and reports are the same for every engine; an engine
// implements the small interface backend, whose commit takes everything of one
// group commit at once. There are two: SQLite and, for an empty path, memory. An
// engine shared by several nodes leases groups of rows: the rows that a node
// appends belong to its group, load returns the rows of the groups that the node
// holds, and those of a dead node come to another one by a further field of Events.
// Nothing here assumes that ids are dense or that only one node makes them: they
// are unique within the group.
//
// # Concurrency
//
// All methods of Store may be called from any goroutine. Append, Update, Done,
// PutSeen, PutContacts, PutRelations, PutDialogs, PutAccounts, PutTrail, SetLimits and State never wait
// for the disk. Load, LoadSeen, LoadContacts, LoadRelations, LoadDialogs, LoadAccounts, Page, Get and
// Lookup read it. Functions of Events are called one at a time from a goroutine of Run, with
// no lock held, and may call the store.
package store
