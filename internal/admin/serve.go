package admin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// bounded is a listener that takes a connection only when there is room for one. What it
// returns is a *conn.
type bounded struct {
	net.Listener
	room    chan struct{}
	streams chan struct{} // for those that have become a Stream; nil: there are none
	end     chan struct{}
	once    sync.Once
}

func newBounded(l net.Listener, n int) *bounded {
	return &bounded{Listener: l, room: make(chan struct{}, n), end: make(chan struct{})}
}

// Accept waits for room, then for a connection.
func (l *bounded) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	case <-l.end:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &conn{Conn: c, l: l}, nil
}

// Close takes no further connections.
func (l *bounded) Close() error {
	var err error
	l.once.Do(func() {
		close(l.end)
		err = l.Listener.Close()
	})
	return err
}

// serveOn answers on l until ctx is done, lets answers that are being given end, within
// bounds, and waits for everything it started.
func serveOn(ctx context.Context, l *bounded, handler http.Handler, log *slog.Logger) error {
	requests, cancel := context.WithCancel(context.Background())
	defer cancel()
	var conns sync.WaitGroup
	h := &http.Server{
		Handler:     http.MaxBytesHandler(handler, 4096), // that of a login is the only body
		ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes:               16 << 10,
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return requests },
		ConnContext:                  func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		// StateNew is told before Serve returns, StateClosed when the last handler of
		// the connection has returned.
		ConnState: func(c net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				conns.Add(1)
			case http.StateClosed:
				c.(*conn).over()
				conns.Done()
			}
		},
	}
	served := make(chan error, 1)
	go func() { served <- h.Serve(l) }()

	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		stop, done := context.WithTimeout(context.Background(), stopTimeout)
		if h.Shutdown(stop) != nil { // somebody reads slowly
			cancel()
			_ = h.Close()
		}
		done()
		<-served
	}
	cancel()
	conns.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

const (
	readTimeout  = 10 * time.Second
	writeTimeout = time.Minute
	idleTimeout  = 10 * time.Second
	stopTimeout  = 2 * time.Second // for answers that are being given
)
