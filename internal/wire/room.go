package wire

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// What may wait to be shown: a burst, and no more than a trace is worth.
const (
	maxWaiting = 8192     // packets
	maxBytes   = 16 << 20 // of them
)

// lossEvery is how often it is logged that packets are missing.
const lossEvery = 10 * time.Second

// Room takes copies of packets and shows them. Make it with New, and run it.
type Room struct {
	log   *slog.Logger
	names Directory

	now     atomic.Pointer[setting] // nil: nothing is shown
	mu      sync.Mutex              // serialises what changes now
	changed chan struct{}           // capacity 1: now is another one

	waiting chan *packet // pointers, since the room for them is there even if nobody ever looks
	bytes   atomic.Int64 // of waiting

	logged, copied, dropped atomic.Uint64
}

// packet is a copy of what was read or written.
type packet struct {
	at        time.Time
	in        bool
	side      string // sip, xmpp
	transport string
	local     netip.AddrPort // sip
	remote    netip.AddrPort
	component string // xmpp
	data      []byte
}

// New makes a Room that shows nothing.
func New(names Directory, log *slog.Logger) *Room {
	return &Room{log: log, names: names, changed: make(chan struct{}, 1), waiting: make(chan *packet, maxWaiting)}
}

// SIP is where the SIP side shows its packets.
func (r *Room) SIP() *SIPTap { return &SIPTap{r} }

// SIPTap is the Room as the SIP side knows it.
type SIPTap struct{ r *Room }

// On reports whether anybody looks.
func (t *SIPTap) On() bool {
	s := t.r.now.Load()
	return s.logs() || s.copies()
}

// Packet takes one. It keeps a copy of data, or drops it if there is no room; it never blocks.
func (t *SIPTap) Packet(in bool, transport string, local, remote netip.AddrPort, data []byte) {
	t.r.take(&packet{at: time.Now(), in: in, side: "sip", transport: transport, local: local, remote: remote}, data)
}

// XMPP is where the links of the XMPP side show what goes over them.
func (r *Room) XMPP() *XMPPTap { return &XMPPTap{r} }

// XMPPTap is the Room as the XMPP side knows it.
type XMPPTap struct{ r *Room }

// On reports whether anybody looks.
func (t *XMPPTap) On() bool { return t.r.now.Load().logs() }

// Stanzas takes what was read or is being written in one go: whole children of the stream, or the
// beginning or end of that. It keeps a copy of data, or drops it if there is no room; it never blocks.
func (t *XMPPTap) Stanzas(in bool, component string, remote netip.AddrPort, data []byte) {
	t.r.take(&packet{at: time.Now(), in: in, side: "xmpp", component: component, remote: remote}, data)
}

func (r *Room) take(p *packet, data []byte) {
	size := int64(len(data))
	if r.bytes.Add(size) > maxBytes {
		r.bytes.Add(-size)
		r.dropped.Add(1)
		return
	}
	p.data = bytes.Clone(data)
	select {
	case r.waiting <- p:
	default:
		r.bytes.Add(-size)
		r.dropped.Add(1)
	}
}

func (r *Room) wake() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// Run shows what is taken until ctx is done, and then what was taken until then. Whoever takes
// part in the stop is seen if Run is stopped after him.
func (r *Room) Run(ctx context.Context) error {
	copier := newCopier(r)
	defer copier.close()
	end := time.NewTimer(time.Hour)
	defer end.Stop()
	loss := time.NewTicker(lossEvery)
	defer loss.Stop()
	var told uint64
	for {
		select {
		case p := <-r.waiting:
			r.handle(copier, p)
		case <-r.changed:
			if s := r.now.Load(); s != nil && len(s.targets) > 0 {
				end.Reset(time.Until(s.until))
			}
		case <-end.C:
			r.expire()
		case <-loss.C:
			if n := r.dropped.Load(); n > told {
				r.log.Warn("packets are missing in the trace", "packets", n-told, "remedy", "trace fewer addresses, or look at what the log or log.hep cannot take")
				told = n
			}
		case <-ctx.Done():
			for {
				select {
				case p := <-r.waiting:
					r.handle(copier, p)
				default:
					return nil
				}
			}
		}
	}
}

// handle shows one packet. Whatever is in it, it costs no more than that packet.
func (r *Room) handle(c *copier, p *packet) {
	r.bytes.Add(-int64(len(p.data)))
	defer func() {
		if v := recover(); v != nil {
			r.dropped.Add(1)
			r.log.Error("a packet could not be shown for a fault of stox", "side", p.side, "err", fmt.Sprintf("%T", v), "remedy", "please report it")
		}
	}()
	s := r.now.Load()
	if s == nil {
		return
	}
	if p.side == "sip" {
		r.handleSIP(c, s, p)
		return
	}
	for _, one := range stanzas(p.data) {
		mode := s.modeFor(p.at, func() party { return r.names.ofStanza(p.remote, &one) })
		if mode != Off {
			r.logStanza(p, &one, mode)
		}
	}
}

func (r *Room) handleSIP(c *copier, s *setting, p *packet) {
	seen, ok := readSIP(p.data, s.Texts)
	if s.copies() && ok {
		c.copy(s, p, &seen)
	}
	if !s.logs() {
		return
	}
	mode := s.modeFor(p.at, func() party { return r.names.ofSIP(p.remote, &seen) })
	if mode == Off {
		return
	}
	if texts := mode == Full; texts != s.Texts {
		seen, ok = readSIP(p.data, texts)
	}
	r.logSIP(p, &seen, ok, mode)
}
