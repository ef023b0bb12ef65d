package wire

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// OTLP over HTTP in its JSON form: https://opentelemetry.io/docs/specs/otlp/. It is written here,
// since it is little, and the library for it would make stox larger by half.

type otlpRequest struct {
	ResourceSpans []otlpResource `json:"resourceSpans"`
}

type otlpResource struct {
	Resource struct {
		Attributes []otlpAttribute `json:"attributes"`
	} `json:"resource"`
	ScopeSpans []otlpScope `json:"scopeSpans"`
}

type otlpScope struct {
	Scope struct {
		Name string `json:"name"`
	} `json:"scope"`
	Spans []otlpSpan `json:"spans"`
}

type otlpSpan struct {
	TraceID    string          `json:"traceId"`
	SpanID     string          `json:"spanId"`
	Parent     string          `json:"parentSpanId,omitempty"`
	Name       string          `json:"name"`
	Kind       int             `json:"kind"`
	Start      string          `json:"startTimeUnixNano"` // 64 bits: a string (proto3 JSON)
	End        string          `json:"endTimeUnixNano"`
	Attributes []otlpAttribute `json:"attributes,omitempty"`
	Events     []otlpEvent     `json:"events,omitempty"`
	Status     otlpStatus      `json:"status"`
}

type otlpEvent struct {
	Time       string          `json:"timeUnixNano"`
	Name       string          `json:"name"`
	Attributes []otlpAttribute `json:"attributes,omitempty"`
}

type otlpStatus struct {
	Code int `json:"code,omitempty"` // 1 is fine, 2 an error
}

type otlpAttribute struct {
	Key   string    `json:"key"`
	Value otlpValue `json:"value"`
}

type otlpValue struct {
	String *string `json:"stringValue,omitempty"`
	Int    *string `json:"intValue,omitempty"` // 64 bits
}

// Kinds of spans.
const (
	spanInternal = 1
	spanServer   = 2
	spanClient   = 3
)

func textAttribute(key, v string) otlpAttribute {
	return otlpAttribute{key, otlpValue{String: &v}}
}

func intAttribute(key string, v int) otlpAttribute {
	s := strconv.Itoa(v)
	return otlpAttribute{key, otlpValue{Int: &s}}
}

