package history

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func same(s string) string { return s }

func TestLadder(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		m    Message
		want string
	}{
		{Message{Steps: []Step{
			{Kind: Read}, {Kind: Early, N: 1}, {After: 2 * ms, Kind: Journaled}, {After: 12 * ms, Kind: Answer, Status: 503, Text: "503 Service Unavailable."},
			{After: 12 * ms, Kind: Retry, Text: "in 1.4s"}, {After: 1412 * ms, Kind: Sent, N: 2}, {After: 34 * time.Second, Kind: NoAnswer, Text: "No answer in time."},
			{After: 34 * time.Second, Kind: Told}, {After: 34 * time.Second, Kind: Reported},
		}, Omitted: 3}, `
       XMPP user    XMPP server      stox        SIP peer
    0 ms   |--------- message -------->|             |  read from the XMPP server
    0 ms   |             |             |-- MESSAGE ->|  sent at once, while the journal writes it down
    2 ms   |             |         [journal]         |  in the journal: from now on a crash does not lose it
   12 ms   |             |             |<~~~ 503 ~~~~|  SIP answers 503 Service Unavailable
   12 ms   |             |          [again]          |  to be tried again in 1.4s
 1412 ms   |             |             |-- MESSAGE ->|  sent once more, attempt 2
  34.0 s   |             |             |< no answer ~|  no answer comes: it may have arrived: No answer in time
  34.0 s   |<~~~~~~~~~ error ~~~~~~~~~~|             |  the error is written for the sender
  34.0 s   |             |== barrier =>|             |  the barrier behind the error comes back: the XMPP server has it
                                                        3 steps between the first ones and the last ones are left out
`},
	} {
		got := "\n" + Ladder(&c.m, same)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("-want +got\n%s\n%s", diff, got)
		}
	}
}

// All kinds of steps have words of their own, in both directions as far as they are there.
func TestAllKindsHaveWords(t *testing.T) {
	xmpp := []string{Read, Refused, Sent, Early, Journaled, Loaded, Answer, NoAnswer, NotSent, Retry, Split, Told, Reported, Untold, Receipt}
	sip := []string{Read, Refused, Sent, Processed, Bounced, Unwritten, Unproved, LinkLost, Answered, Joined, Repeated, Late, Receipt}
	for fromSIP, kinds := range map[bool][]string{false: xmpp, true: sip} {
		seen := map[string]string{}
		for _, k := range kinds {
			m := Message{FromSIP: fromSIP, Steps: []Step{{Kind: k}}}
			r := Rows(&m)[0]
			if r.Style == StyleRemark && k != Retry && k != Split || r.Text == "" || r.Label == "" || seen[r.Text] != "" {
				t.Errorf("%s: %+v", k, r)
			}
			seen[r.Text] = k
		}
	}
}

// What others have chosen does not reach a terminal as it is.
func TestLadderIsClean(t *testing.T) {
	m := Message{Steps: []Step{{Kind: Answer, Status: 404, Text: "404 \x1b[2J"}, {Kind: Event, Text: "\x1b"}, {Kind: "\x1b", Text: ""}}}
	got := Ladder(&m, func(s string) string { return strings.ReplaceAll(s, "\x1b", "?") })
	if strings.Contains(got, "\x1b") {
		t.Errorf("%q", got)
	}
}

func TestOffset(t *testing.T) {
	got := map[time.Duration]string{}
	for _, d := range []time.Duration{0, 1999 * time.Microsecond, 9999 * time.Millisecond, 10 * time.Second, 11 * time.Minute} {
		got[d] = Offset(d)
	}
	if want := map[time.Duration]string{0: "0 ms", 1999 * time.Microsecond: "1 ms", 9999 * time.Millisecond: "9999 ms", 10 * time.Second: "10.0 s", 11 * time.Minute: "11m0s"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}
