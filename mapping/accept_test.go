package mapping

import "testing"

// RFC 3261 §20.1: the most specific range decides, and q=0 refuses.
func TestAccepts(t *testing.T) {
	for _, c := range []struct {
		accept, media string
		want          bool
	}{
		{"text/plain", "text/plain", true},
		{"Text/Plain;charset=utf-8, message/CPIM ; q=0.5", "message/cpim", true},
		{"text/plain", "message/cpim", false},
		{"text/*", "text/html", true},
		{"*/*", "message/cpim", true},
		{"*/*, message/cpim;q=0", "message/cpim", false},
		{"message/*;q=0.0, */*", "message/cpim", false},
		{"message/cpim;q=0.001", "message/cpim", true},
		{"", "text/plain", false},
		{", ,;,/", "text/plain", false},
	} {
		if got := Accepts(c.accept, c.media); got != c.want {
			t.Errorf("%q, %s: %t", c.accept, c.media, got)
		}
	}
}
