package main

import (
	"fmt"
	"syscall"
	"time"
)

// form is how long and how hard the proof is.
type form struct {
	long    bool
	rate    int // messages a second each way
	rounds  int // how often a disturbance comes
	kills   int
	verbose bool
	seed    uint64
}

// scenario is one kind of disturbance.
type scenario struct {
	name   string
	server string
	long   bool          // in the long form only
	env    []string      // what it changes of stox
	settle time.Duration // what is on its way has so long to come to an end; zero: 20 s
	run    func(*world) error
}

// noEarly is the end of the name of a scenario in which messages leave only when
// they are on the disk.
const noEarly = "-no-early"

func scenarios() []scenario {
	both := func(name string, run func(*world) error, env ...string) (all []scenario) {
		for _, server := range []string{"prosody", "ejabberd"} {
			all = append(all, scenario{name: name + "-" + server, server: server, env: env, run: run})
		}
		return all
	}
	// Those that take long come first.
	all := []scenario{
		{name: "sip-dead", server: "prosody", long: true, settle: 2 * time.Minute, env: []string{"STOX_QUEUE_EXPIRE=5m"}, run: sipDead},
		{name: "sip-silent", server: "prosody", settle: 45 * time.Second, env: []string{"STOX_QUEUE_EXPIRE=5m"}, run: sipSilent},
		{name: "kill-9", server: "prosody", run: killed},
		{name: "kill-9" + noEarly, server: "prosody", run: killed, env: []string{"STOXDEBUG=early=off"}},
	}
	all = append(all, both("restart", serverRestart)...)
	all = append(all, both("sigstop", serverStopped, "STOX_XMPP_BARRIER_TIMEOUT=2s")...)
	all = append(all, both("tcp-drop", tcpDrop)...)
	all = append(all, both("blocked", blocked)...)
	return append(all,
		scenario{name: "stop-start", server: "prosody", run: stopped, env: []string{"STOX_SHUTDOWN_TIMEOUT=1s"}},
		scenario{name: "disk-refuses", server: "prosody", run: diskRefuses},
		scenario{name: "file-locked", server: "prosody", run: fileLocked},
		scenario{name: "strace-enospc", server: "prosody", long: true, run: diskFault("pwrite64", "ENOSPC")},
		scenario{name: "strace-eio", server: "ejabberd", long: true, run: diskFault("fsync,fdatasync", "EIO")},
		scenario{name: "sip-faults", server: "prosody", run: sipFaults},
		scenario{name: "sip-503", server: "prosody", run: sipBusy},
	)
}

// between draws a number of messages.
func (w *world) between(from, to int) int { return from + w.rnd.IntN(to-from) }

// again repeats a disturbance with traffic before, between and after.
func (w *world) again(times int, disturb func(i int) error) error {
	w.traffic.start(w.form.rate)
	for i := range times {
		if err := w.traffic.pass(w.between(w.form.rate/2, w.form.rate)); err != nil {
			return err
		}
		w.say("disturbance %d of %d", i+1, times)
		if err := disturb(i); err != nil {
			return err
		}
	}
	return w.traffic.pass(w.form.rate)
}

// serverRestart: the XMPP server ends in good order and comes back.
func serverRestart(w *world) error {
	// Each time stox waits longer before it dials again.
	return w.again(min(w.form.rounds, 4), func(int) error {
		from := len(w.stox.Lines())
		w.book.broke("server")
		// What comes while its receiver is logging in may be lost in ejabberd: its store
		// for those who are offline is written beside the transaction that empties it.
		w.tap.close(true)
		if _, err := w.server.Stop(w.ctx); err != nil {
			return err
		}
		if err := w.server.Boot(w.ctx); err != nil {
			return err
		}
		for _, c := range w.clients[:2] {
			if err := c.wait(w.ctx); err != nil {
				return err
			}
		}
		w.tap.close(false)
		return w.linked(from)
	})
}

// serverStopped: the server hangs for longer than barriers are waited for.
func serverStopped(w *world) error {
	return w.again(w.form.rounds, func(i int) error {
		if err := w.server.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		err := w.traffic.pass((3 + 4*(i%2)) * w.form.rate)
		if e := w.server.Signal(syscall.SIGCONT); err == nil {
			err = e
		}
		return err
	})
}

// tcpDrop: the connection between stox and the server ends, by a reset, in good
// order, or after it has let nothing through for a while.
func tcpDrop(w *world) error {
	// As above.
	return w.again(min(3*w.form.rounds, 5), func(i int) error {
		from := len(w.stox.Lines())
		hole := i%3 == 2
		if hole {
			w.tap.swallow(true)
			if err := w.traffic.pass(w.form.rate); err != nil {
				return err
			}
		}
		w.book.broke("cut")
		w.tap.cut(i%3 != 1)
		w.tap.swallow(false)
		return w.linked(from)
	})
}

// stopped: stox is stopped as its service manager does it, while much is under way,
// and started again. Nothing may be lost.
func stopped(w *world) error {
	w.peer.follow(w.slow)
	return w.again(3*w.form.rounds, func(int) error {
		w.book.broke("stop")
		if err := w.stopStox(); err != nil {
			return err
		}
		return w.startStox()
	})
}

