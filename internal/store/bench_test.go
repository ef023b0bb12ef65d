package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkJournal is the store as the bridge uses it, with a fixed number of messages
// outstanding: rows are appended as room comes, and each message ends with Done, one event of the trail
// and, as one from SIP has gone the other way meanwhile, one outcome.
//
//	written: done when their commit is reported
//	skipped: done before their commit began, as when the peer is quicker than the disk
//	slow disk: written, and each commit takes 2 ms more
//
// Beside the rates it says what a message costs in CPU of the whole process, in system calls
// that write and in bytes written, and how many rows were written.
func BenchmarkJournal(b *testing.B) {
	for _, outstanding := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("written/%d", outstanding), func(b *testing.B) {
			benchJournal(b, filepath.Join(b.TempDir(), "stox.db"), outstanding, false, Options{})
		})
	}
	for _, outstanding := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("skipped/%d", outstanding), func(b *testing.B) {
			benchJournal(b, filepath.Join(b.TempDir(), "stox.db"), outstanding, true, Options{})
		})
	}
	for _, outstanding := range []int{16, 256} {
		b.Run(fmt.Sprintf("slow disk/%d", outstanding), func(b *testing.B) {
			within := false // a transaction
			slow := Options{connector: func(c driver.Connector) driver.Connector {
				return &faultyConnector{c, &faulty{after: true, fail: func(query string) error {
					within = within && query != "COMMIT" || strings.HasPrefix(query, "BEGIN")
					if query == "COMMIT" || query == putSlot && !within {
						time.Sleep(2 * time.Millisecond)
					}
					return nil
				}}}
			}}
			benchJournal(b, filepath.Join(b.TempDir(), "stox.db"), outstanding, false, slow)
		})
	}
	for _, outstanding := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("memory/%d", outstanding), func(b *testing.B) { benchJournal(b, "", outstanding, false, Options{}) })
	}
}

// sender stands for the bridge: it keeps so many messages outstanding.
type sender struct {
	s        *Store
	early    bool
	id       uint64
	data     []byte
	batch    []Entry
	ids      []uint64
	events   []TrailEvent
	outcomes []Seen
	names    [64][2]string
}

func (x *sender) init() {
	x.data = make([]byte, 250) // a message of 100 bytes with its addresses and identifiers
	for i := range x.data {
		x.data[i] = byte(i)
	}
	for i := range x.names {
		x.names[i] = [2]string{fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i), fmt.Sprintf("%032x@sip.example.com", i)}
	}
}

// send appends n messages.
func (x *sender) send(n int) error {
	now := time.Now()
	x.batch = x.batch[:0]
	for range n {
		x.id++
		x.batch = append(x.batch, Entry{ID: x.id, Lane: "sip:romeo@example.net", Data: x.data, Read: now, Expire: now})
	}
	if _, err := x.s.Append(x.batch); err != nil {
		return err
	}
	if x.early {
		x.ids = x.ids[:0]
		for i := range x.batch {
			x.ids = append(x.ids, x.batch[i].ID)
		}
		x.end(x.ids)
	}
	return nil
}

// end ends messages. It is called by one goroutine at a time.
func (x *sender) end(ids []uint64) {
	x.s.Done(ids)
	now := time.Now()
	x.events, x.outcomes = x.events[:0], x.outcomes[:0]
	for _, id := range ids {
		name := &x.names[id%64]
		x.events = append(x.events, TrailEvent{ID: name[0], Other: name[1], At: now, Kind: "delivered",
			Detail: "xmpp-sip juliet@example.com/balcony -> romeo@sip.example.com 200 after 3 ms"})
		x.outcomes = append(x.outcomes, Seen{Key: [16]byte{byte(id), byte(id >> 8), byte(id >> 16)}, Outcome: 200, At: now})
	}
	x.s.PutTrail(x.events)
	x.s.PutSeen(x.outcomes)
}

