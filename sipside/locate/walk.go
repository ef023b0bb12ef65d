package locate

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Bounds of one walk, whatever DNS says.
const (
	maxPlaces  = 32 // host and port from SRV records
	maxHosts   = 16 // whose addresses are asked for
	maxTargets = 64
	maxNext    = 4 // SIP hosts that an im: domain names
)

// walk is one Locate.
type walk struct {
	l      *Locator
	ctx    context.Context
	q      Query
	name   string // the domain asked for
	may    Set    // transports that may be used
	now    time.Time
	answer Answer

	seen   [Malformed + 1]bool // reasons met on the way
	detail [Malformed + 1]string
	err    error // of Temporary

	refused []string // SRV names whose target is "."
}

// place is a host to be reached, before its addresses are known.
type place struct {
	transport Transport
	host      string
	port      uint16
	addrs     []netip.Addr // if they are known
}

func (w *walk) run() {
	if int(w.q.Transport) >= len(transports) {
		w.miss(Unsupported, w.q.Transport.String())
		return
	}
	if w.q.Scheme == SIPS {
		w.may &= SetOf(TLS, WSS)
		if w.q.Transport != Any {
			if w.q.Transport = transports[w.q.Transport].secure; w.q.Transport == Any {
				w.miss(Malformed, "sips over UDP")
				return
			}
		}
	}
	if t := w.q.Transport; t != Any && !w.may.Has(t) || w.fallback() == Any {
		w.miss(Unsupported, w.q.Transport.String())
		return
	}
	if a, ok := numeric(w.q.Host); ok {
		w.name = a.String()
		t := w.transport()
		w.step(w.q.Host, "is an address")
		if !Sendable(a) {
			w.miss(Malformed, "an address that nothing can be sent to")
			return
		}
		w.add(t, []netip.Addr{a}, w.port(t))
		return
	}
	host, ok := hostName(w.q.Host)
	if !ok {
		w.miss(Malformed, "not the name of a host")
		return
	}
	w.name = host
	if w.q.Scheme == IM || w.q.Scheme == Pres {
		w.instant(host)
		return
	}
	w.sip(host, w.q.Port)
}

// transport is the one for where nothing says which (RFC 3263 §4.1).
func (w *walk) transport() Transport {
	if w.q.Transport != Any {
		return w.q.Transport
	}
	return w.fallback()
}

func (w *walk) fallback() Transport {
	for t := UDP; t <= WSS; t++ {
		if w.may.Has(t) {
			return t
		}
	}
	return Any
}

func (w *walk) port(t Transport) uint16 {
	if w.q.Port != 0 {
		return w.q.Port
	}
	return t.DefaultPort()
}

// sip is the procedure of RFC 3263 §4.1 and §4.2 for a name.
func (w *walk) sip(host string, port uint16) {
	plain := place{transport: w.transport(), host: host, port: port}
	if port == 0 {
		plain.port = plain.transport.DefaultPort()
	}
	if _, local := w.l.local(host, w.now); local || port != 0 {
		w.reach([]place{plain})
		return
	}
	switch t := w.q.Transport; t {
	case Any:
		if found, only := w.naptr(host, w.may); found {
			return
		} else if w.services(host, []Transport{TLS, TCP, UDP}) || only {
			return
		}
	case WS, WSS:
		if found, only := w.naptr(host, SetOf(t)); found || only {
			return
		}
	default:
		if w.services(host, []Transport{t}) {
			return
		}
	}
	if slices.Contains(w.refused, transports[plain.transport].srv+host) {
		return
	}
	w.reach([]place{plain})
}

// naptr follows the NAPTR records of a domain to the SRV records that they name. only
// means that the addresses of the domain itself are no place to go, since it has such
// records, or DNS could not say.
func (w *walk) naptr(host string, may Set) (found, only bool) {
	e := w.ask(question{host + ".", dns.TypeNAPTR})[0]
	if e.reason != 0 {
		return false, e.reason != NotFound
	}
	var names []question
	var over []Transport
	for _, n := range e.naptr {
		t, sip := ofService(n.service)
		switch {
		case !sip:
			continue // of ENUM and others: not meant for us
		case !may.Has(t):
			w.note(Unsupported, n.service)
		case !strings.EqualFold(n.flags, "s") || n.regexp != "" || n.replacement == ".":
			w.note(Malformed, "NAPTR record for "+n.service)
		default:
			names, over = append(names, question{n.replacement, dns.TypeSRV}), append(over, t)
		}
		only = true
	}
	if len(names) == 0 {
		return false, only
	}
	if found = w.srv(names, over); !found {
		w.note(NotFound, "the NAPTR records lead to no SRV records")
	}
	return found, true
}

// services asks for the SRV records of a domain for those transports that may be used.
// It is true if they are the end of the matter.
func (w *walk) services(host string, ts []Transport) bool {
	var names []question
	var over []Transport
	for _, t := range ts {
		if w.may.Has(t) && transports[t].srv != "" {
			names, over = append(names, question{transports[t].srv + host + ".", dns.TypeSRV}), append(over, t)
		}
	}
	return w.srv(names, over)
}

// srv asks for SRV records and goes to their targets. It is true if there were any, or
// if it is not known.
func (w *walk) srv(names []question, over []Transport) (found bool) {
	var places []place
	for i, e := range w.ask(names...) {
		switch {
		case e.reason == NotFound:
		case e.reason != 0:
			found = true
		case e.refused():
			w.note(NotOffered, over[i].String())
			w.refused = append(w.refused, strings.TrimSuffix(names[i].name, "."))
		default:
			found = true
			places = append(places, w.places(e.srv, over[i])...)
		}
	}
	w.reach(places)
	return found
}

