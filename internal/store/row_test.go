package store

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

func FuzzRow(f *testing.F) {
	e := entry(1, "text")
	f.Add(appendRow(nil, &e))
	f.Add(appendRow(nil, &Entry{}))
	f.Add([]byte{1, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseRow(7, b)
		if err != nil {
			return
		}
		again, err := parseRow(7, appendRow(nil, &e))
		if err != nil || again.ID != 7 || again.Lane != e.Lane || !bytes.Equal(again.Data, e.Data) ||
			!again.Read.Equal(e.Read) || !again.Expire.Equal(e.Expire) {
			t.Errorf("%+v became %+v, %v", e, again, err)
		}
	})
}

func FuzzSeen(f *testing.F) {
	f.Add(packSeen([]Seen{{Key: [16]byte{1, 2}, Outcome: 404, At: time.UnixMilli(1)}, {}}))
	f.Add([]byte{1, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := unpackSeen(b)
		if err != nil {
			return
		}
		if again := packSeen(v); !bytes.Equal(again, b) {
			t.Errorf("%x became %x", b, again)
		}
	})
}

func FuzzTrail(f *testing.F) {
	f.Add(packTrail([]TrailEvent{
		{ID: "a", At: time.UnixMilli(5), Kind: "read", Detail: "x"},
		{ID: "a", Other: "1@example.net", At: time.UnixMilli(3), Kind: "sent"},
		{ID: "a", Other: "1@example.net", At: time.UnixMilli(4), Kind: "answered", Detail: "200"},
		{ID: "b", At: time.UnixMilli(9), Kind: "read"},
		{Other: "2@example.net", At: time.UnixMilli(9), Kind: "refused"},
	}))
	f.Add([]byte{1, 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		var all []TrailEvent
		if err := unpackTrail(b, func(e TrailEvent) { all = append(all, e) }); err != nil {
			return
		}
		var again []TrailEvent
		if err := unpackTrail(packTrail(all), func(e TrailEvent) { again = append(again, e) }); err != nil || !slices.Equal(all, again) {
			t.Errorf("%v became %v, %v", all, again, err)
		}
		filter := trailFilter(all)
		for _, e := range all {
			for _, id := range []string{e.ID, e.Other} {
				if id != "" && !mayHold(filter, id) {
					t.Errorf("the filter hides %q", id)
				}
			}
		}
	})
}

func TestRowsOfOtherVersions(t *testing.T) {
	for _, b := range [][]byte{nil, {}, {0}, {2, 0, 0, 0}, {rowVersion}, {rowVersion, 0, 0, 5, 'x'}} {
		if _, err := parseRow(1, b); err == nil {
			t.Errorf("%x was read", b)
		}
	}
}

func trailOf(events []TrailEvent) *trailBatch {
	t := &trailBatch{}
	for i := range events {
		t.add(&events[i])
	}
	return t
}

func packTrail(events []TrailEvent) []byte {
	if len(events) == 0 {
		return []byte{trailVersion}
	}
	return trailOf(events).data
}

func trailFilter(events []TrailEvent) []byte { return trailOf(events).filter(nil) }
