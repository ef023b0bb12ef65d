package component

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gosrc.io/xmpp/stanza"

	"github.com/stoxgw/stox/mapping"
)

// nsTime is the namespace of XEP-0202.
const nsTime = "urn:xmpp:time"

// Fault is why there is no link: what Run logs and Status tells, as an error.
type Fault struct {
	Reason string // a stable word
	Text   string // what is wrong and how to mend it, "what: how"
	Err    error  // in the words of whoever found it
}

func (f *Fault) Error() string { return f.Text }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Examination is what Examine has found out.
type Examination struct {
	Handshake time.Duration     // from the first octet sent to the end of the handshake, with the connect
	Barriers  []time.Duration   // round trips of pings to ourselves, one after the other
	Domains   []DomainDiagnosis // as asked, in that order
}

// DomainDiagnosis is what is known of an XMPP domain after asking it.
type DomainDiagnosis struct {
	Domain  string
	Reached bool // it has answered what it is (XEP-0030), if only that it does not say
	// Failure is the error with which it answered, or the server for it; nil if it
	// answered with a result, or not at all.
	Failure *mapping.Failure
	Name    string // what its server says it is (XEP-0092, or its identity), "" if it does not
	Version string
	// Clock is how far the clock of its server is ahead of ours (XEP-0202), if it tells.
	Clock   time.Duration
	HasTime bool
}

// roundTrips is how many pings are sent one after the other.
const roundTrips = 20

// Examine makes a link as Run would and looks at it: the handshake, the barriers that
// show whether nobody else is connected as this component, round trips, and what the
// domains answer. Then it ends its stream. It takes ConnectTimeout and three times
// BarrierTimeout at most. The error is a *Fault, or ctx's.
//
// A server may give our name to the newest connection: nobody else should be connected
// when this is called. What others send to our name meanwhile is answered as the server
// answers while nobody is connected: the gateway is not there for now.
func (c *Component) Examine(ctx context.Context, domains []string) (Examination, error) {
	begin := time.Now()
	l, err := c.connect(ctx, nil)
	if err != nil {
		return Examination{}, c.asFault(ctx, err)
	}
	x := &examiner{l: l, own: c.q.from, found: Examination{Handshake: time.Since(begin)}}
	unwatch := context.AfterFunc(ctx, func() { l.conn.SetDeadline(time.Unix(1, 0)) })
	defer unwatch()
	for _, step := range []func() error{x.check, x.roundTrips, func() error { return x.ask(domains) }} {
		if err = x.within(ctx, c.cfg.BarrierTimeout); err == nil {
			err = step()
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = ctx.Err() // its end also looks like a domain that does not answer
	}
	if err != nil {
		reset(l.conn)
		return x.found, c.asFault(ctx, err)
	}
	x.leave(ctx)
	return x.found, nil
}

// asFault tells what err means to an admin.
func (c *Component) asFault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if end, has := ctx.Deadline(); has && !time.Now().Before(end) { // the connection had the same one, and was quicker
		return context.DeadlineExceeded
	}
	f := c.classify(err)
	return &Fault{Reason: f.reason, Text: f.text, Err: f.err}
}

// examiner asks and reads on one goroutine: it never writes more than the buffers of
// a connection take.
type examiner struct {
	l     *link
	own   string
	n     int // of pings and questions so far
	found Examination
}

// within gives the next step so much time.
func (x *examiner) within(ctx context.Context, d time.Duration) error {
	if err := x.l.conn.SetDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	return ctx.Err() // which may have ended before the deadline was set anew
}

func (x *examiner) write(b []byte) error {
	_, err := x.l.conn.Write(b)
	return err
}

func (x *examiner) id() string {
	x.n++
	return fmt.Sprintf("%s-x%d", x.l.pingID, x.n)
}

// check is the link check (GW-34): pings that are written at once have all to come
// home, in their order.
func (x *examiner) check() error {
	var b []byte
	var ids []string
	for range linkCheck {
		ids = append(ids, x.id())
		b = appendPing(b, x.own, x.own, ids[len(ids)-1])
	}
	if err := x.write(b); err != nil {
		return err
	}
	for home := range ids {
		st, err := x.read(func(st *element) bool { return x.isOwnPing(st) })
		if isTimeout(err) {
			return &splitError{home: home, of: linkCheck}
		}
		if err != nil {
			return err
		}
		if st.attr("id") != ids[home] {
			return &splitError{}
		}
	}
	return nil
}

func (x *examiner) roundTrips() error {
	for range roundTrips {
		id := x.id()
		begin := time.Now()
		if err := x.write(appendPing(nil, x.own, x.own, id)); err != nil {
			return err
		}
		_, err := x.read(func(st *element) bool { return x.isOwnPing(st) && st.attr("id") == id })
		if isTimeout(err) {
			return errNoBarrier
		}
		if err != nil {
			return err
		}
		x.found.Barriers = append(x.found.Barriers, time.Since(begin))
	}
	return nil
}

// isOwnPing reports whether st is one of our pings to ourselves.
func (x *examiner) isOwnPing(st *element) bool {
	return st.own("iq") && st.attr("type") == string(stanza.IQTypeGet) && st.attr("to") == x.own && st.attr("from") == x.own &&
		strings.HasPrefix(st.attr("id"), x.l.pingID+"-")
}

// The questions to a domain.
const (
	askDisco = iota
	askVersion
	askTime
	questions
)

