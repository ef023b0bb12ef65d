package mapping

import (
	"testing"
	"time"
)

// IM-24, IM-25.
func TestDelay(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	var never time.Time
	now := at("2026-01-15T10:00:00Z")
	for _, c := range []struct {
		name           string
		sent, received time.Time
		expires        time.Duration
		want           time.Time
		late           bool
	}{
		{"nothing said", never, now, 0, never, false},
		{"M-029", at("2026-01-15T09:50:00Z"), now, time.Hour, at("2026-01-15T09:50:00Z"), false},
		{"M-057", at("2026-01-15T09:50:00Z"), now, 5 * time.Minute, at("2026-01-15T09:50:00Z"), true},
		{"a minute", at("2026-01-15T09:59:00Z"), now, 0, never, false},
		{"more than a minute", at("2026-01-15T09:58:59Z"), now, 0, at("2026-01-15T09:58:59Z"), false},
		{"just", at("2026-01-15T10:00:00Z"), now, time.Second, never, false},
		{"to the second", at("2026-01-15T09:59:50Z"), now, 10 * time.Second, at("2026-01-15T09:59:50Z"), true},
		{"a second left", at("2026-01-15T09:59:50Z"), now, 11 * time.Second, never, false},
		{"another zone", at("2026-01-15T11:50:00+02:00"), now, 0, at("2026-01-15T09:50:00Z"), false},
		{"the future", at("2026-01-15T10:00:01Z"), now, time.Nanosecond, never, false},
		{"a clock that was never set", at("1970-01-01T00:00:07Z"), now, time.Second, never, false},
		{"before SIP", at("2002-05-31T23:59:59Z"), now, time.Second, never, false},
		{"since SIP", at("2002-06-01T00:00:00Z"), now, 0, at("2002-06-01T00:00:00Z"), false},
		{"no clock of ours", at("2026-01-15T09:50:00Z"), never, time.Second, never, false},
		{"no date", never, now, time.Nanosecond, never, false},
		{"nonsense", at("2026-01-15T09:59:59Z"), now, -time.Second, never, false},
	} {
		m := sipMessage("hi")
		m.Date, m.Received, m.Expires = c.sent, c.received, c.expires
		got, err := testRules(t).ToXMPP(m)
		if err != nil || len(got) != 1 {
			t.Fatalf("%s: %v, %v", c.name, got, err)
		}
		if d := got[0].(*XMPPMessage).Delay; d != c.want {
			t.Errorf("%s: %s, want %s", c.name, d, c.want)
		}
		r := testRules(t)
		r.refuseExpired = true
		got, err = r.ToXMPP(m)
		if c.late {
			if f := failure(t, err); f.Status != 480 { // M-058
				t.Errorf("%s: %v", c.name, f)
			}
		} else if err != nil || len(got) != 1 || got[0].(*XMPPMessage).Delay != c.want {
			t.Errorf("%s, refused: %v, %v", c.name, got, err)
		}
	}
}