// places are the targets of SRV records that can be one.
func (w *walk) places(list []srvRecord, t Transport) (out []place) {
	for _, s := range list {
		host, ok := hostName(s.target)
		if !ok || s.port == 0 {
			w.note(Malformed, "SRV record "+s.String())
			continue
		}
		out = append(out, place{transport: t, host: host, port: s.port, addrs: s.addrs})
	}
	return out
}

// instant is the procedure of RFC 3861 for a domain of im: or pres: addresses, with SIP
// as the only protocol that is had (RFC 5509).
func (w *walk) instant(host string) {
	prefix := "_im._sip."
	if w.q.Scheme == Pres {
		prefix = "_pres._sip."
	}
	if w.q.Port != 0 {
		w.sip(host, w.q.Port)
		return
	}
	e := w.ask(question{prefix + host + ".", dns.TypeSRV})[0]
	switch {
	case e.reason == NotFound:
		w.sip(host, 0)
		return
	case e.reason != 0:
		return
	case e.refused():
		w.note(NotOffered, prefix+host)
		return
	}
	next := 0
	for _, s := range e.srv {
		target, ok := hostName(s.target)
		if !ok {
			w.note(Malformed, "SRV record "+s.String())
			continue
		}
		if next++; next > maxNext {
			break
		}
		port := s.port
		if port == transports[UDP].port {
			port = 0
		}
		w.sip(target, port)
	}
}

// reach finds the addresses of hosts, and adds a target for each.
func (w *walk) reach(places []place) {
	places = places[:min(len(places), maxPlaces)]
	index := make(map[string]int)
	var asked []question
	for _, p := range places {
		if _, ok := index[p.host]; ok || p.addrs != nil {
			continue
		}
		if addrs, ok := w.l.local(p.host, w.now); ok {
			w.step("this machine's hosts, "+p.host, join(addrs))
			index[p.host] = -1
			continue
		}
		if len(asked) >= 2*maxHosts {
			break
		}
		index[p.host] = len(asked)
		asked = append(asked, question{p.host + ".", dns.TypeA}, question{p.host + ".", dns.TypeAAAA})
	}
	found := w.ask(asked...)
	for _, p := range places {
		i, ok := index[p.host]
		switch addrs := p.addrs; {
		case addrs != nil:
			w.add(p.transport, addrs, p.port)
		case !ok:
		case i < 0:
			addrs, _ = w.l.local(p.host, w.now)
			w.add(p.transport, addrs, p.port)
		default:
			v4, v6 := found[i], found[i+1]
			addrs = append(addrs, v6.addrs...)
			addrs = append(addrs, v4.addrs...)
			if len(addrs) == 0 && v4.reason == NotFound && v6.reason == NotFound {
				w.note(NotFound, p.host+" has no address")
			}
			w.add(p.transport, addrs, p.port)
		}
	}
}

// add adds the addresses of one host.
func (w *walk) add(t Transport, addrs []netip.Addr, port uint16) {
	for _, a := range byPreference(addrs, w.l.source) {
		if len(w.answer.Targets) >= maxTargets {
			return
		}
		w.answer.Targets = appendNew(w.answer.Targets, Target{Transport: t, Addr: netip.AddrPortFrom(a, port), Name: w.name})
	}
}

// ask asks questions at the same time and writes down what came of them, in their order.
func (w *walk) ask(qs ...question) []*entry {
	out := make([]*entry, len(qs))
	var wg sync.WaitGroup
	for i, q := range qs {
		if out[i] = w.l.known(q); out[i] == nil {
			wg.Go(func() { out[i] = w.l.ask(w.ctx, q) })
		}
	}
	wg.Wait()
	for i, e := range out {
		w.step(qs[i].String(), e.text+e.note)
		if e.until.Before(w.answer.Until) {
			w.answer.Until = e.until
		}
		w.answer.Stale = w.answer.Stale || e.stale
		switch {
		case e.reason == Temporary:
			w.note(Temporary, qs[i].String())
			if w.err == nil {
				w.err = e.err
			}
		case e.reason == Malformed:
			w.note(Malformed, qs[i].String()+": "+e.text)
		}
	}
	return out
}

func (w *walk) step(question, result string) {
	w.answer.Steps = append(w.answer.Steps, Step{question, result})
}

// note remembers what stood in the way, for the case that nothing is found.
func (w *walk) note(r Reason, detail string) {
	if !w.seen[r] {
		w.seen[r], w.detail[r] = true, detail
	}
}

// miss ends a walk before DNS is asked.
func (w *walk) miss(r Reason, detail string) {
	w.note(r, detail)
	w.step(w.q.Host, fmt.Sprintf("%s: %s", r, detail))
}

// end makes the result. If nothing was found, the reason is the one that leaves most
// hope: what may work later must not be refused for good.
func (w *walk) end() (Answer, error) {
	if len(w.answer.Targets) > 0 {
		return w.answer, nil
	}
	e := &Error{Reason: NotFound, Host: w.q.Host, Detail: w.detail[NotFound]}
	for _, r := range []Reason{Temporary, Malformed, NotOffered, Unsupported} {
		if w.seen[r] {
			e.Reason, e.Detail = r, w.detail[r]
			break
		}
	}
	if e.Reason == Temporary {
		e.Err = w.err
	}
	return w.answer, e
}

func join(addrs []netip.Addr) string {
	var b strings.Builder
	for i, a := range addrs {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(a.String())
	}
	return b.String()
}
