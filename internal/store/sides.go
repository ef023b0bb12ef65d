package store

// What rides along with the commits of rows: each kind has a list in the queue, which Put
// appends to and a fault may fill.

// putSide has put append what rides along, n of it, to the list of its kind, and bounds what waits.
func (s *Store) putSide(n int, put func()) {
	if n == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	defer s.signalLocked(s.toDo())
	s.sideLocked()
	put()
	s.boundLocked()
}

// boundSideLocked bounds a list of versions, of which the last one of each key counts: if more
// than most wait, it drops those that have a newer one, then the oldest down to half of most.
// Whoever changes his mind again and again does not push out what there is of others.
func boundSideLocked[T any, K comparable](q *queue, list []T, key func(T) K, most int) []T {
	if len(list) <= most {
		return list
	}
	list = newest(list, key)
	n := max(0, len(list)-most/2)
	q.dropped += uint64(n)
	return dropOldest(list, n)
}
