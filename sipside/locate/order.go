package locate

import (
	"cmp"
	"slices"
	"time"
)

// orderFor is how long the order of a set of records is kept, however short its TTL is.
const orderFor = 2 * time.Minute

// byWeight brings the records, which are sorted by priority, into the order in which
// they are to be tried (RFC 2782): within a priority the chance to be the next one is
// proportional to the weight, and those of weight 0 have a small one. intn gives a
// random number below n.
func byWeight(list []srvRecord, intn func(n int) int) {
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].priority == list[0].priority {
			n++
		}
		group := list[:n]
		// Weight 0 first, so that a draw of 0 is theirs.
		slices.SortStableFunc(group, func(a, b srvRecord) int { return cmp.Compare(min(a.weight, 1), min(b.weight, 1)) })
		for len(group) > 1 {
			sum := 0
			for _, s := range group {
				sum += int(s.weight)
			}
			at, draw := 0, intn(sum+1)
			for running := int(group[0].weight); running < draw; running += int(group[at].weight) {
				at++
			}
			chosen := group[at]
			copy(group[1:at+1], group[:at])
			group[0] = chosen
			group = group[1:]
		}
		list = list[n:]
	}
}

// arrange orders new records: as the old ones, while those are young and none is new.
// It returns when the order was drawn.
func (r *records) arrange(old *records, drawn, now time.Time, intn func(int) int) time.Time {
	keep := old != nil && now.Sub(drawn) < orderFor
	if keep && len(r.addrs) > 0 && len(old.addrs) > 0 {
		keepOrder(r.addrs, old.addrs)
		return drawn
	}
	if keep && len(r.srv) > 0 && allKnown(r.srv, old.srv) {
		place := func(s srvRecord) int { return slices.IndexFunc(old.srv, s.same) }
		slices.SortFunc(r.srv, func(a, b srvRecord) int { return cmp.Compare(place(a), place(b)) })
		return drawn
	}
	byWeight(r.srv, intn)
	return now
}

// allKnown reports whether each of the new records was among the old ones: what has gone
// leaves the order of the rest as it is.
func allKnown(list, old []srvRecord) bool {
	for _, s := range list {
		if !slices.ContainsFunc(old, s.same) {
			return false
		}
	}
	return true
}
