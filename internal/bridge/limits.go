package bridge

// Limits of what may wait and of what may be under way. Zero values are replaced
// by the defaults.
type Limits struct {
	FIFO   int // waiting messages of one sender to one destination (64)
	Lane   int // waiting messages to one destination (1024)
	Total  int // waiting messages in memory (16384)
	Stored int // waiting messages that are in the store only (1,000,000)
	Open   int // messages under way, one to a destination (4096, as the SIP side has)
	Bytes  int // octets of all that are in memory (64 MiB)

	Alone bool // there is one user domain only
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		v   *int
		def int
	}{{&l.FIFO, 64}, {&l.Lane, 1024}, {&l.Total, 16384}, {&l.Stored, 1_000_000}, {&l.Open, 4096}, {&l.Bytes, 64 << 20}} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	return l
}

// share is what one user domain may hold: a quarter of the requests that are pending
// (SEC-30), and half of what waits, so that there is always room for others; all of
// it if there are no others.
func (l Limits) share() Limits {
	l.Open = max(l.Open/4, 1)
	if !l.Alone {
		for _, v := range []*int{&l.Total, &l.Stored, &l.Bytes} {
			*v = max(*v/2, 1)
		}
	}
	return l
}

// held is what is held by all, or by the users of one domain.
type held struct {
	waiting int // messages in FIFOs, in memory
	stored  int // messages in FIFOs, in the store only
	open    int // slots
	bytes   int
}

func (h *held) add(d held) {
	h.waiting += d.waiting
	h.stored += d.stored
	h.open += d.open
	h.bytes += d.bytes
}

// room reports whether d may be added. Only what grows is asked for: a message that
// comes back from its slot may have taken one of the counts beyond its limit, which
// must not keep anything from leaving.
func (h held) room(l Limits, d held) bool {
	return (d.waiting <= 0 || h.waiting+d.waiting <= l.Total) &&
		(d.waiting+d.stored <= 0 || h.stored+d.waiting+d.stored <= l.Stored) &&
		(d.open <= 0 || h.open+d.open <= l.Open) &&
		(d.bytes <= 0 || h.bytes+d.bytes <= l.Bytes)
}

// domains is what is held by the users of each domain. Nearly all messages are of one of
// them: what is held by that which was asked for last is at hand.
type domains struct {
	last string
	held // by those of last; all has something older for it, if anything
	all  map[string]held
}

// of is what is held by the users of a domain, until the next call.
func (d *domains) of(domain string) *held {
	if domain != d.last {
		d.settle()
		d.last, d.held = domain, d.all[domain]
	}
	return &d.held
}

// settle puts what is at hand where the others are.
func (d *domains) settle() {
	if d.held == (held{}) {
		delete(d.all, d.last)
	} else {
		d.all[d.last] = d.held
	}
}
