package component

import (
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gosrc.io/xmpp/stanza"
)

var (
	errNotXMPP   = errors.New("this is not an XMPP stream")
	errWrongPort = errors.New("this is not a component stream") // that of clients or servers
	errNoID      = errors.New("the stream header has no id")
	errStalled   = errors.New("the server does not read what is written")
)

// The stages of getting a link up, for telling their failures apart.
type (
	dialError      struct{ err error }
	handshakeError struct{ err error }
)

func (e *dialError) Error() string      { return "connect: " + e.err.Error() }
func (e *dialError) Unwrap() error      { return e.err }
func (e *handshakeError) Error() string { return "handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// link is one connection: its goroutines and its socket end with run.
type link struct {
	cfg  *Config
	q    *queue
	srv  *atomic.Pointer[services]
	log  *slog.Logger
	conn net.Conn
	rd   *reader
	dead chan struct{} // closed when the connection is given up

	upBy time.Time     // when it has to be up
	up   chan struct{} // closed when it is up
	told func()        // called when it is up, before up is closed

	pingID string // unguessable; pings of this link begin with it
	pings  int    // reader only

	mu      sync.Mutex
	closeBy time.Time // not zero: no deadline goes beyond it
}

// connect dials, opens the stream and shakes hands, all before one deadline
// (GW-02, GW-03, GW-04).
func (c *Component) connect(ctx context.Context, h Handler) (*link, error) {
	dctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	conn, err := c.cfg.Dial(dctx, "tcp", c.cfg.Server)
	if err != nil {
		return nil, &dialError{err}
	}
	l := &link{cfg: &c.cfg, q: c.q, srv: &c.srv, log: c.log, conn: conn, dead: make(chan struct{}), up: make(chan struct{}), pingID: rand.Text()}
	l.rd = newReader(l, h)
	l.upBy, _ = dctx.Deadline()
	err = conn.SetDeadline(l.upBy)
	unwatch := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	if err == nil {
		err = l.handshake()
	}
	if !unwatch() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		reset(conn)
		return nil, &handshakeError{err}
	}
	return l, nil
}

func (l *link) handshake() error {
	b := append(make([]byte, 0, 256), "<?xml version='1.0'?><stream:stream"...)
	b = appendAttr(b, "xmlns", stanza.NSComponent)
	b = appendAttr(b, "xmlns:stream", stanza.NSStream)
	b = appendAttr(b, "to", l.q.from)
	b = append(b, '>')
	l.show(false, b)
	if _, err := l.conn.Write(b); err != nil {
		return err
	}
	id, err := l.rd.header()
	if err != nil {
		return err
	}
	if id == "" {
		// A server that does not know us may say so at once, in a header without an id.
		if e, _, err := l.rd.next(); err == nil && e.name.Space == stanza.NSStream && e.name.Local == "error" {
			return readStreamError(e)
		}
		return errNoID
	}
	b = append(b[:0], "<handshake>"...)
	b = append(b, handshakeHash(id, l.cfg.Secret)...)
	b = append(b, "</handshake>"...)
	l.show(false, b)
	_, werr := l.conn.Write(b) // may fail because the server has said why and gone
	e, _, err := l.rd.next()
	switch {
	case err != nil && werr != nil:
		return werr
	case err != nil:
		return err
	case e.name.Space == stanza.NSStream && e.name.Local == "error":
		return readStreamError(e)
	case !e.own("handshake"):
		return fmt.Errorf("%w: <%s/> instead of <handshake/>", errNotXMPP, e.name.Local)
	}
	return werr
}

// handshakeHash is the lower-case hexadecimal SHA-1 of id and secret (XEP-0114 §3).
func handshakeHash(id, secret string) string {
	sum := sha1.Sum([]byte(id + secret))
	return hex.EncodeToString(sum[:])
}

