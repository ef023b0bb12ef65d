package statuspage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/html"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/hist"
	"github.com/stoxgw/stox/internal/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is the pages of a made-up gateway, on a port of loopback.
type shop struct {
	t     *testing.T
	book  *history.Book
	pages *Pages
	web   *admin.Web
	stop  func()

	mu    sync.Mutex
	now   Snapshot
	asked int
	trail []history.TrailEvent
	fault error
	texts bool
}

func open(t *testing.T, token string, prepare ...func(*Pages)) *shop {
	t.Helper()
	s := &shop{t: t, book: history.NewBook(time.Now())}
	s.now.Health.Put(admin.CheckLink, true, "1 of 1 links up")
	s.web = admin.NewWeb("127.0.0.1:0", token, slog.New(slog.DiscardHandler))
	s.pages = New(Source{
		Name: "sip.example.com", Version: "v1", Started: time.Now(), Book: s.book,
		Now: func() Snapshot {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.asked++
			return s.now
		},
		Count: func() Counters { return Counters{} },
		Trail: func(context.Context, string) ([]history.TrailEvent, error) { return s.trail, s.fault },
		Texts: func() bool { return s.texts },
	}, s.web, slog.New(slog.DiscardHandler))
	for _, f := range prepare {
		f(s.pages)
	}
	if err := s.web.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var both sync.WaitGroup
	both.Go(func() {
		if err := s.web.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	both.Go(func() { _ = s.pages.Run(ctx) })
	s.stop = sync.OnceFunc(func() { cancel(); both.Wait() })
	t.Cleanup(s.stop)
	return s
}

func (s *shop) get(path string) (status int, head http.Header, page string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.web.Addr().String()+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

const nasty = `"'><script>x()</script></title></textarea></pre></style><img src=x onerror=x()><a href="javascript:x()">{{.}}` + "\u202e\x00\x1b[2J\xff"

// elements are those of a page, each with its attributes.
func elements(t *testing.T, page string) (all []html.Token) {
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			if !errors.Is(z.Err(), io.EOF) {
				t.Fatal(z.Err())
			}
			return all
		case html.StartTagToken, html.SelfClosingTagToken:
			all = append(all, z.Token())
		}
	}
}

// harmless checks that a page has nothing that runs, and nothing from elsewhere.
func harmless(t *testing.T, path string, head http.Header, page string) {
	t.Helper()
	if csp := head.Get("Content-Security-Policy"); csp != policy || strings.Contains(csp, "unsafe") {
		t.Errorf("%s: its policy is %q", path, csp)
	}
	for _, e := range elements(t, page) {
		for _, a := range e.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "style":
				t.Errorf("%s: <%s %s=%q>", path, e.Data, a.Key, a.Val)
			case a.Key == "href" || a.Key == "src" || a.Key == "action":
				if !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") || strings.HasPrefix(a.Val, "//") {
					t.Errorf("%s: <%s %s=%q>", path, e.Data, a.Key, a.Val)
				}
			}
		}
		if e.Data == "script" && (len(e.Attr) == 0 || e.Attr[0].Key != "src") || e.Data == "img" || e.Data == "style" || e.Data == "iframe" {
			t.Errorf("%s: <%s> %v", path, e.Data, e.Attr)
		}
	}
	if strings.ContainsAny(page, "\u202e\x00\x1b") || strings.Contains(page, "\xff") {
		t.Errorf("%s has what cannot be printed", path)
	}
}

