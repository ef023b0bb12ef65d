package app

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
)

// spanCollector is a collector of spans in memory.
type spanCollector struct {
	mu   sync.Mutex
	urls []string
	all  []otlpSpan
	raw  strings.Builder
}

type otlpSpan struct {
	TraceID, SpanID, ParentSpanID, Name string
	Attributes                          []struct {
		Key   string
		Value struct{ StringValue, IntValue string }
	}
}

func (c *spanCollector) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var got struct {
		ResourceSpans []struct{ ScopeSpans []struct{ Spans []otlpSpan } }
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.urls = append(c.urls, r.URL.String())
	c.raw.Write(body)
	for _, resource := range got.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			c.all = append(c.all, scope.Spans...)
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}"))}, nil
}

// messages are the names of the spans of each message, by its stanza's id or Call-ID.
func (c *spanCollector) messages() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	traces := map[string][]string{}
	names := map[string]string{}
	for _, s := range c.all {
		name := s.Name
		for _, a := range s.Attributes {
			switch a.Key {
			case "stox.outcome", "sip.status", "stox.result", "sip.domain":
				name += " " + a.Value.StringValue + a.Value.IntValue
			case "xmpp.stanza_id":
				if s.Name == "message xmpp-sip" {
					names[s.TraceID] = a.Value.StringValue
				}
			case "sip.call_id":
				if s.Name == "message sip-xmpp" {
					names[s.TraceID] = a.Value.StringValue
				}
			}
		}
		traces[s.TraceID] = append(traces[s.TraceID], name)
	}
	out := map[string]string{}
	for trace, spans := range traces {
		slices.Sort(spans)
		out[names[trace]] = strings.Join(spans, ", ")
	}
	return out
}

// TestSpansOfADaemon: each message has its spans, both ways, whatever becomes of it; of people and
// their texts there is nothing.
func TestSpansOfADaemon(t *testing.T) {
	var c spanCollector
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := newHomeOn(t, Network{Collector: &c}, dir, func(m *siptest.Message) string { return m.Reply(200, "OK") }, "log: otlp='http://collector.invalid:4318/x'")
		h.toSIP("romeo", "m1", "a text")
		h.fromSIP(neighbour, 1, romeo, juliet, "another text")
		h.answering(func(m *siptest.Message) string { return m.Reply(404, "Not Found") })
		h.toSIP("nobody", "m2", "a third text")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		early := len(c.messages())
		h.fromSIP(neighbour, 2, romeo, juliet, "the last text")
		h.stop()
		if early != 3 {
			t.Errorf("%d messages before the stop", early)
		}
	})
	want := map[string]string{
		"m1":     "message xmpp-sip delivered 200 example.net, request answer 200",
		"m2":     "error reported, message xmpp-sip failed 404 example.net, request answer 404",
		"home-1": "barrier processed, message sip-xmpp delivered 200 example.net",
		"home-2": "barrier processed, message sip-xmpp delivered 200 example.net",
	}
	got := c.messages()
	for id, spans := range want {
		if g := strings.ReplaceAll(got[id], "journal, ", ""); g != spans {
			t.Errorf("%s: %s\nwant %s", id, g, spans)
		}
	}
	if len(got) != len(want) || c.urls[0] != "http://collector.invalid:4318/x/v1/traces" {
		t.Errorf("%d messages, %q", len(got), c.urls)
	}
	for _, private := range []string{"text", "juliet", "romeo", "nobody"} {
		if strings.Contains(strings.ReplaceAll(c.raw.String(), "service.", ""), private) {
			t.Errorf("%q is in the spans", private)
		}
	}
}

// TestSIPDomainOf: the domain, and never a user.
func TestSIPDomainOf(t *testing.T) {
	for address, want := range map[string]string{
		"sip:romeo@example.net": "example.net", "romeo@example.net;x=y": "example.net", "sip:+1555@p.example;user=phone": "p.example",
		"sip:example.net": "", "tel:+1555": "", "": "", "sip:a@b@c": "", "<sip:romeo@example.net>": "example.net",
	} {
		if got := sipDomainOf(address); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}
