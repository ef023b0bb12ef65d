package bridge

import (
	"time"

	"github.com/stoxgw/stox/mapping"
)

// ContactBook keeps what is remembered of users and their contacts. Nothing here waits
// for the disk.
type ContactBook interface {
	// PutContacts takes new versions. One without marks is to be forgotten.
	PutContacts(batch []Contact)
}

// Contact is what is remembered of a user and a contact of his, or of him and the gateway,
// which is a contact without a localpart.
type Contact struct {
	User, Contact mapping.JID // both bare
	Marks         ContactMarks
}

// ContactMarks are what has happened between a user and a contact. The values are those
// on the disk.
type ContactMarks uint16

// The marks.
const (
	MarkSubscribed ContactMarks = 1 << iota // the user has asked for its presence
	MarkIntroduced                          // it has been made known to the user, when it had written to him
	_                                       // was once: it has asked for the user's presence in return
	MarkGranted                             // the user lets it see his presence
	MarkDeclined                            // the user has said no
	MarkWelcomed                            // the user knows what this gateway is (the gateway only)
	MarkEnglish                             // the user has chosen the language to be spoken to in (the gateway only)
	MarkGerman                              // the same
)

// MarkLanguages are those of which a user has one at most.
const MarkLanguages = MarkEnglish | MarkGerman

// Bounds of what is remembered. What there is no room for is not done where it would be
// done again and again: nobody is greeted or introduced then.
const (
	maxContacts      = 100_000 // in all; users of one domain may have half of it
	maxContactsOf    = 512     // of one user, beside the names of the gateway …
	maxIntroductions = 256     // … of which so many may have come by themselves
	maxSessions      = 16384
	maxMet           = 1 << 15 // pairs of whom it is at hand that they have met
)

// introduceEvery is how often a user is told of a new contact at most. One that comes too
// soon is introduced when it writes again.
const introduceEvery = time.Minute

// person is a user of whom something is remembered.
type person struct {
	contacts   map[mapping.JID]ContactMarks
	introduced int  // contacts that have MarkIntroduced
	welcomed   bool // at any name of the gateway

	toldAt time.Time // when a contact was introduced last
	helpAt time.Time // when he was told last how to use the gateway
}

// contacts is what is remembered of all users. The bridge's mutex guards it.
type contacts struct {
	book  ContactBook // nil: nothing outlives the process, and nobody is told what he has not asked for
	alone bool        // there is one user domain only

	people   map[mapping.JID]*person
	entries  int
	byDomain map[string]int

	// Pairs, as hashes, whose contact needs no introduction, which is asked for every message
	// that it sends. Any of them may be missing.
	met map[uint64]struct{}
	pairs

	names    map[mapping.JID]struct{} // of the gateway, whose link has been up
	sessions map[session]struct{}     // whose start has been answered
	rounds   map[mapping.JID]*round   // by the name of the gateway that is announced
}

// session is a device that has told the gateway that it is there.
type session struct{ user, name mapping.JID }

func newContacts(book ContactBook, alone bool, hash pairs) contacts {
	return contacts{book: book, alone: alone, pairs: hash, met: make(map[uint64]struct{}),
		people: make(map[mapping.JID]*person), byDomain: make(map[string]int),
		names: make(map[mapping.JID]struct{}), sessions: make(map[session]struct{}), rounds: make(map[mapping.JID]*round)}
}

// marks are those of a user and a contact.
func (c *contacts) marks(user, contact mapping.JID) ContactMarks {
	if p := c.people[user]; p != nil {
		return p.contacts[contact]
	}
	return 0
}

// met reports whether a contact needs no introduction.
func (m ContactMarks) met() bool { return m&^MarkSubscribed != 0 }

// meet notes that a contact needs none, by the hash of the pair.
func (c *contacts) meet(pair uint64) {
	if len(c.met) >= maxMet {
		clear(c.met)
	}
	c.met[pair] = struct{}{}
}

