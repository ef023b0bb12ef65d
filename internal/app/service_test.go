package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/siptest"
)

// What a service says when it is stopped reaches whoever stops it: the store's
// last commit may have failed.
func TestStopReportsWhatWentWrong(t *testing.T) {
	a := &App{log: newSyncBuffer(t).logger()}
	var run services
	wrong := errors.New("the last commit failed")
	bad := run.start("store", func(ctx context.Context) error { <-ctx.Done(); return wrong })
	good := run.start("bridge", func(ctx context.Context) error { <-ctx.Done(); return nil })
	if err := a.stop(good); err != nil {
		t.Errorf("an orderly stop: %v", err)
	}
	select {
	case <-bad.done:
		t.Error("stopped with another one")
	default:
	}
	if err := a.stop(bad); !errors.Is(err, wrong) || !strings.HasPrefix(err.Error(), "store: ") {
		t.Errorf("got %v", err)
	}
	select {
	case err := <-run.failed():
		t.Errorf("told to stop, and called failed: %v", err)
	default:
	}
}

// A service that ends by itself is told, the first one by name, and stops no other.
func TestServiceThatGivesUp(t *testing.T) {
	a := &App{log: newSyncBuffer(t).logger()}
	var run services
	wrong := errors.New("no more")
	first := run.start("first", func(context.Context) error { return wrong })
	<-first.done
	second := run.start("second", func(context.Context) error { return nil })
	<-second.done
	other := run.start("other", func(ctx context.Context) error { <-ctx.Done(); return nil })
	if err := <-run.failed(); !errors.Is(err, wrong) || err.Error() != "first: no more" {
		t.Errorf("got %v", err)
	}
	if err := a.stop(first, second, other); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// One that hangs does not hold up the stop for ever.
func TestServiceThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &App{log: newSyncBuffer(t).logger()}
		var run services
		release := make(chan struct{})
		s := run.start("sip side", func(context.Context) error { <-release; return nil })
		begin := time.Now()
		err := a.stop(s)
		if err == nil || !strings.Contains(err.Error(), "sip side did not stop within 20s") || time.Since(begin) != stopGrace {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		close(release)
		<-s.done
	})
}

// When a part of the daemon ends, the others stop as in any stop: nothing more is
// sent, and the senders of what waits are told while the link is there.
func TestDaemonWhosePartGivesUp(t *testing.T) {
	g := startGateway(t, "tcp", func(cfg *config.Config) {
		cfg.ShutdownTimeout = time.Millisecond
		cfg.Store.Path = ""
	})
	g.peer.Answer(func(*siptest.Message) string { return "" })
	for i := range 3 {
		g.message(fmt.Sprint("m", i), "romeo@sip.example.com", "hello")
	}
	g.peer.Await(1)
	ping(t, g.xmpp, "sip.example.com", "read")
	if st := g.xmpp.Next(); st.ID != "read" {
		t.Fatalf("before the end: %s", st.Raw)
	}
	wrong := errors.New("no more")
	g.app.run.start("a part", func(context.Context) error { return wrong })
	told := map[string]int{}
	for _, st := range g.xmpp.NextN(3) {
		if st.Type != "error" || st.ErrorType != "wait" {
			t.Errorf("not an error that says wait: %s", st.Raw)
		}
		told[st.ID]++
	}
	for i := range 3 {
		if id := fmt.Sprint("m", i); told[id] != 1 {
			t.Errorf("%s was told %d times", id, told[id])
		}
	}
	if !g.xmpp.WaitEnd() {
		t.Error("the stream was not closed")
	}
	if err := g.stop(); !errors.Is(err, wrong) || err.Error() != "a part: no more" {
		t.Errorf("ended with %v", err)
	}
	g.stop = func() error { return nil }
	g.log.await("level=ERROR", "a part of stox has ended", "a part: no more")
}

// The end of the operator's socket is told, and messages go on.
func TestDaemonWithoutItsOperator(t *testing.T) {
	g := startGateway(t, "udp")
	if err := g.app.door.Close(); err != nil {
		t.Fatal(err)
	}
	g.log.await("level=ERROR", "stox queue, trail and presence are not answered any more", "remedy=")
	g.peer.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	g.message("m1", "romeo@sip.example.com", "hello")
	g.peer.Await(1)
	if err := g.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}
