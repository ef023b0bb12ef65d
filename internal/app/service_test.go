package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
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
