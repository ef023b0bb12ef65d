package history

import (
	"fmt"
	"testing"
	"time"
)

// outstanding has notes put as the daemon does it: some messages are read and sent in one go,
// later they are in the journal, later answered, and meanwhile there are others.
func outstanding(b *testing.B, many, batch int) {
	book := NewBook(start)
	type message struct{ user, contact, sip, id, callID string }
	all := make([]message, many)
	for i := range all {
		all[i] = message{fmt.Sprintf("user%d@example.com/%016x", i%100, i%100*7919), fmt.Sprintf("contact%d@sip.example.com", i%100),
			fmt.Sprintf("sip:contact%d@example.net", i%100), fmt.Sprintf("abcdef-%016x", i), fmt.Sprintf("stox-%016x-%08x", i*7919, i)}
	}
	notes := make([]Note, 0, 2*batch)
	at := time.Now()
	put := func(first int, kinds ...string) {
		if first < 0 {
			return
		}
		notes = notes[:0]
		at = at.Add(time.Microsecond)
		for i := first; i < first+batch; i++ {
			m := &all[i%many]
			for _, kind := range kinds {
				n := Note{Key: uint64(i + 1), Read: at, At: at, Kind: kind, User: m.user, Contact: m.contact, SIP: m.sip, ID: m.id, CallID: m.callID}
				switch kind {
				case Read:
					n.Type, n.Size = "text/plain;charset=UTF-8", 100
				case Early:
					n.N = 1
				case Answer:
					n.Status = 200
				case "":
					n.Outcome = Delivered
				}
				notes = append(notes, n)
			}
		}
		book.Put(notes)
	}
	b.ReportAllocs()
	step := func(i int) {
		put(i, Read, Early)
		put(i-many/2, Journaled)
		put(i-many+batch, Answer, "")
	}
	for i := 0; i < 3*MaxMessages; i += batch {
		step(i)
	}
	b.ResetTimer()
	for i := 0; i < b.N; i += batch {
		step(3*MaxMessages/batch*batch + i)
	}
}

func BenchmarkOutstanding(b *testing.B) {
	for _, c := range []struct{ many, batch int }{{16, 1}, {256, 16}} {
		b.Run(fmt.Sprint(c.many), func(b *testing.B) { outstanding(b, c.many, c.batch) })
	}
}

// BenchmarkFind is a page of the status page, and a search that finds nothing.
func BenchmarkFind(b *testing.B) {
	book := NewBook(start)
	notes := []Note{toSIP(0, 0, Read), toSIP(0, 0, Early), toSIP(0, 2, Journaled), toSIP(0, 3, Answer), with(toSIP(0, 3, ""), func(n *Note) { n.Outcome = Delivered })}
	for i := range MaxMessages {
		for j := range notes {
			notes[j].Key = uint64(i + 1)
		}
		book.Put(notes)
	}
	for name, q := range map[string]Query{"newest": {}, "nothing": {Address: "nobody"}, "faulty": {Faulty: true}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				book.Find(q)
			}
		})
	}
}
