package component

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoxgw/stox/mapping"
)

// However many there are, what is remembered is what the parser says; no more than so
// many are kept, and none that is long.
func TestAddresses(t *testing.T) {
	a := newAddresses()
	texts := []string{"", "@", "a@", "juliet@example.com", "Juliet@Example.COM/Balcony", "juliet@example.com/balcony", "žofie@example.cz/č", "ŽOFIE@example.cz", "a@b/" + strings.Repeat("x", 600), "a b@c", "[::1]"}
	for i := range 3 * len(a.slots) {
		texts = append(texts, fmt.Sprintf("User%d@example.com/r", i))
	}
	for range 3 {
		for _, text := range texts {
			want, wantErr := mapping.ParseJID(text)
			got, err := a.parse(text)
			if got != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Errorf("%q: %v, %v; want %v, %v", text, got, err, want, wantErr)
			}
		}
	}
	kept := 0
	for _, slot := range a.slots {
		if want, err := mapping.ParseJID(slot.text); slot.text != "" && (err != nil || want != slot.jid) {
			t.Errorf("%q is kept as %v", slot.text, slot.jid)
		}
		kept += len(slot.text)
	}
	if kept > len(a.slots)*smallTag {
		t.Errorf("%d octets are kept", kept)
	}
	unicode := "žofie@example.cz/č"
	if n := testing.AllocsPerRun(100, func() { a.parse(unicode) }); n > 0 {
		t.Errorf("%v allocations for what is known", n)
	}
}
