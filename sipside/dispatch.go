package sipside

import (
	"fmt"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/stoxgw/stox/mapping"
)

// reader is the state of one read loop: the message that sipgo parses right now,
// and the requests of this read that wait to be handed over. Only the loop's
// goroutine touches it.
type reader struct {
	u      *UA
	out    sender
	stream *stream // nil for UDP
	source netip.AddrPort

	raw     []byte // the message that sipgo has been given
	first   string // its start line as it came
	handled bool   // sipgo's parser has come back with it

	head    plainHead // of direct
	answers []answer  // that are matched when all of this read is there
	matched int       // so many of them are
	agent   string    // of the last one that said it
	rows    [4]string // the same, for fields.vias
	reply   echo      // to the request that is handled right now
	last    lastPeer
	whole   bool // every message takes the parser: see direct

	batch []mapping.Parcel[mapping.SIP]
	begun int       // so many of batch have a transaction that has begun
	read  time.Time // when what is handled right now was read; zero: the clock was not asked
}

// readAt is the time at which the message being handled was read: the same for all
// that was read in one go.
func (rd *reader) readAt() time.Time {
	if rd.read.IsZero() {
		rd.read = time.Now()
	}
	return rd.read
}

// begin notes which message sipgo is given next.
func (rd *reader) begin(raw []byte, first string, source netip.AddrPort) {
	rd.raw, rd.first, rd.source, rd.handled = raw, first, source, false
}

// parse does for a message what sipgo's read loop does for the others. If the parser does
// not take it, settle answers.
func (rd *reader) parse(msg []byte) {
	if m, err := rd.u.parser.ParseSIP(msg); err == nil {
		rd.handle(m)
	}
}

// settle answers for a message that sipgo's parser has swallowed. frame.go does
// not let such a one through as far as we know.
func (rd *reader) settle() {
	if rd.handled || rd.raw == nil {
		return
	}
	rd.handled = true
	rd.u.stats.Malformed.Add(1)
	rd.guard(func() { rd.refuseRaw(rd.raw, refusal(mapping.FailBadRequest(""))) })
}

// refuseFrame answers a message that is not even given to the parser.
func (rd *reader) refuseFrame(raw []byte, f frame, source netip.AddrPort) {
	rd.raw, rd.source, rd.handled, rd.first = raw, source, true, f.first
	r := reply{status: f.status}
	switch f.status {
	case 400:
		r = refusal(mapping.FailBadRequest(f.why))
	case 403:
		r = refusal(mapping.FailForbidden())
	}
	if f.status != 403 {
		rd.u.stats.Malformed.Add(1)
		if rd.peerAt(rd.u.current(), source.Addr()) != nil {
			rd.u.log.Debug("malformed SIP message", "from", source, "reason", f.why)
		}
	}
	rd.guard(func() { rd.refuseRaw(raw, r) })
}

// refuseRaw answers a request whose headers are still text. Responses, ACK and
// what has no Via get nothing.
func (rd *reader) refuseRaw(raw []byte, r reply) {
	if req := salvage(raw); req != nil {
		rd.request(req, &r)
	}
}

// handle is what sipgo calls. It runs in the read loop.
func (rd *reader) handle(msg sip.Message) {
	rd.handled = true
	switch msg := msg.(type) {
	case *sip.Request:
		if !rd.guard(func() { rd.request(msg, nil) }) {
			rd.guard(func() { rd.refuseRaw(rd.raw, refusal(mapping.FailInternal(nil))) })
		}
	case *sip.Response:
		rd.guard(func() {
			rd.match() // those that have come before
			f := readFields(msg.Headers())
			rd.u.client.response(rd, msg.StatusCode, rd.first, &f)
		})
	}
}

// guard runs f; a panic costs this one message. The value of the panic may have
// been made of the message, so only its type and the stack are logged.
func (rd *reader) guard(f func()) (ok bool) { return guard(rd.u, f) }

func guard(u *UA, f func()) (ok bool) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		ok = false
		u.stats.Panics.Add(1)
		what := fmt.Sprintf("%T", v)
		if e, isRuntime := v.(runtime.Error); isRuntime {
			what = e.Error()
		}
		u.log.Error("panic while handling a SIP message; the message is lost, the gateway goes on",
			"err", what, "stack", string(debug.Stack()))
	}()
	f()
	return true
}

