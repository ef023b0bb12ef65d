package sipside

import (
	"context"
	"crypto/rand"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// Requests of ours: not of a message, and nobody's outcome but ours.

// ownAnswer is what became of a request of ours.
type ownAnswer struct {
	mapping.Outcome
	fields *fields       // the headers of the final response, nil if there was none
	to     locate.Target // where it went last; zero: nowhere
	stream *stream       // the connection that it went over last; nil over UDP
}

// ownDone is told what became of a request of ours. It is called once, with client.mu held
// at times: it must not block and must not ask for anything more of the client.
type ownDone func(a ownAnswer)

// ask sends a request of ours along a hop.
func (c *client) ask(req outRequest, h hop, done ownDone) {
	if f := req.sendable(); f != nil {
		done(ownAnswer{Outcome: notWritten(f)})
		return
	}
	c.launch(&clientTx{done: done, req: req, hop: &h})
}

// askAt sends a request of ours to one target of a hop and waits for what becomes of it;
// false if ctx ends before. It then still counts as open until it has been answered.
func (u *UA) askAt(ctx context.Context, req outRequest, h hop, t locate.Target) (a ownAnswer, ok bool) {
	told := make(chan ownAnswer, 1)
	u.client.ask(req, h.at(t), func(a ownAnswer) { told <- a })
	select {
	case a = <-told:
		return a, true
	case <-ctx.Done():
		return a, false
	}
}

// at is the hop with one of its targets for all of them.
func (h hop) at(t locate.Target) hop {
	h.addr, h.name, h.only = t.Addr.Addr(), t.Name, nil
	h.query.Transport, h.query.Port = t.Transport, t.Addr.Port()
	return h
}

// targetsOf waits for the targets of a hop, one at least. The failure says why there are none.
func (u *UA) targetsOf(ctx context.Context, h hop) ([]locate.Target, *mapping.Failure) {
	if h.addr.IsValid() {
		return []locate.Target{h.direct()}, nil
	}
	found := make(chan *name, 1)
	u.names.lookup(h.query, func(n *name) { found <- n })
	select {
	case n := <-found:
		if n.failure != nil {
			return nil, n.failure
		}
		return u.reachable(n.targets), nil
	case <-ctx.Done():
		return nil, mapping.FailShutdown()
	}
}

// ownRequest is a request of ours without a body, under identifiers that are given.
func ownRequest(method string, target, from, to mapping.URI, callID, tag string, cseq uint32) outRequest {
	return outRequest{method: method, SIPMessage: &mapping.SIPMessage{
		RequestURI: target, From: from, To: to, CallID: callID, FromTag: tag, CSeq: cseq,
	}}
}

// freshCallID and freshTag are for such requests: nobody can guess them.
func freshCallID() string { return rand.Text() }
func freshTag() string    { return rand.Text()[:16] }

// ownURI is the address of the gateway itself: a host without a user.
func (u *UA) ownURI() mapping.URI {
	if len(u.sentBys) == 0 {
		return mapping.URI{Scheme: "sip", Host: "localhost"}
	}
	return hostURI(u.sentBys[0].host, u.sentBys[0].port)
}

// hostURI is sip: and a host; the default port is left out.
func hostURI(host string, port uint16) mapping.URI {
	if port == 5060 {
		port = 0
	}
	return mapping.URI{Scheme: "sip", Host: canonicalHost(host), Port: port}
}
