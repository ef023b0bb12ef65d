package wire

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Step is something that happened to a message. All steps of a message have its Key.
type Step struct {
	Key    uint64
	ToXMPP bool      // it comes from SIP
	Read   time.Time // when the message was read
	At     time.Time // of this step
	Kind   string    // one word; those that begin or end something are below

	ID     string // of the stanza
	CallID string
	Peer   string // the SIP domain
	Status int    // of SIP
	N, Of  int    // which request or part, and of how many; 0: it makes no difference

	Condition string // of the stanza error
	Outcome   string // what has become of the message; "": nothing is decided
}

// The kinds of steps that begin or end something.
const (
	stepRead      = "read"
	stepRefused   = "refused"
	stepSent      = "sent"
	stepEarly     = "early"
	stepJournaled = "journaled"
	stepLoaded    = "loaded"
	stepAnswer    = "answer"
	stepNoAnswer  = "no-answer"
	stepNotSent   = "not-sent"
	stepTold      = "told"
	stepReported  = "reported"
	stepUntold    = "untold"
	stepProcessed = "processed"
	stepBounced   = "bounced"
	stepUnwritten = "unwritten"
	stepUnproved  = "unproved"
	stepLinkLost  = "link-lost"
)

// What is kept of messages until their spans have left.
const (
	maxLives  = 8192                   // messages that are not at their end, or have been for less than linger
	maxStages = 24                     // steps of one: the first of them, and the last
	maxLabel  = 255                    // octets of an id
	linger    = time.Second            // what is told of a message after its outcome is waited for so long
	collect   = 250 * time.Millisecond // how often those are looked for whose time has come
	maxBatch  = 512                    // messages that are sent in one go
	batches   = 4                      // that wait for the collector
)

// Spans makes spans of OpenTelemetry of what happens to messages, and sends them to a collector
// (OTLP over HTTP). Make it with NewSpans, and run it.
type Spans struct {
	to   *exporter
	full chan []*life // to be sent

	mu     sync.Mutex // guards the following
	lives  map[uint64]*life
	queue  []*life // the same in the order of their beginnings, and some that have left
	ending []*life // that have an outcome, in the order of due

	dropped atomic.Uint64
}

// life is a message, as far as it is known.
type life struct {
	first    Step
	stages   []stage
	omitted  int
	outcome  string
	status   int
	reason   string // the condition
	ended    time.Time
	due      time.Time // when it is sent
	gone     bool      // it has been handed over
	finished bool      // it has an outcome
}

// stage is a step of it.
type stage struct {
	at        time.Time
	kind      string
	status    int
	n, of     int
	condition string
}

// NewSpans makes Spans for the collector at a URL: its base, or that of /v1/traces. version and
// instance say which stox it is. It is reached by transport; nil is the system's.
func NewSpans(url, version, instance string, transport http.RoundTripper, log *slog.Logger) *Spans {
	return &Spans{to: newExporter(url, version, instance, transport, log), full: make(chan []*life, batches), lives: make(map[uint64]*life)}
}

// SpanStats are numbers of messages since NewSpans.
type SpanStats struct {
	Sent    uint64 // whose spans the collector has taken
	Dropped uint64 // for whose spans there was no room, or that the collector did not take
}

// Stats are the numbers until now.
func (s *Spans) Stats() SpanStats {
	return SpanStats{Sent: s.to.sent.Load(), Dropped: s.dropped.Load() + s.to.dropped.Load()}
}

// Put takes steps. It returns at once, and keeps nothing of what they refer to.
func (s *Spans) Put(batch []Step) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range batch {
		s.put(&batch[i], now)
	}
}

func (s *Spans) put(step *Step, now time.Time) {
	l := s.lives[step.Key]
	if l == nil || l.finished && step.Kind == stepRead { // it has come a second time
		switch step.Kind {
		case stepRead, stepRefused, stepLoaded, stepSent, stepEarly:
		default:
			return // of a message whose spans have left
		}
		if l = s.begin(step); l == nil {
			return
		}
	}
	l.take(step)
	if step.Status != 0 {
		l.status = step.Status // of the last request, if the outcome has none of its own
	}
	if step.Outcome == "" {
		return
	}
	l.outcome, l.reason, l.ended = step.Outcome, label(step.Condition), step.At
	if !l.finished {
		l.finished, l.due = true, now.Add(linger)
		s.ending = append(s.ending, l)
	}
}

// begin makes room for a message; nil: there is none.
func (s *Spans) begin(step *Step) *life {
	if len(s.lives) >= maxLives {
		s.forgetOldest()
	}
	if len(s.lives) >= maxLives {
		s.dropped.Add(1)
		return nil
	}
	l := &life{first: *step}
	l.first.ID, l.first.CallID, l.first.Peer, l.first.Condition = label(step.ID), label(step.CallID), label(step.Peer), ""
	if l.first.Read.IsZero() {
		l.first.Read = step.At
	}
	s.lives[step.Key] = l
	s.queue = append(s.queue, l)
	return l
}

// forgetOldest gives up the message that has been open for the longest time.
func (s *Spans) forgetOldest() {
	for len(s.queue) > 0 {
		l := s.queue[0]
		s.queue = s.queue[1:]
		if !l.gone && !l.finished {
			l.gone = true
			delete(s.lives, l.first.Key)
			s.dropped.Add(1)
			return
		}
	}
}

func (l *life) take(step *Step) {
	if step.Kind == "" {
		return
	}
	if len(l.stages) == maxStages {
		copy(l.stages[maxStages/2:], l.stages[maxStages/2+1:])
		l.stages = l.stages[:maxStages-1]
		l.omitted++
	}
	l.stages = append(l.stages, stage{step.At, step.Kind, step.Status, step.N, step.Of, label(step.Condition)})
}

// label is s as it can be kept.
func label(s string) string {
	return strings.Clone(strings.ToValidUTF8(s[:min(len(s), maxLabel)], ""))
}

// Run sends spans until ctx is done, and then once more what has an outcome: what is open still
// has its spans, or some of them, after the next start.
func (s *Spans) Run(ctx context.Context) error {
	var sender sync.WaitGroup
	sender.Go(func() { s.to.run(ctx, s.full) })
	tick := time.NewTicker(collect)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.collect(now)
		case <-ctx.Done():
			s.collect(time.Time{})
			close(s.full)
			sender.Wait()
			return nil
		}
	}
}

// collect hands over the messages whose time has come; the zero time is that of all.
func (s *Spans) collect(now time.Time) {
	s.mu.Lock()
	n := 0
	for n < len(s.ending) && (now.IsZero() || !s.ending[n].due.After(now)) {
		l := s.ending[n]
		if l.gone = true; s.lives[l.first.Key] == l {
			delete(s.lives, l.first.Key)
		}
		n++
	}
	ready := s.ending[:n:n]
	if s.ending = s.ending[n:]; len(s.ending) == 0 {
		s.ending = nil
	}
	for len(s.queue) > 0 && s.queue[0].gone {
		s.queue = s.queue[1:]
	}
	if len(s.queue) > 2*maxLives { // one that never ends holds up those behind it
		kept := make([]*life, 0, len(s.lives))
		for _, l := range s.queue {
			if !l.gone {
				kept = append(kept, l)
			}
		}
		s.queue = kept
	}
	s.mu.Unlock()
	for len(ready) > 0 {
		some := ready[:min(len(ready), maxBatch)]
		ready = ready[len(some):]
		select {
		case s.full <- some:
		default:
			s.dropped.Add(uint64(len(some)))
		}
	}
}
