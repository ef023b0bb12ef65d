package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var born = time.Unix(1767225600, 123456789)

// after is so many milliseconds after the message was read.
func after(ms int) time.Time { return born.Add(time.Duration(ms) * time.Millisecond) }

// steps completes steps of one message.
func steps(key uint64, toXMPP bool, all ...Step) []Step {
	for i := range all {
		s := &all[i]
		s.Key, s.ToXMPP, s.Read, s.ID, s.CallID, s.Peer = key, toXMPP, born, "m1", "call-1", "example.net"
	}
	return all
}

// counting makes identifiers that are numbers.
func counting() func(int) string {
	n := 0
	return func(octets int) string { n++; return fmt.Sprintf("%0*x", 2*octets, n) }
}

// TestOTLPGolden: the JSON of a message, as the protocol describes it.
func TestOTLPGolden(t *testing.T) {
	s := NewSpans("http://collector.example:4318", "v1", "sip.example.com", nil, slog.New(slog.DiscardHandler))
	s.to.id = counting()
	s.Put(steps(1, false, Step{Kind: "read", At: after(0)}, Step{Kind: "early", At: after(1), N: 1}, Step{Kind: "journaled", At: after(5)},
		Step{Kind: "answer", At: after(7), Status: 200}, Step{At: after(7), Status: 200, Outcome: "delivered"}))
	got, err := s.to.encode(s.ending)
	if err != nil {
		t.Fatal(err)
	}
	attr := func(key, value string) string { return `{"key":"` + key + `","value":{"stringValue":"` + value + `"}}` }
	number := func(key, value string) string { return `{"key":"` + key + `","value":{"intValue":"` + value + `"}}` }
	want := `{"resourceSpans":[{"resource":{"attributes":[` + attr("service.name", "stox") + "," + attr("service.version", "v1") + "," + attr("service.instance.id", "sip.example.com") + `]},` +
		`"scopeSpans":[{"scope":{"name":"github.com/stoxgw/stox"},"spans":[` +
		`{"traceId":"00000000000000000000000000000001","spanId":"0000000000000002","name":"message xmpp-sip","kind":2,` +
		`"startTimeUnixNano":"1767225600123456789","endTimeUnixNano":"1767225600130456789","attributes":[` +
		attr("stox.direction", "xmpp-sip") + "," + attr("stox.outcome", "delivered") + "," + number("sip.status", "200") + "," + attr("sip.domain", "example.net") + "," + attr("sip.call_id", "call-1") + "," + attr("xmpp.stanza_id", "m1") +
		`],"status":{"code":1}},` +
		`{"traceId":"00000000000000000000000000000001","spanId":"0000000000000003","parentSpanId":"0000000000000002","name":"journal","kind":1,"startTimeUnixNano":"1767225600123456789","endTimeUnixNano":"1767225600128456789","status":{}},` +
		`{"traceId":"00000000000000000000000000000001","spanId":"0000000000000004","parentSpanId":"0000000000000002","name":"request","kind":3,"startTimeUnixNano":"1767225600124456789","endTimeUnixNano":"1767225600130456789","attributes":[` +
		number("stox.request", "1") + "," + attr("stox.result", "answer") + "," + number("sip.status", "200") + `],"status":{}}]}]}]}`
	if string(got) != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// seenSpan is a span as a collector has it.
type seenSpan struct {
	trace, id, parent, name string
	from, to                int // ms after born
	failed                  bool
	attributes              map[string]string
	events                  []string
}

// decodeOTLP reads a request as a collector does, and says what it misses.
func decodeOTLP(t *testing.T, body []byte) (all []seenSpan) {
	t.Helper()
	type value struct{ StringValue, IntValue *string }
	type attribute struct {
		Key   string
		Value value
	}
	var r struct {
		ResourceSpans []struct {
			Resource   struct{ Attributes []attribute }
			ScopeSpans []struct {
				Spans []struct {
					TraceId, SpanId, ParentSpanId, Name string
					Kind                                int
					StartTimeUnixNano, EndTimeUnixNano  string
					Attributes                          []attribute
					Events                              []struct{ TimeUnixNano, Name string }
					Status                              struct{ Code int }
				}
			}
		}
	}
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	ms := func(s string) int {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Errorf("time %q", s)
		}
		return int(time.Unix(0, n).Sub(born).Milliseconds())
	}
	for _, resource := range r.ResourceSpans {
		if len(resource.Resource.Attributes) == 0 || *resource.Resource.Attributes[0].Value.StringValue != "stox" {
			t.Errorf("resource %+v", resource.Resource)
		}
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				one := seenSpan{trace: s.TraceId, id: s.SpanId, parent: s.ParentSpanId, name: s.Name, from: ms(s.StartTimeUnixNano), to: ms(s.EndTimeUnixNano), failed: s.Status.Code == 2, attributes: map[string]string{}}
				if len(s.TraceId) != 32 || len(s.SpanId) != 16 || s.Kind < 1 || s.Kind > 3 || one.to < one.from {
					t.Errorf("%+v", s)
				}
				for _, a := range s.Attributes {
					switch {
					case a.Value.StringValue != nil:
						one.attributes[a.Key] = *a.Value.StringValue
					case a.Value.IntValue != nil:
						one.attributes[a.Key] = *a.Value.IntValue
					default:
						t.Errorf("%s has no value", a.Key)
					}
				}
				for _, e := range s.Events {
					one.events = append(one.events, fmt.Sprint(e.Name, " ", ms(e.TimeUnixNano)))
				}
				all = append(all, one)
			}
		}
	}
	return all
}

