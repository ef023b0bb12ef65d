package locate

import (
	"fmt"
	"net/netip"
	"time"
)

// Scheme is that of the address.
type Scheme uint8

// The schemes. IM and Pres are found by RFC 3861.
const (
	SIP Scheme = iota
	SIPS
	IM
	Pres
)

// Query is what is looked for.
type Query struct {
	// Host is a number, with or without brackets if it is IPv6, or a name of A-labels.
	// It is the maddr parameter if the URI has one, else the host (RFC 3263 §4).
	Host string
	// Port is 0 if the URI has none.
	Port      uint16
	Transport Transport
	Scheme    Scheme
	// Supports is what the caller can send over.
	Supports Set
}

// Target is one place to send to.
type Target struct {
	Transport Transport
	Addr      netip.AddrPort
	// Name is what a TLS certificate must show: the domain asked for.
	Name string
}

// String is for logs: "tls 192.0.2.1:5061".
func (t Target) String() string { return t.Transport.String() + " " + t.Addr.String() }

// Answer is what was found. With an error it has no targets, but the rest.
type Answer struct {
	Targets []Target
	// Steps is how it was found, in words, for an operator.
	Steps []Step
	// Until is when it has to be asked again; it is never far away for an error.
	Until time.Time
	// Stale means that DNS does not answer and an old answer was used.
	Stale bool
}

// Step is one question and what came of it.
type Step struct{ Question, Result string }

// String is a line for an operator.
func (s Step) String() string { return s.Question + ": " + s.Result }

// Reason says why nothing was found. The list is closed.
type Reason uint8

// The reasons.
const (
	// NotFound: the domain does not exist, or has no address and no SIP server in DNS.
	NotFound Reason = iota + 1
	// NotOffered: the domain says that it has no such service (RFC 2782, target ".").
	NotOffered
	// Unsupported: the domain or the query wants a transport that the caller has not.
	Unsupported
	// Temporary: DNS could not be asked, or its servers failed. It may work later.
	Temporary
	// Malformed: the host is no name that could be asked for, or what DNS says about it
	// makes no sense (a loop of aliases).
	Malformed
)

var reasons = [...]string{
	NotFound:    "no SIP server in DNS",
	NotOffered:  "the domain says that it does not offer this",
	Unsupported: "only over a transport that is not supported",
	Temporary:   "DNS does not answer",
	Malformed:   "not a name that leads anywhere",
}

// String names the reason in a few words.
func (r Reason) String() string {
	if int(r) >= len(reasons) || reasons[r] == "" {
		return fmt.Sprintf("reason %d", r)
	}
	return reasons[r]
}

// Error is the only error of Locate.
type Error struct {
	Reason Reason
	Host   string
	Detail string // of a step, "" if none
	Err    error  // the cause if there is one: of the network, or the context's
}

// Error is for the log.
func (e *Error) Error() string {
	s := fmt.Sprintf("locate %s: %s", e.Host, e.Reason)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Temporary reports whether it may work later.
func (e *Error) Temporary() bool { return e.Reason == Temporary }

// OverTCP is where a request goes that is too big for UDP (RFC 3261 §18.1.1): UDP
// becomes TCP to the same address, if that is not in the list anyway. The result has
// the order of the first mention.
func OverTCP(targets []Target) []Target {
	out := make([]Target, 0, len(targets))
	for _, t := range targets {
		if t.Transport == UDP {
			t.Transport = TCP
		}
		out = appendNew(out, t)
	}
	return out
}

func appendNew(list []Target, t Target) []Target {
	for _, have := range list {
		if have == t {
			return list
		}
	}
	return append(list, t)
}
