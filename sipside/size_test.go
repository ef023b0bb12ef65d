package sipside

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// TestBigGoesToTCP: a request of more than 1300 bytes to a UDP route is sent over
// TCP to the same next hop, and its Via says so (SIP-07).
func TestBigGoesToTCP(t *testing.T) {
	p := siptest.Listen(t, "tcp")
	p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	cfg := testConfig()
	cfg.Routes = []Route{{Domain: "*", Via: mapping.URI{Scheme: "sip", Host: "127.0.0.1", Port: p.Addr().Port()}}}
	b := newBridge(nil)
	u := start(t, cfg, b)
	m := outgoing(p, 1)
	m.RequestURI = mapping.URI{Scheme: "sip", User: "romeo", Host: "example.net"}
	m.Body = []byte(strings.Repeat("x", 1300))
	u.Deliver(parcel("x", m))
	if o := b.outcome("x"); o.Kind != mapping.Answered {
		t.Fatalf("%+v", o)
	}
	if via := p.Await(1)[0].Get("Via"); !strings.HasPrefix(via, "SIP/2.0/TCP ") {
		t.Errorf("Via %s", via)
	}
}

// SIP-07, IM-30, EL-005: where TCP is not taken a request that goes there for its size
// only is too long, not undeliverable. One that was to go over TCP anyway is not.
func TestNoTCPForBig(t *testing.T) {
	for _, tt := range []struct {
		transport, body string
		cond            mapping.Condition
		typ             mapping.ErrorType
	}{
		{"", strings.Repeat("x", 1300), mapping.CondPolicyViolation, mapping.TypeModify},
		{"udp", strings.Repeat("x", 1300), mapping.CondPolicyViolation, mapping.TypeModify},
		{"tcp", strings.Repeat("x", 1300), mapping.CondRemoteServerTimeout, mapping.TypeWait},
		{"tcp", "x", mapping.CondRemoteServerTimeout, mapping.TypeWait},
	} {
		closed := siptest.Listen(t, "tcp")
		closed.Close()
		cfg := testConfig()
		cfg.Routes = []Route{{Domain: "*", Via: mapping.URI{Scheme: "sip", Host: "127.0.0.1", Port: closed.Addr().Port(), Transport: tt.transport}}}
		b := newBridge(nil)
		u := start(t, cfg, b)
		m := outgoing(closed, 1)
		m.RequestURI = mapping.URI{Scheme: "sip", User: "romeo", Host: "example.net"}
		m.Body = []byte(tt.body)
		u.Deliver(parcel("x", m))
		o := b.outcome("x")
		if o.Kind != mapping.NotWritten || o.Failure.Condition != tt.cond || o.Failure.Type != tt.typ || !errors.Is(o.Failure, syscall.ECONNREFUSED) || o.Failure.Remedy == "" {
			t.Errorf("%q, %d bytes: %+v %v", tt.transport, len(tt.body), o, o.Failure)
		}
	}
}
