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
	hashes  sync.Pool // of *keyed
	randoms sync.Pool // of *random
	cseq    atomic.Uint32
}

// keyed is a keyed hash, and what goes through it: so no step of it has to allocate.
type keyed struct {
	hash hash.Hash
	buf  []byte
}

// newIDs derives the key of the stanza ids from the component secret, so that
// every node and every restart makes the same id for the same request, and
// nobody else can guess it (IM-57).
func newIDs(secret []byte, now time.Time) *ids {
	kdf := hmac.New(sha256.New, secret)
	kdf.Write([]byte("stox stanza id"))
	key := kdf.Sum(nil)
	g := &ids{hashes: sync.Pool{New: func() any { return &keyed{hash: hmac.New(sha256.New, key)} }}}
	// A CSeq only has to grow within a Call-ID, which a client may go on using
	// across a restart of ours: begin where the clock is.
	g.cseq.Store(uint32(now.Unix()) & 0x3fffffff)
	return g
}

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// stanzaKey stands for the identity of a SIP request: see ids.identity.
type stanzaKey = [16]byte

// identity is a keyed hash of the identity of a request: Call-ID, CSeq, From tag, From
// URI and mapped Request-URI. A repeat has the same, over whatever path it comes,
// and so has the stanza that either becomes: its id is stanzaID(key) (IM-13, IM-57). The
// From URI is that of the header: who is asserted to have sent it may differ by the path.
// from is m.From as a text.
func (g *ids) identity(m *mapping.SIPMessage, from string, to mapping.JID) stanzaKey {
	if m.Written != nil {
		from = m.Written.String()
	}
	return g.sum(m.CSeq, m.CallID, m.FromTag, from, to.Bare().String())
}

// sum is a keyed hash of texts and a number.
func (g *ids) sum(n uint32, texts ...string) (k stanzaKey) {
	h := g.hashes.Get().(*keyed)
	defer g.hashes.Put(h)
	b := h.buf[:0]
	for _, s := range texts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s))) // so that no two tuples run together
		b = append(b, s...)
	}
	b = binary.BigEndian.AppendUint32(b, n)
	h.hash.Reset()
	h.hash.Write(b)
	b = h.hash.Sum(b[:0])
	copy(k[:], b)
	if cap(b) <= maxKeyedBuf {
		h.buf = b
	}
	return k
}

// maxKeyedBuf is more than addresses that people have need: the buffer for longer ones is
// not kept.
const maxKeyedBuf = 4 << 10

// stanzaIDLen is the length of the id that a key makes.
const stanzaIDLen = (len(stanzaKey{})*8 + 4) / 5

// stanzaID is the key as the id of a stanza.
func stanzaID(k stanzaKey) string {
	var b [stanzaIDLen]byte
	idEncoding.Encode(b[:], k[:])
	return string(b[:])
}

// keyOf is the key that id was made from; ok is false for what cannot be such an id.
func keyOf(id string) (k stanzaKey, ok bool) {
	if len(id) != stanzaIDLen {
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
	if m.CallID != "" {
		m.FromTag, m.CSeq = g.tag()
		return
	}
	r, _ := g.randoms.Get().(*random)
	if r == nil {
		r = new(random)
	}
	both := charsOf(r.take(callIDLen + tagLen))
	g.randoms.Put(r)
	m.CallID, m.FromTag, m.CSeq = both[:callIDLen], both[callIDLen:], g.next()
}

// callIDLen is the length of the Call-IDs that the bridge makes, of 130 bits, tagLen that
// of its tags, of 80.
const (
	callIDLen = 26
	tagLen    = 16
)

// newCallID makes a Call-ID.
func newCallID() string { return randomText(callIDLen) }

// tag makes a From tag and the next CSeq.
func (g *ids) tag() (string, uint32) { return randomText(tagLen), g.next() }

func (g *ids) next() uint32 { return g.cseq.Add(1) & 0x7fffffff }

// randomText is as many random characters, of five bits each.
func randomText(n int) string {
	var octets [maxRandom]byte
	rand.Read(octets[:n]) // it never fails
	return charsOf(octets[:n])
}

// maxRandom is how long the longest random text is.
const maxRandom = callIDLen + tagLen

// charsOf is a character for each of some random octets.
func charsOf(octets []byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var b [maxRandom]byte
	for i, c := range octets {
		b[i] = alphabet[c%32]
	}
	return string(b[:len(octets)])
}

// random has random octets for several messages: the system is asked for them once.
type random struct {
	octets [16 * maxRandom]byte
	left   int // at the end
}

// take is so many octets, which nobody else gets. They are valid until the next call.
func (r *random) take(n int) []byte {
	if r.left < n {
		rand.Read(r.octets[:]) // it never fails
		r.left = len(r.octets)
	}
	from := len(r.octets) - r.left
	r.left -= n
	return r.octets[from : from+n]
}

// noticeID is the id of the message that goes with a late error: the same whenever it
// is written again.
func (g *ids) noticeID(o *outbound) string {
	return stanzaID(g.sum(0, "notice", o.from.String(), o.to.String(), o.id, o.read.UTC().Format(time.RFC3339)))
}
