package sipside

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestWhatIsInPieces: responses may leave in one piece, unless the configuration says no, and
// requests never, whether they leave for the first time or once more.
func TestWhatIsInPieces(t *testing.T) {
	for _, no := range []bool{false, true} {
		t.Run(fmt.Sprintf("NoGSO %t", no), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig()
				cfg.NoGSO = no
				u, m := memUA(t, cfg, newBridge(processed))
				var sent []string
				m.deny = func(p packet) error {
					what, _, _ := strings.Cut(string(p.b), " ")
					sent = append(sent, fmt.Sprint(what, " ", p.piece))
					return nil
				}
				m.in <- fromMem("z9hG4bK1")
				synctest.Wait()
				u.Deliver(parcel("one", toMem(1)))
				time.Sleep(timerT1 + time.Millisecond)
				synctest.Wait()
				want := []string{fmt.Sprint("SIP/2.0 ", !no), "MESSAGE false", "MESSAGE false"}
				if !slices.Equal(sent, want) {
					t.Errorf("sent %q, want %q", sent, want)
				}
			})
		})
	}
}
