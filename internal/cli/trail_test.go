package cli

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/history"
)

// historicQueue has no trail of some messages and remembers them nevertheless.
type historicQueue struct {
	daemonQueue
	steps []admin.Step
	known []history.Message
}

func (q *historicQueue) Trail(context.Context, string) ([]admin.Step, error) { return q.steps, nil }
func (q *historicQueue) History(context.Context, string) ([]history.Message, error) {
	return q.known, nil
}

// What the daemon remembers is drawn behind the trail, or alone where that has nothing yet.
func TestTrailWithLadder(t *testing.T) {
	read := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	q := &historicQueue{known: []history.Message{{
		User: "juliet@example.com/\x1b[2J", SIP: "sip:romeo@example.net", ID: "m1", CallID: "c1", Read: read, Outcome: history.Open,
		Steps: []history.Step{{Kind: history.Read}, {After: 3 * time.Millisecond, Kind: history.Answer, Status: 503, Text: "503 \x1b[2J"}},
	}}}
	dir, file := queueConfig(t)
	stop, err := startDaemon(filepath.Join(dir, "stox.sock"), q)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	const ladder = `
2026-03-01 12:00:00.000  open  (stanza m1, Call-ID c1)
juliet@example.com/\x1b[2J -> sip:romeo@example.net

       XMPP user    XMPP server      stox        SIP peer
    0 ms   |--------- message -------->|             |  read from the XMPP server
    3 ms   |             |             |<~~~ 503 ~~~~|  SIP answers 503 \x1b[2J
`
	s, out, errOut := std("")
	if code := Main([]string{"trail", "m1", "-c", file}, s); code != exitOK || out.String() != ladder {
		t.Errorf("status %d\n%s\nwant\n%s\n%s", code, out, ladder, errOut)
	}
	q.steps = []admin.Step{{At: read, Kind: "retry", Detail: "some detail", Stanza: "m1", CallID: "c1"}}
	s, out, errOut = std("")
	if code := Main([]string{"trail", "m1", "-c", file}, s); code != exitOK || out.String() != "2026-03-01 12:00:00.000  retry  some detail\n"+ladder {
		t.Errorf("status %d\n%s\n%s", code, out, errOut)
	}
	s, out, errOut = std("")
	if code := Main([]string{"trail", "m1", "-c", file, "--json"}, s); code != exitOK || strings.Count(out.String(), "\n") != 1 || strings.Contains(out.String(), "|") {
		t.Errorf("status %d\n%s\n%s", code, out, errOut)
	}
}
