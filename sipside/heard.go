package sipside

import (
	"net/netip"
	"time"
)

// heard are places that datagrams have lately come from: not all of them, but any that most
// come from.
type heard [16]struct {
	from netip.AddrPort
	at   time.Time
}

// heardFor is how long it counts. Whoever is written to all the time answers all the time.
const heardFor = time.Second

// note is told what was read at once.
func (h *heard) note(packets []packet, now time.Time) {
	var last netip.AddrPort
	for i := range packets {
		if from := packets[i].to; from != last {
			e := &h[heardAt(from)]
			e.from, e.at = from, now
			last = from
		}
	}
}

func (h *heard) lately(from netip.AddrPort, now time.Time) bool {
	e := &h[heardAt(from)]
	return e.from == from && now.Sub(e.at) < heardFor
}

func heardAt(from netip.AddrPort) int {
	ip := from.Addr().As16()
	return int(ip[15]^ip[14]^byte(from.Port())^byte(from.Port()>>8)) % len(heard{})
}
