package component

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// A stop reports everything that waits at once: far more than messages may fill,
// and none is lost.
func TestManyErrorsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, nil)
		const n = 20_000
		var batch []mapping.XMPP
		for i := range n {
			batch = append(batch, &mapping.XMPPError{From: message("", "").From, To: message("", "").To, ID: fmt.Sprint(i), Failure: mapping.FailShutdown()})
		}
		r.Deliver(parcels(batch...))
		r.stop()
		for i := range n {
			if st := conn.Next(); st.ID != fmt.Sprint(i) {
				t.Fatalf("error %d has the id %s", i, st.ID)
			}
			if o := r.sink.outcome(t, fmt.Sprint("ref", i)); o.Kind != mapping.Processed {
				t.Fatalf("error %d is %v", i, o)
			}
		}
	})
}
