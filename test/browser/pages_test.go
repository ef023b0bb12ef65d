//go:build browser

package browser

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/hist"
	"github.com/stoxgw/stox/internal/history"
	"github.com/stoxgw/stox/internal/statuspage"
)

// site is the status page of a gateway that does not run: what it shows is made up.
type site struct {
	url   string
	book  *history.Book
	pages *statuspage.Pages
	web   *admin.Web
	last  statuspage.Counters

	mu  sync.Mutex
	now statuspage.Snapshot
}

const token = "a token of some length"

func startSite(t *testing.T, token string) *site {
	t.Helper()
	s := &site{book: history.NewBook(time.Now()), now: wellSnapshot()}
	log := slog.New(slog.DiscardHandler)
	s.web = admin.NewWeb("127.0.0.1:0", token, log)
	s.pages = statuspage.New(statuspage.Source{
		Name: "sip.example.com", Version: "v1.0.0", Started: time.Now().Add(-26 * time.Hour), Book: s.book,
		Now:   func() statuspage.Snapshot { s.mu.Lock(); defer s.mu.Unlock(); return s.now },
		Count: func() statuspage.Counters { return s.last },
		Trail: func(context.Context, string) ([]history.TrailEvent, error) { return nil, nil },
		Texts: func() bool { return true },
	}, s.web, log)
	if err := s.web.Listen(); err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + s.web.Addr().String()
	s.lastHour()
	ctx, cancel := context.WithCancel(context.Background())
	var both sync.WaitGroup
	both.Go(func() {
		if err := s.web.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	both.Go(func() { _ = s.pages.Run(ctx) })
	t.Cleanup(func() { cancel(); both.Wait() })
	return s
}

func (s *site) show(n statuspage.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = n
}

func wellSnapshot() (n statuspage.Snapshot) {
	n.Health.Put(admin.CheckProcess, true, "all parts are at work")
	n.Health.Put(admin.CheckLink, true, "2 of 2 links to XMPP servers up")
	n.Health.Put(admin.CheckJournal, true, "it is written")
	n.Health.Put(admin.CheckRoutes, true, "2 of 2 next hops answer")
	since := time.Now().Add(-26 * time.Hour)
	n.Links = []admin.Link{{Component: "sip.example.com", Server: "127.0.0.1:5347", State: "up", Since: since}, {Component: "pbx.example.com", Server: "127.0.0.1:5347", State: "up", Since: since}}
	n.Routes = []admin.Route{
		{Domain: "example.net", Via: "sip:pbx.example.net;transport=tls", Registration: "registered", Registered: true, Answers: "alive", RTT: 1.7},
		{Domain: "*", Via: "sip:trunk.example.org:5061;transport=tls", Answers: "alive", RTT: 23.4},
	}
	n.Flows = []statuspage.Flow{{Name: "XMPP to SIP", Delivered: 48211, Failed: 37, Refused: 12}, {Name: "SIP to XMPP", Delivered: 39456, Failed: 81, Unknown: 3, Uncertain: 1}}
	n.Queue = statuspage.Queue{Entries: 3, Memory: 3, Oldest: time.Now().Add(-42 * time.Second)}
	return n
}

func illSnapshot() statuspage.Snapshot {
	n := wellSnapshot()
	n.Health = admin.Health{}
	n.Health.Put(admin.CheckProcess, true, "all parts are at work")
	n.Health.Put(admin.CheckLink, false, "1 of 2 links to XMPP servers up; pbx.example.com is down (refused): nobody listens at 127.0.0.1:5347: is the server running, and does it have this component?")
	n.Health.Put(admin.CheckJournal, true, "it is written")
	n.Health.Put(admin.CheckRoutes, true, "1 of 2 next hops answer")
	n.Links[1].State, n.Links[1].Reason, n.Links[1].Text = "down", "refused", "nobody listens at 127.0.0.1:5347: is the server running?"
	n.Routes[1].Answers, n.Routes[1].Problem = "dead", "no answer to OPTIONS"
	return n
}

// lastHour has the plots show an hour of a day. It is for before the pages run.
func (s *site) lastHour() {
	rng := rand.New(rand.NewPCG(1, 2))
	var c statuspage.Counters
	now := time.Now()
	for i := range 360 {
		at := now.Add(time.Duration(i-360) * 10 * time.Second)
		wave := 20 + i/12 + rng.IntN(25)
		c.ToSIP += uint64(wave)
		c.ToXMPP += uint64(wave*3/4 + rng.IntN(10))
		c.Queue = rng.IntN(3)
		slow := 0.0
		if i > 200 && i < 230 {
			c.Failed += uint64(rng.IntN(12))
			c.Queue += 4 * (i - 200)
			slow = 0.4
		}
		for range wave {
			c.Took[0].Add(0.008+rng.ExpFloat64()*0.004+slow*rng.Float64(), hist.Seconds)
		}
		s.pages.Sample(at, c)
	}
	s.last = c
}

// tell tells the book of messages as a gateway has them.
func (s *site) tell(n int) {
	start := time.Now().Add(-time.Duration(n) * 300 * time.Millisecond)
	users := []string{"juliet@example.com/balcony", "nurse@example.com/phone", "friar@example.com/cell"}
	peers := []string{"romeo", "tybalt", "mercutio", "+15551234567"}
	for i := range n {
		read := start.Add(time.Duration(i) * 300 * time.Millisecond)
		user, peer := users[i%len(users)], peers[i/2%len(peers)]
		note := history.Note{Key: uint64(i + 1), Read: read, At: read, User: user, Contact: peer + "@sip.example.com", SIP: "sip:" + peer + "@example.net",
			ID: fmt.Sprintf("m-%06d", i), CallID: fmt.Sprintf("%026X", uint64(i)*7919*104729)}
		step := func(ms int, kind string, f func(*history.Note)) {
			v := note
			v.At, v.Kind = read.Add(time.Duration(ms)*time.Millisecond), kind
			if f != nil {
				f(&v)
			}
			s.book.Put([]history.Note{v})
		}
		text := func(v *history.Note) {
			v.Type, v.Size, v.Body = "text/plain;charset=utf-8", 26, "What's in a name? That ..."
		}
		if note.FromSIP = i%3 == 1; note.FromSIP {
			step(0, history.Read, text)
			step(0, history.Sent, nil)
			step(2, history.Processed, nil)
			step(2, history.Answered, func(v *history.Note) { v.Status, v.Outcome = 200, history.Delivered })
			continue
		}
		step(0, history.Read, text)
		step(0, history.Early, nil)
		step(3, history.Journaled, nil)
		switch {
		case i%23 == 5:
			fault := func(v *history.Note) {
				v.Status, v.Condition, v.Text, v.Remedy = 404, "item-not-found", "404 Not Found.", "the SIP server answered this: stox map shows the address it was asked for"
			}
			step(21, history.Answer, fault)
			step(21, "", func(v *history.Note) { fault(v); v.Outcome = history.Failed })
			step(21, history.Told, nil)
			step(22, history.Reported, nil)
		case i == n-2 || i%41 == 0:
			step(9, history.Answer, func(v *history.Note) {
				v.Status, v.Condition, v.Text = 503, "recipient-unavailable", "503 Service Unavailable."
			})
			step(9, history.Retry, func(v *history.Note) { v.Text = "in 1.4s" })
			step(1409, history.Sent, func(v *history.Note) { v.N = 2 })
			step(1431, history.Answer, func(v *history.Note) { v.Status = 200 })
			step(1431, "", func(v *history.Note) { v.Outcome = history.Delivered })
			step(2950, history.Receipt, func(v *history.Note) { v.Text = "delivered" })
		default:
			step(14, history.Answer, func(v *history.Note) { v.Status = 200 })
			step(14, "", func(v *history.Note) { v.Outcome = history.Delivered })
		}
	}
}

// hostile is what somebody may put into a field that he has chosen.
const hostile = `"'><script>attacked=1</script><img src=x onerror=attacked=1><svg onload=attacked=1>{{.}}</title></textarea></pre><a href="javascript:attacked=1">x</a>` + "\u202e\x1b[2J\x00`${attacked=1}`"

// attack has what is hostile in every field that others choose.
func (s *site) attack() {
	n := illSnapshot()
	for i := range n.Links {
		n.Links[i].Component, n.Links[i].Server, n.Links[i].Reason, n.Links[i].Text = hostile, hostile, hostile, hostile
	}
	for i := range n.Routes {
		n.Routes[i].Domain, n.Routes[i].Via, n.Routes[i].Problem, n.Routes[i].Reason = hostile, hostile, hostile, hostile
	}
	for i := range n.Health.Checks {
		n.Health.Checks[i].Text = hostile
	}
	s.show(n)
	now := time.Now()
	for i, kind := range []string{history.Read, history.Answer, history.Answered, history.Bounced, history.Receipt, history.Event, history.Refused} {
		for _, fromSIP := range []bool{false, true} {
			key := uint64(100 + 2*i)
			if fromSIP {
				key++
			}
			s.book.Put([]history.Note{{Key: key, FromSIP: fromSIP, Read: now, At: now, Kind: kind, User: hostile, Contact: hostile, SIP: hostile, ID: hostile, CallID: hostile,
				Status: 404, Condition: hostile, Text: hostile, Remedy: hostile, Outcome: history.Failed, Type: hostile, Size: 5, Body: strings.Repeat(hostile, 3)}})
		}
	}
}

// keys are the paths of the pages of all messages.
func (s *site) keys(limit int) (paths []string) {
	found, _ := s.book.Find(history.Query{Limit: limit})
	for _, m := range found {
		paths = append(paths, "/m/"+m.Key)
	}
	return paths
}

// freshly tells the book of messages of that user until stop.
func (s *site) freshly(stop <-chan struct{}, user string) {
	every := time.NewTicker(500 * time.Millisecond)
	defer every.Stop()
	for key := uint64(1_000_000); ; key++ {
		select {
		case now := <-every.C:
			s.book.Put([]history.Note{{Key: key, Read: now, At: now, Kind: history.Read, User: user, SIP: "sip:romeo@example.net"}})
		case <-stop:
			return
		}
	}
}