// request handles a request that sipgo has parsed. refused is the answer if it is already
// known.
func (rd *reader) request(req *sip.Request, refused *reply) {
	// As it came: sipgo turns it into upper case, but "message" is no MESSAGE
	// (RFC 3261 §7.1).
	method, rest, _ := strings.Cut(rd.first, " ")
	if method == "ACK" {
		return // never answered; those to our 405 end here too
	}
	r := request{method: method, f: readFields(req.Headers()), body: req.Body(), version: req.SipVersion}
	r.target, _, _ = strings.Cut(rest, " ")
	r.set = rd.u.current()
	r.peer = rd.peerAt(r.set, rd.source.Addr())
	rd.take(&r, refused)
}

// take handles one request, whoever has parsed it: method, target, version, headers and body
// are there, and which peer it is of. refused is the answer if it is already known.
func (rd *reader) take(r *request, refused *reply) {
	if len(r.f.vias) == 0 {
		return // nowhere to answer to
	}
	r.rd, r.source, r.udp, r.max, r.read = rd, rd.source, rd.stream == nil, rd.u.cfg.MaxBodyBytes, rd.readAt()
	if r.peer != nil { // as its address says, or its certificate
		r.last = &rd.last
	}
	switch why := r.f.crowded(); {
	case r.f.tooManyVias(): // SIP-29; not even the first is read
		refused = &reply{status: 513}
	case refused == nil && why != "":
		bad := refusal(mapping.FailBadRequest(why))
		refused = &bad
		fallthrough
	default:
		r.hasVia = r.via.parse(r.f.vias[0])
	}
	r.hasTo = r.to.parse(r.f.to)
	var tag txTag
	r.key, tag = rd.u.server.keys.of(r)
	e := rd.echo(r, tag)
	if rd.stream != nil {
		r.flow = rd.stream.flow
	}
	if rd.u.lines.some.Load() {
		rd.u.lines.callee(r)
	}
	var m mapping.SIP
	if refused == nil {
		// A nonce counts once: a copy of what was taken is known before that is looked at.
		if r.peer == nil && r.udp && r.set.logsIn() {
			if rd.enter(); rd.u.server.repeated(r.key, e, r.read) {
				return
			}
		}
		m, refused = rd.u.check(r)
	}
	switch {
	case r.peer == nil && !rd.u.worthAnswer(r, refused):
		return
	case r.user != "" && rd.stream != nil:
		rd.stream.user = r.user
		rd.u.conns.admit(rd.stream)
	}
	switch {
	case refused != nil:
		rd.u.stats.Refused.Add(1)
		if r.limited {
			rd.u.stats.Limited.Add(1)
		}
		if r.peer != nil {
			rd.u.log.Debug("SIP request refused", "dir", "sip-xmpp", "from", rd.source, "call_id", mapping.HeaderText(r.f.callID),
				"reason", refused.status, "remedy", refused.remedy)
		}
		if r.user != "" && r.udp && !r.limited { // its nonce is used up: a copy would be asked again
			rd.u.server.remember(r.key, *refused, r.read)
		}
		e.answer(*refused)
	case r.method == "CANCEL":
		if rd.enter(); rd.u.server.knowsAny(r) { // no effect on it (RFC 3261 §9.2)
			e.answer(reply{status: 200})
		} else {
			e.answer(reply{status: 481})
		}
	case r.method == "OPTIONS":
		if rd.u.server.isDraining() {
			e.answer(refusal(mapping.FailShutdown()))
		} else {
			answer := reply{status: 200, extra: optionsHeaders}
			if r.user != "" && r.udp {
				rd.u.server.remember(r.key, answer, r.read)
			}
			e.answer(answer)
		}
	default:
		tx := r.tx
		if tx == nil {
			tx = &serverTx{event: r.method}
		}
		tx.key, tx.echo, tx.peer, tx.udp, tx.counted = r.key, *e, r.peer, r.udp, r.counted
		rd.batch = append(rd.batch, mapping.Parcel[mapping.SIP]{Ref: tx, Value: m})
	}
}