// describe is a message's spans, shortly.
func describe(all []seenSpan) string {
	var out []string
	for _, s := range all {
		line := fmt.Sprintf("%s %d-%d", s.name, s.from, s.to)
		for _, key := range []string{"stox.result", "sip.status", "stox.condition", "stox.outcome"} {
			if v := s.attributes[key]; v != "" {
				line += " " + v
			}
		}
		if s.failed {
			line += "!"
		}
		if len(s.events) > 0 {
			line += " " + fmt.Sprint(s.events)
		}
		out = append(out, line)
	}
	return strings.Join(out, ", ")
}

// TestSpans: what the life of a message looks like, however it goes.
func TestSpans(t *testing.T) {
	for _, tt := range []struct {
		name   string
		toXMPP bool
		steps  []Step
		want   string
	}{
		{"refused by SIP", false, []Step{{Kind: "read", At: after(0)}, {Kind: "journaled", At: after(3)}, {Kind: "sent", At: after(3), N: 1}, {Kind: "answer", At: after(9), Status: 404, Condition: "item-not-found"},
			{At: after(9), Status: 404, Condition: "item-not-found", Outcome: "failed"}, {Kind: "told", At: after(9)}, {Kind: "reported", At: after(12)}},
			"message xmpp-sip 0-12 404 item-not-found failed!, journal 0-3, request 3-9 answer 404 item-not-found!, error 9-12 reported"},
		{"tried again", false, []Step{{Kind: "read", At: after(0)}, {Kind: "early", At: after(0), N: 1}, {Kind: "answer", At: after(5), Status: 503}, {Kind: "retry", At: after(5)},
			{Kind: "sent", At: after(1000), N: 2}, {Kind: "no-answer", At: after(33000)}, {Kind: "retry", At: after(33000)}, {Kind: "sent", At: after(40000), N: 3}, {Kind: "answer", At: after(40005), Status: 202}, {At: after(40005), Status: 202, Outcome: "delivered"}},
			"message xmpp-sip 0-40005 202 delivered [retry 5 retry 33000], request 0-5 answer 503!, request 1000-33000 no-answer!, request 40000-40005 answer 202"},
		{"from SIP", true, []Step{{Kind: "read", At: after(0)}, {Kind: "sent", At: after(0)}, {Kind: "joined", At: after(2)}, {Kind: "processed", At: after(4)}, {Kind: "answered", At: after(4), Status: 200, Outcome: "delivered"}},
			"message sip-xmpp 0-4 200 delivered [joined 2 answered 4], barrier 0-4 processed"},
		{"bounced", true, []Step{{Kind: "read", At: after(0)}, {Kind: "sent", At: after(0)}, {Kind: "bounced", At: after(4)}, {Kind: "answered", At: after(4), Status: 480, Outcome: "failed", Condition: "service-unavailable"}},
			"message sip-xmpp 0-4 480 service-unavailable failed! [answered 4], barrier 0-4 bounced!"},
		{"refused", true, []Step{{Kind: "refused", At: after(0), Status: 403, Outcome: "refused"}}, "message sip-xmpp 0-0 403 refused! [refused 0]"},
		{"out of order", false, []Step{{Kind: "read", At: after(0)}, {Kind: "answer", At: after(8), Status: 200}, {At: after(8), Status: 200, Outcome: "delivered"}, {Kind: "sent", At: after(2), N: 1}, {Kind: "journaled", At: after(1)}},
			"message xmpp-sip 0-8 200 delivered, journal 0-1, request 2-8 answer 200"},
		{"halves", false, []Step{{Kind: "sent", At: after(1)}, {Kind: "reported", At: after(2)}, {Kind: "told", At: after(3)}, {At: after(3), Outcome: "failed"}},
			"message xmpp-sip 0-3 failed! [sent 1 told 3], error 2-2 reported"},
	} {
		s := NewSpans("http://collector.example:4318", "v1", "", nil, slog.New(slog.DiscardHandler))
		s.Put(steps(7, tt.toXMPP, tt.steps...))
		body, err := s.to.encode(s.ending)
		if err != nil {
			t.Fatal(err)
		}
		all := decodeOTLP(t, body)
		if got := describe(all); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
		ids := map[string]bool{}
		for i, one := range all {
			if one.trace != all[0].trace || ids[one.id] || i > 0 && one.parent != all[0].id {
				t.Errorf("%s: %+v", tt.name, one)
			}
			ids[one.id] = true
		}
	}
}

