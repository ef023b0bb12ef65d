package xmpptest

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"io"
	"net"
	"strings"
	"sync"
)

// Stanza is what the component wrote.
type Stanza struct {
	Name, From, To, ID, Type string
	Lang                     string
	Text                     string // direct character data
	Body                     string // of the first direct body child
	Condition                string // of the error child
	ErrorType                string
	ErrorText                string
	Raw                      string // as on the wire
}

// Conn is one connection of the component, after the handshake.
type Conn struct {
	// Closed is closed when the connection has ended, from whichever side.
	Closed chan struct{}

	s   *Server
	nc  net.Conn
	rec *recorder
	dec *xml.Decoder

	wmu sync.Mutex // one write at a time

	mu      sync.Mutex // guards the rest
	cond    *sync.Cond
	stanzas []Stanza
	ended   bool // nothing more will come
	endTag  bool // the component closed its stream
	echoed  int
	stalled bool
}

func newConn(s *Server, nc net.Conn) *Conn {
	c := &Conn{s: s, nc: nc, Closed: make(chan struct{})}
	c.cond = sync.NewCond(&c.mu)
	c.rec = &recorder{r: bufio.NewReaderSize(gate{c}, 64<<10)}
	c.dec = xml.NewDecoder(c.rec)
	return c
}

// plain makes the decoder believe that it is inside of a stream.
func (c *Conn) plain() {
	c.rec.r = bufio.NewReader(io.MultiReader(strings.NewReader(
		`<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>`), gate{c}))
	c.header()
}

// gate reads from the connection unless it is stalled.
type gate struct{ c *Conn }

func (g gate) Read(p []byte) (int, error) {
	g.c.mu.Lock()
	for g.c.stalled {
		g.c.cond.Wait()
	}
	g.c.mu.Unlock()
	return g.c.nc.Read(p)
}

// recorder keeps the octets that the decoder has taken.
type recorder struct {
	r   *bufio.Reader
	buf bytes.Buffer
}

func (r *recorder) Read(p []byte) (int, error) { panic("xmpptest: the decoder reads octets") }

func (r *recorder) ReadByte() (byte, error) {
	b, err := r.r.ReadByte()
	if err == nil {
		r.buf.WriteByte(b)
	}
	return b, err
}

func (c *Conn) header() (to string, err error) {
	for {
		tok, err := c.dec.Token()
		if err != nil {
			return "", err
		}
		if t, ok := tok.(xml.StartElement); ok {
			return attr(t, "to"), nil
		}
	}
}

// stanza reads the next child of the stream; io.EOF at its end.
func (c *Conn) stanza() (Stanza, error) {
	c.rec.buf.Reset()
	for {
		tok, err := c.dec.Token()
		if err != nil {
			return Stanza{}, err
		}
		switch t := tok.(type) {
		case xml.CharData: // the decoder has seen the "<" behind it
			c.rec.buf.Reset()
			c.rec.buf.WriteByte('<')
		case xml.EndElement:
			return Stanza{}, io.EOF
		case xml.StartElement:
			st := Stanza{Name: t.Name.Local, From: attr(t, "from"), To: attr(t, "to"), ID: attr(t, "id"), Type: attr(t, "type"), Lang: attr(t, "lang")}
			err := c.children(&st)
			st.Raw = c.rec.buf.String()
			return st, err
		}
	}
}

func (c *Conn) children(st *Stanza) error {
	var path []string
	for {
		tok, err := c.dec.Token()
		if err != nil {
			return err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			switch {
			case len(path) == 1 && t.Name.Local == "error":
				st.ErrorType = attr(t, "type")
			case len(path) == 2 && path[0] == "error" && t.Name.Local != "text" && t.Name.Space == nsStanzas:
				st.Condition = t.Name.Local
			}
		case xml.EndElement:
			if len(path) == 0 {
				return nil
			}
			path = path[:len(path)-1]
		case xml.CharData:
			switch strings.Join(path, "/") {
			case "":
				st.Text += string(t)
			case "body":
				st.Body += string(t)
			case "error/text":
				st.ErrorText += string(t)
			}
		}
	}
}

const nsStanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"

