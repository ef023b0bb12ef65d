package history

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// MaxMessages are remembered at most.
	MaxMessages = 10_000
	// MaxBytes is what they may take together, beside half a MiB for the table of them.
	MaxBytes = 16 << 20
	// MaxSteps of a message are remembered: the first half of them and the latest.
	MaxSteps = 24
	// MaxBody is how much of a text is remembered, if any of it is.
	MaxBody = 2 << 10

	maxField = 255     // octets of an address or id
	maxText  = 2 << 10 // octets of all that is said of a message
	maxSaid  = 255     // octets of what is said of a step
)

// Book remembers messages. All methods may be called from any goroutine; Put returns at once.
type Book struct {
	max   int
	bytes int
	made  time.Time

	mu      sync.Mutex        // guards the following
	ring    []place           // by number, modulo its length
	blocks  blocks            // what is in the ring
	open    entry             // the one that is looked at or changed
	packed  []byte            // room for it
	first   uint64            // number of the oldest message; they begin with 1
	next    uint64            // of the next one
	byKey   map[uint64]uint64 // number by key
	version uint64            // of what is in the book
	since   time.Time
}

// place is where an entry is at rest.
type place struct {
	key  uint64
	at   uint32 // its first block
	size uint32
}

// entry is a message, unpacked to be looked at or changed.
type entry struct {
	key     uint64
	read    int64 // when it was read, in nanoseconds since 1970 ...
	mono    int64 // ... and since the book was made, by a clock that nobody sets
	size    int32
	status  int16
	omitted uint16 // steps
	outcome uint8  // index of outcomeNames
	fromSIP bool
	known   bool // it has its Read
	clipped bool // the user is not whole
	fields  [fieldCount]span
	text    []byte // what fields and steps refer to
	steps   []step
}

// span is a part of the text of an entry.
type span struct{ from, to uint16 }

const (
	fieldUser = iota
	fieldContact
	fieldSIP
	fieldID
	fieldCallID
	fieldType
	fieldReason
	fieldCondition
	fieldRemedy
	fieldBody
	fieldCount
)

type step struct {
	after           int64 // nanoseconds since the message was read
	said, condition span
	status          int16
	kind            uint8 // index of kindNames
	n, of           uint8
}

var (
	kindNames = []string{Event, Read, Refused, Sent, Early, Journaled, Loaded, Answer, NoAnswer, NotSent, Retry, Split, Told, Reported, Untold,
		Processed, Bounced, Unwritten, Unproved, LinkLost, Answered, Joined, Repeated, Late, Receipt}
	outcomeNames = Outcomes()

	kindIndex, outcomeIndex = indexOf(kindNames), indexOf(outcomeNames)
)

func indexOf(names []string) map[string]uint8 {
	m := make(map[string]uint8, len(names))
	for i, name := range names {
		m[name] = uint8(i)
	}
	return m
}

// NewBook makes an empty one that knows of what happens from now on.
func NewBook(now time.Time) *Book { return newBook(now, MaxMessages, MaxBytes) }

func newBook(now time.Time, max, bytes int) *Book {
	return &Book{max: max, bytes: bytes, ring: make([]place, max), first: 1, next: 1, byKey: make(map[uint64]uint64), made: now, since: now}
}

// Put takes notes. It keeps nothing of what they refer to.
func (b *Book) Put(batch []Note) {
	if len(batch) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.version++
	number := uint64(0) // of the open entry
	for i := range batch {
		n := &batch[i]
		if n.Key == 0 { // it would be of all messages that nobody has given a number
			continue
		}
		if number == 0 || b.open.key != n.Key { // most are about the same as the one before
			b.close(number)
			number = b.openKey(n)
		}
		b.open.take(n, b.mono(n))
	}
	b.close(number)
}

// mono is when a note was, by the clock that nobody sets.
func (b *Book) mono(n *Note) int64 { return n.At.Sub(b.made).Nanoseconds() }

// close packs the open entry, which has that number, and makes room if that is needed.
func (b *Book) close(number uint64) {
	if number == 0 {
		return
	}
	b.packed = b.open.pack(b.packed[:0], b.made.UnixNano())
	p := b.place(number)
	p.at, p.size = b.blocks.write(p.at, b.packed), uint32(len(b.packed))
	b.shrink()
}