// attributes leaves out what is empty.
func attributes(all ...otlpAttribute) (out []otlpAttribute) {
	for _, a := range all {
		if a.Value.String != nil && *a.Value.String == "" || a.Value.Int != nil && *a.Value.Int == "0" {
			continue
		}
		out = append(out, a)
	}
	return out
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

// appendSpans appends the spans of a message: one from its reading to its outcome, and below it
// one for its commit, one for each request or stanza until that was answered or confirmed, and one for the
// error that its sender was told. All else that happened is an event. id makes identifiers.
func (l *life) appendSpans(out []otlpSpan, id func(octets int) string) []otlpSpan {
	direction, kind := "xmpp-sip", spanServer
	if l.first.ToXMPP {
		direction = "sip-xmpp"
	}
	trace, root := id(16), len(out)
	end := l.ended
	out = append(out, otlpSpan{TraceID: trace, SpanID: id(8), Name: "message " + direction, Kind: kind, Start: nanos(l.first.Read),
		Attributes: attributes(textAttribute("stox.direction", direction), textAttribute("stox.outcome", l.outcome), textAttribute("stox.condition", l.reason),
			intAttribute("sip.status", l.status), textAttribute("sip.domain", l.first.Peer), textAttribute("sip.call_id", l.first.CallID), textAttribute("xmpp.stanza_id", l.first.ID),
			intAttribute("stox.steps_omitted", l.omitted))})
	parent := out[root].SpanID
	child := func(name string, kind int, from stage, to time.Time) *otlpSpan {
		out = append(out, otlpSpan{TraceID: trace, SpanID: id(8), Parent: parent, Name: name, Kind: kind, Start: nanos(from.at), End: nanos(later(from.at, to)),
			Attributes: attributes(intAttribute("stox.request", from.n), intAttribute("stox.requests", from.of))})
		return &out[len(out)-1]
	}
	slices.SortStableFunc(l.stages, func(a, b stage) int { return a.at.Compare(b.at) })
	var sent, told []stage // that have not come to their end
	for _, s := range l.stages {
		end = later(end, s.at)
		switch s.kind {
		case stepRead:
		case stepJournaled:
			child("journal", spanInternal, stage{at: l.first.Read}, s.at)
		case stepSent, stepEarly:
			sent = append(sent, s)
		case stepTold:
			told = append(told, s)
		case stepAnswer, stepNoAnswer, stepNotSent, stepProcessed, stepBounced, stepUnwritten, stepUnproved, stepLinkLost:
			if len(sent) == 0 {
				sent = []stage{s} // the notes of its beginning came later
			}
			name := "request"
			if l.first.ToXMPP {
				name = "barrier"
			}
			c := child(name, spanClient, sent[0], s.at)
			sent = sent[1:]
			c.Attributes = append(c.Attributes, attributes(textAttribute("stox.result", s.kind), intAttribute("sip.status", s.status), textAttribute("stox.condition", s.condition))...)
			if s.kind != stepProcessed && (s.kind != stepAnswer || s.status >= 300) {
				c.Status.Code = 2
			}
		case stepReported, stepUntold:
			if len(told) == 0 {
				told = []stage{s}
			}
			c := child("error", spanClient, told[0], s.at)
			told = told[1:]
			c.Attributes = append(c.Attributes, textAttribute("stox.result", s.kind))
		default:
			out[root].Events = append(out[root].Events, otlpEvent{nanos(s.at), s.kind,
				attributes(intAttribute("sip.status", s.status), textAttribute("stox.condition", s.condition), intAttribute("stox.request", s.n))})
		}
	}
	for _, s := range append(sent, told...) { // their ends were not told
		out[root].Events = append(out[root].Events, otlpEvent{nanos(s.at), s.kind, nil})
	}
	out[root].End = nanos(later(l.first.Read, end))
	switch l.outcome {
	case "delivered":
		out[root].Status.Code = 1
	case "failed", "refused", "uncertain":
		out[root].Status.Code = 2
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// randomID makes identifiers of traces and spans.
func randomID(octets int) string {
	b := make([]byte, octets)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// How a collector is asked.
const (
	otlpTimeout  = 10 * time.Second
	otlpTries    = 6
	otlpFirst    = time.Second      // between two attempts; twice as long each time ...
	otlpLongest  = 30 * time.Second // ... up to that, also if the collector wants more
	otlpLastWord = 3 * time.Second  // for what is left at the stop
	otlpWarnings = time.Minute
	maxReply     = 64 << 10
)

// exporter sends to one collector.
type exporter struct {
	url      string
	log      *slog.Logger
	http     *http.Client
	resource otlpResource
	id       func(int) string
	warned   time.Time // of run only

	sent, dropped atomic.Uint64 // messages
}

func newExporter(to, version, instance string, transport http.RoundTripper, log *slog.Logger) *exporter {
	if transport == nil {
		transport = &http.Transport{Proxy: http.ProxyFromEnvironment, MaxConnsPerHost: 1, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: otlpTimeout}
	}
	e := &exporter{url: tracesURL(to), log: log, id: randomID, http: &http.Client{
		Timeout:       otlpTimeout,
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	e.resource.Resource.Attributes = attributes(textAttribute("service.name", "stox"), textAttribute("service.version", version), textAttribute("service.instance.id", instance))
	return e
}

// tracesURL is where traces go: the configuration has the base of a collector, as is usual.
func tracesURL(base string) string {
	if strings.HasSuffix(base, "/v1/traces") {
		return base
	}
	return strings.TrimRight(base, "/") + "/v1/traces"
}

// run sends what comes until there is no more. When ctx is done each batch has one attempt.
func (e *exporter) run(ctx context.Context, full <-chan []*life) {
	defer e.http.CloseIdleConnections()
	var last time.Time // the end of all attempts, once ctx is done
	for batch := range full {
		body, err := e.encode(batch)
		if err == nil {
			err = e.send(ctx, body, &last)
		}
		if err != nil {
			e.dropped.Add(uint64(len(batch)))
			e.fault(err)
			continue
		}
		e.sent.Add(uint64(len(batch)))
	}
}

func (e *exporter) encode(batch []*life) ([]byte, error) {
	r := e.resource
	r.ScopeSpans = make([]otlpScope, 1)
	r.ScopeSpans[0].Scope.Name = "github.com/stoxgw/stox"
	for _, l := range batch {
		r.ScopeSpans[0].Spans = l.appendSpans(r.ScopeSpans[0].Spans, e.id)
	}
	return json.Marshal(otlpRequest{[]otlpResource{r}})
}

// send tries until the collector has it, or says that it will not, or it takes too long.
func (e *exporter) send(ctx context.Context, body []byte, last *time.Time) (err error) {
	wait := otlpFirst
	for try := 1; ; try++ {
		var again bool
		var after time.Duration
		if ctx.Err() == nil {
			again, after, err = e.post(ctx, body)
		}
		if ctx.Err() != nil { // before it, or amid it
			return e.lastWord(body, last)
		}
		if !again || try == otlpTries {
			return err
		}
		e.fault(err)
		timer := time.NewTimer(min(max(wait, after), otlpLongest))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		wait *= 2
	}
}

// lastWord tries once, at the stop. All batches together have otlpLastWord.
func (e *exporter) lastWord(body []byte, last *time.Time) error {
	if last.IsZero() {
		*last = time.Now().Add(otlpLastWord)
	}
	ctx, cancel := context.WithDeadline(context.Background(), *last)
	defer cancel()
	_, _, err := e.post(ctx, body)
	return err
}

// post makes one attempt. again says that another one is worth it, after a while if the
// collector says so.
func (e *exporter) post(ctx context.Context, body []byte) (again bool, after time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return false, 0, errors.New("the URL cannot be used")
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := e.http.Do(req)
	if err != nil {
		return true, 0, withoutURL(err)
	}
	defer resp.Body.Close()
	reply, _ := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	switch resp.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		return false, 0, rejected(reply)
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return true, time.Duration(min(max(seconds, 0), 3600)) * time.Second, fmt.Errorf("the collector answers %d", resp.StatusCode)
	}
	return false, 0, fmt.Errorf("the collector answers %d", resp.StatusCode)
}

// rejected is an error if the collector says that it has not taken all.
func rejected(reply []byte) error {
	var said struct {
		PartialSuccess struct {
			RejectedSpans json.RawMessage `json:"rejectedSpans"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(reply, &said) != nil {
		return nil // it need not say anything
	}
	if n := strings.Trim(string(said.PartialSuccess.RejectedSpans), `"`); n != "" && n != "0" && n != "null" {
		return errors.New("the collector has not taken all of them")
	}
	return nil
}

// withoutURL is err without the URL, which may have a password in it.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// fault says that spans do not arrive, not more than once a minute.
func (e *exporter) fault(err error) {
	now := time.Now()
	if !e.warned.IsZero() && now.Sub(e.warned) < otlpWarnings {
		return
	}
	e.warned = now
	e.log.Warn("spans of messages cannot be sent", "err", err, "remedy", "see whether the collector listens there and takes OTLP over HTTP, or correct log.otlp")
}