// TestSpansToACollector: over HTTP, with a path of its own or without.
func TestSpansToACollector(t *testing.T) {
	for _, path := range []string{"", "/", "/v1/traces", "/otlp"} {
		var mu sync.Mutex
		var got []seenSpan
		var asked []string
		collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			defer mu.Unlock()
			user, password, _ := r.BasicAuth()
			asked = append(asked, r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type")+" "+user+":"+password)
			got = append(got, decodeOTLP(t, body)...)
			io.WriteString(w, `{"partialSuccess":{}}`)
		}))
		s := NewSpans(strings.Replace(collector.URL, "://", "://me:pass@", 1)+path, "v1", "", nil, slog.New(slog.DiscardHandler))
		for i := range uint64(maxBatch + 1) {
			s.Put(steps(i, false, Step{Kind: "read", At: after(0)}, Step{At: after(7), Status: 200, Outcome: "delivered"}))
		}
		s.Put(steps(1<<40, false, Step{Kind: "read", At: after(0)})) // is still open
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
		collector.Close()
		want := "POST " + map[string]string{"/otlp": "/otlp"}[path] + "/v1/traces application/json me:pass"
		if !slices.Equal(asked, []string{want, want}) || len(got) != maxBatch+1 || s.Stats() != (SpanStats{Sent: maxBatch + 1}) {
			t.Errorf("%q: %q, %d spans, %+v", path, asked, len(got), s.Stats())
		}
	}
}

// fakeCollector is one in a bubble: status, Retry-After, or an error.
type fakeCollector struct {
	mu     sync.Mutex
	answer func(n int) (int, string, error)
	times  []time.Time
	bodies [][]byte
}