// run serves a link until it breaks or ctx ends. It returns nil only if the
// stream was closed because ctx ended. It calls up when the link is up: when the
// barriers of the check have come home (GW-34) and Deliver is listened to.
func (l *link) run(ctx context.Context, up func()) error {
	readDone, writeDone := make(chan error, 1), make(chan error, 1)
	l.told = up
	l.q.showTo(func(b []byte) { l.show(false, b) })
	l.q.openOver(l.pingID, writesAtOnce(l.conn))
	go func() { readDone <- l.rd.run() }()
	go func() { writeDone <- l.write() }()
	check := time.NewTimer(time.Until(l.upBy))
	defer check.Stop()
	abort := func(cause error) error {
		l.q.stop()
		l.giveUp()
		<-readDone
		<-writeDone
		l.q.close(howEnded(cause))
		return cause
	}

	for up := l.up; ; {
		select {
		case <-up:
			check.Stop()
			up = nil

		case <-check.C:
			select {
			case <-l.up:
				continue
			default:
			}
			return abort(&splitError{home: l.q.atHome(), of: linkCheck})

		case cause := <-l.q.fault:
			return abort(cause)

		case <-ctx.Done():
			how := endLost
			if l.goodbye(readDone, writeDone) {
				how = endClean
			}
			l.q.close(how)
			return nil

		case cause := <-readDone:
			l.q.stop()
			var se *streamError
			if polite := errors.Is(cause, errStreamEnd) || errors.As(cause, &se); polite {
				// The server has said goodbye and deserves an answer; it reads nothing else now.
				l.finishBy(time.Second)
				if <-writeDone == nil {
					l.show(false, []byte(stanza.StreamClose))
					l.conn.Write([]byte(stanza.StreamClose))
				}
				l.conn.Close()
			} else {
				l.giveUp()
				<-writeDone
			}
			l.q.close(howEnded(cause))
			return cause

		case cause := <-writeDone:
			l.q.stop()
			if !errors.Is(cause, errStalled) {
				// The server may have said why before it went: let the reader find it.
				l.finishBy(time.Second)
				var se *streamError
				if rerr := <-readDone; errors.As(rerr, &se) || errors.Is(rerr, errStreamEnd) {
					cause = rerr
				}
				l.giveUp()
			} else {
				l.giveUp()
				<-readDone
			}
			l.q.close(howEnded(cause))
			return cause
		}
	}
}

// howEnded is what the cause of an end means for what is pending.
func howEnded(cause error) ending {
	if errors.Is(cause, errSplit) {
		return endSplit
	}
	return endLost
}

// isUp is told by the reader that the check is over.
func (l *link) isUp() {
	if l.told != nil {
		l.told()
	}
	close(l.up)
}

// goodbye closes the stream (RFC 6120 §4.4): everything queued is written, then
// the barrier behind it is waited for, then our end of the stream is written, and
// what the server writes until its own end is still read. It reports whether the
// server's end came.
func (l *link) goodbye(readDone, writeDone <-chan error) (clean bool) {
	l.finishBy(2 * l.cfg.CloseTimeout) // there may be a lot to be said at the end
	l.q.drain()
	patience := time.NewTimer(l.cfg.CloseTimeout)
	defer patience.Stop()
	var werr, rerr error
	read := false
	select {
	case werr = <-writeDone:
	case rerr = <-readDone: // no barrier will come home any more
		read = true
		l.q.flush()
		werr = <-writeDone
	case <-patience.C:
		l.q.flush()
		werr = <-writeDone
	}
	l.finishBy(l.cfg.CloseTimeout)
	if werr == nil {
		l.show(false, []byte(stanza.StreamClose))
		_, werr = l.conn.Write([]byte(stanza.StreamClose))
	}
	if werr != nil {
		l.giveUp()
		if !read {
			<-readDone
		}
		return false
	}
	if !read {
		rerr = <-readDone
	}
	if !errors.Is(rerr, errStreamEnd) || read {
		l.giveUp()
		return false
	}
	l.conn.Close()
	return true
}

// giveUp ends the connection with a reset, so that the server does not go on
// believing in it (GW-34), and everybody who waits for it.
func (l *link) giveUp() {
	reset(l.conn)
	close(l.dead)
}

func reset(conn net.Conn) {
	if t, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		t.SetLinger(0)
	}
	conn.Close()
}

// finishBy lets nothing wait for the connection longer than d from now.
func (l *link) finishBy(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeBy = time.Now().Add(d)
	l.conn.SetDeadline(l.closeBy)
}

// finished reports whether that time is over.
func (l *link) finished() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closeBy.IsZero() && !time.Now().Before(l.closeBy)
}

func (l *link) readDeadline(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closeBy.IsZero() {
		l.conn.SetReadDeadline(t)
	}
}

func (l *link) writeDeadline(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closeBy.IsZero() {
		l.conn.SetWriteDeadline(time.Now().Add(d))
	}
}

// write is the writer's goroutine: it writes whatever has gathered since it last
// looked, unless others have written it at once (push.go). It returns nil when the queue
// tells it to end. When it returns nobody writes any more.
func (l *link) write() error {
	var buf []byte
	for {
		out, more, err := l.q.take(buf)
		buf = out
		if err != nil {
			return stalled(err)
		}
		if len(out) == 0 {
			if !more {
				return nil
			}
			select {
			case <-l.q.writer:
			case <-l.dead:
				l.q.desert()
				return errLinkEnded
			}
			continue
		}
		for len(out) > 0 {
			l.writeDeadline(l.cfg.WriteTimeout)
			n, err := l.conn.Write(out[:min(piece, len(out))])
			if n > 0 {
				l.q.wrote(n, time.Now())
			}
			if err != nil {
				return stalled(err)
			}
			out = out[n:]
		}
	}
}

// stalled is what an error of writing means.
func stalled(err error) error {
	if isTimeout(err) {
		return errStalled
	}
	return err
}

// ping returns a ping to our own name. Only the reader calls it.
func (l *link) ping() []byte {
	l.pings++
	return appendPing(nil, l.q.from, l.q.from, l.pingID+"-"+strconv.Itoa(l.pings))
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
