package component

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// pace says how soon a fault lets us try again.
type pace uint8

const (
	paceNormal   pace = iota // doubling from 1 s to 60 s
	paceSlow                 // every 60 s: somebody has to mend a configuration
	paceConflict             // 60 s and never less: another instance owns the name
)

// fault is why there is no link, in a form that can be told to an admin.
type fault struct {
	reason string // stable word
	text   string // what is wrong and how to mend it
	pace   pace
	alarm  bool // somebody has to do something: logged as an error
	err    error
}

// reasonSplit is the reason of StateSplit.
const reasonSplit = "split"

// classify tells the faults apart (RFC 6120 §4.9.3, XEP-0114).
func (c *Component) classify(err error) fault {
	server, name := c.cfg.Server, c.cfg.Domain
	f := fault{err: err}
	set := func(reason, format string, a ...any) fault {
		f.reason, f.text = reason, fmt.Sprintf(format, a...)
		return f
	}

	if se, ok := errors.AsType[*streamError](err); ok {
		return c.classifyStream(f, se)
	}
	if _, ok := errors.AsType[*dialError](err); ok {
		var dns *net.DNSError
		switch {
		case errors.As(err, &dns) && dns.IsNotFound:
			return set("dns", "the name of the XMPP server %s does not exist in DNS: correct xmpp.server", server)
		case errors.As(err, &dns):
			return set("dns", "the name of the XMPP server %s cannot be resolved: does the resolver work? (xmpp.server)", server)
		case errors.Is(err, syscall.ECONNREFUSED):
			return set("refused", "the XMPP server at %s refused the connection: is it running, and is its component port open? (xmpp.server)", server)
		case isTimeout(err), errors.Is(err, context.DeadlineExceeded):
			return set("timeout", "the XMPP server at %s does not answer: is the address right, and does a firewall let us through? (xmpp.server)", server)
		case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
			return set("unreachable", "there is no way to the XMPP server at %s: check the network and xmpp.server", server)
		}
		return set("connect", "cannot connect to the XMPP server at %s: check xmpp.server", server)
	}

	_, shaking := errors.AsType[*handshakeError](err)
	switch {
	case shaking && (isTimeout(err) || errors.Is(err, os.ErrDeadlineExceeded)):
		return set("handshake-timeout", "%s took the connection but did not finish the component handshake within %v: is this its component port? (xmpp.server)", server, c.cfg.ConnectTimeout)
	case shaking && (errors.Is(err, errNotXMPP) || errors.Is(err, errWrongPort) || errors.Is(err, errNoID) || errors.Is(err, errSyntax) || errors.Is(err, errTooBig) || errors.Is(err, errRestricted)):
		f.pace, f.alarm = paceSlow, true
		return set("not-a-component-port", "what answers at %s does not speak XEP-0114: give the component port of the XMPP server in xmpp.server", server)
	case shaking:
		return set("handshake-dropped", "%s closed the connection during the handshake: is this its component port, and does it know %s? (xmpp.server)", server, name)
	case errors.Is(err, errSplit):
		f.alarm = true
		return set(reasonSplit, "another program is connected as this component: what %[1]s sends to %[2]s does not all come to us, so the link is not used; stop the other one (another stox? ejabberd allows several), or give it a name of its own", server, name)
	case errors.Is(err, errNoBarrier):
		return set("unanswered", "the XMPP server at %s has not given back a ping of ours for %v: it hangs, or another program is connected as this component", server, c.cfg.PingTimeout)
	case errors.Is(err, errStreamEnd):
		return set("closed", "the XMPP server at %s closed the stream: it is probably being stopped", server)
	case errors.Is(err, errNoAnswer):
		return set("silent", "the XMPP server at %s has not sent anything for %v: the link counts as lost", server, c.cfg.IdlePing+c.cfg.PingTimeout)
	case errors.Is(err, errStalled):
		return set("stalled", "the XMPP server at %s has not read anything for %v: the link was dropped", server, c.cfg.WriteTimeout)
	case errors.Is(err, errTooBig):
		return set("too-big", "the XMPP server at %s sent a stanza of more than %d octets: the link was dropped; lower its stanza size limits", server, hardLimit(c.cfg.MaxStanzaBytes))
	case errors.Is(err, errSyntax), errors.Is(err, errRestricted):
		return set("bad-xml", "the XMPP server at %s sent XML that no stream may have: the link was dropped", server)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return set("dropped", "the XMPP server at %s dropped the connection: unless it is being restarted, its log may say why", server)
	}
	return set("lost", "the connection to the XMPP server at %s broke", server)
}