func (f *fakeCollector) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.times, f.bodies = append(f.times, time.Now()), append(f.bodies, body)
	n := len(f.times)
	f.mu.Unlock()
	status, after, err := f.answer(n)
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	h.Set("Retry-After", after)
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(""))}, nil
}

// TestCollectorFails: what may pass is tried again, ever later, and given up in the end; what does
// not pass is not. The log says so, and without the URL.
func TestCollectorFails(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(n int) (int, string, error)
		gaps   string
		sent   uint64
	}{
		{"comes back", func(n int) (int, string, error) {
			if n < 3 {
				return 0, "", errors.New("connection refused")
			}
			return 200, "", nil
		}, "1s 2s", 1},
		{"says when", func(n int) (int, string, error) {
			return []int{429, 503, 200}[n-1], []string{"7", "4000", ""}[n-1], nil
		}, "7s 30s", 1},
		{"never", func(int) (int, string, error) { return 503, "", nil }, "1s 2s 4s 8s 16s", 0},
		{"refuses", func(int) (int, string, error) { return 400, "", nil }, "", 0},
		{"redirects", func(int) (int, string, error) { return 302, "", nil }, "", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			b, f := new(book), &fakeCollector{answer: tt.answer}
			s := NewSpans("http://me:pass@collector.example:4318", "v1", "", nil, slog.New(slog.NewJSONHandler(b, nil)))
			s.to.http.Transport = f
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- s.Run(ctx) }()
			s.Put(steps(1, false, Step{Kind: "read", At: after(0)}, Step{At: after(7), Outcome: "delivered"}))
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			var gaps []string
			for i := 1; i < len(f.times); i++ {
				gaps = append(gaps, f.times[i].Sub(f.times[i-1]).String())
				if !bytes.Equal(f.bodies[i], f.bodies[0]) {
					t.Errorf("%s: another body", tt.name)
				}
			}
			if got := strings.Join(gaps, " "); got != tt.gaps || s.Stats() != (SpanStats{Sent: tt.sent, Dropped: 1 - tt.sent}) {
				t.Errorf("%s: after %s, %+v", tt.name, got, s.Stats())
			}
			if n := strings.Count(b.String(), "spans of messages cannot be sent"); n != 1 || strings.Contains(b.String(), "me:pass") {
				t.Errorf("%s: %d warnings\n%s", tt.name, n, b)
			}
			cancel()
			<-done
		})
	}
}

// TestStopWithoutCollector: a stop waits for a collector that hangs for so long and no longer,
// however much there is to be sent.
func TestStopWithoutCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSpans("http://collector.example:4318", "v1", "", nil, slog.New(slog.DiscardHandler))
		s.to.http.Transport = hanging{}
		for i := range uint64(3 * maxBatch) {
			s.Put(steps(i, false, Step{Kind: "read", At: after(0)}, Step{At: after(7), Outcome: "delivered"}))
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(5 * time.Second) // an attempt is under way
		began := time.Now()
		cancel()
		<-done
		if took := time.Since(began); took > otlpLastWord {
			t.Errorf("it took %v", took)
		}
		if s.Stats() != (SpanStats{Dropped: 3 * maxBatch}) {
			t.Errorf("%+v", s.Stats())
		}
	})
}

type hanging struct{}

