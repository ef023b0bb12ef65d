package history

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// slowBook keeps whole entries, and has each note taken at once.
type slowBook struct {
	max     int
	made    time.Time
	entries []*entry
}

func (b *slowBook) put(n *Note) {
	mono := n.At.Sub(b.made).Nanoseconds()
	for _, e := range b.entries {
		if e.key == n.Key {
			e.take(n, mono)
			return
		}
	}
	if len(b.entries) == b.max {
		b.entries = b.entries[1:]
	}
	read := n.Read
	if read.IsZero() {
		read = n.At
	}
	e := new(entry)
	e.begin(&place{key: n.Key, read: read.UnixNano(), mono: mono - n.At.Sub(read).Nanoseconds(), fromSIP: n.FromSIP}, n)
	e.take(n, mono)
	b.entries = append(b.entries, e)
}

// someNote is mostly what there is said of a message that arrives at once, and now and then
// anything else.
func someNote(r *rand.Rand, keys uint64, at time.Time) Note {
	pick := func(all ...string) string { return all[r.IntN(len(all))] }
	key := 1 + r.Uint64N(keys)
	n := toSIP(key, 0, pick(append(kindNames[:usualKinds:usualKinds], "", "", kindNames[r.IntN(len(kindNames))])...))
	n.At, n.Read, n.FromSIP = at, at.Add(-time.Duration(r.IntN(1e9))), key%2 == 0
	switch n.Kind {
	case Read:
		n.Type, n.Size = pick("text/plain", "message/cpim", ""), r.IntN(100)
	case Sent, Early:
		n.N = r.IntN(3)
	case Answer, Answered:
		n.Status = 200
	case "":
		n.Outcome = pick(Delivered, Delivered, Open, "unheard of", "")
	}
	if r.IntN(4) > 0 {
		return n
	}
	long := []string{"", "x", "\xc3", "\xa9", "é", "a\xffb", strings.Repeat("é", 127) + "x", strings.Repeat("é", 128), strings.Repeat("\xff", 255)}
	for range 1 + r.IntN(3) {
		switch s := pick(long...); r.IntN(16) {
		case 0:
			n.User = s
		case 1:
			n.Contact = s
		case 2:
			n.SIP = s
		case 3:
			n.ID = s
		case 4:
			n.CallID = s
		case 5:
			n.Type = s
		case 6:
			n.Text = s
		case 7:
			n.Condition = s
		case 8:
			n.Remedy = s
		case 9:
			n.Body = s
		case 10:
			n.Size = []int{-1, 0, 5, math.MaxInt32 + 1}[r.IntN(4)]
		case 11:
			n.Status = []int{-1, 404, 65736, math.MaxInt16}[r.IntN(4)]
		case 12:
			n.N, n.Of = []int{-1, 1, 255, 256}[r.IntN(4)], []int{-1, 0, 2, 256}[r.IntN(4)]
		case 13:
			n.Read = []time.Time{{}, at, at.Add(time.Hour), at.Add(-time.Hour)}[r.IntN(4)]
		case 14:
			n.Outcome = pick(Outcomes()...)
		case 15:
			n.Kind = pick("sung", Read)
		}
	}
	return n
}

// What is kept for later of notes, and what is taken at once, comes to the same.
func TestBriefsAgree(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 7))
		keys := 5 + seed*3
		b, slow := newBook(start, 20, MaxBytes), &slowBook{max: 20, made: start}
		at := start
		for range 200 {
			batch := make([]Note, 1+r.IntN(6))
			for i := range batch {
				at = at.Add(time.Duration(r.IntN(1e6)))
				if r.IntN(50) == 0 {
					at = at.Add(time.Duration(r.IntN(math.MaxUint32)))
				}
				batch[i] = someNote(r, keys, at)
				if i > 0 && r.IntN(2) == 0 {
					batch[i].Key, batch[i].At = batch[i-1].Key, batch[i-1].At
				}
				slow.put(&batch[i])
			}
			b.Put(batch)
			got, _ := b.Find(Query{Limit: maxLimit})
			var want []Message
			for i := range slow.entries {
				want = append(want, slow.entries[len(slow.entries)-1-i].message())
			}
			if !reflect.DeepEqual(want, got) {
				t.Fatalf("seed %d: -want +got\n%s", seed, cmp.Diff(want, got))
			}
		}
	}
}

// A message that arrives at once is never packed: its notes fit in.
func TestUsualIsBrief(t *testing.T) {
	for name, kinds := range map[string][]string{"to SIP": {Read, Early, Journaled, Answer, ""}, "to SIP behind others": {Read, Journaled, Sent, Answer, ""}, "from SIP": {Read, Sent, Processed, Answered}} {
		b := NewBook(start)
		for i, kind := range kinds {
			b.Put([]Note{with(toSIP(1, i, kind), func(n *Note) {
				switch i {
				case 0:
					n.Type, n.Size = "text/plain;charset=UTF-8", 100
				case len(kinds) - 1:
					n.Outcome = Delivered
				}
			})})
		}
		if p := b.place(1); !p.plain {
			t.Errorf("%s: %+v", name, p)
		}
		if m, _ := b.Get("1"); m.Outcome != Delivered || len(m.Steps) != 4 {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// What the book counts for its table is what it takes.
func TestPlaceBytes(t *testing.T) {
	if n := reflect.TypeFor[place]().Size(); n != placeBytes {
		t.Errorf("%d", n)
	}
}

// The index finds what is in it, whichever was removed.
func TestIndex(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	ring := make([]place, 50)
	x := newIndex(len(ring))
	x.odd &= 1<<40 - 1 // so that many keys have the same hash
	want := make(map[uint64]uint32)
	for range 5000 {
		at := 1 + uint32(r.IntN(len(ring)))
		if p := &ring[at-1]; p.key != 0 {
			x.remove(ring, at)
			delete(want, p.key)
			*p = place{}
		} else if key := 1 + r.Uint64N(100); want[key] == 0 {
			*p = place{key: key}
			x.add(ring, at)
			want[key] = at
		}
		for key := range uint64(101) {
			if got := x.find(ring, key); key > 0 && got != want[key] {
				t.Fatalf("%d is at %d instead of %d", key, got, want[key])
			}
		}
	}
	for _, head := range x.heads {
		if head != 0 && ring[head-1].key == 0 {
			t.Fatal(fmt.Sprint("a chain leads to ", head, ", where nobody is"))
		}
	}
}
