package presence

import (
	"testing"
	"time"
)

// Tokens let a number pass at once, and then one in its time; those that were not used are
// not more than that number.
func TestPaceTokens(t *testing.T) {
	tokens := tokens{every: time.Second, burst: 3}
	now := time.Unix(1000, 0)
	pass := func() (n int) {
		for tokens.take(now) {
			n++
		}
		return n
	}
	for i, tt := range []struct {
		wait time.Duration
		want int
	}{{0, 3}, {time.Second - 1, 0}, {1, 1}, {2 * time.Second, 2}, {time.Hour, 3}} {
		now = now.Add(tt.wait)
		if got := pass(); got != tt.want {
			t.Errorf("%d: %d pass, want %d", i, got, tt.want)
		}
		if next := tokens.next(now); !next.After(now) {
			t.Errorf("%d: there is none left, and the next one is there", i)
		}
	}
}

// A quota is each one's own. When it can remember no more, those whom it does not know wait
// until it may forget somebody.
func TestPaceQuota(t *testing.T) {
	q := newQuota[string](time.Minute, 2, 3)
	now := time.Unix(1000, 0)
	take := func(who string) bool {
		if !q.has(who, now) {
			return false
		}
		q.take(who, now)
		return true
	}
	for i, tt := range []struct {
		who  string
		wait time.Duration
		want bool
	}{
		{"a", 0, true}, {"a", 0, true}, {"a", 0, false}, {"b", 0, true}, {"c", 0, true},
		{"d", 0, false}, {"b", 0, true}, {"a", time.Minute, true}, {"d", 0, true}, {"e", 0, false}, {"e", 2 * time.Minute, true},
	} {
		now = now.Add(tt.wait)
		if got := take(tt.who); got != tt.want {
			t.Errorf("%d: %s may: %v, want %v", i, tt.who, got, tt.want)
		}
	}
	if len(q.full) > 3 {
		t.Errorf("it remembers %d", len(q.full))
	}
}

// Everybody has his turn, and his own things in order.
func TestPaceTurns(t *testing.T) {
	q := newTurns[string]()
	for _, v := range []string{"a1", "a2", "a3", "b1", "c1", "c2"} {
		q.push(v[:1], v)
	}
	got := ""
	for !q.empty() {
		v := q.pop()
		if got += v + " "; v == "b1" {
			q.push("b", "b2") // who has had his turn comes behind the others
		}
	}
	if want := "a1 b1 c1 a2 b2 c2 a3 "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(q.of) > 0 {
		t.Errorf("it remembers %v", q.of)
	}
}
