package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/stoxgw/stox/internal/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a Queue of n rows that notes what is asked.
type fake struct {
	n    uint64
	hold chan struct{} // Show waits for it

	mu    sync.Mutex
	asked []string
}

var at = time.Date(2026, 3, 1, 12, 0, 0, 123e6, time.UTC)

func row(id uint64) Message {
	return Message{
		ID: id, Stanza: fmt.Sprintf("m-%d", id), CallID: "c@gw", From: "juliet@example.com/balcony", To: "romeo@sip.example.com",
		Lane: "sip:romeo@example.net", Read: at, Expire: at.Add(time.Minute), State: "back-off", Attempts: 2,
		Next: at.Add(time.Second), Problem: "503 \u202eName\x1b[2J", Size: 300,
	}
}

func (f *fake) note(what string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, fmt.Sprint(append([]any{what, " "}, args...)...))
}

func (f *fake) List(_ context.Context, after uint64, n int) (Page, error) {
	f.note("list", after, " ", n)
	p := Page{Total: int(f.n)}
	for id := after + 1; id <= f.n && len(p.Messages) < n; id++ {
		p.Messages = append(p.Messages, row(id))
	}
	return p, nil
}

func (f *fake) Show(ctx context.Context, id string) (Message, error) {
	f.note("show", id)
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-ctx.Done():
			return Message{}, ctx.Err()
		}
	}
	switch id {
	case "none":
		return Message{}, ErrNotFound.With("no message none")
	case "two":
		return Message{}, fmt.Errorf("wrapped: %w", ErrAmbiguous)
	case "broken":
		return Message{}, errors.New("disk full")
	}
	return row(7), nil
}

func (f *fake) Retry(_ context.Context, id string) (Message, error) {
	f.note("retry", id)
	return Message{}, ErrUnderWay
}

func (f *fake) Drop(_ context.Context, id string) (Message, error) {
	f.note("drop", id)
	return row(8), nil
}

func (f *fake) Trail(_ context.Context, id string) ([]Step, error) {
	f.note("trail", id)
	if id == "none" {
		return nil, nil
	}
	return []Step{{At: at, Kind: "read", Detail: "from juliet", Stanza: id}, {At: at.Add(time.Second), Kind: "answered", Detail: "200", CallID: "c@gw"}}, nil
}

