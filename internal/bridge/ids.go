package bridge

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"hash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// ids makes the identifiers that mapping leaves empty.
type ids struct {
	hashes sync.Pool // of hash.Hash, keyed
	cseq   atomic.Uint32
}

// newIDs derives the key of the stanza ids from the component secret, so that
// every node and every restart makes the same id for the same request, and
// nobody else can guess it (IM-57).
func newIDs(secret []byte, now time.Time) *ids {
	kdf := hmac.New(sha256.New, secret)
	kdf.Write([]byte("stox stanza id"))
	key := kdf.Sum(nil)
	g := &ids{hashes: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
	// A CSeq only has to grow within a Call-ID, which a client may go on using
	// across a restart of ours: begin where the clock is.
	g.cseq.Store(uint32(now.Unix()) & 0x3fffffff)
	return g
}

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// stanzaKey stands for the identity of a SIP request: see ids.key.
type stanzaKey = [16]byte

// key is a keyed hash of the identity of a request: Call-ID, CSeq, From tag, From
// URI and mapped Request-URI. A repeat has the same, over whatever path it comes,
// and so has the stanza that either becomes: its id is stanzaID(key) (IM-13, IM-57). The
// From URI is that of the header: who is asserted to have sent it may differ by the path.
func (g *ids) key(m *mapping.SIPMessage, to mapping.JID) stanzaKey {
	from := m.From
	if !m.Written.IsZero() {
		from = m.Written
	}
	return g.sum(m.CSeq, m.CallID, m.FromTag, from.String(), to.Bare().String())
}

// sum is a keyed hash of texts and a number.
func (g *ids) sum(n uint32, texts ...string) (k stanzaKey) {
	h := g.hashes.Get().(hash.Hash)
	defer g.hashes.Put(h)
	h.Reset()
	var b [4]byte
	for _, s := range texts {
		binary.BigEndian.PutUint32(b[:], uint32(len(s))) // so that no two tuples run together
		h.Write(b[:])
		h.Write([]byte(s))
	}
	binary.BigEndian.PutUint32(b[:], n)
	h.Write(b[:])
	copy(k[:], h.Sum(nil))
	return k
}

// stanzaID is the key as the id of a stanza.
func stanzaID(k stanzaKey) string { return idEncoding.EncodeToString(k[:]) }

// keyOf is the key that id was made from; ok is false for what cannot be such an id.
func keyOf(id string) (k stanzaKey, ok bool) {
	if len(id) != idEncoding.EncodedLen(len(k)) {
		return k, false
	}
	if n, err := idEncoding.Decode(k[:], []byte(id)); err != nil || n != len(k) {
		return k, false
	}
	return k, stanzaID(k) == id // the last character has bits to spare
}

// fill chooses what m leaves open: a Call-ID unless it has one, and always a From tag
// and CSeq of its own, since a Call-ID is reused by every message of a thread or
// conversation (IM-06).
func (g *ids) fill(m *mapping.SIPMessage) {
	if m.CallID == "" {
		m.CallID = rand.Text()
	}
	m.FromTag, m.CSeq = g.tag()
}

// tag makes a From tag, of 80 bits, and the next CSeq.
func (g *ids) tag() (string, uint32) { return rand.Text()[:16], g.cseq.Add(1) & 0x7fffffff }

// noticeID is the id of the message that goes with a late error: the same whenever it
// is written again.
func (g *ids) noticeID(o *outbound) string {
	return stanzaID(g.sum(0, "notice", o.from.String(), o.to.String(), o.id, o.read.UTC().Format(time.RFC3339)))
}
