package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
)

const webToken = "a token of some length"

// web runs a Web on a free port of loopback until the test ends.
func web(t *testing.T, token string, prepare func(*Web)) (w *Web, log *bytes.Buffer, stop func() error) {
	t.Helper()
	log = new(bytes.Buffer)
	w = NewWeb("127.0.0.1:0", token, slog.New(slog.NewTextHandler(log, nil)))
	w.Handle("/metrics", Guarded, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "numbers") }))
	var h Health
	h.Put(CheckProcess, true, "all parts are at work")
	h.Put(CheckLink, false, "down: the reason")
	w.HandleHealth(func() Health { return h })
	if prepare != nil {
		prepare(w)
	}
	if err := w.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- w.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-over })
	t.Cleanup(func() { _ = stop() })
	return w, log, stop
}

// raw sends a request as it is and gives the status and all that was answered.
func raw(t *testing.T, w *Web, request string) (status int, all string) {
	t.Helper()
	status, all, err := exchange(w, request)
	if err != nil {
		t.Fatal(err)
	}
	return status, all
}

func exchange(w *Web, request string) (status int, all string, err error) {
	c, err := net.Dial("tcp", w.Addr().String())
	if err != nil {
		return 0, "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		return 0, "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	var head strings.Builder
	_ = resp.Header.Write(&head)
	return resp.StatusCode, head.String() + "\r\n" + string(b), err
}

func get(path, host string, headers ...string) string {
	s := "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n"
	for _, h := range headers {
		s += h + "\r\n"
	}
	return s + "\r\n"
}

const (
	bearer = "Authorization: Bearer " + webToken
	basic  = "Authorization: Basic YW55Ym9keTphIHRva2VuIG9mIHNvbWUgbGVuZ3Ro" // anybody:webToken
	wrong  = "Authorization: Bearer a token of some lengtH"
)

// Who may see what (SEC-23).
func TestWebAccess(t *testing.T) {
	open, _, _ := web(t, "", nil)
	locked, log, stop := web(t, webToken, nil)
	remote, _, _ := web(t, webToken, nil)
	remote.loopback = false // as if it listened elsewhere
	for _, c := range []struct {
		name    string
		w       *Web
		request string
		status  int
		want    string // in the answer
		never   string // in the answer
	}{
		{"metrics of this machine", open, get("/metrics", "localhost:9480"), 200, "numbers", ""},
		{"by its address", open, get("/metrics", "127.0.0.1:9480"), 200, "numbers", ""},
		{"by another address of loopback", open, get("/metrics", "[::1]:9480"), 200, "numbers", ""},
		{"a name that leads here", open, get("/metrics", "attacker.example:9480"), 403, "127.0.0.1", "numbers"},
		{"a name like ours", open, get("/metrics", "localhost.attacker.example"), 403, "", "numbers"},
		{"an address like ours", open, get("/metrics", "127.0.0.1.attacker.example"), 403, "", "numbers"},
		{"another's address", open, get("/metrics", "192.0.2.1"), 403, "", "numbers"},
		{"health by a foreign name", open, get("/readyz", "attacker.example"), 403, "", "reason"},
		{"profiles without a token", open, get("/debug/pprof/heap", "localhost"), 403, "admin.token", ""},
		{"profiles with one that is none", open, get("/debug/pprof/heap", "localhost", "Authorization: Bearer "), 403, "admin.token", ""},
		{"profiles with an empty password", open, get("/debug/pprof/heap", "localhost", "Authorization: Basic YTo="), 403, "admin.token", ""},

		{"no token", locked, get("/metrics", "localhost"), 401, `Bearer realm="stox"`, "numbers"},
		{"a wrong token", locked, get("/metrics", "localhost", wrong), 401, "", "numbers"},
		{"half a token", locked, get("/metrics", "localhost", "Authorization: Bearer a token"), 401, "", "numbers"},
		{"a token as another scheme", locked, get("/metrics", "localhost", "Authorization: Digest "+webToken), 401, "", "numbers"},
		{"the token", locked, get("/metrics", "localhost", bearer), 200, "numbers", ""},
		{"the token by a foreign name", locked, get("/metrics", "stox.example.com", bearer), 200, "numbers", ""},
		{"as a password", locked, get("/metrics", "localhost", basic), 200, "numbers", ""},
		{"profiles", locked, get("/debug/pprof/goroutine?debug=1", "localhost", bearer), 200, "goroutine profile", ""},
		{"the list of profiles", locked, get("/debug/pprof/", "localhost", basic), 200, "heap", ""},
		{"profiles, wrong token", locked, get("/debug/pprof/goroutine?debug=1", "localhost", wrong), 401, "", "goroutine profile"},
		{"health says less", locked, get("/readyz", "localhost"), 503, "fail", "reason"},
		{"health says why", locked, get("/readyz", "localhost", bearer), 503, "fail link: down: the reason\n", ""},

		{"from elsewhere", remote, get("/metrics", "stox.example.com"), 401, "", "numbers"},
		{"from elsewhere by our name", remote, get("/metrics", "localhost"), 401, "", "numbers"},
		{"from elsewhere with the token", remote, get("/metrics", "stox.example.com", bearer), 200, "numbers", ""},
		{"health from elsewhere", remote, get("/readyz?format=json", "stox.example.com"), 503, `{"alive":true,"ready":false,"checks":[]}`, "reason"},
	} {
		status, all := raw(t, c.w, c.request)
		if status != c.status || !strings.Contains(all, c.want) || c.never != "" && strings.Contains(all, c.never) {
			t.Errorf("%s: %d, want %d\n%s", c.name, status, c.status, all)
		}
		if strings.Contains(all, webToken) {
			t.Errorf("%s: the token is told", c.name)
		}
	}
	if n := locked.Denied(); n != 5 {
		t.Errorf("%d refused", n)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if lines := strings.Count(log.String(), "was refused"); lines != 1 || strings.Contains(log.String(), "some length") {
		t.Errorf("the log: %s", log)
	}
}

// Nobody is sent anywhere, and nothing is changed by asking.
func TestWebIsStrict(t *testing.T) {
	w, _, _ := web(t, webToken, nil)
	for _, c := range []struct {
		request string
		status  int
	}{
		{get("//metrics", "localhost", bearer), 404},
		{get("/x/../metrics", "localhost", bearer), 404},
		{get("/metrics/", "localhost", bearer), 404},
		{get("/debug/pprof", "localhost", bearer), 404},
		{get("/debug/pprof//heap", "localhost", bearer), 404},
		{get("/debug/pprof/nothing", "localhost", bearer), 404},
		{get("/", "localhost", bearer), 404},
		{get("http://localhost/metrics", "localhost", bearer), 200},
		{get("http://attacker.example//metrics", "localhost", bearer), 404},
		{"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n" + bearer + "\r\n\r\n", 405},
		{"CONNECT localhost:25 HTTP/1.1\r\nHost: localhost:25\r\nConnection: close\r\n" + bearer + "\r\n\r\n", 404},
		{"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400},
		{get("/metrics", "localhost", bearer, "X: "+strings.Repeat("x", 64<<10)), 431},
	} {
		line, _, _ := strings.Cut(c.request, "\r\n")
		if status, all := raw(t, w, c.request); status != c.status || strings.Contains(all, "Location:") {
			t.Errorf("%s: %d, want %d\n%.300s", line, status, c.status, all)
		}
	}
}

func TestHealthPages(t *testing.T) {
	w, _, _ := web(t, "", nil)
	for _, c := range []struct {
		request string
		status  int
		want    string
	}{
		{get("/healthz", "localhost"), 200, "ok\nok process: all parts are at work\n"},
		{get("/readyz", "localhost"), 503, "fail\nok process: all parts are at work\nfail link: down: the reason\n"},
		{get("/healthz", "localhost", "Accept: application/json"), 200, `{"alive":true,"ready":false,"checks":[{"check":"process","ok":true,"text":"all parts are at work"}]}` + "\n"},
	} {
		status, all := raw(t, w, c.request)
		_, body, _ := strings.Cut(all, "\r\n\r\n")
		if status != c.status || body != c.want {
			t.Errorf("%q: %d\n%q", c.request, status, body)
		}
	}
	_, all := raw(t, w, get("/readyz?format=json", "localhost"))
	_, body, _ := strings.Cut(all, "\r\n\r\n")
	var h Health
	if err := json.Unmarshal([]byte(body), &h); err != nil || h.Ready || !h.Alive || len(h.Checks) != 2 || h.Checks[1] != (Check{CheckLink, false, "down: the reason"}) {
		t.Errorf("%v %+v", err, h)
	}
}

// A port that is taken is said so, with what to do; without a port there is no door.
func TestWebPort(t *testing.T) {
	first, log, _ := web(t, "", nil)
	second := NewWeb(first.Addr().String(), "", slog.New(slog.NewTextHandler(log, nil)))
	if err := second.Listen(); err == nil || !strings.HasPrefix(err.Error(), "admin.listen: "+first.Addr().String()+" is taken by another program: ") || !strings.Contains(err.Error(), "ss -lntp") {
		t.Errorf("%v", err)
	}
	none := NewWeb("", "", slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- none.Run(ctx) }()
	cancel()
	if err := errors.Join(none.Listen(), <-over, none.Close()); err != nil || none.Addr() != nil {
		t.Errorf("%v, %v", err, none.Addr())
	}
}

// An answer that is being given when the stop comes is given, and the end waits for it.
func TestWebStopWaitsForAnswers(t *testing.T) {
	asked, hold := make(chan struct{}), make(chan struct{})
	w, _, stop := web(t, "", func(w *Web) {
		w.Handle("/slow", Guarded, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			close(asked)
			<-hold
			fmt.Fprint(rw, "at last")
		}))
	})
	type answer struct {
		status int
		all    string
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		status, all, err := exchange(w, get("/slow", "localhost"))
		answered <- answer{status, all, err}
	}()
	<-asked
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for { // until the stop has begun
		c, err := net.Dial("tcp", w.Addr().String())
		if err != nil {
			break
		}
		c.Close()
	}
	select {
	case err := <-stopped:
		t.Errorf("it has ended before the answer was given: %v", err)
	default:
	}
	close(hold)
	if a := <-answered; a.err != nil || a.status != 200 || !strings.HasSuffix(a.all, "at last") {
		t.Errorf("%v, %d %s", a.err, a.status, a.all)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// Browsers that keep their connections for the next question leave room for others.
func TestWebKeepsRoom(t *testing.T) {
	w, _, _ := web(t, "", nil)
	kept := 0
	for range 2 * maxWebConns {
		c, err := net.Dial("tcp", w.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode, err)
		}
		if !resp.Close {
			kept++
		}
		if kept > keptWebConns {
			t.Fatalf("%d connections are kept", kept)
		}
	}
	if kept == 0 {
		t.Error("no connection is kept")
	}
}

// Those who hold connections and say nothing keep others waiting at most, and the stop not
// at all.
func TestWebConnectionsAreBounded(t *testing.T) {
	w, _, stop := web(t, "", nil)
	idle := make([]net.Conn, 2*maxWebConns)
	for i := range idle {
		c, err := net.Dial("tcp", w.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle[i] = c
	}
	for len(w.l.room) < maxWebConns {
		if runtime.Gosched(); t.Context().Err() != nil {
			t.Fatal("never full")
		}
	}
	for _, c := range idle {
		c.Close()
	}
	if status, all := raw(t, w, get("/metrics", "localhost")); status != 200 {
		t.Errorf("%d %s", status, all)
	}
	held, err := net.Dial("tcp", w.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
}
