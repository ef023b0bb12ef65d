package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// When all slots are in use, those that are mostly done are emptied, and what there is no room for all the same is
// in the table; nothing is lost on the way, and they are used again.
func TestSlotsRunOut(t *testing.T) {
	m := &slotsModel{t: t, rng: rand.New(rand.NewPCG(1, 1)), path: filepath.Join(t.TempDir(), "stox.db"), f: &faulty{}, rows: map[uint64]string{}}
	m.open()
	defer func() { m.b.close() }()
	inTable := func() (n int) {
		if err := m.b.reader.QueryRow("SELECT count(*) FROM journal").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	put := func(n int, dead ...uint64) {
		t.Helper()
		w := &work{dead: dead}
		for range n {
			m.next++
			e := entry(m.next, fmt.Sprint(m.next, strings.Repeat("x", slotSize/4)))
			m.rows[m.next] = string(e.Data)
			w.put = append(w.put, e)
		}
		for _, id := range dead {
			delete(m.rows, id)
		}
		w.spans = spans(dead, func(id uint64) bool { _, lives := m.rows[id]; return lives })
		if err := m.b.commit(w); err != nil {
			t.Fatal(err)
		}
	}
	per := uint64(3) // rows to a slot
	put(int(per) * maxSlots)
	if len(m.b.slots.all) != maxSlots || m.b.slots.free() != 0 || inTable() != 0 {
		t.Fatalf("%d slots, %d free, %d rows in the table", len(m.b.slots.all), m.b.slots.free(), inTable())
	}
	put(10)
	if inTable() != 10 {
		t.Errorf("%d rows of 10 are in the table while all that is in slots lives", inTable())
	}
	var dead []uint64
	for n := uint64(0); n < maxSlots/2; n++ {
		dead = append(dead, n*per+1, n*per+2)
	}
	put(0, dead...)
	m.check("most of them are done")
	put(12)
	if got, want := inTable(), 10+evictSlots; got != want {
		t.Errorf("%d rows in the table, want %d", got, want)
	}
	m.check("room was made")
	put(0, slices.Sorted(maps.Keys(m.rows))...)
	m.check("all is done")
	put(3 * maxSlots)
	if inTable() != 0 || len(m.b.slots.all) != maxSlots {
		t.Errorf("%d rows in the table, %d slots", inTable(), len(m.b.slots.all))
	}
	m.check("all anew")
}

// A message that comes alone costs one page when it comes and one when it is done, and nothing is left
// to do then.
func TestSlotOfAMessageAlone(t *testing.T) {
	m := &slotsModel{t: t, rng: rand.New(rand.NewPCG(1, 1)), path: filepath.Join(t.TempDir(), "stox.db"), f: &faulty{}}
	m.open()
	defer func() { m.b.close() }()
	for id := uint64(1); id < 5; id++ {
		for _, w := range []*work{{put: []Entry{entry(id, secret)}}, {dead: []uint64{id}, spans: []span{{id, id}}}} {
			if err := m.b.commit(w); err != nil {
				t.Fatal(err)
			}
		}
		if m.b.slots.used() {
			t.Error("the slot is in use after the end")
		}
	}
	if err := m.b.checkpoint(); err != nil {
		t.Fatal(err)
	}
	if n := secretsIn(t, m.path); n > 0 {
		t.Errorf("the text is there %d times", n)
	}
}

// The text of a message that was done before a kill leaves the disk with the next start, also if nothing is in
// slots any more, and nothing else comes.
func TestTextOfAMessageAloneIsErasedAfterAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	m := &slotsModel{t: t, path: path, f: &faulty{}}
	m.open()
	for _, w := range []*work{{put: []Entry{entry(1, secret)}}, {dead: []uint64{1}, spans: []span{{1, 1}}}} {
		if err := m.b.commit(w); err != nil {
			t.Fatal(err)
		}
	}
	m.path = copyImage(t, path)
	if err := m.b.close(); err != nil {
		t.Fatal(err)
	}
	if secretsIn(t, m.path) == 0 {
		t.Fatal("no text in the image")
	}
	m.open()
	defer func() { m.b.close() }()
	if n := secretsIn(t, m.path); n > 0 {
		t.Errorf("the text is there %d times", n)
	}
}

