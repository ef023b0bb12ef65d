package bridge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// take hands over one request and returns what it is answered at once, 0 if not.
func (r *repeatRig) take(ref any, m *mapping.SIPMessage) int {
	r.s.answers = nil
	r.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: ref, Value: m}})
	if len(r.s.answers) == 0 {
		return 0
	}
	status, _ := r.s.answers[0].Outcome.Final(200)
	return status
}

// settle gives the last stanza its outcome and returns the answers that follow.
func (r *repeatRig) settle(o mapping.Outcome) []mapping.Result {
	r.s.answers = nil
	r.XMPPOutcomes([]mapping.Result{{Ref: r.s.stanzas[len(r.s.stanzas)-1].Ref, Outcome: o}})
	return r.s.answers
}

func hi() *mapping.SIPMessage {
	return fromSIP("c1", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "hi")
}

// IM-13: an id leads back to its key, and nothing else does.
func TestKeyOf(t *testing.T) {
	key := testKey(1)
	id := stanzaID(key)
	if got, ok := keyOf(id); !ok || got != key {
		t.Errorf("%s is the id of %x, %v; want %x", id, got, ok, key)
	}
	last := id[:len(id)-1]
	same := 0
	for _, c := range "abcdefghijklmnopqrstuvwxyz234567" {
		if got, ok := keyOf(last + string(c)); ok && got == key {
			same++
		}
	}
	if same != 1 {
		t.Errorf("%d ids lead to one key", same)
	}
	for _, id := range []string{"", last, id + "a", strings.ToUpper(id), last + "=", last + "\n", "m1", "\n" + id, last[1:] + "é"} {
		if _, ok := keyOf(id); ok {
			t.Errorf("%q is taken for an id of ours", id)
		}
	}
}

// IM-57: what is not plainly an outcome, or is over, is not restored; a clock that
// went back keeps none longer than ten minutes.
func TestRestoreSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRepeatRig(t, &ledger{}, nil)
		key := r.ids.key(hi(), mapping.MustParseJID("juliet@example.com"))
		for _, s := range []struct {
			outcome uint16
			age     time.Duration
			want    int
		}{
			{0, 0, 0}, {1, 0, 0}, {199, 0, 0}, {201, 0, 0}, {299, 0, 0}, {700, 0, 0}, {1 << 15, 0, 0}, {1<<15 | 200, 0, 0}, {65535, 0, 0},
			{200, 10 * time.Minute, 0},
			{200, 10*time.Minute - time.Millisecond, 200},
			{202, 0, 202}, {404, time.Minute, 404}, {301, 0, 410},
			{486, -time.Hour, 486},
		} {
			r = newRepeatRig(t, &ledger{}, nil)
			r.RestoreSeen([]Seen{{Key: key, Outcome: s.outcome, At: time.Now().Add(-s.age)}})
			if got := r.take("tx", hi()); got != s.want || (got == 0) != (len(r.s.stanzas) == 1) {
				t.Errorf("%d of %v ago: answered %d with %d stanzas, want %d", s.outcome, s.age, got, len(r.s.stanzas), s.want)
			}
		}
		time.Sleep(10 * time.Minute) // the last one was of the future
		if got := r.take("tx", hi()); got != 0 {
			t.Errorf("answered %d after ten minutes", got)
		}
	})
}

