package locate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

var (
	errNotOurs = errors.New("not the answer to this question")
	errGarbage = errors.New("the answer is not DNS")
)

// exchange sends one query to one server and returns the response to it. network is
// "udp" or "tcp". What comes over UDP and is no answer to this question is passed over:
// it may be late, or forged.
func exchange(ctx context.Context, server netip.AddrPort, network string, query *dns.Msg) (*dns.Msg, error) {
	wire, err := query.Pack()
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.SetDeadline(time.Unix(1, 0))
		close(woken)
	})
	defer func() {
		if !stop() {
			<-woken
		}
	}()
	if network == "tcp" {
		return exchangeTCP(c, wire, query)
	}
	if _, err := c.Write(wire); err != nil {
		return nil, err
	}
	buf := make([]byte, dns.MaxMsgSize)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return nil, err
		}
		m, err := match(query, buf[:n])
		if !errors.Is(err, errNotOurs) {
			return m, err
		}
	}
}

func exchangeTCP(c net.Conn, wire []byte, query *dns.Msg) (*dns.Msg, error) {
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, buf); err != nil {
		return nil, err
	}
	return match(query, buf)
}

// match reads a response and checks that it is one to this query: by its id, and by the
// question, which the library leaves to us. Of a truncated one only the header has to
// be readable.
func match(query *dns.Msg, raw []byte) (*dns.Msg, error) {
	const header = 12
	if len(raw) < header || binary.BigEndian.Uint16(raw) != query.Id || raw[2]&0x80 == 0 {
		return nil, errNotOurs
	}
	m := new(dns.Msg)
	err := m.Unpack(raw)
	if err != nil && !m.Truncated {
		return nil, fmt.Errorf("%w: %w", errGarbage, err)
	}
	switch asked := query.Question[0]; {
	case len(m.Question) == 0 && (m.Truncated || m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError):
		return m, nil // a server may refuse in twelve bytes
	case m.Opcode != dns.OpcodeQuery || len(m.Question) != 1 || m.Question[0].Qtype != asked.Qtype ||
		m.Question[0].Qclass != asked.Qclass || !strings.EqualFold(m.Question[0].Name, asked.Name):
		return nil, errNotOurs
	}
	return m, nil
}
