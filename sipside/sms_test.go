package sipside

import (
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// IM-62: on a route that splits, a text to a telephone number has 160 characters at most,
// whatever they are in bytes. Nobody else's texts are counted.
func TestSMSLength(t *testing.T) {
	rep := strings.Repeat
	for _, c := range []struct {
		name, size string
		noVia      bool
		phone      bool
		body       string
		goes       bool
	}{
		{"160 characters", SizeSplit, false, true, rep("y", 160), true},
		{"161 characters", SizeSplit, false, true, rep("y", 161), false},
		{"160 characters in 480 bytes", SizeSplit, false, true, rep("漢", 160), true},
		{"161 characters in 483 bytes", SizeSplit, false, true, rep("漢", 161), false},
		{"160 emoji", SizeSplit, false, true, rep("👍", 160), true},
		{"without a via", SizeSplit, true, true, rep("y", 161), false},
		{"to a user", SizeSplit, false, false, rep("y", 161), true},
		{"a route that does not split", SizeTCP, false, true, rep("y", 161), true},
		{"a route that says nothing", "", false, true, rep("y", 161), true},
		{"a route that refuses", SizeReject, false, true, rep("y", 161), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := siptest.Listen(t, "udp")
			p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
			cfg := testConfig()
			route := Route{Domain: "127.0.0.1", Size: c.size, Via: mapping.URI{Scheme: "sip", Host: "127.0.0.1", Port: p.Addr().Port()}}
			if c.noVia {
				route.Via = mapping.URI{}
			}
			cfg.Routes = []Route{route}
			cfg.Local = true
			b := newBridge(nil)
			u := start(t, cfg, b)
			m := outgoing(p, 1)
			m.RequestURI.User, m.RequestURI.Phone = "5551234567", c.phone
			m.ContentType, m.Body = "text/plain;charset=utf-8", []byte(c.body)
			u.Deliver(parcel("x", m))
			o := b.outcome("x")
			if c.goes {
				if o.Kind != mapping.Answered || o.Chars != 0 || o.Room != 0 {
					t.Errorf("%+v", o)
				}
				return
			}
			if o.Kind != mapping.NotWritten || o.Failure.Status != 413 || o.Failure.Remedy == "" || strings.Contains(o.Failure.Text, "bytes") || o.Chars != 160 || o.Room <= len(c.body) {
				t.Fatalf("%+v %v", o, o.Failure)
			}
			if n := len(p.Requests()); n != 0 {
				t.Errorf("%d requests have left", n)
			}
			parts, ok := m.Split(o.Room, o.Chars)
			if !ok || len(parts) != 2 {
				t.Fatalf("%v, %v", parts, ok)
			}
			parts[1].FromTag, parts[1].CSeq = "tag", 2
			u.Deliver(parcel("part", parts[1]))
			if o := b.outcome("part"); o.Kind != mapping.Answered {
				t.Errorf("a part: %+v %v", o, o.Failure)
			}
		})
	}
}

// A text that no 99 messages can hold goes back, and the remedy says why.
func TestSMSTooLong(t *testing.T) {
	h := hop{rule: &Route{Size: SizeSplit}}
	size := h.count(&mapping.SIPMessage{RequestURI: mapping.URI{User: "5551234567", Host: "trunk.example", Phone: true}, Body: []byte(strings.Repeat("y", 70000))})
	for _, n := range []int{70400, 1000} {
		_, _, f := h.fit(n, 500, false, size.long)
		if f == nil || f.Status != 413 || f.Condition != mapping.CondPolicyViolation || f.Text != "The message is too long." || !strings.Contains(f.Remedy, "160 characters") {
			t.Errorf("%d bytes: %+v", n, f)
		}
	}
}