// What strangers choose is text on every page, in every field that has it.
func TestNothingRuns(t *testing.T) {
	s := open(t, "")
	s.texts = true
	n := &s.now
	n.Health.Put(admin.CheckJournal, false, nasty)
	n.Links = []admin.Link{{Component: nasty, Server: nasty, State: nasty, Reason: nasty, Text: nasty}}
	n.Routes = []admin.Route{{Domain: nasty, Via: nasty, Registration: nasty, Server: nasty, Reason: nasty, Answers: nasty, Problem: nasty}}
	n.Flows = []Flow{{Name: nasty}}
	now := time.Now()
	kinds := []string{history.Read, history.Answer, history.NoAnswer, history.NotSent, history.Retry, history.Told, history.Bounced, history.Answered, history.Late, history.Receipt, history.Event, nasty}
	var steps []history.Note
	for _, fromSIP := range []bool{false, true} {
		key := uint64(1)
		if fromSIP {
			key = 2
		}
		for _, k := range kinds {
			steps = append(steps, history.Note{Key: key, FromSIP: fromSIP, Read: now, At: now, Kind: k, User: nasty, Contact: nasty, SIP: nasty, ID: nasty, CallID: nasty,
				Status: 503, Condition: nasty, Text: nasty, Remedy: nasty, Outcome: history.Failed, Type: nasty, Size: 9, Body: nasty})
		}
	}
	s.book.Put(steps)
	s.trail = []history.TrailEvent{{ID: nasty, CallID: nasty, At: now, Kind: nasty, Detail: nasty}, {ID: "x", At: now, Kind: "failed", Detail: "xmpp-sip " + nasty + " -> " + nasty + " " + nasty}}
	q := escape(nasty)
	for _, path := range []string{
		"/", "/?refresh=" + q, "/messages", "/messages?user=" + q + "&address=" + q + "&id=" + q + "&outcome=" + q + "&from=" + q + "&to=" + q + "&after=" + q,
		"/m/1", "/m/2", "/m/zz?id=" + q, "/m/" + q, "/m/" + q + "?id=" + q,
	} {
		status, head, page := s.get(path)
		if status != 200 && status != 404 {
			t.Errorf("%s: %d", path, status)
		}
		harmless(t, path, head, page)
	}
	for _, path := range []string{"/", "/m/1", "/m/2"} {
		if _, _, page := s.get(path); !strings.Contains(page, "&lt;script&gt;x()&lt;/script&gt;") || !strings.Contains(page, `\u202e`) {
			t.Errorf("%s does not show what there is", path)
		}
	}
	s.fault = errors.New(nasty)
	s.trail = nil
	_, head, page := s.get("/m/zz?id=x")
	harmless(t, "a trail that cannot be read", head, page)
	// A page of whoever has no token.
	locked := open(t, "some token")
	status, head, page := locked.get("/m/1?id=" + q)
	if status != 401 || !strings.Contains(page, `type="password"`) {
		t.Errorf("%d\n%s", status, page)
	}
	harmless(t, "the form", head, page)
}

// Texts are shown only if they are to be.
func TestTextsAreHidden(t *testing.T) {
	s := open(t, "")
	s.book.Put([]history.Note{{Key: 1, Read: time.Now(), At: time.Now(), Kind: history.Read, User: "juliet@example.com", Size: 6, Body: "secret"}})
	if _, _, page := s.get("/m/1"); strings.Contains(page, "secret") || !strings.Contains(page, "admin.show_bodies") {
		t.Errorf("hidden:\n%s", page)
	}
	s.texts = true
	if _, _, page := s.get("/m/1"); !strings.Contains(page, "secret") {
		t.Errorf("shown:\n%s", page)
	}
}