// shrink forgets messages until the others have room.
func (b *Book) shrink() {
	for b.blocks.bytes() > b.bytes && b.first+1 < b.next {
		b.forget()
	}
}

// openKey opens the entry of the message of n, a new one if the book has none, and returns
// its number.
func (b *Book) openKey(n *Note) uint64 {
	if number, ok := b.byKey[n.Key]; ok {
		b.at(number)
		return number
	}
	if int(b.next-b.first) >= b.max {
		b.forget()
	}
	number := b.next
	b.next++
	b.byKey[n.Key] = number
	*b.place(number) = place{key: n.Key}
	b.open.begin(n, b.mono(n))
	return number
}

// begin is for the first note of a message, at mono.
func (e *entry) begin(n *Note, mono int64) {
	*e = entry{key: n.Key, fromSIP: n.FromSIP, text: e.text[:0], steps: e.steps[:0], mono: mono}
	read := n.Read
	if read.IsZero() {
		read = n.At
	}
	e.read = read.UnixNano()
	e.mono -= n.At.Sub(read).Nanoseconds()
	e.clipped = len(n.User) > maxField
	for i, s := range [...]string{fieldUser: n.User, fieldContact: n.Contact, fieldSIP: n.SIP, fieldID: n.ID, fieldCallID: n.CallID} {
		e.fields[i] = e.keep(clip(s, maxField))
	}
}

func (b *Book) place(number uint64) *place { return &b.ring[(number-1)%uint64(b.max)] }

// at opens the entry with that number. It is there until another one is opened.
func (b *Book) at(number uint64) *entry {
	p := b.place(number)
	b.packed = b.blocks.read(b.packed[:0], p.at, int(p.size))
	b.open.unpack(p.key, b.packed, b.made.UnixNano())
	return &b.open
}

// forget ends the oldest message.
func (b *Book) forget() {
	p := b.place(b.first)
	delete(b.byKey, p.key)
	b.blocks.release(p.at)
	*p = place{}
	b.first++
}

func (e *entry) take(n *Note, mono int64) {
	if n.Kind == Read || n.Kind == Refused {
		e.known = true
	}
	if n.Type != "" {
		e.set(fieldType, n.Type)
	}
	if n.Size > 0 {
		e.size = int32(min(n.Size, math.MaxInt32))
	}
	if n.Body != "" && e.fields[fieldBody] == (span{}) {
		e.fields[fieldBody] = e.append(clip(n.Body, MaxBody))
	}
	if n.Outcome != "" {
		e.outcome = outcomeIndex[n.Outcome] // of an unknown one nothing is decided
		e.set(fieldReason, clip(n.Text, maxSaid))
		e.set(fieldCondition, n.Condition)
		e.set(fieldRemedy, n.Remedy)
	}
	if n.Status != 0 {
		e.status = int16(n.Status)
	}
	if n.Kind == "" {
		return
	}
	s := step{after: mono - e.mono, status: int16(n.Status), n: uint8(min(n.N, math.MaxUint8)), of: uint8(min(n.Of, math.MaxUint8))}
	text, known := n.Text, false
	if s.kind, known = kindIndex[n.Kind]; !known {
		text = n.Kind + ": " + n.Text // an Event
	}
	if text != "" {
		s.said = e.keep(clip(text, maxSaid))
	}
	if n.Condition != "" {
		s.condition = e.keep(clip(n.Condition, maxSaid))
	}
	if len(e.steps) == MaxSteps {
		copy(e.steps[MaxSteps/2:], e.steps[MaxSteps/2+1:])
		e.steps = e.steps[:MaxSteps-1]
		e.omitted++
	}
	e.steps = append(e.steps, s)
}

// set has a field say s, if that is something else.
func (e *entry) set(field int, s string) {
	if s == "" && e.fields[field] == (span{}) {
		return
	}
	s = clip(s, maxField)
	if string(e.get(e.fields[field])) != s {
		e.fields[field] = e.keep(s)
	}
}

// keep copies s, if there is room. What is there already is not copied again.
func (e *entry) keep(s string) span {
	said := len(e.text) - int(e.fields[fieldBody].to-e.fields[fieldBody].from)
	if s == "" || said+len(s) > maxText {
		return span{}
	}
	if r := e.fields[fieldReason]; r != (span{}) && string(e.get(r)) == s {
		return r
	}
	return e.append(s)
}

