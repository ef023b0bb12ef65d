package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/queuetest"
)

// cmdRows makes the file of a stopped daemon: "rows FILE".
func cmdRows(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: rows FILE")
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 123e6, time.UTC)
	ts.Check(queuetest.Fill(ts.MkAbs(args[0]), []queuetest.Waiting{
		{ID: 1, Stanza: "m-1", CallID: "a@gw", State: "sent", Attempts: 2, Problem: "503 \x1b[2JBusy"},
		{ID: 2, Stanza: "same", CallID: "b@gw", State: "queued"},
		{ID: 3, Stanza: "same", CallID: "c@gw", State: "queued"},
		{ID: 4, State: queuetest.Damaged},
	}, []queuetest.Event{
		{ID: "m-1", Other: "a@gw", At: at.Add(time.Second), Kind: "answered", Detail: "503 \x1b[2JBusy"},
		{ID: "m-1", Other: "a@gw", At: at, Kind: "read", Detail: "from juliet@example.com"},
		{ID: "same", Other: "b@gw", At: at, Kind: "read"},
		{ID: "same", Other: "c@gw", At: at, Kind: "read"},
	}...))
}

// daemonQueue is what a running daemon answers: rows 1 to n.
type daemonQueue struct {
	n    uint64
	list func(after uint64, n int) // told of each page
}

func (q *daemonQueue) row(id uint64) admin.Message {
	now := time.Now()
	return admin.Message{
		ID: id, Stanza: fmt.Sprintf("m-%d", id), CallID: fmt.Sprintf("%d@gw", id), From: "juliet@example.com/balcony", To: "romeo@sip.example.com",
		Lane: "sip:romeo@example.net", Read: now.Add(-90 * time.Second), Expire: now.Add(time.Hour), State: "back-off", Next: now.Add(30 * time.Second), Attempts: 3,
		Problem: "503 \u202eBusy", Size: 300,
	}
}

func (q *daemonQueue) List(_ context.Context, after uint64, n int) (admin.Page, error) {
	if q.list != nil {
		q.list(after, n)
	}
	p := admin.Page{Total: int(q.n)}
	for id := after + 1; id <= q.n && len(p.Messages) < n; id++ {
		p.Messages = append(p.Messages, q.row(id))
	}
	return p, nil
}

func (q *daemonQueue) Show(_ context.Context, id string) (admin.Message, error) {
	if id == "none" {
		return admin.Message{}, admin.ErrNotFound.With(`no message "none" in the queue (any more)`)
	}
	return q.row(1), nil
}

func (q *daemonQueue) Retry(_ context.Context, id string) (admin.Message, error) {
	switch id {
	case "busy":
		return admin.Message{}, admin.ErrUnderWay
	case "given-up":
		return admin.Message{ID: 5, State: "reporting", From: "juliet@example.com/balcony"}, nil
	case "second":
		return admin.Message{ID: 6, State: "queued", Ahead: 1}, nil
	case "late":
		return admin.Message{ID: 7, State: "queued", Ahead: 1234}, nil
	}
	return q.row(1), nil
}

func (q *daemonQueue) Drop(ctx context.Context, id string) (admin.Message, error) {
	if id == "bad" {
		return admin.Message{ID: 4, State: admin.Damaged}, nil
	}
	return q.Retry(ctx, id)
}

func (q *daemonQueue) Trail(_ context.Context, id string) ([]admin.Step, error) {
	if id != "m-1" {
		return nil, nil
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 123e6, time.UTC)
	return []admin.Step{
		{At: at, Kind: "read", Detail: "from juliet@example.com/balcony to romeo@sip.example.com", Stanza: id},
		{At: at.Add(time.Second), Kind: "answered", Detail: "503 \x1b[2JBusy", Stanza: id, CallID: "1@gw"},
	}, nil
}

// startDaemon runs the answering part of a daemon; stop ends it.
func startDaemon(path string, q admin.Queue) (stop func(), err error) {
	s := admin.NewServer(path, q, slog.New(slog.DiscardHandler))
	if err := s.Listen(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- s.Run(ctx) }()
	return func() {
		cancel()
		<-over
	}, nil
}