func benchJournal(b *testing.B, path string, outstanding int, early bool, o Options) {
	s, err := Open(path, o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	free := make(chan int, outstanding)
	x := &sender{s: s, early: early}
	x.init()
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error)
	go func() {
		var ids []uint64
		over <- s.Run(ctx, Events{Committed: func(marks []Mark, err error) {
			if err != nil {
				b.Error(err)
			}
			if early {
				return // they were done at the moment of their commit
			}
			ids = ids[:0]
			for _, m := range marks {
				ids = append(ids, m.ID)
			}
			x.end(ids)
			free <- len(marks)
		}})
	}()
	b.ReportAllocs()
	b.ResetTimer()
	was := costs()
	for room := outstanding; x.id < uint64(b.N); {
		n := min(room, b.N-int(x.id))
		if err := x.send(n); err != nil {
			b.Fatal(err)
		}
		room -= n
		if early {
			room += n
			continue
		}
		room += <-free
		for more := true; more; {
			select {
			case n := <-free:
				room += n
			default:
				more = false
			}
		}
	}
	cancel()
	if err := <-over; err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	is := costs()
	st := s.State()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
	per := func(n int64, unit string) { b.ReportMetric(float64(n)/float64(b.N), unit) }
	per(int64(st.Commits), "commits/msg")
	per(int64(st.Written), "rows/msg")
	per(is.cpu-was.cpu, "cpu-ns/msg")
	per(is.writes-was.writes, "writes/msg")
	per(is.written-was.written, "written-B/msg")
}

// BenchmarkBacklog is a store with so many rows that stay, of 250 bytes each. What is measured
// is another one that comes and is done; beside it, for a row of the backlog: bytes on the disk and in
// memory, and the time to open the file, to load all rows, and to page through them.
func BenchmarkBacklog(b *testing.B) {
	for _, rows := range []int{1000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) { benchBacklog(b, filepath.Join(b.TempDir(), "stox.db"), rows) })
	}
}

func benchBacklog(b *testing.B, path string, rows int) {
	fill(b, path, rows)
	fi, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	before, begin := heap(), time.Now()
	s, err := Open(path, Options{MaxEntries: rows + 1})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	opened := time.Since(begin)
	after := heap()
	begin = time.Now()
	n := 0
	if err := s.Load(func(Entry) error { n++; return nil }); err != nil || n != rows {
		b.Fatal(n, err)
	}
	loaded := time.Since(begin)
	begin = time.Now()
	for last := uint64(0); ; {
		page, err := s.Page(last, 100)
		if err != nil {
			b.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		n -= len(page)
		last = page[len(page)-1].ID
	}
	if n != 0 {
		b.Fatal(n, "rows are not on any page")
	}
	paged := time.Since(begin)
	b.ReportAllocs()
	id, data := uint64(rows), make([]byte, 250)
	one, ids := make([]Entry, 1), make([]uint64, 1)
	for b.Loop() {
		id++
		one[0], ids[0] = Entry{ID: id, Lane: "sip:romeo@example.net", Data: data}, id
		if n, err := s.Append(one); n < 1 {
			b.Fatal(err)
		}
		s.Done(ids)
	}
	per := func(v float64, unit string) { b.ReportMetric(v/float64(rows), unit+"/row") }
	per(float64(fi.Size()), "disk-B")
	per(float64(after-before), "heap-B")
	per(float64(opened.Nanoseconds()), "open-ns")
	per(float64(loaded.Nanoseconds()), "load-ns")
	per(float64(paged.Nanoseconds()), "page-ns")
}

// fill makes a file with so many rows.
func fill(b *testing.B, path string, rows int) {
	s, err := Open(path, Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error)
	free := make(chan int, 16)
	go func() {
		over <- s.Run(ctx, Events{Committed: func(marks []Mark, err error) {
			if err != nil {
				b.Error(err)
			}
			free <- len(marks)
		}})
	}()
	batch := make([]Entry, 0, 1024)
	data := make([]byte, 250)
	for id := 0; id < rows; {
		batch = batch[:0]
		for range min(1024, rows-id) {
			id++
			batch = append(batch, Entry{ID: uint64(id), Lane: "sip:romeo@example.net", Data: data})
		}
		if _, err := s.Append(batch); err != nil {
			b.Fatal(err)
		}
		for n := 0; n < len(batch); n += <-free {
		}
	}
	cancel()
	if err := errors.Join(<-over, s.Close()); err != nil {
		b.Fatal(err)
	}
}
