package sipside

import (
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// IM-59 decides by the status that SIP answered: it has to get there as it came, also
// where a sender is told another one.
func TestStatusAsAnswered(t *testing.T) {
	b := newBridge(nil)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "udp")
	for i, tt := range []struct{ status, told int }{
		{300, 300}, {302, 302}, {401, 403}, {404, 404}, {407, 403}, {408, 504}, {413, 413}, {430, 430}, {480, 480}, {482, 482},
		{486, 486}, {500, 500}, {503, 503}, {504, 504}, {600, 600}, {603, 603}, {699, 699},
	} {
		p.Answer(func(m *siptest.Message) string { return m.Reply(tt.status, "What") })
		u.Deliver(parcel(i, outgoing(p, i)))
		o := b.outcome(i)
		if o.Kind != mapping.Answered || o.Status != tt.status || o.Failure == nil || o.Failure.Status != tt.told || o.More {
			t.Errorf("%d: %+v %+v", tt.status, o, o.Failure)
		}
	}
}

// SIP-23: RFC 3261 §20.33, the examples there first.
func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"18000;duration=3600":       5 * time.Hour,
		"120 (I'm in a meeting)":    2 * time.Minute,
		"5 (a \\) b) ; duration=60": 5 * time.Second,
		" 7\t":                      7 * time.Second,
		"3(x)":                      3 * time.Second,
		"0":                         time.Second, // present all the same
		"000000000000":              time.Second,
		"86400":                     24 * time.Hour,
		"86401":                     24 * time.Hour,
		"99999999999999999999999":   24 * time.Hour,
		"":                          0,
		"soon":                      0,
		"-5":                        0,
		"1.5":                       0,
		"12x":                       0,
		"(in) 5":                    0,
		"Sun, 06 Nov 1994":          0,
	} {
		if got := parseRetryAfter(value); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

// What of a response is kept for long does not keep the message around it.
func TestAnswersKeepNoMessage(t *testing.T) {
	const n, size = 64, 256 << 10
	before := heap()
	var outcomes []mapping.Outcome
	for range n {
		text := "SIP/2.0 503 Busy here\r\n" + strings.Repeat(" ", size) + "e7a9"
		outcomes = append(outcomes, finalOutcome(methodMessage, 503, text[:21], &fields{}))
		outcomes = append(outcomes, finalOutcome(methodPublish, 200, "SIP/2.0 200 OK", &fields{event: &eventFields{etag: []string{text[len(text)-4:]}}}))
	}
	if kept := int64(heap() - before); kept > n*size/4 {
		t.Errorf("%d outcomes keep %d bytes", len(outcomes), kept)
	}
	for i := 0; i < len(outcomes); i += 2 {
		if f, a := outcomes[i].Failure, outcomes[i+1].Event; f.Reason != "Busy here" || a.ETag != "e7a9" {
			t.Fatalf("%q, %q", f.Reason, a.ETag)
		}
	}
}
