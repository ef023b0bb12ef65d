package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTrail(t *testing.T) {
	engines(t, func(t *testing.T, path string) {
		r := start(t, mustOpen(t, path, Options{}))
		at := time.UnixMilli(time.Now().UnixMilli())
		want := []TrailEvent{
			{ID: "m-1", At: at, Kind: "read", Detail: "from juliet@example.com"},
			{ID: "m-1", At: at.Add(time.Millisecond), Kind: "sent", Detail: "sip:romeo@example.net"},
			{ID: "m-1", At: at.Add(time.Second), Kind: "answered", Detail: "200"},
		}
		check := func(when string, got []TrailEvent, err error) {
			t.Helper()
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %v, %v", when, got, err)
			}
		}
		r.PutTrail([]TrailEvent{want[1], {ID: "other", At: at, Kind: "read"}, want[0], {}}) // an event without an id is nobody's
		r.PutTrail([]TrailEvent{want[2]})
		got, err := r.Lookup("m-1")
		check("in memory", got, err)
		r.flushed()
		got, err = r.Lookup("m-1")
		check("on disk", got, err)
		r.PutTrail([]TrailEvent{want[2]}) // the same event again is told of twice if it was put twice
		if got, err := r.Lookup("nobody"); err != nil || len(got) != 0 {
			t.Errorf("%v, %v", got, err)
		}
		if got, err := r.Lookup(""); err != nil || len(got) != 0 {
			t.Errorf("no id: %v, %v", got, err)
		}
		long := TrailEvent{ID: strings.Repeat("é", 300), At: at, Kind: strings.Repeat("k", 100), Detail: strings.Repeat("d", 1000)}
		r.PutTrail([]TrailEvent{long})
		r.flushed()
		got, err = r.Lookup(long.ID)
		if err != nil || len(got) != 1 || len(got[0].ID) != 254 || len(got[0].Kind) != maxTrailKind || len(got[0].Detail) != maxTrailDetail {
			t.Errorf("%v, %v", got, err)
		}
	})
}

// An event is found under either id of its message, in memory and on the disk, by
// the daemon and in its file.
func TestTrailOfTwoIDs(t *testing.T) {
	engines(t, func(t *testing.T, path string) {
		s := mustOpen(t, path, Options{})
		r := start(t, s)
		at := time.UnixMilli(time.Now().UnixMilli())
		all := []TrailEvent{
			{ID: "m-1", At: at, Kind: "read"}, // has no Call-ID yet
			{ID: "m-2", Other: "b@example.net", At: at.Add(time.Millisecond), Kind: "sent"},
			{ID: "m-1", Other: "a@example.net", At: at.Add(2 * time.Millisecond), Kind: "sent"},
			{ID: "m-1", Other: "a@example.net", At: at.Add(3 * time.Millisecond), Kind: "answered", Detail: "200"},
			{Other: "c@example.net", At: at.Add(4 * time.Millisecond), Kind: "refused"},
			{ID: "m-1", Other: "d@example.net", At: at.Add(5 * time.Millisecond), Kind: "sent"}, // somebody else's m-1
		}
		r.PutTrail(all)
		check := func(when string, lookup func(string) ([]TrailEvent, error)) {
			t.Helper()
			for id, want := range map[string][]TrailEvent{
				"m-1":           {all[0], all[2], all[3], all[5]},
				"a@example.net": {all[2], all[3]},
				"m-2":           {all[1]},
				"b@example.net": {all[1]},
				"c@example.net": {all[4]},
				"":              nil,
			} {
				if got, err := lookup(id); err != nil || !slices.Equal(got, want) {
					t.Errorf("%s, %q: %v, %v", when, id, got, err)
				}
			}
		}
		check("in memory", r.Lookup)
		r.flushed()
		check("on disk", r.Lookup)
		for _, n := range []int{0, 1, 4, 6, 100} {
			if got, err := r.NewestTrail(n); err != nil || !slices.Equal(got, all[max(len(all)-n, 0):]) {
				t.Errorf("the newest %d: %v, %v", n, got, err)
			}
		}
		if path == "" {
			return
		}
		if err := errors.Join(r.stop(), s.Close()); err != nil {
			t.Fatal(err)
		}
		ro, err := OpenReadOnly(path)
		if err != nil {
			t.Fatal(err)
		}
		defer ro.Close()
		check("in the file", ro.Lookup)
	})
}

