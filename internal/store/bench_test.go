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
// fixed number outstanding: rows/s, commits/s and bytes written to the log per row.
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
	if path != "" {
		if fi, err := os.Stat(path); err == nil {
			b.ReportMetric(float64(fi.Size())/1024, "KiB-file")
		}
	}
}
