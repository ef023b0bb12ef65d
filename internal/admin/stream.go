package admin

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// maxStreams are open at the same time. They have room of their own: those who look on do not
// take the place of programs that ask.
const maxStreams = 1024

const (
	streamWrite = 10 * time.Second // who does not read for so long is not looking
	streamPing  = 25 * time.Second // without it a connection may be gone and nobody knows
)

// conn is a connection of a bounded listener, in the room that it takes.
type conn struct {
	net.Conn
	l      *bounded
	stream atomic.Bool // it has moved to the room of streams
}

// CloseWrite is what net/http does before it closes a connection on which somebody still
// writes, so that the answer is read first.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

type connKey struct{}

// toStream moves the connection of a request to the room of streams, if there is any.
func toStream(ctx context.Context) bool {
	c, ok := ctx.Value(connKey{}).(*conn)
	if !ok || c.l.streams == nil || c.stream.Load() {
		return false
	}
	select {
	case c.l.streams <- struct{}{}:
	default:
		return false
	}
	c.stream.Store(true)
	<-c.l.room
	return true
}

// over gives the room of the connection back.
func (c *conn) over() {
	if c.stream.Load() {
		<-c.l.streams
	} else {
		<-c.l.room
	}
}

// Stream is an answer that goes on: server-sent events.
type Stream struct {
	rw   http.ResponseWriter
	ctl  *http.ResponseController
	done <-chan struct{}
	gone <-chan struct{}
}

// Send writes an event. data has no line breaks. An error is the end of the stream.
func (s *Stream) Send(event, data string) error {
	return s.write("event: " + event + "\ndata: " + data + "\n\n")
}

func (s *Stream) write(text string) error {
	if err := s.ctl.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return err
	}
	if _, err := s.rw.Write([]byte(text)); err != nil {
		return err
	}
	return s.ctl.Flush()
}

// Wait waits for news, and keeps the connection alive meanwhile. It reports false when the
// stream is over: who looked on has gone, or the daemon stops.
func (s *Stream) Wait(news <-chan struct{}) bool {
	ping := time.NewTicker(streamPing)
	defer ping.Stop()
	for {
		select {
		case <-news:
			return true
		case <-ping.C:
			if s.write(": still here\n\n") != nil {
				return false
			}
		case <-s.done:
			return false
		case <-s.gone:
			return false
		}
	}
}

// HandleStream puts a stream of events at a path. f is called for each that is opened, and
// ends it by returning. Call it before Run.
func (w *Web) HandleStream(path string, a Access, f func(*Stream)) {
	w.Handle(path, a, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet:
			rw.Header().Set("Allow", http.MethodGet)
			http.Error(rw, "A stream has to be read.", http.StatusMethodNotAllowed)
			return
		case r.Header.Get("Sec-Fetch-Site") == "cross-site": // another page could not read it, only hold it
			w.deny(r)
			http.Error(rw, "This is for the pages of stox.", http.StatusForbidden)
			return
		case r.ProtoMajor != 1 || !toStream(r.Context()):
			rw.Header().Set("Retry-After", "30")
			http.Error(rw, "Too many are looking on: reload the page to see what is new.", http.StatusServiceUnavailable)
			return
		}
		s := &Stream{rw: rw, ctl: http.NewResponseController(rw), done: w.ending, gone: r.Context().Done()}
		h := rw.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Connection", "close") // it has no room among the others any more
		if s.ctl.SetReadDeadline(time.Time{}) != nil || s.write("retry: 5000\n\n") != nil {
			return
		}
		f(s)
	}))
}