// What the register says of a slot is out of date as soon as that is written anew, also if the numbers of
// the writings have to be found out again in between.
func TestRegisterOutOfDate(t *testing.T) {
	m := &slotsModel{t: t, rng: rand.New(rand.NewPCG(1, 1)), path: filepath.Join(t.TempDir(), "stox.db"), f: &faulty{}, rows: map[uint64]string{}}
	m.open()
	defer func() { m.b.close() }()
	commit := func(w *work) {
		t.Helper()
		if err := m.b.commit(w); err != nil {
			t.Fatal(err)
		}
	}
	commit(&work{put: []Entry{entry(1, "one"), entry(2, "two")}})
	commit(&work{dead: []uint64{1}, spans: []span{{1, 1}}}) // by the register
	if err := m.b.checkpoint(); err != nil {
		t.Fatal(err)
	}
	if err := m.b.close(); err != nil {
		t.Fatal(err)
	}
	m.open()
	commit(&work{put: []Entry{entry(3, "three"), entry(4, "four")}})
	m.rows = map[uint64]string{2: "two", 3: "three", 4: "four"}
	m.check("a slot is written anew")
}

// What cannot be read in a slot is kept as a row that cannot be read, and stands in nobody's way.
func TestSlotThatCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	m := &slotsModel{t: t, path: path, f: &faulty{}}
	m.open()
	var rows []Entry
	for id := uint64(1); id <= 6; id++ {
		rows = append(rows, entry(id, fmt.Sprint(id, strings.Repeat("x", slotSize/3))))
	}
	if err := m.b.commit(&work{put: rows}); err != nil {
		t.Fatal(err)
	}
	image := copyImage(t, path)
	m.b.close()
	exec(t, image, "UPDATE slots SET data = x'07' || data WHERE slot = 2")
	file, err := OpenReadOnly(image)
	if err != nil {
		t.Fatal(err)
	}
	if got := idsOf(mustLoad(t, file)); !slices.Equal(got, []uint64{1, 2, 5, 6}) {
		t.Errorf("at rest: %v", got)
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		s := mustOpen(t, image, Options{})
		got := mustLoad(t, s)
		if !slices.Equal(idsOf(got), []uint64{1, 2, 5, 6, 7}) || len(got[4].Data) != 0 || got[4].Lane != "" {
			t.Errorf("opened: %v, the last one %+v", idsOf(got), got[len(got)-1])
		}
		r := start(t, s)
		mustAppend(t, s, entry(8, "eight"))
		r.committed(8)
		s.Done([]uint64{8})
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		s.Close()
	}
	b, err := os.ReadFile(image)
	if err != nil || !bytes.Contains(b, []byte("\x00\x07\x01")) {
		t.Errorf("what was in the slot is not kept: %v", err)
	}
}

// Whatever is in a slot, either its rows are read or it is said that they cannot be.
func TestUnpackSlot(t *testing.T) {
	head := []byte{slotVersion, 0, 0, 0, 0, 0, 0, 0, 3}
	row := []byte{0, 2, 5, 'x'} // length, ID, the row
	for _, c := range []struct {
		name string
		data []byte
		rows int // negative: it cannot be read
	}{
		{"nothing", nil, -1},
		{"part of the head", head[:slotHead-1], -1},
		{"zeros", make([]byte, slotSize), 0},
		{"no rows", head, 0},
		{"a row", slices.Concat(head, row), 1},
		{"a row and zeros", slices.Concat(head, row, make([]byte, 9)), 1},
		{"as many rows as there are bits", slices.Concat(head, slices.Repeat(row, slotRows)), slotRows},
		{"one more", slices.Concat(head, slices.Repeat(row, slotRows+1)), -1},
		{"a row that is cut off", slices.Concat(head, row, row[:3]), -1},
		{"a row without an ID", slices.Concat(head, []byte{0, 1, 0}), -1},
		{"an ID that is cut off", slices.Concat(head, []byte{0, 1, 0x80}), -1},
		{"an ID that is too large", slices.Concat(head, []byte{0, 10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}), -1},
		{"another version", slices.Concat([]byte{slotVersion + 1}, head[1:]), -1},
		{"no number of the writing", make([]byte, slotHead, slotSize), 0},
		{"a version without it", append([]byte{slotVersion}, make([]byte, 8)...), -1},
	} {
		rows := 0
		_, err := unpackSlot(c.data, func(int, uint64, []byte) { rows++ })
		if (err != nil) != (c.rows < 0) || err == nil && rows != c.rows {
			t.Errorf("%s: %d rows, want %d; %v", c.name, rows, c.rows, err)
		}
	}
}

