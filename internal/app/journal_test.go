package app

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/store"
)

// What goes to the store arrives whole, whoever else uses the same slices at that moment.
func TestJournalHandsOnWhatItGot(t *testing.T) {
	s, err := store.Open("", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	j := &journal{store: s}
	at := time.UnixMilli(1_800_000_000_000)
	row := func(id uint64) bridge.Row {
		return bridge.Row{ID: id, Lane: "sip:romeo@example.net", Data: []byte{byte(id), byte(id >> 8)}, Read: at, Expire: at.Add(time.Hour)}
	}
	event := func(id uint64) bridge.Event {
		return bridge.Event{ID: string(rune('a' + id)), Other: "call", At: at.Add(time.Duration(id) * time.Second), Kind: "sent", Detail: "x"}
	}
	const writers, each = 4, 50
	var all sync.WaitGroup
	for w := range uint64(writers) {
		all.Go(func() {
			for i := range uint64(each) {
				id := w*each + i + 1
				if n, err := j.Append([]bridge.Row{row(id), row(1000 + id)}); n != 2 || err != nil {
					t.Error(n, err)
				}
				if n, err := j.Update([]bridge.Row{row(id)}); n != 1 || err != nil {
					t.Error(n, err)
				}
				j.PutTrail([]bridge.Event{event(id)})
				j.PutSeen([]bridge.Seen{{Key: [16]byte{byte(id)}, Outcome: uint16(id), At: time.Now()}})
			}
		})
	}
	all.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // commit what is there and return
	if err := s.Run(ctx, store.Events{}); err != nil {
		t.Fatal(err)
	}
	var ids []uint64
	for id := range uint64(writers * each) {
		ids = append(ids, id+1, 1001+id)
	}
	slices.Sort(ids)
	var want []bridge.Row
	for _, id := range ids {
		want = append(want, row(id))
	}
	got, err := j.Get(ids)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	events, err := j.Lookup("call")
	if err != nil || len(events) != writers*each {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for i, e := range events {
		if e != event(uint64(i)+1) {
			t.Errorf("event %d is %+v", i, e)
		}
	}
	outcomes := map[uint16]int{}
	if _, err := s.LoadSeen(func(batch []store.Seen) error {
		for _, v := range batch {
			if v.Key != [16]byte{byte(v.Outcome)} {
				t.Errorf("%+v", v)
			}
			outcomes[v.Outcome]++
		}
		return nil
	}); err != nil || len(outcomes) != writers*each {
		t.Errorf("%d outcomes, %v", len(outcomes), err)
	}
}

// BenchmarkJournal is what the bridge waits for under its lock: 16 rows are appended and
// ended.
func BenchmarkJournal(b *testing.B) {
	s, err := store.Open("", store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	j := &journal{store: s}
	now, data := time.Now(), make([]byte, 250)
	rows, ids := make([]bridge.Row, 16), make([]uint64, 16)
	var id uint64
	b.ReportAllocs()
	for b.Loop() {
		for i := range rows {
			id++
			rows[i], ids[i] = bridge.Row{ID: id, Lane: "sip:romeo@example.net", Data: data, Read: now, Expire: now}, id
		}
		if n, err := j.Append(rows); n < len(rows) {
			b.Fatal(err)
		}
		j.Done(ids)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/16, "ns/msg")
}
