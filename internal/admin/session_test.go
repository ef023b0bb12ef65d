package admin

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// paged has a page for people, the form, and a stream.
func paged(w *Web) {
	w.Handle("/{$}", Paged, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "the page") }))
	w.HandleLogin(func(rw http.ResponseWriter, r *http.Request, l Login) {
		rw.WriteHeader(l.Status)
		fmt.Fprintf(rw, "the form, next %q wrong %v", l.Next, l.Wrong)
	})
	w.HandleStream("/events", Paged, func(s *Stream) {
		news := make(chan struct{}, 1)
		for s.Send("change", "1") == nil && s.Wait(news) {
		}
	})
}

func post(path, host, form string, headers ...string) string {
	s := "POST " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " + fmt.Sprint(len(form)) + "\r\n"
	for _, h := range headers {
		s += h + "\r\n"
	}
	return s + "\r\n" + form
}

func cookieOf(t *testing.T, all string) string {
	t.Helper()
	_, rest, found := strings.Cut(all, "Set-Cookie: ")
	cookie, _, _ := strings.Cut(rest, ";")
	if !found {
		t.Fatalf("no cookie in\n%s", all)
	}
	return "Cookie: " + cookie
}

// A person shows the token once and is known by a cookie then (SEC-23); the form takes nothing
// else, and sends nobody elsewhere.
func TestLogin(t *testing.T) {
	w, log, _ := web(t, webToken, paged)
	right := "token=" + url.QueryEscape(webToken)
	status, all := raw(t, w, get("/", "status.example.com"))
	if status != 401 || !strings.Contains(all, `the form, next "/" wrong false`) || strings.Contains(all, "the page") {
		t.Errorf("without a cookie: %d\n%s", status, all)
	}
	for _, form := range []string{"", "token=", "token=x", right + "x", "token=" + url.QueryEscape(webToken[1:]), "other=" + url.QueryEscape(webToken)} {
		if status, all := raw(t, w, post("/login", "localhost", form)); status != 401 || !strings.Contains(all, "wrong true") || strings.Contains(all, "Set-Cookie") || strings.Contains(all, webToken) {
			t.Errorf("%q: %d\n%s", form, status, all)
		}
	}
	for next, want := range map[string]string{
		"": "/", "/m/1?id=a%20b": "/m/1?id=a%20b", "//evil.example": "/", "https://evil.example": "/", `/\evil.example`: "/", "/\tx": "/", "javascript:x": "/", "/" + strings.Repeat("x", 600): "/",
	} {
		status, all := raw(t, w, post("/login", "localhost", right+"&next="+url.QueryEscape(next)))
		if status != 303 || !strings.Contains(all, "\nLocation: "+want+"\r\n") {
			t.Errorf("next %q: %d\n%s", next, status, all)
		}
	}
	_, all = raw(t, w, post("/login", "status.example.com", right, "Sec-Fetch-Site: same-origin"))
	for _, flag := range []string{"; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=43200"} {
		if !strings.Contains(all, flag) {
			t.Errorf("the cookie has no %q:\n%s", flag, all)
		}
	}
	cookie := cookieOf(t, all)
	if status, all := raw(t, w, get("/", "status.example.com", cookie)); status != 200 || !strings.Contains(all, "the page") {
		t.Errorf("with the cookie: %d\n%s", status, all)
	}
	// The cookie is for people's pages only, and only where it belongs.
	for _, c := range []struct {
		name, request string
		status        int
	}{
		{"metrics", get("/metrics", "localhost", cookie), 401},
		{"profiles", get("/debug/pprof/heap", "localhost", cookie), 401},
		{"a cookie that was changed", get("/", "localhost", cookie[:len(cookie)-2]+"xx"), 401},
		{"an empty one", get("/", "localhost", "Cookie: stox_session="), 401},
		{"one that is no base64", get("/", "localhost", "Cookie: stox_session=%%%"), 401},
		{"another page logs somebody in", post("/login", "localhost", right, "Sec-Fetch-Site: cross-site"), 403},
		{"another page, told by its origin", post("/login", "localhost", right, "Origin: https://evil.example"), 403},
		{"another page logs somebody out", post("/logout", "localhost", "", "Sec-Fetch-Site: cross-site", cookie), 403},
		{"metrics by a foreign name", get("/metrics", "status.example.com", cookie), 403},
		{"the page with the token", get("/", "localhost", bearer), 200},
		{"a long form", post("/login", "localhost", right+"&x="+strings.Repeat("x", 8000)), 401},
	} {
		if status, all := raw(t, w, c.request); status != c.status || strings.Contains(all, "numbers") {
			t.Errorf("%s: %d, want %d\n%.300s", c.name, status, c.status, all)
		}
	}
	if status, all := raw(t, w, post("/logout", "localhost", "", cookie)); status != 303 || !strings.Contains(all, "Max-Age=0") {
		t.Errorf("to log out: %d\n%s", status, all)
	}
	if status, _ := raw(t, w, get("/", "localhost", cookie)); status != 401 {
		t.Errorf("a copy of the cookie after that: %d", status)
	}
	if strings.Contains(log.String(), webToken) {
		t.Error("the log has the token")
	}

	// Without a token there is nothing to log in to.
	open, _, _ := web(t, "", paged)
	if status, _ := raw(t, open, post("/login", "localhost", "token=")); status != 404 {
		t.Errorf("a login without a token: %d", status)
	}
	if status, all := raw(t, open, get("/", "localhost")); status != 200 || !strings.Contains(all, "the page") {
		t.Errorf("without a token: %d", status)
	}
	if status, _ := raw(t, open, get("/", "attacker.example")); status != 403 {
		t.Errorf("by a foreign name: %d", status)
	}
}