func attr(t xml.StartElement, local string) string {
	for _, a := range t.Attr {
		if a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}

func (c *Conn) read() {
	var err error
	for {
		var st Stanza
		if st, err = c.stanza(); err != nil {
			break
		}
		if st.Name == "iq" && st.Type == "get" && st.From == c.s.opt.Domain && c.iq(st) {
			continue
		}
		if c.s.opt.OnStanza != nil && c.s.opt.OnStanza(c, st) {
			continue
		}
		c.mu.Lock()
		c.stanzas = append(c.stanzas, st)
		c.cond.Broadcast()
		c.mu.Unlock()
	}
	c.mu.Lock()
	c.ended, c.endTag = true, err == io.EOF
	c.cond.Broadcast()
	c.mu.Unlock()
	if err == io.EOF {
		c.write(`</stream:stream>`)
	}
}

// iq does for an iq of the component what a server and the other servers behind it
// do: it routes it back, or answers it. It reports whether it was one of these.
func (c *Conn) iq(st Stanza) bool {
	if c.s.opt.OnIQ != nil && c.s.opt.OnIQ(c, st) {
		return true
	}
	switch {
	case strings.Contains(st.Raw, "jabber:iq:roster"):
		return false // whose rosters there are is for the test to say
	case strings.Contains(st.Raw, "jabber:iq:version"):
		switch name := c.s.opt.Software; name {
		case SoftwareNone:
		case "":
			c.Software(st, "Prosody")
		default:
			c.Software(st, name)
		}
	case st.To != c.s.opt.Domain:
		c.Result(st)
	default:
		c.mu.Lock()
		checked := c.echoed >= LinkCheck
		c.mu.Unlock()
		if c.s.opt.NoEcho && checked {
			return false
		}
		c.Echo(st)
	}
	return true
}

// Echo routes an iq back to the component, as a server does with what the
// component sends to itself.
func (c *Conn) Echo(st Stanza) error {
	err := c.write(st.Raw)
	c.mu.Lock()
	c.echoed++
	c.cond.Broadcast()
	c.mu.Unlock()
	return err
}

// Echoed waits until that many iqs have been echoed; it reports false if the
// connection ended before.
func (c *Conn) Echoed(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.echoed < n && !c.ended {
		c.cond.Wait()
	}
	return c.echoed >= n
}

// Result answers an iq with an empty result.
func (c *Conn) Result(st Stanza) error {
	return c.write("<iq type='result' from='" + escape(st.To) + "' to='" + escape(st.From) + "' id='" + escape(st.ID) + "'/>")
}

// Software answers the question what st.To is.
func (c *Conn) Software(st Stanza, name string) error {
	return c.write("<iq type='result' from='" + escape(st.To) + "' to='" + escape(st.From) + "' id='" + escape(st.ID) +
		"'><query xmlns='jabber:iq:version'><name>" + escape(name) + "</name><version>1</version></query></iq>")
}

// Next waits for the next stanza that the component writes. If the connection
// ends before, the test fails.
func (c *Conn) Next() Stanza {
	c.s.t.Helper()
	st, ok := c.next()
	if !ok {
		c.s.t.Fatal("xmpptest: the connection ended")
	}
	return st
}

// NextN is Next for several.
func (c *Conn) NextN(n int) []Stanza {
	c.s.t.Helper()
	out := make([]Stanza, n)
	for i := range out {
		out[i] = c.Next()
	}
	return out
}

func (c *Conn) next() (Stanza, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.stanzas) == 0 && !c.ended {
		c.cond.Wait()
	}
	if len(c.stanzas) == 0 {
		return Stanza{}, false
	}
	st := c.stanzas[0]
	c.stanzas = c.stanzas[1:]
	return st, true
}

// Waiting is how many stanzas Next would return at once.
func (c *Conn) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.stanzas)
}

// WaitEnd waits until the component's stream has ended, and reports whether it
// ended with </stream:stream> and not with the connection.
func (c *Conn) WaitEnd() (clean bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.ended {
		c.cond.Wait()
	}
	return c.endTag
}

// Send writes text to the component. An error means that the connection ended.
func (c *Conn) Send(text string) error { return c.write(text) }

func (c *Conn) write(text string) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	_, err := io.WriteString(c.nc, text)
	return err
}

// Bounce answers st with an error of that condition and type cancel, as the
// server of the addressee would.
func (c *Conn) Bounce(st Stanza, condition string) error {
	return c.BounceFrom(st, st.To, condition)
}

// BounceFrom is Bounce from another address.
func (c *Conn) BounceFrom(st Stanza, from, condition string) error {
	return c.write("<" + st.Name + " type='error' from='" + escape(from) + "' to='" + escape(st.From) + "' id='" + escape(st.ID) +
		"'><error type='cancel'><" + condition + " xmlns='" + nsStanzas + "'/></error></" + st.Name + ">")
}

// StreamError ends the stream with a condition, and the connection.
func (c *Conn) StreamError(condition string) {
	c.write(streamError(condition))
	c.nc.Close()
}

// EndStream closes the server's side of the stream and waits for nothing.
func (c *Conn) EndStream() { c.write("</stream:stream>") }

// Drop ends the connection without a word: a reset where the transport has one.
func (c *Conn) Drop() {
	if t, ok := c.nc.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.nc.Close()
	c.Resume()
}

// Stall stops reading from the component after the read that is under way.
func (c *Conn) Stall() { c.setStalled(true) }

// Resume reads again.
func (c *Conn) Resume() { c.setStalled(false) }

func (c *Conn) setStalled(v bool) {
	c.mu.Lock()
	c.stalled = v
	c.cond.Broadcast()
	c.mu.Unlock()
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s))
	return b.String()
}