// serve runs a Server until stop.
func serve(t *testing.T, path string, q Queue) (stop func() error) {
	t.Helper()
	s := NewServer(path, q, slog.New(slog.DiscardHandler))
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- s.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-over
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

func dial(t *testing.T, path string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func sock(t *testing.T) string { return filepath.Join(t.TempDir(), "stox.sock") }

// What a Queue says arrives as it was said.
func TestRoundTrip(t *testing.T) {
	path, f := sock(t), &fake{n: 3}
	stop := serve(t, path, f)
	c := dial(t, path)
	ctx := t.Context()
	check := func(what string, got, want any, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", what, diff)
		}
	}
	p, err := c.List(ctx, 1, 5)
	check("list", p, Page{Total: 3, Messages: []Message{row(2), row(3)}}, err)
	p, err = c.List(ctx, 3, 5)
	check("the end", p, Page{Total: 3}, err)
	m, err := c.Show(ctx, "7")
	check("show", m, row(7), err)
	m, err = c.Drop(ctx, "a/b?c&d=%2e é\x00..")
	check("drop", m, row(8), err)
	steps, err := c.Trail(ctx, "..")
	check("trail", steps, []Step{{At: at, Kind: "read", Detail: "from juliet", Stanza: ".."}, {At: at.Add(time.Second), Kind: "answered", Detail: "200", CallID: "c@gw"}}, err)
	if steps, err := c.Trail(ctx, "none"); err != nil || len(steps) != 0 {
		t.Errorf("no trail: %v, %v", steps, err)
	}
	for _, e := range []struct {
		id   string
		want error
		text string
	}{
		{"none", ErrNotFound, "no message none"},
		{"two", ErrAmbiguous, ErrAmbiguous.Text},
		{"broken", ErrFailed, "disk full"},
		{"", ErrRequest, "the id is missing"},
		{strings.Repeat("x", maxID+1), ErrRequest, "longer"},
	} {
		if _, err := c.Show(ctx, e.id); !errors.Is(err, e.want) || !strings.Contains(err.Error(), e.text) {
			t.Errorf("%.10q: %v, want %v", e.id, err, e.want)
		}
	}
	if _, err := c.Retry(ctx, "7"); !errors.Is(err, ErrUnderWay) || errors.Is(err, ErrNotFound) {
		t.Errorf("retry: %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	want := []string{"list 1 5", "list 3 5", "show 7", "drop a/b?c&d=%2e é\x00..", "trail ..", "trail none", "show none", "show two", "show broken", "retry 7"}
	if diff := cmp.Diff(want, f.asked); diff != "" {
		t.Errorf("asked: -want +got\n%s", diff)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket after the end: %v", err)
	}
	if _, err := Dial(ctx, path); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("after the end: %v", err)
	}
}

// linkedFake is a Queue whose daemon has links.
type linkedFake struct {
	*fake
	all []Link
	err error
}

func (f linkedFake) Links(context.Context) ([]Link, error) { return f.all, f.err }

func TestLinks(t *testing.T) {
	up := Link{Component: "sip.example.com", Server: "127.0.0.1:5347", State: "up", Since: at}
	down := Link{Component: "pbx.example.com", Server: "127.0.0.1:5347", State: "down", Since: at, Reason: "refused", Text: "nobody: start it", RetryAt: at.Add(time.Second)}
	path := sock(t)
	serve(t, path, linkedFake{fake: &fake{}, all: []Link{up, down}})
	got, err := dial(t, path).Links(t.Context())
	if diff := cmp.Diff([]Link{up, down}, got); err != nil || diff != "" {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
	path = sock(t)
	serve(t, path, linkedFake{fake: &fake{}, err: errors.New("broken")})
	if _, err := dial(t, path).Links(t.Context()); !errors.Is(err, ErrFailed) || err.Error() != "broken" {
		t.Errorf("%v", err)
	}
	path = sock(t)
	serve(t, path, &fake{}) // a queue without a daemon
	if _, err := dial(t, path).Links(t.Context()); !errors.Is(err, ErrFailed) {
		t.Errorf("%v", err)
	}
}

// routedFake is a Queue whose daemon has routes.
type routedFake struct {
	*fake
	all []Route
	err error
}

func (f routedFake) Routes(context.Context) ([]Route, error) { return f.all, f.err }

func TestRoutes(t *testing.T) {
	all := []Route{
		{Domain: "*", Via: "sip:192.0.2.9", Registration: "registered", Registered: true, Server: "udp 192.0.2.9:5060", Since: at, Until: at.Add(time.Hour), Status: 200, Answers: "alive", AnswersSince: at, RTT: 1.5},
		{Domain: "pbx.example", Via: "sip:pbx.example", Answers: "dead", Problem: "no answer"},
	}
	path := sock(t)
	serve(t, path, routedFake{fake: &fake{}, all: all})
	got, err := dial(t, path).Routes(t.Context())
	if diff := cmp.Diff(all, got); err != nil || diff != "" {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
	path = sock(t)
	serve(t, path, routedFake{fake: &fake{}, err: errors.New("broken")})
	if _, err := dial(t, path).Routes(t.Context()); !errors.Is(err, ErrFailed) || err.Error() != "broken" {
		t.Errorf("%v", err)
	}
	path = sock(t)
	serve(t, path, &fake{}) // a queue without a daemon
	if _, err := dial(t, path).Routes(t.Context()); !errors.Is(err, ErrFailed) {
		t.Errorf("%v", err)
	}
}

// The names of the fields and the number as a string are a promise.
func TestJSON(t *testing.T) {
	path := sock(t)
	serve(t, path, &fake{n: 1})
	get := func(method, target string) (int, string) {
		t.Helper()
		h := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}}}
		req, err := http.NewRequestWithContext(t.Context(), method, "http://x"+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := h.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, strings.TrimSpace(string(b))
	}
	const message = `{"id":"1","stanza":"m-1","call_id":"c@gw","from":"juliet@example.com/balcony","to":"romeo@sip.example.com","lane":"sip:romeo@example.net",` +
		`"read":"2026-03-01T12:00:00.123Z","expire":"2026-03-01T12:01:00.123Z","state":"back-off","attempts":2,"next":"2026-03-01T12:00:01.123Z","problem":"503 ` + "\u202e" + `Name\u001b[2J","size":300}`
	for _, c := range []struct {
		method, target string
		status         int
		want           string
	}{
		{"GET", "/v1/queue/list", 200, `{"total":1,"messages":[` + message + `]}`},
		{"GET", "/v1/queue/list?n=x", 400, `{"error":"bad-request","text":"n is no number"}`},
		{"GET", "/v1/queue/list?n=-1", 400, `{"error":"bad-request","text":"n is no number"}`},
		{"GET", "/v1/queue/list?after=-1", 400, `{"error":"bad-request","text":"after is no number"}`},
		{"GET", "/v1/queue/show?id=none", 404, `{"error":"not-found","text":"no message none"}`},
		{"POST", "/v1/queue/retry?id=1", 409, `{"error":"under-way","text":"the message is under way at this moment"}`},
		{"GET", "/v1/queue/drop?id=1", 405, "Method Not Allowed"},
		{"GET", "/v2/queue/list", 404, "404 page not found"},
	} {
		if status, body := get(c.method, c.target); status != c.status || body != c.want {
			t.Errorf("%s %s: %d\n%s\nwant %d\n%s", c.method, c.target, status, body, c.status, c.want)
		}
	}
}

// However many rows are asked for, an answer has few.
func TestPagesAreBounded(t *testing.T) {
	path, f := sock(t), &fake{n: 2 * maxPage}
	serve(t, path, f)
	c := dial(t, path)
	for _, n := range []int{0, maxPage + 1, 1 << 30} {
		if p, err := c.List(t.Context(), 0, n); err != nil || len(p.Messages) != maxPage {
			t.Errorf("n=%d: %d rows, %v", n, len(p.Messages), err)
		}
	}
}

// An answer that is being given when the stop comes is given; the end waits for it.
func TestStopWaitsForAnswers(t *testing.T) {
	path, f := sock(t), &fake{hold: make(chan struct{})}
	stop := serve(t, path, f)
	c := dial(t, path)
	answered := make(chan error, 1)
	go func() {
		_, err := c.Show(t.Context(), "7")
		answered <- err
	}()
	f.await(t, "show 7")
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for { // until the stop has begun
		late, err := Dial(t.Context(), path)
		if errors.Is(err, ErrNoDaemon) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		late.Close()
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped before the answer was given: %v", err)
	default:
	}
	close(f.hold)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// await waits until f was asked so.
func (f *fake) await(t *testing.T, what string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		f.mu.Lock()
		n := len(f.asked)
		there := n > 0 && f.asked[n-1] == what
		f.mu.Unlock()
		if there {
			return
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("never asked " + what)
		}
	}
}

// More connections than there is room for wait; they do not get lost, and a stop
// while all are taken ends.
func TestConnectionsAreBounded(t *testing.T) {
	path, f := sock(t), &fake{hold: make(chan struct{})}
	stop := serve(t, path, f)
	var wg sync.WaitGroup
	errs := make(chan error, 3*maxConns)
	for range 3 * maxConns {
		c := dial(t, path)
		wg.Go(func() {
			_, err := c.Show(context.Background(), "7")
			c.Close()
			errs <- err
		})
	}
	for {
		f.mu.Lock()
		n := len(f.asked)
		f.mu.Unlock()
		if n > maxConns {
			t.Fatalf("%d at a time", n)
		}
		if n == maxConns {
			break
		}
	}
	close(f.hold)
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	idle := make([]net.Conn, maxConns)
	for i := range idle {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle[i] = c
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// Something else that answers on the socket is told apart from a daemon.
func TestOtherVersions(t *testing.T) {
	path := sock(t)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	h := &http.Server{Handler: http.NotFoundHandler()}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = h.Serve(l)
	}()
	defer func() {
		h.Close()
		<-over
	}()
	c := dial(t, path)
	if _, err := c.List(t.Context(), 0, 1); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "of another version") {
		t.Errorf("%v", err)
	}
}

// historicFake is a Queue whose daemon remembers messages.
type historicFake struct {
	*fake
	known []history.Message
}

func (f historicFake) History(_ context.Context, id string) ([]history.Message, error) {
	f.note("history", id)
	return f.known, nil
}

func TestHistory(t *testing.T) {
	known := []history.Message{{Key: "a", User: "juliet@example.com", ID: "m\u202e", Read: at, Outcome: history.Failed, Status: 404, Steps: []history.Step{{After: time.Millisecond, Kind: history.Read}}}}
	path, f := sock(t), &fake{}
	serve(t, path, historicFake{f, known})
	got, err := dial(t, path).History(t.Context(), "m\u202e")
	if diff := cmp.Diff(known, got); err != nil || diff != "" || f.asked[0] != "history m\u202e" {
		t.Errorf("%v, %q, -want +got\n%s", err, f.asked, diff)
	}
	path = sock(t)
	serve(t, path, &fake{}) // a queue without a daemon
	if got, err := dial(t, path).History(t.Context(), "x"); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}
