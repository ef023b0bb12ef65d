package store

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestModelOfPresence puts relations and dialogs in random schedules of commits that succeed,
// fail, and fail although they happened: what is on the disk is at any time a version that
// was put, never an older one than before, and in the end the newest of each.
func TestModelOfPresence(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		for range 5 { // of 100 schedules each
			rapid.Check(t, func(t *rapid.T) {
				s, err := Open("", Options{})
				if err != nil {
					t.Fatal(err)
				}
				runPresenceModel(t, s)
			})
		}
	})
	t.Run("sqlite", func(t *testing.T) {
		s := mustOpen(t, filepath.Join(t.TempDir(), "stox.db"), Options{})
		defer s.Close()
		rapid.Check(t, func(t *rapid.T) {
			w := s.b.(*sqliteStore).writer
			if err := errors.Join(w.exec("DELETE FROM relations"), w.exec("DELETE FROM dialogs")); err != nil {
				t.Fatal(err)
			}
			o := s.o
			s.queue = queue{}
			s.queue.init(o)
			runPresenceModel(t, s)
		})
	})
}

// presenceModel counts the versions of a few keys. A version divisible by 3 is to be
// forgotten.
type presenceModel struct {
	s       *Store
	now     time.Time
	put     [2]map[string]uint16 // of relations, of dialogs: the newest that was put
	kept    [2]map[string]uint16 // ... and the least that the disk must have
	running *work
	taken   [2]map[string]uint16 // newest when running was taken
}

func runPresenceModel(t *rapid.T, s *Store) {
	m := &presenceModel{s: s, now: time.Now()}
	for i := range m.put {
		m.put[i], m.kept[i] = map[string]uint16{}, map[string]uint16{}
	}
	keys := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 5)
	t.Repeat(map[string]func(*rapid.T){
		"relations": func(t *rapid.T) {
			var batch []Relation
			for _, k := range keys.Draw(t, "keys") {
				m.put[0][k]++
				batch = append(batch, modelRelation(k, m.put[0][k]))
			}
			s.PutRelations(batch)
		},
		"dialogs": func(t *rapid.T) {
			var batch []Dialog
			for _, k := range keys.Draw(t, "keys") {
				m.put[1][k]++
				batch = append(batch, m.dialog(k, m.put[1][k]))
			}
			s.PutDialogs(batch)
		},
		"begin": m.begin,
		"end":   m.end,
		"wait": func(t *rapid.T) {
			m.now = m.now.Add(time.Duration(rapid.IntRange(1, 200).Draw(t, "ms")) * time.Millisecond)
		},
		"": m.check,
	})
	for m.running != nil || s.State().Unflushed > 0 {
		if m.running == nil {
			m.now = m.now.Add(time.Minute)
			m.begin(t)
		}
		m.finish(t, s.b.commit(m.running))
	}
	m.check(t)
	for i := range m.put {
		if !maps.Equal(m.kept[i], m.put[i]) {
			t.Fatalf("at last %v, want %v", m.kept[i], m.put[i])
		}
	}
	if s.dialogBytes != 0 || s.dropped != 0 {
		t.Fatalf("%d bytes wait, %d dropped", s.dialogBytes, s.dropped)
	}
}

func modelRelation(key string, version uint16) Relation {
	r := Relation{User: key, Contact: "g", State: version}
	if version%3 == 0 {
		r.State = 0
	}
	return r
}

func (m *presenceModel) dialog(key string, version uint16) Dialog {
	d := Dialog{Key: key, Expires: m.now.Add(time.Hour), Data: fmt.Append(nil, version)}
	if version%3 == 0 {
		d.Data = nil
	}
	return d
}

func (m *presenceModel) begin(*rapid.T) {
	if m.running != nil {
		return
	}
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.running, _ = m.s.takeLocked(m.now, false)
	m.taken = m.kept
	if len(m.s.relations) == 0 { // else they are for a later commit
		m.taken[0] = maps.Clone(m.put[0])
	}
	if len(m.s.dialogs) == 0 {
		m.taken[1] = maps.Clone(m.put[1])
	}
}

func (m *presenceModel) end(t *rapid.T) {
	if m.running == nil {
		return
	}
	var err error
	how := rapid.IntRange(0, 3).Draw(t, "commit")
	if how > 0 {
		err = m.s.b.commit(m.running)
	}
	if how < 2 && err == nil {
		err = errBoom
	}
	m.finish(t, err)
}

func (m *presenceModel) finish(t *rapid.T, err error) {
	if err == nil {
		m.kept = m.taken
	}
	m.s.mu.Lock()
	m.s.finishLocked(m.running, err, m.now)
	m.s.mu.Unlock()
	m.running = nil
}

// check compares the disk with what it must have at least.
func (m *presenceModel) check(t *rapid.T) {
	var disk [2]map[string]uint16
	disk[0], disk[1] = map[string]uint16{}, map[string]uint16{}
	err := m.s.LoadRelations(func(batch []Relation) error {
		for _, r := range batch {
			disk[0][r.User] = r.State
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = m.s.LoadDialogs(func(batch []Dialog) error {
		for _, d := range batch {
			var v uint16
			if _, err := fmt.Sscan(string(d.Data), &v); err != nil {
				return err
			}
			disk[1][d.Key] = v
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range disk {
		for _, k := range slices.Collect(maps.Keys(m.put[i])) {
			have, least, most := disk[i][k], m.kept[i][k], m.put[i][k]
			if !possible(have, least, most) {
				t.Fatalf("the disk has version %d of %s, must have %d to %d", have, k, least, most)
			}
		}
	}
}

// possible says whether what the disk has of a key, 0 for nothing, is what some version from
// least to most leaves there.
func possible(have, least, most uint16) bool {
	for v := least; v <= most; v++ {
		if have == v && v%3 != 0 || have == 0 && v%3 == 0 {
			return true
		}
	}
	return false
}
