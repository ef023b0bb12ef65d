package wire

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"time"
)

// HEP 3, as Homer and the sipcapture module of Kamailio read it: a datagram is "HEP3", its length,
// and chunks, each with a vendor (0: all know it), a type, its own length and a value.

// The types of chunks.
const (
	hepFamily   = 1  // 2: IPv4, 10: IPv6
	hepProtocol = 2  // of IP: 17 UDP, 6 TCP
	hepSrc4     = 3  //
	hepDst4     = 4  //
	hepSrc6     = 5  //
	hepDst6     = 6  //
	hepSrcPort  = 7  //
	hepDstPort  = 8  //
	hepSeconds  = 9  //
	hepMicros   = 10 //
	hepType     = 11 // of the payload: 1 is SIP
	hepAgent    = 12 // who has captured it
	hepPayload  = 15 //
	hepCallID   = 17 // correlation
)

// captureAgent is our number in chunks of type hepAgent.
const captureAgent = 5060

// maxHEP is the longest datagram.
const maxHEP = 65507

// appendHEP appends a SIP packet that has gone from src to dst.
func appendHEP(b []byte, at time.Time, transport string, src, dst netip.AddrPort, callID string, payload []byte) []byte {
	from := len(b)
	b = append(b, "HEP3\x00\x00"...)
	s, d := src.Addr(), dst.Addr()
	if s.Is4() && d.Is4() {
		b = appendChunk8(b, hepFamily, 2)
	} else {
		b = appendChunk8(b, hepFamily, 10)
	}
	if transport == "udp" {
		b = appendChunk8(b, hepProtocol, 17)
	} else {
		b = appendChunk8(b, hepProtocol, 6)
	}
	if s.Is4() && d.Is4() {
		b = appendChunk(b, hepSrc4, s.AsSlice())
		b = appendChunk(b, hepDst4, d.AsSlice())
	} else {
		s16, d16 := s.As16(), d.As16()
		b = appendChunk(b, hepSrc6, s16[:])
		b = appendChunk(b, hepDst6, d16[:])
	}
	b = appendChunk16(b, hepSrcPort, src.Port())
	b = appendChunk16(b, hepDstPort, dst.Port())
	b = appendChunk32(b, hepSeconds, uint32(at.Unix()))
	b = appendChunk32(b, hepMicros, uint32(at.Nanosecond()/1000))
	b = appendChunk8(b, hepType, 1)
	b = appendChunk32(b, hepAgent, captureAgent)
	if callID != "" {
		b = appendChunk(b, hepCallID, []byte(callID))
	}
	b = appendChunk(b, hepPayload, payload)
	binary.BigEndian.PutUint16(b[from+4:], uint16(len(b)-from))
	return b
}

// appendChunk appends a chunk of no vendor.
func appendChunk(b []byte, kind uint16, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(6+len(value)))
	return append(b, value...)
}

func appendChunk8(b []byte, kind uint16, v byte) []byte { return appendChunk(b, kind, []byte{v}) }

func appendChunk16(b []byte, kind, v uint16) []byte {
	return appendChunk(b, kind, binary.BigEndian.AppendUint16(nil, v))
}

func appendChunk32(b []byte, kind uint16, v uint32) []byte {
	return appendChunk(b, kind, binary.BigEndian.AppendUint32(nil, v))
}

const (
	hepDialTimeout = 2 * time.Second
	hepRetry       = 10 * time.Second // after a name that was not found
	hepWarnings    = time.Minute      // between two of them
	maxSources     = 1024             // addresses that it is known of how we reach them
)

// copier sends SIP packets to a capture server. It belongs to Run.
type copier struct {
	r       *Room
	to      string // as configured
	conn    net.Conn
	again   time.Time // no attempt before
	warned  time.Time // last
	buf     []byte
	sources map[netip.Addr]netip.Addr // from where we reach somebody, for sockets on all addresses
}

func newCopier(r *Room) *copier { return &copier{r: r} }

// copy sends one packet. Bodies and subjects are there only if the settings say so; what is
// hidden is as long as it was, so that lengths in it are true.
func (c *copier) copy(s *setting, p *packet, seen *sipPacket) {
	if !c.open(s.HEP) {
		c.r.dropped.Add(1)
		return
	}
	payload := append(make([]byte, 0, len(seen.head)+len(seen.body)), seen.head...)
	if s.Texts {
		payload = append(payload, seen.body...)
	} else {
		payload = append(payload, strings.Repeat("*", len(seen.body))...)
	}
	local := netip.AddrPortFrom(c.source(p.local.Addr(), p.remote), p.local.Port())
	src, dst := local, p.remote
	if p.in {
		src, dst = dst, src
	}
	if len(payload)+len(seen.callID) > maxHEP-256 {
		c.r.dropped.Add(1)
		return
	}
	c.buf = appendHEP(c.buf[:0], p.at, p.transport, src, dst, seen.callID, payload)
	if _, err := c.conn.Write(c.buf); err != nil {
		c.r.dropped.Add(1)
		c.fault(err) // nobody listens there, as ICMP says, or there is no room: the next one is sent again
		return
	}
	c.r.copied.Add(1)
}

// open sees to it that there is a socket to the server at that address.
func (c *copier) open(to string) bool {
	if c.conn != nil && c.to == to {
		return true
	}
	now := time.Now()
	if c.to == to && now.Before(c.again) {
		return false
	}
	c.close()
	if c.to != to {
		c.warned = time.Time{}
	}
	c.to, c.again = to, now.Add(hepRetry)
	d := net.Dialer{Timeout: hepDialTimeout}
	conn, err := d.Dial("udp", to)
	if err != nil {
		c.fault(err)
		return false
	}
	c.conn = conn
	return true
}

// fault says that copies do not leave, not more than once a minute.
func (c *copier) fault(err error) {
	now := time.Now()
	if !c.warned.IsZero() && now.Sub(c.warned) < hepWarnings {
		return
	}
	c.warned = now
	c.r.log.Warn("SIP packets cannot be copied", "to", c.to, "err", err, "remedy", "see whether the capture server listens there, or correct log.hep")
}

// source is the address that packets to remote have, where the socket is bound to any.
func (c *copier) source(local netip.Addr, remote netip.AddrPort) netip.Addr {
	if !local.IsUnspecified() || !remote.IsValid() {
		return local
	}
	if a, ok := c.sources[remote.Addr()]; ok {
		return a
	}
	if c.sources == nil || len(c.sources) >= maxSources {
		c.sources = make(map[netip.Addr]netip.Addr)
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(remote)) // sends nothing
	if err == nil {
		defer conn.Close()
		if a, ok := netip.AddrFromSlice(conn.LocalAddr().(*net.UDPAddr).IP); ok {
			local = a.Unmap()
		}
	}
	c.sources[remote.Addr()] = local
	return local
}

func (c *copier) close() {
	if c.conn != nil {
		c.conn.Close()
	}
	c.conn = nil
}