// cmdDaemon runs a daemon until the script ends: "daemon SOCKET".
func cmdDaemon(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: daemon SOCKET")
	}
	stop, err := startDaemon(ts.MkAbs(args[0]), &daemonQueue{n: 1234})
	ts.Check(err)
	ts.Defer(stop)
}

func queueConfig(t *testing.T) (dir, file string) {
	t.Helper()
	dir = t.TempDir()
	file = filepath.Join(dir, "stox.toml")
	text := "xmpp={domain='sip.example.com',secret='hunter2-hunter2'}\nsip={domain='example.net'}\nstore={path='stox.db'}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, file
}

// TestQueueListStreams: what was asked for is printed before more is asked for, so
// that a long queue is never held.
func TestQueueListStreams(t *testing.T) {
	const rows = 100_000
	dir, file := queueConfig(t)
	s, out, errOut := std("")
	lines, pages := 0, 0
	q := &daemonQueue{n: rows, list: func(after uint64, n int) {
		pages++
		lines += bytes.Count(out.Bytes(), []byte("\n"))
		out.Reset()
		if want := min(after, 1) + after; uint64(lines) != want || n > page {
			t.Errorf("asked for %d rows after row %d when %d lines were printed, want %d", n, after, lines, want)
		}
	}}
	stop, err := startDaemon(filepath.Join(dir, "stox.sock"), q)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if code := Main([]string{"queue", "list", "-n", "0", "-c", file}, s); code != exitOK || errOut.Len() > 0 {
		t.Fatalf("status %d, %s", code, errOut)
	}
	if lines += bytes.Count(out.Bytes(), []byte("\n")); lines != rows+1 || pages != rows/page+1 {
		t.Errorf("%d lines in %d pages", lines, pages)
	}
}

// TestQueueListOfAFile: the same of a stopped daemon, for scripts.
func TestQueueListOfAFile(t *testing.T) {
	const rows = 5_000
	dir, file := queueConfig(t)
	all := make([]queuetest.Waiting, rows)
	for i := range all {
		all[i] = queuetest.Waiting{ID: uint64(2*i + 1), State: "queued"}
	}
	if err := queuetest.Fill(filepath.Join(dir, "stox.db"), all); err != nil {
		t.Fatal(err)
	}
	s, out, errOut := std("")
	if code := Main([]string{"queue", "list", "--json", "-c", file}, s); code != exitOK || strings.Count(errOut.String(), "\n") != 1 {
		t.Fatalf("status %d, %s", code, errOut)
	}
	n := 0
	for line := range bytes.Lines(out.Bytes()) {
		var m admin.Message
		if err := json.Unmarshal(line, &m); err != nil || m.ID != all[n].ID {
			t.Fatalf("line %d: %s, %v", n, line, err)
		}
		n++
	}
	if n != rows {
		t.Errorf("%d lines", n)
	}
	s, out, errOut = std("")
	if code := Main([]string{"queue", "list", "-n", "2", "-c", file}, s); code != exitOK || !strings.HasSuffix(out.String(), "\n... 4998 more; -n 0 lists all\n") || strings.Count(out.String(), "\n") != 4 {
		t.Errorf("status %d, %s%s", code, out, errOut)
	}
}