// slow is the plan of a peer that is slow or refuses for now, so that much is under
// way or waits.
func (w *world) slow(r request) act {
	switch k := draw(w.form.seed, r.n) % 10; {
	case k < 3 && r.try == 0:
		return act{status: 503, strict: true}
	case k < 6:
		return act{show: true, status: 200, deaf: 1, strict: k == 3}
	}
	return accept
}

// killed: stox itself is killed while much is under way, now and then as soon as it
// is back.
func killed(w *world) error {
	w.peer.follow(w.slow)
	return w.again(w.form.kills, func(int) error {
		if w.form.long { // less often than the trail is written, else it never is
			if err := w.traffic.pass(w.form.rate); err != nil {
				return err
			}
		}
		if err := w.kill(); err != nil || w.rnd.IntN(5) > 0 {
			return err
		}
		return w.kill()
	})
}

// blocked: a user who is online has blocked one SIP user. What that one writes
// bounces, and everybody else's messages arrive.
func blocked(w *world) error {
	juliet := w.clients[0]
	got := make(chan string, 1)
	juliet.await("block", func(kind string) { got <- kind })
	if err := juliet.send("<iq type='set' id='block'><block xmlns='urn:xmpp:blocking'><item jid='tybalt@" + component + "'/></block></iq>"); err != nil {
		return err
	}
	select {
	case t := <-got:
		if t != "result" {
			return fmt.Errorf("the server answered %s to block", t)
		}
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
	w.traffic.tybalt = true
	if err := w.again(w.form.rounds, func(int) error { return w.traffic.pass(w.form.rate) }); err != nil {
		return err
	}
	w.traffic.stop()
	w.book.await(patience, func() bool { open, _ := w.book.unsettled(); return open == 0 })
	w.book.note(func() {
		for n, m := range w.book.toXMPP {
			if bounced := len(m.answers) > 0 && m.answers[0].status == 480; bounced != (m.from == "tybalt") {
				w.fault("call-%d from %s was answered %v", n, m.from, statuses(m.answers))
			}
		}
	})
	return nil
}

// sipFaults: the SIP peer answers as it likes.
func sipFaults(w *world) error {
	w.peer.follow(func(r request) act {
		if r.try > 0 { // whatever it was, it is over
			return act{show: true, status: 200, strict: true}
		}
		switch k := draw(w.form.seed, r.n) % 20; {
		case k < 2:
			return act{status: 480}
		case k < 3:
			return act{status: 500}
		case k < 5:
			return act{status: 503}
		case k < 6:
			return act{status: 503, retryAfter: 1}
		case k < 8:
			return act{show: true, status: 200, twice: true}
		case k < 10:
			return act{show: true, status: 200, deaf: 1}
		case k < 11:
			return act{show: true, status: 200, deaf: 2}
		}
		return accept
	})
	return w.again(w.form.rounds, func(int) error { return w.traffic.pass(w.form.rate) })
}

// sipBusy: the SIP peer answers 503 to everything for a while.
func sipBusy(w *world) error {
	return w.again(w.form.rounds, func(i int) error {
		busy := act{status: 503, retryAfter: i % 2}
		w.peer.follow(func(request) act { return busy })
		err := w.traffic.pass(2 * w.form.rate)
		w.peer.follow(func(request) act { return accept })
		return err
	})
}

// sipSilent: the SIP peer shows a message, or not, and says nothing for as long as
// a transaction lasts; then it answers the repeat. It has recognised it, takes it for
// new, or refuses it.
func sipSilent(w *world) error {
	w.peer.follow(func(r request) act {
		switch {
		case r.n%3 == 0 && r.try == 0:
			return act{show: true}
		case r.n%3 == 0:
			return act{show: true, status: 200, strict: true}
		case r.n%3 == 1 && r.try == 0:
			return act{}
		case r.n%3 == 1:
			return accept
		case r.try == 0:
			return act{show: true}
		}
		return act{status: 480}
	})
	return w.fewMessages()
}

// sipDead: the SIP peer shows what it gets, or not, and never says anything.
func sipDead(w *world) error {
	w.peer.follow(func(r request) act { return act{show: r.n%2 == 0 && r.try == 0} })
	return w.fewMessages()
}

// fewMessages sends some messages to SIP, each to somebody else: they do not wait
// for each other.
func (w *world) fewMessages() error {
	for i := range 12 {
		to := fmt.Sprintf("u%d@%s", i, component)
		if i%2 == 1 {
			to = fmt.Sprintf(`t%d\40%s@%s`, i, tcpDomain, component)
		}
		if w.traffic.sendOut(w.clients[i/6], to) < 0 {
			return errOffline
		}
	}
	return nil
}

// draw is a number that depends on the seed and on n only.
func draw(seed uint64, n int) uint64 {
	x := seed ^ uint64(n)*0x9e3779b97f4a7c15
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	return x ^ x>>32
}