// EL-015, SIP-30, M-052: a 503 asks to stay away only while no link is up, and only
// if that is why nothing was written.
func TestRetryAfterWithoutALink(t *testing.T) {
	for _, c := range []struct {
		name    string
		down    bool
		outcome mapping.Outcome
		status  int
		wait    bool
	}{
		{"no link", true, mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailNoLink()}, 503, true},
		{"no link, no reason", true, mapping.Outcome{Kind: mapping.NotWritten}, 503, true},
		{"another link is up", false, mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailNoLink()}, 503, false},
		{"a full queue", false, mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailBusy(1)}, 503, false},
		{"a fault", true, mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailInternal(nil)}, 500, false},
		{"link lost", true, mapping.Outcome{Kind: mapping.Uncertain}, 503, false},
		{"bounced", true, mapping.Outcome{Kind: mapping.Bounced, Failure: mapping.FailureFromStanza(mapping.CondResourceConstraint, "", "", "")}, 500, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRepeatRig(t, &ledger{}, nil)
			r.down = c.down
			r.take("tx", hi())
			r.take("repeat", hi())
			answers := r.settle(c.outcome)
			if len(answers) != 2 {
				t.Fatalf("%d answers, want 2", len(answers))
			}
			for _, a := range answers {
				status, f := a.Outcome.Final(200)
				if status != c.status || (f.RetryAfter > 0) != c.wait || f.RetryAfter > 10*time.Second {
					t.Errorf("%v: %d, Retry-After %v; want %d, %v", a.Ref, status, f.RetryAfter, c.status, c.wait)
				}
				if c.wait && !strings.Contains(f.Text, "no connection") {
					t.Errorf("the reason is %q", f.Text)
				}
			}
		})
	}
}

// SEC-13: that a user may not be reached comes before anything else that is wrong.
func TestAccessComesFirst(t *testing.T) {
	for _, c := range []struct {
		name, allow, from, to, body string
		status                      int
	}{
		{"bad text", "romeo@example.com", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "\xff", 403},
		{"bad text, allowed", "juliet@example.com", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "\xff", 400},
		{"no text", "romeo@example.com", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "", 403},
		{"no text, allowed", "juliet@example.com", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "", 200},
		{"impossible user", "romeo@example.com", "sip:romeo@pbx.example.net", "sip:%20@example.com", "hi", 403},
		{"impossible user, allowed", "example.com", "sip:romeo@pbx.example.net", "sip:%20@example.com", "hi", 404},
		{"sips", "romeo@example.com", "sip:romeo@pbx.example.net", "sips:juliet@example.com", "hi", 403},
		{"sips, allowed", "juliet@example.com", "sip:romeo@pbx.example.net", "sips:juliet@example.com", "hi", 480},
		{"guest, bad text", "example.com", "sip:romeo@pbx.example.net", "sip:eve%40evil.example@gw.example.com", "\xff", 403},
		{"not ours", "romeo@example.com", "sip:romeo@pbx.example.net", "sip:juliet@elsewhere.example", "hi", 404},
		{"the gateway", "romeo@example.com", "sip:romeo@pbx.example.net", "sip:gw.example.com", "hi", 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := &ledger{}
			r := newRepeatRig(t, j, func(_ *mapping.RulesConfig, _ *Policy, allow *[]string) { *allow = []string{c.allow} })
			scheme, rest, _ := strings.Cut(c.to, ":")
			m := fromSIP("c1", c.from, "sip:"+rest, c.body)
			m.RequestURI.Scheme = scheme
			if got := r.take("tx", m); got != c.status || len(r.s.stanzas) != 0 {
				t.Errorf("answered %d with %d stanzas, want %d", got, len(r.s.stanzas), c.status)
			}
		})
	}
}

// ERR-07, SEC-13: SIP is not sent to an address that we would refuse.
func TestRedirectToWhoMayNotBeReached(t *testing.T) {
	for _, c := range []struct {
		alternate string
		condition mapping.Condition
		status    int
		contact   string
	}{
		{"xmpp:nurse@example.com", mapping.CondGone, 301, "sip:nurse@example.com"},
		{"xmpp:nurse@example.org", mapping.CondGone, 301, "sip:nurse%40example.org@gw.example.com:5070"},
		{"xmpp:eve@evil.example", mapping.CondGone, 410, ""},
		{"xmpp:eve@evil.example", mapping.CondRedirect, 480, ""},
		{`xmpp:mercutio%5C40example.org@sip.example.com`, mapping.CondRedirect, 302, "sip:mercutio@example.org"},
	} {
		r := newRepeatRig(t, &ledger{}, func(_ *mapping.RulesConfig, _ *Policy, allow *[]string) { *allow = append(*allow, "example.org") })
		r.take("tx", hi())
		bounce := mapping.FailureFromStanza(c.condition, "", "", c.alternate)
		answers := r.settle(mapping.Outcome{Kind: mapping.Bounced, Failure: bounce})
		status, f := answers[0].Outcome.Final(200)
		if status != c.status || f.Alternate != c.contact {
			t.Errorf("%s %s: answered %d %q, want %d %q", c.condition, c.alternate, status, f.Alternate, c.status, c.contact)
		}
		if bounce.Alternate == "" {
			t.Error("the failure of the XMPP side was changed")
		}
	}
}

