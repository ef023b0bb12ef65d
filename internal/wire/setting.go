package wire

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Mode says what is shown of packets.
type Mode string

// The values of log.wire.
const (
	Off     Mode = "off"
	Headers Mode = "headers" // without the texts of users
	Full    Mode = "full"
)

// Settings are what the configuration says of traces. The zero value shows nothing.
type Settings struct {
	Wire  Mode   // of all packets, in the log; "" is Off
	HEP   string // host:port that SIP packets are copied to; "" and "off" are nowhere
	Texts bool   // what is copied there has the texts of users
}

// What Watch accepts.
const (
	MaxTargets = 32
	MaxTime    = 24 * time.Hour
	DefTime    = 10 * time.Minute
)

// Watch says whose packets are to be logged besides those of Settings, and for how long.
type Watch struct {
	Targets []string // JIDs, SIP URIs, IP addresses and networks, domains; or Everybody
	Mode    Mode     // Headers or Full
	For     time.Duration
}

// Status is what is shown at this moment, and what was.
type Status struct {
	Settings
	Watch Watch     // of which For is what was asked for; without Targets there is none
	Until time.Time // when it ends
	Stats
}

// Stats are numbers since New.
type Stats struct {
	Logged  uint64 // packets that were logged
	Copied  uint64 // that were sent to the capture server
	Dropped uint64 // that there was no room for, or that could not be sent there
}

// setting is what is in force: a value that is never changed.
type setting struct {
	Settings
	watch   Watch
	targets []target
	until   time.Time
}

// logs reports whether any packet is logged.
func (s *setting) logs() bool { return s != nil && (s.Wire != Off || len(s.targets) > 0) }

// copies reports whether SIP packets are copied.
func (s *setting) copies() bool { return s != nil && s.HEP != "" }

// modeFor is what of a packet that was seen at that time is logged.
func (s *setting) modeFor(at time.Time, who func() party) Mode {
	if s.Wire == Full || len(s.targets) == 0 || !at.Before(s.until) || s.Wire == s.watch.Mode {
		return s.Wire
	}
	p := who()
	if slices.ContainsFunc(s.targets, func(t target) bool { return t.matches(&p) }) {
		return s.watch.Mode
	}
	return s.Wire
}

// Change has the Room go by what the configuration says now. It may be called at any time.
func (r *Room) Change(c Settings) {
	if c.Wire == "" {
		c.Wire = Off
	}
	if c.HEP == "off" {
		c.HEP = ""
	}
	r.update(func(s *setting) { s.Settings = c })
}

// Watch shows the packets of somebody for a while, instead of those of an earlier Watch. Errors
// are about w, and say what is wrong with it.
func (r *Room) Watch(w Watch) error {
	if len(w.Targets) == 0 {
		return errors.New("say whose packets: an address, a domain, or \"*\" for all")
	}
	if len(w.Targets) > MaxTargets {
		return fmt.Errorf("these are more than %d addresses", MaxTargets)
	}
	if w.Mode != Headers && w.Mode != Full {
		return fmt.Errorf("%q is neither headers nor full", w.Mode)
	}
	if w.For == 0 {
		w.For = DefTime
	}
	if w.For < 0 || w.For > MaxTime {
		return fmt.Errorf("the time has to be between 0 and %v", MaxTime)
	}
	w.Targets = slices.Clone(w.Targets)
	var targets []target
	for _, text := range w.Targets {
		t, err := parseTarget(text)
		if err != nil {
			return err
		}
		targets = append(targets, t)
	}
	r.update(func(s *setting) { s.watch, s.targets, s.until = w, targets, time.Now().Add(w.For) })
	r.log.Info("packets are logged", "of", w.Targets, "what", string(w.Mode), "for", w.For)
	return nil
}

// Unwatch ends what Watch has begun, and reports whether there was something.
func (r *Room) Unwatch() bool {
	was := false
	r.update(func(s *setting) { was = len(s.targets) > 0; s.unwatch() })
	if was {
		r.log.Info("packets are not logged any more", "reason", "switched off")
	}
	return was
}

func (s *setting) unwatch() { s.watch, s.targets, s.until = Watch{}, nil, time.Time{} }

// expire ends a watch whose time is over.
func (r *Room) expire() {
	over := false
	r.update(func(s *setting) {
		if over = len(s.targets) > 0 && !time.Now().Before(s.until); over {
			s.unwatch()
		}
	})
	if over {
		r.log.Info("packets are not logged any more", "reason", "the time is over")
	}
}

// update puts another value in force, and tells Run.
func (r *Room) update(change func(*setting)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := setting{Settings: Settings{Wire: Off}}
	if now := r.now.Load(); now != nil {
		next = *now
	}
	change(&next)
	r.now.Store(&next)
	r.wake()
}

// Status is what is shown now.
func (r *Room) Status() Status {
	out := Status{Settings: Settings{Wire: Off}, Stats: r.Stats()}
	if s := r.now.Load(); s != nil {
		out.Settings = s.Settings
		if time.Now().Before(s.until) {
			out.Watch, out.Until = s.watch, s.until
		}
	}
	return out
}

// Stats are the numbers alone.
func (r *Room) Stats() Stats {
	return Stats{Logged: r.logged.Load(), Copied: r.copied.Load(), Dropped: r.dropped.Load()}
}
