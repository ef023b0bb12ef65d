package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Whoever reads while rows are written anew, move to another slot or to the table, or are moved out by a
// checkpoint, finds each row once.
func TestSlotsAndReaders(t *testing.T) {
	m := &slotsModel{t: t, path: filepath.Join(t.TempDir(), "stox.db"), f: &faulty{}}
	m.open()
	defer func() { m.b.close() }()
	const stay = 40
	var ids []uint64
	var rows []Entry
	for id := uint64(1); id <= stay; id++ {
		ids = append(ids, id)
		rows = append(rows, entry(id, fmt.Sprint(id, strings.Repeat("x", 300))))
	}
	if err := m.b.commit(&work{put: rows}); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	failed := make(chan error, 1)
	reads := 0
	go func() {
		defer close(failed)
		for {
			select {
			case <-over:
				return
			default:
			}
			reads++
			got, err := m.b.get(ids)
			page, err2 := m.b.page(0, stay)
			one, err3 := m.b.get(ids[reads%stay : reads%stay+1])
			count, err4 := (&Reader{m.b}).Count()
			if count != stay && count != stay+20 || err4 != nil {
				failed <- fmt.Errorf("count %d; %v", count, err4)
				return
			}
			if err != nil || err2 != nil || err3 != nil || !slices.Equal(idsOf(got), ids) || !slices.Equal(idsOf(page), ids) || len(one) != 1 {
				failed <- fmt.Errorf("get %v, page %v, one %v; %v, %v, %v", idsOf(got), idsOf(page), idsOf(one), err, err2, err3)
				return
			}
		}
	}()
	next := uint64(1000)
	for n := range 300 {
		w := &work{}
		for i := range 5 {
			id := uint64((n*5+i)%stay + 1)
			size := 300
			if n > 40 && n%7 == 0 {
				size = slotSize
			}
			w.put = append(w.put, entry(id, fmt.Sprint(id, strings.Repeat("y", size))))
		}
		for range 20 { // the newest of these stay until the next commit
			next++
			w.put = append(w.put, entry(next, strings.Repeat("z", 300)))
			if next > 1020 {
				w.dead = append(w.dead, next-20)
			}
		}
		w.spans = spans(w.dead, func(uint64) bool { return false })
		if err := m.b.commit(w); err != nil {
			t.Fatal(err)
		}
		if n%50 == 49 {
			if err := m.b.drain(false); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(over)
	if err := <-failed; err != nil {
		t.Error(err)
	}
	if reads == 0 {
		t.Error("nothing was read")
	}
}

// A row that leaves the only slot in use, since its new version is too large for one, is there for readers at each moment
// of that commit, and after one that failed.
func TestRowLeavesTheOnlySlot(t *testing.T) {
	m := &slotsModel{t: t, path: filepath.Join(t.TempDir(), "stox.db"), f: &faulty{}}
	m.open()
	defer func() { m.b.close() }()
	if err := m.b.commit(&work{put: []Entry{entry(1, "one")}}); err != nil {
		t.Fatal(err)
	}
	look := func(when string) {
		t.Helper()
		got, err := m.b.get([]uint64{1})
		page, err2 := m.b.page(0, 10)
		if len(got) != 1 || len(page) != 1 || err != nil || err2 != nil {
			t.Errorf("%s: get %v, page %v; %v, %v", when, idsOf(got), idsOf(page), err, err2)
		}
	}
	look("before")
	larger := &work{put: []Entry{entry(1, strings.Repeat("x", slotSize))}}
	boom := errors.New("boom")
	m.f.set(func(query string) error {
		if query == "COMMIT" {
			look("during the commit")
			return boom
		}
		return nil
	}, false)
	if err := m.b.commit(larger); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	look("after a commit that failed")
	m.f.set(nil, false)
	if err := m.b.commit(larger); err != nil {
		t.Fatal(err)
	}
	look("after it")
	if !m.b.ranges.empty() {
		t.Error("readers still look into slots")
	}
}
