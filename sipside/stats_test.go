package sipside

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// Responses are counted by method and class, and no method that a peer makes up has a name of
// its own.
func TestTraffic(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			b := newBridge(processed)
			u := start(t, testConfig(), b)
			p := siptest.Listen(t, network)
			for _, c := range []struct {
				method string
				status int
			}{{"MESSAGE", 200}, {"MESSAGE", 200}, {"OPTIONS", 200}, {"INVITE", 405}, {"ROMEO", 501}, {"message", 501}} {
				first := c.method + " sip:juliet@example.com SIP/2.0"
				res := p.Request(addr(u, network), siptest.Text("hi", lines(network, fresh(), first, "CSeq: 1 "+c.method)...))
				if res.Status() != c.status {
					t.Errorf("%s: %s", c.method, res.First)
				}
			}
			p.Answer(func(m *siptest.Message) string { return m.Reply(404, "Not Found") })
			u.Deliver(parcel("x", outgoing(p, 1)))
			if o := b.outcome("x"); o.Status != 404 {
				t.Errorf("%+v", o)
			}
			nobody := siptest.Listen(t, "tcp") // of whom nothing is left but the address
			gone := outgoing(nobody, 2)
			nobody.Close()
			u.Deliver(parcel("y", gone))
			if o := b.outcome("y"); o.Kind != mapping.NotWritten {
				t.Errorf("%+v", o)
			}
			got := described(u.Stats().Traffic())
			const want = "MESSAGE 2xx 2/0, MESSAGE 4xx 0/1, MESSAGE 0 unanswered 1 unsent, OPTIONS 2xx 1/0, INVITE 4xx 1/0, other 5xx 2/0"
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
			if l := u.Load(); l.Incoming != 0 || l.Outgoing != 0 || network == "tcp" && l.Accepted != 1 {
				t.Errorf("%+v", l)
			}
		})
	}
}

// described says what is not nothing: responses sent and received, requests without.
func described(all []Traffic) string {
	var got []string
	for _, m := range all {
		for i := range m.Sent {
			if m.Sent[i]+m.Received[i] > 0 {
				got = append(got, fmt.Sprintf("%s %dxx %d/%d", m.Method, i+1, m.Sent[i], m.Received[i]))
			}
		}
		if m.Unanswered+m.Unsent > 0 {
			got = append(got, fmt.Sprintf("%s %d unanswered %d unsent", m.Method, m.Unanswered, m.Unsent))
		}
	}
	return strings.Join(got, ", ")
}

// What is no status is counted nowhere, and nothing is where nobody counts.
func TestClasses(t *testing.T) {
	var c classes
	for _, status := range []int{0, 99, 700, 1000, -1, 100, 699} {
		c.add(status)
		(*classes)(nil).add(status)
	}
	if c[0].Load() != 1 || c[5].Load() != 1 {
		t.Error("1xx and 6xx")
	}
	for i := 1; i < 5; i++ {
		if c[i].Load() != 0 {
			t.Errorf("%dxx", i+1)
		}
	}
}