// Events in a row of one message cost their ids once.
func TestTrailIsCompact(t *testing.T) {
	one := TrailEvent{ID: strings.Repeat("i", 100), Other: strings.Repeat("o", 100), At: time.UnixMilli(1), Kind: "sent"}
	first := len(packTrail([]TrailEvent{one}))
	ten := slices.Repeat([]TrailEvent{one}, 10)
	if n := len(packTrail(ten)) - first; n > 9*len("12345sent") {
		t.Errorf("%d bytes for 9 further events", n)
	}
	if n, want := len(trailFilter(ten)), len(trailFilter(ten[:1])); n != want {
		t.Errorf("a filter of %d bytes, want %d", n, want)
	}
}

// Of an id that is no text nothing is left when it is cut: then there is no event, rather than
// one that no filter is made for and the table does not take.
func TestTrailOfNoText(t *testing.T) {
	r := start(t, mustOpen(t, filepath.Join(t.TempDir(), "stox.db"), Options{}))
	r.PutTrail([]TrailEvent{{ID: strings.Repeat("\xff", maxTrailID+1), At: time.Now(), Kind: "sent"}})
	if st := r.State(); st.Unflushed != 0 {
		t.Errorf("%d events wait", st.Unflushed)
	}
	r.PutTrail([]TrailEvent{{ID: "a", At: time.Now(), Kind: "sent"}})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// The trail is written in big batches, so that a search reads few of them.
func TestTrailWaitsASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := openFlaky(t, Options{})
		r := start(t, s)
		synctest.Wait()
		s.PutTrail([]TrailEvent{{ID: "a", At: time.Now(), Kind: "read"}})
		mustAppend(t, s, entry(1, "x"))
		time.Sleep(trailDelay - time.Millisecond)
		synctest.Wait()
		if _, _, n := f.count(); n != 0 {
			t.Error("written before its second was over")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if _, _, n := f.count(); n != 1 {
			t.Error("not written after a second")
		}
		s.PutTrail(slices.Repeat([]TrailEvent{{ID: "a", At: time.Now(), Kind: "read"}}, trailCount))
		synctest.Wait()
		if _, _, n := f.count(); n != 1+trailCount {
			t.Error("a full batch waits")
		}
		_ = r.stop()
	})
}

func TestTrailExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := openFlaky(t, Options{TrailFor: time.Hour})
		r := start(t, s)
		s.PutTrail([]TrailEvent{{ID: "old", At: time.Now(), Kind: "read"}})
		time.Sleep(30 * time.Minute)
		s.PutTrail([]TrailEvent{{ID: "young", At: time.Now(), Kind: "read"}})
		time.Sleep(32 * time.Minute)
		for id, want := range map[string]int{"old": 0, "young": 1} {
			if got, err := s.Lookup(id); err != nil || len(got) != want {
				t.Errorf("%s: %v, %v", id, got, err)
			}
		}
		s.SetLimits(1, time.Minute)
		s.PutTrail([]TrailEvent{{ID: "later", At: time.Now(), Kind: "read"}})
		time.Sleep(2 * time.Second)
		if got, _ := s.Lookup("young"); len(got) != 0 {
			t.Errorf("a shorter time has no effect: %v", got)
		}
		_ = r.stop()
	})
}

