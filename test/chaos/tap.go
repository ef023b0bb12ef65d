package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// tap stands between stox and the XMPP server's component port. It sees what
// either has written, which tells what stox was given from what the server has
// kept, and it can break the link.
type tap struct {
	listener net.Listener
	server   string
	seen     tapped

	wg   sync.WaitGroup
	mu   sync.Mutex // guards the following
	cond *sync.Cond
	open map[*wire]bool
	shut bool // nobody gets to the server
	hole bool // nothing gets through, and no end of it is told
	done bool
}

// tapped is told of every stanza on the link. They are called from several
// goroutines.
type tapped struct {
	handed func(stanza, time.Time) // the server has written it
	passed func(stanza, time.Time) // stox's kernel has it
	wrote  func(stanza, time.Time) // stox has written it
	fault  func(error)             // this is no stream
}

// wire is one connection through the tap.
type wire struct{ stox, server *net.TCPConn }

func newTap(server string, seen tapped) (*tap, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &tap{listener: l, server: server, seen: seen, open: make(map[*wire]bool)}
	t.cond = sync.NewCond(&t.mu)
	return t, nil
}

func (t *tap) port() int { return t.listener.Addr().(*net.TCPAddr).Port }

// Run serves until ctx is done.
func (t *tap) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		t.listener.Close()
		t.mu.Lock()
		t.done = true
		t.cond.Broadcast()
		t.mu.Unlock()
		t.cut(true)
	})
	defer stop()
	for {
		c, err := t.listener.Accept()
		if err != nil {
			break
		}
		t.wg.Go(func() { t.serve(c.(*net.TCPConn)) })
	}
	t.wg.Wait()
}

func (t *tap) serve(stox *net.TCPConn) {
	defer stox.Close()
	t.mu.Lock()
	shut := t.shut
	t.mu.Unlock()
	if shut {
		stox.SetLinger(0) // as if nobody had listened
		return
	}
	c, err := net.DialTimeout("tcp", t.server, patience)
	if err != nil {
		stox.SetLinger(0)
		return
	}
	w := &wire{stox, c.(*net.TCPConn)}
	defer w.server.Close()
	t.mu.Lock()
	t.open[w] = true
	done := t.done
	t.mu.Unlock()
	if done {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { t.pump(w.server, w.stox, t.seen.wrote, nil) })
	both.Go(func() { t.pump(w.stox, w.server, t.seen.handed, t.seen.passed) })
	both.Wait()
	t.mu.Lock()
	delete(t.open, w)
	t.cond.Broadcast()
	t.mu.Unlock()
}

// pump carries one direction to its end.
func (t *tap) pump(to, from *net.TCPConn, read, written func(stanza, time.Time)) {
	defer to.CloseWrite()
	var cut splitter
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			var stanzas []stanza
			now := time.Now()
			bad := cut.feed(buf[:n], func(raw []byte) {
				if st, err := parseStanza(raw); err == nil {
					stanzas = append(stanzas, st)
					read(st, now)
				}
			})
			if bad != nil {
				t.seen.fault(bad)
			}
			t.wait()
			if _, err := to.Write(buf[:n]); err != nil {
				// Its reader is gone; so is what the other side still writes. What comes the
				// other way may still be on its way and is let through.
				from.CloseRead()
				return
			}
			if written != nil {
				now = time.Now()
				for _, st := range stanzas {
					written(st, now)
				}
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				to.SetLinger(0)
				to.Close()
			}
			return
		}
	}
}

// wait holds what is on its way while there is a hole.
func (t *tap) wait() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.hole && !t.done {
		t.cond.Wait()
	}
}

// cut breaks every connection: with a reset, which throws away what is in the
// buffers, or with an orderly end in both directions.
func (t *tap) cut(reset bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for w := range t.open {
		for _, c := range []*net.TCPConn{w.stox, w.server} {
			if reset {
				c.SetLinger(0)
			}
			c.Close()
		}
	}
}

// swallow stops or lets go on what is on its way, without a word to either side.
func (t *tap) swallow(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hole = on
	t.cond.Broadcast()
}

// close keeps stox from the server, or lets it in again; what is open stays so.
func (t *tap) close(shut bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shut = shut
}
