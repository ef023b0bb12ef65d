package store

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// What was dropped from the front of a batch is not written, and the rest is found.
func TestTrailBatchWithoutItsFirst(t *testing.T) {
	at := time.UnixMilli(1_800_000_000_000)
	var events []TrailEvent
	for i := range 20 {
		events = append(events, TrailEvent{ID: fmt.Sprint("m-", i/3), Other: "call", At: at.Add(time.Duration(i) * time.Second), Kind: "sent", Detail: fmt.Sprint(i)})
	}
	o := Options{}
	o.setDefaults()
	for skip := range len(events) {
		b, err := openSQLite(filepath.Join(t.TempDir(), "stox.db"), o)
		if err != nil {
			t.Fatal(err)
		}
		batch := trailOf(events)
		batch.skip = skip
		if got := batch.pick("call", 0); !slices.Equal(got, events[skip:]) {
			t.Errorf("in memory without %d: %v", skip, got)
		}
		if err := b.commit(&work{trail: []*trailBatch{batch}}); err != nil {
			t.Fatal(err)
		}
		if got, err := b.lookup("call", 0); err != nil || !slices.Equal(got, events[skip:]) {
			t.Errorf("on the disk without %d: %v, %v", skip, got, err)
		}
		if got, err := b.lookup("m-0", 0); err != nil || !slices.Equal(got, events[min(skip, 3):3]) {
			t.Errorf("on the disk without %d: %v, %v", skip, got, err)
		}
		if err := b.close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Beyond the bound the oldest go one by one, over the ends of batches.
func TestTrailQueueIsBounded(t *testing.T) {
	var q trailQueue
	at := time.UnixMilli(1_800_000_000_000)
	one := make([]TrailEvent, 1)
	const extra = trailCount + trailCount/2
	for i := range maxTrailWait + extra {
		one[0] = TrailEvent{ID: fmt.Sprint(i), At: at}
		q.put(one)
	}
	if n, dropped := q.state(); n != maxTrailWait || dropped != extra {
		t.Errorf("%d wait, %d dropped", n, dropped)
	}
	for id, want := range map[int]int{0: 0, extra - 1: 0, extra: 1, maxTrailWait + extra - 1: 1} {
		if got := pickFrom(&q, fmt.Sprint(id)); len(got) != want {
			t.Errorf("event %d: %v", id, got)
		}
	}
	taken, _ := q.take(at, true)
	q.put([]TrailEvent{{ID: "later", At: at}})
	q.giveBack(taken, at)
	if n, dropped := q.state(); n != maxTrailWait || dropped != extra+1 {
		t.Errorf("%d wait, %d dropped", n, dropped)
	}
	if got := pickFrom(&q, fmt.Sprint(extra)); len(got) != 0 {
		t.Errorf("the oldest is still there: %v", got)
	}
	if got := pickFrom(&q, "later"); len(got) != 1 {
		t.Errorf("the newest is not there: %v", got)
	}
}

func pickFrom(q *trailQueue, id string) (out []TrailEvent) {
	for _, t := range q.holding(id) {
		out = append(out, t.pick(id, 0)...)
	}
	return out
}

// What is looked at stays as it was, whatever becomes of the batch, and only batches that may
// have the id are looked at.
func TestTrailIsReadWithoutLocks(t *testing.T) {
	var q trailQueue
	at := time.UnixMilli(1_800_000_000_000)
	old := []TrailEvent{{ID: "old", At: at, Kind: "sent", Detail: "first"}, {ID: "old", At: at, Kind: "done"}}
	q.put(old)
	held := q.holding("old")
	if len(held) != 1 || len(q.holding("other")) != 0 {
		t.Fatalf("%d batches", len(held))
	}
	q.put([]TrailEvent{{ID: "old", At: at, Kind: "later"}})
	taken, _ := q.take(at, true)
	q.reuse(taken)
	for range 100 {
		q.put([]TrailEvent{{ID: "new", At: at, Kind: "read"}})
	}
	if q.batches[0] != taken[0] {
		t.Fatal("the batch is not used again")
	}
	if got := held[0].pick("old", 0); !slices.Equal(got, old) {
		t.Errorf("%v", got)
	}
}

// Whoever looks while others write and batches are used again finds whole events, and none is lost.
func TestTrailUnderLoad(t *testing.T) {
	engines(t, func(t *testing.T, path string) {
		r := start(t, mustOpen(t, path, Options{}))
		at := time.UnixMilli(time.Now().UnixMilli())
		const writers, each = 4, 3000
		event := func(w, i int) TrailEvent {
			return TrailEvent{ID: fmt.Sprintf("m-%d-%d", w, i%10), Other: fmt.Sprint("call-", w), At: at.Add(time.Duration(i) * time.Millisecond), Kind: "sent", Detail: fmt.Sprint(i)}
		}
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				for i := 0; i < each; i += 10 {
					var batch []TrailEvent
					for j := range 10 {
						batch = append(batch, event(w, i+j))
					}
					r.PutTrail(batch)
				}
			})
			all.Go(func() {
				for range 20 {
					got, err := r.Lookup(fmt.Sprintf("m-%d-7", w))
					if err != nil {
						t.Error(err)
					}
					for i, e := range got {
						if e != event(w, i*10+7) {
							t.Errorf("event %d is %+v", i, e)
						}
					}
				}
			})
		}
		all.Wait()
		r.flushed()
		for w := range writers {
			if got, err := r.Lookup(fmt.Sprint("call-", w)); err != nil || len(got) != each {
				t.Errorf("%d events, %v", len(got), err)
			}
		}
	})
}
