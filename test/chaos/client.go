package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/stoxgw/stox/test/stage"
)

// client is an XMPP user's client. It logs in again whenever it has lost its
// connection, always under the same resource, so that what is sent to its full
// JID finds it.
type client struct {
	server  *stage.XMPPServer
	account stage.Account
	take    func(stanza) // every stanza that comes, one after the other

	mu   sync.Mutex // guards the following
	cond *sync.Cond
	conn net.Conn                     // nil: not logged in
	last time.Time                    // when it has logged in last
	iqs  map[string]func(kind string) // who waits for the answer to an IQ
}

const (
	resource = "chaos"
	present  = "present" // id of the ping behind the presence: its answer says that the server knows it
	redial   = 50 * time.Millisecond
	patience = 20 * time.Second // for what comes at once, if it comes at all
)

var errOffline = errors.New("the client is not logged in")

func newClient(s *stage.XMPPServer, a stage.Account, take func(stanza)) *client {
	c := &client{server: s, account: a, take: take, iqs: make(map[string]func(kind string))}
	c.cond = sync.NewCond(&c.mu)
	return c
}

func (c *client) bare() string { return c.account.Local + "@" + c.server.Domain }

// Run keeps the client logged in until ctx is done.
func (c *client) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := c.session(ctx); err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(redial):
			}
		}
	}
}

// session is one connection from its login to its end.
func (c *client) session(ctx context.Context) error {
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", c.server.C2S), patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	in := &input{conn: conn}
	if err := c.login(conn, in); err != nil {
		return err
	}
	conn.SetReadDeadline(time.Time{})
	defer c.set(nil)
	for {
		st, err := in.next()
		if err != nil {
			return err
		}
		if st.XMLName.Local == "iq" && st.ID == present {
			c.set(conn)
		}
		if st.XMLName.Local == "iq" && st.Type == "get" {
			fmt.Fprintf(conn, "<iq type='result' to='%s' id='%s'/>", stage.Escape(st.From), stage.Escape(st.ID))
		}
		c.mu.Lock()
		answered := c.iqs[st.ID]
		c.mu.Unlock()
		if st.XMLName.Local == "iq" && st.Type != "get" && answered != nil {
			answered(st.Type)
		}
		c.take(st)
	}
}

// await calls f with the type of each answer to the IQ with this id.
func (c *client) await(id string, f func(kind string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.iqs[id] = f
}

func (c *client) set(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	if conn != nil {
		c.last = time.Now()
	}
	c.cond.Broadcast()
}

// up reports whether the client is logged in.
func (c *client) up() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn != nil
}

// lastUp is when the client has logged in last.
func (c *client) lastUp() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// wait returns when the client is logged in.
func (c *client) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.cond.Broadcast()
	})
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.conn == nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%s cannot log in: %w", c.bare(), ctx.Err())
		}
		c.cond.Wait()
	}
	return nil
}

// send writes XML. After an error some of it may have been written.
func (c *client) send(xml string) error {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	if conn == nil {
		return errOffline
	}
	conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := conn.Write([]byte(xml))
	return err
}

// login: RFC 6120 with SASL PLAIN, without TLS.
func (c *client) login(conn net.Conn, in *input) error {
	conn.SetDeadline(time.Now().Add(patience))
	defer conn.SetWriteDeadline(time.Time{})
	header := fmt.Sprintf("<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='%s'>", c.server.Domain)
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + c.account.Local + "\x00" + c.account.Password))
	for _, step := range []struct{ say, hear string }{
		{header, "features"},
		{"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + plain + "</auth>", "success"},
		{header, "features"},
		{"<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>", "iq"},
		{"<iq type='set' id='session'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>", "iq"},
	} {
		if step.say == header {
			in.restart()
		}
		if _, err := conn.Write([]byte(step.say)); err != nil {
			return err
		}
		for {
			st, err := in.next()
			if err != nil {
				return err
			}
			if st.XMLName.Local == step.hear {
				break
			}
			if st.XMLName.Local == "failure" || st.XMLName.Local == "error" {
				return fmt.Errorf("%s cannot log in: %s before %s", c.bare(), st.XMLName.Local, step.hear)
			}
		}
	}
	_, err := fmt.Fprintf(conn, "<presence/><iq type='get' to='%s' id='%s'><ping xmlns='urn:xmpp:ping'/></iq>", c.server.Domain, present)
	return err
}

// input reads stanzas from a connection.
type input struct {
	conn  net.Conn
	cut   splitter
	ready []stanza
	buf   [16 << 10]byte
}

// restart begins a new stream on the same connection.
func (in *input) restart() { in.cut, in.ready = splitter{}, nil }

func (in *input) next() (stanza, error) {
	for len(in.ready) == 0 {
		n, err := in.conn.Read(in.buf[:])
		if err != nil {
			return stanza{}, err
		}
		var bad error
		err = in.cut.feed(in.buf[:n], func(raw []byte) {
			if len(raw) > 14 && string(raw[:14]) == "<stream:stream" {
				return
			}
			st, err := parseStanza(raw)
			if err != nil {
				bad = fmt.Errorf("%w: %q", err, raw)
			}
			in.ready = append(in.ready, st)
		})
		if err = errors.Join(err, bad); err != nil {
			return stanza{}, err
		}
	}
	st := in.ready[0]
	in.ready = in.ready[1:]
	return st, nil
}