func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestSpansAreBounded: more messages than are kept, messages without end, steps without end, and
// a collector that takes nothing: what is kept is bounded, the rest is counted.
func TestSpansAreBounded(t *testing.T) {
	s := NewSpans("http://collector.example:4318", "v1", "", nil, slog.New(slog.DiscardHandler))
	for i := range uint64(maxLives + 100) { // these never end
		s.Put(steps(i, false, Step{Kind: "read", At: after(0)}))
	}
	if len(s.lives) != maxLives || s.Stats().Dropped != 100 {
		t.Errorf("%d lives, %+v", len(s.lives), s.Stats())
	}
	for i := range uint64(3 * maxLives) { // these do, and nobody takes them
		s.Put(steps(1<<32+i, false, Step{Kind: "read", At: after(0)}, Step{At: after(1), Outcome: "delivered"}))
		if i%1000 == 0 {
			s.collect(time.Time{})
		}
	}
	s.collect(time.Time{})
	s.collect(time.Time{})
	if len(s.full) != batches || len(s.queue) > 2*maxLives+1000 || len(s.ending) > 0 {
		t.Errorf("%d batches, %d queued, %d ending", len(s.full), len(s.queue), len(s.ending))
	}
	if want := uint64(maxLives + 100 + 3*maxLives); s.Stats().Dropped+uint64(len(s.lives))+held(s.full) != want {
		t.Errorf("%d dropped, %d open, not %d in all", s.Stats().Dropped, len(s.lives), want)
	}

	one := NewSpans("http://collector.example:4318", "v1", "", nil, slog.New(slog.DiscardHandler))
	for i := range 1000 {
		one.Put(steps(1, false, Step{Kind: "sent", At: after(i), Condition: strings.Repeat("é", 1000), N: i}))
	}
	one.Put(steps(1, false, Step{At: after(1000), Outcome: "failed"}))
	l := one.ending[0]
	if len(l.stages) != maxStages || l.omitted != 1000-maxStages || l.stages[0].n != 0 || l.stages[maxStages-1].n != 999 || len(l.stages[1].condition) > maxLabel {
		t.Errorf("%d stages, %d omitted: %+v", len(l.stages), l.omitted, l.stages)
	}
}

// held is how many messages wait in a channel that nobody reads any more.
func held(full chan []*life) (n uint64) {
	for range len(full) {
		n += uint64(len(<-full))
	}
	return n
}

// TestAfterTheEnd: what is told of a message whose spans have left begins none, unless it has
// come again as a message of its own.
func TestAfterTheEnd(t *testing.T) {
	s := NewSpans("http://collector.example:4318", "v1", "", nil, slog.New(slog.DiscardHandler))
	s.Put(steps(1, true, Step{Kind: "read", At: after(0)}, Step{Kind: "answered", At: after(1), Outcome: "delivered"}))
	s.Put(steps(1, true, Step{Kind: "read", At: after(2)})) // while the first is waited for
	if len(s.lives) != 1 || len(s.ending) != 1 {
		t.Errorf("%d lives, %d ending", len(s.lives), len(s.ending))
	}
	s.collect(time.Time{})
	if len(s.lives) != 1 {
		t.Error("the second has gone with the first")
	}
	s.Put(steps(1, true, Step{Kind: "answered", At: after(3), Outcome: "delivered"}))
	s.collect(time.Time{})
	for _, kind := range []string{"late", "repeated", "receipt", ""} {
		s.Put(steps(1, true, Step{Kind: kind, At: after(9), Outcome: "uncertain"}))
	}
	if len(s.lives) != 0 || len(s.full) != 2 {
		t.Errorf("%d lives, %d batches", len(s.lives), len(s.full))
	}
}

// TestPutWhileRunning: from many sides, while spans are sent; every message is accounted for.
func TestPutWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSpans("http://collector.example:4318", "v1", "", nil, slog.New(slog.DiscardHandler))
		s.to.http.Transport = &fakeCollector{answer: func(int) (int, string, error) { return 200, "", nil }}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		var wg sync.WaitGroup
		for g := range uint64(4) {
			wg.Go(func() {
				for i := range uint64(500) {
					key := g<<32 | i
					s.Put(steps(key, g%2 == 0, Step{Kind: "read", At: time.Now()}))
					s.Put(steps(key, g%2 == 0, Step{Kind: "answered", At: time.Now(), Outcome: "delivered"}))
					time.Sleep(time.Millisecond)
				}
			})
		}
		wg.Wait()
		time.Sleep(linger + collect + time.Second)
		synctest.Wait()
		if s.Stats() != (SpanStats{Sent: 2000}) || len(s.lives) > 0 {
			t.Errorf("%+v, %d lives", s.Stats(), len(s.lives))
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
