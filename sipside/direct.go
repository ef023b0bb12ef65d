package sipside

import (
	"bytes"
	"net/netip"

	"github.com/stoxgw/stox/mapping"
)

// direct deals with the message at the start of b if it is understood without sipgo's parser:
// a plain MESSAGE, or a plain response (plain.go). It gives the length of that; 0
// for all others, with nothing done. What becomes of a message does not depend on who has
// read it: both ways end in take and in client.response, or in what does the same for a plain
// answer (plain_answer.go).
func (rd *reader) direct(b []byte, source netip.AddrPort) int {
	if rd.whole {
		return 0
	}
	if uri, start, ok := plainRequest(b); ok {
		return rd.directRequest(b, source, uri, start)
	}
	if status, start, ok := plainStatus(b); ok {
		return rd.directResponse(b, source, status, start)
	}
	return 0
}

func (rd *reader) directRequest(b []byte, source netip.AddrPort, uri, start int) int {
	set := rd.u.current()
	peer := rd.peerAt(set, source.Addr())
	if peer == nil && set.logsIn() || !rd.head.scan(b, start, rd.u.limits) { // who logs in is no everyday matter
		return 0
	}
	body, ok := rd.head.content(b, rd.stream != nil)
	if !ok {
		return 0
	}
	rd.show(b[:rd.head.size+len(body)])
	text := string(b[:rd.head.size])
	r := request{method: methodMessage, target: text[len("MESSAGE "):uri], version: text[uri+1 : start-2], set: set, peer: peer}
	if len(body) > 0 {
		r.body = bytes.Clone(body)
	}
	r.f.vias = rd.rows[:0]
	rd.head.fields(&r.f, text)
	rd.source = source
	if !rd.guard(func() { rd.take(&r, nil) }) {
		rd.first = text[:start-2]
		rd.guard(func() { rd.refuseRaw(b[:rd.head.size], refusal(mapping.FailInternal(nil))) })
	}
	clear(rd.rows[:])
	return rd.head.size + len(body)
}

func (rd *reader) directResponse(b []byte, source netip.AddrPort, status, start int) int {
	if !rd.head.scan(b, start, rd.u.limits) {
		return 0
	}
	body, ok := rd.head.content(b, rd.stream != nil)
	if !ok {
		return 0
	}
	rd.show(b[:rd.head.size+len(body)])
	if id, ok := rd.plainAnswer(b, status); ok {
		rd.keepAnswer(answer{id: id, status: status, agent: rd.agentOf(b), head: b[:rd.head.size], start: start})
	} else {
		rd.match() // those that have come before
		rd.source = source
		rd.guard(func() { rd.respond(&rd.head, b[:rd.head.size], status, start) })
	}
	return rd.head.size + len(body)
}

// respond deals with a response whose header section is b, which has been scanned.
func (rd *reader) respond(head *plainHead, b []byte, status, start int) {
	text := string(b)
	f := fields{vias: rd.rows[:0]}
	head.fields(&f, text)
	defer clear(rd.rows[:])
	rd.u.client.response(rd, status, text[:start-2], &f)
}
