package app

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// services are the Runs of the daemon. They are stopped one by one: none ends
// because another one did.
type services struct{ fail chan error }

// service is a Run that has been started.
type service struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{} // closed when it has returned …
	err    error         // … with this, after it was told to stop
}

// failed tells of the first service that ended without being told to.
func (s *services) failed() <-chan error { return s.fail }

// start runs f in a goroutine of its own. A Run that ends by itself takes the
// whole daemon with it.
func (s *services) start(name string, f func(context.Context) error) *service {
	if s.fail == nil {
		s.fail = make(chan error, 1)
	}
	fail := s.fail
	ctx, cancel := context.WithCancel(context.Background())
	one := &service{name: name, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(one.done)
		err := f(ctx)
		if ctx.Err() != nil {
			one.err = err
			return
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		select {
		case fail <- fmt.Errorf("%s: %w", name, err):
		default: // not the first
		}
	}()
	return one
}

// stopGrace bounds each step of the stop after the drain; it is longer than the
// sides' own bounds and only catches one that hangs.
const stopGrace = 20 * time.Second

// stop ends services that may end side by side, and waits for them.
func (a *App) stop(all ...*service) error {
	for _, s := range all {
		s.cancel()
	}
	patience := time.NewTimer(stopGrace)
	defer patience.Stop()
	var errs []error
	for _, s := range all {
		select {
		case <-s.done:
			if s.err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", s.name, s.err))
			}
			a.log.Debug("stopped", "step", s.name)
		case <-patience.C:
			return errors.Join(append(errs, fmt.Errorf("%s did not stop within %v", s.name, stopGrace))...)
		}
	}
	return errors.Join(errs...)
}
