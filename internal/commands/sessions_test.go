package commands

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// GW-24: a session is of one device and one command, and ends; what is wrong with a step says
// so, and leaves the session as it is.
func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		expect := func(what string, r *mapping.XMPPCommandReply, want string) {
			t.Helper()
			if got := described(r); got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		step := func(from, node, session, action string, form *mapping.Form) *mapping.XMPPCommandReply {
			t.Helper()
			r, _ := w.step(&mapping.XMPPCommand{From: jid(from), Node: node, Session: session, Action: action, Form: form})
			return r
		}
		full := submitted("address", "juliet@pbx.example.net", "password", secret)
		const asked, unknown = "executing | complete", "modify/bad-request+bad-sessionid"

		expect("no such command", step(juliet, "frobnicate", "", "", nil), "cancel/item-not-found")
		expect("no such session", step(juliet, "account", "abc", actComplete, full), unknown)
		expect("back at the beginning", step(juliet, "account", "", actPrev, nil), "modify/bad-request+bad-action")
		expect("canceled at the beginning", step(juliet, "account", "", actCancel, nil), "canceled")

		one, two := w.begin(juliet, "account"), w.begin(phone, "account")
		expect("one device", one, asked)
		expect("another one", two, asked)
		if one.Session == "" || one.Session == two.Session {
			t.Errorf("sessions %q and %q", one.Session, two.Session)
		}
		expect("another device of the user", step(phone, "account", one.Session, actComplete, full), unknown)
		expect("another user", step(nurse, "account", one.Session, actComplete, full), unknown)
		expect("another user cancels", step(nurse, "account", one.Session, actCancel, nil), unknown)
		expect("another command", step(juliet, "lookup", one.Session, actComplete, submitted("address", "x@pbx.example.net")), unknown)
		expect("no step before", step(juliet, "account", one.Session, actPrev, nil), "modify/bad-request+bad-action")
		expect("next instead of complete", step(juliet, "account", one.Session, actNext, full), "modify/bad-request+bad-action")
		expect("no form", step(juliet, "account", one.Session, actComplete, nil), "modify/bad-request+bad-payload")
		expect("a form that is none", step(juliet, "account", one.Session, actComplete, &mapping.Form{Type: mapping.FormResult}), "modify/bad-request+bad-payload")
		expect("no such action", step(juliet, "account", one.Session, "explode", full), "modify/bad-request+bad-action")
		if len(w.accounts.All()) != 0 {
			t.Fatalf("there are accounts: %+v", w.accounts.All())
		}
		expect("the other device cancels its own", step(phone, "account", two.Session, actCancel, nil), "canceled")
		expect("and that is gone", step(phone, "account", two.Session, actComplete, full), unknown)
		expect("by the form", step(juliet, "account", w.begin(juliet, "account").Session, "", &mapping.Form{Type: mapping.FormCancel}), "canceled")
		expect("complete", step(juliet, "account", one.Session, actExecute, full), "completed | info: juliet@pbx.example.net is your SIP account now.")
		expect("complete again", step(juliet, "account", one.Session, actExecute, full), unknown)

		old := w.begin(juliet, "lookup")
		expect("asked", old, asked)
		time.Sleep(sessionTime - time.Second)
		expect("a wrong step keeps it", step(juliet, "lookup", old.Session, "explode", nil), "modify/bad-request+bad-action")
		time.Sleep(sessionTime - time.Second)
		expect("in time", step(juliet, "lookup", old.Session, actComplete, nil), "modify/bad-request+bad-payload")
		time.Sleep(sessionTime)
		expect("too late", step(juliet, "lookup", old.Session, actComplete, submitted("address", "romeo@pbx.example.net")), "cancel/not-allowed+session-expired")
		expect("of another one it says nothing", step(nurse, "lookup", old.Session, actComplete, nil), unknown)
		if n := w.desk.Stats().Sessions; n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		time.Sleep(expiredTime)
		w.begin(juliet, "lookup")
		expect("long ago", step(juliet, "lookup", old.Session, actComplete, nil), unknown)
	})
}

// While a step waits for a registrar the next one of that session is put off, other sessions
// and users are not, and what comes of it is said once.
func TestASlowStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.accounts.wait = true
		form := submitted("address", "juliet@pbx.example.net", "password", secret)
		r := w.begin(juliet, "account")
		w.desk.Command(&mapping.XMPPCommand{From: jid(juliet), To: jid(gateway), ID: "slow", Node: "account", Session: r.Session, Action: actComplete, Form: form})
		if all := w.next(); len(all) != 0 {
			t.Fatalf("said too soon: %v", all)
		}
		if again, _ := w.submit(r, juliet, actComplete, "address", "x@pbx.example.net", "password", "x"); described(again) != "wait/resource-constraint" {
			t.Errorf("meanwhile: %s", described(again))
		}
		if other := w.begin(juliet, "help"); other.Status != stateCompleted {
			t.Errorf("another command: %s", described(other))
		}
		time.Sleep(2 * sessionTime) // the session does not expire under it
		w.begin(nurse, "account")
		tried := w.accounts.tried()
		if len(tried) != 1 {
			t.Fatalf("%d are tried", len(tried))
		}
		tried[0](nil)
		tried[0](nil) // an engine at fault
		all := w.next()
		if len(all) != 2 {
			t.Fatalf("said: %v", bodies(all))
		}
		if r := all[0].(*mapping.XMPPCommandReply); r.ID != "slow" || described(r) != "completed | info: juliet@pbx.example.net is your SIP account now." {
			t.Errorf("%+v", r)
		}
	})
}

