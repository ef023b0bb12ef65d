package store

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// slotsModel drives the engine by random commits and holds what is on the disk against a map.
type slotsModel struct {
	t    *testing.T
	rng  *rand.Rand
	path string
	f    *faulty
	b    *sqliteStore
	next uint64
	rows map[uint64]string
}

func (m *slotsModel) open() {
	o := Options{connector: func(c driver.Connector) driver.Connector { return &faultyConnector{c, m.f} }}
	o.setDefaults()
	b, err := openSQLite(m.path, o)
	if err != nil {
		m.t.Fatal(err)
	}
	m.b = b
}

func (m *slotsModel) text(id uint64) string {
	size := m.rng.IntN(400)
	switch m.rng.IntN(20) {
	case 0:
		size = slotSize - slotHead - slotRowHead - len(entry(1, "").Lane) - m.rng.IntN(3) // about what a slot holds
	case 1:
		size = 3 * slotSize
	case 2, 3, 4, 5:
		size = 0
	}
	return fmt.Sprint(id, "/", m.rng.Uint32(), strings.Repeat("x", size))
}

// commit makes a random one. Some fail, before, after or while they happen.
func (m *slotsModel) commit() {
	w, after := &work{}, maps.Clone(m.rows)
	known := slices.Sorted(maps.Keys(m.rows))
	many := m.rng.IntN(10) == 0
	for _, id := range known {
		switch m.rng.IntN(10) {
		case 0:
			if many || m.rng.IntN(5) == 0 {
				w.put = append(w.put, entry(id, m.text(id)))
			}
		case 1, 2:
			w.dead = append(w.dead, id)
		case 3, 4, 5:
			if many {
				w.dead = append(w.dead, id)
			}
		}
	}
	if m.rng.IntN(10) == 0 {
		w.dead = append(w.dead, m.next+1000) // which nobody knows
	}
	for range m.rng.IntN(1 + []int{0, 3, 40, 300}[m.rng.IntN(4)]) {
		m.next += 1 + uint64(m.rng.IntN(3))
		w.put = append(w.put, entry(m.next, m.text(m.next)))
	}
	for _, id := range w.dead {
		delete(after, id)
	}
	for _, e := range w.put {
		after[e.ID] = string(e.Data)
	}
	w.spans = spans(w.dead, func(id uint64) bool { _, lives := after[id]; return lives })
	if m.rng.IntN(4) == 0 {
		w.seen = []Seen{{Outcome: 200, At: time.Now()}}
	}
	if m.rng.IntN(6) > 0 {
		if err := m.b.commit(w); err != nil {
			m.t.Fatal(err)
		}
		m.rows = after
		return
	}
	boom, left := errors.New("boom"), m.rng.IntN(4)
	m.f.set(func(string) error {
		if left--; left == -1 {
			return boom
		}
		return nil
	}, m.rng.IntN(2) == 0)
	err := m.b.commit(w)
	m.f.set(nil, false)
	if err != nil || m.rng.IntN(2) == 0 {
		m.recover()
	}
	if got := m.found(); err == nil || maps.Equal(got, after) {
		m.rows = after
	}
}

func (m *slotsModel) recover() {
	if err := m.b.recover(); err != nil {
		m.t.Fatal(err)
	}
}

func (m *slotsModel) found() map[uint64]string {
	all := map[uint64]string{}
	err := m.b.load(func(e Entry) error {
		if _, twice := all[e.ID]; twice {
			m.t.Fatalf("row %d is there twice", e.ID)
		}
		all[e.ID] = string(e.Data)
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return all
}

// check compares all ways of reading with the map.
func (m *slotsModel) check(what string) {
	m.t.Helper()
	if got := m.found(); !maps.Equal(got, m.rows) {
		m.t.Fatalf("after %s: %d rows, want %d; missing %v, too many %v", what, len(got), len(m.rows), diff(m.rows, got), diff(got, m.rows))
	}
	known := slices.Sorted(maps.Keys(m.rows))
	var ask []uint64
	for _, id := range known {
		if m.rng.IntN(4) == 0 {
			ask = append(ask, id)
		}
	}
	got, err := m.b.get(append(slices.Clone(ask), m.next+1))
	if err != nil || !slices.Equal(idsOf(got), ask) {
		m.t.Fatalf("after %s: get: %v, want %v; %v", what, idsOf(got), ask, err)
	}
	for _, e := range got {
		if string(e.Data) != m.rows[e.ID] {
			m.t.Fatalf("after %s: get: row %d is another version", what, e.ID)
		}
	}
	if len(known) > 0 {
		at, n := m.rng.IntN(len(known)), 1+m.rng.IntN(20)
		page, err := m.b.page(known[at], n)
		if want := known[at+1 : min(at+1+n, len(known))]; err != nil || !slices.Equal(idsOf(page), want) {
			m.t.Fatalf("after %s: page: %v, want %v; %v", what, idsOf(page), want, err)
		}
	}
	sizes := map[uint64]int{}
	if err := m.b.index(func(id uint64, size int) { sizes[id] = size }); err != nil || len(sizes) != len(m.rows) {
		m.t.Fatalf("after %s: index: %d rows, want %d; %v", what, len(sizes), len(m.rows), err)
	}
	r := Reader{m.b}
	if n, err := r.Count(); n != len(m.rows) || err != nil {
		m.t.Fatalf("after %s: count: %d, want %d; %v", what, n, len(m.rows), err)
	}
}

// diff returns the ids that only a has, or has otherwise.
func diff(a, b map[uint64]string) (ids []uint64) {
	for id, v := range a {
		if w, ok := b[id]; !ok || v != w {
			ids = append(ids, id)
		}
	}
	return ids
}

// Rows of any size are where they were put, in slots or in the table, updated and deleted in any order,
// through faults, checkpoints, restarts and kills.
func TestSlotsModel(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := &slotsModel{t: t, rng: rand.New(rand.NewPCG(seed, 5)), path: filepath.Join(t.TempDir(), "stox.db"), f: &faulty{}, rows: map[uint64]string{}}
			m.open()
			defer func() { m.b.close() }()
			most := 0
			for range 200 {
				what := "a commit"
				switch m.rng.IntN(25) {
				case 0:
					what = "a checkpoint"
					if err := m.b.checkpoint(); err != nil {
						t.Fatal(err)
					}
					if !m.b.ranges.empty() {
						t.Error("there is something in slots after a checkpoint")
					}
				case 1:
					what = "a recovery"
					m.recover()
				case 2:
					what = "a restart"
					if err := m.b.close(); err != nil {
						t.Fatal(err)
					}
					m.open()
				case 3:
					what = "a kill"
					m.path = copyImage(t, m.path)
					m.b.close()
					m.open()
				default:
					m.commit()
				}
				m.check(what)
				most = max(most, len(m.b.slots.all))
			}
			if most < 20 {
				t.Errorf("only %d slots were ever in use", most)
			}
		})
	}
}