// A slot that turns out to be unreadable while the store runs stays as it is until the next start: whoever uses the store
// does not know of a row made of it, and would give its id to another one.
func TestSlotThatCannotBeReadLater(t *testing.T) {
	for _, damage := range []string{"x'07' || data", "x''"} {
		t.Run(damage, func(t *testing.T) { slotThatCannotBeReadLater(t, damage) })
	}
}

func slotThatCannotBeReadLater(t *testing.T, damage string) {
	path := filepath.Join(t.TempDir(), "stox.db")
	m := &slotsModel{t: t, path: path, f: &faulty{}}
	m.open()
	text := strings.Repeat("x", slotSize/3)
	put := func(ids ...uint64) {
		t.Helper()
		w := &work{}
		for _, id := range ids {
			w.put = append(w.put, entry(id, text))
		}
		if err := m.b.commit(w); err != nil {
			t.Fatal(err)
		}
	}
	put(1, 2, 3, 4, 5, 6)
	exec(t, path, "UPDATE slots SET data = "+damage+" WHERE slot = 2")
	if err := m.b.checkpoint(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("rows of the slot were to be moved: %v", err)
	}
	for id := uint64(7); id < 9; id++ {
		if err := m.b.checkpoint(); err != nil {
			t.Error(err)
		}
		if !m.b.ranges.empty() {
			t.Error("there is something else in slots after a checkpoint")
		}
		put(id)
	}
	if got := idsOf(mustLoad(t, &Reader{m.b})); !slices.Equal(got, []uint64{1, 2, 5, 6, 7, 8}) {
		t.Errorf("until the next start: %v", got)
	}
	if err := m.b.close(); err != nil {
		t.Error(err)
	}
	s := mustOpen(t, path, Options{})
	defer s.Close()
	got := mustLoad(t, s)
	if !slices.Equal(idsOf(got), []uint64{1, 2, 5, 6, 7, 8, 9}) || len(got[6].Data) != 0 {
		t.Errorf("after it: %v", idsOf(got))
	}
}

