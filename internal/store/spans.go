package store

// span is a range of ids, both ends included.
type span struct{ lo, hi uint64 }

// maxGap is how many ids a span may cross that are not to be deleted because they
// are not there: ids of rows that were never written.
const maxGap = 64

// spans covers the sorted ids with as few ranges as the rows in between allow;
// lives says whether a row that must stay has this id.
func spans(ids []uint64, lives func(uint64) bool) []span {
	var out []span
	for _, id := range ids {
		if n := len(out); n > 0 && bridges(out[n-1].hi, id, lives) {
			out[n-1].hi = id
			continue
		}
		out = append(out, span{id, id})
	}
	return out
}

func bridges(from, to uint64, lives func(uint64) bool) bool {
	if to-from > maxGap {
		return false
	}
	for id := from + 1; id < to; id++ {
		if lives(id) {
			return false
		}
	}
	return true
}