// One event for each request that ended, found by the id of its stanza and by its
// Call-ID; none for repeats, and never a text (SEC-14).
func TestTrailFromSIP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const who = "sip-xmpp sip:romeo@pbx.example.net -> juliet@example.com "
		processed := mapping.Outcome{Kind: mapping.Processed}
		bounced := mapping.Outcome{Kind: mapping.Bounced, Failure: mapping.FailureFromStanza(mapping.CondItemNotFound, "", "secret text", "")}
		twice := func(o mapping.Outcome) mapping.Outcome { o.Doubtful = true; return o }
		for _, c := range []struct {
			outcome      mapping.Outcome
			kind, detail string
			uncertain    uint64
		}{
			{processed, "delivered", who + "200 12 ms", 0},
			{bounced, "failed", who + "404 item-not-found 12 ms", 0},
			{mapping.Outcome{Kind: mapping.NotWritten}, "failed", who + "503 remote-server-timeout 12 ms", 0},
			{mapping.Outcome{Kind: mapping.Unknown}, "unknown", who + "202 12 ms", 0},
			{mapping.Outcome{Kind: mapping.Uncertain}, "uncertain", who + "503 remote-server-timeout 12 ms", 1},
			{twice(processed), "uncertain", who + "200 12 ms", 1},
			{twice(bounced), "uncertain", who + "404 item-not-found 12 ms", 1},
			{twice(mapping.Outcome{Kind: mapping.Unknown}), "uncertain", who + "202 12 ms", 1},
		} {
			j := &ledger{}
			r := newRepeatRig(t, j, nil)
			r.take("tx", fromSIP("c1", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "secret text"))
			r.take("joins", fromSIP("c1", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "secret text"))
			id := r.s.stanzas[0].Value.(*mapping.XMPPMessage).ID
			time.Sleep(12 * time.Millisecond)
			r.settle(c.outcome)
			want := Event{ID: id, Other: "c1", At: time.Now(), Kind: c.kind, Detail: c.detail}
			if len(j.events) != 1 || j.events[0] != want {
				t.Errorf("events %+v, want %+v", j.events, want)
			}
			if got := r.Tally(); got != (Tally{Joined: 1, Uncertain: c.uncertain}) {
				t.Errorf("%s: counts %+v", c.detail, got)
			}
			if c.kind == "delivered" {
				want.Kind, want.Detail = "repeated", who+"200 0 ms"
				if r.take("again", hi()) != 200 || len(j.events) != 2 || j.events[1] != want || r.Tally().Repeated != 1 {
					t.Errorf("after a repeat: events %+v, counts %+v", j.events, r.Tally())
				}
			}
		}
		j := &ledger{}
		r := newRepeatRig(t, j, nil)
		r.take("tx", fromSIP("c1", "sip:romeo@pbx.example.net", "sip:juliet@not-ours.example", "secret text"))
		want := Event{Other: "c1", At: time.Now(), Kind: "failed", Detail: "sip-xmpp sip:romeo@pbx.example.net -> sip:juliet@not-ours.example 404 item-not-found 0 ms"}
		if len(j.events) != 1 || j.events[0] != want {
			t.Errorf("refused: events %+v, want %+v", j.events, want)
		}
	})
}

