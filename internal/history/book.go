package history

import (
	"sync"
	"time"
)

const (
	// MaxMessages are remembered at most.
	MaxMessages = 10_000
	// MaxBytes is what they may take together.
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
	bytes int // that the blocks may take
	made  time.Time

	mu      sync.Mutex // guards the following
	ring    []place    // by number, modulo its length
	index   index      // of the ring
	blocks  blocks     // what is in the ring
	open    entry      // the one that is looked at or changed ...
	changed *place     // ... and where it belongs; nil: it is not changed
	packed  []byte     // room for what is in its blocks
	first   uint64     // number of the oldest message; they begin with 1
	next    uint64     // of the next one
	version uint64     // of what is in the book
	since   time.Time
}

// NewBook makes an empty one that knows of what happens from now on.
func NewBook(now time.Time) *Book { return newBook(now, MaxMessages, MaxBytes) }

func newBook(now time.Time, max, bytes int) *Book {
	b := &Book{max: max, ring: make([]place, max), index: newIndex(max), first: 1, next: 1, made: now, since: now}
	b.bytes = bytes - max*placeBytes - len(b.index.heads)*headBytes
	return b
}

// Put takes notes. It keeps nothing of what they refer to.
func (b *Book) Put(batch []Note) {
	b.PutEach(len(batch), func(i int) *Note { return &batch[i] })
}

// PutEach is Put for n notes that are not in a slice of their own: note returns each, in order.
func (b *Book) PutEach(n int, note func(i int) *Note) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.version++
	var p *place
	for i := range n {
		n := note(i)
		if n.Key == 0 { // it would be of all messages that nobody has given a number
			continue
		}
		mono := n.At.Sub(b.made).Nanoseconds() // by the clock that nobody sets
		if p == nil || p.key != n.Key {        // most are about the same as the one before
			b.close()
			if at := b.index.find(b.ring, n.Key); at > 0 {
				p = &b.ring[at-1]
			} else if p = b.begin(n, mono); b.changed == nil {
				continue // it has n already
			}
		}
		if b.changed == nil {
			if p.jot(n, mono) {
				continue
			}
			b.load(p)
			b.changed = p
		}
		b.open.take(n, mono)
	}
	b.close()
}

// begin makes a place for the message of n, its first note. If that was not all that there is
// to keep of n, its entry is open.
func (b *Book) begin(n *Note, mono int64) *place {
	if int(b.next-b.first) >= b.max {
		b.forget()
	}
	number := b.next
	b.next++
	p := b.place(number)
	read := n.Read
	if read.IsZero() {
		read = n.At
	}
	*p = place{key: n.Key, read: read.UnixNano(), mono: mono - n.At.Sub(read).Nanoseconds(), fromSIP: n.FromSIP}
	b.index.add(b.ring, b.at(number)+1)
	var jotted bool
	if b.packed, jotted = p.jotFirst(n, mono, b.packed[:0]); jotted {
		b.keep(p)
	} else {
		b.open.begin(p, n)
		b.changed = p
	}
	return p
}

// close packs the open entry if it is changed, and makes room if that is needed.
func (b *Book) close() {
	p := b.changed
	if p == nil {
		return
	}
	b.changed = nil
	b.packed = b.open.pack(b.packed[:0])
	p.plain, p.n = false, 0
	b.keep(p)
}

// keep writes what is packed into the blocks of p.
func (b *Book) keep(p *place) {
	if p.size = uint16(len(b.packed)); p.size > 0 {
		p.first = b.blocks.write(p.first, b.packed)
	}
	for b.blocks.bytes() > b.bytes && b.first+1 < b.next {
		b.forget()
	}
}

// at is where the message with that number is in the ring.
func (b *Book) at(number uint64) uint32 { return uint32((number - 1) % uint64(b.max)) }

func (b *Book) place(number uint64) *place { return &b.ring[b.at(number)] }

// load opens the entry of a place. It is there until another one is opened.
func (b *Book) load(p *place) *entry {
	b.packed = b.blocks.read(b.packed[:0], p.first, int(p.size))
	b.open.rest(p, b.packed)
	return &b.open
}

// forget ends the oldest message.
func (b *Book) forget() {
	b.index.remove(b.ring, b.at(b.first)+1)
	p := b.place(b.first)
	b.blocks.release(p.first)
	*p = place{}
	b.first++
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
		if oldest := time.Unix(0, b.place(b.first).read); oldest.After(b.since) {
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
		p := b.place(number)
		if e := b.load(p); e.fields[fieldBody] != (span{}) {
			clear(e.get(e.fields[fieldBody]))
			e.fields[fieldBody] = span{}
			b.changed = p
			b.close()
		}
	}
	clear(b.packed[:cap(b.packed)])
	clear(b.open.text[:cap(b.open.text)])
}
