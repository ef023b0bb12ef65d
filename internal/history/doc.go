// Package history remembers the recent messages and what happened to each of them, step by
// step, so that "where is my message?" can be answered by looking: on the status page, by
// stox trail, and by the command that lists a user's own messages.
//
// Book is the memory. It is told by Notes, which are plain values of whoever has the message
// at that moment, in any order: each says which message it is about, so that one that comes
// before the others makes the entry as well. Nothing is formatted when a Note is taken, and
// nothing is allocated once the Book is full, and next to nothing before: what an entry keeps is
// packed into blocks of one size that are the Book's own. Of a message that arrives at once the
// strings of the first Note are copied there, and what comes later is a few octets in a table; it
// is put together when somebody looks.
//
// # Memory
//
// A Book has MaxMessages messages at most and MaxBytes at most; what is beyond either pushes
// out the oldest. A message of a usual kind takes 310 octets, 200 of them in blocks and the rest in
// tables, so that a full Book has some three MiB. Blocks that were needed once, for longer
// ones, stay the Book's. Addresses and ids are kept up to 255 octets each, what was said of a
// message up to 2 KiB in all, of its steps the first and the last ones, together MaxSteps.
//
// The text of a message is kept only if its Note has it, which is when admin.show_bodies is
// on, and then up to 2 KiB.
//
// Ladder draws a message as text: who said what to whom, and when. Describe has the words of
// a step. FromTrail makes messages of the events that a trail has kept of them, which know less.
package history
