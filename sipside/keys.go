package sipside

import (
	"encoding/binary"
	"encoding/hex"
	"hash/maphash"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// txKey identifies a server transaction.
type txKey [16]byte

// txTag is the tag in To of the responses of a transaction.
type txTag [8]byte

// append appends the tag as it is written.
func (t txTag) append(b []byte) []byte { return hex.AppendEncode(b, t[:]) }

// txKeys makes keys and tags. Its seeds are of this process and never leave it.
//
// Keys are 128 bits of two hashes with seeds of their own. Nobody is ever shown one, so
// nobody learns about the seeds, and without them two requests are not made to collide. The
// hash is no cryptographic one, and need not be: who finds two of its own that collide gets
// the second answered like the first, and that is all; and to collide with the request of
// another one would have to know what only those on its way know, its branch and Call-ID,
// who can send a copy of it anyway. The tag, which everybody
// sees, is a hash of the key under a third seed: it tells nothing of the first two, and who
// has not seen it cannot guess it.
type txKeys struct{ high, low, tag maphash.Seed }

func newTxKeys() txKeys {
	return txKeys{maphash.MakeSeed(), maphash.MakeSeed(), maphash.MakeSeed()}
}

// of matches requests with their transaction (RFC 3261 §17.2.3): by branch, sent-by and
// method, or for clients of RFC 2543 by all that makes the request. Call-ID and the number of
// CSeq count as well: a retransmission has the same, and a client that uses a branch twice
// would be told that its second message arrived. A copy of a request has the same key and tag.
func (t *txKeys) of(r *request) (k txKey, tag txTag) {
	var mem [256]byte
	buf := mem[:0]
	add := func(v string) { buf = append(append(buf, v...), 0) }
	add(r.method)
	if len(r.via.branch) > 7 && strings.EqualFold(r.via.branch[:7], sip.RFC3261BranchMagicCookie) {
		add(r.via.branch)
		add(r.via.host)
		buf = append(buf, byte(r.via.port>>8), byte(r.via.port))
		add(r.f.callID)
		number, _, _ := strings.Cut(r.f.cseq, " ") // without the method, which a CANCEL has its own of
		add(number)
	} else {
		for _, v := range [...]string{r.target, r.f.from, r.f.to, r.f.callID, r.f.cseq} {
			add(v)
		}
		add(r.via.protocol)
		add(r.via.branch)
	}
	binary.BigEndian.PutUint64(k[:8], maphash.Bytes(t.high, buf))
	binary.BigEndian.PutUint64(k[8:], maphash.Bytes(t.low, buf))
	binary.BigEndian.PutUint64(tag[:], maphash.Bytes(t.tag, k[:]))
	return k, tag
}
