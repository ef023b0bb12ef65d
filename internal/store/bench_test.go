package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkJournal appends rows and ends them when they are committed, with a
// fixed number outstanding: rows/s, and how many commits that takes.
func BenchmarkJournal(b *testing.B) {
	for _, outstanding := range []int{1, 16, 256} {
		for _, path := range []string{"sqlite", "memory"} {
			b.Run(fmt.Sprintf("%s/%d", path, outstanding), func(b *testing.B) {
				benchJournal(b, path, outstanding)
			})
		}
	}
}

func benchJournal(b *testing.B, path string, outstanding int) {
	if path == "memory" {
		path = ""
	} else {
		path = filepath.Join(b.TempDir(), "stox.db")
	}
	s, err := Open(path, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	data := make([]byte, 250) // a message of 100 bytes with its addresses and identifiers
	slots := make(chan int, outstanding)
	slots <- outstanding
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error)
	go func() {
		var ids []uint64
		over <- s.Run(ctx, Events{Committed: func(marks []Mark, err error) {
			if err != nil {
				b.Error(err)
			}
			ids = ids[:0]
			for _, m := range marks {
				ids = append(ids, m.ID)
			}
			s.Done(ids)
			slots <- len(marks)
		}})
	}()
	b.ReportAllocs()
	b.ResetTimer()
	now := time.Now()
	batch := make([]Entry, 0, outstanding)
	for id := uint64(0); id < uint64(b.N); {
		free := <-slots
		batch = batch[:0]
		for range min(free, b.N-int(id)) {
			id++
			batch = append(batch, Entry{ID: id, Lane: "sip:romeo@example.net", Data: data, Read: now, Expire: now})
		}
		if n, err := s.Append(batch); n < len(batch) {
			b.Fatal(err)
		}
	}
	cancel()
	if err := <-over; err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	st := s.State()
	sec := b.Elapsed().Seconds()
	b.ReportMetric(float64(st.Written)/sec, "rows/s")
	b.ReportMetric(float64(st.Commits)/sec, "commits/s")
}

// BenchmarkBacklog appends rows that stay, and opens the file again: bytes on the
// disk for a row of 250 bytes, and the time to the first new commit.
func BenchmarkBacklog(b *testing.B) {
	path := filepath.Join(b.TempDir(), "stox.db")
	s, err := Open(path, Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error)
	free := make(chan int, 1)
	go func() {
		over <- s.Run(ctx, Events{Committed: func(marks []Mark, err error) {
			if err != nil {
				b.Error(err)
			}
			free <- len(marks)
		}})
	}()
	b.ResetTimer()
	for id := uint64(0); id < uint64(b.N); {
		var batch []Entry
		for range min(1024, b.N-int(id)) {
			id++
			batch = append(batch, Entry{ID: id, Lane: "sip:romeo@example.net", Data: make([]byte, 250)})
		}
		if _, err := s.Append(batch); err != nil {
			b.Fatal(err)
		}
		for n := 0; n < len(batch); n += <-free {
		}
	}
	b.StopTimer()
	cancel()
	if err := <-over; err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(fi.Size())/float64(b.N), "B/row")
	begin := time.Now()
	if s, err = Open(path, Options{}); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(begin).Seconds()*1000, "ms-open")
	n := 0
	if err := s.Load(func(Entry) error { n++; return nil }); err != nil || n != b.N {
		b.Fatal(n, err)
	}
	b.ReportMetric(time.Since(begin).Seconds()*1000, "ms-load")
	s.Close()
}
