package store

import (
	"encoding/binary"
	"time"
)

// Seen is the outcome of a request, for its repeats.
type Seen struct {
	Key     [16]byte
	Outcome uint16
	At      time.Time // kept in milliseconds
}

// PutSeen keeps outcomes. They are written in packed batches, at 1024 or after
// 40 ms, without a report; after SeenFor, or beyond MaxSeen, they go. During a
// fault at most MaxSeen wait, the oldest are dropped.
func (s *Store) PutSeen(batch []Seen) {
	s.putSide(len(batch), func() { s.seen = append(s.seen, batch...) })
}

// LoadSeen calls f with the outcomes on the disk that are not older than SeenFor,
// in batches, the oldest first. Of several with the same key the last one counts.
// The slice is valid only during the call. A batch that cannot be read is passed
// over, and counted: it goes by itself when it is as old as the others.
func (s *Store) LoadSeen(f func([]Seen) error) (unreadable int, err error) {
	s.mu.Lock()
	since := time.Now().Add(-s.o.SeenFor)
	s.mu.Unlock()
	return s.b.loadSeen(func(batch []Seen) error {
		live := batch[:0]
		for _, v := range batch {
			if !v.At.Before(since) {
				live = append(live, v)
			}
		}
		if len(live) == 0 {
			return nil
		}
		return f(live)
	})
}

// A batch of outcomes is one blob: a version byte, then for each the key, the
// outcome (2 bytes) and milliseconds since 1970 (8 bytes), big-endian.
const (
	seenVersion = 1
	seenSize    = 16 + 2 + 8
)

func packSeen(batch []Seen) []byte {
	b := make([]byte, 0, 1+len(batch)*seenSize)
	b = append(b, seenVersion)
	for i := range batch {
		b = append(b, batch[i].Key[:]...)
		b = binary.BigEndian.AppendUint16(b, batch[i].Outcome)
		b = binary.BigEndian.AppendUint64(b, uint64(millis(batch[i].At)))
	}
	return b
}

func unpackSeen(b []byte) ([]Seen, error) {
	if len(b) == 0 || b[0] != seenVersion || (len(b)-1)%seenSize != 0 {
		return nil, errRow
	}
	out := make([]Seen, 0, len(b)/seenSize)
	for b = b[1:]; len(b) > 0; b = b[seenSize:] {
		v := Seen{
			Outcome: binary.BigEndian.Uint16(b[16:]),
			At:      fromMillis(int64(binary.BigEndian.Uint64(b[18:]))),
		}
		copy(v.Key[:], b)
		out = append(out, v)
	}
	return out, nil
}
