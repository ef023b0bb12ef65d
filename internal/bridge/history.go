package bridge

import (
	"encoding/binary"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// History is told what happens to messages, step by step, for those who want to look at
// it. It returns at once, keeps nothing of the slice, and does not call the bridge, whose lock
// may be held. Notes of a message may come in another order than its steps.
//
// Of what strangers send, and users beyond their rate, it is told no more than the trail:
// they could push out what others want to see.
type History interface {
	Put(batch []Note)
}

// Note is one step in the life of a message. The strings are not copied: whoever keeps them
// keeps what they were read with.
type Note struct {
	Key     uint64 // of the message: the same in all its notes, and in no others
	FromSIP bool   // it goes to XMPP

	Read time.Time // when the message was read
	At   time.Time // of this step
	Kind string    // one word; "": only the outcome is told

	User    string // the XMPP user, or what SIP has called it if that is nobody
	Contact string // the SIP contact, a JID
	SIP     string // the same as a SIP URI
	ID      string // of the stanza
	CallID  string

	Status    int // of SIP
	N, Of     int // which request or part, and of how many
	Condition string
	Text      string // why; never the text of the message
	Remedy    string

	Outcome string // what has become of it; "": nothing is decided

	Type string // of what is sent
	Size int
	Body string // the text of the message, if Policy.Texts says so
}

// The kinds of notes that are not those of events as well.
const (
	noteRead      = "read"
	noteRefused   = "refused"
	noteSent      = "sent"
	noteEarly     = "early"
	noteJournaled = "journaled"
	noteLoaded    = "loaded"
	noteAnswer    = "answer"
	noteNoAnswer  = "no-answer"
	noteNotSent   = "not-sent"
	noteRetry     = "retry"
	noteSplit     = "split"
	noteTold      = "told"
	noteReported  = "reported"
	noteUntold    = "untold"
	noteProcessed = "processed"
	noteBounced   = "bounced"
	noteUnwritten = "unwritten"
	noteUnproved  = "unproved"
	noteLinkLost  = "link-lost"
	noteAnswered  = "answered"
	noteJoined    = "joined"
	noteRepeated  = "repeated"
	noteLate      = "late"
	noteReceipt   = "receipt"
)

// A message has a number in its notes: that of its row; of one that has none the next of a
// counter; from SIP its identity, so that its repeats are notes about the same message.
const (
	noteWithoutRow = 1 << 62
	noteFromSIP    = 1 << 63
)

// NumberOf is the number that a message from SIP has in its notes, by the id of its stanza;
// false if that is none that the gateway makes.
func NumberOf(stanza string) (uint64, bool) {
	key, ok := keyOf(stanza)
	return numberOf(key), ok
}

// numberOf is the number of a message from SIP.
func numberOf(k stanzaKey) uint64 { return binary.LittleEndian.Uint64(k[:8]) | noteFromSIP }

// noteBatch is how many notes are collected at most: those of a large batch go out in parts.
const noteBatch = 128

// flush hands over the notes if there are many, with or without the lock.
func (w *work) flush() {
	if len(w.notes) >= noteBatch && w.history != nil {
		w.history.Put(w.notes)
		clear(w.notes)
		w.notes = w.notes[:0]
	}
}

// note is a Note about o, to which the caller adds what there is to say; nil if o is nobody's.
func (w *work) note(o *outbound, kind string) *Note {
	if o.silent {
		return &Note{}
	}
	n := w.newNote(o.number, kind)
	n.Read, n.User, n.Contact, n.SIP, n.ID, n.CallID = o.read, o.from.String(), o.to.String(), o.lane, o.id, o.callID()
	return n
}

// newNote is a Note that has nothing yet but this and its time. What is behind the end of
// w.notes is empty, so that there is nothing to be copied.
func (w *work) newNote(number uint64, kind string) *Note {
	w.flush()
	if i := len(w.notes); i < cap(w.notes) {
		w.notes = w.notes[:i+1]
	} else {
		w.notes = append(w.notes, Note{})
	}
	n := &w.notes[len(w.notes)-1]
	n.Key, n.At, n.Kind = number, w.now, kind
	return n
}

// because adds to a note why.
func (n *Note) because(f *mapping.Failure) {
	if f != nil {
		n.Condition, n.Text, n.Remedy = string(f.Condition), f.Text, f.Remedy
	}
}

func (w *work) noteRead(o *outbound) {
	n := w.note(o, noteRead)
	m := o.message()
	n.Type, n.Size, n.Body = m.ContentType, len(m.Body), o.text
	o.text = ""
}

func (w *work) noteSent(o *outbound) {
	kind := noteSent
	if o.row != 0 && o.kept == 0 {
		kind = noteEarly
	}
	n := w.note(o, kind)
	if n.Of = o.total(); n.Of > 1 {
		n.N = o.arrived + 1
	} else {
		n.N, n.Of = o.attempts, 0
	}
}

// noteOutcome tells what the request of o came to.
func (w *work) noteOutcome(o *outbound, res *mapping.Outcome) {
	kind := noteAnswer
	switch res.Kind {
	case mapping.Unknown, mapping.Uncertain:
		kind = noteNoAnswer
	case mapping.NotWritten, mapping.Refused:
		kind = noteNotSent
	}
	n := w.note(o, kind)
	n.Status = res.Status
	n.because(res.Failure)
}

// noteRetry tells that o is going to be tried again.
func (w *work) noteRetry(o *outbound) {
	n := w.note(o, noteRetry)
	if wait := o.notBefore.Sub(w.now); wait > 0 {
		n.Text = "in " + wait.Round(100*time.Millisecond).String()
	}
}

// noteEnd tells what has become of o. If there is nothing else to say, the note before says
// it, too, which is that of its answer.
func (w *work) noteEnd(o *outbound, kind, outcome string, f *mapping.Failure) {
	if i := len(w.notes) - 1; i >= 0 && kind == "" && f == nil && !o.silent {
		if last := &w.notes[i]; last.Key == o.number && last.Kind == noteAnswer && last.Outcome == "" && last.Text == "" && last.Condition == "" {
			last.Outcome = outcome
			return
		}
	}
	n := w.note(o, kind)
	n.Outcome = outcome
	n.because(f)
}

// noteOf is a Note about a message from SIP.
func (w *work) noteOf(in *incoming, kind string) *Note {
	n := w.newNote(in.number, kind)
	n.FromSIP, n.Read, n.User, n.Contact, n.SIP, n.ID, n.CallID = true, in.taken, in.to.String(), in.from.String(), in.sender, in.id, in.callID
	return n
}

// noteTaken tells that a message from SIP was read and handed over. b.mu is held.
func (b *Bridge) noteTaken(out *work, in *incoming) {
	if in.quiet {
		return
	}
	n := out.noteOf(in, noteRead)
	if m := in.request; m != nil {
		n.Type, n.Size = m.ContentType, len(m.Body)
		if b.policy.Load().Texts {
			n.Body = string(m.Body)
		}
	}
	out.noteOf(in, noteSent)
}

// noteRefused tells that a message from SIP was not taken.
func (b *Bridge) noteRefused(out *work, in *incoming, f *mapping.Failure) {
	if in.number == 0 {
		in.number = b.unnumbered.Add(1) | noteWithoutRow
	}
	n := out.noteOf(in, noteRefused)
	if n.User == "" && in.request != nil {
		n.User = in.request.RequestURI.String()
	}
	n.Status, n.Outcome = f.Status, eventRefused
	n.because(f)
}

var xmppEnds = map[mapping.OutcomeKind]string{
	mapping.Processed: noteProcessed, mapping.Bounced: noteBounced, mapping.NotWritten: noteUnwritten, mapping.Refused: noteUnwritten,
	mapping.Unknown: noteUnproved, mapping.Uncertain: noteLinkLost,
}

// noteFinished tells what became of the stanzas of a message from SIP, and its answer. e is
// the event of the same.
func (w *work) noteFinished(in *incoming, e *event) {
	_, f := in.outcome.Final(200)
	n := w.noteOf(in, xmppEnds[in.outcome.Kind])
	n.because(f)
	n = w.noteOf(in, noteAnswered)
	n.Status, n.Outcome = e.status, e.Kind
	n.because(f)
}

// noteLater is a Note about a message from SIP that is not in memory any more.
func (w *work) noteLater(key stanzaKey, id string, user, contact mapping.JID, kind, text string) {
	n := w.newNote(numberOf(key), kind)
	n.FromSIP, n.User, n.Contact, n.ID, n.Text = true, user.String(), contact.String(), id, text
}
