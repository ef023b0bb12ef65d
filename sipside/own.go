package sipside

import "github.com/stoxgw/stox/mapping"

// Requests of ours: not of a message, and nobody's outcome but ours.

// ownDone is told what became of a request of ours, and the headers of the final response,
// nil if there was none. It is called once, with client.mu held at times: it must not block
// and must not ask for anything more of the client.
type ownDone func(o mapping.Outcome, f *fields)

// ask sends a request of ours along a hop.
func (c *client) ask(req outRequest, h hop, done ownDone) {
	if f := req.sendable(); f != nil {
		done(notWritten(f), nil)
		return
	}
	c.launch(&clientTx{done: done, req: req, hop: h})
}