// slowly keeps languages, and has the desk end while it does.
type slowly struct {
	fakeLanguages
	stop *context.CancelFunc
}

func (s slowly) SetLanguage(user mapping.JID, lang string) {
	(*s.stop)()
	time.Sleep(time.Second) // Run does what it can
	s.fakeLanguages.SetLanguage(user, lang)
}

// What a worker is at when the desk ends has happened, and is answered so; what waits for
// somebody else is not, nor is an order that the end has cut off.
func TestTheEndInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stop context.CancelFunc
		w := newWorld(t, func(o *Options) { o.Languages = slowly{fakeLanguages{}, &stop} })
		stop = w.stop
		w.accounts.wait = true
		r := w.begin(juliet, "account")
		form := submitted("address", "juliet@pbx.example.net", "password", secret)
		w.desk.Command(&mapping.XMPPCommand{From: jid(juliet), To: jid(gateway), ID: "waits", Node: "account", Session: r.Session, Action: actComplete, Form: form})
		synctest.Wait()
		w.desk.Chat(&mapping.XMPPMessage{From: jid(nurse), To: jid(gateway), ID: "m", Type: "chat", Bodies: []mapping.Text{{Value: "language Deutsch"}}})
		time.Sleep(time.Minute)
		all := w.next()
		if len(all) != 2 {
			t.Fatalf("said: %v", bodies(all))
		}
		if m, ok := all[0].(*mapping.XMPPMessage); !ok || m.Bodies[0].Value != german.Language.Done {
			t.Errorf("what was at its end is answered with %+v", all[0])
		}
		if r, ok := all[1].(*mapping.XMPPCommandReply); !ok || r.ID != "waits" || r.Failure == nil || r.Failure.Text != english.Session.Stopping {
			t.Errorf("what waits is answered with %+v", all[1])
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.operator.fault = fmt.Errorf("asking: %w", context.Canceled)
		if r := w.begin(boss, "routes"); r.Failure == nil || r.Failure.Text != english.Session.Stopping || strings.Contains(w.log.String(), "level=ERROR") {
			t.Errorf("%s; the log says %s", described(r), w.log.String())
		}
	})
}

// The number of sessions is bounded: a user's oldest makes room for a new one, and when there
// are too many in all nobody gets another one.
func TestSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Rate = func() int { return 1000 } })
		first := w.begin(juliet, "account")
		for range maxSessionsOf {
			time.Sleep(time.Second)
			w.begin(phone, "account")
		}
		if r, _ := w.submit(first, juliet, actComplete); described(r) != "cancel/not-allowed+session-expired" {
			t.Errorf("the oldest: %s", described(r))
		}
		for i := range maxSessions + 100 {
			w.begin(fmt.Sprintf("u%d@example.com/x", i/4), "account")
		}
		if n := w.desk.Stats().Sessions; n != maxSessions {
			t.Errorf("%d sessions, want %d", n, maxSessions)
		}
		if r := w.begin(nurse, "account"); described(r) != "wait/resource-constraint" {
			t.Errorf("one more: %s", described(r))
		}
		if r := w.begin(nurse, "help"); r.Status != stateCompleted {
			t.Errorf("what needs no session: %s", described(r))
		}
		time.Sleep(sessionTime)
		if r := w.begin(nurse, "account"); r.Status != stateExecuting {
			t.Errorf("later: %s", described(r))
		}
		time.Sleep(2 * expiredTime)
		w.begin(nurse, "account")
		w.desk.mu.Lock()
		defer w.desk.mu.Unlock()
		if n := len(w.desk.sessions.byID); n > 2 {
			t.Errorf("%d sessions are remembered", n)
		}
	})
}

