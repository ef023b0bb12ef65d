package component

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"gosrc.io/xmpp/stanza"

	"github.com/stoxgw/stox/mapping"
)

// What ends the reader, besides errors of the connection and of the XML parser.
var (
	errStreamEnd = errors.New("the server closed the stream")
	errNoAnswer  = errors.New("no answer to a ping")
	errNoBarrier = errors.New("a barrier did not come home")
	errLinkEnded = errors.New("link ended")
)

// streamError is a <stream:error/> (RFC 6120 §4.9).
type streamError struct{ cond, text string }

func (e *streamError) Error() string {
	if e.text != "" {
		return "stream error " + e.cond + ": " + e.text
	}
	return "stream error " + e.cond
}

// maxBatch is how many stanzas are handed over at most in one go.
const maxBatch = 256

// reader turns the octets of one link into stanzas. It belongs to the reader's
// goroutine; there is no lock.
type reader struct {
	l     *link
	h     Handler
	read  func(p []byte) (int, error) // of the connection
	scan  scanner
	pings string // the ids of our pings begin with it
	ended bool   // the header was all of the stream
	batch []mapping.XMPP

	watch         bool // the idle check is on: the handshake is over
	armed         bool // the connection has the deadline of this or an earlier wait of IdlePing
	warnedForeign bool
}

func newReader(l *link, h Handler) *reader {
	r := &reader{l: l, h: h, read: readsFrom(l.conn), pings: l.pingID + "-"}
	r.scan.fill, r.scan.buf = r.fill, make([]byte, readSize)
	if l.cfg.Tap != nil {
		r.scan.tape.tapped = l.cfg.Tap.On
	}
	return r
}

// fill reads from the connection. It is the one place where the reader waits for
// the server, so what has gathered is handed over first.
//
// Idle check (GW-09): nothing read for IdlePing, a ping is sent; nothing read for
// PingTimeout after that, the link is lost. To set a deadline costs more than to ask for the
// time, so that of an earlier wait stays until it is over, or another one is needed.
func (r *reader) fill(p []byte) (int, error) {
	r.flush()
	begun, wait, pinged := time.Now(), r.l.cfg.IdlePing, false
	if r.watch && !r.armed {
		r.armed = true
		r.l.readDeadline(begun.Add(wait))
	}
	for {
		n, err := r.read(p)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			return 0, io.ErrNoProgress
		case !r.watch || !isTimeout(err) || r.l.finished():
			return 0, err
		}
		if now := time.Now(); !now.Before(begun.Add(wait)) {
			if pinged {
				return 0, errNoAnswer
			}
			r.l.q.control(r.l.ping())
			begun, wait, pinged = now, r.l.cfg.PingTimeout, true
			r.armed = false // not for a wait like this
		}
		r.l.readDeadline(begun.Add(wait))
	}
}

// flush hands over what has been read, after what that has settled.
func (r *reader) flush() {
	if r.watch {
		r.l.q.turn(r.h)
	}
	if len(r.batch) == 0 {
		return
	}
	r.h.FromXMPP(r.batch)
	clear(r.batch)
	r.batch = r.batch[:0]
}

func (r *reader) hand(v mapping.XMPP) {
	if r.batch = append(r.batch, v); len(r.batch) >= maxBatch {
		r.flush()
	}
}

// header reads the server's stream header and returns its id.
func (r *reader) header() (id string, err error) {
	r.scan.begin(16 << 10)
	root, empty, err := r.scan.header()
	r.l.show(true, r.scan.played())
	switch {
	case err != nil:
		return "", err
	case root.name.Space != stanza.NSStream || root.name.Local != "stream":
		return "", errNotXMPP
	}
	if ns := root.attr("xmlns"); ns != "" && ns != stanza.NSComponent {
		return "", fmt.Errorf("%w: its namespace is %s", errWrongPort, ns)
	}
	r.ended = empty
	return root.attr("id"), nil
}

// next returns the next child of the stream. It is there until the one after it is asked
// for.
func (r *reader) next() (e *element, over string, err error) {
	if r.ended {
		return nil, "", errStreamEnd
	}
	e, over, err = r.scan.stanza(r.l.cfg.MaxStanzaBytes)
	r.l.show(true, r.scan.played())
	return e, over, err
}

// run reads until the link ends and says why.
func (r *reader) run() error {
	r.watch = true
	defer r.flush()
	for {
		if err := r.reserve(); err != nil {
			return err
		}
		e, over, err := r.next()
		if err != nil {
			return err
		}
		if err := r.stanza(e, over); err != nil {
			return err
		}
	}
}

// reserve waits for a reply slot: see the package comment. Nothing else pauses
// the reader (GW-35). It needs no clock: while slots are taken the writer is at
// work, and ends the link when the server does not read.
func (r *reader) reserve() error {
	if r.l.q.slotFree() {
		return nil
	}
	r.flush()
	for !r.l.q.slotFree() {
		select {
		case <-r.l.q.slot:
		case <-r.l.dead:
			return errLinkEnded
		}
	}
	return nil
}

func (r *reader) stanza(e *element, over string) error {
	switch {
	case e.name.Space == stanza.NSStream && e.name.Local == "error":
		return readStreamError(e)
	case e.own("message"):
		r.message(e, over)
	case e.own("iq"):
		if ours, err := r.ours(e); ours {
			return err
		}
		if !r.rosterAnswer(e, over) {
			r.iq(e, over)
		}
	case e.own("presence"):
		r.presence(e, over)
	default:
		r.l.log.Debug("unknown stanza ignored", "name", e.name.Local, "xmlns", e.name.Space)
	}
	return nil
}

// foreign warns once per link about stanzas for other domains.
func (r *reader) foreign(to mapping.JID) {
	if r.warnedForeign {
		return
	}
	r.warnedForeign = true
	r.l.log.Warn("the XMPP server sends us stanzas for another domain; with ejabberd set global_routes: false for this listener", "to", to.Domain())
}

func readStreamError(e *element) *streamError {
	out := &streamError{cond: "undefined-condition"}
	for _, c := range e.children {
		switch {
		case c.name.Space != nsStreams:
		case c.name.Local == "text":
			out.text = string(bytes.TrimSpace(c.text))
		default:
			out.cond = c.name.Local
		}
	}
	return out
}
