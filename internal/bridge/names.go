package bridge

import (
	"hash/maphash"
	"math/bits"
	"time"
)

// maxNames is how many names a generation has.
const maxNames = 1 << 13

// names are the names under which messages have left of which nobody is to be told
// anything: a notification that has one of them is for nobody, or nobody knows for whom.
// Since there is one for every message they are kept as keyed hashes only, eight octets
// each, in two generations as in recent: a quarter of a megabyte in all. The zero value is empty.
type names struct {
	seed       maphash.Seed
	young, old []uint64 // open-addressed, half full at most; 0 is free
	n          int      // in young
	turned     time.Time
}

// hash of a name, which is not 0.
func (s *names) hash(k wishKey) uint64 {
	const odd = 0x9e3779b97f4a7c15 // of three texts the order counts
	h := maphash.String(s.seed, k.user.String())
	h = h*odd + maphash.String(s.seed, k.contact.String())
	return max(h*odd+maphash.String(s.seed, k.name), 1)
}

func (s *names) has(k wishKey) bool {
	if len(s.young)+len(s.old) == 0 {
		return false
	}
	h := s.hash(k)
	return holds(s.young, h) || holds(s.old, h)
}

func (s *names) add(k wishKey, now time.Time) {
	switch age := now.Sub(s.turned); {
	case s.young == nil:
		s.seed, s.young, s.turned = maphash.MakeSeed(), make([]uint64, 64), now
	case age >= 2*recentFor:
		s.young, s.old, s.n, s.turned = make([]uint64, 64), nil, 0, now
	case age >= recentFor || s.n >= maxNames:
		young := s.old // as big as it will get, or else it is old
		if clear(young); len(young) < len(s.young) {
			young = make([]uint64, len(s.young))
		}
		s.young, s.old, s.n, s.turned = young, s.young, 0, now
	}
	if 2*s.n >= len(s.young) {
		grown := make([]uint64, 4*len(s.young))
		for _, h := range s.young {
			if h != 0 {
				*slotOf(grown, h) = h
			}
		}
		s.young = grown
	}
	h := s.hash(k)
	if at := slotOf(s.young, h); *at == 0 {
		*at = h
		s.n++
	}
}

func holds(slots []uint64, h uint64) bool { return len(slots) > 0 && *slotOf(slots, h) == h }

// slotOf is where h is, or the free slot where it belongs.
func slotOf(slots []uint64, h uint64) *uint64 {
	i, _ := bits.Mul64(h, uint64(len(slots)))
	for slots[i] != 0 && slots[i] != h {
		if i++; i == uint64(len(slots)) {
			i = 0
		}
	}
	return &slots[i]
}