// echo makes what the responses to a request repeat of it. It is the reader's, until the
// next request.
func (rd *reader) echo(r *request, tag txTag) *echo {
	e := &rd.reply
	*e = echo{path: path{rd.out, rd.source}, from: r.f.from, to: r.f.to, callID: r.f.callID, cseq: r.f.cseq,
		sent: &rd.u.stats.sent[methodIndex(r.method)], tag: tag, tagged: r.to.tag == ""}
	if len(r.f.vias) > 1 || r.f.timestamp != "" {
		e.more = &moreEcho{slices.Clone(r.f.vias[1:]), r.f.timestamp}
	}
	if !r.hasVia {
		e.via.row = r.f.vias[0]
		return e
	}
	e.via = r.via.top(r.f.vias[0], rd.source)
	if r.udp && !r.via.hasRport() { // RFC 3261 §18.2.2
		port := r.via.port
		if port == 0 {
			port = 5060
		}
		e.path.to = netip.AddrPortFrom(rd.source.Addr(), port)
	}
	return e
}

// peerAt is the peer that sends to us from an address, nil if nobody is known there. Nearly
// all that comes is of the peer that has sent last, which is therefore remembered.
func (rd *reader) peerAt(set *settings, addr netip.Addr) *peer {
	p := set.peers
	if rd.u.isBlocked(addr) {
		return nil
	}
	from := origin{in: p, resolved: p.resolved.Load(), addr: addr, holder: rd.holder(p)}
	if rd.last.peer != nil && rd.last.origin == from {
		return rd.last.peer
	}
	q := p.of(addr, from.holder)
	if q != nil { // strangers are not remembered
		rd.last = lastPeer{origin: from, peer: q}
	}
	return q
}

// origin is all that it depends on who sends, and for whom he may speak.
type origin struct {
	in       *peers
	resolved *map[netip.Addr][]string
	addr     netip.Addr
	holder   *peer
}

// lastPeer is who sends from an origin, and what was found out of him.
type lastPeer struct {
	origin
	peer   *peer
	host   string   // for which it may speak, the last that it was asked of; "": none yet
	routes []string // that lead to it,
	routed bool     // if they were looked for
}

// maySpeak is peers.maySpeak for the sender of the request.
func (r *request) maySpeak(from mapping.URI) bool {
	if r.last != nil && from.Scheme != "tel" && from.Host == r.last.host && from.Host != "" {
		return true
	}
	may := r.set.peers.maySpeak(r.peer, r.source.Addr(), from)
	if may && r.last != nil && from.Scheme != "tel" {
		r.last.host = strings.Clone(from.Host)
	}
	return may
}

// routes is peers.routesTo for the sender of the request. The list is everybody's.
func (r *request) routes() []string {
	if r.last == nil {
		return r.set.peers.routesTo(r.peer, r.source.Addr())
	}
	if !r.last.routed {
		r.last.routes, r.last.routed = slices.Clip(r.set.peers.routesTo(r.peer, r.source.Addr())), true
	}
	return r.last.routes
}

// holder is the peer of the certificate that the connection's client has shown, nil if
// there is none.
func (rd *reader) holder(p *peers) *peer {
	if rd.stream == nil {
		return nil
	}
	return rd.stream.holder(p)
}

// enter begins the transactions of the requests that were read and have none yet. It is
// called before somebody asks whether there is one, and by flush.
func (rd *reader) enter() {
	if fresh := rd.batch[rd.begun:]; len(fresh) > 0 {
		rd.batch = rd.batch[:rd.begun+len(rd.u.server.receive(fresh, rd.readAt()))]
		rd.begun = len(rd.batch)
	}
}

// flush hands over what was read in one go. It is called before the loop waits
// for more.
func (rd *reader) flush() {
	if !rd.guard(rd.enter) { // what has begun ends with its client's patience
		clear(rd.batch[rd.begun:])
		rd.batch = rd.batch[:rd.begun]
	}
	rd.read, rd.reply, rd.begun = time.Time{}, echo{}, 0
	rd.match()
	rd.u.outbox.tell(rd.u)
	if len(rd.batch) == 0 {
		return
	}
	batch := rd.batch
	if !rd.guard(func() { rd.u.handler.FromSIP(batch) }) {
		var results []mapping.Result
		for _, p := range batch { // which of them it was cannot be told
			results = append(results, mapping.Result{Ref: p.Ref,
				Outcome: mapping.Outcome{Kind: mapping.Refused, Failure: mapping.FailInternal(nil)}})
		}
		rd.u.Answer(results)
	}
	clear(batch)
	rd.batch = batch[:0]
}
