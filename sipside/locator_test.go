package sipside

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/stoxgw/stox/sipside/locate"
)

// byAddress makes a Locator of what only knows the addresses of hosts: there are no SRV
// records, so the transport is UDP unless the URI names one. Answers are good for 30 s, and
// errors for 5.
type byAddress func(host string) ([]netip.Addr, error)

func (f byAddress) Locate(_ context.Context, q locate.Query) (locate.Answer, error) {
	addrs, err := f(q.Host)
	if err != nil {
		why := &locate.Error{Reason: locate.Temporary, Host: q.Host, Err: err}
		if dns := (*net.DNSError)(nil); errors.As(err, &dns) && dns.IsNotFound {
			why.Reason = locate.NotFound
		}
		return locate.Answer{Until: time.Now().Add(5 * time.Second)}, why
	}
	a := locate.Answer{Until: time.Now().Add(30 * time.Second)}
	transport := max(q.Transport, locate.UDP)
	port := q.Port
	if port == 0 {
		port = transport.DefaultPort()
	}
	for _, addr := range addrs {
		a.Targets = append(a.Targets, locate.Target{Transport: transport, Addr: netip.AddrPortFrom(addr, port), Name: q.Host})
	}
	return a, nil
}