// Search: what is found, page by page, and what cannot be understood.
func TestSearch(t *testing.T) {
	s := open(t, "")
	start := time.Now().Add(-time.Hour)
	for i := range 120 {
		n := history.Note{Key: uint64(i + 1), Read: start.Add(time.Duration(i) * time.Second), Kind: history.Read, User: fmt.Sprintf("user%d@example.com", i%2), SIP: "sip:romeo@example.net", ID: fmt.Sprint("m", i)}
		n.At = n.Read
		s.book.Put([]history.Note{n})
	}
	links := func(page string) (found []string) {
		for _, e := range elements(t, page) {
			for _, a := range e.Attr {
				if a.Key == "href" && strings.HasPrefix(a.Val, "/m/") {
					found = append(found, a.Val)
				}
			}
		}
		return found
	}
	var all []string
	pages := 0
	for path := "/messages?user=user1"; path != ""; pages++ {
		_, _, page := s.get(path)
		all = append(all, links(page)...)
		path = ""
		for _, e := range elements(t, page) {
			for i, a := range e.Attr {
				if a.Key == "rel" && a.Val == "next" {
					path = e.Attr[1-i].Val
				}
			}
		}
	}
	if len(all) != 60 || pages != 2 || all[0] != "/m/3c?id=m119" || all[59] != "/m/2?id=m1" {
		t.Errorf("%d messages on %d pages, %v", len(all), pages, all)
	}
	for _, c := range []struct {
		query string
		found int
		want  string
	}{
		{"id=m7", 1, "Found"},
		{"id=none", 0, "Nothing of what is remembered"},
		{"from=2001-01-01T00:00&to=2001-01-02", 0, "Nothing of what is remembered"},
		{"from=2001-01-01T00:00", 50, "Older messages"},
		{"from=yesterday", 50, "cannot be understood"},
		{"outcome=odd", 50, "There is no such outcome"},
		{"after=zzz", 50, "this is the first page"},
		{"outcome=open&user=user0", 50, "Older messages"},
	} {
		status, _, page := s.get("/messages?" + c.query)
		if got := len(links(page)); status != 200 || got != c.found || !strings.Contains(page, c.want) {
			t.Errorf("%s: %d, %d messages\n%s", c.query, status, got, page)
		}
	}
}

// The link to a message holds when the book has forgotten it, as long as the trail knows, and
// never shows another one.
func TestLinkToOneMessage(t *testing.T) {
	s := open(t, "")
	now := time.Now()
	s.book.Put([]history.Note{{Key: 9, Read: now, At: now, Kind: history.Read, User: "juliet@example.com", ID: "m1", CallID: "c&1"}})
	m, _ := s.book.Get("9")
	if got := link(&m); got != "/m/9?id=c%261" {
		t.Errorf("%s", got)
	}
	if status, _, page := s.get(link(&m)); status != 200 || !strings.Contains(page, "juliet@example.com") {
		t.Errorf("%d\n%s", status, page)
	}
	// The same key after a restart, when it means another message.
	if status, _, page := s.get("/m/9?id=another"); status != 404 || strings.Contains(page, "juliet@example.com") {
		t.Errorf("%d\n%s", status, page)
	}
	s.trail = []history.TrailEvent{{ID: "m0", CallID: "another", At: now, Kind: "delivered", Detail: "xmpp-sip nurse@example.com -> romeo@sip.example.com 200 after 3 ms"}}
	if status, _, page := s.get("/m/9?id=another"); status != 200 || !strings.Contains(page, "nurse@example.com") || !strings.Contains(page, "What the trail has") {
		t.Errorf("%d\n%s", status, page)
	}
}

// A browser has to say where the form for the token comes from, or nobody could log in by HTTP
// off loopback: it sends no Sec-Fetch-Site there, and with no-referrer only "Origin: null".
func TestFormHasAnOrigin(t *testing.T) {
	s := open(t, "secret")
	for _, path := range []string{"/", "/messages", "/m/1"} {
		status, head, page := s.get(path)
		if status != 401 || !strings.Contains(page, `action="/login"`) || head.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%s: %d, Referrer-Policy %q", path, status, head.Get("Referrer-Policy"))
		}
	}
	origin := "http://" + s.web.Addr().String()
	for given, want := range map[string]int{origin: http.StatusSeeOther, "null": http.StatusForbidden, "http://evil.example": http.StatusForbidden} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, origin+"/login", strings.NewReader("token=secret"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", given)
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("Origin %s: %d, want %d", given, resp.StatusCode, want)
		}
	}
}

