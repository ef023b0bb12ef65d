package sipside

import (
	"encoding/binary"
	"time"
)

// answered remembers what was answered over UDP for at least Timer J. The zero value is
// empty and ready.
//
// Nearly all answers are a mere status, and those are in many small tables of eleven bytes a
// place. The key of a transaction is a keyed hash: some of its bits choose the table, and
// half of it stands for the rest. That two requests at the same time share all of these
// will not happen (once in 10^16 requests), and nobody can bring it about. Each table grows
// and shrinks on its own, which takes some microseconds; what is over is taken out of it
// when it is full, and all of it goes when nothing came into it for long enough.
//
// It is bounded: a table that cannot grow goes on without the oldest that is in it. A
// retransmission of such a request is a repeat for the handler to know (IM-57).
type answered struct {
	tables []answerTable // nil if there is nothing in them
	n      int           // places that are taken in them
	period uint16        // counts the periods, in as many bits as an entry has for it
	turns  time.Time     // when the next one begins; zero if there is nothing
	spare  []answerGroup // of a table that has got another size, or was swept: for the next one

	young, old map[txKey]reply // answers that are more than a status
	since      uint16          // the period in which young began
}

// An entry is kept for answerPeriods whole periods beside the one that it came in. The bound
// is 2.5 million entries and 32 MiB, which is Timer J at 60,000 requests a second. Answers
// that are more than a status take half a kilobyte each, or more.
const (
	answerTables  = 1 << 10
	answerPeriods = 8
	answerPeriod  = timerJ / answerPeriods
	maxTold       = 1 << 14 // more than a status, in young
)

// answerSizes are the sizes of tables, in groups.
var answerSizes = [...]int{4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512}

const largestTable = 512

// mostPlaces is how many places of a table are taken at most, so that what is looked for is
// found, or known not to be there, in the first group or the one behind it.
func mostPlaces(groups int) int { return groups * answersInGroup * 13 / 16 }

// answerTable is open-addressed by groups, with linear probing.
type answerTable struct {
	groups []answerGroup
	n      int32  // places that are taken, by what is over too
	last   uint16 // the period of the latest entry
	swept  uint16 // the period in which what is over was taken out last
}

// answerGroup is as much as the processor gets from memory at once, which is nearly all the
// time that it takes to find an entry: tables are far larger than its caches.
type answerGroup struct {
	marks  [answersInGroup]uint64 // half a key; 0: the place is free, and so are those behind it
	values [answersInGroup]uint16 // what is remembered of it: see entryOf
	_      [4]byte
}

const answersInGroup = 6

// An entry is a status, and the period in which it came. Periods are compared as long as
// they are less than a turn of their bits apart; sweepAfter sees to that.
const (
	statusBits = 10
	statusMask = 1<<statusBits - 1
	periodMask = 1<<(16-statusBits) - 1
	sweepAfter = 16
)

func entryOf(status int, period uint16) uint16 {
	return period<<statusBits | uint16(status)&statusMask
}

// age is how many periods ago p was.
func (a *answered) age(p uint16) uint16 { return (a.period - p) & periodMask }

// markOf gives the table of a key, and what stands for the key in it.
func markOf(k *txKey) (table int, mark uint64) {
	table = int(binary.LittleEndian.Uint64(k[:8]) % answerTables)
	return table, max(binary.LittleEndian.Uint64(k[8:]), 1)
}

// seek gives the place of a mark: the one that it has, or the one that it would take.
func (t *answerTable) seek(mark uint64) (g *answerGroup, i int) {
	for at := int(mark >> 32 * uint64(len(t.groups)) >> 32); ; {
		g = &t.groups[at]
		for i, m := range &g.marks {
			if m == mark || m == 0 {
				return g, i
			}
		}
		if at++; at == len(t.groups) {
			at = 0
		}
	}
}

