package stage

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
)

//go:embed slix.py
var slix string

// XMPPClient is a real XMPP client (slixmpp), logged in.
type XMPPClient struct {
	*Proc
	JID string // full

	in io.WriteCloser

	mu      sync.Mutex // guards the following
	cond    *sync.Cond
	stanzas []Stanza
	asked   int // questions so far
}

// Answer is what somebody whom a client has asked for something has answered, as the
// client's extensions read it; or why not.
type Answer struct {
	Condition string // of the error, "" if there was none
	ErrorText string `json:"error_text"`

	Identities, Features []string // category/type and name; XEP-0030
	Ver                  string   // what the client makes of these two (XEP-0115)
	Items                []string // XEP-0030
	Seconds              int      // XEP-0012
	Name, Version, OS    string   // XEP-0092; Name is also that of a vCard
	Numbers              []string // of a vCard
	URL                  string   // of a vCard
}

// Stanza is what a client has received.
type Stanza struct {
	Event     string
	Kind      string // message, iq, presence
	From, To  string
	ID, Type  string
	Lang      string
	Body      string
	Subject   string
	Thread    string
	HTML      string // XHTML-IM, what is in its body (XEP-0071)
	Nick      string // XEP-0172
	Delay     string // XEP-0203, RFC 3339
	Show      string // of presence
	Statuses  string // of presence: a line for each, the language and the text
	ErrorType string `json:"error_type"`
	ErrorText string `json:"error_text"`
	Condition string
	Text      string
	JID       string
	Raw       string
}

// XMPPClientName is the client program's name and version.
func XMPPClientName() string { return "slixmpp " + packageVersion("python3-slixmpp") }

// Login starts a client of a user of the server's first domain and waits until
// it is online.
func (r *Stage) Login(ctx context.Context, s *XMPPServer, a Account) (*XMPPClient, error) {
	return r.LoginAt(ctx, s, s.Domain, a)
}

// LoginAt is Login for a user of another domain of the server.
func (r *Stage) LoginAt(ctx context.Context, s *XMPPServer, domain string, a Account) (*XMPPClient, error) {
	script, err := r.file("slix.py", slix, 0o644)
	if err != nil {
		return nil, err
	}
	jid := a.Local + "@" + domain
	cmd := exec.Command("/usr/bin/python3", script, jid, a.Password, cmp.Or(s.Host, "127.0.0.1"), fmt.Sprint(s.C2S))
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	c := &XMPPClient{in: in}
	c.cond = sync.NewCond(&c.mu)
	if c.Proc, err = r.Start(cmd, "client "+jid); err != nil {
		return nil, err
	}
	c.OnLine(c.take)
	line, _, err := c.WaitLine(ctx, 0, `"event": "online"`)
	if err != nil {
		return nil, err
	}
	var online Stanza
	if err := json.Unmarshal([]byte(line), &online); err != nil {
		return nil, err
	}
	c.JID = online.JID
	return c, nil
}

func (c *XMPPClient) take(line string) {
	var st Stanza
	if json.Unmarshal([]byte(line), &st) != nil || st.Event != "stanza" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stanzas = append(c.stanzas, st)
	c.cond.Broadcast()
}

// Send sends raw XML.
func (c *XMPPClient) Send(xml string) error {
	b, err := json.Marshal(map[string]string{"xml": xml})
	if err != nil {
		return err
	}
	_, err = c.in.Write(append(b, '\n'))
	return err
}

// Ask asks somebody for "info", "items", "last", "vcard", "version" or "ping", each with the
// client's own extension for that. The node is for the first two.
func (c *XMPPClient) Ask(ctx context.Context, what, to, node string) (Answer, error) {
	all := struct {
		Answer
		Value *Answer `json:"answer"`
	}{}
	if err := c.order(ctx, map[string]any{"ask": what, "to": to, "node": node}, &all); err != nil {
		return Answer{}, err
	}
	if all.Value != nil {
		return *all.Value, nil
	}
	return all.Answer, nil
}

// order gives the client an order and reads what it says of the answer.
func (c *XMPPClient) order(ctx context.Context, order map[string]any, answer any) error {
	c.mu.Lock()
	c.asked++
	number := c.asked
	c.mu.Unlock()
	order["number"] = number
	b, err := json.Marshal(order)
	if err != nil {
		return err
	}
	if _, err := c.in.Write(append(b, '\n')); err != nil {
		return err
	}
	line, _, err := c.WaitLine(ctx, 0, `"event": "answer"`, fmt.Sprintf(`"number": "%d"`, number))
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(line), answer)
}

// Message sends an ordinary chat message.
func (c *XMPPClient) Message(id, to, body string) error {
	return c.Send(fmt.Sprintf("<message to='%s' id='%s' type='chat'><body>%s</body></message>", Escape(to), Escape(id), Escape(body)))
}

// Await waits for a stanza that match accepts. Stanzas stay: each call looks at
// all that have come.
func (c *XMPPClient) Await(ctx context.Context, what string, match func(Stanza) bool) (Stanza, error) {
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.cond.Broadcast()
	})
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := 0; ; i++ {
		for i >= len(c.stanzas) {
			if ctx.Err() != nil {
				return Stanza{}, fmt.Errorf("%s did not get %s: %w", c.JID, what, ctx.Err())
			}
			c.cond.Wait()
		}
		if match(c.stanzas[i]) {
			return c.stanzas[i], nil
		}
	}
}

// Stanzas is what has come so far, without what a gateway tells each user once: how it
// is used.
func (c *XMPPClient) Stanzas() []Stanza {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.stanzas), func(s Stanza) bool {
		return s.Kind == "message" && !strings.Contains(s.From, "@") && strings.HasPrefix(s.Body, "This is the gateway to SIP.")
	})
}

// WithBody matches a message by its text.
func WithBody(body string) func(Stanza) bool {
	return func(s Stanza) bool { return s.Kind == "message" && s.Type != "error" && s.Body == body }
}

// WithID matches any stanza by its id.
func WithID(id string) func(Stanza) bool { return func(s Stanza) bool { return s.ID == id } }

// Escape escapes text for XML.
func Escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder does not fail
	return b.String()
}