// While stopping, repeats are still told what became of the request; a pending one
// has Drain wait once.
func TestRepeatsWhileStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRepeatRig(t, &ledger{}, nil)
		other := fromSIP("c2", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "hi")
		r.take("a", hi())
		r.settle(mapping.Outcome{Kind: mapping.Processed})
		r.take("b", other)
		done := make(chan error, 1)
		go func() { done <- r.Drain(context.Background()) }()
		synctest.Wait()
		if got := r.take("again", hi()); got != 200 {
			t.Errorf("a repeat of a finished request got %d, want 200", got)
		}
		if got := r.take("joins", other); got != 0 {
			t.Errorf("a repeat of a pending request got %d at once", got)
		}
		if got := r.take("new", fromSIP("c3", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "hi")); got != 503 {
			t.Errorf("a new request got %d, want 503", got)
		}
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("Drain did not wait: %v", err)
		default:
		}
		if answers := r.settle(mapping.Outcome{Kind: mapping.Processed}); len(answers) != 2 {
			t.Errorf("%d answers, want 2", len(answers))
		}
		if err := <-done; err != nil {
			t.Errorf("Drain: %v", err)
		}
	})
	r := newRepeatRig(t, &ledger{}, nil)
	r.take("a", hi())
	r.take("joins", hi())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Drain(ctx); !errors.Is(err, ErrDrain) || !strings.Contains(err.Error(), "1 messages from SIP") {
		t.Errorf("Drain: %v, want one message without an outcome", err)
	}
}

// A request that ends while the batch is taken that it came in is known to those behind it.
func TestRepeatInTheSameBatch(t *testing.T) {
	run(t, func(r *running) {
		says := isComposing("c", romeoSIP, "idle") // no news: it ends at once
		r.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 1, Value: says}, {Ref: 2, Value: says}})
		if got := r.Tally().Repeated; got != 1 || len(r.answers) != 2 {
			t.Errorf("%d repeats, %d answers; want 1 and 2", got, len(r.answers))
		}
	})
}

// The outcome of several stanzas of a request is the worst of them, and doubtful if
// any is.
func TestWorse(t *testing.T) {
	worst := func(all ...mapping.Outcome) mapping.Outcome {
		var in incoming
		for i := range all {
			in.came(&all[i])
		}
		return in.outcome
	}
	kinds := []mapping.OutcomeKind{mapping.Processed, mapping.Unknown, mapping.Uncertain, mapping.Bounced}
	for i, better := range kinds {
		for _, bad := range kinds[i:] {
			for doubtful := range 4 {
				a := mapping.Outcome{Kind: better, Doubtful: doubtful&1 != 0}
				b := mapping.Outcome{Kind: bad, Doubtful: doubtful&2 != 0}
				want := mapping.Outcome{Kind: bad, Doubtful: doubtful != 0}
				if x, y := worst(a, b), worst(b, a); x != want || y != want {
					t.Errorf("%+v and %+v: %+v, %+v", a, b, x, y)
				}
			}
		}
	}
}

// Copies of requests from many read loops at once, with the outcomes from another
// goroutine: one stanza for each request, one answer for each copy.
func TestRepeatsAtOnce(t *testing.T) {
	const loops, requests = 8, 300
	r := newRepeatRig(t, nil, nil)
	var wg, settlers sync.WaitGroup
	stop := make(chan struct{})
	settlers.Go(func() {
		for last := false; ; {
			r.s.mu.Lock()
			var batch []mapping.Result
			for _, p := range r.s.stanzas {
				batch = append(batch, mapping.Result{Ref: p.Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}})
			}
			r.s.stanzas = nil
			r.s.mu.Unlock()
			r.XMPPOutcomes(batch)
			if last && len(batch) == 0 {
				return
			}
			select {
			case <-stop:
				last = true
			default:
			}
		}
	})
	for loop := range loops {
		wg.Go(func() {
			for n := range requests {
				m := fromSIP(fmt.Sprint("c", n), "sip:romeo@pbx.example.net", "sip:juliet@example.com", "hi")
				r.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: [2]int{loop, n}, Value: m}})
			}
		})
	}
	wg.Wait()
	close(stop)
	settlers.Wait()
	answers := map[any]int{}
	for _, a := range r.s.answers {
		if a.Outcome.Kind != mapping.Processed {
			t.Fatalf("%v got %+v", a.Ref, a.Outcome)
		}
		answers[a.Ref]++
	}
	for loop := range loops {
		for n := range requests {
			if got := answers[[2]int{loop, n}]; got != 1 {
				t.Fatalf("copy %d of request %d got %d answers", loop, n, got)
			}
		}
	}
	if got := r.Tally(); got.Joined+got.Repeated != (loops-1)*requests {
		t.Errorf("%+v: there must be %d repeats", got, (loops-1)*requests)
	}
}
