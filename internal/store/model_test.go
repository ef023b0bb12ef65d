package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestModel drives the queue and an engine in memory step by step, in random
// schedules with commits that succeed, fail, and fail although they happened, and
// compares with maps: what was promised, and what is on the disk.
func TestModel(t *testing.T) {
	for range 30 { // of 100 schedules each
		rapid.Check(t, runModel)
	}
}

func runModel(t *rapid.T) {
	s, err := Open("", Options{MaxEntries: 30, MaxWaiting: 12})
	if err != nil {
		t.Fatal(err)
	}
	m := &model{t: t, s: s, disk: s.b.(*memory), now: time.UnixMilli(1_800_000_000_000),
		live: map[uint64]string{}, state: map[uint64]string{}, rev: map[uint64]uint32{}, kept: map[uint64]uint32{}}
	t.Repeat(map[string]func(*rapid.T){
		"append": m.append,
		"update": m.update,
		"done":   m.done,
		"begin":  m.begin,
		"end":    m.end,
		"wait": func(t *rapid.T) {
			m.now = m.now.Add(time.Duration(rapid.IntRange(1, 200).Draw(t, "ms")) * time.Millisecond)
		},
		"": m.check,
	})
	m.settle()
}

type model struct {
	t    *rapid.T
	s    *Store
	disk *memory
	now  time.Time
	next uint64

	live  map[uint64]string // what was promised to be kept: id -> newest data
	state map[uint64]string // of every id: live, done, unwritten (done before its commit), failed
	rev   map[uint64]uint32 // newest version
	kept  map[uint64]uint32 // newest version reported as committed, +1

	running *work
	begun   map[uint64]bool // ids whose first commit has begun
}

func (m *model) append(t *rapid.T) {
	var batch []Entry
	for range rapid.IntRange(1, 6).Draw(t, "rows") {
		m.next += uint64(rapid.IntRange(1, 3).Draw(t, "step"))
		batch = append(batch, entry(m.next, fmt.Sprint(m.next, "/0")))
	}
	n, err := m.s.Append(batch)
	if (err == nil) != (n == len(batch)) {
		t.Fatalf("took %d of %d, %v", n, len(batch), err)
	}
	if m.s.failing != nil && (n > 0 || !errors.Is(err, errBoom)) {
		t.Fatalf("during a fault: took %d, %v", n, err)
	}
	for _, e := range batch[:n] {
		m.live[e.ID], m.state[e.ID] = string(e.Data), "live"
	}
	if n < len(batch) && m.s.failing == nil && len(m.live) < 30 && m.s.waiting < 12 {
		t.Fatalf("refused with %d rows, %d waiting: %v", len(m.live), m.s.waiting, err)
	}
}

func (m *model) pick(t *rapid.T) (ids []uint64) {
	known := slices.Sorted(maps.Keys(m.state))
	if len(known) == 0 {
		return nil
	}
	return rapid.SliceOfN(rapid.SampledFrom(known), 1, 6).Draw(t, "ids")
}

func (m *model) update(t *rapid.T) {
	for _, id := range m.pick(t) {
		m.rev[id]++
		e := entry(id, fmt.Sprint(id, "/", m.rev[id]))
		e.Rev = m.rev[id]
		n, err := m.s.Update([]Entry{e})
		if n == 0 {
			if !errors.Is(err, ErrFull) || m.state[id] != "live" {
				t.Fatalf("update of %d: %v", id, err)
			}
			m.rev[id]--
			continue
		}
		if m.state[id] == "live" {
			m.live[id] = string(e.Data)
		}
	}
}

func (m *model) done(t *rapid.T) {
	ids := m.pick(t)
	m.s.Done(ids)
	for _, id := range ids {
		if m.state[id] != "live" {
			continue
		}
		m.state[id] = "done"
		if !m.begun[id] {
			m.state[id] = "unwritten"
		}
		delete(m.live, id)
	}
}

func (m *model) begin(*rapid.T) {
	if m.running != nil {
		return
	}
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	w, wait := m.s.takeLocked(m.now, false)
	if w == nil {
		if wait <= 0 {
			m.t.Fatalf("nothing to do, and to wait %v", wait)
		}
		return
	}
	m.running = w
	if m.begun == nil {
		m.begun = map[uint64]bool{}
	}
	for _, e := range w.put {
		m.begun[e.ID] = true
	}
	for _, sp := range w.spans {
		for id := sp.lo; id <= sp.hi; id++ {
			if m.state[id] == "live" {
				m.t.Fatalf("span %v covers %d, which lives", sp, id)
			}
		}
	}
}

var errBoom = errors.New("boom")

func (m *model) end(t *rapid.T) {
	if m.running == nil {
		return
	}
	switch rapid.IntRange(0, 5).Draw(t, "commit") {
	case 0:
		m.finish(errBoom)
	case 1:
		_ = m.disk.commit(m.running)
		m.finish(errBoom)
	default:
		m.finish(m.disk.commit(m.running))
	}
}

func (m *model) finish(err error) {
	w := m.running
	m.running = nil
	m.s.mu.Lock()
	marks := m.s.finishLocked(w, err, m.now)
	m.s.mu.Unlock()
	for _, mark := range marks {
		if m.state[mark.ID] != "live" {
			m.t.Fatalf("reported %d, which is %s", mark.ID, m.state[mark.ID])
		}
		if err == nil {
			m.kept[mark.ID] = mark.Rev + 1
			continue
		}
		if m.kept[mark.ID] > 0 {
			m.t.Fatalf("row %d failed after it was committed", mark.ID)
		}
		m.state[mark.ID] = "failed"
		delete(m.live, mark.ID)
	}
}

func (m *model) check(t *rapid.T) {
	for id, e := range m.disk.rows {
		if m.state[id] == "unwritten" {
			t.Fatalf("row %d was done before its commit and is on the disk", id)
		}
		_ = e
	}
	for id := range m.live {
		e, there := m.disk.rows[id]
		if k := m.kept[id]; k > 0 {
			var have uint32
			if _, err := fmt.Sscanf(string(e.Data), fmt.Sprint(id, "/%d"), &have); !there || err != nil || have+1 < k {
				t.Fatalf("row %d was committed in version %d, the disk has %q (%v)", id, k-1, e.Data, err)
			}
		}
	}
	st := m.s.State()
	var bytes int64
	for _, data := range m.live {
		e := entry(1, data)
		bytes += int64(sizeOf(&e))
	}
	if st.Entries != len(m.live) || st.Bytes != bytes || st.Waiting < 0 || (st.Waiting == 0) != (st.WaitingBytes == 0) {
		t.Fatalf("%+v, want %d rows, %d bytes", st, len(m.live), bytes)
	}
}

// settle commits all that is left: the disk then holds what was promised, no more.
func (m *model) settle() {
	for {
		if m.running != nil {
			m.finish(m.disk.commit(m.running))
		}
		m.s.mu.Lock()
		m.running, _ = m.s.takeLocked(m.now.Add(time.Hour), true)
		m.s.mu.Unlock()
		if len(m.running.put)+len(m.running.dead) == 0 {
			break
		}
	}
	got := map[uint64]string{}
	for id, e := range m.disk.rows {
		got[id] = string(e.Data)
	}
	if !maps.Equal(got, m.live) {
		m.t.Fatalf("at last %v, want %v", got, m.live)
	}
	if m.s.rows.len() != len(m.live) || m.s.waiting != 0 || m.s.waitSize != 0 {
		m.t.Fatalf("left over: %d rows, %d waiting, %d bytes", m.s.rows.len(), m.s.waiting, m.s.waitSize)
	}
}