// ask asks all domains at once. No answer is no fault of the link.
func (x *examiner) ask(domains []string) error {
	type question struct {
		domain, kind int
		at           time.Time
	}
	open := map[string]question{}
	var b []byte
	for i, d := range domains {
		x.found.Domains = append(x.found.Domains, DomainDiagnosis{Domain: d})
		for kind := range questions {
			id := x.id()
			open[id] = question{i, kind, time.Now()}
			switch kind {
			case askDisco:
				b = appendQuestion(b, x.own, d, id, "query", stanza.NSDiscoInfo)
			case askVersion:
				b = appendVersionQuery(b, x.own, d, id)
			case askTime:
				b = appendQuestion(b, x.own, d, id, "time", nsTime)
			}
		}
	}
	if err := x.write(b); err != nil {
		return err
	}
	for len(open) > 0 {
		st, err := x.read(func(st *element) bool {
			q, mine := open[st.attr("id")]
			typ := st.attr("type")
			return mine && st.own("iq") && (typ == string(stanza.IQTypeResult) || typ == string(stanza.IQTypeError)) && sameDomain(st.attr("from"), domains[q.domain])
		})
		if isTimeout(err) {
			return nil
		}
		if err != nil {
			return err
		}
		q := open[st.attr("id")]
		delete(open, st.attr("id"))
		x.answered(&x.found.Domains[q.domain], q.kind, st, q.at)
	}
	return nil
}

func (x *examiner) answered(d *DomainDiagnosis, kind int, st *element, asked time.Time) {
	failed := st.attr("type") == string(stanza.IQTypeError)
	switch {
	case kind == askDisco:
		d.Reached = true
		if failed {
			d.Failure = readStanzaError(st)
		}
		if d.Name == "" {
			d.Name = identity(st)
		}
	case failed:
	case kind == askVersion:
		if name := grandchild(st, nsVersion, "name"); name != "" {
			d.Name, d.Version = name, grandchild(st, nsVersion, "version")
		}
	case kind == askTime:
		if t, err := time.Parse(time.RFC3339, grandchild(st, nsTime, "utc")); err == nil {
			now := time.Now()
			d.Clock, d.HasTime = t.Sub(asked.Add(now.Sub(asked)/2)), true
		}
	}
}

// read returns the next stanza that want wants. What else comes is answered.
func (x *examiner) read(want func(*element) bool) (*element, error) {
	for {
		st, _, err := x.l.rd.next()
		switch {
		case err != nil:
			return nil, err
		case st.name.Space == stanza.NSStream && st.name.Local == "error":
			return nil, readStreamError(st)
		case want(st):
			return st, nil
		}
		if b := x.refusal(st); b != nil {
			if err := x.write(b); err != nil {
				return nil, err
			}
		}
	}
}

// refusal answers what somebody else sends, as the server would if nobody were
// connected; nil if it needs no answer.
func (x *examiner) refusal(st *element) []byte {
	typ, from, to := st.attr("type"), st.attr("from"), st.attr("to")
	switch {
	case from == "" || to == "" || x.isOwnPing(st):
		return nil
	case st.own("message") && typ != string(stanza.MessageTypeError):
	case st.own("iq") && (typ == string(stanza.IQTypeGet) || typ == string(stanza.IQTypeSet)):
	default:
		return nil
	}
	b := appendOpen(nil, st.name.Local, to, from, st.attr("id"), "error")
	b = append(b, '>')
	b = appendStanzaError(b, x.own, stanzaError{cond: mapping.CondServiceUnavailable, typ: mapping.TypeWait, text: "The gateway is not running."})
	b = append(b, "</"...)
	b = append(b, st.name.Local...)
	return append(b, '>')
}

// leave ends the stream, and waits a moment for the server to end its own, so that
// the name is free when we are done.
func (x *examiner) leave(ctx context.Context) {
	if x.within(ctx, time.Second) == nil && x.write([]byte(stanza.StreamClose)) == nil {
		for {
			if _, err := x.read(func(*element) bool { return false }); err != nil {
				if errors.Is(err, errStreamEnd) {
					x.l.conn.Close()
					return
				}
				break
			}
		}
	}
	reset(x.l.conn)
}

// sameDomain reports whether from is the domain, however it is written.
func sameDomain(from, domain string) bool {
	a, err1 := mapping.ParseJID(from)
	b, err2 := mapping.ParseJID(domain)
	return err1 == nil && err2 == nil && a == b
}

// grandchild is the text of st's <* xmlns=space><local/></*>.
func grandchild(st *element, space, local string) string {
	for _, c := range st.children {
		if c.name.Space != space {
			continue
		}
		for _, v := range c.children {
			if v.name.Local == local {
				return strings.TrimSpace(string(v.text))
			}
		}
	}
	return ""
}

// identity is the name of a server in its answer who it is (XEP-0030).
func identity(st *element) string {
	for _, c := range st.children {
		for _, v := range c.children {
			if c.name.Space == stanza.NSDiscoInfo && v.name.Local == "identity" && v.attr("category") == "server" {
				return strings.TrimSpace(v.attr("name"))
			}
		}
	}
	return ""
}

// appendQuestion appends an iq get with one empty child.
func appendQuestion(b []byte, from, to, id, name, space string) []byte {
	b = appendOpen(b, "iq", from, to, id, string(stanza.IQTypeGet))
	b = append(b, "><"...)
	b = append(b, name...)
	b = appendAttr(b, "xmlns", space)
	return append(b, "/></iq>"...)
}