// On the disk, too: by age, and beyond the bound in bytes the oldest go, a part at a time.
func TestTablesExpire(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	o := Options{}
	o.setDefaults()
	b, err := openSQLite(path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	at := time.UnixMilli(1_800_000_000_000)
	for i := range 100 {
		var w work
		var events []TrailEvent
		for j := range 100 {
			now := at.Add(time.Duration(i) * time.Minute)
			events = append(events, TrailEvent{ID: fmt.Sprintf("%02d/%02d", i, j), At: now, Kind: "read"})
			w.seen = append(w.seen, Seen{Outcome: uint16(i), At: now})
		}
		w.trail = []*trailBatch{trailOf(events)}
		if err := b.commit(&w); err != nil {
			t.Fatal(err)
		}
	}
	oldest := func() (trail, seen int) {
		t.Helper()
		for i := range 100 {
			if ev, err := b.lookup(fmt.Sprintf("%02d/00", i), 0); err != nil {
				t.Fatal(err)
			} else if len(ev) > 0 {
				trail = i
				break
			}
		}
		first := true
		if _, err := b.loadSeen(func(v []Seen) error {
			if first {
				seen, first = int(v[0].Outcome), false
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return trail, seen
	}
	forEver := at.Add(-time.Hour)
	for _, c := range []struct {
		x           expiry
		trail, seen int
	}{
		{expiry{seenBefore: forEver, trailBefore: forEver, maxSeen: 10000, maxTrailBytes: 1 << 30}, 0, 0},
		{expiry{seenBefore: at.Add(10 * time.Minute), trailBefore: at.Add(20 * time.Minute), maxSeen: 10000, maxTrailBytes: 1 << 30}, 20, 10},
		{expiry{seenBefore: forEver, trailBefore: forEver, maxSeen: 1000, maxTrailBytes: b.trail / 4}, 75, 90},
	} {
		if err := b.commit(&work{expire: &c.x}); err != nil {
			t.Fatal(err)
		}
		if trail, seen := oldest(); trail != c.trail || seen != c.seen {
			t.Errorf("%+v: oldest %d and %d, want %d and %d", c.x, trail, seen, c.trail, c.seen)
		}
	}
	// The totals are those of the file.
	trail, seen := b.trail, b.seen
	if err := b.count(); err != nil || b.trail != trail || b.seen != seen {
		t.Errorf("%d and %d bytes, the file has %d and %d (%v)", trail, seen, b.trail, b.seen, err)
	}
	gone, err := b.expireTable("trail", &b.trail, 0, 0, 1)
	if err != nil || gone == 0 || b.trail != trail-gone {
		t.Errorf("one part: %d of %d, %v", gone, trail, err)
	}
}

func TestSeen(t *testing.T) {
	engines(t, func(t *testing.T, path string) {
		s := mustOpen(t, path, Options{})
		r := start(t, s)
		now := time.UnixMilli(time.Now().UnixMilli())
		var want []Seen
		for i := range 1000 {
			want = append(want, Seen{Key: [16]byte{byte(i), byte(i >> 8)}, Outcome: uint16(i), At: now})
		}
		r.PutSeen(append([]Seen{{Outcome: 1, At: now.Add(-11 * time.Minute)}}, want...))
		r.flushed()
		read := func(s *Store) {
			t.Helper()
			var got []Seen
			if _, err := s.LoadSeen(func(b []Seen) error { got = append(got, b...); return nil }); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d outcomes, want %d", len(got), len(want))
			}
			stop := errors.New("stop")
			if _, err := s.LoadSeen(func([]Seen) error { return stop }); !errors.Is(err, stop) {
				t.Errorf("LoadSeen: %v", err)
			}
		}
		read(s)
		if path == "" {
			return
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		s.Close()
		s = mustOpen(t, path, Options{})
		defer s.Close()
		read(s)
	})
}

// The filter spares most batches.
func TestFilter(t *testing.T) {
	var batch []TrailEvent
	for i := range 1000 {
		batch = append(batch, TrailEvent{ID: fmt.Sprintf("m-%d", i), Other: fmt.Sprintf("call-%d@example.net", i)})
	}
	f := trailFilter(batch)
	passed := 0
	for i := range 10000 {
		if mayHold(f, fmt.Sprintf("%d-stanza", i)) {
			passed++
		}
	}
	if passed > 100 {
		t.Errorf("%d of 10000 foreign ids pass", passed)
	}
}

// Of an id that has more events than there is room for, nothing is read but what shows
// that, neither from memory nor from the disk.
func TestLookupFew(t *testing.T) {
	engines(t, func(t *testing.T, path string) {
		r := start(t, mustOpen(t, path, Options{}))
		at := time.UnixMilli(time.Now().UnixMilli())
		const most = 10
		check := func(when string, want int) {
			t.Helper()
			if got, err := r.LookupFew("call", most); err != nil || len(got) != want {
				t.Errorf("%s: %d events, want %d: %v", when, len(got), want, err)
			}
		}
		put := func(n int) {
			for range n {
				at = at.Add(time.Millisecond)
				r.PutTrail([]TrailEvent{{ID: at.String(), Other: "call", At: at, Kind: "sent"}})
			}
		}
		put(most)
		check("in memory", most)
		put(1)
		check("in memory", 0)
		r.flushed()
		check("on the disk", 0)
		if got, err := r.Lookup("call"); err != nil || len(got) != most+1 {
			t.Errorf("Lookup: %d events, %v", len(got), err)
		}
	})
}
