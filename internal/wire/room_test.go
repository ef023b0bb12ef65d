package wire

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// TestTargets: a person is found under each of his names, in both worlds, and nobody else is.
func TestTargets(t *testing.T) {
	from := func(a, b string) []byte { return message(a, b, "", "hi") }
	stanza := func(a, b string) []byte {
		return []byte("<message from='" + a + "' to='" + b + "'><body>hi</body></message>")
	}
	for _, tt := range []struct {
		target    string
		sip, xmpp []byte
		want      bool
	}{
		{"juliet@example.com", from("sip:romeo@example.net", "sip:juliet@example.com"), nil, true},
		{"juliet@example.com", from("sip:romeo@example.net", "sip:juliet%40example.com@sip.example.com"), nil, true},
		{"Juliet@Example.com/balcony", from("sip:juliet@EXAMPLE.com:5070;transport=tcp", "sip:x@y.example"), nil, true},
		{"juliet@example.com", from("sip:romeo@example.net", "sip:nurse@example.com"), nil, false},
		{"juliet@example.com", nil, stanza("juliet@example.com/balcony", "romeo@sip.example.com"), true},
		{"juliet@example.com", nil, stanza("romeo@sip.example.com", "Juliet@example.com"), true},
		{"juliet@example.com", nil, stanza("nurse@example.com", "romeo@sip.example.com"), false},
		{"sip:romeo@example.net", nil, stanza("nurse@example.com", "romeo@sip.example.com/x"), true},
		{"romeo@example.net", nil, stanza("nurse@example.com", "romeo@sip.example.com/x"), true},
		{"sip:romeo@example.org", nil, stanza("nurse@example.com", `romeo\40example.org@sip.example.com`), true},
		{"sip:romeo@example.org", nil, stanza("nurse@example.com", "romeo@sip.example.com"), false},
		{`romeo\40example.org@sip.example.com`, from("sip:romeo@example.org", "sip:juliet@example.com"), nil, true},
		{"sip:romeo@example.net", from("sip:romeo@example.net", "sip:juliet@example.com"), nil, true},
		{"sip:juliet@example.com", from("sip:romeo@example.net", "sip:juliet@example.com"), nil, true},
		{"example.net", from("sip:romeo@example.net", "sip:juliet@example.com"), nil, true},
		{"sip:example.net", nil, stanza("juliet@example.com", "romeo@sip.example.com"), true},
		{"example.org", nil, stanza("juliet@example.com", "romeo@sip.example.com"), false},
		{"192.0.2.10", from("sip:a@b.example", "sip:c@d.example"), nil, true},
		{"192.0.2.0/28", from("sip:a@b.example", "sip:c@d.example"), nil, true},
		{"192.0.2.11", from("sip:a@b.example", "sip:c@d.example"), nil, false},
		{"127.0.0.1", nil, stanza("juliet@example.com", "romeo@sip.example.com"), true},
		{"*", from("sip:a@b.example", "sip:c@d.example"), nil, true},
		{"*", nil, []byte("<iq/>"), true},
		{"juliet@example.com", nil, []byte("<iq from='juliet@exa"), false},
		{"juliet@example.com", []byte("juliet@example.com"), nil, false},
	} {
		r, b, run := room(t)
		if err := r.Watch(Watch{Targets: []string{tt.target}, Mode: Headers}); err != nil {
			t.Fatal(err)
		}
		if tt.sip != nil {
			r.SIP().Packet(true, "udp", ours, theirs, tt.sip)
		} else {
			r.XMPP().Stanzas(false, "sip.example.com", server, tt.xmpp)
		}
		run()
		if got := len(b.packets(t)) == 1; got != tt.want {
			t.Errorf("%s: %s%s: %t", tt.target, tt.sip, tt.xmpp, got)
		}
	}
}

// TestOneOfABatch: of what is written in one go only the stanzas that are looked for are logged.
func TestOneOfABatch(t *testing.T) {
	r, b, run := room(t)
	if err := r.Watch(Watch{Targets: []string{"juliet@example.com"}, Mode: Full}); err != nil {
		t.Fatal(err)
	}
	r.Change(Settings{Wire: Headers})
	r.XMPP().Stanzas(false, "sip.example.com", server, []byte(
		"<message from='romeo@sip.example.com' to='nurse@example.com'><body>one</body></message>"+
			"<message from='romeo@sip.example.com' to='juliet@example.com'><body>two</body></message>"))
	run()
	got := b.packets(t)
	if len(got) != 2 || strings.Contains(got[0].Packet, "one") || !strings.Contains(got[1].Packet, "<body>two</body>") {
		t.Errorf("%+v", got)
	}
}