// Whatever comes in which order, each command is answered once, also at the end, and nothing
// is left.
func TestEachCommandIsAnsweredOnce(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil)
			random := rand.New(rand.NewPCG(seed, 1))
			w.accounts.wait = seed%2 == 0
			nodes := []string{"account", "lookup", "language", "block", "unblock", "help", "messages", "status", "reload", "loglevel", nodeUsers, nodeBlack, nodeDelete, "nonsense"}
			actions := []string{"", actExecute, actNext, actPrev, actComplete, actCancel, "explode"}
			people := []string{juliet, phone, nurse, boss}
			type at struct{ from, node, session string }
			var known []at
			asked := map[string]bool{}
			pick := func(list []string) string { return list[random.IntN(len(list))] }
			for i := range 600 {
				m := &mapping.XMPPCommand{From: jid(pick(people)), To: jid(gateway), ID: fmt.Sprint("n", i), Node: pick(nodes)}
				if len(known) > 0 && random.IntN(3) > 0 {
					s := known[random.IntN(len(known))]
					m.Node, m.Session, m.Action = s.node, s.session, pick(actions)
					if random.IntN(10) > 0 {
						m.From = jid(s.from)
					}
				}
				if random.IntN(3) > 0 {
					m.Form = submitted("address", pick([]string{"x@pbx.example.net", "x", ""}), "password", secret, "do", pick([]string{"keep", "change", "remove", "?"}),
						"confirm", pick([]string{"0", "1"}), "language", "de", "level", "debug", "max_items", "25", "accountjids", "juliet@example.com", "blacklistjids", "a@b.example")
				}
				asked[m.ID] = true
				w.desk.Command(m)
				switch random.IntN(8) {
				case 0:
					time.Sleep(time.Duration(random.IntN(200)) * time.Second)
				case 1:
					if tried := w.accounts.tried(); len(tried) > 0 {
						var fault error
						if random.IntN(2) == 0 {
							fault = &Problem{Kind: "no-answer"}
						}
						tried[random.IntN(len(tried))](fault)
					}
				}
				for _, v := range w.next() {
					if r, ok := v.(*mapping.XMPPCommandReply); ok {
						if !asked[r.ID] {
							t.Fatalf("seed %d: %s is answered twice, or was never asked", seed, r.ID)
						}
						delete(asked, r.ID)
						if r.Status == stateExecuting {
							known = append(known, at{r.To.String(), r.Node, r.Session})
						}
					}
				}
			}
			w.end()
			for _, v := range w.next() {
				if r, ok := v.(*mapping.XMPPCommandReply); ok {
					if !asked[r.ID] || r.Failure == nil {
						t.Fatalf("seed %d: at the end: %+v", seed, r)
					}
					delete(asked, r.ID)
				}
			}
			if len(asked) != 0 {
				t.Errorf("seed %d: not answered: %v", seed, asked)
			}
			w.desk.Command(&mapping.XMPPCommand{From: jid(juliet), To: jid(gateway), ID: "late", Node: "help"})
			if all := w.next(); len(all) != 1 || all[0].(*mapping.XMPPCommandReply).Failure == nil {
				t.Errorf("seed %d: after the end: %v", seed, all)
			}
			if s := w.desk.Stats(); s.Open != 0 {
				t.Errorf("seed %d: %d are open", seed, s.Open)
			}
		})
	}
}

// Ten thousand commands at once: most are refused, each is answered, and somebody else is
// served.
func TestAFloodOfCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		const n = 10_000
		for i := range n {
			w.desk.Command(&mapping.XMPPCommand{From: jid(juliet), To: jid(gateway), ID: fmt.Sprint(i), Node: "help"})
		}
		answered, taken := map[string]int{}, 0
		for _, v := range w.next() {
			r := v.(*mapping.XMPPCommandReply)
			answered[r.ID]++
			if r.Failure == nil {
				taken++
			} else if described(r) != "wait/resource-constraint" {
				t.Fatalf("%s", described(r))
			}
		}
		if len(answered) != n || taken == 0 || taken > 10*usualRate {
			t.Errorf("%d of %d are answered, %d of them taken", len(answered), n, taken)
		}
		if r := w.begin(nurse, "help"); r.Status != stateCompleted {
			t.Errorf("somebody else: %s", described(r))
		}
		for taken < 10*usualRate { // some were refused since others were open
			if r := w.begin(juliet, "help"); r.Status != stateCompleted {
				t.Fatalf("after %d: %s", taken, described(r))
			}
			taken++
		}
		if r := w.begin(juliet, "help"); r.Failure == nil || !strings.Contains(r.Failure.Text, "Try again in 1 s.") {
			t.Errorf("at once: %+v", r)
		}
		time.Sleep(time.Second)
		if r := w.begin(juliet, "help"); r.Status != stateCompleted {
			t.Errorf("a second later: %s", described(r))
		}
		if s := w.desk.Stats(); s.Refused == 0 || s.Commands != uint64(taken)+2 {
			t.Errorf("counted: %+v", s)
		}
	})
}

// Many users at once: what no worker has begun is bounded, and so are the users who are
// counted.
func TestManyUsersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.accounts.wait = true
		for i := range 3 * maxRates {
			from := jid(fmt.Sprintf("u%d@example.com/x", i))
			w.desk.Register(&mapping.XMPPRegister{From: from, To: jid(gateway), ID: "r", Set: true, Fields: submitted("username", "a@b.example", "password", secret).Fields})
		}
		w.next()
		w.desk.mu.Lock()
		open, counted := len(w.desk.open), len(w.desk.rates)
		w.desk.mu.Unlock()
		if open > maxOpen || counted > maxRates+1 {
			t.Errorf("%d open, %d counted", open, counted)
		}
		w.end()
		if n := len(w.said); n != 3*maxRates {
			t.Errorf("%d answers, want %d", n, 3*maxRates)
		}
	})
}