func (a *answered) put(k txKey, r reply, now time.Time) {
	a.turn(now)
	if a.turns.IsZero() {
		a.turns = now.Add(answerPeriod)
	}
	if !r.plain() {
		a.tell(k, r)
		return
	}
	if a.tables == nil {
		a.tables = make([]answerTable, answerTables)
	}
	which, mark := markOf(&k)
	t := &a.tables[which]
	if int(t.n) >= mostPlaces(len(t.groups)) || a.age(t.swept) >= sweepAfter {
		a.sweep(t)
	}
	g, i := t.seek(mark)
	if g.marks[i] == 0 {
		g.marks[i] = mark
		t.n++
		a.n++
	}
	g.values[i] = entryOf(r.status, a.period)
	t.last = a.period
}

// tell keeps an answer that is more than a status. If there are too many, the older half goes.
func (a *answered) tell(k txKey, r reply) {
	if len(a.young) >= maxTold {
		a.rotate()
	}
	if a.young == nil {
		a.young, a.since = make(map[txKey]reply), a.period
	}
	a.young[k] = r
}

func (a *answered) rotate() { a.old, a.young, a.since = a.young, nil, a.period }

func (a *answered) find(k txKey, now time.Time) (reply, bool) {
	a.turn(now)
	if len(a.young) > 0 || len(a.old) > 0 {
		if r, ok := a.young[k]; ok {
			return r, true
		}
		if r, ok := a.old[k]; ok {
			return r, true
		}
	}
	if a.tables == nil {
		return reply{}, false
	}
	which, mark := markOf(&k)
	t := &a.tables[which]
	if t.n == 0 {
		return reply{}, false
	}
	g, i := t.seek(mark)
	if v := g.values[i]; g.marks[i] != 0 && a.age(v>>statusBits) <= answerPeriods {
		return reply{status: int(v & statusMask)}, true
	}
	return reply{}, false
}

// sweep takes out what is over, and gives the table the size for what is left.
func (a *answered) sweep(t *answerTable) {
	var of [answerPeriods + 1]int // entries by age
	live := 0
	for g := range t.groups {
		g := &t.groups[g]
		for i, m := range &g.marks {
			if age := a.age(g.values[i] >> statusBits); m != 0 && age <= answerPeriods {
				of[age]++
				live++
			}
		}
	}
	oldest := uint16(answerPeriods)
	for most := mostPlaces(largestTable) * 15 / 16; live > most; oldest-- {
		live -= of[oldest]
		if oldest == 0 { // all of them came just now
			live, oldest = 0, periodMask
			break
		}
	}
	size := largestTable
	for _, s := range answerSizes {
		if mostPlaces(s) >= live+live/4+1 {
			size = s
			break
		}
	}
	from := *t
	*t = answerTable{groups: a.room(size), n: int32(live), last: a.period, swept: a.period}
	a.n += live - int(from.n)
	if live > 0 {
		for g := range from.groups {
			g := &from.groups[g]
			for i, m := range &g.marks {
				if m != 0 && a.age(g.values[i]>>statusBits) <= oldest {
					to, j := t.seek(m)
					to.marks[j], to.values[j] = m, g.values[i]
				}
			}
		}
	}
	a.spare = from.groups
}

// room gives so many groups, all free.
func (a *answered) room(groups int) []answerGroup {
	if len(a.spare) != groups {
		return make([]answerGroup, groups)
	}
	room := a.spare
	a.spare = nil
	clear(room)
	return room
}

// turn forgets what is over, and tells when more of it will be; zero if there is nothing.
func (a *answered) turn(now time.Time) time.Time {
	if a.turns.IsZero() || now.Before(a.turns) {
		return a.turns
	}
	if now.Sub(a.turns) >= (answerPeriods+1)*answerPeriod {
		*a = answered{}
		return a.turns
	}
	for !now.Before(a.turns) {
		a.turns = a.turns.Add(answerPeriod)
		a.period = (a.period + 1) & periodMask
		if a.age(a.since) >= answerPeriods {
			a.rotate()
		}
	}
	for i := range a.tables {
		if t := &a.tables[i]; t.groups != nil && a.age(t.last) > answerPeriods {
			a.n -= int(t.n)
			*t = answerTable{}
		}
	}
	if a.n == 0 {
		a.tables, a.spare = nil, nil
		if len(a.young) == 0 && len(a.old) == 0 {
			*a = answered{}
		}
	}
	return a.turns
}