// TestBadWatches: each is refused with what is wrong with it, and what is shown stays.
func TestBadWatches(t *testing.T) {
	r, _, _ := room(t)
	if err := r.Watch(Watch{Targets: []string{"juliet@example.com"}, Mode: Full, For: time.Hour}); err != nil {
		t.Fatal(err)
	}
	many := strings.Split(strings.Repeat("a.example ", MaxTargets+1), " ")
	for _, tt := range []struct {
		w    Watch
		want string
	}{
		{Watch{Mode: Full}, "say whose packets"},
		{Watch{Targets: many, Mode: Full}, "more than 32 addresses"},
		{Watch{Targets: []string{"a@b"}}, "neither headers nor full"},
		{Watch{Targets: []string{"a@b"}, Mode: Full, For: MaxTime + 1}, "between 0 and 24h"},
		{Watch{Targets: []string{"a@b"}, Mode: Full, For: -1}, "between 0 and 24h"},
		{Watch{Targets: []string{"sip:"}, Mode: Full}, `"sip:"`},
		{Watch{Targets: []string{"a@b", "@"}, Mode: Full}, `"@" is no address`},
		{Watch{Targets: []string{""}, Mode: Full}, `"" is no address`},
	} {
		if err := r.Watch(tt.w); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v", tt.w, err)
		}
	}
	if s := r.Status(); len(s.Watch.Targets) != 1 || s.Watch.For != time.Hour {
		t.Errorf("%+v", s)
	}
}