func TestTable(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var b bytes.Buffer
	tab := table{out: &b, now: now}
	tab.add([]admin.Message{
		{ID: 7, From: "juliet@example.com", To: "romeo@sip.example.com", Read: now.Add(-12 * time.Second), Expire: now.Add(4*time.Minute + 48*time.Second), State: "sent", Attempts: 1},
		{ID: 12, State: admin.Damaged, Problem: "the row cannot be read"},
	})
	tab.add([]admin.Message{ // wider than what is printed already
		{ID: 1234567, From: strings.Repeat("x", 50) + "@example.com", To: "bücher\u200b\n@sip.example.com", Read: now.Add(-49 * time.Hour), Expire: now.Add(-3 * time.Second), State: "reporting", Attempts: 20, Problem: "404 Not\tFound"},
	})
	const want = `ID  AGE  EXPIRES IN  STATE    ATTEMPTS  FROM                TO                     PROBLEM
7   12s  4m48s       sent     1         juliet@example.com  romeo@sip.example.com  -
12  -    -           damaged  0         -                   -                      the row cannot be read
1234567  2d01h  -3s         reporting  20        xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx@example.com  bücher\u200b\n@sip.example.com  404 Not\tFound
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestShowText(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	m := admin.Message{
		ID: 7, Stanza: "m-1", CallID: "a@gw", From: "juliet@example.com", To: "romeo@sip.example.com", Lane: "sip:romeo@example.net",
		Read: now.Add(-time.Minute), Expire: now.Add(time.Hour), State: "back-off", Next: now.Add(1500 * time.Millisecond), Attempts: 3, Problem: "503\r\nx", Size: 321,
	}
	const want = `id        7
stanza    m-1
Call-ID   a@gw
from      juliet@example.com
to        romeo@sip.example.com
lane      sip:romeo@example.net
read      2026-03-01 11:59:00.000, 1m00s ago
expires   2026-03-01 13:00:00.000, in 1h00m
state     back-off: it is tried again at 2026-03-01 12:00:01.500, in 1s
attempts  3
problem   503\r\nx
size      321 bytes
`
	if got := showText(m, now); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	m.Part, m.Parts = 2, 3
	if got := showText(m, now); !strings.Contains(got, "\npart      2 of 3\nattempts  3\n") {
		t.Errorf("of one in parts:\n%s", got)
	}
	for state, want := range map[string]string{
		"queued": "state     queued: it has never", "sent": "state     sent: a request", "reporting": "state     reporting: given up",
		admin.Damaged: "state     damaged: the row", "new": "state     new\n",
	} {
		if got := showText(admin.Message{State: state}, now); !strings.Contains(got, want) || !strings.Contains(got, "read      -\n") {
			t.Errorf("%s:\n%s", state, got)
		}
	}
}

func TestSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999 * time.Millisecond: "0s", -time.Millisecond: "0s", 59 * time.Second: "59s", -59 * time.Second: "-59s", time.Minute: "1m00s",
		time.Hour - 1: "59m59s", 90 * time.Minute: "1h30m", 24 * time.Hour: "1d00h", 1000 * time.Hour: "41d16h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{168 * time.Hour: "168h", 90 * time.Minute: "1h30m", time.Minute: "1m", 10 * time.Second: "10s", 20 * time.Hour: "20h", time.Hour + time.Second: "1h0m1s"} {
		if got := shortDuration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// TestPrintable: nothing that others chose moves the cursor or turns a line round.
func TestPrintable(t *testing.T) {
	for s, want := range map[string]string{
		"plain žluť 'x'": "plain žluť 'x'", "a\x1b[2J\u009b\u202e\n\U000e0041": `a\x1b[2J\u009b\u202e\n\U000e0041`, "\xff": "\ufffd",
	} {
		if got := printable(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
		var b bytes.Buffer
		if err := writeJSON(&b, s); err != nil {
			t.Fatal(err)
		}
		var back string
		if err := json.Unmarshal(b.Bytes(), &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") || hasUnprintable(strings.TrimSuffix(b.String(), "\n")) {
			t.Errorf("%q is %q in JSON, which is %q, %v", s, b.String(), back, err)
		}
	}
}

// TestTrailOfSeveralMessages: an id that two senders chose.
func TestTrailOfSeveralMessages(t *testing.T) {
	dir, file := queueConfig(t)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	err := queuetest.Fill(filepath.Join(dir, "stox.db"), nil,
		queuetest.Event{ID: "1", Other: "a@gw", At: at, Kind: "read", Detail: "from juliet"},
		queuetest.Event{ID: "1", Other: "b@gw", At: at.Add(time.Millisecond), Kind: "answered"},
		queuetest.Event{ID: "1", At: at.Add(time.Second), Kind: "read"})
	if err != nil {
		t.Fatal(err)
	}
	s, out, errOut := std("")
	const want = `2026-03-01 12:00:00.000  read      from juliet  (Call-ID a@gw)
2026-03-01 12:00:00.001  answered    (Call-ID b@gw)
2026-03-01 12:00:01.000  read
`
	if code := Main([]string{"trail", "1", "-c", file}, s); code != exitOK || out.String() != want || !strings.HasSuffix(errOut.String(), "stox: 2 messages have this id; a Call-ID tells them apart\n") {
		t.Errorf("status %d\n%s\nwant\n%s\n%s", code, out, want, errOut)
	}
	if got := slices.Collect(strings.Lines(out.String())); len(got) != 3 {
		t.Errorf("%d lines", len(got))
	}
}
