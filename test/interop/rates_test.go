//go:build interop

package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// SEC-24: who sends more than limits.user_rate is told so, of every message that did not go;
// the others go, and nobody else is held up.
func TestUserRate(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		const burst, sent = 10, 40 // ten times the rate at once
		s, err := w.SIPpServe(w.ctx, "tcp", sent+1, 200, "OK")
		w.must(err)
		w.stox.Env = append(w.stox.Env, "STOX_LIMITS_USER_RATE=1")
		w.run(via("*", s.Port, "tcp"))
		fast, other := w.login(juliet), w.login(romeo)
		id := func(i int) string { return fmt.Sprintf("fast-%02d-", i) }
		for i := range sent {
			w.must(fast.Message(id(i), "mercutio@"+w.component, "number "+id(i)))
		}
		w.must(other.Message("slow", "mercutio@"+w.component, "of another user"))
		refused := map[string]bool{}
		for i := range sent {
			line, _, err := w.stox.WaitLine(w.ctx, 0, "id="+id(i))
			w.must(err)
			if strings.Contains(line, "msg=delivered") {
				continue
			}
			refused[id(i)] = true
			st := w.await(fast, "the refusal", stage.WithID(id(i)))
			if st.Condition != "resource-constraint" || st.ErrorType != "wait" || !strings.Contains(st.ErrorText, "You send too many messages. Try again in ") {
				t.Errorf("the user got %s", st.Raw)
			}
		}
		if n := len(refused); n == 0 || n > sent-burst {
			t.Errorf("%d of %d messages were refused", n, sent)
		}
		all, err := s.AwaitRequests(w.ctx, sent-len(refused)+1)
		w.must(err)
		for i := range sent {
			arrived := 0
			for _, r := range all {
				if strings.HasSuffix(r, "\n\nnumber "+id(i)) {
					arrived++
				}
			}
			if want := map[bool]int{true: 0, false: 1}[refused[id(i)]]; arrived != want {
				t.Errorf("message %d arrived %d times, want %d", i, arrived, want)
			}
		}
		w.crossed(passage{stage.XMPPClientName(), roleClient, transportStream, toSIP, "refused beyond limits.user_rate, with the seconds to wait"}, "40 messages at once")
	})
}
