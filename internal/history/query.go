package history

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Query says which messages are looked for. What is empty makes no difference.
type Query struct {
	User    string    // part of the JID of the user
	Address string    // part of any of the addresses
	ID      string    // the id of the stanza, or the Call-ID
	Outcome string    // one of Outcomes
	Faulty  bool      // Failed, Denied or Uncertain
	From    time.Time // read then or later
	To      time.Time // read before

	Limit int    // so many at most; 0: 50
	After string // the Key of a message: only such as were read before it
}

const (
	defaultLimit = 50
	maxLimit     = 500
	scanned      = 256 // entries that are looked at without letting others in
)

// Find returns messages, the newest first; more says that there are others behind them.
func (b *Book) Find(q Query) (found []Message, more bool) {
	limit := min(q.Limit, maxLimit)
	if limit <= 0 {
		limit = defaultLimit
	}
	m := matcher{q: q, user: fold(q.User), address: fold(q.Address)}
	b.scan(q.After, func(e *entry) bool {
		if !m.matches(e) {
			return true
		}
		if more = len(found) == limit; more {
			return false
		}
		found = append(found, e.message())
		return true
	})
	return found, more
}

// OfUser returns the last n messages of a user, whatever the device, the newest first.
func (b *Book) OfUser(user mapping.JID, n int) (found []Message) {
	bare := []byte(user.Bare().String())
	if len(bare) == 0 || n <= 0 {
		return nil
	}
	b.scan("", func(e *entry) bool {
		if e.clipped {
			return true // it may be another one's
		}
		rest, ok := bytes.CutPrefix(e.get(e.fields[fieldUser]), bare)
		if ok && (len(rest) == 0 || rest[0] == '/') {
			found = append(found, e.message())
		}
		return len(found) < n
	})
	return found
}

// Get returns the message of that Key.
func (b *Book) Get(key string) (Message, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if number, ok := b.number(key); ok {
		return b.load(b.place(number)).message(), true
	}
	return Message{}, false
}

// ByID returns the messages with that stanza id or Call-ID, the newest first, a few at most.
func (b *Book) ByID(id string) []Message {
	if id == "" {
		return nil
	}
	found, _ := b.Find(Query{ID: id, Limit: 10})
	return found
}

// number is that of a message, if the book has it. b.mu is held.
func (b *Book) number(key string) (uint64, bool) {
	k, err := strconv.ParseUint(key, 36, 64)
	if err != nil || keyOf(k) != key {
		return 0, false
	}
	at := b.index.find(b.ring, k)
	if at == 0 {
		return 0, false
	}
	oldest := b.at(b.first)
	return b.first + uint64((int(at-1)-int(oldest)+b.max)%b.max), true
}

// scan calls f with entries, the newest first, as long as it returns true. It lets others in
// now and then: a message may be missed that is pushed out meanwhile.
func (b *Book) scan(after string, f func(*entry) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	number := b.next
	if after != "" {
		var ok bool
		if number, ok = b.number(after); !ok {
			return
		}
	}
	for n := 1; number > b.first; n++ {
		number--
		if !f(b.load(b.place(number))) {
			return
		}
		if n%scanned == 0 {
			b.mu.Unlock()
			b.mu.Lock()
		}
	}
}

// matcher is a Query with its texts folded.
type matcher struct {
	q             Query
	user, address []byte
}

func (m *matcher) matches(e *entry) bool {
	q := &m.q
	switch {
	case q.Outcome != "" && outcomeNames[e.outcome] != q.Outcome,
		q.Faulty && !faulty(outcomeNames[e.outcome]),
		!q.From.IsZero() && e.readAt().Before(q.From),
		!q.To.IsZero() && !e.readAt().Before(q.To),
		len(m.user) > 0 && !e.has(fieldUser, m.user),
		q.ID != "" && !e.is(fieldID, q.ID) && !e.is(fieldCallID, q.ID):
		return false
	}
	return len(m.address) == 0 || e.has(fieldUser, m.address) || e.has(fieldContact, m.address) || e.has(fieldSIP, m.address)
}

func faulty(outcome string) bool {
	return outcome == Failed || outcome == Denied || outcome == Uncertain
}

func (e *entry) is(field int, s string) bool { return string(e.get(e.fields[field])) == s }

// has reports whether a field has that in it, in whatever case.
func (e *entry) has(field int, folded []byte) bool {
	var room [maxField * 2]byte
	return bytes.Contains(appendFolded(room[:0], e.get(e.fields[field])), folded)
}

func fold(s string) []byte { return appendFolded(nil, []byte(s)) }

// appendFolded appends s with the letters of ASCII in lower case: those of an address that
// are not in its normal form already.
func appendFolded(b, s []byte) []byte {
	for _, c := range s {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// sortSteps puts steps in the order of time. Of two at the same time the one that was told
// first is first.
func sortSteps(steps []Step) {
	slices.SortStableFunc(steps, func(a, b Step) int { return cmp.Compare(a.After, b.After) })
}
