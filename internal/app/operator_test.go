package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/queuetest"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/store"
	"github.com/stoxgw/stox/mapping"
)

// fill puts rows and a trail into a store that then runs until the test ends, or stop.
func fill(t *testing.T, path string, entries []store.Entry, trail ...store.TrailEvent) (s *store.Store, stop func()) {
	t.Helper()
	s, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	last := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	if n, err := s.Append(entries); n != len(entries) {
		t.Fatal(err)
	}
	s.PutTrail(trail)
	go func() {
		over <- s.Run(ctx, store.Events{Committed: func(m []store.Mark, err error) {
			if err == nil && m[len(m)-1].ID == entries[len(entries)-1].ID {
				close(last)
			}
		}})
	}()
	<-last
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := errors.Join(<-over, s.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return s, stop
}

func entriesForTest() []store.Entry {
	sent := queuetest.Waiting{State: bridge.Sent, Attempts: 2, Problem: "503 Busy"}
	var all []store.Entry
	for i, ids := range [][2]string{{"m-1", "a@gw"}, {"same", "b@gw"}, {"same", "c@gw"}, {"5", "d@gw"}, {"m-4", "e@gw"}} {
		w := sent
		w.ID, w.Stanza, w.CallID = uint64(5+i), ids[0], ids[1] // a stanza id may look like a number
		if w.ID == 9 {
			w.State = queuetest.Damaged
		}
		all = append(all, queuetest.Entry(w))
	}
	return all
}

// fakeBridge knows more of row 5, and has no row 6.
type fakeBridge struct{ retried, dropped []uint64 }

func (b *fakeBridge) Look(w *bridge.Waiting) {
	if w.ID == 5 {
		w.State, w.Next = bridge.Backoff, time.UnixMilli(1_800_000_000_000)
	}
}

func (b *fakeBridge) answer(id uint64) error {
	switch id {
	case 6:
		return bridge.ErrNoRow
	case 7:
		return fmt.Errorf("wrapped: %w", bridge.ErrUnderWay)
	case 8:
		return bridge.ErrReporting
	}
	return nil
}

func (b *fakeBridge) RetryNow(id uint64) (int, error) {
	b.retried = append(b.retried, id)
	return 3, b.answer(id)
}

func (b *fakeBridge) Drop(id uint64) error {
	b.dropped = append(b.dropped, id)
	return b.answer(id)
}

func idsOf(p admin.Page) (ids []uint64) {
	for _, m := range p.Messages {
		ids = append(ids, m.ID)
	}
	return ids
}

// finds is what either queue makes of ids.
func finds(t *testing.T, q admin.Queue) {
	t.Helper()
	for _, c := range []struct {
		id   string
		want uint64
		err  error
		text string
	}{
		{"5", 5, nil, ""}, // the number wins
		{"8", 8, nil, ""},
		{"m-1", 5, nil, ""},
		{"c@gw", 7, nil, ""},
		{"9", 9, nil, ""},
		{"m-4", 0, admin.ErrNotFound, `no message "m-4" in the queue (any more)`}, // cannot be read
		{"same", 0, admin.ErrAmbiguous, `"same" means several messages, say which by its number: 6, 7`},
		{"4", 0, admin.ErrNotFound, "no message"},
		{"0", 0, admin.ErrNotFound, "no message"},
		{"99999999999999999999", 0, admin.ErrNotFound, "no message"},
		{"x\u202e\n", 0, admin.ErrNotFound, `no message "x\u202e\n" in`},
	} {
		m, err := q.Show(t.Context(), c.id)
		if m.ID != c.want || c.err == nil && err != nil || c.err != nil && (!errors.Is(err, c.err) || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%q: %d, %v; want %d, %v", c.id, m.ID, err, c.want, c.err)
		}
	}
	p, err := q.List(t.Context(), 5, 3)
	if err != nil || !slices.Equal(idsOf(p), []uint64{6, 7, 8}) || p.Total != 5 {
		t.Errorf("list: %v of %d, %v", idsOf(p), p.Total, err)
	}
	if p, err := q.List(t.Context(), 9, 3); err != nil || len(p.Messages) != 0 {
		t.Errorf("after all: %v, %v", p, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Show(ctx, "nothing"); !errors.Is(err, context.Canceled) {
		t.Errorf("a search that nobody waits for: %v", err)
	}
}

func TestLiveQueue(t *testing.T) {
	all := entriesForTest()
	at := time.UnixMilli(1_700_000_000_000)
	s, _ := fill(t, filepath.Join(t.TempDir(), "stox.db"), all,
		store.TrailEvent{ID: "m-1", Other: "a@gw", At: at.Add(time.Second), Kind: "answered", Detail: "503"},
		store.TrailEvent{ID: "m-1", At: at, Kind: "read"},
		store.TrailEvent{ID: "same", At: at, Kind: "read"})
	start, b := time.Now(), &fakeBridge{}
	log := newSyncBuffer(t)
	q := &liveQueue{store: s, bridge: b, log: log.logger()}
	finds(t, q)
	ctx := t.Context()

	m, err := q.Show(ctx, "m-1")
	want := admin.Message{
		ID: 5, Stanza: "m-1", CallID: "a@gw", From: "juliet@example.com/balcony", To: "romeo@sip.example.com", Lane: "sip:romeo@example.net",
		Read: all[0].Read, Expire: all[0].Expire, State: "back-off", Next: time.UnixMilli(1_800_000_000_000), Attempts: 2, Problem: "503 Busy", Size: len(all[0].Data),
	}
	if diff := cmp.Diff(want, m); err != nil || diff != "" {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}

	// What the bridge refuses.
	for id, want := range map[string]error{"6": admin.ErrNotFound, "7": admin.ErrUnderWay, "8": admin.ErrUnderWay, "none": admin.ErrNotFound} {
		if _, err := q.Retry(ctx, id); !errors.Is(err, want) {
			t.Errorf("retry %s: %v", id, err)
		}
		if _, err := q.Drop(ctx, id); !errors.Is(err, want) {
			t.Errorf("drop %s: %v", id, err)
		}
	}
	if _, err := q.Retry(ctx, "9"); !errors.Is(err, admin.ErrFailed) || !strings.Contains(err.Error(), `"9" cannot be read, so it cannot be sent: drop it`) {
		t.Errorf("retry of a row that cannot be read: %v", err)
	}
	if log := log.String(); log != "" {
		t.Errorf("nothing was done, and the log has\n%s", log)
	}
	if m, err := q.Retry(ctx, "m-1"); err != nil || m.ID != 5 || m.Ahead != 3 {
		t.Errorf("%v, %v", m, err)
	}
	if m, err := q.Drop(ctx, "a@gw"); err != nil || m.ID != 5 {
		t.Errorf("%v, %v", m, err)
	}
	// Nobody but the operator can end a row that cannot be read.
	if m, err := q.Drop(ctx, "9"); err != nil || m.State != admin.Damaged || m.Lane != all[4].Lane || m.Problem != "the row cannot be read: version" {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := q.Show(ctx, "9"); !errors.Is(err, admin.ErrNotFound) {
		t.Errorf("after the drop: %v", err)
	}
	if slices.Contains(b.dropped, 9) || !slices.Contains(b.dropped, 5) || !slices.Contains(b.retried, 5) {
		t.Errorf("the bridge was asked to drop %v, retry %v", b.dropped, b.retried)
	}

	steps, err := q.Trail(ctx, "m-1")
	for i := range steps {
		if steps[i].Kind == "operator" && !steps[i].At.Before(start) {
			steps[i].At = time.Time{}
		}
	}
	if diff := cmp.Diff([]admin.Step{
		{At: at, Kind: "read", Stanza: "m-1"},
		{At: at.Add(time.Second), Kind: "answered", Detail: "503", Stanza: "m-1", CallID: "a@gw"},
		{Kind: "operator", Detail: "retry: it is tried again now", Stanza: "m-1", CallID: "a@gw"},
		{Kind: "operator", Detail: "drop: it is given up", Stanza: "m-1", CallID: "a@gw"},
	}, steps); err != nil || diff != "" {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
	for _, line := range []string{"action=retry row=5", "action=drop row=5", "action=drop row=9"} {
		log.await("level=INFO", `msg="the operator has changed the queue" `+line)
	}
	if n := strings.Count(log.String(), "\n"); n != 3 {
		t.Errorf("%d lines in the log:\n%s", n, log)
	}
	for id, want := range map[string]int{"5": 3, "a@gw": 3, "9": 1, "6": 1, "8": 0, "4711": 0, "none": 0} {
		if steps, err := q.Trail(ctx, id); err != nil || len(steps) != want {
			t.Errorf("trail of %s: %v, %v, want %d", id, steps, err, want)
		}
	}
}

func fileConfig(path string) *config.Config {
	return &config.Config{
		Store: config.Store{Path: path, Trail: 168 * time.Hour},
		Queue: config.Queue{Expire: 10 * time.Minute, MaxMessages: 1000},
	}
}

func openFile(t *testing.T, path string) *FileQueue {
	t.Helper()
	q, err := OpenFile(fileConfig(path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

func TestFileQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	all := entriesForTest()
	_, stop := fill(t, path, all, store.TrailEvent{ID: "m-1", Other: "a@gw", At: time.Now().Add(-time.Hour), Kind: "read"})
	stop()
	q := openFile(t, path)
	finds(t, q)
	ctx := t.Context()

	before := time.Now()
	m, err := q.Retry(ctx, "m-1")
	if err != nil || m.ID != 5 || m.State != "queued" || m.Expire.Before(before.Add(9*time.Minute)) || m.Expire.After(time.Now().Add(10*time.Minute)) {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err = q.Drop(ctx, "8"); err != nil || m.ID != 8 || m.State != "reporting" || !strings.Contains(m.Problem, "dropped by the operator") {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := q.Drop(ctx, "d@gw"); !errors.Is(err, admin.ErrUnderWay) {
		t.Errorf("dropped twice: %v", err)
	}
	if m, err := q.Drop(ctx, "9"); err != nil || m.State != admin.Damaged {
		t.Errorf("%+v, %v", m, err)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	// It is on the disk, and nothing else has changed.
	q = openFile(t, path)
	p, err := q.List(ctx, 0, 10)
	if err != nil || !slices.Equal(idsOf(p), []uint64{5, 6, 7, 8}) || p.Total != 4 {
		t.Fatalf("%+v, %v", p, err)
	}
	if a, b := p.Messages[0], p.Messages[3]; a.State != "queued" || a.Expire.Before(before.Add(9*time.Minute)) || b.State != "reporting" {
		t.Errorf("%+v\n%+v", a, b)
	}
	if a := p.Messages[1]; a.State != "sent" || !a.Expire.Equal(all[1].Expire) {
		t.Errorf("%+v", a)
	}
	for id, want := range map[string][]string{
		"m-1": {"read", "operator retry"}, "a@gw": {"read", "operator retry"}, "d@gw": {"operator drop"}, "8": {"operator drop"}, "c@gw": nil} {
		var got []string
		steps, err := q.Trail(ctx, id)
		for _, s := range steps {
			what, _, _ := strings.Cut(strings.TrimSpace(s.Kind+" "+s.Detail), ":")
			got = append(got, what)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("trail of %s: %v, %v, want %v", id, got, err, want)
		}
	}
}

// What goes before a message when the daemon starts: the older ones of its sender to
// the same destination, from whatever device, unless they are given up.
func TestFileQueueSaysWhatIsAhead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	desk := mapping.MustParseJID("juliet@example.com/desk")
	var all []store.Entry
	for i, w := range []queuetest.Waiting{
		{State: bridge.Queued},
		{State: bridge.Backoff, From: desk},
		{State: bridge.Reporting},
		{State: bridge.Queued, From: mapping.MustParseJID("nurse@example.com")},
		{State: bridge.Queued, To: mapping.MustParseJID("tybalt@sip.example.com")},
		{State: queuetest.Damaged},
		{State: bridge.Queued, Stanza: "here"},
		{State: bridge.Queued},
	} {
		w.ID = uint64(i + 1)
		all = append(all, queuetest.Entry(w))
	}
	_, stop := fill(t, path, all)
	stop()
	q := openFile(t, path)
	for id, want := range map[string]int{"1": 0, "2": 1, "4": 0, "5": 0, "here": 2, "8": 3} {
		if m, err := q.Retry(t.Context(), id); err != nil || m.Ahead != want {
			t.Errorf("%s: %d ahead, %v; want %d", id, m.Ahead, err, want)
		}
	}
	if _, err := q.Retry(t.Context(), "6"); !errors.Is(err, admin.ErrFailed) || !strings.Contains(err.Error(), "cannot be read, so it cannot be sent") {
		t.Errorf("a row that cannot be read: %v", err)
	}
}

// While a daemon has the file, it can be read and not changed.
func TestFileOfARunningDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	fill(t, path, entriesForTest())
	q := openFile(t, path)
	finds(t, q)
	for name, f := range map[string]func(context.Context, string) (admin.Message, error){"retry": q.Retry, "drop": q.Drop} {
		if _, err := f(t.Context(), "m-1"); !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), "a daemon has "+path+", and it does not answer") {
			t.Errorf("%s: %v", name, err)
		}
	}
	finds(t, q) // and read again
}

// Whoever looks at the file leaves nothing behind that its owner cannot use.
func TestFileKeepsItsOwner(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "stox.db")
	_, stop := fill(t, path, entriesForTest())
	stop()
	if os.Geteuid() == 0 { // as the administrator looks at the daemon's file
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		for _, f := range append(files, dir) {
			err = errors.Join(err, os.Chown(f, 12345, 12345))
		}
		if err = errors.Join(err, os.Remove(path+".lock")); err != nil {
			t.Fatal(err)
		}
	}
	owner := func(name string) uint32 {
		t.Helper()
		st, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return st.Sys().(*syscall.Stat_t).Uid
	}
	check := func(when string) {
		t.Helper()
		files, err := os.ReadDir(dir)
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, f := range files {
			if got, want := owner(filepath.Join(dir, f.Name())), owner(path); got != want {
				t.Errorf("%s, %s belongs to %d, want %d", when, f.Name(), got, want)
			}
		}
	}
	q := openFile(t, path)
	finds(t, q)
	check("while reading")
	if _, err := q.Retry(t.Context(), "m-1"); err != nil {
		t.Fatal(err)
	}
	check("after a change")
	finds(t, q)
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	check("at the end")
}

func TestOpenFileErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenFile(fileConfig(filepath.Join(dir, "none.db"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	other := filepath.Join(dir, "other.db")
	if err := os.WriteFile(other, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if q, err := OpenFile(fileConfig(other)); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("not a database: %v, %v", q, err)
	}
}

// A running daemon answers on its socket until it is stopped.
func TestDaemonAnswersTheOperator(t *testing.T) {
	g := startGateway(t, "udp")
	path := g.cfg.Admin.Socket
	c, err := admin.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if p, err := c.List(t.Context(), 0, 10); err != nil || p.Total != 0 || len(p.Messages) != 0 {
		t.Errorf("%+v, %v", p, err)
	}
	for name, f := range map[string]func(context.Context, string) (admin.Message, error){"show": c.Show, "retry": c.Retry, "drop": c.Drop} {
		if _, err := f(t.Context(), "4711"); !errors.Is(err, admin.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if steps, err := c.Trail(t.Context(), "4711"); err != nil || len(steps) != 0 {
		t.Errorf("%v, %v", steps, err)
	}
	if err := g.stop(); err != nil {
		t.Error(err)
	}
	if _, err := admin.Dial(t.Context(), path); !errors.Is(err, admin.ErrNoDaemon) {
		t.Errorf("after the stop: %v", err)
	}
}

// A socket that cannot be made stops the daemon before it says that it is ready. It
// is a fault of the configuration unless it may pass by itself.
func TestDaemonWithoutPlaceForItsSocket(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken := filepath.Join(dir, "taken")
	l, err := net.Listen("unix", taken)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct {
		path, text string
		fault      bool
	}{
		{filepath.Join(dir, "none", "stox.sock"), "admin.socket: the directory " + filepath.Join(dir, "none") + " does not exist; make it", true},
		{file, "admin.socket: " + file + " is there already and is no socket", true},
		{taken, "admin.socket: another process answers at " + taken, false},
	} {
		g := newGateway(t, "udp", func(cfg *config.Config) { cfg.Admin.Socket = c.path })
		err := g.app.Run(t.Context())
		var fault *config.Error
		if err == nil || errors.As(err, &fault) != c.fault || !strings.HasPrefix(err.Error(), c.text) {
			t.Errorf("%v", err)
		}
		if log := g.log.String(); strings.Contains(log, "msg=ready") {
			t.Errorf("ready:\n%s", log)
		}
	}
}

// A message that waits is seen, dropped and told of; one that a stopped daemon has
// left is seen and changed in the file. Its text is nowhere.
func TestOperatorOnAMessage(t *testing.T) {
	const secret = "the text of a message"
	g := newGateway(t, "udp", func(cfg *config.Config) { cfg.ShutdownTimeout = time.Millisecond })
	g.peer.Answer(func(m *siptest.Message) string { return m.Reply(503, "Service Unavailable") })
	g.run()
	c, err := admin.Dial(t.Context(), g.cfg.Admin.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	said := ""
	waits := func(q admin.Queue, id, to string) (m admin.Message) {
		t.Helper()
		for m.State != "back-off" || m.Problem == "" { // until the answer is committed
			var err error
			if m, err = q.Show(t.Context(), id); err != nil && !errors.Is(err, admin.ErrNotFound) {
				t.Fatal(err)
			}
		}
		if m.Stanza != id || m.From != "juliet@example.com/balcony" || m.To != to || m.CallID == "" || m.Attempts == 0 || !strings.Contains(m.Problem, "503") || !m.Expire.Equal(m.Read.Add(g.cfg.Queue.Expire)) {
			t.Errorf("%+v", m)
		}
		said += fmt.Sprintf("%+v", m)
		return m
	}
	g.message("m-1", "romeo@sip.example.com", secret)
	g.message("m-2", "tybalt@sip.example.com", secret)
	m := waits(c, "m-1", "romeo@sip.example.com")
	if m.State != "back-off" || m.Next.IsZero() {
		t.Errorf("%+v", m)
	}
	if _, err := c.Drop(t.Context(), m.CallID); err != nil {
		t.Fatal(err)
	}
	if st := g.xmpp.Next(); st.ID != "m-1" || st.Type != "error" {
		t.Errorf("the sender got %s", st.Raw)
	}
	kinds := func(q admin.Queue, id string) (all []string) {
		t.Helper()
		steps, err := q.Trail(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			all = append(all, s.Kind)
		}
		said += fmt.Sprintf("%+v", steps)
		return all
	}
	g.log.await("level=INFO", "action=drop", fmt.Sprint("row=", m.ID))
	for _, id := range []string{"m-1", m.CallID} {
		if got := kinds(c, id); !slices.Contains(got, "retry") || !slices.Contains(got, "operator") || !slices.Contains(got, "failed") {
			t.Errorf("trail of %s: %v", id, got)
		}
	}
	waits(c, "m-2", "tybalt@sip.example.com")
	g.message("m-3", "tybalt@sip.example.com", secret)
	for m := (admin.Message{}); m.ID == 0; { // until it is committed
		var err error
		if m, err = c.Show(t.Context(), "m-3"); err != nil && !errors.Is(err, admin.ErrNotFound) {
			t.Fatal(err)
		}
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}

	q, err := OpenFile(g.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	left, err := q.Show(t.Context(), "m-2")
	if err != nil || left.To != "tybalt@sip.example.com" || !strings.Contains(left.Problem, "503") {
		t.Errorf("%+v, %v", left, err)
	}
	if m, err := q.Retry(t.Context(), "m-3"); err != nil || m.Ahead != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	again, err := q.Retry(t.Context(), "m-2")
	if err != nil || again.Ahead != 0 || !again.Expire.After(left.Expire) || !again.Next.IsZero() {
		t.Errorf("%+v, %v", again, err)
	}
	gone, err := q.Drop(t.Context(), left.CallID)
	if err != nil || gone.State != "reporting" {
		t.Errorf("%+v, %v", gone, err)
	}
	if _, err := q.Drop(t.Context(), "m-2"); !errors.Is(err, admin.ErrUnderWay) {
		t.Errorf("dropped twice: %v", err)
	}
	if got := kinds(q, "m-2"); !slices.Contains(got, "operator") || !slices.Contains(got, "retry") {
		t.Errorf("trail: %v", got)
	}
	if strings.Contains(said, secret) || strings.Contains(fmt.Sprint(left, again, gone), secret) {
		t.Errorf("the text is in\n%s", said)
	}
}