// Behind a proxy that keeps its own name, who has the token sees the page as it is: also what
// belongs to it, which the browser asks for without the token.
func TestFilesByAnotherName(t *testing.T) {
	s := open(t, "secret")
	for _, path := range []string{"/", "/style.css", "/live.js", "/icon.svg"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.web.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "status.example.com"
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		want := http.StatusOK
		if path == "/" {
			want = http.StatusUnauthorized // the form
		}
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
}

// However many look on, the parts of the daemon are asked once a second.
func TestOverviewIsShared(t *testing.T) {
	fixed := time.Now()
	s := open(t, "", func(p *Pages) { p.now = func() time.Time { return fixed } })
	for range 20 {
		if status, _, page := s.get("/"); status != 200 || !strings.Contains(page, "All is well") {
			t.Fatalf("%d\n%s", status, page)
		}
	}
	if s.asked != 1 {
		t.Errorf("asked %d times", s.asked)
	}
}

// A part that does not answer holds up one who looks, not all of them: they would take the room of
// programs that ask whether the daemon is alive. What they see is not older than some seconds.
func TestOverviewWaitsForNobody(t *testing.T) {
	var clock atomic.Int64
	var asks int
	asked, answer := make(chan struct{}), make(chan struct{})
	s := open(t, "", func(p *Pages) {
		p.patience = 0
		p.now = func() time.Time { return time.Unix(1_800_000_000+clock.Load(), 0) }
		of := p.source.Now
		p.source.Now = func() Snapshot {
			if asks++; asks == 2 {
				close(asked)
				<-answer
			}
			return of()
		}
	})
	p := s.pages
	p.makeOverview()
	clock.Add(2)
	var first sync.WaitGroup
	first.Go(func() { p.makeOverview() })
	<-asked
	if o := p.makeOverview(); o.Silent || len(o.Faults) != 0 {
		t.Errorf("two seconds: %+v", o.Snapshot)
	}
	clock.Add(10)
	if o := p.makeOverview(); !o.Silent || len(o.Faults) != 1 {
		t.Errorf("later: %+v", o.Snapshot)
	}
	if _, _, page := s.get("/"); strings.Contains(page, "All is well") || !strings.Contains(page, "does not say how it does") {
		t.Errorf("later: %s", page)
	}
	close(answer)
	first.Wait()
	if o := p.makeOverview(); o.Silent || asks != 3 {
		t.Errorf("at the end, asked %d times: %+v", asks, o.Snapshot)
	}
}

// Where a part does not answer, the page does not say of the others that there is nothing.
func TestSilentParts(t *testing.T) {
	s := open(t, "")
	s.now = Snapshot{Silent: true}
	s.now.Health.Put(admin.CheckProcess, false, "the bridge does not answer")
	_, _, page := s.get("/")
	if !strings.Contains(page, "the bridge does not answer") || !strings.Contains(page, "were not asked") {
		t.Errorf("it does not say what is wrong\n%s", page)
	}
	for _, never := range []string{"No route has a next hop", "In the journal", "Links to XMPP servers", "Messages since the start"} {
		if strings.Contains(page, never) {
			t.Errorf("it says %q", never)
		}
	}
}

// Who looks on is told that there is news, without being told what.
func TestEvents(t *testing.T) {
	s := open(t, "")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.web.Addr().String()+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("%s", kind)
	}
	r := bufio.NewReader(resp.Body)
	seen := ""
	for i := uint64(1); !strings.Contains(seen, "event: change\ndata: now\n\n"); i++ {
		s.book.Put([]history.Note{{Key: i, At: time.Now(), Kind: history.Read, User: "juliet@example.com"}})
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		seen += line
	}
	if strings.Contains(seen, "juliet") {
		t.Errorf("%q", seen)
	}
	s.stop()
	if _, err := io.Copy(io.Discard, r); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// Samples of an hour: rates, and how long deliveries took.
func TestSamples(t *testing.T) {
	var s samples
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var c Counters
	s.add(at, c)
	for i := range 400 {
		c.ToSIP += 100
		c.ToXMPP += 50
		c.Failed++
		c.Queue = i
		if i != 398 {
			for j := range 100 {
				c.Took[j%2].Add(0.010+0.990*float64(j/99), hist.Seconds) // one in a hundred took a second
			}
		}
		s.add(at.Add(time.Duration(i+1)*sampleEvery), c)
		s.add(at.Add(time.Duration(i+1)*sampleEvery+time.Second), Counters{}) // too soon
	}
	all := s.all()
	if len(all) != sampleCount || !all[0].at.Equal(at.Add(41*sampleEvery)) || !all[359].at.Equal(at.Add(400*sampleEvery)) {
		t.Fatalf("%d samples from %v", len(all), all[0].at)
	}
	v := all[357]
	if v.toSIP != 10 || v.toXMPP != 5 || v.failed != 0.1 || v.queue != 397 {
		t.Errorf("%+v", v)
	}
	if v.p50 < 0.010 || v.p50 > 0.012 || v.p99 < 0.010 || v.p99 > 0.012 {
		t.Errorf("half took %v, 99 of 100 %v", v.p50, v.p99)
	}
	if !math.IsNaN(all[358].p50) || !math.IsNaN(all[358].p99) {
		t.Errorf("without a delivery: %+v", all[358])
	}
	drawn := plots(all, at.Add(400*sampleEvery))
	if n := len(drawn[1].Lines[0].Parts); n != 2 {
		t.Errorf("a gap makes %d parts", n)
	}
	for _, p := range drawn {
		for _, l := range p.Lines {
			for _, part := range l.Parts {
				for point := range strings.FieldsSeq(part) {
					var x, y float64
					if _, err := fmt.Sscanf(point, "%f,%f", &x, &y); err != nil || x < plotLeft-2 || x > plotRight || y < plotTop-0.1 || y > plotBelow+0.1 {
						t.Fatalf("%s, %s: %s is outside of the picture", p.ID, l.Name, point)
					}
				}
			}
		}
	}
	rows := table(all)
	if len(rows) != 12 || rows[0].ToSIP != "10" || rows[0].Queue != 399 || !rows[0].To.Equal(at.Add(400*sampleEvery)) {
		t.Errorf("%d rows, the first %+v", len(rows), rows[0])
	}
}

// The scales have room for what is drawn, and a few marks.
func TestScales(t *testing.T) {
	for _, most := range []float64{0, 0.3, 1, 3.9, 4, 4.1, 17, 99, 12345, 9e6} {
		s, marks := linear(most)
		if s.high < most || len(marks) != 5 || most > 8 && s.high > 3*most {
			t.Errorf("%v: up to %v, %d marks", most, s.high, len(marks))
		}
	}
	for _, most := range []float64{0, 0.01, 0.02, 3, 900, 1e9} {
		s, marks := decades(most)
		if s.high < min(most, 1000) || len(marks) < 3 || len(marks) > 8 {
			t.Errorf("%v: up to %v, %d marks", most, s.high, len(marks))
		}
	}
	for v, want := range map[float64]string{0.00003: "30 µs", 0.0042: "4.2 ms", 0.25: "250 ms", 3.14: "3.1 s", 120: "120 s"} {
		if got := took(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0", 0.123: "0.12", 7: "7", 12.34: "12", 123.4: "123", 2.5e6: "2.5 million"} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

func TestShown(t *testing.T) {
	for in, want := range map[string]string{"plain é 日本": "plain é 日本", "a\u202eb": `a\u202eb`, "\x1b[2J": `\u001b[2J`, "\xff": `\ufffd`, "tab\t": `tab\u0009`} {
		if got := shown(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := lines("a\r\nb\tc\n\x00"); got != "a\nb c\n\\u0000" {
		t.Errorf("%q", got)
	}
}
