package component

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Config is what a Component is made from. The zero value of every field
// below Secret stands for a safe default.
type Config struct {
	Server string // host:port of the server's component port
	Domain string // the component's own name
	Secret string // shared with the server (XEP-0114); never logged

	// Gateway is the name that the gateway has in errors (by, RFC 6120 §8.3.1), which is
	// the same for all component names of one gateway; Domain if it is left out.
	Gateway string

	// Told to whoever asks: what the gateway is called (XEP-0030), and which stox it
	// is (XEP-0092).
	Name    string // "SIP gateway"
	Version string // "unknown"

	// Allow says who may ask us things (SEC-13); nil lets everybody. It runs on
	// the reader and must not block. Messages are not its business: the handler
	// decides about them.
	Allow func(mapping.JID) bool

	// Contact says what SIP calls a contact of the component, or why the address is
	// none's (a *mapping.Failure, which is the answer); nil means that there are no
	// contacts. ContactFeatures are announced for all of them besides what is answered
	// here: what of messages is mapped (GW-27). Prompt says which contact an address
	// stands for that somebody has typed (XEP-0100; GW-17); nil leaves the service out.
	// Numbers says that telephone numbers are contacts of this component, and lead to
	// telephones: gateway/sms is announced. The functions run on the reader and must not
	// block.
	Contact         func(mapping.JID) (mapping.URI, error)
	ContactFeatures []string
	Prompt          func(text string) (mapping.JID, error)
	Numbers         bool

	// Commands are the ad-hoc commands that somebody may begin with the gateway (XEP-0050),
	// named in the language of his that is nearest; nil leaves commands out. It runs on the
	// reader and must not block. Register says that the gateway takes registrations
	// (XEP-0077). Both are handed to the handler, which has to answer each of them. PromptTexts
	// are what somebody is asked for who looks for an address (XEP-0100), in his language;
	// nil: English.
	Commands    func(from mapping.JID, lang string) []mapping.CommandItem
	Register    bool
	PromptTexts func(lang string) (desc, prompt string)

	MaxStanzaBytes int // limit for one stanza, either way; 256 KiB. See hardLimit for what ends the link.
	QueueBytes     int // a message is refused while so many octets are unwritten; 4 MiB
	MaxPending     int // or so many values have no outcome; 65536
	ReplySlots     int // nothing is read while so many answers and errors are unwritten; 1024
	ReplyBytes     int // or so many octets of them; 256 KiB

	ConnectTimeout time.Duration // connect, stream header and handshake together; 10 s
	WriteTimeout   time.Duration // no progress in writing for so long: the link is lost; 10 s
	IdlePing       time.Duration // nothing read for so long: a ping is sent; 60 s
	PingTimeout    time.Duration // nothing read for so long after the ping: the link is lost; 30 s
	CloseTimeout   time.Duration // how long the server may take to close its end; 5 s. Twice that for what is still to be written.

	Barrier        BarrierMode   // when a written message counts as processed; BarrierAuto
	BarrierTimeout time.Duration // how long its barrier is awaited, and a lost link; 5 s

	// Tap is shown all stanzas while somebody looks; nil: nobody does.
	Tap Tap

	// Dial replaces the TCP dialer, for tests.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// What Config.ContactFeatures may have.
const (
	FeatureReceipts   = nsReceipts // XEP-0184
	FeatureMarkers    = nsMarkers  // XEP-0333
	FeatureChatStates = nsStates   // XEP-0085
)

// Handler is who the Component works for. Its methods return at once and may
// call Deliver; none is called with a lock held.
type Handler interface {
	// FromXMPP takes stanzas that were read in one go, in stream order. It runs on
	// the reader of the link. The slice is reused after it returns.
	//
	// An XMPPError among them is an error stanza to an address of ours that answers
	// nothing pending: a bounce that came after the outcome, the answer to an error
	// of ours, or a forgery. Its id has to be looked at before anything in it is
	// believed. It is never answered (SEC-10).
	//
	// An XMPPCommand or XMPPRegister is answered by an XMPPCommandReply or XMPPRegisterReply
	// that is given to Deliver, with its ID, From and To. Without one in a minute the asker is
	// told that there was no answer.
	FromXMPP(batch []mapping.XMPP)
	// XMPPOutcomes takes what became of values handed to Deliver. There is one call at
	// a time, on the reader of the link or on another goroutine of the Component, never
	// from within Deliver. The slice is reused after it returns.
	XMPPOutcomes(batch []mapping.Result)
}

// State is the state of the link to the server.
type State string

// The states of a link.
const (
	StateIdle       State = "idle" // Run has not been called
	StateConnecting State = "connecting"
	StateUp         State = "up"    // its barriers come home, and messages are taken
	StateDown       State = "down"  // waiting to try again
	StateSplit      State = "split" // the same, because another program is connected as this component
	StateStopped    State = "stopped"
)

// Status describes the link, for logs and diagnosis.
type Status struct {
	State    State
	Since    time.Time // when State was entered
	Reason   string    // Down, Split: a stable word such as "refused" or "not-authorized"
	Text     string    // Down, Split: what is wrong and how to mend it, one sentence
	Attempts int       // Down, Split, Connecting: failures in a row with this Reason
	RetryAt  time.Time // Down, Split: when the next attempt is made
}

// Component is one component name at one server.
type Component struct {
	cfg    Config
	domain mapping.JID
	log    *slog.Logger
	q      *queue
	srv    atomic.Pointer[services]
	since  time.Time // it came to be

	rand    func() float64 // [0,1), for the jitter
	running atomic.Bool

	mu        sync.Mutex // guards the following
	status    Status
	connected uint64            // links that came up
	failures  map[string]uint64 // that broke or did not come up, by reason
}

// New checks cfg and makes a Component. It connects to nothing.
func New(cfg Config, log *slog.Logger) (*Component, error) {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("component: "+format, a...)) }

	domain, err := mapping.ParseJID(cfg.Domain)
	switch {
	case err != nil:
		bad("domain: %w", err)
	case domain.Domain() == "" || domain != domain.DomainJID():
		bad("domain: %q is not the name of a host", cfg.Domain)
	}
	if _, _, err := net.SplitHostPort(cfg.Server); err != nil {
		bad("server: %w", err)
	}
	if cfg.Secret == "" {
		bad("secret: missing")
	}
	for _, n := range []*int{&cfg.MaxStanzaBytes, &cfg.QueueBytes, &cfg.MaxPending, &cfg.ReplySlots, &cfg.ReplyBytes} {
		if *n < 0 {
			bad("a limit is negative")
			break
		}
	}
	for _, d := range []*time.Duration{&cfg.ConnectTimeout, &cfg.WriteTimeout, &cfg.IdlePing, &cfg.PingTimeout, &cfg.CloseTimeout, &cfg.BarrierTimeout} {
		if *d < 0 {
			bad("a time is negative")
			break
		}
	}
	switch cfg.Barrier {
	case "", BarrierAuto, BarrierSingle, BarrierSettled:
	default:
		bad("barrier: %q is not auto, single or settled", cfg.Barrier)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}

	orDefault(&cfg.Gateway, domain.String())
	orDefault(&cfg.Name, "SIP gateway")
	orDefault(&cfg.Version, "unknown")
	orDefault(&cfg.MaxStanzaBytes, 256<<10)
	orDefault(&cfg.QueueBytes, 4<<20)
	orDefault(&cfg.MaxPending, 1<<16)
	orDefault(&cfg.ReplySlots, 1024)
	orDefault(&cfg.ReplyBytes, 256<<10)
	orDefault(&cfg.ConnectTimeout, 10*time.Second)
	orDefault(&cfg.WriteTimeout, 10*time.Second)
	orDefault(&cfg.IdlePing, time.Minute)
	orDefault(&cfg.PingTimeout, 30*time.Second)
	orDefault(&cfg.CloseTimeout, 5*time.Second)
	orDefault(&cfg.Barrier, BarrierAuto)
	cfg.liveDefaults()
	if cfg.Dial == nil {
		cfg.Dial = newDialer().DialContext
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Component{
		cfg: cfg, domain: domain, log: log, since: time.Now(),
		q:      newQueue(cfg, domain, log),
		rand:   rand.Float64,
		status: Status{State: StateIdle, Since: time.Now()}, failures: make(map[string]uint64),
	}
	srv := newServices(cfg, c.since)
	c.srv.Store(srv)
	c.q.caps = srv.caps
	return c, nil
}