// set replaces the marks of a user and a contact, and reports whether there was room.
func (c *contacts) set(user, contact mapping.JID, marks ContactMarks) bool {
	p := c.people[user]
	var old ContactMarks
	if p != nil {
		old = p.contacts[contact]
	}
	switch {
	case old == marks:
		return true
	case old.met() && !marks.met():
		delete(c.met, c.pairs.of(pair{user, contact}))
	}
	switch {
	case old == 0 && !c.room(p, user, contact):
		return false
	case p == nil:
		p = &person{contacts: make(map[mapping.JID]ContactMarks)}
		c.people[user] = p
	}
	if old&MarkIntroduced != 0 {
		p.introduced--
	}
	if marks&MarkIntroduced != 0 {
		p.introduced++
	}
	if old == 0 {
		c.entries++
		c.byDomain[user.Domain()]++
	}
	if marks != 0 {
		p.contacts[contact] = marks
		p.welcomed = p.welcomed || marks&MarkWelcomed != 0
		return true
	}
	delete(p.contacts, contact)
	c.entries--
	if c.byDomain[user.Domain()]--; c.byDomain[user.Domain()] == 0 {
		delete(c.byDomain, user.Domain())
	}
	if len(p.contacts) == 0 {
		delete(c.people, user)
	}
	return true
}

// room reports whether p, a user, may have one more contact. The gateway itself, which has
// few names, is always one of them.
func (c *contacts) room(p *person, user, contact mapping.JID) bool {
	if c.entries >= maxContacts || !c.alone && c.byDomain[user.Domain()] >= maxContacts/2 {
		return false
	}
	return p == nil || contact.Local() == "" || len(p.contacts) < maxContactsOf
}

// roomToIntroduce reports whether a contact may be made known to a user. Whoever may write
// from SIP may do so under many names: half of the room is left to what users do themselves.
func (c *contacts) roomToIntroduce(user mapping.JID) bool {
	if c.entries >= maxContacts/2 || !c.alone && c.byDomain[user.Domain()] >= maxContacts/4 {
		return false
	}
	p := c.people[user]
	return p == nil || p.introduced < maxIntroductions
}

// mark sets marks, clears others, and has the book keep what is new. It reports whether
// there was room.
func (b *Bridge) mark(out *work, user, contact mapping.JID, set, clear ContactMarks) bool {
	old := b.contacts.marks(user, contact)
	marks := old&^clear | set
	if !b.contacts.set(user, contact, marks) {
		return false
	}
	if marks != old {
		b.keepMarks(out, user, contact)
	}
	return true
}

// Remember changes what is kept in mind of a user and a name of the gateway, if there is room
// for it.
func (b *Bridge) Remember(user, name mapping.JID, set, clear ContactMarks) {
	out := work{now: time.Now()}
	b.mu.Lock()
	b.mark(&out, user.Bare(), name.DomainJID(), set, clear)
	b.unlock(&out)
}

// keepMarks has the book keep the marks of a user and a contact as they are.
func (b *Bridge) keepMarks(out *work, user, contact mapping.JID) {
	out.contacts = append(out.contacts, Contact{user, contact, b.contacts.marks(user, contact)})
}

// RestoreContacts takes what an earlier run has kept. Call it before Run.
func (b *Bridge) RestoreContacts(batch []Contact) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range batch {
		b.contacts.set(c.User.Bare(), c.Contact.Bare(), c.Marks)
	}
}

// opened notes that a device has told a name of the gateway that it is there; false: that
// is known. If there is no room another one is forgotten, and would be answered twice.
func (c *contacts) opened(s session) bool {
	if _, known := c.sessions[s]; known {
		return false
	}
	if len(c.sessions) >= maxSessions {
		for other := range c.sessions {
			delete(c.sessions, other)
			break
		}
	}
	c.sessions[s] = struct{}{}
	return true
}

// closed is the reverse; false: nothing was known of that device.
func (c *contacts) closed(s session) bool {
	_, known := c.sessions[s]
	delete(c.sessions, s)
	return known
}
