package admin

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// healthyFake is a Queue whose daemon says how it does.
type healthyFake struct {
	*fake
	h   Health
	err error
}

func (f healthyFake) Health(context.Context) (Health, error) { return f.h, f.err }

func TestHealth(t *testing.T) {
	var bad Health
	bad.Put(CheckProcess, true, "all parts are at work")
	bad.Put(CheckLink, false, "refused:\nstart the server")
	bad.Put(CheckRoutes, true, "1 of 1")
	path := sock(t)
	serve(t, path, healthyFake{fake: &fake{}, h: bad})
	got, err := dial(t, path).Health(t.Context())
	if diff := cmp.Diff(bad, got); err != nil || diff != "" {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
	if got.Ready || !got.Alive {
		t.Errorf("%+v", got)
	}
	if text, want := got.String(), "ok process: all parts are at work\nfail link: refused: start the server\nok routes: 1 of 1\n"; text != want {
		t.Errorf("%q", text)
	}
	path = sock(t)
	serve(t, path, &fake{}) // a queue without a daemon
	if _, err := dial(t, path).Health(t.Context()); !errors.Is(err, ErrFailed) {
		t.Errorf("%v", err)
	}
}

// Whoever does not get on with the work is not ready either.
func TestHealthOfTheProcess(t *testing.T) {
	var h Health
	h.Put(CheckLink, true, "up")
	if !h.Alive || !h.Ready {
		t.Errorf("%+v", h)
	}
	h.Put(CheckProcess, false, "stuck")
	h.Put(CheckJournal, true, "written")
	if h.Alive || h.Ready {
		t.Errorf("%+v", h)
	}
}