// Sessions end, and those of another process are none.
func TestSessionsEnd(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := newSessions()
	s.now = func() time.Time { return now }
	value := s.begin().Value
	if !s.good(value) {
		t.Fatal("a new session is not good")
	}
	if value == s.begin().Value {
		t.Error("two sessions are the same")
	}
	now = now.Add(sessionFor - time.Second)
	if !s.good(value) {
		t.Error("it has ended too soon")
	}
	now = now.Add(time.Second)
	if s.good(value) {
		t.Error("it has not ended")
	}
	now = now.Add(-time.Hour)
	b, _ := base64.RawURLEncoding.DecodeString(value)
	b[0] ^= 0x01 // later
	if s.good(base64.RawURLEncoding.EncodeToString(b)) || newSessions().good(value) || s.good("") || s.good(value+"=") {
		t.Error("a forged one is good")
	}
}

// A session that was given back has ended for all who have its cookie, and for none besides; so
// many may be given back that those are not remembered one by one.
func TestSessionsGivenBack(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := newSessions()
	s.now = func() time.Time { return now }
	first, other := s.begin().Value, s.begin().Value
	s.end(first)
	s.end(first)
	s.end("x")
	if s.good(first) || !s.good(other) || len(s.ended) != 1 {
		t.Error(s.good(first), s.good(other), len(s.ended))
	}
	now = now.Add(sessionFor)
	if s.end(s.begin().Value); len(s.ended) != 1 {
		t.Errorf("%d are remembered when one has ended by itself", len(s.ended))
	}
	for range maxEnded + 10 {
		last := s.begin().Value
		if s.end(last); s.good(last) || len(s.ended) > maxEnded {
			t.Fatal(s.good(last), len(s.ended))
		}
	}
}

// A thousand look on, and programs that ask are answered as before; more than there is room
// for are told to come back, and the end waits for nobody.
func TestStreams(t *testing.T) {
	w, _, stop := web(t, "", paged)
	open := func() (net.Conn, int, *bufio.Reader) {
		c, err := net.Dial("tcp", w.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := io.WriteString(c, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		br := bufio.NewReader(c)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c, resp.StatusCode, bufio.NewReader(resp.Body)
	}
	event := func(r *bufio.Reader) {
		t.Helper()
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if line == "data: 1\n" {
				return
			}
		}
	}
	var conns []net.Conn
	var readers []*bufio.Reader
	for range maxStreams {
		c, status, r := open()
		if status != 200 {
			t.Fatalf("stream %d: %d", len(conns), status)
		}
		event(r)
		conns, readers = append(conns, c), append(readers, r)
	}
	if _, status, _ := open(); status != 503 {
		t.Errorf("one too many: %d", status)
	}
	for range 2 * maxWebConns {
		if status, _ := raw(t, w, get("/metrics", "localhost")); status != 200 {
			t.Errorf("metrics beside them: %d", status)
		}
	}
	// Who goes makes room.
	conns[0].Close()
	for patience := time.Now().Add(20 * time.Second); ; {
		c, status, _ := open()
		if status == 200 {
			break
		}
		c.Close()
		if time.Now().After(patience) {
			t.Fatal("there is no room after one has gone")
		}
	}
	if status, _ := raw(t, w, get("/events", "localhost", "Sec-Fetch-Site: cross-site")); status != 403 {
		t.Errorf("another page: %d", status)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, r := range readers[1:] {
		if _, err := io.Copy(io.Discard, r); err != nil && !strings.Contains(err.Error(), "reset") && err != io.ErrUnexpectedEOF {
			t.Fatalf("a stream after the end: %v", err)
		}
	}
}
