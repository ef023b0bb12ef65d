package bridge

import (
	"slices"
	"sync"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// What is remembered of the conversations between XMPP users and their contacts, so
// that each side finds its own in what the other one answers: the thread that a Call-ID
// stands for (IM-06, IM-12), the devices that a GRUU has named (ADDR-19), and the name
// that a contact has told of itself.
//
// Without a thread each message has a Call-ID of its own. RFC 7572 leaves that open, and
// there are user agents that take every further request with the same Call-ID for a
// repeat of the first: they answer 200 and show nothing. To those even the messages of a
// thread go with Call-IDs of their own (see formats).
//
// All of it may be forgotten, and is when the process ends: a thread then comes back as
// a Call-ID. A user has room for so many conversations, which is all that strangers who
// write to that user can take; only when all users together have too many do those go that
// were unused for longest.

const (
	maxTalks     = 64      // conversations of a user; the one unused for longest goes
	maxAllTalks  = 1 << 15 // of all users, in each of two generations
	maxThreads   = 8       // of a conversation
	maxThreadLen = 256     // bytes; no client makes longer ones
	maxDevices   = 4       // of a conversation
	maxDeviceLen = 256     // bytes of a resource
	maxAddress   = 256     // bytes of a bare address; it may have eight times as many

	talkFor = 24 * time.Hour // a conversation is remembered at least so long, if there is room
)

// conversations is safe for concurrent use.
type conversations struct {
	ids *ids

	mu         sync.Mutex // guards the following
	young, old map[mapping.JID]*talks
	n          int       // conversations in young
	turned     time.Time // when young was begun
}

// talks are the conversations of one user, the one used last at the end.
type talks struct{ list []*talk }

// talk is one conversation.
type talk struct {
	contact mapping.JID
	threads []thread
	devices []string // resources of contact
	nick    string   // that the user was told last
}

// thread is one that does not stand as a Call-ID, and what stands for it.
type thread struct{ callID, name string }

// memorable reports whether an address is short enough for anything to be remembered of
// it: what is remembered is counted, and the longest would be a thousand times the usual.
func memorable(j mapping.JID) bool { return len(j.Local())+len(j.Domain()) <= maxAddress }

func newConversations(g *ids) *conversations {
	return &conversations{ids: g, young: make(map[mapping.JID]*talks)}
}

// callID is the Call-ID of a message from user to contact whose thread cannot be one, or
// may not: then own is true, and each message has another one. Otherwise it is the same
// whenever the thread is, also after a restart. Without a thread it is always a new one.
func (c *conversations) callID(user, contact mapping.JID, name string, own bool, now time.Time) string {
	if name == "" {
		return newCallID()
	}
	user, contact = user.Bare(), contact.Bare()
	id := newCallID()
	if !own {
		id = c.threadID(user, contact, name)
	}
	if len(name) > maxThreadLen {
		return id // not remembered
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(user, contact, now).remember(thread{id, name})
	return id
}

// another is a Call-ID for a message that was to have this one.
func (c *conversations) another(user, contact mapping.JID, callID string, now time.Time) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.add(user.Bare(), contact.Bare(), now)
	id := newCallID()
	t.remember(thread{id, t.thread(callID)})
	return id
}

// remember keeps a thread; the oldest goes when there are too many.
func (t *talk) remember(th thread) {
	if slices.Contains(t.threads, th) {
		return
	}
	if len(t.threads) == maxThreads {
		t.threads = slices.Delete(t.threads, 0, 1)
	}
	t.threads = append(t.threads, th)
}

// thread is what a Call-ID stands for: itself if nothing else is known.
func (t *talk) thread(callID string) string {
	for _, th := range t.threads {
		if th.callID == callID {
			return th.name
		}
	}
	return callID
}

// threadID is the Call-ID that stands for a thread.
func (c *conversations) threadID(user, contact mapping.JID, name string) string {
	return stanzaID(c.ids.sum(0, "thread", user.String(), contact.String(), name))
}

// device reports whether the resource of contact is known to have come from a GRUU that
// wrote to user.
func (c *conversations) device(user, contact mapping.JID, now time.Time) bool {
	if contact.Resource() == "" {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.find(user.Bare(), contact.Bare(), now)
	return t != nil && slices.Contains(t.devices, contact.Resource())
}

// incoming gives a message from SIP the thread that its Call-ID stands for, takes away
// the nick if the user knows it, and remembers the device that it came from.
func (c *conversations) incoming(m *mapping.XMPPMessage, now time.Time) {
	user, contact, device := m.To.Bare(), m.From.Bare(), m.From.Resource()
	c.mu.Lock()
	defer c.mu.Unlock()
	var t *talk
	if device != "" && len(device) <= maxDeviceLen {
		t = c.add(user, contact, now)
		if !slices.Contains(t.devices, device) {
			if len(t.devices) == maxDevices {
				t.devices = slices.Delete(t.devices, 0, 1)
			}
			t.devices = append(t.devices, device)
		}
	} else if t = c.find(user, contact, now); t == nil {
		return
	}
	if m.Nick == t.nick {
		m.Nick = ""
	}
	m.Thread = t.thread(m.Thread)
}

// told remembers that a message with this nick has reached user.
func (c *conversations) told(user, contact mapping.JID, nick string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(user.Bare(), contact.Bare(), now).nick = nick
}

// find is the conversation of user with contact, nil if there is none. c.mu is held.
func (c *conversations) find(user, contact mapping.JID, now time.Time) *talk {
	c.turn(now)
	of := c.young[user]
	if of == nil {
		if of = c.old[user]; of == nil {
			return nil
		}
		delete(c.old, user)
		c.young[user] = of
		c.n += len(of.list)
	}
	last := len(of.list) - 1
	for i := last; i >= 0; i-- {
		if t := of.list[i]; t.contact == contact {
			copy(of.list[i:], of.list[i+1:])
			of.list[last] = t
			return t
		}
	}
	return nil
}

// add is find, and makes a conversation if there is none. One that is not memorable is
// forgotten at once.
func (c *conversations) add(user, contact mapping.JID, now time.Time) *talk {
	if t := c.find(user, contact, now); t != nil {
		return t
	}
	if !memorable(user) || !memorable(contact) {
		return &talk{contact: contact}
	}
	of := c.young[user]
	if of == nil {
		of = &talks{}
		c.young[user] = of
	}
	t := &talk{contact: contact}
	if len(of.list) == maxTalks {
		copy(of.list, of.list[1:])
		of.list[maxTalks-1] = t
	} else {
		of.list = append(of.list, t)
		c.n++
	}
	return t
}

// turn begins a new generation when the young one is old or full; who is not heard of in
// a whole one is forgotten.
func (c *conversations) turn(now time.Time) {
	switch age := now.Sub(c.turned); {
	case age >= 2*talkFor:
		c.old = nil
	case age >= talkFor || c.n >= maxAllTalks:
		c.old = c.young
	default:
		return
	}
	c.young, c.n, c.turned = make(map[mapping.JID]*talks), 0, now
}