// Change changes, while the Component runs, what may be changed: Allow, Contact,
// ContactFeatures, Prompt, Numbers, Commands, Register, PromptTexts and BarrierTimeout. The
// rest of cfg is as it was given to New, whatever it says here. What is under way keeps the
// time that it has for its barrier, unless that is less now.
// It reports whether the gateway is something else than it was, of which those who see its
// presence are to be told (XEP-0115 §5.4).
func (c *Component) Change(cfg Config) (announce bool) {
	next := c.cfg
	next.Allow, next.Contact, next.ContactFeatures, next.Prompt, next.Numbers, next.BarrierTimeout =
		cfg.Allow, cfg.Contact, cfg.ContactFeatures, cfg.Prompt, cfg.Numbers, cfg.BarrierTimeout
	next.Commands, next.Register, next.PromptTexts = cfg.Commands, cfg.Register, cfg.PromptTexts
	next.liveDefaults()
	srv := newServices(next, c.since)
	before := c.srv.Swap(srv)
	c.q.change(next, srv)
	return before.gatewayVer != srv.gatewayVer
}

// liveDefaults are for what Change may change.
func (c *Config) liveDefaults() {
	orDefault(&c.BarrierTimeout, 5*time.Second)
	if c.Allow == nil {
		c.Allow = func(mapping.JID) bool { return true }
	}
	if c.Contact == nil {
		c.Contact = func(mapping.JID) (mapping.URI, error) {
			return mapping.URI{}, &mapping.Failure{Condition: mapping.CondServiceUnavailable}
		}
	}
}

func orDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Run connects to the server and keeps the link until ctx ends; then it
// closes the stream cleanly and returns nil. No fault of the link makes it
// return: a server that is down, a wrong secret or an unknown name may be mended
// at the other end, so it tries again at the intervals of fault.go. When
// it returns, every value that Deliver took has had its Result. Until then the
// handler may be called: what the server writes up to the end of its stream is
// handed over. Run can be called once; a second call returns an error.
func (c *Component) Run(ctx context.Context, h Handler) error {
	if !c.running.CompareAndSwap(false, true) {
		return errors.New("component: Run was called before")
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { c.q.tell(h, stop) })
	c.supervise(ctx, h)
	c.q.abandon()
	c.setStatus(Status{State: StateStopped})
	close(stop)
	wg.Wait()
	return nil
}

// Deliver takes values to be written to the stream. It never blocks, may be
// called from anywhere, also from inside the handler, and keeps the values but
// not the slice. While Run runs each value gets exactly one Result, later and never from
// within Deliver; Doubtful says that it is the outcome of a second copy:
//
//   - Processed: the server has handled it, and no bounce came (Config.Barrier);
//   - Bounced: the server answered with an error, or the server of the addressee's
//     domain cannot be reached (messages only; Failure is set);
//   - NotWritten: there is no link, or the queue is full (Failure says which);
//   - Refused: the value makes no legal stanza, one that is too big, one whose From
//     is not ours (SEC-16), or the answer to an IQ that has been answered. It would be
//     refused again. The asker of an IQ is told of an error instead;
//   - Unknown: it was written, the link is alive, and within Config.BarrierTimeout
//     nothing confirmed it, or there is no hope that anything will. Only messages have
//     that deadline: an XMPPError, or the answer to an IQ, waits until it is confirmed or its link has ended,
//     so that whoever has it written again does not repeat what this link has taken;
//   - Uncertain: the link was lost after writing, and did not return before the
//     value was older than Config.BarrierTimeout, or was lost again. If it returns in
//     time the value is written once more with the same id, and the outcome of that
//     copy counts.
//
// Results for values given before Run come once it runs; for values given after
// it has returned there are none.
func (c *Component) Deliver(batch []mapping.Parcel[mapping.XMPP]) { c.q.deliver(batch) }

// Status reports the state of the link.
func (c *Component) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

func (c *Component) setStatus(s Status) {
	s.Since = time.Now()
	c.mu.Lock()
	c.status = s
	switch s.State {
	case StateUp:
		c.connected++
	case StateDown, StateSplit:
		c.failures[knownReason(s.Reason)]++
	}
	c.mu.Unlock()
}