// TestWatchEnds: it ends by itself, at its time, and costs nothing from then on.
func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, b, _ := room(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		if r.SIP().On() || r.XMPP().On() {
			t.Error("on before anybody looks")
		}
		if err := r.Watch(Watch{Targets: []string{"*"}, Mode: Headers}); err != nil {
			t.Fatal(err)
		}
		if s := r.Status(); time.Until(s.Until) != DefTime || s.Watch.Mode != Headers {
			t.Errorf("%+v", s)
		}
		time.Sleep(DefTime - time.Second)
		synctest.Wait()
		if !r.SIP().On() || !r.XMPP().On() {
			t.Error("off before its time")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if r.SIP().On() || r.XMPP().On() || len(r.Status().Watch.Targets) > 0 {
			t.Error("on after its time")
		}
		if !strings.Contains(b.String(), "the time is over") {
			t.Error(b)
		}

		// One that takes the place of another one has its own time.
		for _, d := range []time.Duration{time.Minute, time.Hour} {
			if err := r.Watch(Watch{Targets: []string{"*"}, Mode: Headers, For: d}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		if !r.SIP().On() {
			t.Error("ended with the one before")
		}
		if !r.Unwatch() || r.Unwatch() || r.SIP().On() {
			t.Error("Unwatch")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestFullRoom: who shows packets never waits, what there is no room for is counted, and the log
// says that something is missing.
func TestFullRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, b, _ := room(t)
		r.Change(Settings{Wire: Headers})
		tap, big := r.SIP(), message("sip:a@b", "sip:c@d", "", strings.Repeat("x", 60<<10))
		for range maxWaiting + 10 { // nobody takes them
			tap.Packet(true, "udp", ours, theirs, []byte("OPTIONS sip:a SIP/2.0\r\n\r\n"))
		}
		if n := r.Stats().Dropped; n != 10 {
			t.Errorf("%d dropped, not 10", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		if n := r.Stats().Logged; n != maxWaiting {
			t.Errorf("%d logged", n)
		}
		if r.bytes.Load() != 0 {
			t.Errorf("%d octets are still counted", r.bytes.Load())
		}
		time.Sleep(lossEvery + time.Second)
		synctest.Wait()
		if !strings.Contains(b.String(), `"packets are missing in the trace","packets":10,`) {
			t.Error("the loss is not in the log")
		}
		cancel()
		<-done

		held := 0
		for range 2 * maxBytes / len(big) { // many octets
			tap.Packet(true, "tcp", ours, theirs, big)
			held = max(held, int(r.bytes.Load()))
		}
		if held > maxBytes || held < maxBytes-len(big) || r.Stats().Dropped < 100 {
			t.Errorf("%d octets held, %d dropped", held, r.Stats().Dropped)
		}
	})
}

// TestSwitchedUnderTraffic: on and off, by whomever, while packets come from all sides: nothing is
// lost but what there is no room for, nothing is shown when it is off, and Run ends.
func TestSwitchedUnderTraffic(t *testing.T) {
	r, b, _ := room(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	var traffic, switches sync.WaitGroup
	shown := make([]uint64, 4)
	for i := range shown {
		traffic.Go(func() {
			m := message("sip:romeo@example.net", "sip:juliet@example.com", "", word)
			for range 500 {
				if tap := r.SIP(); tap.On() {
					tap.Packet(true, "udp", ours, theirs, m)
					shown[i]++
				}
				if tap := r.XMPP(); tap.On() {
					tap.Stanzas(true, "sip.example.com", server, []byte("<message from='juliet@example.com' to='romeo@sip.example.com'><body>"+word+"</body></message>"))
					shown[i]++
				}
			}
		})
	}
	switches.Go(func() {
		for i := range 100 {
			r.Change(Settings{Wire: []Mode{Headers, Off}[i%2]})
			if err := r.Watch(Watch{Targets: []string{"juliet@example.com"}, Mode: Headers}); err != nil {
				t.Error(err)
			}
			r.Unwatch()
			r.Status()
		}
		r.Change(Settings{Wire: Off})
	})
	traffic.Wait()
	switches.Wait()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if r.SIP().On() || r.XMPP().On() {
		t.Error("on at the end")
	}
	var sum uint64
	for _, n := range shown {
		sum += n
	}
	s := r.Stats()
	if s.Logged+s.Dropped > sum || uint64(len(b.packets(t))) != s.Logged || len(r.waiting) != 0 || r.bytes.Load() != 0 {
		t.Errorf("%d shown, %+v, %d in the log, %d waiting", sum, s, len(b.packets(t)), len(r.waiting))
	}
	if strings.Contains(b.String(), word) {
		t.Error("a text is in the log")
	}
}

// TestHostile: what a terminal or another reader of the log would obey is written out.
func TestHostile(t *testing.T) {
	r, b, run := room(t)
	r.Change(Settings{Wire: Full})
	r.SIP().Packet(true, "udp", ours, theirs, message("sip:a@b", "sip:c@d", "X: \x1b[2J\x00\x7f\xff\u202e\u2028é\r\n", "one\ntwo\r\n\r\x07"))
	r.XMPP().Stanzas(true, "sip.example.com", server, []byte("<message from='a@b' to='c@d'><body>\u009b31m\u200b</body></message>"))
	run()
	got := b.packets(t)
	if want := `X: \x1b[2J\x00\x7f\xff\u202e\u2028é` + "\n"; !strings.Contains(got[0].Packet, want) {
		t.Errorf("%q", got[0].Packet)
	}
	if want := "\n\none\ntwo\n\\r\\a\n"; !strings.HasSuffix(got[0].Packet, want) {
		t.Errorf("%q", got[0].Packet)
	}
	if want := `<body>\u009b31m\u200b</body></message>` + "\n"; !strings.HasSuffix(got[1].Packet, want) {
		t.Errorf("%q", got[1].Packet)
	}
}

// TestLong: the log has the beginning, and how much is left out.
func TestLong(t *testing.T) {
	r, b, run := room(t)
	r.Change(Settings{Wire: Full})
	r.XMPP().Stanzas(true, "sip.example.com", server, fmt.Appendf(nil, "<iq>%s</iq>", strings.Repeat("x", maxShown)))
	run()
	if got := b.packets(t)[0].Packet; !strings.HasSuffix(got, "xxx\n[9 octets more]\n") || len(got) > maxShown+100 {
		t.Errorf("%d octets, %q", len(got), got[len(got)-50:])
	}
}

// TestFaultOfOurs: a packet that cannot be shown for a fault of stox costs no other one, and the
// log does not say what was in it.
func TestFaultOfOurs(t *testing.T) {
	r, b, run := room(t)
	r.names.XMPP = func(u mapping.URI) (mapping.JID, bool) {
		if u.User == word {
			panic(u.String())
		}
		return mapping.JID{}, false
	}
	if err := r.Watch(Watch{Targets: []string{"b.example"}, Mode: Headers}); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"a", word, "a"} {
		r.SIP().Packet(true, "udp", ours, theirs, message("sip:"+user+"@b.example", "sip:c@d.example", "", ""))
	}
	run()
	if n := len(b.packets(t)); n != 3 || r.Stats().Dropped != 1 || strings.Contains(b.String(), word) { // one of the three is the fault
		t.Errorf("%d packets\n%s", n, b)
	}
}

// As long as nobody looks, a Room takes next to no memory.
func TestIdleRoomIsSmall(t *testing.T) {
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	r := New(Directory{}, slog.New(slog.DiscardHandler))
	runtime.ReadMemStats(&now)
	if n := now.TotalAlloc - before.TotalAlloc; n > 256<<10 {
		t.Errorf("%d octets", n)
	}
	runtime.KeepAlive(r)
}