func (e *entry) append(s string) span {
	from := len(e.text)
	e.text = append(e.text, s...)
	return span{uint16(from), uint16(len(e.text))}
}

func (e *entry) get(s span) []byte { return e.text[s.from:s.to] }

// clip is s without what is beyond n octets and what is no UTF-8.
func clip(s string, n int) string {
	if len(s) <= n && utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s[:min(len(s), n)], "")
}

// Restore takes notes of what was before the book was made, the oldest first.
func (b *Book) Restore(batch []Note) {
	b.Put(batch)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(batch) > 0 && batch[0].At.Before(b.since) {
		b.since = batch[0].At
	}
}

// Version changes with what is in the book.
func (b *Book) Version() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.version
}

// Since is the time from which on the book knows, and how many messages it has.
func (b *Book) Since() (since time.Time, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n = int(b.next - b.first); n >= b.max {
		if oldest := b.at(b.first).readAt(); oldest.After(b.since) {
			return oldest, n
		}
	}
	return b.since, n
}

// ForgetTexts forgets the texts of all messages: they are not to be shown any more.
func (b *Book) ForgetTexts() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.version++
	for number := b.first; number < b.next; number++ {
		if e := b.at(number); e.fields[fieldBody] != (span{}) {
			clear(e.get(e.fields[fieldBody]))
			e.fields[fieldBody] = span{}
			b.close(number)
		}
	}
	clear(b.packed[:cap(b.packed)])
	clear(b.open.text[:cap(b.open.text)])
}

// Message is what a Book knows of a message. It is a copy.
type Message struct {
	Key     string // names it as long as this process runs
	FromSIP bool   // to XMPP; else from there
	User    string // the XMPP user, a JID
	Contact string // the SIP contact as a JID, "" if there is none
	SIP     string // the same as a URI
	ID      string // of the stanza
	CallID  string
	Read    time.Time
	Known   bool // it is known from its beginning
	Outcome string
	Status  int    // the last that SIP has said, or was told; 0: none
	Reason  string // why it did not arrive
	Remedy  string // what an admin may do about that

	Condition string
	Type      string // of the content
	Size      int    // octets of it
	Body      string // "" unless it is to be shown
	Steps     []Step // in the order of time
	Omitted   int    // steps that are not among them
}

// Step is one of a message.
type Step struct {
	After     time.Duration // since it was read
	Kind      string
	Status    int
	N, Of     int
	Condition string
	Text      string
}

// Took is the time from reading a message to its last step.
func (m *Message) Took() time.Duration {
	if len(m.Steps) == 0 {
		return 0
	}
	return m.Steps[len(m.Steps)-1].After
}

// Peer is the address on the SIP side, as far as it is known.
func (m *Message) Peer() string {
	if m.SIP != "" {
		return m.SIP
	}
	return m.Contact
}

// keyOf is how a key is written.
func keyOf(key uint64) string { return strconv.FormatUint(key, 36) }

func (e *entry) message() Message {
	m := Message{
		Key: keyOf(e.key), FromSIP: e.fromSIP, Read: e.readAt(), Known: e.known, Outcome: outcomeNames[e.outcome],
		Status: int(e.status), Size: int(e.size), Body: e.field(fieldBody), Omitted: int(e.omitted),
		User: e.field(fieldUser), Contact: e.field(fieldContact), SIP: e.field(fieldSIP), ID: e.field(fieldID), CallID: e.field(fieldCallID),
		Type: e.field(fieldType), Reason: e.field(fieldReason), Condition: e.field(fieldCondition), Remedy: e.field(fieldRemedy),
	}
	for _, s := range e.steps {
		m.Steps = append(m.Steps, Step{After: time.Duration(s.after), Kind: kindNames[s.kind], Status: int(s.status), N: int(s.n), Of: int(s.of), Condition: string(e.get(s.condition)), Text: string(e.get(s.said))})
	}
	sortSteps(m.Steps)
	return m
}

func (e *entry) readAt() time.Time { return time.Unix(0, e.read) }

func (e *entry) field(i int) string { return string(e.get(e.fields[i])) }
