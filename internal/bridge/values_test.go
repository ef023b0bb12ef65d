package bridge

import (
	"math/rand/v2"
	"net/url"
	"testing"
)

// What is written of a message that its sender wants to hear about is what net/url would
// write, and reads back.
func TestValues(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 48))
	keys := []string{"contact", "date", "message", "original", "route", "route", "user", "wants"}
	for range 2000 {
		want := url.Values{}
		var got values
		for _, k := range keys {
			if rnd.IntN(3) == 0 {
				continue
			}
			b := make([]byte, rnd.IntN(20))
			for i := range b {
				b[i] = byte(rnd.IntN(256))
			}
			want.Add(k, string(b))
			got = append(got, value{k, string(b)})
		}
		if g, w := string(got.appendTo(nil)), want.Encode(); g != w {
			t.Fatalf("%q, want %q", g, w)
		}
	}
	if g, w := string(values{{"user", "juliet@example.com/a b"}}.appendTo([]byte("x "))), "x user=juliet%40example.com%2Fa+b"; g != w {
		t.Errorf("%q, want %q", g, w)
	}
}
