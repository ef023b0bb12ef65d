package presence

import (
	"testing"

	"github.com/stoxgw/stox/mapping"
)

// A contact is shown while its subscription says that it is there.
func TestShows(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		shown := func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			r := h.relations.find(mapping.MustParseJID(juliet), mapping.MustParseJID(romeo))
			return r != nil && h.shows(r)
		}
		d := h.watching("x closed")
		if shown() {
			t.Error("shown although it is closed")
		}
		h.wantStatus(200, d.notify("active;expires=3600", document("x open")))
		if !shown() {
			t.Error("not shown although it is open")
		}
		h.presence(juliet, romeo, mapping.Unsubscribe)
		if shown() {
			t.Error("shown although nobody watches")
		}
	})
}
