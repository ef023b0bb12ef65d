package sipside

import (
	"bytes"
	"net/netip"
	"sync/atomic"
	"time"
)

// pieceLinks are the requests that left in one piece with a request, by their ids, one after
// the other (segments_linux.go). They are not guarded by client.mu: who sends it sets them.
type pieceLinks struct {
	first atomic.Uint64 // 0: it left by itself
	next  atomic.Uint64 // 0: it is the last one
}

// linkPiece tells requests that are sent first which piece they are in, which may be themselves. It
// is done before the call, during which an ICMP error may come already.
func linkPiece(piece []packet) {
	for i, p := range piece {
		if p.tx == nil {
			continue
		}
		first, next := uint64(0), uint64(0)
		if len(piece) > 1 {
			first = piece[0].tx.id
		}
		if i+1 < len(piece) {
			next = piece[i+1].tx.id
		}
		p.tx.piece.first.Store(first)
		p.tx.piece.next.Store(next)
	}
}

// refused is told that a datagram to dest was not taken by anybody, of which wire
// is the beginning (an ICMP error). Such a message is easily forged, so it has to
// show the branch, which only those know who have seen the request.
//
// The outcome is NotWritten: nobody was there to read the request. That holds only
// if it was sent once and never answered, else an earlier transmission may have
// been read; then the next answer or Timer F decides. It is also that of what left
// in one piece with it, if the piece was refused as a whole.
func (c *client) refused(dest netip.AddrPort, wire []byte, err error) {
	const param = ";branch="
	at := bytes.Index(wire, []byte(param)) + len(param)
	if at < len(param) || len(wire) < at+branchLen {
		return
	}
	id, ok := c.parseBranch(string(wire[at : at+branchLen]))
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	tx := c.open.get(id)
	if tx == nil || tx.udp == nil || tx.dest != dest || tx.repeated || tx.proceeding || !bytes.HasPrefix(tx.wire, wire[:at+branchLen]) {
		return
	}
	var other *clientTx
	if c.wholePiece(tx, wire) {
		tx.udp.noPieces()
		other = c.nextInPiece(tx)
	}
	c.end(tx, unreached(err))
	for other != nil {
		tx := other
		other = c.nextInPiece(tx)
		if !tx.repeated && !tx.proceeding {
			c.end(tx, unreached(err))
		}
	}
}

// wholeFor is for how long a socket makes no pieces after one of responses was not taken whose
// datagrams were taken by themselves (unless it was for want of room, which passes), and after
// one of requests was not taken, or refused.
const wholeFor = time.Minute

// leastQuoted is how much of the next request has to be in an ICMP error about a piece.
const leastQuoted = 8

// wholePiece reports whether an ICMP error that shows wire is about the piece of which tx is the
// first request. If it is, wire goes on with the next request: the piece has not been cut. If it
// was cut on its way, each request of it is refused, or read, by itself. The lock is held.
func (c *client) wholePiece(tx *clientTx, wire []byte) bool {
	if tx.piece.first.Load() != tx.id || len(wire) < len(tx.wire)+leastQuoted || !bytes.HasPrefix(wire, tx.wire) {
		return false
	}
	next, rest := c.nextInPiece(tx), wire[len(tx.wire):]
	return next != nil && bytes.HasPrefix(next.wire, rest[:min(len(rest), len(next.wire))])
}

// nextInPiece is the request that follows tx in its piece, nil if there is none that is open.
// The lock is held.
func (c *client) nextInPiece(tx *clientTx) *clientTx {
	first := tx.piece.first.Load()
	if first == 0 {
		return nil
	}
	next := c.open.get(tx.piece.next.Load())
	if next == nil || next.piece.first.Load() != first {
		return nil
	}
	return next
}