// classifyStream has the table of reactions to stream errors.
func (c *Component) classifyStream(f fault, se *streamError) fault {
	server, name := c.cfg.Server, c.cfg.Domain
	f.reason = se.cond
	switch se.cond {
	case "conflict":
		f.pace, f.alarm = paceConflict, true
		f.text = fmt.Sprintf("another connection serves %s at %s: stop the other stox; if it is a dead one of ours, set component_conflict_resolve = \"kick_old\" in Prosody", name, server)
	case "not-authorized":
		f.pace, f.alarm = paceSlow, true
		f.text = fmt.Sprintf("the XMPP server at %s does not accept our secret for %s: make xmpp.secret equal to component_secret (Prosody) or password (ejabberd); ejabberd says the same if it does not know %s: is it there (hosts of ejabberd_service), and is xmpp.domain right?", server, name, name)
	case "host-unknown", "host-gone":
		f.pace, f.alarm = paceSlow, true
		f.text = fmt.Sprintf("the XMPP server at %s does not know %s: add it there (Prosody: Component %q; ejabberd: hosts of ejabberd_service) or correct xmpp.domain", server, name, name)
	case "invalid-namespace", "unsupported-version", "bad-namespace-prefix", "unsupported-encoding":
		f.pace, f.alarm = paceSlow, true
		f.text = fmt.Sprintf("%s does not speak XEP-0114 (%s): give the component port of the XMPP server in xmpp.server", server, se.cond)
	case "invalid-from", "improper-addressing", "invalid-xml", "not-well-formed", "bad-format", "restricted-xml":
		f.alarm = true
		f.text = fmt.Sprintf("the XMPP server at %s found fault with what we wrote (%s): if its limit for stanzas of components is below limits.max_stanza_bytes, raise it; else this is a fault of stox, please report it", server, se.cond)
	case "policy-violation":
		f.text = fmt.Sprintf("the XMPP server at %s closed the stream: a stanza was too big or came too fast; raise its limits for components", server)
	case "see-other-host":
		f.pace, f.alarm = paceSlow, true
		f.text = fmt.Sprintf("the XMPP server at %s sends us to another host, which stox does not follow: correct xmpp.server", server)
	case "system-shutdown":
		f.text = fmt.Sprintf("the XMPP server at %s is being stopped", server)
	default:
		f.text = fmt.Sprintf("the XMPP server at %s ended the stream (%s)", server, se.cond)
	}
	return f
}

// Back-off between attempts.
const (
	backoffMin  = time.Second
	backoffMax  = time.Minute
	jitter      = 0.2
	goodLife    = time.Minute // a link that lived so long starts from backoffMin again
	repeatFirst = 4           // a fault that goes on is logged at the 1st, 4th, 8th, 16th ... failure
)

// backoff knows how long to wait. It belongs to the supervisor.
type backoff struct{ step time.Duration }

func (b *backoff) reset() { b.step = 0 }

// next is the time until the next attempt; r in [0,1) chooses the jitter.
func (b *backoff) next(p pace, r float64) time.Duration {
	base, spread := backoffMax, jitter*(2*r-1)
	switch p {
	case paceConflict:
		spread = jitter * r
	case paceNormal:
		if b.step = min(max(b.step*2, backoffMin), backoffMax); b.step < base {
			base = b.step
		}
	}
	return base + time.Duration(float64(base)*spread)
}

// reporter sees to it that a fault that goes on is not logged at every attempt.
// It belongs to the supervisor.
type reporter struct {
	reason string
	count  int
	since  time.Time
}

func (r *reporter) reset() { *r = reporter{} }

// note counts a failure and reports whether it is worth a line.
func (r *reporter) note(reason string, now time.Time) (count int, since time.Time, worth bool) {
	if reason != r.reason {
		*r = reporter{reason: reason, since: now}
	}
	r.count++
	return r.count, r.since, r.count == 1 || r.count >= repeatFirst && r.count&(r.count-1) == 0
}