// A file of a version without slots can be looked into before that of this version has opened it.
func TestReadOnlyWithoutSlots(t *testing.T) {
	for version := int64(1); version <= schemaVersion(); version++ {
		file, err := OpenReadOnly(fileOfSchema(t, version))
		if err != nil {
			t.Fatal(err)
		}
		n, err := file.Count()
		some, err2 := file.Get([]uint64{2})
		if got := idsOf(mustLoad(t, file)); n != 2 || len(some) != 1 || !slices.Equal(got, []uint64{1, 2}) || err != nil || err2 != nil {
			t.Errorf("schema %d: %v, %d rows, %d; %v, %v", version, got, n, len(some), err, err2)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A slot takes no more than a page.
func TestSlotIsAPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	m := &slotsModel{t: t, path: path, f: &faulty{}}
	m.open()
	defer func() { m.b.close() }()
	pages := func() (n int) {
		if err := m.b.reader.QueryRow("PRAGMA page_count").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	was := pages()
	var rows []Entry
	for id := uint64(1); id <= 40; id++ {
		rows = append(rows, entry(id, strings.Repeat("x", slotSize*3/4)))
	}
	if err := m.b.commit(&work{put: rows}); err != nil {
		t.Fatal(err)
	}
	if n := pages() - was; len(m.b.slots.all) != 40 || n < 39 || n > 41 { // the table has one already, and above 40 one more
		t.Errorf("%d slots are in %d pages", len(m.b.slots.all), n)
	}
}

// A file that is full because of its slots gives their room back.
func TestSlotsInAFullFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	r := start(t, mustOpen(t, path, Options{MaxPages: 80}))
	var ids []uint64
	id := uint64(0)
	r.await("the file is full", func() bool {
		id++
		if n, _ := r.Append([]Entry{entry(id, strings.Repeat("x", slotSize*3/4))}); n == 1 {
			ids = append(ids, id)
		}
		return len(r.errs) > 0
	})
	if !errors.Is(r.errs[0], ErrDiskFull) {
		t.Fatal(r.errs[0])
	}
	r.Done(ids)
	r.await("recovery", func() bool { return r.Ready() == nil && r.State().Unflushed == 0 })
	mustAppend(t, r.Store, entry(id+1, "y"))
	r.committed(id + 1)
	if got := idsOf(mustLoad(t, r.Store)); !slices.Equal(got, []uint64{id + 1}) {
		t.Errorf("at last: %v", got)
	}
}

// The log is emptied also if rows cannot be moved out of slots, for which a full disk has no room before that.
func TestLogIsEmptiedWithoutRoomForRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	m := &slotsModel{t: t, rng: rand.New(rand.NewPCG(1, 1)), path: path, f: &faulty{}, rows: map[uint64]string{}}
	m.open()
	defer func() { m.b.close() }()
	for id := uint64(1); id <= 9; id++ {
		m.rows[id] = fmt.Sprint(id, strings.Repeat("x", 1000))
		if err := m.b.commit(&work{put: []Entry{entry(id, m.rows[id])}}); err != nil {
			t.Fatal(err)
		}
	}
	log := func() int64 {
		st, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return st.Size()
	}
	m.next = 9
	boom := errors.New("boom")
	for _, step := range []string{"BEGIN", "DELETE FROM slots", "INSERT INTO journal", "COMMIT"} {
		was := log()
		m.f.set(on(step, boom), false)
		err := m.b.checkpoint()
		m.f.set(nil, false)
		if !errors.Is(err, boom) || was == 0 || log() != 0 {
			t.Errorf("%s: the log had %d bytes and has %d; %v", step, was, log(), err)
		}
		m.check(step)
		m.next++
		m.rows[m.next] = "more"
		if err := m.b.commit(&work{put: []Entry{entry(m.next, "more")}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.b.checkpoint(); err != nil || !m.b.ranges.empty() {
		t.Errorf("at last: %v", err)
	}
	m.check("all is well")
}

func BenchmarkSlots(b *testing.B) {
	// What the goroutine that commits does by itself: 17 rows packed, and as many that end.
	t := slotTable{known: true}
	data := make([]byte, 346)
	now := time.Now()
	rows, dead := make([]Entry, 17), make([]uint64, 17)
	id := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		for i := range rows {
			id++
			rows[i] = Entry{ID: id, Lane: "sip:romeo@example.net", Data: data, Read: now, Expire: now}
		}
		t.bury(dead)
		t.place(rows)
		t.finish()
		for i := range dead {
			dead[i] = rows[i].ID
		}
	}
}

func BenchmarkSlotsWide(b *testing.B) {
	// As many as end in one commit at the most, when each slot has rows of all ages.
	t := slotTable{known: true}
	dead := make([]uint64, maxSpanIDs)
	for i := range dead {
		dead[i] = uint64(2*i*maxSlots + 1)
	}
	for n := range uint64(maxSlots) {
		t.all = append(t.all, slot{writing: n + 1})
		for i := range uint64(slotRows) {
			t.all[n].add(2 * (i*2*maxSpanIDs + n + 1))
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		t.bury(dead)
	}
}
