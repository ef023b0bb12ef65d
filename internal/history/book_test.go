package history

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoxgw/stox/mapping"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func after(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

// toSIP is a note about message number key of juliet.
func toSIP(key uint64, ms int, kind string) Note {
	return Note{Key: key, Read: start, At: after(ms), Kind: kind, User: "juliet@example.com/balcony", Contact: "romeo@sip.example.com",
		SIP: "sip:romeo@example.net", ID: fmt.Sprint("m", key), CallID: fmt.Sprint("c", key)}
}

func with(n Note, f func(*Note)) Note {
	f(&n)
	return n
}

// What a message was, and what happened to it, in the order of time, whatever the order in
// which it was told.
func TestLife(t *testing.T) {
	notes := []Note{
		with(toSIP(7, 0, Read), func(n *Note) { n.Type, n.Size, n.Body = "text/plain", 5, "hello" }),
		with(toSIP(7, 1, Early), func(n *Note) { n.N = 1 }),
		toSIP(7, 3, Journaled),
		with(toSIP(7, 20, Answer), func(n *Note) {
			n.Status, n.Condition, n.Text, n.Remedy = 404, "item-not-found", "404 Not Found", "look there"
		}),
		with(toSIP(7, 20, ""), func(n *Note) {
			n.Outcome, n.Condition, n.Text, n.Remedy = Failed, "item-not-found", "404 Not Found", "look there"
		}),
		toSIP(7, 20, Told),
		toSIP(7, 21, Reported),
	}
	want := Message{
		Key: "7", User: "juliet@example.com/balcony", Contact: "romeo@sip.example.com", SIP: "sip:romeo@example.net", ID: "m7", CallID: "c7",
		Read: start, Known: true, Outcome: Failed, Status: 404, Reason: "404 Not Found", Condition: "item-not-found", Remedy: "look there",
		Type: "text/plain", Size: 5, Body: "hello",
		Steps: []Step{
			{Kind: Read}, {After: time.Millisecond, Kind: Early, N: 1}, {After: 3 * time.Millisecond, Kind: Journaled},
			{After: 20 * time.Millisecond, Kind: Answer, Status: 404, Condition: "item-not-found", Text: "404 Not Found"},
			{After: 20 * time.Millisecond, Kind: Told}, {After: 21 * time.Millisecond, Kind: Reported},
		},
	}
	for name, order := range map[string][]int{"as it happened": {0, 1, 2, 3, 4, 5, 6}, "the commit first": {2, 0, 1, 3, 4, 5, 6}, "the answer first": {3, 4, 5, 0, 1, 2, 6}} {
		b := NewBook(start)
		for _, i := range order {
			b.Put(notes[i : i+1])
		}
		got, ok := b.Get("7")
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

// A message that is known from a late step only is there as well, and says so.
func TestUnknownBeginning(t *testing.T) {
	b := NewBook(start)
	n := toSIP(3, 50, Receipt)
	n.Read, n.Text = time.Time{}, "delivered"
	b.Put([]Note{n})
	m, ok := b.Get("3")
	if !ok || m.Known || !m.Read.Equal(after(50)) || len(m.Steps) != 1 || m.Outcome != Open {
		t.Errorf("%v %+v", ok, m)
	}
}

// Only so many messages are kept, the newest, and each can be found by what it is.
func TestOldestGo(t *testing.T) {
	b := newBook(start, 100, MaxBytes)
	for i := range uint64(1000) {
		n := toSIP(i+1, int(i), Read)
		n.Read = n.At
		b.Put([]Note{n, with(toSIP(i+1, int(i)+1, ""), func(n *Note) { n.Outcome = Delivered })})
	}
	if since, n := b.Since(); n != 100 || !since.Equal(after(900)) {
		t.Errorf("%d since %v", n, since)
	}
	if _, ok := b.Get(keyOf(900)); ok {
		t.Error("the 101st last is there")
	}
	for i := uint64(901); i <= 1000; i++ {
		if m, ok := b.Get(keyOf(i)); !ok || m.ID != fmt.Sprint("m", i) || m.Outcome != Delivered || len(m.Steps) != 1 {
			t.Fatalf("%d: %v %+v", i, ok, m)
		}
	}
	var all []string
	for q := (Query{Limit: 30}); ; {
		page, more := b.Find(q)
		for _, m := range page {
			all = append(all, m.ID)
		}
		if !more {
			break
		}
		q.After = page[len(page)-1].Key
	}
	if len(all) != 100 || all[0] != "m1000" || all[99] != "m901" {
		t.Errorf("%d by pages: %v", len(all), all)
	}
}

// Whatever is put into it, a book does not take more memory than it says (10,000 messages,
// 16 MiB and the table).
func TestMemoryIsBounded(t *testing.T) {
	long := strings.Repeat("x", 4000)
	b := NewBook(start)
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const messages = 6000 // twice as many as there is room for
	for i := range uint64(messages) {
		batch := make([]Note, 0, 40)
		for j := range 40 {
			n := toSIP(i, j, Answer)
			n.User, n.Contact, n.SIP, n.ID, n.CallID = long, long, long, long, long
			n.Text, n.Condition, n.Body, n.Remedy = fmt.Sprint(j, long), long, long, long
			batch = append(batch, n)
		}
		b.Put(batch)
	}
	runtime.GC()
	runtime.ReadMemStats(&now)
	used := int64(now.HeapAlloc) - int64(before.HeapAlloc)
	_, n := b.Since()
	counted := b.blocks.bytes() + MaxBytes - b.bytes
	t.Logf("%d messages, %d octets counted, %d in all", n, counted, used)
	if counted > MaxBytes || used > MaxBytes+1<<20 {
		t.Errorf("%d octets counted, %d in all", counted, used)
	}
	if n < 1000 {
		t.Errorf("only %d messages are left", n)
	}
	m, _ := b.Get(keyOf(messages - 1))
	if len(m.Steps) != MaxSteps || m.Omitted != 40-MaxSteps || len(m.User) > 255 {
		t.Errorf("%d steps and %d omitted, a user of %d octets", len(m.Steps), m.Omitted, len(m.User))
	}
	// No block is lost, and none belongs to two.
	seen := make(map[uint32]bool)
	chain := func(at uint32) {
		for ; at != 0; at = b.blocks.next[at-1] {
			if seen[at] {
				t.Fatalf("block %d is there twice", at)
			}
			seen[at] = true
		}
	}
	for i := b.first; i < b.next; i++ {
		chain(b.place(i).first)
	}
	if len(seen) != b.blocks.used {
		t.Errorf("%d blocks are counted, there are %d", b.blocks.used, len(seen))
	}
	chain(b.blocks.free)
	if len(seen) != len(b.blocks.next) {
		t.Errorf("of %d blocks %d are lost", len(b.blocks.next), len(b.blocks.next)-len(seen))
	}
}

// A full book with usual messages: what doc.go says of it.
func TestUsualMemory(t *testing.T) {
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b := NewBook(start)
	for i := range uint64(3 * MaxMessages) {
		n := toSIP(i+1, 0, Read)
		n.ID, n.CallID = fmt.Sprintf("abcdef-%016x", i), fmt.Sprintf("stox-%016x-%08x", i*7919, i)
		batch := []Note{n, n, n, n, n}
		batch[0].Type, batch[0].Size = "text/plain;charset=UTF-8", 100
		for j, kind := range []string{Read, Early, Journaled, Answer, ""} {
			batch[j].Kind, batch[j].Read = kind, start.Add(time.Duration(i)*time.Millisecond)
			batch[j].At = batch[j].Read.Add(time.Duration(j) * 1234567)
		}
		batch[3].Status, batch[4].Outcome = 200, Delivered
		b.Put(batch)
	}
	runtime.GC()
	runtime.ReadMemStats(&now)
	each := (int(now.HeapAlloc) - int(before.HeapAlloc)) / MaxMessages
	t.Logf("%d octets a message, %d of them in blocks", each, b.blocks.bytes()/MaxMessages)
	if each < 200 || each > 400 {
		t.Errorf("%d octets a message", each)
	}
	runtime.KeepAlive(b)
}

// Notes cost no allocations once there are blocks enough, and while these are made next to none.
func TestNoAllocations(t *testing.T) {
	b := newBook(start, 500, MaxBytes)
	key := uint64(0)
	notes := []Note{toSIP(0, 0, Read), toSIP(0, 0, Early), toSIP(0, 2, Journaled), toSIP(0, 3, Answer), with(toSIP(0, 3, ""), func(n *Note) { n.Outcome = Delivered })}
	put := func() {
		key++
		for i := range notes {
			notes[i].Key = key
		}
		b.Put(notes)
	}
	if n := testing.AllocsPerRun(400, put); n >= 1 {
		t.Errorf("%v allocations a message, as long as the book is not full", n)
	}
	for range 2000 {
		put()
	}
	if n := testing.AllocsPerRun(2000, put); n >= 1 {
		t.Errorf("%v allocations a message", n)
	}
}

// Texts can be forgotten.
func TestForgetTexts(t *testing.T) {
	b := NewBook(start)
	b.Put([]Note{with(toSIP(1, 0, Read), func(n *Note) { n.Body = strings.Repeat("é", 3000) })})
	if m, _ := b.Get("1"); len(m.Body) != MaxBody {
		t.Errorf("%d octets", len(m.Body))
	}
	b.ForgetTexts()
	if m, _ := b.Get("1"); m.Body != "" || m.ID != "m1" {
		t.Errorf("%+v", m)
	}
	for i, c := range append(b.blocks.chunks, b.packed[:cap(b.packed)], b.open.text[:cap(b.open.text)]) {
		if bytes.Contains(c, []byte("éé")) {
			t.Errorf("the text is still in memory (%d of %d)", i, len(b.blocks.chunks))
		}
	}
}

func ids(all []Message) (out []string) {
	for _, m := range all {
		out = append(out, m.ID)
	}
	return out
}

func TestFind(t *testing.T) {
	b := NewBook(start)
	for i, n := range []Note{
		{User: "juliet@example.com/balcony", Contact: "romeo@sip.example.com", SIP: "sip:romeo@example.net", Outcome: Delivered},
		{User: "juliet@example.com", Contact: "tybalt@sip.example.com", SIP: "sip:Tybalt@example.net", Outcome: Failed},
		{User: "juliet@example.com.evil.example/x", SIP: "sip:romeo@example.net"},
		{User: "nurse@example.com/juliet@example.com", SIP: "sip:+15551234567@example.net", Outcome: Delivered},
		{User: "juliet@example.com/" + strings.Repeat("x", 300), SIP: "sip:romeo@example.net"},
	} {
		n.Key, n.ID, n.CallID, n.Read, n.At, n.Kind = uint64(i+1), fmt.Sprint("m", i+1), fmt.Sprint("c", i+1), after(i*1000), after(i*1000), Read
		b.Put([]Note{n})
	}
	for _, c := range []struct {
		name string
		q    Query
		want []string
	}{
		{"all", Query{}, []string{"m5", "m4", "m3", "m2", "m1"}},
		{"a user", Query{User: "NURSE@"}, []string{"m4"}},
		{"an address of SIP", Query{Address: "tybalt@EXAMPLE.net"}, []string{"m2"}},
		{"a number", Query{Address: "+1555"}, []string{"m4"}},
		{"an id", Query{ID: "m2"}, []string{"m2"}},
		{"a Call-ID", Query{ID: "c3"}, []string{"m3"}},
		{"no part of an id", Query{ID: "c"}, nil},
		{"an outcome", Query{Outcome: Delivered}, []string{"m4", "m1"}},
		{"a time", Query{From: after(1000), To: after(3000)}, []string{"m3", "m2"}},
		{"what went wrong", Query{Faulty: true}, []string{"m2"}},
		{"several", Query{User: "juliet", Outcome: Open}, []string{"m5", "m3"}},
		{"behind one", Query{After: "3"}, []string{"m2", "m1"}},
		{"behind one that is not there", Query{After: "zzz"}, nil},
	} {
		got, more := b.Find(c.q)
		if diff := cmp.Diff(c.want, ids(got)); diff != "" || more {
			t.Errorf("%s: more %v, -want +got\n%s", c.name, more, diff)
		}
	}
	if got, more := b.Find(Query{Limit: 2}); len(got) != 2 || !more {
		t.Errorf("%d, more %v", len(got), more)
	}
	// A user sees what is his, and nothing of those whose addresses look like his.
	juliet := mapping.MustParseJID("juliet@example.com/phone")
	if got := ids(b.OfUser(juliet, 10)); !cmp.Equal(got, []string{"m2", "m1"}) {
		t.Errorf("of juliet: %v", got)
	}
	if got := b.OfUser(juliet, 1); len(got) != 1 || got[0].ID != "m2" {
		t.Errorf("the last of juliet: %v", ids(got))
	}
	if got := append(b.OfUser(mapping.JID{}, 10), b.OfUser(juliet, 0)...); len(got) != 0 {
		t.Errorf("of nobody: %v", ids(got))
	}
	if _, ok := b.Get("01"); ok {
		t.Error("a key has two spellings")
	}
}

// Notes and questions at the same time.
func TestRace(t *testing.T) {
	b := newBook(start, 300, 64<<10)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for k := range uint64(500) {
				b.Put([]Note{toSIP(k*4+uint64(i), int(k), Read), toSIP(k*4+uint64(i), int(k), Journaled)})
			}
		})
		all.Go(func() {
			for range 50 {
				b.Find(Query{Address: "nobody"})
				b.OfUser(mapping.MustParseJID("juliet@example.com"), 20)
				b.Since()
			}
		})
	}
	all.Wait()
	if n := b.blocks.bytes(); n > 64<<10 {
		t.Errorf("%d octets", n)
	}
	if got, _ := b.Find(Query{Limit: 10}); len(got) != 10 {
		t.Errorf("%d messages", len(got))
	}
}

func BenchmarkPut(b *testing.B) {
	book := NewBook(start)
	notes := []Note{toSIP(0, 0, Read), toSIP(0, 0, Early), toSIP(0, 2, Journaled), toSIP(0, 3, Answer), with(toSIP(0, 3, ""), func(n *Note) { n.Outcome = Delivered })}
	b.ReportAllocs()
	for i := range b.N {
		for j := range notes {
			notes[j].Key = uint64(i)
		}
		book.Put(notes)
	}
}

// A step of a kind that the book does not know is an Event, and says its kind; it is not the
// beginning of its message.
func TestUnknownKind(t *testing.T) {
	b := NewBook(start)
	b.Put([]Note{with(toSIP(1, 0, "sung"), func(n *Note) { n.Text = "in the bath" })})
	m, _ := b.Get("1")
	if len(m.Steps) != 1 || m.Steps[0].Kind != Event || m.Steps[0].Text != "sung: in the bath" || m.Known {
		t.Errorf("known from its beginning: %v, steps %+v", m.Known, m.Steps)
	}
}
