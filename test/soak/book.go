package soak

import (
	"fmt"
	"sync"
	"time"
)

// timerE are the times between the transmissions of a request over UDP (RFC 3261
// §17.1.2.2), and timerF is when nobody waits any more.
var timerE = [...]time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}

const timerF = 32 * time.Second

// entry is what is known of a message.
type entry struct {
	sent     uint8 // transmissions
	answered uint8 // final responses
	status   uint16
	arrived  uint8
}

// book has every message of one direction, by its number, and the transactions that are
// open.
type book struct {
	name string

	mu     sync.Mutex // guards the following
	all    []entry
	open   map[int]*transaction
	again  []repeat // requests to be sent once more, the earliest first
	resent int      // transmissions because no answer had come
	copies int      // and those of requests that had one
	faults []string
	more   int // faults that are not told
}

type transaction struct {
	began, next time.Time
	step        int
}

type repeat struct {
	n  int
	at time.Time
}

func newBook(name string) *book { return &book{name: name, open: make(map[int]*transaction)} }

// fault notes what is wrong. The lock is held.
func (b *book) fault(format string, args ...any) {
	if len(b.faults) == 10 {
		b.more++
		return
	}
	b.faults = append(b.faults, b.name+": "+fmt.Sprintf(format, args...))
}

// add makes a message. It is open until it is closed, and transmitted again if wanted.
func (b *book) add(now time.Time) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n = len(b.all)
	b.all = append(b.all, entry{sent: 1})
	b.open[n] = &transaction{began: now, next: now.Add(timerE[0])}
	return n
}

// due are the messages to be transmitted now, once more.
func (b *book) due(now time.Time) (list []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.again) > 0 && !now.Before(b.again[0].at) {
		n := b.again[0].n
		b.again = b.again[1:]
		b.copies++
		b.all[n].sent++
		b.open[n] = &transaction{began: now, next: now.Add(timerE[0])}
		list = append(list, n)
	}
	for n, tx := range b.open {
		switch {
		case now.Sub(tx.began) >= timerF:
			b.fault("%d: no answer in %v", n, timerF)
			delete(b.open, n)
		case !now.Before(tx.next):
			tx.step = min(tx.step+1, len(timerE)-1)
			tx.next = now.Add(timerE[tx.step])
			b.all[n].sent++
			b.resent++
			list = append(list, n)
		}
	}
	return list
}

// answer takes a final response. One in every is transmitted once more a while later:
// that has to be answered alike, and nothing else.
func (b *book) answer(n, status int, now time.Time, every int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n < 0 || n >= len(b.all) {
		b.fault("%d is answered and was never sent", n)
		return
	}
	e := &b.all[n]
	e.answered++
	switch {
	case status != 200:
		b.fault("%d: answered %d", n, status)
	case e.answered > e.sent:
		b.fault("%d: answered %d times, sent %d times", n, e.answered, e.sent)
	case e.status != 0 && int(e.status) != status:
		b.fault("%d: answered %d, then %d", n, e.status, status)
	}
	if e.status == 0 && n%every == 0 {
		b.again = append(b.again, repeat{n, now.Add(timerF / 2)})
	}
	e.status = uint16(status)
	delete(b.open, n)
}

// arrive takes a message at its receiver.
func (b *book) arrive(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n < 0 || n >= len(b.all) {
		b.fault("%d arrives and was never sent", n)
		return
	}
	if b.all[n].arrived++; b.all[n].arrived > 1 {
		b.fault("%d arrives %d times", n, b.all[n].arrived)
	}
}

// close ends a message of which no answer is waited for.
func (b *book) close(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, n)
}

// counts are how many messages there are, and how many of them are open.
func (b *book) counts() (all, open int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.all), len(b.open)
}

// stopCopies takes back those that are still to be sent once more.
func (b *book) stopCopies() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.again = nil
}

// verdict is everything that is wrong with the messages. Answers of those that need none
// are not asked for.
func (b *book) verdict(answers bool) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n, e := range b.all {
		if e.arrived == 0 {
			b.fault("%d did not arrive", n)
		}
		if answers && e.answered == 0 {
			b.fault("%d was not answered", n)
		}
	}
	if b.more > 0 {
		return append(b.faults, fmt.Sprintf("%s: %d more", b.name, b.more))
	}
	return b.faults
}
